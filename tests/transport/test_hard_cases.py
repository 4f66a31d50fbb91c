"""Problems that made an earlier version wrong, endless or dishonest; every answer is checked against another solver."""

from __future__ import annotations

import numpy as np
import ot
import pytest
import scipy.sparse as sp
import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

import otgen
from tolerance import tol


def rng(seed=0):
    return np.random.default_rng(seed)


def honest(result):
    """Bounds in order, gap their difference, and a verdict that follows from them."""
    assert result.lower_bound <= result.upper_bound
    rounding = 1e-14 * abs(result.value)  # of the change of units
    assert result.gap == pytest.approx(result.upper_bound - result.lower_bound, abs=rounding)
    assert result.converged == (result.gap <= result.tol * result.scale < np.inf)
    return result


@pytest.mark.parametrize("lengths", ["huge", "tiny", "mixed", "extreme"])
@pytest.mark.parametrize("p", [1, 2, 10])
def test_cosine_does_not_care_for_lengths(lengths, p):
    x, y = rng(2).normal(size=(40, 3)), rng(3).normal(size=(30, 3))
    expected = otgen.wasserstein(x, y, p=p, metric="cosine")
    spread = rng(4).uniform(-250, 250, (40, 1))
    factor = {"huge": 1e160, "tiny": 1e-200, "mixed": 10.0**spread, "extreme": 1e300}[lengths]
    assert otgen.wasserstein(factor * x, y, p=p, metric="cosine") == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_high_powers_end(seed):
    x, y = rng(seed).normal(size=(2, 400, 8))
    for cost in (("cosine", 10), ("euclidean", 10), ("chebyshev", 7)):
        result = honest(otgen.solve_sample(x, y, cost=cost))
        C = cdist(x, y, cost[0]) ** cost[1]  # pyright: ignore[reportCallIssue, reportArgumentType]
        best = C[linear_sum_assignment(C)].mean()
        assert result.converged and result.value == pytest.approx(best, rel=1e-8, abs=2e-9 * result.scale)


@pytest.mark.parametrize("big", [1e6, 1e12, 1e15, 1e20])
@pytest.mark.parametrize("n", [20, 60, 300])
def test_huge_costs_that_forbid_pairs(n, big):
    C = rng().random((n, n))
    C[rng(1).random((n, n)) < 0.3] = big
    best = C[linear_sum_assignment(C)].mean()
    for given in (C, sp.csr_array(C)):
        result = honest(otgen.solve(given))
        assert result.converged and result.value == pytest.approx(best, rel=1e-9)


@pytest.mark.parametrize("far", [1e4, 1e7, 1e9])
@pytest.mark.parametrize("p", [1, 2])
def test_a_far_point_on_both_sides_costs_nothing_and_hides_nothing(far, p):
    x, y = rng(1).normal(size=(200, 2)), rng(2).normal(size=(200, 2)) + 0.2
    x[0] = y[0] = far
    C = cdist(x, y) ** p
    best = C[linear_sum_assignment(C)].mean() ** (1 / p)
    assert otgen.wasserstein(x, y, p=p) == pytest.approx(best, rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_matrices_over_many_decades_end_and_are_honest(seed):
    C = rng(seed).normal(size=(40, 60)) * 10.0 ** rng(seed).uniform(-10, 10, (40, 60))
    a, b = 10.0 ** -rng(seed).uniform(0, 20, 40), rng(seed).random(60)
    a, b = a / a.sum(), b / b.sum()
    for given in (C, sp.csr_array(C), np.exp(C / np.abs(C).max() * 40), sp.csr_array(np.exp(C / np.abs(C).max() * 40))):
        honest(otgen.solve(given, a, b))


@pytest.mark.parametrize("size", [1e300, 1.7e308, 1e-300, 1e-320])
def test_matrices_at_the_ends_of_float64(size):
    C = size * rng().random((70, 70))
    result = honest(otgen.solve(C))
    expected = (C / size)[linear_sum_assignment(C)].mean()
    assert result.value / size == pytest.approx(expected, rel=1e-9 if size > 1e-310 else 1e-2)
    assert honest(otgen.solve(sp.csr_array(size * np.eye(3)))).value == pytest.approx(size)
    assert honest(otgen.solve(np.full((70, 70), size))).value == pytest.approx(size)


@pytest.mark.parametrize("seed", range(30))
def test_blocks_balanced_up_to_rounding_are_feasible(seed):
    n = 5
    a = rng(seed).random(n)
    a /= a.sum()
    result = honest(otgen.solve(sp.csr_array(np.eye(n)[::-1]), a, a[::-1].copy()))
    assert result.converged and result.value == pytest.approx(1.0) and result.marginal_error < 1e-14


def test_masses_that_do_not_fit_are_infeasible():
    with pytest.raises(ValueError, match="C is infeasible: source 0 cannot ship all its mass"):
        otgen.solve(sp.csr_array(np.eye(3)), [0.5, 0.25, 0.25], [0.25, 0.5, 0.25])


@pytest.mark.parametrize("seed", range(40))
def test_plans_on_the_line_hold_no_negative_mass(seed):
    x, y = rng(seed).normal(size=(2, 30, 1))
    a, b = 10.0 ** -rng(seed).uniform(0, 18, (2, 30))
    a, b = a / a.sum(), b / b.sum()
    assert honest(otgen.solve_sample(x, y, a, b)).plan.data.min() > 0
    i, j = otgen.couple(x, y, a, b, replace=True)
    assert len(i) == len(j)


@pytest.mark.parametrize("p", [1, 2, 7])
@pytest.mark.parametrize("e", [1e-8, 1e-12])
@pytest.mark.parametrize("d", [1, 2])
def test_a_little_mass_over_a_long_way_is_proven(d, e, p):
    x = np.zeros((2, d))
    x[1, 0] = 10.0
    a, b = [1 - e, e], [1 - 2 * e, 2 * e]
    result = honest(otgen.solve_sample(x, x, a, b, cost=("euclidean", p)))
    assert result.converged and result.value == pytest.approx(e * 10.0**p, rel=1e-3)
    assert otgen.wasserstein(x, x, a, b, p=p) == pytest.approx((e * 10.0**p) ** (1 / p), rel=1e-3)


@pytest.mark.parametrize("mass", [1e-300, 1e-290, 1e290])
def test_any_mass_that_float64_holds(mass):
    x, y = rng().normal(size=(2, 20, 2))
    a = mass * rng(1).random(20)
    unit = otgen.solve_sample(x, y, a / a.sum(), a[::-1] / a.sum()).value
    assert otgen.solve_sample(x, y, a, a[::-1].copy()).value / a.sum() == pytest.approx(unit, rel=1e-9)


def test_an_interrupt_after_the_proof_returns_it():
    def interrupt(report):
        raise KeyboardInterrupt

    x, y = rng().normal(size=(2, 30, 1))
    assert otgen.solve_sample(x, y, progress=interrupt).converged
    assert otgen.solve(sp.csr_array(cdist(x, y) + 1), progress=interrupt).converged


@pytest.mark.parametrize("size", [1e307, 1e-310])
def test_the_line_at_the_ends_of_float64(size):
    x = np.linspace(1, 9, 50)
    for p in (1, 2):
        expected = otgen.wasserstein_1d(x, 0 * x, p=p)
        assert otgen.wasserstein_1d(size * x, 0 * x, p=p) / size == pytest.approx(expected, rel=1e-9)


def test_distances_beyond_float64_are_refused_on_the_line_too():
    for call in (otgen.wasserstein_1d, lambda x, y: otgen.wasserstein(np.array([x]), np.array([y]))):
        with pytest.raises(ValueError, match="leave the range of float64; got inf. Rescale x and y together"):
            call([1.7e308], [-1.7e308])


def test_gradients_beyond_float64_do_not_hide_the_distance():
    x = torch.full((3, 2), 1e308, dtype=torch.float64, requires_grad=True)
    value = otgen.wasserstein(x, torch.zeros(3, 2, dtype=torch.float64), p=1, metric="chebyshev")
    value.backward()
    assert value.item() == pytest.approx(1e308) and x.grad is not None and torch.isfinite(x.grad).all()


def test_a_short_way_within_a_long_range_keeps_its_digits():
    x = np.array([-1e150, 0.0, 1e150])
    moved = x + np.array([0.0, 1e-80, 0.0])
    for p in (2, 3.5):
        assert otgen.wasserstein_1d(x, moved, p=p) == pytest.approx(1e-80 * 3 ** (-1 / p), rel=1e-12)
    assert otgen.wasserstein_1d([0.0, 1.0], [0.0, 2.0], [1, 1e-250], [1, 1e-250], p=2) == pytest.approx(1e-125)


def test_map_does_not_follow_a_refilled_buffer():
    x, y = rng().normal(size=(2, 20, 2))
    result = otgen.solve_sample(x, y)
    before = result.map()
    y[:] = 0
    np.testing.assert_array_equal(result.map(), before)


def test_random_small_problems_against_pot():
    for seed in range(150):
        r = rng(seed)
        n, m, d = r.integers(1, 40), r.integers(1, 40), r.integers(1, 5)
        x, y = r.integers(-3, 4, (n, d)).astype(float), r.integers(-3, 4, (m, d)).astype(float)
        a, b = r.random(n) * (r.random(n) < 0.8) + 1e-9, r.random(m) + 1e-9
        a, b = a / a.sum(), b / b.sum()
        metric, p = ["euclidean", "cityblock", "chebyshev"][seed % 3], [1, 2, 3.5][seed % 2]
        C = cdist(x, y, metric) ** p  # pyright: ignore[reportCallIssue, reportArgumentType]
        result = honest(otgen.solve_sample(x, y, a, b, cost=(metric, p)))
        best = ot.emd2(a, b, C)
        assert result.converged and result.value == pytest.approx(best, rel=1e-8, abs=tol(float) * C.max())
