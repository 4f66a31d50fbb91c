"""Pictures of semi-discrete transport in the plane: power cells, and where its extended map jumps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import CenteredNorm

from .style import INK, TARGET, bare, new_figure, save

OUTLINED = 3000  # cells up to which their borders are drawn: with more there is nothing but borders


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
    figure = new_figure(7.2 if targets is None else 12.6, 6.4)
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
        bare(axes)
    bar = figure.colorbar(cells, ax=beside, shrink=0.8, pad=0.02, aspect=30)
    bar.set_label("relative mass error", fontsize=10, color=INK)
    bar.ax.tick_params(colors=INK, labelsize=9, length=0)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    save(figure, path)


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
    figure = new_figure(6.4, 6.6)
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
    save(figure, path)


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
    bare(axes)
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
