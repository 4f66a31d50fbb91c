"""Proofs of any potentials: the rounded plan is feasible, so bounds hold however far off the potentials are."""

from __future__ import annotations

import numpy as np
import ot
import pytest
from scipy.spatial.distance import cdist

import naive_entropic as naive
from otgen.transport.costs import Cost
from otgen.transport.regularisation import Regularisation
from otgen.transport.rounding import prove_balanced, prove_unbalanced
from otgen.transport.soft_costs import MatrixSoftCosts, PointSoftCosts
from tolerance import tol

SQUARED = Cost("euclidean", 2.0)


def problem(n=15, m=11, seed=0):
    rng = np.random.default_rng(seed)
    a, b = rng.random(n) + 0.05, rng.random(m) + 0.05
    return rng.normal(size=(n, 2)), rng.normal(size=(m, 2)), a / a.sum(), b / b.sum()


@pytest.mark.parametrize("noise", [0.0, 1e-6, 0.1, 30.0])
@pytest.mark.parametrize("eps", [0.05, 1.0])
@pytest.mark.parametrize("door", ["points", "matrix"])
def test_any_potentials_are_bracketed(noise, eps, door):
    x, y, a, b = problem()
    C, rng = cdist(x, y, "sqeuclidean"), np.random.default_rng(1)
    costs = PointSoftCosts(x, y, SQUARED) if door == "points" else MatrixSoftCosts(C)
    best, exact = naive.optimum(C, a, b, eps), ot.emd2(a, b, C)
    f, g = naive.potentials(C, a, b, eps)
    proof = prove_balanced(costs, a, b, f + noise * rng.normal(size=15), g + noise * rng.normal(size=11), eps)
    assert proof.lower_bound is not None and proof.upper_bound is not None
    slack = tol(float) * (1 + noise)
    assert proof.lower_bound <= exact + slack and exact <= proof.upper_bound + slack
    assert proof.dual_value <= best + slack and best <= proof.dual_value + proof.gap + slack
    plan = naive.plan(C, a, b, proof.f, proof.g, eps)
    np.testing.assert_allclose(plan.sum(axis=1), a, rtol=1e-9)
    assert proof.marginal_error == pytest.approx(np.abs(plan.sum(axis=0) - b).sum(), rel=1e-6, abs=1e-10)
    assert proof.value == pytest.approx((plan * C).sum(), rel=1e-8)
    assert proof.objective == pytest.approx(naive.objective(plan, C, a, b, eps), rel=1e-8, abs=slack)
    if noise == 0.0:
        assert proof.gap < 1e-9


@pytest.mark.parametrize("rho", [(1.0, 1.0), (np.inf, 0.5), (0.5, np.inf)])
@pytest.mark.parametrize("noise", [0.0, 1e-3, 0.3])
def test_unbalanced_potentials_are_bracketed(rho, noise):
    x, y, a, b = problem()
    C, rng, by = cdist(x, y, "sqeuclidean"), np.random.default_rng(1), Regularisation(0.2, *rho)
    b = 1.5 * b
    best = naive.optimum(C, a, b, 0.2, *rho)
    f, g = naive.potentials(C, a, b, 0.2, *rho)
    f, g = f + noise * rng.normal(size=15), g + noise * rng.normal(size=11)
    proof = prove_unbalanced(PointSoftCosts(x, y, SQUARED), a, b, f, g, by)
    assert proof.lower_bound is None and proof.upper_bound is None
    assert proof.dual_value <= best + tol(float) and proof.gap >= 0
    plan = naive.plan(C, a, b, proof.f, proof.g, 0.2)
    for k, side in enumerate(rho):
        if np.isinf(side) and noise == 0:
            np.testing.assert_allclose(plan.sum(axis=1 - k), (a, b)[k], rtol=1e-9)
    assert proof.dual_value == pytest.approx(naive.dual_value(C, a, b, proof.f, proof.g, 0.2, *rho), rel=1e-8)
    if noise == 0.0:
        assert proof.objective == pytest.approx(best, rel=1e-9) and proof.gap < 1e-9


@pytest.mark.parametrize("eps", [1e-5, 1e-3])
def test_potentials_whose_sums_leave_float64(eps):
    x, y, a, b = problem()
    costs, zeros = PointSoftCosts(x, y, SQUARED), (np.zeros(15), np.zeros(11))
    with np.errstate(all="raise", under="ignore"):
        for shift in (-5.0, 0.0, 5.0):
            proof = prove_balanced(costs, a, b, zeros[0] + shift, zeros[1], eps)
            assert np.isfinite([proof.value, proof.objective, proof.gap, proof.marginal_error]).all()
            wild = prove_unbalanced(costs, a, b, zeros[0] + shift, zeros[1], Regularisation(eps, 1.0, 1.0))
            assert np.isfinite([wild.value, wild.objective, wild.gap, wild.marginal_error]).all()


def test_the_upper_bound_covers_the_rounding_of_its_exponents():
    # One column: a single plan is feasible, and its cost is known.
    x, y, a = np.array([[0.0], [1.0], [6.0]]), np.array([[10.0]]), np.array([0.3, 0.3, 0.4])
    expected = float(a @ np.abs(x - 10.0)[:, 0] ** 1.5)
    for eps in (1e-5, 1e-3, 1e3, 1e12, 1e100):
        costs = PointSoftCosts(x, y, Cost("chebyshev", 1.5))
        proof = prove_balanced(costs, a, np.ones(1), np.zeros(3), np.zeros(1), eps)
        assert proof.lower_bound is not None and proof.upper_bound is not None
        assert proof.lower_bound <= expected * (1 + tol(float)) and expected <= proof.upper_bound
