"""Exact and entropic transport against certificates worked out anew, linear programs, POT and plain loops."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from scipy import sparse

import naive_entropic
import naive_line
import otgen
from tolerance import tol

from .draws import (
    DIMENSIONS,
    Rng,
    beside,
    clouds,
    laid_out,
    mass_of,
    pair_of_weights,
    pick,
    shape_of,
    size,
    tensor,
    weights,
    working,
)
from .oracles import PROVEN, certificate, costs, expect, linear_program, near, plain

SOFT = 0.15  # eps of the largest cost, above which plain iterations need hundreds of sweeps only
METRICS = ("euclidean", "euclidean", "cityblock", "chebyshev", "cosine")
POWERS = (1.0, 1.0, 2.0, 2.0, 1.5, 3.0)


def points(rng: Rng) -> None:
    """wasserstein and solve_sample: the certificate, symmetry, and an oracle's value."""
    n, m, d, metric, p = size(rng), size(rng), int(pick(rng, DIMENSIONS)), pick(rng, METRICS), float(pick(rng, POWERS))
    x, y = clouds(rng, n, m, d, p=p)
    a, b = pair_of_weights(rng, n, m)
    given = x.given, y.given, beside(x, a, rng), beside(y, b, rng)
    if metric == "cosine" and not (x.points.any(axis=1).all() and y.points.any(axis=1).all()):
        refused(lambda: otgen.solve_sample(*given, cost=(metric, p)), "cosine needs non-zero vectors")
        return
    cost: Any = "sqeuclidean" if (metric, p) == ("euclidean", 2.0) and rng.random() < 0.5 else (metric, p)
    result = otgen.solve_sample(*given, cost=cost)
    C, a, b = costs(x.points, y.points, metric, p), mass_of(a, n), mass_of(b, m)
    lift = 0.0 if metric == "cosine" else x.exponent * p
    dtype = working(x, y)
    value = certificate(result, C, a, b, 2.0**lift, dtype)
    margin = tol(dtype) * float(C.max()) * float(a.sum()) + 2 * PROVEN * result.scale / 2.0**lift
    near(value ** (1 / p), plain(otgen.wasserstein(*given, p=p, metric=metric)) / 2.0 ** (lift / p),
         tol(dtype) * max(float(C.max()), 1e-300) ** (1 / p) * float(a.sum()) ** (1 / p)
         + (value + margin) ** (1 / p) - value ** (1 / p), "wasserstein beside solve_sample")  # fmt: skip
    back = otgen.solve_sample(given[1], given[0], given[3], given[2], cost=cost)
    # The masses of a and b may differ by roundings, and the first of the two is kept.
    near(plain(back.value) / 2.0**lift, value, 2 * margin, "value with x and y changed over")
    if a.min() > 1e-6 * a.sum() and b.min() > 1e-6 * b.sum():
        optimum = linear_program(C, a, b)
        near(value, optimum, margin + 1e-7 * float(C.max()) * float(a.sum()), "value against the linear program")
    mapped = plain(result.map())
    expect(mapped.shape == (n, d) and np.isfinite(mapped).all(), "the map is not finite")


def matrix(rng: Rng) -> None:
    """solve with dense costs, negative ones and ties among them, or with forbidden pairs."""
    n, m = size(rng), size(rng)
    C = rng.normal(size=(n, m)) if rng.random() < 0.5 else rng.integers(-3, 4, size=(n, m)).astype(float)
    exponent = int(rng.integers(-300, 301)) if rng.random() < 0.3 else 0
    a, b = pair_of_weights(rng, n, m)
    mass_a, mass_b = mass_of(a, n), mass_of(b, m)
    scaled = np.ldexp(C, exponent)
    if rng.random() < 0.5:
        given = tensor(rng, scaled) if rng.random() < 0.2 else laid_out(rng, scaled)
        result = otgen.solve(given, a if a is None else a.tolist(), b if b is None else b.tolist())
        value = certificate(result, C, mass_a, mass_b, 2.0**exponent, np.dtype(np.float64))
        if min(mass_a.min() / mass_a.sum(), mass_b.min() / mass_b.sum()) > 1e-6:
            size_ = float(np.abs(C).max()) * float(mass_a.sum())
            near(value, linear_program(C, mass_a, mass_b), (1e-7 + PROVEN) * size_, "value against the linear program")
        return
    allowed = rng.random((n, m)) < pick(rng, (0.15, 0.5, 0.9))
    # Tiny masses make HiGHS, whose tolerance is absolute, a poor judge of what is feasible.
    mass_a, mass_b = rng.random(n) + 0.1, rng.random(m) + 0.1
    if n == m and rng.random() < 0.5:
        mass_a = mass_b = np.ones(n)
    mass_b = mass_b * (mass_a.sum() / mass_b.sum())
    at = np.nonzero(allowed)
    stored = pick(rng, (sparse.csr_array, sparse.coo_array, sparse.csc_array, sparse.csr_matrix))
    given = stored((scaled[at], at), shape=(n, m))
    optimum = linear_program(C, mass_a, mass_b, allowed) if len(at[0]) else None
    if optimum is None:
        refused(lambda: otgen.solve(given, mass_a, mass_b), "infeasible")
        return
    result = otgen.solve(given, mass_a, mass_b)
    value = certificate(result, C, mass_a, mass_b, 2.0**exponent, np.dtype(np.float64), allowed)
    near(value, optimum, 1e-6 * float(np.abs(C).max()) * float(mass_a.sum()), "value against the linear program")


def entropic(rng: Rng) -> None:
    """sinkhorn, and solve with eps: plan, objective, bounds and marginals, against their definitions."""
    n, m, d = size(rng, 25), size(rng, 25), int(pick(rng, DIMENSIONS))
    metric, p = pick(rng, METRICS[:4]), float(pick(rng, POWERS[:5]))
    x, y = clouds(rng, n, m, d, p=p)
    C, lift = costs(x.points, y.points, metric, p), 2.0 ** (x.exponent * p)
    largest = float(C.max())
    eps = (largest if largest > 0 else 1.0) * float(10.0 ** rng.uniform(-2, 0.5))
    a, b = pair_of_weights(rng, n, m)
    rho: Any = None
    if rng.random() < 0.4:
        sides = [pick(rng, (math.inf, float(10.0 ** rng.uniform(-1, 2)) * eps)) for _ in range(2)]
        if not all(map(math.isinf, sides)):
            rho = tuple(sides)
            if not any(map(math.isinf, sides)):  # masses may differ
                a, b = (None if w is None else w * float(10.0 ** rng.uniform(-1, 1)) for w in (a, b))
    given = x.given, y.given, beside(x, a, rng), beside(y, b, rng)
    a, b = mass_of(a, n), mass_of(b, m)
    options = {"eps": eps * lift, "unbalanced": None if rho is None else tuple(r * lift for r in rho)}
    dtype = working(x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", otgen.ConvergenceWarning)
        if rng.random() < 0.2 and lift == 1.0:
            dtype = np.dtype(np.float64)
            result = otgen.solve(C, a, b, **options)
        else:
            result = otgen.sinkhorn(*given, cost=(metric, p), **options)
    f, g = (plain(side) / lift for side in result.potentials)
    rel = tol(dtype) * (1 + largest / eps)
    pi = naive_entropic.plan(C, a, b, np.where(a > 0, f, 0), np.where(b > 0, g, 0), eps)
    mass = max(float(a.sum()), float(b.sum()), float(pi.sum()))
    near(result.plan.toarray(), pi, rel * mass, "the plan")
    near(plain(result.value) / lift, (pi * C).sum(), rel * mass * max(largest, eps), "value against the plan's cost")
    expect(result.converged and result.gap >= 0, "not converged, or a negative gap")
    sides = (math.inf, math.inf) if rho is None else rho
    reached = result.tol * mass * max(largest, eps) * 4 + rel * mass * max(largest, eps)
    dual = naive_entropic.dual_value(C, a, b, np.where(a > 0, f, 0), np.where(b > 0, g, 0), eps, *sides)
    near(result.dual_value / lift, dual, reached, "dual_value against its definition")
    if rho is None:
        error = np.abs(pi.sum(axis=1) - a).sum() + np.abs(pi.sum(axis=0) - b).sum()
        expect(error <= (result.tol + rel) * mass, f"marginals are off by {error / mass:.3g} of the mass")
        exact = otgen.solve(C, a, b)
        slack = (PROVEN + tol(np.float64)) * mass * largest + 1e-300
        low, high = float(result.lower_bound) / lift, float(result.upper_bound) / lift
        expect(
            low <= exact.value + slack and exact.value <= high + slack, f"{exact.value!r} not in [{low!r}, {high!r}]"
        )
    keep_a, keep_b = a > 0, b > 0
    if eps > SOFT * largest:
        best = optimum(C[np.ix_(keep_a, keep_b)], a[keep_a], b[keep_b], eps, *sides)
        near(plain(result.objective) / lift, best, reached, "objective against plain iterations")


def divergence(rng: Rng) -> None:
    """sinkhorn_divergence: not negative, symmetric, 0 of a cloud with itself, and its definition."""
    n, m, d = size(rng, 15), size(rng, 15), int(pick(rng, DIMENSIONS[:7]))
    x, y = clouds(rng, n, m, d, p=2.0)
    C, lift = costs(x.points, y.points, "euclidean", 2.0), 2.0 ** (2 * x.exponent)
    largest = max(float(costs(z, z, "euclidean", 2.0).max()) for z in (x.points, y.points))
    largest = max(largest, float(C.max()))
    eps = (largest if largest > 0 else 1.0) * float(rng.uniform(SOFT, 3.0))
    a, b = weights(rng, n), weights(rng, m)
    given = x.given, y.given, beside(x, a, rng), beside(y, b, rng)
    a, b = mass_of(a, n), mass_of(b, m)
    margin = (tol(working(x, y)) + 1e-5) * max(largest, eps)
    value = plain(otgen.sinkhorn_divergence(*given, eps=eps * lift)) / lift
    expect(value >= -margin, f"the divergence is {value!r}")
    back = plain(otgen.sinkhorn_divergence(given[1], given[0], given[3], given[2], eps=eps * lift)) / lift
    near(back, value, margin, "the divergence with x and y changed over")
    same = plain(otgen.sinkhorn_divergence(given[0], given[0], given[2], given[2], eps=eps * lift)) / lift
    near(same, 0.0, margin, "the divergence of a cloud with itself")
    u, v, a, b = x.points[a > 0], y.points[b > 0], a[a > 0], b[b > 0]
    terms = [optimum(costs(*pair, "euclidean", 2.0), *masses, eps) for pair, masses in (
        ((u, v), (a, b)), ((u, u), (a, a)), ((v, v), (b, b)))]  # fmt: skip
    near(value, terms[0] - 0.5 * (terms[1] + terms[2]), margin, "the divergence against plain iterations")


def optimum(C: Any, a: Any, b: Any, eps: float, *sides: float) -> float:
    """The least entropic objective, by plain iterations that SOFT costs bring to an end."""
    f, g = naive_entropic.potentials(C, a, b, eps, *sides, most=2000)
    return naive_entropic.dual_value(C, a, b, f, g, eps, *sides)


def line(rng: Rng) -> None:
    """wasserstein_1d against exact fractions; columns; what a shift does."""
    n, m, columns, p = size(rng), size(rng), int(rng.integers(1, 4)), float(pick(rng, POWERS))
    x, y = clouds(rng, n, m, columns, p=p)
    a, b = pair_of_weights(rng, n, m)
    given = x.given, y.given, beside(x, a, rng), beside(y, b, rng)
    found = plain(otgen.wasserstein_1d(*given, p=p))
    a, b = mass_of(a, n), mass_of(b, m)
    wide, dtype = max(1e-300, float(np.abs(x.points).max() + np.abs(y.points).max())), working(x, y)
    for k in range(columns):
        wanted = naive_line.wasserstein_1d(x.points[:, k], y.points[:, k], a, b, p)
        # The p-th root makes more of what rounding leaves: (eps w^p M)^(1/p) near 0.
        allowed = (tol(dtype) ** (1 / p) if wanted < 1e-3 * wide else tol(dtype)) * wide * float(a.sum()) ** (1 / p)
        near(found[k] / 2.0**x.exponent, wanted, allowed, f"W{p:g} on the line")


def against_pot(rng: Rng) -> None:
    """Exact and entropic values beside POT's, in float64 at unit size."""
    import ot

    n, m, d = int(rng.integers(2, 60)), int(rng.integers(2, 60)), int(pick(rng, (1, 2, 3, 8)))
    x, y = shape_of(rng, n, d), shape_of(rng, m, d)
    a, b = rng.random(n) + 0.1, rng.random(m) + 0.1
    a, b = a / a.sum(), b / b.sum()
    C = costs(x, y, "euclidean", 2.0)
    size_ = max(float(C.max()), 1e-300)
    near(otgen.solve_sample(x, y, a, b).value, ot.emd2(a, b, C), 1e-8 * size_, "W2^2 beside POT")
    eps = 0.3 * size_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # POT's own, where it stops at its cap
        plan, log = ot.bregman.sinkhorn_log(a, b, C, eps, numItermax=500, stopThr=1e-12, log=True)
    if log["err"] and log["err"][-1] < 1e-10:
        found = otgen.sinkhorn(x, y, a, b, eps=eps, tol=1e-10)
        near(found.plan.toarray(), plan, 1e-7, "the entropic plan beside POT")


def refused(call: Any, words: str, kinds: Any = (ValueError, TypeError)) -> None:
    """Raise Wrong unless the call raises, in these words."""
    try:
        found = call()
    except kinds as error:
        expect(words in str(error), f"refused in other words than {words!r}: {error}")
    else:
        expect(False, f"not refused ({words}): {found!r}")


KINDS = {
    "points": (points, 10), "matrix": (matrix, 6), "entropic": (entropic, 6), "divergence": (divergence, 3),
    "line": (line, 3), "against POT": (against_pot, 2),
}  # fmt: skip
"""A name: what a case does, and its share of the cases."""
