"""otgen and its peers on the same spread of problems, exact, entropic, semi-discrete and others: `otgen validate`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .discrepancy_problems import DIFFERENCE_TOLERANCE, known_discrepancies
from .doctor import install_command
from .map_problems import known_maps
from .problems import entropic_problems, problems
from .validate_rows import (
    ENTROPIC_TOLERANCE,
    FLOOR,
    TOLERANCE,
    Row,
    solve_both,
    solve_discrepancy,
    solve_entropic,
    solve_map,
)

__all__ = ["Row", "render", "run"]


def run(*, quick: bool, console: Console | None = None) -> list[Row]:
    """Solve every problem with both, naming each on the console; a solver's error is that row's failure.

    Raises ModuleNotFoundError without POT or scikit-learn, KeyboardInterrupt where a solve was interrupted.
    """
    emd2 = _peers()
    rows = []
    for problem in (*problems(quick=quick), *entropic_problems(quick=quick)):
        if console is not None:
            console.print(f"{problem.name}, {problem.label()}", style="dim")
        rows.append(solve_both(problem, emd2) if problem.eps is None else solve_entropic(problem, emd2))
    for known in known_maps(emd2, quick=quick):
        if console is not None:
            console.print(f"{known.name}, {known.label()}", style="dim")
        rows.append(solve_map(known))
    for known in known_discrepancies(quick=quick):
        if console is not None:
            console.print(f"{known.name}, {known.label()}", style="dim")
        rows.append(solve_discrepancy(known))
    return rows


def _peers() -> Callable[..., Any]:
    name = "scikit-learn"
    try:
        import sklearn.metrics  # noqa: F401  # pyright: ignore[reportUnusedImport]

        name = "POT"
        from ot import emd2
    except ModuleNotFoundError as error:
        message = f"otgen validate needs {name}, which is not installed. Install it: {install_command(name)}"
        raise ModuleNotFoundError(message) from error
    return emd2


def render(rows: list[Row], console: Console) -> None:
    """Print the table of values, differences, gaps and both times, every failure in full, then the verdict."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("problem", "cost"):
        table.add_column(name, overflow="fold")
    for name in ("n", "m", "d", "value", "diff", "gap", "time", "peer"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in rows:
        n, m, d = row.shape
        table.add_row(
            row.problem.name,
            row.problem.label(),
            f"{n or '-'}",
            f"{m}",
            f"{d or '-'}",
            f"{row.otgen_value:.5g}",
            f"{row.difference:.0e}",
            f"{row.gap:.0e}" if row.problem.has_gap else "-",
            f"{row.otgen_seconds:.3f}",
            f"{row.pot_seconds:.3f}",
            "[red]FAIL[/red]" if row.failures else "ok",
        )
    console.print(table)
    console.print(
        "diff: otgen's value minus the peer's (POT's where none is named), relative; gap: of otgen's scale, or of the "
        "objective where entropic; "
        "time, peer: seconds",
        style="dim",
        soft_wrap=True,
    )
    failed = [row for row in rows if row.failures]
    for row in failed:
        which = f"{row.problem.name}, {row.problem.label()}, (n, m, d) = {row.shape}"
        console.print(f"[red]FAIL[/red] {escape(f'{which}: {row.failure}')}", highlight=False, soft_wrap=True)
    seconds = [sum(values) for values in zip(*((row.otgen_seconds, row.pot_seconds) for row in rows))]
    count = len(rows)
    verdict = f"[red]{len(failed)} of {count} problems failed[/red]" if failed else f"all {count} problems agree"
    console.print(
        f"\n{verdict}: to {TOLERANCE:.0e} of the value, or of {FLOOR:g} of the mean cost where that is larger, "
        f"to {ENTROPIC_TOLERANCE:.0e} where entropic, to {DIFFERENCE_TOLERANCE:.0e} for MMD^2 and Gaussian distances, "
        "maps to what a grid or samples allow; "
        f"otgen {seconds[0]:.1f} s, peers {seconds[1]:.1f} s",
        soft_wrap=True,
    )
