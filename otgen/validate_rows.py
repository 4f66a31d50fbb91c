"""One problem by otgen and by a peer, timed and compared: the rows of `otgen validate`."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import otgen

from .discrepancy_problems import KnownDiscrepancy
from .map_problems import KnownMap
from .problems import Problem

__all__ = ["Row", "objective", "pot_plan", "solve_both", "solve_discrepancy", "solve_entropic", "solve_map"]

# Of the value, as otgen's own proof is; the two differ by rounding only.
TOLERANCE = 1e-9
# Entropic values are of first order in the marginal errors that both stop at, which are these of the mass.
ENTROPIC_TOLERANCE, OTGEN_ERROR, POT_ERROR = 1e-8, 1e-10, 1e-11
# Two values both near 0 (identical clouds) are compared against this part of the mean cost instead of the value.
FLOOR = 1e-3


@dataclass
class Row:
    """What both solvers said of one problem; `failure` is empty where they agree and the certificate holds."""

    problem: Problem | KnownMap | KnownDiscrepancy
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


def solve_discrepancy(known: KnownDiscrepancy) -> Row:
    """One row: a discrepancy by otgen, beside the peer's value of it."""
    row = Row(known, known.shape)
    try:
        known.ours()  # compiles
        start = time.perf_counter()
        row.otgen_value = float(known.ours())
        row.otgen_seconds = time.perf_counter() - start
        start = time.perf_counter()
        row.pot_value = known.theirs()
        row.pot_seconds = time.perf_counter() - start
    except Exception as error:
        row.failures.append(f"{type(error).__name__}: {error}")
    row.difference = (row.otgen_value - row.pot_value) / abs(row.pot_value)
    if not row.failures and not abs(row.difference) <= known.tolerance:
        row.failures.append(f"values differ by {row.difference:.1e}")
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
