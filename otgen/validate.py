"""otgen and POT on the same spread of problems, exact, entropic and semi-discrete: `otgen validate`."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import otgen

from .doctor import install_command
from .map_problems import KnownMap, known_maps
from .problems import Problem, entropic_problems, problems

__all__ = ["Row", "render", "run", "solve_both", "solve_entropic", "solve_map"]

# Of the value, as otgen's own proof is; the two differ by rounding only.
TOLERANCE = 1e-9
# Entropic values are of first order in the marginal errors that both stop at, which are these of the mass.
ENTROPIC_TOLERANCE, OTGEN_ERROR, POT_ERROR = 1e-8, 1e-10, 1e-11
# Two values both near 0 (identical clouds) are compared against this part of the mean cost instead of the value.
FLOOR = 1e-3


@dataclass
class Row:
    """What both solvers said of one problem; `failure` is empty where they agree and the certificate holds."""

    problem: Problem | KnownMap
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


def run(*, quick: bool, console: Console | None = None) -> list[Row]:
    """Solve every problem with both, naming each on the console; a solver's error is that row's failure.

    Raises ModuleNotFoundError without POT, KeyboardInterrupt where a solve was interrupted.
    """
    emd2 = _pot()
    rows = []
    for problem in (*problems(quick=quick), *entropic_problems(quick=quick)):
        if console is not None:
            console.print(f"{problem.name}, {problem.label()}", style="dim")
        rows.append(solve_both(problem, emd2) if problem.eps is None else solve_entropic(problem, emd2))
    for known in known_maps(emd2, quick=quick):
        if console is not None:
            console.print(f"{known.name}, {known.label()}", style="dim")
        rows.append(solve_map(known))
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
    a, b = problem.weights()
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


def solve_entropic(problem: Problem, emd2: Callable[..., Any]) -> Row:
    """One row: otgen's <plan, cost>, or its divergence, beside that of POT's Sinkhorn, and what else must agree."""
    C, (a, b) = problem.cost_matrix(), problem.weights()
    row = Row(problem, (*C.shape, 0 if problem.x is None else problem.x.shape[1]))
    floor = max(FLOOR * float(a @ np.abs(C) @ b), np.finfo(float).tiny)
    result = None
    try:
        _entropic(problem)  # compiles what this problem needs
        start = time.perf_counter()
        result = _entropic(problem)
        row.otgen_seconds = time.perf_counter() - start
        row.otgen_value = float(result if problem.divergence else result.value)
        if not problem.divergence:
            row.gap = result.gap / max(abs(float(result.objective)), floor)
    except Exception as error:
        row.failures.append(f"otgen raised {type(error).__name__}: {error}")
    try:
        start = time.perf_counter()
        plan = pot_plan(C, a, b, problem.eps, problem.unbalanced)
        row.pot_value = _pot_divergence(problem, plan) if problem.divergence else float((plan * C).sum())
        row.pot_seconds = time.perf_counter() - start
        if result is not None and not problem.divergence:
            row.failures += _entropic_failures(problem, result, plan, emd2, floor)
    except Exception as error:
        row.failures.append(f"POT raised {type(error).__name__}: {error}")
    row.difference = (row.otgen_value - row.pot_value) / max(abs(row.pot_value), floor)
    if not row.failures and not abs(row.difference) <= ENTROPIC_TOLERANCE:
        row.failures.append(f"values differ by {row.difference:.1e}")
    return row


def _entropic(problem: Problem) -> Any:
    """otgen's Transport, or its divergence; a ConvergenceWarning is an error here, and an interrupt stops."""
    options = {"eps": problem.eps, "unbalanced": problem.unbalanced, "tol": OTGEN_ERROR}
    with warnings.catch_warnings():
        warnings.simplefilter("error", otgen.ConvergenceWarning)
        try:
            if problem.C is not None:
                return otgen.solve(problem.C, problem.a, problem.b, **options)
            solve = otgen.sinkhorn_divergence if problem.divergence else otgen.sinkhorn
            return solve(problem.x, problem.y, problem.a, problem.b, cost=(problem.metric, problem.p), **options)
        except otgen.ConvergenceWarning as warning:
            if str(warning).startswith("interrupted"):
                raise KeyboardInterrupt from None
            raise


def solve_map(known: KnownMap) -> Row:
    """One row: the W2^2 that a fitted map proves, beside what it is by POT on a grid, a closed form, or exactly."""
    row = Row(known, (0, *known.y.shape))
    try:
        known.fit()  # compiles
        start = time.perf_counter()
        fitted = known.fit()
        row.otgen_seconds = time.perf_counter() - start
        row.otgen_value, row.gap = fitted.value_.value, fitted.value_.high - fitted.value_.low
        row.pot_value, row.pot_seconds = known.timed_answer()
        if not fitted.converged_:
            row.failures.append(f"not converged: {fitted.message_}")
        if not fitted.error_.low <= (known.parameters.get("tol") or 1e-9):
            row.failures.append(f"chi2 is at least {fitted.error_.low:.1e} on fresh samples")
    except Exception as error:
        row.failures.append(f"{type(error).__name__}: {error}")
    row.difference = (row.otgen_value - row.pot_value) / row.pot_value
    apart = row.otgen_value - row.pot_value
    if not row.failures and not abs(apart) <= known.tolerance:
        row.failures.append(f"values differ by {apart:.1e}, more than {known.tolerance:.1e}")
    return row


def pot_plan(C: np.ndarray, a: np.ndarray, b: np.ndarray, eps: Any, rho: tuple[float, float] | None) -> np.ndarray:
    """POT's plan: sinkhorn_log, or ot.unbalanced with its reg_type='kl', whose reference is a x b as otgen's is."""
    import ot

    rows, columns = a > 0, b > 0  # POT takes the logarithm of every weight
    unit = float(np.abs(C).max()) or 1.0
    small, plan = C[np.ix_(rows, columns)] / unit, np.zeros_like(C)
    options = {"numItermax": 10**5, "stopThr": POT_ERROR}
    if rho is None:
        found = ot.bregman.sinkhorn_log(a[rows], b[columns], small, eps / unit, **options)
    else:
        by = tuple(one / unit for one in rho)
        found = ot.unbalanced.sinkhorn_unbalanced(a[rows], b[columns], small, eps / unit, by, reg_type="kl", **options)
    plan[np.ix_(rows, columns)] = found
    return plan


def objective(plan: np.ndarray, C: np.ndarray, a: np.ndarray, b: np.ndarray, eps: Any, rho: Any) -> float:
    """<plan, C> + eps KL(plan | a x b) + rho_a KL(plan 1 | a) + rho_b KL(plan^T 1 | b), as otgen.sinkhorn has it."""
    value = float((plan * C).sum()) + eps * _kl(plan, np.outer(a, b))
    for one, marginal, weights in zip(rho or (), (plan.sum(axis=1), plan.sum(axis=0)), (a, b)):
        value += one * _kl(marginal, weights) if np.isfinite(one) else 0.0
    return value


def _kl(p: np.ndarray, q: np.ndarray) -> float:
    some = p > 0
    return float((p[some] * np.log(p[some] / q[some])).sum() - p.sum() + q.sum())


def _pot_divergence(problem: Problem, plan: np.ndarray) -> float:
    """OT(a, b) - OT(a, a) / 2 - OT(b, b) / 2 + (eps / 2) (m(a) - m(b))^2 of POT's plans."""
    (a, b), eps, rho = problem.weights(), problem.eps, problem.unbalanced
    assert eps is not None
    value = objective(plan, problem.cost_matrix(), a, b, eps, rho) + 0.5 * eps * (a.sum() - b.sum()) ** 2
    for points, weights, one in zip((problem.x, problem.y), (a, b), rho or (None, None)):
        C = replace(problem, x=points, y=points).cost_matrix()
        both = None if one is None else (one, one)
        alone = pot_plan(C, weights, weights, eps, both)
        value -= 0.5 * objective(alone, C, weights, weights, eps, both)
    return float(value)


def _entropic_failures(
    problem: Problem, result: otgen.Transport, plan: np.ndarray, emd2: Callable[..., Any], floor: float
) -> list[str]:
    """What of otgen's result does not hold beside POT's plan and its exact cost."""
    C, (a, b) = problem.cost_matrix(), problem.weights()
    failures = []
    theirs = objective(plan, C, a, b, problem.eps, problem.unbalanced)
    difference = (float(result.objective) - theirs) / max(abs(theirs), floor)
    if not abs(difference) <= ENTROPIC_TOLERANCE:
        failures.append(f"objectives differ by {difference:.1e}")
    apart = float(np.abs(result.plan.toarray() - plan).sum() / plan.sum())
    if not apart <= 1e2 * ENTROPIC_TOLERANCE:
        failures.append(f"plans differ by {apart:.1e} of the mass")
    if problem.unbalanced is None:
        unit = float(np.abs(C).max()) or 1.0
        exact = float(emd2(a, b, C / unit, numItermax=10**8)) * unit
        slack = TOLERANCE * max(abs(exact), floor)
        assert result.lower_bound is not None and result.upper_bound is not None
        if not result.lower_bound - slack <= exact <= result.upper_bound + slack:
            bounds = f"{result.lower_bound:.12g} to {result.upper_bound:.12g}"
            failures.append(f"bounds {bounds} do not hold the exact cost {exact:.12g}")
    return failures


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
            f"{n or '-'}",
            f"{m}",
            f"{d or '-'}",
            f"{row.otgen_value:.5g}",
            f"{row.difference:.0e}",
            "-" if row.problem.divergence else f"{row.gap:.0e}",
            f"{row.otgen_seconds:.3f}",
            f"{row.pot_seconds:.3f}",
            "[red]FAIL[/red]" if row.failures else "ok",
        )
    console.print(table)
    console.print(
        "diff: otgen's value minus POT's, relative; gap: of otgen's scale, or of the objective where entropic; "
        "time, POT: seconds",
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
        f"to {ENTROPIC_TOLERANCE:.0e} where entropic, maps to what a grid or samples allow; "
        f"otgen {seconds[0]:.1f} s, POT {seconds[1]:.1f} s",
        soft_wrap=True,
    )
