"""What a result is held against: costs from differences, certificates worked out anew, linear programs."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import optimize, sparse

from tolerance import tol

Array = np.ndarray

PROVEN = 1e-9  # of the scale: what a converged solve promises


class Wrong(AssertionError):
    """An answer that is not right."""


def expect(condition: Any, message: str) -> None:
    """Raise Wrong unless the condition holds."""
    if not bool(condition):
        raise Wrong(message)


def near(found: Any, wanted: Any, allowed: float, what: str) -> None:
    """Raise Wrong where found is farther than `allowed` from wanted, or is no number."""
    found, wanted = plain(found), plain(wanted)
    expect(found.shape == wanted.shape, f"{what}: shape {found.shape}, not {wanted.shape}")
    away = np.abs(found - wanted)
    worst = float(np.max(away, initial=0.0))
    expect(
        np.isfinite(found).all() and worst <= allowed, f"{what}: {found} is {worst:.3g} > {allowed:.3g} from {wanted}"
    )


def plain(value: Any) -> Array:
    """A float64 array of a number, an array or a tensor."""
    return np.asarray(value.detach().numpy() if hasattr(value, "detach") else value, np.float64)


def costs(x: Array, y: Array, metric: str, p: float) -> Array:
    """metric(x_i, y_j)^p (n, m) in float64, from differences."""
    if metric == "cosine":
        u, v = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (x, y))
        return (0.5 * np.square(u[:, None] - v).sum(axis=2)) ** p
    away = np.abs(x[:, None] - y)
    if metric == "cityblock":
        return away.sum(axis=2) ** p
    if metric == "chebyshev":
        return away.max(axis=2) ** p
    return np.sqrt(np.square(away).sum(axis=2)) ** p


def certificate(
    result: Any, C: Array, a: Array, b: Array, factor: float, dtype: np.dtype, allowed: Any = None
) -> float:
    """Hold an exact Transport against its own plan and potentials under C; its value, in units of C.

    factor is what C is short of the result's units; `allowed` says which pairs a plan may use.
    """
    b = b * (a.sum() / b.sum())
    mass, usable = float(a.sum()), np.ones_like(C, bool) if allowed is None else allowed
    eps = tol(dtype) * max(float(np.abs(C[usable]).max(initial=0.0)), 1e-300)
    plan, f, g = result.plan.toarray(), plain(result.potentials[0]) / factor, plain(result.potentials[1]) / factor
    expect((plan >= 0).all() and (plan[~usable] == 0).all(), "the plan uses what it may not, or is negative")
    near(plan.sum(axis=1), a, 1e-11 * mass, "rows of the plan")
    near(plan.sum(axis=0), b, 1e-11 * mass, "columns of the plan")
    slack = np.where(usable, C, np.inf)[np.ix_(a > 0, b > 0)] - f[a > 0, None] - g[None, b > 0]
    expect(slack.min() >= -eps, f"a potential is infeasible by {-slack.min():.3g}, more than {eps:.3g}")
    primal, dual = (
        float((plan * np.where(usable, C, 0.0)).sum()),
        float(a @ np.where(a > 0, f, 0) + b @ np.where(b > 0, g, 0)),
    )
    scale = float(result.scale) / factor
    margin = eps * mass + 2 * PROVEN * scale
    value, lower = float(plain(result.value)) / factor, float(result.lower_bound) / factor
    expect(result.converged, f"not converged: {result.message}")
    near(value, primal, eps * mass + tol(dtype) * abs(primal), "value against the plan's cost")
    near(lower, dual, margin, "lower_bound against the potentials")
    expect(primal - dual <= margin, f"the plan is not optimal: {primal!r} above {dual!r} by more than {margin:.3g}")
    expect(result.gap >= 0 and result.lower_bound <= float(result.upper_bound), "the gap is negative")
    return value


def linear_program(C: Array, a: Array, b: Array, allowed: Array | None = None) -> float | None:
    """The optimum by an assignment where that is it, else by SciPy's HiGHS; None where there is no plan."""
    n, m = C.shape
    if allowed is None and n == m and np.ptp(a) == 0 and np.ptp(b) == 0:
        rows, columns = optimize.linear_sum_assignment(C)
        return float(C[rows, columns].sum() * a[0])
    at = np.argwhere(np.ones_like(C, bool) if allowed is None else allowed)
    k = np.arange(len(at))
    ones = np.ones(len(at))
    A = sparse.vstack([
        sparse.csr_array((ones, (at[:, 0], k)), shape=(n, len(at))),
        sparse.csr_array((ones, (at[:, 1], k)), shape=(m, len(at))),
    ])  # fmt: skip
    size = max(float(np.abs(C).max()), 1e-300)
    found = optimize.linprog(
        C[at[:, 0], at[:, 1]] / size, A_eq=A, b_eq=np.concatenate([a, b]) / a.sum(), method="highs"
    )
    if found.status == 2:
        return None
    expect(found.status == 0, f"the oracle failed: {found.message}")
    return float(found.fun) * size * float(a.sum())
