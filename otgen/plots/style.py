"""The look of every picture: colours, a figure without a display, plain axes, labels at the ends of curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, Locator, LogLocator, MaxNLocator

from .. import folders

INK, RULE = "#22252b", "#e4e6ea"
SOURCE, TARGET, PEER = "#3566b8", "#d1495b", "#8a8f98"
PALETTE = (SOURCE, TARGET, "#2f9e77", "#d08a1d", "#7a5cb5", "#3aa6c4", "#c4589f", "#8a5a3c", "#9aa832", "#4d5a6b")
DPI = 160
PAD = 0.08  # inches of white around everything
PLAIN = FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−", 1) if value < 0 else f"{value:g}")
LABEL_STEP = 0.055  # of the height of the axes: the least distance of two labels


def new_figure(width: float, height: float) -> Figure:
    """A white figure, in inches."""
    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=PAD, h_pad=PAD), facecolor="white")
    FigureCanvasAgg(figure)  # no pyplot: no global state, no display
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write the figure; a picture that is there is replaced at once or not at all."""
    _write(path, lambda file, kind: figure.savefig(file, dpi=DPI, format=kind))


def save_pixels(sheet: np.ndarray, path: Path) -> None:
    """Write a sheet (H, W, 3) as it is, a pixel a pixel, like `save`."""
    _write(path, lambda file, kind: imsave(file, sheet, format=kind))


def _write(path: Path, draw: Callable[[BytesIO, str], None]) -> None:
    drawn = BytesIO()  # first: what cannot be drawn, or not in this format, is no reason to touch the disk
    draw(drawn, Path(path).suffix[1:] or "png")
    with folders.replacing(Path(path)) as file:
        file.write(drawn.getvalue())


def bare(axes: Axes) -> None:
    """Leave the points alone: no frame, no ticks, one scale."""
    axes.set_aspect("equal")
    axes.set_axis_off()


def ruled(axes: Axes) -> None:
    """Lines at the ticks in place of a frame."""
    axes.grid(which="major", color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=INK, labelsize=9, length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def colours(n: int) -> list[str]:
    """n colours: those of the palette, or n around the wheel where it has too few."""
    return list(PALETTE[:n]) if n <= len(PALETTE) else [to_hex(hue) for hue in hues(2 * np.pi * np.arange(n) / n)]


def hues(angles: np.ndarray) -> np.ndarray:
    """One colour an angle, (n, 3) RGB, running once around the wheel."""
    return 0.5 + 0.4 * np.cos(angles[:, None] + 2 * np.pi / 3 * np.arange(3))


def point_size(n: int, largest: float) -> float:
    """The size of each of n points in a scatter plot: the more, the smaller."""
    return float(np.clip(2e4 / max(n, 1), 2, largest))


def log_ticks(low: float, high: float) -> Locator:
    """Ticks on a logarithmic axis from low to high that tell its values even within one power of ten."""
    decades = np.log10(high) - np.log10(low)
    return MaxNLocator(6) if decades <= 1 else LogLocator(subs=(1, 2, 5) if decades <= 3 else (1,))


def label_heights(
    ends: Mapping[str, float], span: float, *, step: float = LABEL_STEP, highest: float = np.inf
) -> dict[str, float]:
    """The height of each label: where its curve ends, moved up where the label below would touch it.

    Two labels are step * span apart at least. Those above `highest` are moved down, with what is then below them.
    """
    names = sorted(ends, key=lambda name: ends[name])
    heights: dict[str, float] = {}
    lowest = -np.inf
    for name in names:
        heights[name] = lowest = max(ends[name], lowest + step * span)
    for name in reversed(names):
        heights[name] = min(heights[name], highest)
        highest = heights[name] - step * span
    return heights


def label_ends(
    axes: Axes, ends: Mapping[str, tuple[float, float]], shades: Mapping[str, str], *, step: float = LABEL_STEP
) -> None:
    """Write each label right of the axes, in the colour of its curve, with a thin line from where this ends."""
    axes.autoscale_view()
    to_axes = axes.transData - axes.transAxes
    places = {name: tuple(to_axes.transform(end)) for name, end in ends.items()}
    heights = label_heights({name: float(place[1]) for name, place in places.items()}, 1.0, step=step, highest=1.0)
    for name, height in heights.items():
        line = {
            "arrowstyle": "-",
            "color": shades[name],
            "linewidth": 0.8,
            "linestyle": ":",
            "shrinkA": 0,
            "shrinkB": 2,
        }
        axes.annotate(
            name, places[name], xytext=(1.025, height), xycoords="axes fraction", textcoords="axes fraction",
            annotation_clip=False, fontsize=9, color=shades[name], va="center", arrowprops=line | {"relpos": (0, 0.5)},
        )  # fmt: skip
