"""Pictures of plans, displacements and timings; the only file that imports matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

__all__ = ["save_interpolation", "save_plans", "save_timings"]

INK = "#22252b"
SOURCE, TARGET, PEER = "#3566b8", "#d1495b", "#8a8f98"


def save_plans(path: Path, plans: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]) -> None:
    """Draw each plan as segments x_i -> y_j coloured by direction; values of `plans` are (x, y, rows, cols), 2-D."""
    figure = _figure(6.4 * len(plans), 4.2)
    for at, (title, (x, y, rows, cols)) in enumerate(plans.items()):
        axes = figure.add_subplot(1, len(plans), at + 1)
        step = y[cols] - x[rows]
        height = (step[:, 1] - step[:, 1].min()) / max(np.ptp(step[:, 1]), np.finfo(float).tiny)
        segments = np.stack([x[rows], y[cols]], axis=1)
        colours = colormaps["viridis"](0.9 * height)
        axes.add_collection(LineCollection(list(segments), colors=colours, linewidths=0.45, alpha=0.45))
        axes.scatter(*x.T, s=3.5, color=SOURCE, linewidths=0, zorder=3, label=f"source, {len(x):,} points")
        axes.scatter(*y.T, s=3.5, color=TARGET, linewidths=0, zorder=3, label=f"target, {len(y):,} points")
        axes.set_title(title, fontsize=11, color=INK)
        _bare(axes)
        axes.legend(loc="upper center", fontsize=8, frameon=False, markerscale=3, ncols=2, bbox_to_anchor=(0.5, 0.02))
    _save(figure, path)


def save_interpolation(path: Path, x: np.ndarray, moved: np.ndarray, times: Sequence[float]) -> None:
    """Draw (1 - t) x_i + t T(x_i) for each t, with every point keeping the colour of where it started."""
    centred = x - x.mean(axis=0)
    hue = np.arctan2(centred[:, 1], centred[:, 0]) / (2 * np.pi) + 0.5
    figure = _figure(2.5 * len(times), 2.9)
    every = np.concatenate([x - x.mean(axis=0), moved - moved.mean(axis=0)])
    reach = 1.06 * np.abs(every).max()
    for at, t in enumerate(times):
        axes = figure.add_subplot(1, len(times), at + 1)
        points = (1 - t) * x + t * moved
        points = points - points.mean(axis=0)
        axes.scatter(*points.T, c=hue, cmap="twilight_shifted", s=5, linewidths=0, vmin=0, vmax=1)
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach))
        axes.set_title(f"t = {t:g}", fontsize=10, color=INK)
        _bare(axes)
    _save(figure, path)


def save_timings(path: Path, sizes: Mapping[str, Sequence[int]], seconds: Mapping[str, Sequence[float]]) -> None:
    """Draw seconds over n on log axes, a curve a solver; keys that start with "POT" are drawn as the peer."""
    figure = _figure(6.4, 4.2)
    axes = figure.add_subplot()
    mine = iter((SOURCE, TARGET))
    for name, n in sizes.items():
        peer = name.startswith("POT")
        colour = PEER if peer else next(mine)
        style = "--" if peer else "-"
        marker = "s" if name.endswith("W2") else "o"
        axes.plot(n, seconds[name], style, marker=marker, markersize=4.5, color=colour, linewidth=1.6)
        axes.annotate(
            f" {name}",
            (n[-1], seconds[name][-1]),
            fontsize=9,
            color=colour,
            va="center",
            xytext=(4, 0),
            textcoords="offset points",
        )
    axes.set(xscale="log", yscale="log", xlabel="n = m points", ylabel="seconds")
    every = sorted({n for values in sizes.values() for n in values})
    axes.set_xticks(every)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda n, _: f"{int(n):,}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.05)
    axes.set_xlim(right=every[-1] * 1.9)
    axes.grid(which="major", color="#e4e6ea", linewidth=0.8)
    axes.tick_params(which="both", colors=INK, labelsize=9, length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_title("Certified exact OT between 2-D Gaussian clouds", fontsize=11, color=INK, loc="left")
    _save(figure, path)


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)  # no pyplot: no global state, no display
    return figure


def _bare(axes: Axes) -> None:
    axes.set_aspect("equal")
    axes.set_axis_off()


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=160)
