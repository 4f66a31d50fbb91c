"""sinkhorn, solve_sample(eps=) and solve(eps=) against POT, loops and the definition."""

from __future__ import annotations

import math
import warnings

import numpy as np
import ot
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

import naive_entropic as naive
import otgen
from otgen.transport.costs import METRICS
from tolerance import tol


def problem(n=12, m=9, d=2, seed=0):
    rng = np.random.default_rng((seed, n, m, d))
    a, b = rng.random(n) + 0.05, rng.random(m) + 0.05
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.3, a / a.sum(), b / b.sum()


def check(result, C, a, b, eps, rel=1e-9):
    """Everything a balanced Transport claims, recomputed from the dense plan and a dense exact solver."""
    plan = result.plan.toarray()
    f, g = result.potentials
    size = abs(float(result.value)) + eps * a.sum() + np.abs(C).max() * 1e-6
    assert np.isfinite(plan).all() and (plan >= 0).all()
    np.testing.assert_allclose(plan, naive.plan(C, a, b, f, g, eps), rtol=rel, atol=rel * a.sum() / plan.size)
    error = np.abs(plan.sum(axis=1) - a).sum() + np.abs(plan.sum(axis=0) - b).sum()
    assert result.marginal_error == pytest.approx(error, rel=1e-3, abs=rel * a.sum())
    assert result.scale == pytest.approx(a.sum())
    assert result.converged == (result.marginal_error <= result.tol * result.scale)
    assert result.value == pytest.approx((plan * C).sum(), rel=rel, abs=rel * size)
    assert result.objective == pytest.approx(naive.objective(plan, C, a, b, eps), rel=rel, abs=rel * size)
    assert result.dual_value == pytest.approx(naive.dual_value(C, a, b, f, g, eps), rel=rel, abs=rel * size)
    exact = ot.emd2(a / a.sum(), b / b.sum(), C) * a.sum()
    assert result.lower_bound <= exact + tol(float) * size
    assert result.upper_bound >= exact - tol(float) * size
    assert result.gap >= 0
    return result


@pytest.mark.parametrize("share", [0.05, 0.5, 20.0])
@pytest.mark.parametrize("p", [1, 2, 2.5])
@pytest.mark.parametrize("metric", METRICS)
def test_agrees_with_pot(metric, p, share):
    x, y, a, b = problem(d=3)
    C = naive.cost_matrix(x, y, metric, p)
    eps = share * C.mean()
    result = check(otgen.sinkhorn(x, y, a, b, eps=eps, cost=(metric, p), tol=1e-9), C, a, b, eps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected, log = ot.bregman.sinkhorn_log(a, b, C, eps, numItermax=5_000, stopThr=1e-13, log=True)
    np.testing.assert_allclose(result.plan.toarray(), expected, atol=2e-9)
    assert result.value == pytest.approx((expected * C).sum(), rel=1e-8)
    assert result.objective == pytest.approx(naive.objective(expected, C, a, b, eps), rel=1e-9)
    assert result.converged and result.gap <= 1e-8 * (result.objective + eps)
    difference = result.potentials[0] - eps * (log["log_u"] - np.log(a))
    assert np.ptp(difference) <= 1e-6 * eps


@pytest.mark.parametrize("d", [1, 2, 12])
def test_agrees_with_the_plain_loop_and_bounds_the_optimum(d):
    x, y, a, b = problem(d=d)
    C, eps = naive.cost_matrix(x, y), 0.1 * naive.cost_matrix(x, y).mean()
    best = naive.optimum(C, a, b, eps)
    for accuracy in (1e-2, 1e-4, 1e-11):
        result = check(otgen.sinkhorn(x, y, a, b, eps=eps, tol=accuracy), C, a, b, eps)
        assert result.dual_value <= best + tol(float) <= result.dual_value + result.gap + 2 * tol(float)
    assert result.objective == pytest.approx(best, rel=1e-10)
    f, g = naive.potentials(C, a, b, eps)
    assert np.ptp(result.potentials[0] - f) <= 1e-8 and np.ptp(result.potentials[1] - g) <= 1e-8


def test_three_doors_lead_to_one_solver():
    x, y, a, b = problem()
    points = otgen.sinkhorn(x, y, a, b, eps=0.5, tol=1e-10)
    assert otgen.solve_sample(x, y, a, b, eps=0.5, tol=1e-10).objective == points.objective
    matrix = otgen.solve(cdist(x, y, "sqeuclidean"), a, b, eps=0.5, tol=1e-10)
    assert matrix.objective == pytest.approx(points.objective, rel=1e-10)
    np.testing.assert_allclose(matrix.plan.toarray(), points.plan.toarray(), atol=1e-10)
    assert matrix.cost is None and points.cost == ("euclidean", 2) and points.eps == matrix.eps == 0.5
    assert "eps     0.5, objective" in repr(points) and "marginal error" in repr(points)


def test_a_matrix_may_have_any_sign_and_size_but_must_be_dense():
    x, y, a, b = problem()
    C = cdist(x, y) - 3.0
    check(otgen.solve(C, a, b, eps=0.1, tol=1e-9), C, a, b, 0.1)
    unit = otgen.solve(C, a, b, eps=0.1, tol=1e-9)
    for size in (1e-250, 1e-30, 1e30, 1e250):
        scaled = otgen.solve(size * C, a, b, eps=0.1 * size, tol=1e-9)
        assert scaled.converged and scaled.objective == pytest.approx(size * unit.objective, rel=1e-9)
    assert otgen.solve(np.zeros((2, 3)), eps=1e-200).converged
    with pytest.raises(TypeError, match="C must be dense with eps; got csr_array. Pass a dense matrix"):
        otgen.solve(scipy.sparse.csr_array(C), a, b, eps=0.1)


def test_small_eps_tends_to_the_exact_value():
    x, y, a, b = problem(30, 20)
    exact = otgen.solve_sample(x, y, a, b)
    mean = cdist(x, y, "sqeuclidean").mean()
    excess = []
    for share in (1e-1, 1e-2, 1e-3, 1e-4):
        result = otgen.sinkhorn(x, y, a, b, eps=share * mean)
        assert result.converged and result.lower_bound <= exact.value * (1 + tol(float)) <= result.upper_bound * 1.001
        excess.append(result.value - exact.value)
    assert excess[0] > excess[1] > excess[3] and abs(excess[3]) < 1e-3 * exact.value


def test_large_eps_tends_to_the_product():
    x, y, a, b = problem()
    C = cdist(x, y, "sqeuclidean")
    result = otgen.sinkhorn(x, y, a, b, eps=1e6 * C.mean())
    np.testing.assert_allclose(result.plan.toarray(), np.outer(a, b), rtol=1e-5)
    assert result.value == pytest.approx(a @ C @ b, rel=1e-5)
    assert check(result, C, a, b, 1e6 * C.mean()).converged


@pytest.mark.parametrize("weights", ["uniform", "weighted"])
@pytest.mark.parametrize("share", [1e-4, 1e-2, 1.0])
def test_a_cloud_against_itself(weights, share):
    x, _, a, _ = problem(20)
    a = np.full(20, 0.05) if weights == "uniform" else a
    C = cdist(x, x, "sqeuclidean")
    eps = share * C.mean()
    result = check(otgen.sinkhorn(x, x, a, a, eps=eps, tol=1e-8), C, a, a, eps, 1e-7)
    assert result.converged and result.lower_bound <= 1e-12
    np.testing.assert_allclose(*result.potentials, atol=1e-9 * C.mean())
    plan = result.plan.toarray()
    np.testing.assert_allclose(plan, plan.T, atol=1e-8)


@pytest.mark.parametrize("total", [1e-6, 5.0, 1e6])
def test_mass_other_than_one(total):
    x, y, a, b = problem()
    C = cdist(x, y, "sqeuclidean")
    unit = otgen.sinkhorn(x, y, a, b, eps=0.3, tol=1e-10)
    result = check(otgen.sinkhorn(x, y, total * a, total * b, eps=0.3, tol=1e-10), C, total * a, total * b, 0.3)
    assert result.converged and result.value == pytest.approx(total * unit.value, rel=1e-8)
    # KL(M pi | M a x M b) = M KL(pi | a x b) - M log M + M^2 - 1 + ... : pi of mass M against a product of mass M^2
    entropy = (unit.objective - unit.value) / 0.3
    expected = total * unit.value + 0.3 * (total * (entropy - math.log(total)) - total + total**2)
    assert result.objective == pytest.approx(expected, rel=1e-9)


def test_points_without_mass_take_no_part_but_keep_their_place():
    x, y, a, b = problem()
    kept = otgen.sinkhorn(x, y, a, b, eps=0.3, tol=1e-10)
    far, near = [[50.0, 50.0]], [[60.0, -10.0], [0.1, 0.2]]
    more_x, more_y = np.vstack([far, x]), np.vstack([y, near])
    more_a, more_b = np.r_[0.0, a], np.r_[b, 0.0, 0.0]
    C = cdist(more_x, more_y, "sqeuclidean")
    for result in (
        otgen.sinkhorn(more_x, more_y, more_a, more_b, eps=0.3, tol=1e-10),
        otgen.solve(C, more_a, more_b, eps=0.3, tol=1e-10),
    ):
        assert result.objective == pytest.approx(kept.objective, rel=1e-9)
        plan = result.plan.toarray()
        assert (plan[0] == 0).all() and (plan[:, -2:] == 0).all()
        np.testing.assert_allclose(plan[1:, :-2], kept.plan.toarray(), atol=1e-9)
        f, g = result.potentials
        np.testing.assert_allclose(f[0], naive.smooth_min(C[:1, :-2] - g[:-2], b, 0.3)[0], rtol=1e-9)
        np.testing.assert_allclose(g[-2:], naive.smooth_min(C[1:, -2:].T - f[1:], a, 0.3), rtol=1e-9)


def test_zeros_on_one_side_of_clouds_of_one_size():
    x, y, a, b = problem(6, 6)
    b[[0, 2, 5]] = 0.0
    b /= b.sum()
    C = cdist(x, y, "sqeuclidean")
    f, g = otgen.sinkhorn(x, y, a, b, eps=0.2, tol=1e-10).potentials
    np.testing.assert_allclose(g[b == 0], naive.smooth_min(C[:, b == 0].T - f, a, 0.2), rtol=1e-9)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["swap", "shift", "scale", "constant", "permute"]))
@settings(max_examples=40, deadline=None)
def test_symmetries(seed, kind):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 9, 2)
    x, y, a, b = problem(int(n), int(m), 3, seed)
    metric = METRICS[rng.integers(3)]
    eps = 10.0 ** rng.uniform(-1, 1)
    options = {"eps": eps, "cost": (metric, 2), "tol": 1e-10}
    first = otgen.sinkhorn(x, y, a, b, **options)
    expected, plan = first.objective, first.plan.toarray()
    if kind == "swap":
        other = otgen.sinkhorn(y, x, b, a, **options)
        plan = plan.T
    elif kind == "shift":
        other = otgen.sinkhorn(x + 7.0, y + 7.0, a, b, **options)
    elif kind == "scale":
        other = otgen.sinkhorn(8.0 * x, 8.0 * y, a, b, **{**options, "eps": 64.0 * eps})
        expected *= 64.0
    elif kind == "constant":
        other = otgen.solve(naive.cost_matrix(x, y, metric, 2) + 11.0, a, b, eps=eps, tol=1e-10)
        expected += 11.0
    else:
        order = rng.permutation(n)
        other = otgen.sinkhorn(x[order], y, a[order], b, **options)
        plan = plan[order]
    assert other.objective == pytest.approx(expected, rel=1e-8, abs=1e-8 * eps)
    np.testing.assert_allclose(other.plan.toarray(), plan, atol=1e-8)
