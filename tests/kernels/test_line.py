"""The line kernels against the definition."""

from __future__ import annotations

import math

import numpy as np
import pytest

import naive_line
from otgen_kernels.cpu import line
from tolerance import tol

SIZES = [(1, 1), (1, 5), (7, 7), (12, 8), (8, 12), (13, 11), (2000, 1500)]


def clouds(n, m, dtype=np.float64, seed=0):
    rng = np.random.default_rng((seed, n, m))
    a, b = rng.random(n) + 0.01, rng.random(m) + 0.01
    return rng.normal(size=n).astype(dtype), rng.normal(size=m).astype(dtype), a / a.sum(), b / b.sum()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [1, 2, 3.5])
@pytest.mark.parametrize(("n", "m"), SIZES)
def test_value_is_the_quantile_integral(n, m, p, dtype):
    x, y, a, b = clouds(n, m, dtype)
    weighted = line.wasserstein_1d(x[:, None], y[:, None], a, b, p=p)
    assert weighted.shape == (1,) and weighted.dtype == np.float64
    assert weighted[0] == pytest.approx(naive_line.wasserstein_1d(x, y, a, b, p), rel=tol(float))
    uniform = line.wasserstein_1d(x[:, None], y[:, None], None, None, p=p)[0]
    expected = naive_line.wasserstein_1d(x, y, naive_line.uniform(n), naive_line.uniform(m), p)
    assert uniform == pytest.approx(expected, rel=tol(float))


@pytest.mark.parametrize("weighted", [False, True])
def test_columns_are_solved_one_by_one(weighted):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 5)), rng.normal(size=(20, 5))
    a, b = clouds(30, 20)[2:] if weighted else (None, None)
    together = line.wasserstein_1d(x, y, a, b, p=2)
    alone = [line.wasserstein_1d(x[:, [k]].copy(), y[:, [k]].copy(), a, b, p=2)[0] for k in range(5)]
    assert together.tolist() == alone


def test_one_call_gives_the_same_bits_as_the_next():
    x, y, a, b = clouds(2000, 1500)
    first, second = (line.wasserstein_1d(x[:, None], y[:, None], a, b, p=1)[0] for _ in range(2))
    assert first == second


@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
@pytest.mark.parametrize("p", [1, 2, 7])
def test_no_power_over_or_underflows(p, scale):
    x, y, a, b = clouds(40, 30)
    unit = line.wasserstein_1d(x[:, None], y[:, None], a, b, p=p)[0]
    assert line.wasserstein_1d(scale * x[:, None], scale * y[:, None], a, b, p=p)[0] == pytest.approx(scale * unit)


def test_a_rounding_remainder_goes_to_the_last_point():
    x, y = np.array([0.0, 1.0, 2.0]), np.array([0.5, 2.0])
    thirds, halves = np.array([0.1, 0.2, 0.7]), np.array([0.3, 0.7 * (1 + 1e-15)])
    for one, other in (((x, thirds), (y, halves)), ((y, halves), (x, thirds))):
        value = line.wasserstein_1d(one[0][:, None], other[0][:, None], one[1], other[1], p=1)[0]
        assert value == pytest.approx(0.1 * 0.5 + 0.2 * 0.5, rel=tol(float))


@pytest.mark.parametrize("p", [1, 1.5, 2, 4])
@pytest.mark.parametrize(("n", "m"), SIZES[:-1])
@pytest.mark.parametrize("weighted", [False, True])
def test_staircase_is_a_plan_with_duals_that_prove_it(n, m, p, weighted):
    x, y, a, b = clouds(n, m)
    if not weighted:
        a, b, _ = line.uniform_masses(n, m)
    rows, cols, mass, f, g = line.staircase(x, y, a, b, p=p)
    assert len(rows) <= n + m - 1 and (mass > 0).all()
    np.testing.assert_allclose(np.bincount(rows, mass, n), a, rtol=tol(float))
    np.testing.assert_allclose(np.bincount(cols, mass, m), b, rtol=tol(float))
    costs = np.abs(x[:, None] - y) ** p
    slack = costs - f[:, None] - g
    assert slack.min() >= -tol(float) * costs.max()
    np.testing.assert_allclose(a @ f + b @ g, mass @ costs[rows, cols], rtol=tol(float))


def test_staircase_of_a_cloud_with_itself_has_zero_duals():
    x = np.random.default_rng(0).normal(size=20)
    a, b, _ = line.uniform_masses(20, 20)
    rows, cols, mass, f, g = line.staircase(x, x[::-1].copy(), a, b, p=2)
    assert (rows == 19 - cols).all() and (mass == 1).all()
    assert np.abs(f).max() < tol(float) and np.abs(g).max() < tol(float)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (6, 4), (5, 7)])
def test_uniform_masses_are_whole_and_equal(n, m):
    a, b, total = line.uniform_masses(n, m)
    assert a.sum() == b.sum() == total == math.lcm(n, m) and (a % 1 == 0).all() and (b % 1 == 0).all()


@pytest.mark.parametrize("p", [1, 1.5, 2, 5])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 9), (9, 1), (50, 70), (257, 31)])
@pytest.mark.parametrize("ties", [False, True])
def test_c_transform_is_feasible_and_all_but_the_minimum(n, m, p, ties):
    x, y, _, _ = clouds(n, m)
    g = np.random.default_rng(1).normal(size=m)
    if ties:
        x, y, g = np.round(x, 1), np.round(y, 1), np.abs(np.round(y, 1)) ** p  # many rows are indifferent
    values = line.c_transform_1d(x, y, g, p=p)
    exact = (np.abs(x[:, None] - y) ** p - g).min(axis=1)
    assert (values <= exact).all()
    np.testing.assert_allclose(values, exact, rtol=0, atol=tol(float) * (1 + np.abs(exact).max()))
