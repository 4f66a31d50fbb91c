"""Pictures of plans, displacements, timings, power cells and samples; the only file that imports matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import CenteredNorm
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.ticker import FuncFormatter, NullFormatter

__all__ = [
    "label_heights", "plot_cells", "plot_singular_set", "save_cloud", "save_grid", "save_interpolation", "save_plans",
    "save_timings",
]  # fmt: skip

INK = "#22252b"
DRAWN = 400  # arcs of a plan: with thousands the dots hide the segments
LABEL_STEP = 0.055  # of the height of the axes: the least distance of two labels
OUTLINED = 3000  # cells up to which their borders are drawn: with more there is nothing but borders
GAP = 2  # pixels between two images of a grid
SIDE = 56  # pixels to which smaller images are enlarged, by a whole factor
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


def plot_cells(
    path: Path,
    polygons: Sequence[np.ndarray],
    errors: np.ndarray,
    *,
    domain: np.ndarray | None = None,
    targets: np.ndarray | None = None,
) -> None:
    """Draw power cells (k, 2) coloured by their relative mass errors (n,): mu(W_i) / nu_i - 1, NaN where nu_i = 0.

    domain (k, 2) is outlined; targets (n, 2) are drawn beside the cells in the colours of these. Cells without corners
    are not drawn, but counted.
    """
    errors = np.asarray(errors, np.float64)
    _check_lengths(polygons, errors=errors, targets=targets)
    figure = _figure(7.2 if targets is None else 12.6, 6.4)
    axes = figure.add_subplot(1, 1 if targets is None else 2, 1)
    reach = float(np.nanmax(np.abs(errors), initial=0.0)) or 1.0
    norm = CenteredNorm(halfrange=reach)
    cells, shown = _add_cells(axes, polygons, domain)
    cells.set(array=errors[shown], cmap="RdBu_r", norm=norm)
    empty = len(polygons) - len(shown)
    axes.set_title(f"{len(shown):,} cells" + (f", {empty:,} empty" if empty else ""), fontsize=12, color=INK)
    beside = [axes]
    if targets is not None:
        beside.append(axes := figure.add_subplot(1, 2, 2))
        size = float(np.clip(4e4 / len(targets), 3, 40))
        axes.scatter(
            *np.asarray(targets).T, c=errors, cmap="RdBu_r", norm=norm, s=size, edgecolors=INK, linewidths=size / 80
        )
        axes.set_title("their targets", fontsize=12, color=INK)
        _bare(axes)
    bar = figure.colorbar(cells, ax=beside, shrink=0.8, pad=0.02, aspect=30)
    bar.set_label("relative mass error", fontsize=10, color=INK)
    bar.ax.tick_params(colors=INK, labelsize=9, length=0)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    _save(figure, path)


def plot_singular_set(
    path: Path,
    polygons: Sequence[np.ndarray],
    points: np.ndarray,
    singular: np.ndarray,
    *,
    domain: np.ndarray | None = None,
    theta: float | None = None,
) -> None:
    """Draw the singular points over the cells (k, 2): of a grid of points (N, 2), those where singular (N,) is true.

    Each fills its square of the grid, whose spacings are the smallest of its x and of its y coordinates. theta, the
    angle of `singular`, is told in the title.
    """
    points, singular = np.asarray(points, np.float64), np.asarray(singular, bool)
    _check_lengths(points, singular=singular)
    figure = _figure(6.4, 6.6)
    axes = figure.add_subplot()
    cells, _ = _add_cells(axes, polygons, domain)
    cells.set(facecolor="#eef1f6")
    half = 0.5 * np.array([_spacing(column) for column in points.T])
    square = half * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    squares = points[singular][:, None] + square
    # Squares that touch would show seams if each had smooth edges of its own.
    axes.add_collection(PolyCollection(list(squares), facecolors=TARGET, linewidths=0, antialiased=False, zorder=3))
    share = np.count_nonzero(singular) / max(len(points), 1)
    told = "" if theta is None else f"theta = {theta:.3g}: "
    axes.set_title(f"{told}{share:.1%} of {len(points):,} points singular", fontsize=12, color=INK)
    _save(figure, path)


def save_grid(path: Path, images: np.ndarray, *, columns: int | None = None) -> None:
    """Draw images (n, C, H, W) with values in [0, 1], C = 1 or 3, row by row; None makes the grid nearly square."""
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1] not in (1, 3) or len(images) == 0:
        raise ValueError(f"images must have shape (n, C, H, W) with C = 1 or 3; got {images.shape}. Reshape them.")
    n, channels, height, width = images.shape
    across = int(np.ceil(np.sqrt(n))) if columns is None else columns
    factor = max(1, SIDE // min(height, width))
    tall, wide = factor * height + GAP, factor * width + GAP
    sheet = np.ones((-(-n // across) * tall + GAP, across * wide + GAP, channels))
    for i, image in enumerate(images.repeat(factor, 2).repeat(factor, 3)):
        top, left = GAP + i // across * tall, GAP + i % across * wide
        sheet[top : top + tall - GAP, left : left + wide - GAP] = np.moveaxis(image, 0, -1)
    imsave(path, np.clip(np.broadcast_to(sheet, (*sheet.shape[:2], 3)), 0.0, 1.0))


def save_cloud(path: Path, clouds: Mapping[str, np.ndarray]) -> None:
    """Draw clouds (n, 2) over each other, the first in grey behind the rest; label -> points."""
    figure = _figure(6.4, 6.4)
    axes = figure.add_subplot()
    colours = (PEER, SOURCE, TARGET) if len(clouds) > 1 else (SOURCE,)
    for (label, points), colour in zip(clouds.items(), colours):
        points = np.asarray(points)
        if points.ndim != 2 or points.shape[1] != 2:
            raise ValueError(f"clouds must hold points (n, 2); {label} has shape {points.shape}. Pass two columns.")
        size = float(np.clip(2e4 / max(len(points), 1), 2, 14))
        axes.scatter(*points.T, s=size, color=colour, linewidths=0, alpha=0.7, label=f"{label} ({len(points):,})")
    _bare(axes)
    axes.legend(loc="upper center", fontsize=10, frameon=False, markerscale=2.5, ncols=3, bbox_to_anchor=(0.5, 0.02))
    _save(figure, path)


def _add_cells(
    axes: Axes, polygons: Sequence[np.ndarray], domain: np.ndarray | None
) -> tuple[PolyCollection, np.ndarray]:
    """Add the cells that have corners and the outline of the domain; return those and their places in polygons."""
    shown = np.array([i for i, polygon in enumerate(polygons) if len(polygon)], np.int64)
    outlined = len(shown) <= OUTLINED
    cells = PolyCollection(
        [np.asarray(polygons[i]) for i in shown],
        edgecolors=INK if outlined else "face",
        linewidths=float(np.clip(20 / np.sqrt(len(shown) + 1), 0.2, 1.2)) if outlined else 0.1,
    )
    axes.add_collection(cells)
    if domain is not None:
        axes.add_collection(PolyCollection([np.asarray(domain)], facecolors="none", edgecolors=INK, linewidths=1.6))
    axes.autoscale_view()
    _bare(axes)
    return cells, shown


def _spacing(column: np.ndarray) -> float:
    """The least distance of two coordinates that differ by more than rounding; 0 where all are one."""
    gaps = np.diff(np.unique(column))
    gaps = gaps[gaps > 1e-9 * np.abs(column).max(initial=0.0)]
    return float(gaps.min(initial=np.inf)) if len(gaps) else 0.0


def _check_lengths(rows: Sequence[np.ndarray] | np.ndarray, **beside: np.ndarray | None) -> None:
    for name, array in beside.items():
        if array is not None and len(array) != len(rows):
            raise ValueError(
                f"{name} must have a row for each of the {len(rows)} drawn; got {len(array)}. Pass them all."
            )


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
