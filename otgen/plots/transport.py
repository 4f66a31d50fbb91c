"""Pictures of transport between clouds: plans, displacements, and how long they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.ticker import FuncFormatter, NullFormatter

from .style import INK, PEER, SOURCE, TARGET, bare, hues, label_heights, new_figure, ruled, save

DRAWN = 400  # arcs of a plan: with thousands the dots hide the segments


def save_plans(path: Path, plans: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]) -> None:
    """Draw at most DRAWN arcs of each plan, x_i to y_j, coloured by where they start; title -> (x, y, rows, cols)."""
    figure = new_figure(6.2 * len(plans), 6.4)
    for at, (title, (x, y, rows, cols)) in enumerate(plans.items()):
        axes = figure.add_subplot(1, len(plans), at + 1)
        drawn = np.random.default_rng(0).permutation(len(rows))[:DRAWN]
        starts, ends, colours = x[rows[drawn]], y[cols[drawn]], _around(x)[rows[drawn]]
        axes.scatter(*ends.T, s=14, facecolors="none", edgecolors=PEER, linewidths=0.8, label="target")
        axes.scatter(*starts.T, s=9, color=INK, linewidths=0, label="source")
        segments = list(np.stack([starts, ends], axis=1))
        axes.add_collection(LineCollection(segments, colors=list(colours), linewidths=0.9, alpha=0.85, zorder=3))
        axes.set_title(f"{title}\n{len(drawn):,} of {len(rows):,} arcs", fontsize=12, color=INK)
        bare(axes)
        axes.legend(
            loc="upper center", fontsize=10, frameon=False, markerscale=2.5, ncols=2, bbox_to_anchor=(0.5, 0.02)
        )
    save(figure, path)


def save_interpolation(path: Path, x: np.ndarray, moved: np.ndarray, times: Sequence[float]) -> None:
    """Draw (1 - t) x_i + t T(x_i) for each t, with every point keeping the colour of where it started."""
    figure = new_figure(2.6 * len(times), 2.9)
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
        bare(axes)
    save(figure, path)


def _around(x: np.ndarray) -> np.ndarray:
    """One colour a point, (n, 3) RGB, running once around the hues with the direction seen from the centre."""
    centred = x - x.mean(axis=0)
    return hues(np.arctan2(centred[:, 1], centred[:, 0]))


def save_timings(path: Path, sizes: Mapping[str, Sequence[int]], seconds: Mapping[str, Sequence[float]]) -> None:
    """Draw seconds over n on log axes, a curve a solver; keys that start with "POT" are drawn as the peer."""
    figure = new_figure(6.4, 4.2)
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
    ruled(axes)
    axes.set_title("Certified exact OT between 2-D Gaussian clouds", fontsize=11, color=INK, loc="left")
    save(figure, path)
