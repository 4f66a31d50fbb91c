"""Pictures of plans, displacements and timings; the only file that imports matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

__all__ = ["label_heights", "save_interpolation", "save_plans", "save_timings"]

INK = "#22252b"
DRAWN = 400  # arcs of a plan: with thousands the dots hide the segments
LABEL_STEP = 0.055  # of the height of the axes: the least distance of two labels
SOURCE, TARGET, PEER = "#3566b8", "#d1495b", "#8a8f98"


def save_plans(path: Path, plans: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]) -> None:
    """Draw at most DRAWN arcs of each plan, x_i to y_j, coloured by where they start; title -> (x, y, rows, cols)."""
    figure = _figure(6.2 * len(plans), 6.4)
    for at, (title, (x, y, rows, cols)) in enumerate(plans.items()):
        axes = figure.add_subplot(1, len(plans), at + 1)
        drawn = np.random.default_rng(0).permutation(len(rows))[:DRAWN]
        starts, ends, colours = x[rows[drawn]], y[cols[drawn]], _around(x)[rows[drawn]]
        axes.scatter(*ends.T, s=14, facecolors="none", edgecolors=PEER, linewidths=0.8, label="target")
        axes.scatter(*starts.T, s=9, color=INK, linewidths=0, label="source")
        segments = list(np.stack([starts, ends], axis=1))
        axes.add_collection(LineCollection(segments, colors=list(colours), linewidths=0.9, alpha=0.85, zorder=3))
        axes.set_title(f"{title}\n{len(drawn):,} of {len(rows):,} arcs", fontsize=12, color=INK)
        _bare(axes)
        axes.legend(
            loc="upper center", fontsize=10, frameon=False, markerscale=2.5, ncols=2, bbox_to_anchor=(0.5, 0.02)
        )
    _save(figure, path)


def save_interpolation(path: Path, x: np.ndarray, moved: np.ndarray, times: Sequence[float]) -> None:
    """Draw (1 - t) x_i + t T(x_i) for each t, with every point keeping the colour of where it started."""
    figure = _figure(2.6 * len(times), 2.9)
    colours = _around(x)
    every = np.concatenate([x, moved])
    low, high = every.min(axis=0), every.max(axis=0)
    reach = 0.53 * (high - low).max()
    middle = (low + high) / 2
    for at, t in enumerate(times):
        axes = figure.add_subplot(1, len(times), at + 1)
        axes.scatter(*((1 - t) * x + t * moved).T, c=colours, s=5, linewidths=0)
        axes.set(xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] - reach, middle[1] + reach))
        axes.set_title(f"t = {t:g}", fontsize=11, color=INK)
        _bare(axes)
    _save(figure, path)


def _around(x: np.ndarray) -> np.ndarray:
    """One colour a point, (n, 3) RGB, running once around the hues with the direction seen from the centre."""
    centred = x - x.mean(axis=0)
    angle = np.arctan2(centred[:, 1], centred[:, 0])
    return 0.5 + 0.4 * np.cos(angle[:, None] + 2 * np.pi / 3 * np.arange(3))


def save_timings(path: Path, sizes: Mapping[str, Sequence[int]], seconds: Mapping[str, Sequence[float]]) -> None:
    """Draw seconds over n on log axes, a curve a solver; keys that start with "POT" are drawn as the peer."""
    figure = _figure(6.4, 4.2)
    axes = figure.add_subplot()
    mine, colours = iter((SOURCE, TARGET)), {}
    for name, n in sizes.items():
        peer = name.startswith("POT")
        colour = PEER if peer else next(mine)
        style = "--" if peer else "-"
        marker = "s" if name.endswith("W2") else "o"
        axes.plot(n, seconds[name], style, marker=marker, markersize=4.5, color=colour, linewidth=1.6)
        colours[name] = colour
    axes.set(xscale="log", yscale="log", xlabel="n = m points", ylabel="seconds")
    low, high = np.log10(axes.get_ylim())
    heights = label_heights({name: float(np.log10(values[-1])) for name, values in seconds.items()}, high - low)
    for name, height in heights.items():
        place = (sizes[name][-1], 10**height)
        axes.annotate(
            name, place, xytext=(8, 0), textcoords="offset points", fontsize=9, color=colours[name], va="center"
        )
    every = sorted({n for values in sizes.values() for n in values})
    axes.set_xticks(every)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda n, _: f"{int(n):,}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{seconds:g}"))
    axes.margins(x=0.05)
    axes.set_xlim(right=every[-1] * 1.9)
    axes.grid(which="major", color="#e4e6ea", linewidth=0.8)
    axes.tick_params(which="both", colors=INK, labelsize=9, length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_title("Certified exact OT between 2-D Gaussian clouds", fontsize=11, color=INK, loc="left")
    _save(figure, path)


def label_heights(ends: Mapping[str, float], span: float) -> dict[str, float]:
    """The height of each label: where its curve ends, moved up where the label below would touch it."""
    heights: dict[str, float] = {}
    lowest = -np.inf
    for name in sorted(ends, key=lambda name: ends[name]):
        heights[name] = lowest = max(ends[name], lowest + LABEL_STEP * span)
    return heights


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)  # no pyplot: no global state, no display
    return figure


def _bare(axes: Axes) -> None:
    axes.set_aspect("equal")
    axes.set_axis_off()


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=160)
