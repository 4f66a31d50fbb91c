"""Transport on lines of the GPU against that of the host and against exact fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import naive_line
from otgen_kernels.cpu import line as on_host
from otgen_kernels.cpu import line_gradients as gradients_on_host
from otgen_kernels.cpu import sorted_lines as sorted_on_host
from otgen_kernels.cuda import line, line_gradients, prefix, sorted_lines
from tolerance import tol

SIZES = [(1, 1), (1, 5), (7, 7), (12, 8), (300, 200), (2100, 1501)]
RELATIVE = {np.float32: 1e-4, np.float64: 1e-11}  # of gradients


def clouds(n, m, columns=2, dtype: type = np.float64, seed=0):
    """Points, some of which both clouds have, and weights of mass 1."""
    rng = np.random.default_rng((seed, n, m))
    x, y = rng.normal(size=(n, columns)).astype(dtype), rng.normal(size=(m, columns)).astype(dtype)
    y[: min(n, m) // 4] = x[: min(n, m) // 4]
    a, b = rng.random(n) + 0.01, rng.random(m) + 0.01
    return x, y, a / a.sum(), b / b.sum()


def on_device(cupy, *arrays):
    return [None if array is None else cupy.asarray(array) for array in arrays]


@pytest.mark.parametrize("n", [1, 7, 2048, 2049, 7000])
def test_running_sums_keep_twice_the_digits(cupy, rng, n):
    values = rng.normal(size=(3, n)) * 10.0 ** rng.integers(-18, 18, (3, n))
    hi, lo = (cupy.asnumpy(part) for part in prefix.running_sums(cupy.asarray(values)))
    assert prefix.running_sums(cupy.asarray(values), low=False)[1] is None
    for row in range(3):
        total, size = Fraction(0), Fraction(0)
        for i, value in enumerate(values[row]):
            total, size = total + Fraction(value), size + abs(Fraction(value))
            if i % 97 == 0 or i == n - 1:
                assert abs(Fraction(hi[row, i]) + Fraction(lo[row, i]) - total) <= Fraction(2.0**-100) * size
                assert hi[row, i] + lo[row, i] == hi[row, i]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [1.0, 2.0, 3.5])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "m"), SIZES)
def test_distances_and_point_gradients_are_those_of_the_host(cupy, n, m, weighted, p, dtype):
    x, y, a, b = clouds(n, m, dtype=dtype)
    given = x, y, *((a, b) if weighted else (None, None))
    wanted = gradients_on_host.gradients_1d(*given, p=p)
    there = on_device(cupy, *given)
    values = cupy.asnumpy(line.wasserstein_1d(*there, p=p))
    assert values.dtype == np.float64
    np.testing.assert_allclose(values, on_host.wasserstein_1d(*given, p=p), rtol=1e-12)
    again, *found = (cupy.asnumpy(part) for part in line_gradients.gradients_1d(*there, p=p))
    np.testing.assert_array_equal(again, values)
    for ours, theirs in zip(found, wanted[1:]):
        assert ours.dtype == dtype and ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=RELATIVE[dtype], atol=RELATIVE[dtype] * np.abs(theirs).max())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "m"), [(12, 8), (300, 300)])
def test_duplicates_share_what_they_have_together(cupy, n, m, weighted):
    x, y, a, b = (np.round(z, 1) if z.ndim == 2 else z for z in clouds(n, m))
    weights = (a, b) if weighted else (None, None)
    values, *found = (cupy.asnumpy(z) for z in line_gradients.gradients_1d(*on_device(cupy, x, y, *weights), p=2.0))
    wanted = gradients_on_host.gradients_1d(x, y, *weights, p=2.0)
    np.testing.assert_allclose(values, wanted[0], rtol=1e-12)
    for points, ours, theirs in zip((x, y), found, wanted[1:]):
        for k in range(2):  # which of equal points comes first is nobody's to say
            places = np.unique(points[:, k], return_inverse=True)[1]
            sums = (np.bincount(places, part[k]) for part in (ours, theirs))
            np.testing.assert_allclose(next(sums), next(sums), rtol=0, atol=1e-13)


@pytest.mark.parametrize(("n", "m"), [(1, 700), (3, 1000)])
def test_a_point_of_many_segments_is_added_up_by_its_warp(cupy, n, m):
    x, y, a, b = clouds(n, m)
    _, *found = line_gradients.gradients_1d(*on_device(cupy, x, y, a, b), p=3.0)
    for ours, theirs in zip(found, gradients_on_host.gradients_1d(x, y, a, b, p=3.0)[1:]):
        np.testing.assert_allclose(cupy.asnumpy(ours), theirs, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("p", [1, 2, 3])
def test_a_weight_that_is_far_smaller_than_the_others_keeps_its_digits(cupy, p):
    """A cumulated float64 would lose 1e-19 of mass 1, which carries half the distance here."""
    x, y = np.array([0.0, 1.0, 2.0, 3.0e9]), np.array([0.1, 1.0, 2.0])
    a, b = np.array([0.25, 0.5, 0.25, 1e-19]), np.array([0.3, 0.3, 0.4])
    found = line.wasserstein_1d(*on_device(cupy, 1e10 * x[:, None], 1e10 * y[:, None], a, b), p=p)
    wanted = 1e10 * naive_line.wasserstein_1d(x, y, a, b, p)
    without = 1e10 * naive_line.wasserstein_1d(x[:3], y, a[:3], b, p)
    assert float(found[0]) == pytest.approx(wanted, rel=tol(float))
    assert p == 1 or abs(wanted - without) > 1e-3 * wanted


@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1e150, 1e300])
@pytest.mark.parametrize("p", [1, 2, 7])
def test_no_power_over_or_underflows(cupy, p, scale):
    x, y, a, b = clouds(40, 30)
    for weights in ((a, b), (None, None)):
        there = on_device(cupy, scale * x, scale * y, *weights)
        values, *found = line_gradients.gradients_1d(*there, p=p)
        unit = gradients_on_host.gradients_1d(x, y, *weights, p=p)
        np.testing.assert_allclose(cupy.asnumpy(values), scale * unit[0], rtol=1e-12)
        for ours, theirs in zip(found, unit[1:]):
            np.testing.assert_allclose(cupy.asnumpy(ours), theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_displacements_far_below_the_range_are_measured_in_their_own_unit(cupy, weighted):
    x = np.linspace(0.0, 1.0, 30)[:, None]
    x, y = np.hstack([x, 1e-130 * x, x]), np.hstack([x, 3e-130 * x, x])
    x[0, 2] = -1e-170  # one displacement in a range of 1, whose square is no number
    a = np.full(30, 1 / 30) if weighted else None
    values = cupy.asnumpy(line.wasserstein_1d(*on_device(cupy, x, y, a, a), p=2.0))
    np.testing.assert_allclose(values, on_host.wasserstein_1d(x, y, a, a, p=2.0), rtol=1e-12)
    assert values[0] == 0.0 and values[2] == pytest.approx(1e-170 / np.sqrt(30))


def test_distances_beyond_float64_are_infinite(cupy):
    x, y = np.array([[1.5e308], [1.4e308]]), np.array([[-1.5e308], [-1.4e308]])
    assert float(line.wasserstein_1d(*on_device(cupy, x, y, None, None), p=2.0)[0]) == np.inf
    weights = on_device(cupy, np.array([0.4, 0.6]), np.array([0.6, 0.4]))
    assert float(line.wasserstein_1d(*on_device(cupy, x, y), *weights, p=1.0)[0]) == np.inf


def test_a_rounding_remainder_goes_to_the_last_point(cupy):
    x, y = np.array([0.0, 1.0, 2.0]), np.array([0.5, 2.0])
    thirds, halves = np.array([0.1, 0.2, 0.7]), np.array([0.3, 0.7 * (1 + 1e-15)])
    for one, other in (((x, thirds), (y, halves)), ((y, halves), (x, thirds))):
        there = on_device(cupy, one[0][:, None], other[0][:, None], one[1], other[1])
        assert float(line.wasserstein_1d(*there, p=1)[0]) == pytest.approx(0.1 * 0.5 + 0.2 * 0.5, rel=tol(float))


@pytest.mark.parametrize("limits", [(1, 1), (1 << 24, 1)])
@pytest.mark.parametrize("weighted", [False, True])
def test_columns_by_columns_and_rows_sorted_alone_change_nothing(cupy, monkeypatch, weighted, limits):
    x, y, a, b = on_device(cupy, *clouds(40, 33, 5))
    weights = (a, b) if weighted else (None, None)

    def everything():
        values, *gradients = line_gradients.gradients_1d(x, y, *weights, p=1.5)
        found = [values, *gradients, *line_gradients.potentials_1d(x, y, a, b, values, p=1.5)]
        return [cupy.asnumpy(part) for part in (*found, line.wasserstein_1d(x, y, *weights, p=1.5))]

    whole = everything()
    monkeypatch.setattr(line, "LINE_NUMBERS", limits[0])
    monkeypatch.setattr(line, "ROW_BY_ROW", limits[1])
    for one, other in zip(whole, everything()):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0])
@pytest.mark.parametrize(("n", "m"), SIZES[:-1])
@pytest.mark.parametrize("weights", ["real", "whole"])
def test_staircases_are_those_of_the_host(cupy, n, m, weights, p):
    x, y, a, b = (part[:, 0] if part.ndim == 2 else part for part in clouds(n, m))
    if weights == "whole":
        a, b, _ = on_host.uniform_masses(n, m)
    wanted = on_host.staircase(x, y, a, b, p=p)
    rows, cols, mass, f, g = (cupy.asnumpy(part) for part in line.staircase(*on_device(cupy, x, y, a, b), p=p))
    assert rows.dtype == cols.dtype == np.int64 and (mass > 0).all()
    dense = np.zeros((2, n, m))
    np.add.at(dense[0], (rows, cols), mass)
    np.add.at(dense[1], wanted[:2], wanted[2])
    np.testing.assert_allclose(dense[0], dense[1], rtol=0, atol=1e-13 * a.sum())
    costs = np.abs(x[:, None] - y) ** p
    assert (costs - f[:, None] - g).min() >= -tol(float) * costs.max()
    for ours, theirs in ((f, wanted[3]), (g, wanted[4])):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tol(float) * max(1.0, costs.max()))


def test_the_staircase_of_a_cloud_with_itself_has_zero_duals(cupy, rng):
    x, a = rng.normal(size=3000), rng.random(3000)
    rows, cols, mass, f, g = line.staircase(*on_device(cupy, x, x[::-1].copy(), a, a[::-1].copy()), p=2.0)
    np.testing.assert_array_equal(cupy.asnumpy(rows), 2999 - cupy.asnumpy(cols))
    np.testing.assert_allclose(cupy.asnumpy(mass), a[cupy.asnumpy(rows)], rtol=1e-15)
    assert not cupy.asnumpy(f).any() and not cupy.asnumpy(g).any()


@pytest.mark.parametrize("p", [1, 1.5, 2, 5])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 900), (9, 1), (50, 70), (300, 31)])
@pytest.mark.parametrize("ties", [False, True])
def test_c_transform_is_feasible_and_that_of_the_host(cupy, n, m, p, ties):
    x, y = (part[:, 0] for part in clouds(n, m)[:2])
    g = np.random.default_rng(1).normal(size=m)
    if ties:
        x, y, g = np.round(x, 1), np.round(y, 1), np.abs(np.round(y, 1)) ** p  # many rows are indifferent
    values = cupy.asnumpy(line.c_transform_1d(*on_device(cupy, x, y, g), p=p))
    exact = (np.abs(x[:, None] - y) ** p - g).min(axis=1)
    assert (values <= exact).all()
    np.testing.assert_allclose(values, on_host.c_transform_1d(x, y, g, p=p), atol=1e-13 * (1 + np.abs(exact).max()))


@pytest.mark.parametrize("p", [1.0, 2.0, 3.5])
@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
@pytest.mark.parametrize("empty", ["neither", "x", "y", "both"])
def test_weight_gradients_are_those_of_the_host(cupy, empty, scale, p):
    x, y, a, b = clouds(23, 31, 3)
    for weights, side in ((a, "x"), (b, "y")):
        weights[[2, 3, -1]] *= empty not in (side, "both")
        weights /= weights.sum()
    x, y = scale * x, scale * y
    distances = on_host.wasserstein_1d(x[a > 0], y[b > 0], a[a > 0], b[b > 0], p=p)
    distances[1] = 0.0
    wanted = gradients_on_host.potentials_1d(x, y, a, b, distances, p=p)
    found = line_gradients.potentials_1d(*on_device(cupy, x, y, a, b, distances), p=p)
    for ours, theirs in zip(found, wanted):
        np.testing.assert_allclose(cupy.asnumpy(ours), theirs, rtol=0, atol=1e-11 * np.abs(theirs).max())
        assert not cupy.asnumpy(ours)[1].any()


def test_equal_columns_and_equal_points_have_gradient_zero(cupy):
    x, y = np.array([[0.0, 0.0], [1.0, 5.0], [1.0, 2.0]]), np.array([[1.0, 0.0], [0.0, 6.0], [1.0, 2.0]])
    values, by_x, by_y = (cupy.asnumpy(z) for z in line_gradients.gradients_1d(*on_device(cupy, x, y, None, None), p=2))
    assert values[0] == 0.0 and not by_x[0].any() and not by_y[0].any()
    np.testing.assert_allclose(by_x[1], [0, -1 / values[1] / 3, 0], rtol=tol(float))
    np.testing.assert_allclose(by_y[1], [0, 1 / values[1] / 3, 0], rtol=tol(float))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_that_are_sorted_once(cupy, weighted, dtype):
    x, y, a, b = clouds(40, 25, 3, dtype)
    a, b = (a, b) if weighted else (None, None)
    (u, of_u), (v, of_v) = (
        sorted_lines.sorted_rows(*on_device(cupy, z.T, w)) for z, w in ((x, a), (y, b))
    )  # fmt: skip
    wanted = [sorted_on_host.sorted_rows(z.T, w) for z, w in ((x, a), (y, b))]
    assert u.dtype == np.float64 and (of_u is None) == (not weighted)
    np.testing.assert_array_equal(cupy.asnumpy(u), wanted[0][0])
    found = sorted_lines.wasserstein_sorted(u, v, of_u, of_v, p=2.5)
    (u, of_u), (v, of_v) = wanted
    theirs = sorted_on_host.wasserstein_sorted(u, v, of_u, of_v, p=2.5)
    np.testing.assert_allclose(cupy.asnumpy(found), theirs, rtol=1e-12)
