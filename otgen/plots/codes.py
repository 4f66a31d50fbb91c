"""A picture of codes: their coordinates two by two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from .style import INK, colours, new_figure, ruled, save

SHOWN = 6  # coordinates: the panels of more are too small to read
DRAWN = 5000  # codes of each label: with more the clouds behind are hidden
BINS = 40
PANEL, LEAST = 1.9, 4.6  # inches: the side of a panel, and of the whole


def save_pair_plot(path: Path, clouds: Mapping[str, np.ndarray], names: Sequence[str] | None = None) -> None:
    """Draw coordinates of codes (n, d) against each other, below histograms of each, a colour a label; label -> codes.

    Of more than 6 coordinates those of largest variance in the first cloud are shown, of more than 5,000 codes of a
    label so many. names (d,) are those of the coordinates; None calls them z0, z1, ... Raises ValueError for codes that
    share no d or are not finite, and for another number of names.
    """
    codes = _read_codes(clouds)
    first = next(iter(codes))
    d = codes[first].shape[1]
    names = [f"z{i}" for i in range(d)] if names is None else [str(name) for name in names]
    if len(names) != d:
        raise ValueError(f"names must hold one for each of the {d} coordinates; got {len(names)}. Pass them all.")
    shown = np.sort(np.argsort(-codes[first].var(axis=0), kind="stable")[:SHOWN])
    rng = np.random.default_rng(0)
    drawn = {label: x[rng.permutation(len(x))[:DRAWN]][:, shown] for label, x in codes.items()}
    shades = dict(zip(codes, colours(len(codes))))
    side = max(PANEL * len(shown), LEAST)
    figure = new_figure(side, side + 0.6)
    _add_panels(figure, drawn, shades, [names[i] for i in shown])
    if len(shown) < d:
        told = f"{len(shown)} of {d} coordinates, those of largest variance in {first}:\n"
        figure.suptitle(told + ", ".join(names[i] for i in shown), fontsize=11, color=INK)
    _add_legend(figure, {label: (len(drawn[label]), len(x)) for label, x in codes.items()}, shades)
    save(figure, path)


def _read_codes(clouds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    codes = {label: np.asarray(x, np.float64) for label, x in clouds.items()}
    if not codes:
        raise ValueError("clouds must hold codes; it is empty. Pass {label: codes (n, d)}.")
    d = next(iter(codes.values())).shape[-1:]
    for label, x in codes.items():
        if x.ndim != 2 or x.size == 0 or x.shape[1:] != d:
            raise ValueError(
                f"clouds must hold codes (n, d) of one d; {label} has shape {x.shape}. Pass rows of one length."
            )
        if not np.isfinite(x).all():
            count = np.count_nonzero(~np.isfinite(x).all(axis=1))
            raise ValueError(f"clouds must be finite; {count} of {len(x)} codes of {label} are not. Leave them out.")
    return codes


def _add_panels(
    figure: Figure, drawn: Mapping[str, np.ndarray], shades: Mapping[str, str], names: Sequence[str]
) -> None:
    every = np.concatenate(list(drawn.values()))
    of = np.repeat([shades[label] for label in drawn], [len(x) for x in drawn.values()])
    order = np.random.default_rng(0).permutation(len(every))  # drawn cloud by cloud, the last would hide the rest
    low, high = every.min(axis=0), every.max(axis=0)
    rim = np.where(high > low, 0.05 * (high - low), 0.5)
    k, limits = len(names), list(zip(low - rim, high + rim))
    for i in range(k):
        for j in range(i + 1):
            axes = figure.add_subplot(k, k, i * k + j + 1)
            if i == j:
                _add_histograms(axes, {label: x[:, j] for label, x in drawn.items()}, shades, limits[j])
            else:
                x, y = every[order][:, [j, i]].T
                axes.scatter(x, y, s=float(np.clip(4e3 / len(x), 2, 16)), c=of[order], linewidths=0, alpha=0.75)
                axes.set_ylim(*limits[i])
            axes.set_xlim(*limits[j])
            _mark(axes, names[j] if i == k - 1 else "", names[i] if j == 0 < i else "")


def _add_histograms(
    axes: Axes, columns: Mapping[str, np.ndarray], shades: Mapping[str, str], limits: tuple[float, float]
) -> None:
    """Densities over the same bins, each of area 1."""
    fewest = min(len(column) for column in columns.values())
    bins = np.linspace(*limits, int(np.clip(2 * np.sqrt(fewest), 5, BINS)) + 1).tolist()
    for label, column in columns.items():
        for style in ({"histtype": "stepfilled", "alpha": 0.25}, {"histtype": "step", "linewidth": 1.3}):
            axes.hist(column, bins, density=True, color=shades[label], **style)


def _mark(axes: Axes, below: str, beside: str) -> None:
    """Ticks and names at the left and the lower rim of the picture alone."""
    ruled(axes)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.tick_params(labelbottom=bool(below), labelleft=bool(beside))
    axes.set_xlabel(below, fontsize=10, color=INK)
    axes.set_ylabel(beside, fontsize=10, color=INK)


def _add_legend(figure: Figure, counts: Mapping[str, tuple[int, int]], shades: Mapping[str, str]) -> None:
    handles = [
        Line2D([], [], linestyle="", marker="o", color=shades[label], label=f"{label} ({_told(*count)})")
        for label, count in counts.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=10, frameon=False)


def _told(drawn: int, n: int) -> str:
    return f"{n:,}" if drawn == n else f"{drawn:,} of {n:,}"
