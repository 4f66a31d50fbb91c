"""Derivatives on the line against differences of the definition, and the kernel of values."""

from __future__ import annotations

import numpy as np
import pytest

import naive_line
from otgen_kernels.cpu import line, line_gradients
from tolerance import tol

STEP = 1e-6
SIZES = [(1, 1), (1, 5), (7, 7), (12, 8), (8, 12)]


def clouds(n, m, columns=2, seed=0):
    rng = np.random.default_rng((seed, n, m))
    a, b = rng.random(n) + 0.1, rng.random(m) + 0.1
    return rng.normal(size=(n, columns)), rng.normal(size=(m, columns)), a / a.sum(), b / b.sum()


@pytest.mark.parametrize("p", [1, 2, 3.5])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "m"), SIZES)
def test_point_gradients_are_differences_of_the_definition(n, m, weighted, p):
    x, y, a, b = clouds(n, m)
    own, other = (a, b) if weighted else (naive_line.uniform(n), naive_line.uniform(m))
    values, by_x, by_y = line_gradients.gradients_1d(x, y, *((a, b) if weighted else (None, None)), p=p)
    np.testing.assert_allclose(
        values, line.wasserstein_1d(x, y, *((a, b) if weighted else (None, None)), p=p), rtol=tol(float)
    )
    for k in range(x.shape[1]):
        for points, gradient in ((x, by_x), (y, by_y)):
            for i in range(len(points)):
                ends = []
                for sign in (1, -1):
                    kept = points[i, k]
                    points[i, k] += sign * STEP
                    ends.append(naive_line.wasserstein_1d(x[:, k], y[:, k], own, other, p))
                    points[i, k] = kept
                assert gradient[k, i] == pytest.approx((ends[0] - ends[1]) / (2 * STEP), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("p", [1, 2, 3.5])
def test_weight_gradients_are_differences_of_the_definition(p):
    x, y, a, b = clouds(6, 5)
    a[2] = b[0] = 0.0
    a, b = a / a.sum(), b / b.sum()
    by = line_gradients.potentials_1d(x, y, a, b, line.wasserstein_1d(x[a > 0], y[b > 0], a[a > 0], b[b > 0], p=p), p=p)
    for k in range(x.shape[1]):

        def distance(one, other, k=k):
            return naive_line.wasserstein_1d(x[:, k], y[:, k], one / one.sum(), other / other.sum(), p)

        for side, weights in enumerate((a, b)):
            found = by[side][k] - by[side][k] @ weights
            for i in range(len(weights)):
                moved = [a.copy(), b.copy()]
                moved[side][i] += STEP
                numeric = (distance(*moved) - distance(a, b)) / STEP  # one-sided: a weight of 0 only grows
                assert found[i] == pytest.approx(numeric, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1e150, 1e300])
@pytest.mark.parametrize("p", [1, 2, 40])
def test_point_gradients_know_no_scale(p, scale):
    x, y, a, b = clouds(9, 7)
    unit = line_gradients.gradients_1d(x, y, a, b, p=p)
    scaled = line_gradients.gradients_1d(scale * x, scale * y, a, b, p=p)
    for one, other in zip(unit[1:], scaled[1:]):
        np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("p", [1, 1.5, 2])
def test_equal_columns_and_equal_points_have_gradient_zero(p):
    x = np.array([[0.0, 0.0], [1.0, 5.0], [1.0, 2.0]])
    y = np.array([[1.0, 0.0], [0.0, 6.0], [1.0, 2.0]])
    values, by_x, by_y = line_gradients.gradients_1d(x, y, None, None, p=p)
    assert values[0] == 0.0 and not by_x[0].any() and not by_y[0].any()
    slope = (1 / values[1]) ** (p - 1) / 3
    np.testing.assert_allclose(by_x[1], [0, -slope, 0], rtol=tol(float))
    np.testing.assert_allclose(by_y[1], [0, slope, 0], rtol=tol(float))
    a = np.full(3, 1 / 3)
    found = line_gradients.potentials_1d(x, y, a, a, np.zeros(2), p=p)
    assert not found[0].any() and not found[1].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_clouds_are_sorted_by_packed_numbers_and_agree_with_small_steps(dtype):
    """Euler: W_p is 1-homogeneous, so the gradients times the points add up to it."""
    x, y, a, b = clouds(6000, 5000, 1)
    x, y = x.astype(dtype), y.astype(dtype)
    values, by_x, by_y = line_gradients.gradients_1d(x, y, a, b, p=2)
    assert by_x.dtype == by_y.dtype == dtype
    assert values[0] == pytest.approx(line.wasserstein_1d(x, y, a, b, p=2)[0], rel=tol(float))
    assert by_x[0].astype(float) @ x[:, 0] + by_y[0].astype(float) @ y[:, 0] == pytest.approx(values[0], rel=tol(dtype))
    assert by_x.sum(dtype=float) == pytest.approx(-by_y.sum(dtype=float), rel=tol(dtype))


def test_the_number_of_threads_changes_no_bit(monkeypatch):
    x, y, a, b = clouds(50, 40, 9)
    found = []
    for threads in ("1", "3"):
        monkeypatch.setenv("OTGEN_NUM_THREADS", threads)
        found.append(line_gradients.gradients_1d(x, y, a, b, p=1.5))
    for one, other in zip(*found):
        np.testing.assert_array_equal(one, other)
