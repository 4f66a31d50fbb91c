"""Time and memory against n as log-log plots, of whatever was measured at two sizes at least."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from targets import seconds

Point = tuple[int, float, bool]  # n, the figure, whether it is a bound from below: the peer was not done by then
COLOURS = {
    "otgen": "#0b3c8c", "POT": "#d55e00", "POT tuned": "#e69f00", "sdot": "#00805a", "TorchCFM": "#8a3ffc",
    "OTT dense": "#8a3ffc", "OTT online": "#00805a", "POT on torch": "#d55e00", "torch annealed": "#777777",
    "KeOps annealed": "#b3446c", "POT log": "#e69f00",
}  # fmt: skip


@dataclass(frozen=True)
class Panel:
    """The records that one pair of plots shows: those whose fields are these."""

    title: str
    where: dict[str, Any] = field(hash=False)


PLOTS: dict[str, tuple[str, str, tuple[Panel, ...]]] = {
    "exact": (
        "exact",
        "Exact transport between Gaussian clouds of n points each",
        tuple(Panel(f"d = {d}", {"task": "transport", "recipe": "gaussian", "d": d}) for d in (2, 3, 64)),
    ),
    "couple": (
        "exact",
        "Index pairs drawn from the exact plan, batches of n",
        tuple(Panel(f"d = {d}", {"task": "couple", "d": d}) for d in (2, 64)),
    ),
    "sinkhorn": (
        "entropic",
        "Sinkhorn to a marginal error of 1e-4, eps 0.01 of the mean cost",
        tuple(Panel(f"d = {d}", {"task": "sinkhorn", "tol": 1e-4, "eps": 0.01, "d": d}) for d in (2, 64)),
    ),
    "semidiscrete": (
        "semidiscrete",
        "Semi-discrete maps from the unit box to n points",
        (
            Panel("Newton to 1e-6, d = 2", {"task": "newton", "recipe": "box", "d": 2}),
            Panel("Newton to 1e-6, d = 3", {"task": "newton", "recipe": "box", "d": 3}),
            Panel("Monte Carlo to chi2 0.01, d = 2", {"task": "monte_carlo", "recipe": "box", "d": 2, "tol": 0.01}),
        ),
    ),
}
"""By the picture's name: the JSON file, the title, and its columns."""


def curves(records: Iterable[dict[str, Any]], panel: Panel, key: str) -> dict[tuple[str, int], list[Point]]:
    """By solver and p: its seconds or megabytes at each n, ascending; one of a single size is left out."""
    found: dict[tuple[str, int], list[Point]] = {}
    for record in records:
        if any(record.get(name) != value for name, value in panel.where.items()):
            continue
        for solver, run in record["runs"].items():
            figure = seconds(record, solver) if key == "seconds" else run.get("peak_mb")
            if figure is not None:
                bound = key == "seconds" and "error" in run
                found.setdefault((solver, record["p"]), []).append((record["n"], figure, bound))
    return {name: sorted(points) for name, points in found.items() if len({n for n, _, _ in points}) > 1}


def drawable(document: dict[str, Any], panels: Iterable[Panel]) -> list[Panel]:
    """The panels of which otgen was measured at two sizes at least."""
    return [
        panel
        for panel in panels
        if any(solver == "otgen" for solver, _ in curves(document["records"], panel, "seconds"))
    ]


def digest(document: dict[str, Any], panels: Iterable[Panel]) -> str:
    """A checksum of what is drawn: a picture that lacks it was drawn from other figures."""
    shown = [
        [panel.title, key, sorted((*name, points) for name, points in curves(document["records"], panel, key).items())]
        for panel in panels
        for key in ("seconds", "peak_mb")
    ]
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:16]


def draw(name: str, document: dict[str, Any], folder: Path) -> Path | None:
    """Write folder/NAME.png, seconds above megabytes, a column for each panel; None where there is nothing to draw."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

    _, title, panels = PLOTS[name]
    panels = drawable(document, panels)
    if not panels:
        return None
    figure = Figure(figsize=(0.6 + 3.6 * len(panels), 5.6), layout="constrained")
    axes = figure.subplots(2, len(panels), squeeze=False, sharex="col", sharey="row")
    for column, panel in enumerate(panels):
        for row, (key, label) in enumerate((("seconds", "seconds"), ("peak_mb", "peak of the process, MB"))):
            plot, found = axes[row, column], curves(document["records"], panel, key)
            _lines(plot, found)
            plot.set(xscale="log", yscale="log", ylabel=label if column == 0 else "")
            plot.grid(which="major", alpha=0.3)
            plot.xaxis.set_major_locator(FixedLocator(sorted({n for points in found.values() for n, _, _ in points})))
            plot.xaxis.set_major_formatter(FuncFormatter(lambda n, _: f"{n:,.0f}"))
            plot.xaxis.set_minor_locator(NullLocator())
            plot.yaxis.set_major_locator(LogLocator(subs=(1,) if key == "seconds" else (1, 2, 5)))
            plot.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
            plot.yaxis.set_minor_formatter(NullFormatter())
        axes[0, column].set_title(panel.title, fontsize=10)
        axes[1, column].set_xlabel("n")
    handles: dict[str, Any] = {}
    for plot in axes.flat:
        for line, label in zip(*plot.get_legend_handles_labels()):
            handles.setdefault(label, line)
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=11)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    figure.savefig(path, dpi=100, metadata={"Software": None, "Description": digest(document, panels)})
    return path


def _lines(plot: Any, found: dict[tuple[str, int], list[Point]]) -> None:
    several = len({p for _, p in found}) > 1
    for (solver, p), points in found.items():
        style = {"color": COLOURS.get(solver, "black"), "linestyle": "-" if p == 1 or not several else "--"}
        label = f"{solver}, W{p}" if several else solver
        known, bounds = ([point[:2] for point in points if point[2] == bound] for bound in (False, True))
        if known:
            plot.plot(*zip(*known), label=label, marker="o", ms=4, **style)
        if bounds:
            plot.plot(*zip(*bounds), linestyle="", marker="^", ms=8, mfc="none", color=style["color"], label=label)
