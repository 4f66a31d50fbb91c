"""otgen and POT on the same spread of problems: `otgen validate`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from scipy.spatial.distance import cdist

import otgen

from .doctor import install_command

__all__ = ["Problem", "Row", "problems", "render", "run", "solve_both"]

# Of the value, as otgen's own proof is; the two differ by rounding only.
TOLERANCE = 1e-9
# Two values both near 0 (identical clouds) are compared against this part of the mean cost instead of the value.
FLOOR = 1e-3


@dataclass(frozen=True)
class Problem:
    """One transport problem: points with a cost `(metric, p)`, or a cost matrix C in place of points."""

    name: str
    x: np.ndarray | None = None
    y: np.ndarray | None = None
    a: np.ndarray | None = None
    b: np.ndarray | None = None
    metric: str = "euclidean"
    p: float = 1.0
    C: np.ndarray | None = None

    def cost_matrix(self) -> np.ndarray:
        """C_ij = metric(x_i, y_j)**p, of shape (n, m), from coordinate differences (SciPy), not from a GEMM."""
        if self.C is not None:
            return self.C
        return cdist(self.x, self.y, self.metric) ** self.p  # pyright: ignore[reportCallIssue, reportArgumentType]

    def on_line(self) -> bool:
        """Whether the points are numbers, so that the sorted closed form applies."""
        return self.x is not None and self.x.shape[1] == 1

    def label(self) -> str:
        """The cost in words."""
        return "matrix" if self.C is not None else f"{self.metric}^{self.p:g}"


@dataclass
class Row:
    """What both solvers said of one problem; `failure` is empty where they agree and the certificate holds."""

    problem: Problem
    shape: tuple[int, int, int]
    otgen_value: float = float("nan")
    pot_value: float = float("nan")
    difference: float = float("nan")
    gap: float = float("nan")
    otgen_seconds: float = float("nan")
    pot_seconds: float = float("nan")
    failures: list[str] = field(default_factory=list)

    @property
    def failure(self) -> str:
        """All that went wrong, in one line."""
        return "; ".join(self.failures)


def problems(*, quick: bool) -> Iterator[Problem]:
    """Yield the spread: sizes, dimensions, weights, costs, and degenerate inputs; the same ones every time."""
    rng = np.random.default_rng(20260)
    small, large = (60, 150) if quick else (300, 1500)

    def clouds(n: int, m: int, d: int) -> tuple[np.ndarray, np.ndarray]:
        return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 1.0 / np.sqrt(d)

    def weights(n: int, zeros: int = 0) -> np.ndarray:
        w = rng.random(n) + 0.01
        w[rng.permutation(n)[:zeros]] = 0.0
        return w / w.sum()

    for d in (1, 2, 3, 16, 64):
        for p in (1.0, 2.0):
            x, y = clouds(large, large, d)
            yield Problem(f"gaussians, d = {d}", x, y, p=p)
    for d in (2, 16):
        x, y = clouds(small, large, d)
        yield Problem("n < m, random weights", x, y, weights(small), weights(large), p=2.0)
        yield Problem("n > m, random weights", y, x, weights(large), weights(small), p=1.0)
        yield Problem("half the weights 0", x, y, weights(small, small // 2), weights(large, large // 2), p=1.0)
    x, y = clouds(small, small, 3)
    for metric in ("euclidean", "cityblock", "chebyshev", "cosine"):
        for p in (1.0, 1.5, 3.0):
            yield Problem("every metric and power", x, y, metric=metric, p=p)
    yield Problem("1 point to many", x[:1], y, p=2.0)
    yield Problem("many points to 1", x, y[:1], p=1.0)
    yield Problem("1 point to 1", x[:1], y[:1], p=2.0)
    for p in (1.0, 2.0):
        yield Problem("identical clouds", x, x.copy(), p=p)
        yield Problem("permuted cloud", x, x[rng.permutation(small)], p=p)
        yield Problem("permuted cloud, weighted", x, x[::-1].copy(), weights(small), weights(small), p=p)
        repeated = np.repeat(x[: small // 5], 5, axis=0)
        yield Problem("every point five times", repeated, np.repeat(y[: small // 5], 5, axis=0), p=p)
        yield Problem("all points one point", np.ones((small, 2)), np.ones((small, 2)), p=p)
        side = int(np.sqrt(large))
        grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2).astype(float)
        yield Problem("grid to shifted grid", grid, grid + [0.5, 0.0], p=p)
        yield Problem("weights on one grid", grid, grid, weights(len(grid)), weights(len(grid)), p=p)
        line = np.linspace(0.0, 1.0, small)[:, None] * [1.0, 2.0, -1.0]
        yield Problem("collinear points", line, line[::2] + 0.25, p=p)
        spots = rng.integers(0, 4, size=(small, 2)) * 10.0 + rng.normal(scale=1e-3, size=(small, 2))
        yield Problem("tight clusters", spots, spots[rng.permutation(small)] + 1e-2, p=p)
        yield Problem("coordinates of 1e6", x * 1e6, y * 1e6, p=p)
        yield Problem("coordinates of 1e-6", x * 1e-6, y * 1e-6, p=p)
    yield Problem("random matrix", C=rng.random((small, large)))
    yield Problem("integer matrix, ties", C=rng.integers(0, 5, size=(small, small)).astype(float))
    yield Problem("negative costs", a=weights(small), b=weights(large), C=rng.normal(size=(small, large)))


def run(*, quick: bool, console: Console | None = None) -> list[Row]:
    """Solve every problem with both, naming each on the console; a solver's error is that row's failure.

    Raises ModuleNotFoundError without POT, KeyboardInterrupt where a solve was interrupted.
    """
    emd2 = _pot()
    rows = []
    for problem in problems(quick=quick):
        if console is not None:
            console.print(f"{problem.name}, {problem.label()}", style="dim")
        rows.append(solve_both(problem, emd2))
    return rows


def _pot() -> Callable[..., Any]:
    try:
        from ot import emd2
    except ModuleNotFoundError as error:
        command = install_command("POT")
        message = f"otgen validate needs POT, which is not installed. Install it: {command}"
        raise ModuleNotFoundError(message) from error
    return emd2


def solve_both(problem: Problem, emd2: Callable[..., Any]) -> Row:
    """One row: otgen's certified value beside POT's `emd2`, whose time includes the cost matrix it needs."""
    C = problem.cost_matrix()
    row = Row(problem, (*C.shape, 0 if problem.x is None else problem.x.shape[1]))
    n, m = C.shape
    a = np.full(n, 1 / n) if problem.a is None else problem.a
    b = np.full(m, 1 / m) if problem.b is None else problem.b
    try:
        _solve_otgen(problem, row)
    except Exception as error:  # whatever it is, it is this row's finding
        row.failures.append(f"otgen raised {type(error).__name__}: {error}")
    try:
        start = time.perf_counter()
        C = problem.cost_matrix()
        # POT's simplex stops at an absolute tolerance: costs near 1e-12 as they are come back wrong by 5e-5.
        unit = float(np.abs(C).max()) or 1.0
        value, log = emd2(a, b, C / unit, numItermax=10**8, log=True)
        row.pot_seconds = time.perf_counter() - start
        row.pot_value = float(value) * unit
        if log["warning"]:
            row.failures.append(f"POT warned: {log['warning']}")
    except Exception as error:
        row.failures.append(f"POT raised {type(error).__name__}: {error}")
    scale = max(abs(row.pot_value), FLOOR * float(a @ np.abs(C) @ b), np.finfo(float).tiny)
    row.difference = (row.otgen_value - row.pot_value) / scale
    if not row.failures and not abs(row.difference) <= TOLERANCE:
        row.failures.append(f"values differ by {row.difference:.1e}")
    return row


def _solve_otgen(problem: Problem, row: Row) -> None:
    first = _transport(problem)  # compiles what this problem needs, so that the time below is of solving
    start = time.perf_counter()
    result = _transport(problem)
    row.otgen_seconds = time.perf_counter() - start
    row.otgen_value, row.gap = float(result.value), float(result.gap) / float(result.scale or 1.0)
    if not (first.converged and result.converged):
        row.failures.append(f"not converged: {result.message if first.converged else first.message}")
    elif row.otgen_value != float(first.value):
        row.failures.append(f"the same call gave {float(first.value)!r}, then {row.otgen_value!r}")
    n, m, _ = row.shape
    if result.plan.nnz > n + m - 1:
        row.failures.append(f"plan has {result.plan.nnz} entries, more than n + m - 1 = {n + m - 1}")
    if not result.marginal_error <= TOLERANCE:
        row.failures.append(f"marginal error {result.marginal_error:.1e}")
    if problem.on_line() and not row.failures:
        _check_line(problem, row)


def _transport(problem: Problem) -> otgen.Transport:
    if problem.C is not None:
        result = otgen.solve(problem.C, problem.a, problem.b)
    else:
        cost = problem.metric, problem.p
        result = otgen.solve_sample(problem.x, problem.y, problem.a, problem.b, cost=cost)
    if result.message == "interrupted":  # the solver answers Ctrl-C with its best plan; here it means stop
        raise KeyboardInterrupt
    return result


def _check_line(problem: Problem, row: Row) -> None:
    """On the line the sorted closed form must say the same as the solver."""
    assert problem.x is not None and problem.y is not None
    closed = float(otgen.wasserstein_1d(problem.x[:, 0], problem.y[:, 0], problem.a, problem.b, p=problem.p))
    if not abs(closed**problem.p - row.otgen_value) <= TOLERANCE * row.otgen_value:
        row.failures.append(f"wasserstein_1d gives {closed**problem.p:.9g}")


def render(rows: list[Row], console: Console) -> None:
    """Print the table of values, differences, gaps and both times, every failure in full, then the verdict."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("problem", "cost"):
        table.add_column(name, overflow="fold")
    for name in ("n", "m", "d", "value", "diff", "gap", "time", "POT"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in rows:
        n, m, d = row.shape
        table.add_row(
            row.problem.name,
            row.problem.label(),
            f"{n}",
            f"{m}",
            f"{d or '-'}",
            f"{row.otgen_value:.5g}",
            f"{row.difference:.0e}",
            f"{row.gap:.0e}",
            f"{row.otgen_seconds:.3f}",
            f"{row.pot_seconds:.3f}",
            "[red]FAIL[/red]" if row.failures else "ok",
        )
    console.print(table)
    console.print("diff: otgen's value minus POT's, relative; gap: of otgen's scale; time, POT: seconds", style="dim")
    failed = [row for row in rows if row.failures]
    for row in failed:
        which = f"{row.problem.name}, {row.problem.label()}, (n, m, d) = {row.shape}"
        console.print(f"[red]FAIL[/red] {escape(f'{which}: {row.failure}')}", highlight=False, soft_wrap=True)
    seconds = [sum(values) for values in zip(*((row.otgen_seconds, row.pot_seconds) for row in rows))]
    count = len(rows)
    verdict = f"[red]{len(failed)} of {count} problems failed[/red]" if failed else f"all {count} problems agree"
    console.print(
        f"\n{verdict}: to {TOLERANCE:.0e} of the value, or of {FLOOR:g} of the mean cost where that is larger; "
        f"otgen {seconds[0]:.1f} s, POT {seconds[1]:.1f} s",
        soft_wrap=True,
    )
