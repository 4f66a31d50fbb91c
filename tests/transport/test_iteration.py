"""Sinkhorn's iteration at one eps: what it climbs, and how its secants shorten the way."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.distance import cdist

import naive_entropic as naive
from otgen.transport.costs import Cost
from otgen.transport.iteration import Potentials, Secants, Sweeps, dual_value, iterate, iterate_symmetric
from otgen.transport.regularisation import Regularisation
from otgen.transport.soft_costs import PointSoftCosts


def problem(n=30, m=25, seed=0):
    rng = np.random.default_rng(seed)
    a, b = rng.random(n) + 0.05, rng.random(m) + 0.05
    return rng.normal(size=(n, 2)), rng.normal(size=(m, 2)), a / a.sum(), b / b.sum()


def run(by, tol=1e-10, most=5000, start=None):
    x, y, a, b = problem()
    soft, errors = PointSoftCosts(x, y, Cost("euclidean", 2.0)).soft, []
    start = start or Potentials(np.zeros(30), np.zeros(25))
    found = iterate(
        soft, a, b, by, start, Sweeps(tol, most, False, lambda sweep, reached: errors.append(reached.error))
    )
    return found, errors, (cdist(x, y, "sqeuclidean"), a, b)


@pytest.mark.parametrize("rho", [(math.inf, math.inf), (1.0, 2.0), (math.inf, 0.5), (0.5, math.inf)])
def test_the_fixed_point_is_that_of_the_plain_loop(rho):
    found, errors, (C, a, b) = run(Regularisation(0.1, *rho))
    assert found.error == errors[-1] <= 1e-10
    f, g = naive.potentials(C, a, b, 0.1, *rho)
    plan = naive.plan(C, a, b, f, g, 0.1)
    np.testing.assert_allclose(naive.plan(C, a, b, found.f, found.g, 0.1), plan, atol=1e-8)


def test_far_fewer_sweeps_than_the_plain_loop():
    _, errors, (C, a, b) = run(Regularisation(0.02))
    f, g, plain = np.zeros(30), np.zeros(25), 0
    while plain < 20_000:
        f = naive.smooth_min(C - g, b, 0.02)
        g = naive.smooth_min(C.T - f, a, 0.02)
        plain += 1
        if np.abs(naive.plan(C, a, b, f, g, 0.02).sum(axis=1) - a).sum() <= 1e-10:
            break
    assert len(errors) < 0.5 * plain


@pytest.mark.parametrize("rho", [(math.inf, math.inf), (1.0, 2.0)])
def test_the_dual_value_never_falls(rho):
    by, potentials, values = Regularisation(0.02, *rho), None, []
    for most in (1, 2, 4, 8, 16, 32, 64):
        potentials, _, (C, a, b) = run(by, most=most)
        f = potentials.f
        answer = naive.smooth_min(C.T - f, a, 0.02)
        g = answer * (1.0 if math.isinf(rho[1]) else rho[1] / (rho[1] + 0.02))
        values.append(naive.dual_value(C, a, b, f, g, 0.02, *rho))
    assert (np.diff(values) >= -1e-12).all()


def test_secants_solve_a_linear_self_adjoint_problem_in_as_many_steps_as_it_has_eigenvalues():
    rng = np.random.default_rng(0)
    b = rng.random(20) + 0.1
    basis = np.linalg.qr(np.sqrt(b)[:, None] * rng.normal(size=(20, 20)))[0] / np.sqrt(b)[:, None]
    rates = np.repeat([0.2, 0.7, 0.9, 0.99], 5)
    target, secants, g = rng.normal(size=20), Secants(b), np.zeros(20)
    assert not secants
    for _ in range(6):
        residual = -basis @ ((1 - rates) * (basis.T @ (b * (g - target))))
        secants.add(g, residual)
        g = g + secants.step(residual)
    np.testing.assert_allclose(g, target, atol=1e-8)
    assert secants
    secants.clear()
    np.testing.assert_array_equal(secants.step(target), target)


@pytest.mark.parametrize("n", [2, 4, 5])
def test_secants_that_span_everything_are_still_renewed(n):
    # Pairs learnt far off, as many as there are directions, must not block what is learnt near the end.
    b, rng = np.full(n, 1.0 / n), np.random.default_rng(0)
    basis = np.linalg.qr(np.sqrt(b)[:, None] * rng.normal(size=(n, n)))[0] / np.sqrt(b)[:, None]

    def residual(g, rates):
        return -basis @ ((1 - rates) * (basis.T @ (b * g)))

    secants, g, early, late = Secants(b), rng.normal(size=n), np.full(n, 0.5), 1 - np.geomspace(1e-3, 1, n)
    for k in range(40):
        found = residual(g, early if k < n + 2 else late)
        secants.add(g, found)
        g = rng.normal(size=n) if k < n + 2 else g + secants.step(found)
    assert np.abs(g).max() < 1e-6


@pytest.mark.parametrize("rho", [math.inf, 0.7])
def test_symmetric_sweeps_end_where_two_sided_ones_do(rho):
    x, _, a, _ = problem()
    soft, C = PointSoftCosts(x, x, Cost("euclidean", 2.0)).soft, cdist(x, x, "sqeuclidean")
    by, errors = Regularisation(0.05, rho, rho), []
    sweeps = Sweeps(1e-10, 500, False, lambda sweep, reached: errors.append(reached.error))
    found = iterate_symmetric(soft, a, by, Potentials(np.zeros(30), np.zeros(30)), sweeps)
    plan = naive.plan(C, a, a, found.f, found.g, 0.05)
    wanted = a * (1.0 if math.isinf(rho) else np.exp(-found.f / rho))
    assert len(errors) < 60 and np.abs(plan.sum(axis=1) - wanted).sum() < 1e-9


def test_the_dual_value_is_that_of_the_definition():
    _, _, (C, a, b) = run(Regularisation(0.1), most=1)
    rng = np.random.default_rng(3)
    f, g = 0.1 * rng.normal(size=30), 0.1 * rng.normal(size=25)
    for rho in ((math.inf, math.inf), (1.0, 2.0), (math.inf, 0.5)):
        mass = float(naive.plan(C, a, b, f, g, 0.1).sum())
        found = dual_value(a, b, f, g, mass, Regularisation(0.1, *rho))
        assert found == pytest.approx(naive.dual_value(C, a, b, f, g, 0.1, *rho), rel=1e-12)
