"""Pictures of what training told: losses, the duality gap, what a critic takes W1 to be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from .style import INK, LABEL_STEP, PLAIN, SOURCE, TARGET, colours, label_ends, log_ticks, new_figure, ruled, save

MARKED = 30  # points of a curve up to which each is marked
DECADES = 4  # on either side of zero, at most
EXACT = "exact W1"
Curve = tuple[np.ndarray, np.ndarray]


def save_curves(
    path: Path, steps: np.ndarray, curves: Mapping[str, np.ndarray], *, title: str | None = None, symlog: bool = False
) -> None:
    """Draw curves over steps (n,): label -> values (n,), of which the finite ones are joined, NaN where there is none.

    A curve without a finite value is left out. symlog is for values of many sizes on both sides of zero. Raises
    ValueError for other shapes, for steps that do not grow, and where no value is finite.
    """
    drawn = _read_curves(steps, curves, "curves")
    figure = new_figure(7.2, 4.2)
    axes = figure.add_subplot()
    if symlog:
        axes.set_yscale("symlog", linthresh=_linear_below(drawn))
        axes.yaxis.set_major_formatter(PLAIN)
    _add_curves(axes, drawn, dict(zip(drawn, colours(len(drawn)))))
    axes.set_xlabel("step", fontsize=10, color=INK)
    axes.set_title(title or "", fontsize=11, color=INK, loc="left")
    save(figure, path)


def save_gap(
    path: Path, steps: np.ndarray, upper: np.ndarray, lower: np.ndarray, value: np.ndarray, error: np.ndarray
) -> None:
    """Draw the upper and the lower value of an objective and, below, the gap between them with +- 2 of its errors.

    All (n,), steps that grow; a step where one is not finite is left out. Raises ValueError for other shapes, and where
    no step is left.
    """
    steps = _read_steps(steps)
    named = {"upper": upper, "lower": lower, "value": value, "error": error}
    table = np.stack([_read_values(values, steps, name) for name, values in named.items()])
    known = np.isfinite(table).all(axis=0)
    at = steps[known]
    if not known.any():
        raise ValueError("upper, lower, value and error must be finite together in some step; they are in none.")
    upper, lower, value, error = table[:, known]
    figure = new_figure(7.2, 5.6)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    _add_band(above, at, lower, upper, INK, 0.08)
    _add_curves(above, {"upper": (at, upper), "lower": (at, lower)}, {"upper": TARGET, "lower": SOURCE}, step=0.09)
    above.set_title("objective, at the best reply of either side", fontsize=11, color=INK, loc="left")
    above.tick_params(labelbottom=False)
    _add_band(below, at, value - 2 * error, value + 2 * error, SOURCE, 0.2)
    below.axhline(0.0, color=INK, linewidth=1.0)
    _add_curves(below, {"gap": (at, value)}, {"gap": SOURCE}, step=0.13)
    below.set_title("duality gap, ± 2 standard errors", fontsize=11, color=INK, loc="left")
    below.set_xlabel("step", fontsize=10, color=INK)
    save(figure, path)


def save_critic(
    path: Path,
    steps: np.ndarray,
    estimates: Mapping[str, np.ndarray],
    exact: np.ndarray | float,
    *,
    title: str = "W1 between data and samples",
) -> None:
    """Draw a critic's estimates of W1 over steps (n,), label -> values (n,), beside the exact W1: (n,), or one number.

    NaN where there is none; the axis of W1 is logarithmic if every value is positive. Raises ValueError as
    `save_curves` does.
    """
    if EXACT in estimates:
        raise ValueError(f"estimates must leave the label {EXACT!r} to exact; it holds one. Rename it.")
    exact = np.broadcast_to(exact, np.shape(steps)) if np.ndim(exact) == 0 else np.asarray(exact)
    drawn = _read_curves(steps, estimates, "estimates") | _read_curves(steps, {EXACT: exact}, "exact")
    figure = new_figure(7.2, 4.2)
    axes = figure.add_subplot()
    if all((values > 0).all() for _, values in drawn.values()):
        _make_logarithmic(axes, drawn)
    _add_curves(axes, drawn, dict(zip(drawn, colours(len(drawn) - 1))) | {EXACT: INK})
    axes.set_xlabel("step", fontsize=10, color=INK)
    axes.set_title(title, fontsize=11, color=INK, loc="left")
    save(figure, path)


def _read_steps(steps: np.ndarray) -> np.ndarray:
    steps = np.asarray(steps, np.float64)
    if steps.ndim != 1 or len(steps) == 0 or not np.isfinite(steps).all() or (np.diff(steps) < 0).any():
        raise ValueError(
            f"steps must be finite numbers (n,) that grow; got shape {steps.shape}. Sort them, and their values too."
        )
    return steps


def _read_values(values: np.ndarray, steps: np.ndarray, name: str) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if values.shape != np.shape(steps):
        raise ValueError(
            f"{name} must have a value for each of the {len(steps)} steps; got shape {values.shape}. Fill it with NaN."
        )
    return values


def _read_curves(steps: np.ndarray, curves: Mapping[str, np.ndarray], name: str) -> dict[str, Curve]:
    """The finite values of each curve that has any, and their steps."""
    steps, drawn = _read_steps(steps), {}
    for label, values in curves.items():
        values = _read_values(values, steps, f"{name}[{label!r}]")
        known = np.isfinite(values)
        if known.any():
            drawn[label] = steps[known], values[known]
    if not drawn:
        raise ValueError(
            f"{name} must hold a finite value; {', '.join(curves) or 'it'} holds none. Pass what was told."
        )
    return drawn


def _linear_below(drawn: Mapping[str, Curve]) -> float:
    """The power of ten below which an axis on both sides of zero is linear: nine in ten values lie beyond it."""
    sizes = np.abs(np.concatenate([values for _, values in drawn.values()]))
    sizes = sizes[sizes > 0]
    if len(sizes) == 0:
        return 1.0
    least = max(np.log10(np.quantile(sizes, 0.1)), np.log10(sizes.max()) - DECADES)
    return float(10.0 ** np.floor(least))


def _add_curves(axes: Axes, drawn: Mapping[str, Curve], shades: Mapping[str, str], *, step: float = LABEL_STEP) -> None:
    ruled(axes)
    axes.margins(x=0.02)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at:,.10g}"))
    for label, (at, values) in drawn.items():
        marker = "o" if len(values) <= MARKED else ""
        axes.plot(at, values, marker=marker, markersize=3.5, color=shades[label], linewidth=1.5)
    label_ends(axes, {label: (at[-1], values[-1]) for label, (at, values) in drawn.items()}, shades, step=step)


def _add_band(axes: Axes, at: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str, alpha: float) -> None:
    """Shade between two curves; a band of one step is a line."""
    if len(at) == 1:
        axes.vlines(at, low, high, color=colour, alpha=alpha, linewidth=6)
    else:
        axes.fill_between(at, low, high, color=colour, alpha=alpha, linewidth=0)


def _make_logarithmic(axes: Axes, drawn: Mapping[str, Curve]) -> None:
    values = np.concatenate([values for _, values in drawn.values()])
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(log_ticks(values.min(), values.max()))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(PLAIN)
