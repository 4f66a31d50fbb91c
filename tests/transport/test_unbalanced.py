"""Entropic transport whose marginals are asked for by KL penalties, on one side or both."""

from __future__ import annotations

import math

import numpy as np
import ot
import pytest

import naive_entropic as naive
import otgen
from tolerance import tol

INF = math.inf


def problem(n=12, m=9, seed=0, masses=(1.0, 1.0)):
    rng = np.random.default_rng((seed, n, m))
    a, b = rng.random(n) + 0.05, rng.random(m) + 0.05
    x, y = rng.normal(size=(n, 2)), rng.normal(size=(m, 2)) + 0.3
    return x, y, masses[0] * a / a.sum(), masses[1] * b / b.sum()


def check(result, C, a, b, eps, rho_a, rho_b, rel=1e-8):
    """Everything an unbalanced Transport claims, recomputed from its dense plan."""
    plan = result.plan.toarray()
    f, g = result.potentials
    np.testing.assert_allclose(plan, naive.plan(C, a, b, f, g, eps), rtol=rel)
    primal = naive.objective(plan, C, a, b, eps, rho_a, rho_b)
    dual = naive.dual_value(C, a, b, f, g, eps, rho_a, rho_b)
    assert result.value == pytest.approx((plan * C).sum(), rel=rel)
    assert result.objective == pytest.approx(primal, rel=rel)
    assert result.dual_value == pytest.approx(dual, rel=rel, abs=rel * eps)
    wanted = [w * (1.0 if math.isinf(rho) else np.exp(-h / rho)) for w, h, rho in ((a, f, rho_a), (b, g, rho_b))]
    error = np.abs(plan.sum(axis=1) - wanted[0]).sum() + np.abs(plan.sum(axis=0) - wanted[1]).sum()
    assert result.marginal_error == pytest.approx(error, rel=1e-3, abs=1e-10 * result.scale)
    assert result.scale == pytest.approx(0.5 * (wanted[0].sum() + wanted[1].sum()))
    assert result.lower_bound is None and result.upper_bound is None and result.unbalanced == (rho_a, rho_b)
    best = naive.optimum(C, a, b, eps, rho_a, rho_b)
    assert result.dual_value <= best + rel * abs(best) and result.objective >= best - rel * abs(best)
    assert result.objective == pytest.approx(best, rel=1e-6) and result.gap <= 1e-6 * (abs(best) + eps)
    return result


@pytest.mark.parametrize(
    ("rho_a", "rho_b"), [(1.0, 1.0), (0.3, 5.0), (INF, 0.7), (0.7, INF), (0.02, 0.05), (50.0, 100.0)]
)
@pytest.mark.parametrize("masses", [(1.0, 1.0), (0.5, 4.0)])
@pytest.mark.parametrize("door", ["points", "matrix"])
def test_agrees_with_the_plain_loop(rho_a, rho_b, masses, door):
    x, y, a, b = problem(masses=masses)
    C, eps = naive.cost_matrix(x, y), 0.2
    options = {"eps": eps, "unbalanced": (rho_a, rho_b), "tol": 1e-9}
    result = otgen.sinkhorn(x, y, a, b, **options) if door == "points" else otgen.solve(C, a, b, **options)
    assert check(result, C, a, b, eps, rho_a, rho_b).converged


@pytest.mark.parametrize("rho", [0.1, 1.0, 30.0])
def test_agrees_with_pot(rho):
    x, y, a, b = problem(masses=(1.0, 1.7))
    C = naive.cost_matrix(x, y)
    options = {"numItermax": 20_000, "stopThr": 1e-13, "reg_type": "kl"}
    expected = ot.unbalanced.sinkhorn_unbalanced(a, b, C, 0.3, rho, method="sinkhorn_stabilized", **options)
    result = otgen.sinkhorn(x, y, a, b, eps=0.3, unbalanced=rho, tol=1e-10)
    np.testing.assert_allclose(result.plan.toarray(), expected, rtol=1e-6)


def test_large_rho_tends_to_balanced():
    x, y, a, b = problem()
    balanced = otgen.sinkhorn(x, y, a, b, eps=0.2, tol=1e-9)
    infinite = otgen.sinkhorn(x, y, a, b, eps=0.2, tol=1e-9, unbalanced=INF)
    assert infinite.objective == balanced.objective and infinite.unbalanced is None
    near = otgen.sinkhorn(x, y, a, b, eps=0.2, tol=1e-9, unbalanced=1e6)
    assert near.objective == pytest.approx(balanced.objective, rel=1e-4)
    np.testing.assert_allclose(near.plan.toarray(), balanced.plan.toarray(), atol=1e-5)


def test_small_rho_transports_next_to_nothing():
    x, y, a, b = problem()
    y = y + 10.0
    result = otgen.sinkhorn(x, y, a, b, eps=0.2, unbalanced=0.5)
    assert result.converged and result.plan.marginals()[0].sum() < 1e-6
    # The product has mass 1 to be lost from, both marginals too.
    assert result.objective == pytest.approx(0.2 + 0.5 + 0.5, rel=1e-5)
    tiny = otgen.sinkhorn(*problem(), eps=0.2, unbalanced=1e-6)
    assert tiny.converged and np.isfinite(tiny.objective) and tiny.objective >= 0


@pytest.mark.parametrize("side", [0, 1])
def test_an_infinite_side_is_kept(side):
    x, y, a, b = problem(masses=(2.0, 0.7))
    rho = (INF, 0.5) if side == 0 else (0.5, INF)
    result = otgen.sinkhorn(x, y, a, b, eps=0.2, unbalanced=rho, tol=1e-10)
    np.testing.assert_allclose(result.plan.marginals()[side], (a, b)[side], atol=1e-9)
    assert abs(result.plan.marginals()[1 - side] - (b, a)[side]).sum() > 0.1


def test_masses_that_differ_need_it_and_the_error_says_so():
    x, y, a, b = problem(masses=(1.0, 2.0))
    for call in (otgen.sinkhorn, otgen.sinkhorn_divergence):
        with pytest.raises(ValueError, match="b must sum to the mass of a .* Or pass unbalanced= to let the masses"):
            call(x, y, a, b, eps=0.1)
        call(x, y, a, b, eps=0.1, unbalanced=1.0)
    with pytest.raises(ValueError, match="unbalanced needs eps.*Pass eps= too"):
        otgen.solve_sample(x, y, a, b, unbalanced=1.0)


def test_points_without_mass_and_single_points():
    x, y, a, b = problem()
    expected = otgen.sinkhorn(x, y, a, b, eps=0.2, unbalanced=0.5, tol=1e-9)
    more = otgen.sinkhorn(x, np.vstack([y, y[:1] + 1]), a, np.r_[b, 0], eps=0.2, unbalanced=0.5, tol=1e-9)
    assert more.objective == pytest.approx(expected.objective, rel=1e-8) and more.plan.toarray()[:, -1].sum() == 0
    one = otgen.sinkhorn([[0.0]], [[1.0]], [2.0], [3.0], eps=0.5, unbalanced=(1.0, 2.0), tol=1e-12)
    f, g = (float(h[0]) for h in one.potentials)
    mass = 6 * math.exp((f + g - 1.0) / 0.5)
    assert mass == pytest.approx(2 * math.exp(-f / 1.0)) == pytest.approx(3 * math.exp(-g / 2.0))


def test_a_cloud_against_itself():
    x, _, a, _ = problem()
    C = naive.cost_matrix(x, x)
    result = otgen.sinkhorn(x, x, a, a, eps=0.2, unbalanced=0.8, tol=1e-10)
    check(result, C, a, a, 0.2, 0.8, 0.8)
    np.testing.assert_allclose(*result.potentials, rtol=tol(float), atol=tol(float))


def test_float32():
    x, y, a, b = problem(masses=(1.0, 2.0))
    double = otgen.sinkhorn(x, y, a, b, eps=0.2, unbalanced=0.5)
    single = otgen.sinkhorn(*(z.astype("f4") for z in (x, y, a, b)), eps=0.2, unbalanced=0.5)
    assert single.converged and single.plan.toarray().dtype == np.float32
    assert single.objective == pytest.approx(double.objective, rel=1e-4)


@pytest.mark.parametrize("seed", [27, 29, 34])
@pytest.mark.parametrize("masses", [(1.0, 1.0), (2.0, 0.1)])
@pytest.mark.parametrize("rho", [(0.01, 0.01), (0.01, 0.1), (INF, 0.01), (0.01, INF), (1e-3, 1e-3)])
def test_an_unfinished_run_at_a_small_eps_reports_no_absurd_mass(rho, masses, seed):
    x, y, a, b = problem(30, 4, seed, masses)
    C = naive.cost_matrix(x, y)
    for eps in (1e-6, 1e-4):
        for most in (1, 3, 10):
            with pytest.warns(otgen.ConvergenceWarning, match="marginal error .* of the mass, above tol"):
                result = otgen.sinkhorn(x, y, a, b, eps=eps, unbalanced=rho, max_iter=most)
            assert not result.converged and "above tol" in result.message and result.n_iter == most
            assert np.isfinite([result.value, result.objective, result.dual_value, result.gap]).all()
            assert result.dual_value <= result.objective and result.marginal_error <= 4.0 * result.scale * (1 + 1e-9)
            # Shifted to agree: before, it was from 1e-27 to 30 times what was asked for.
            assert result.plan.marginals()[0].sum() == pytest.approx(result.scale, rel=0.02)
            f, g = result.potentials
            dual = naive.dual_value(C, a, b, f, g, eps, *rho)
            assert result.dual_value == pytest.approx(dual, rel=1e-6)
            for move in ((1e-6, 0.0), (0.0, 1e-6), (-1e-6, 0.0), (0.0, -1e-6)):  # no shift has a larger dual value
                moved = naive.dual_value(C, a, b, f + move[0], g + move[1], eps, *rho)
                assert moved <= dual + 0.02 * result.scale * 1e-6
