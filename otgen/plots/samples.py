"""Pictures of samples: grids of images, reconstructions, interpolations, clouds, the best and the worst."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize
from matplotlib.figure import Figure

from ..options import read_count
from .style import DPI, INK, PEER, PLAIN, bare, colours, log_ticks, new_figure, point_size, save, save_pixels

GAP, APART = 2, 10  # pixels between two images, and between rows that do not belong together
SIDE = 56  # pixels, nearly, to which smaller images are enlarged, by a whole factor
MARGIN = 12  # pixels around sheets that have titles, and between them
LAST = 0.01  # of the scores share the last colour: a few may lie many powers of ten below the rest
QUALITY = LinearSegmentedColormap.from_list("quality", colormaps["plasma"](np.linspace(0, 0.88, 256)))  # no pale end
HELD = "(n, C, H, W) with C = 1 or 3"


def save_grid(path: Path, images: np.ndarray, *, columns: int | None = None) -> None:
    """Draw images (n, C, H, W) with values in [0, 1], C = 1 or 3, row by row; None makes the grid nearly square."""
    save_pixels(_sheet(_read_images(images, "images"), columns), path)


def save_pairs(path: Path, originals: np.ndarray, reconstructions: np.ndarray, *, columns: int | None = None) -> None:
    """Draw images and below each what is made of it, both (n, C, H, W), C = 1 or 3, clipped to [0, 1].

    Rows of `columns` images alternate; None makes the picture nearly square. Raises ValueError unless the shapes agree.
    """
    originals = _read_images(originals, "originals")
    reconstructions = _read_images(reconstructions, "reconstructions")
    if originals.shape != reconstructions.shape:
        raise ValueError(
            f"reconstructions must have the shape of originals, {originals.shape}; got {reconstructions.shape}. Pass "
            "one for each."
        )
    n = len(originals)
    across = int(np.ceil(np.sqrt(2 * n))) if columns is None else read_count(columns, "columns", "images in a row")
    empty = np.ones((-n % across, *originals.shape[1:]))
    rows = np.stack([np.concatenate([x, empty]) for x in (originals, reconstructions)])
    rows = rows.reshape(2, -1, across, *originals.shape[1:]).swapaxes(0, 1).reshape(-1, *originals.shape[1:])
    _save_titled(path, {"originals, each above its reconstruction": _sheet(rows, across, together=2)})


def save_interpolations(path: Path, rows: np.ndarray) -> None:
    """Draw images (k, t, C, H, W), C = 1 or 3, clipped to [0, 1]: k interpolations of t images, each in a row."""
    rows = np.asarray(rows)
    if rows.ndim != 5 or rows.shape[2] not in (1, 3) or rows.size == 0:
        raise ValueError(f"rows must have shape (k, t, C, H, W) with C = 1 or 3; got {rows.shape}. Reshape them.")
    save_pixels(_sheet(rows.reshape(-1, *rows.shape[2:]), rows.shape[1], together=1), path)


def save_ranked(path: Path, best: np.ndarray, worst: np.ndarray) -> None:
    """Draw two grids of images (n, C, H, W) and (m, C, H, W), C = 1 or 3: those of best and of worst quality score."""
    chosen = {"best by quality score": (best, "best"), "worst by quality score": (worst, "worst")}
    _save_titled(path, {title: _sheet(_read_images(images, name), None) for title, (images, name) in chosen.items()})


def save_cloud(path: Path, clouds: Mapping[str, np.ndarray]) -> None:
    """Draw clouds (n, 2) over each other, the first in grey behind the rest; label -> points."""
    figure = new_figure(6.4, 6.4)
    axes = figure.add_subplot()
    shades = (PEER, *colours(len(clouds) - 1)) if len(clouds) > 1 else colours(1)
    for (label, points), shade in zip(clouds.items(), shades):
        points = np.asarray(points)
        if points.ndim != 2 or points.shape[1] != 2:
            raise ValueError(f"clouds must hold points (n, 2); {label} has shape {points.shape}. Pass two columns.")
        size = point_size(len(points), 14)
        axes.scatter(*points.T, s=size, color=shade, linewidths=0, alpha=0.7, label=f"{label} ({len(points):,})")
    bare(axes)
    axes.legend(loc="upper center", fontsize=10, frameon=False, markerscale=2.5, ncols=3, bbox_to_anchor=(0.5, 0.02))
    save(figure, path)


def save_scores(path: Path, points: np.ndarray, scores: np.ndarray) -> None:
    """Draw points (n, 2) coloured by their quality scores (n,), the worst in front.

    Colours go by ratios where scores are positive, and the last 1 % share one. Raises ValueError for other shapes and
    for scores that are not finite.
    """
    points, scores = np.asarray(points, np.float64), np.asarray(scores, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
        raise ValueError(f"points must have shape (n, 2); got {points.shape}. Pass two columns.")
    if scores.shape != points.shape[:1]:
        raise ValueError(f"scores must have shape ({len(points)},); got {scores.shape}. Pass one for each point.")
    if not np.isfinite(scores).all():
        count = np.count_nonzero(~np.isfinite(scores))
        raise ValueError(f"scores must be finite; {count} of {len(scores)} are not. Leave their points out.")
    low, high = np.quantile(scores, LAST, method="lower"), scores.max()
    logarithmic = 0 < low < high
    order = np.argsort(-scores, kind="stable")
    x, y = points[order].T
    figure = new_figure(7.4, 6.4)
    axes = figure.add_subplot()
    norm = LogNorm(low, high) if logarithmic else Normalize(low, high)
    drawn = axes.scatter(x, y, c=np.maximum(scores[order], low), cmap=QUALITY, norm=norm, s=point_size(len(x), 14))
    drawn.set(linewidths=0)
    axes.set_title(f"{len(points):,} point{'s' if len(points) > 1 else ''}, the worst in front", fontsize=12, color=INK)
    bare(axes)
    axes.set_aspect("equal", adjustable="datalim")
    bar = figure.colorbar(
        drawn, ax=axes, shrink=0.8, pad=0.02, aspect=30, extend="min" if low > scores.min() else "neither",
        ticks=log_ticks(low, high) if logarithmic else None, format=PLAIN,
    )  # fmt: skip
    bar.minorticks_off()
    bar.set_label("quality score", fontsize=10, color=INK)
    bar.ax.tick_params(which="both", colors=INK, labelsize=9, length=0)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    save(figure, path)


def _read_images(images: np.ndarray, name: str) -> np.ndarray:
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1] not in (1, 3) or images.size == 0:
        raise ValueError(f"{name} must have shape {HELD}; got {images.shape}. Reshape them.")
    return images


def _sheet(images: np.ndarray, columns: int | None, *, together: int | None = None) -> np.ndarray:
    """The pixels (H, W, 3) of a grid on white, in which so many rows stand together, or all."""
    n, channels, height, width = images.shape
    across = int(np.ceil(np.sqrt(n))) if columns is None else read_count(columns, "columns", "images in a row")
    factor = max(1, round(SIDE / min(height, width)))
    tall, wide, rows = factor * height + GAP, factor * width + GAP, -(-n // across)
    tops = GAP + tall * np.arange(rows)
    if together is not None:
        tops += (APART - GAP) * (np.arange(rows) // together)
    sheet = np.ones((tops[-1] + tall, across * wide + GAP, channels))
    for i, image in enumerate(images.repeat(factor, 2).repeat(factor, 3)):
        top, left = tops[i // across], GAP + i % across * wide
        sheet[top : top + tall - GAP, left : left + wide - GAP] = np.moveaxis(image, 0, -1)
    return np.clip(np.broadcast_to(sheet, (*sheet.shape[:2], 3)), 0.0, 1.0)


def _save_titled(path: Path, sheets: Mapping[str, np.ndarray]) -> None:
    """Write sheets (H, W, 3) side by side under their titles, every pixel as it is."""
    figure = Figure(dpi=DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    titles = [figure.text(0, 0, title, fontsize=10, color=INK, ha="center", va="top") for title in sheets]
    boxes = [title.get_window_extent(canvas.get_renderer()) for title in titles]
    above = int(max(box.height for box in boxes)) + 2 * MARGIN
    widths = [max(sheet.shape[1], int(box.width) + MARGIN) + MARGIN for sheet, box in zip(sheets.values(), boxes)]
    wide = sum(widths) + MARGIN
    tall = above + max(sheet.shape[0] for sheet in sheets.values()) + MARGIN
    figure.set_size_inches((wide + 0.5) / DPI, (tall + 0.5) / DPI)  # the half is cut off, and with it rounding
    left = MARGIN
    for title, sheet, width in zip(titles, sheets.values(), widths):
        middle = left + (width - MARGIN) // 2
        title.set_position((middle / wide, 1 - MARGIN / tall))
        figure.figimage(sheet, middle - sheet.shape[1] // 2, tall - above - sheet.shape[0], origin="upper")
        left += width
    save(figure, path)
