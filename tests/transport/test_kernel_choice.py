"""How a kernel is named, what it refuses, and the median heuristic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import naive_kernels as naive
import otgen
from otgen.transport.kernel_choice import MEDIAN_POINTS, SCALES, median_distance, parse_kernel


def test_defaults_are_those_of_the_papers():
    assert parse_kernel("imq", None, "median").scales == (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
    assert parse_kernel("rational_quadratic", None, 2).bandwidth == 2.0
    assert parse_kernel("gaussian", [1, np.float32(2)], "median").scales == (1.0, 2.0)
    assert set(SCALES) == {"gaussian", "laplace", "imq", "rational_quadratic", "polynomial", "energy"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"kernel": "rbf"}, r"kernel must be one of gaussian, .*; got 'rbf'. Pass 'imq'"),
        ({"kernel": None}, r"kernel must be one of"),
        ({"scales": 2.0}, r"scales must be a list of finite numbers > 0.*got 2.0. Leave it None for \[0.1"),
        ({"scales": []}, r"scales must be a list"),
        ({"scales": [1.0, 0.0]}, r"scales must be a list"),
        ({"scales": [float("inf")]}, r"scales must be a list"),
        ({"scales": [True]}, r"scales must be a list"),
        ({"bandwidth": "mean"}, r"bandwidth must be 'median' or a finite length > 0; got 'mean'"),
        ({"bandwidth": 0.0}, r"bandwidth must be 'median' or a finite length > 0; got 0.0"),
        ({"bandwidth": float("nan")}, r"bandwidth must be 'median'"),
        ({"bandwidth": None}, r"bandwidth must be 'median'"),
        ({"bandwidth": np.ones(2)}, r"bandwidth must be 'median' or a finite length > 0; got array"),
        ({"kernel": "energy", "scales": np.ones(2)}, r"scales must be left out for kernel='energy'"),
        ({"kernel": "energy", "bandwidth": 1.0}, r"bandwidth must be left out for kernel='energy'.*got 1.0"),
        ({"kernel": "polynomial", "scales": [1.0]}, r"scales must be left out for kernel='polynomial'"),
        ({"estimator": "v"}, r"estimator must be one of unbiased, biased, linear; got 'v'"),
        ({"seed": -1}, r"seed must be an int >= 0"),
    ],
)
def test_what_it_refuses(rng, given, says):
    with pytest.raises(ValueError, match=says):
        otgen.mmd_squared(rng.normal(size=(4, 2)), rng.normal(size=(4, 2)), **given)


def median_of(x, y, a, b, rng):
    return median_distance(np.concatenate([x, y]), np.concatenate([a / a.sum(), b / b.sum()]), rng)


@pytest.mark.parametrize(("n", "m"), [(7, 7), (8, 8), (2, 9)])
def test_the_median_is_that_of_pairs_that_differ(rng, n, m):
    x, y = rng.normal(size=(n, 3)), rng.normal(size=(m, 3))
    y[0] = x[0]  # one pair that does not
    a, b = np.full(n, 1.0 / n), np.full(m, 1.0 / m)
    found = median_of(x, y, a, b, rng)
    masses = [Fraction(1, n)] * n + [Fraction(1, m)] * m
    assert found == pytest.approx(naive.weighted_median_distance([*x, *y], masses), rel=1e-14)
    if n == m:
        assert found == pytest.approx(naive.median_distance([*x, *y]), rel=1e-14)
    # Weights are what repeated points are: each cloud has half of the mass, n * m points.
    ones = np.full(n * m, 1.0)
    again = median_of(np.repeat(x, m, axis=0), np.repeat(y, n, axis=0), ones, ones, rng)
    assert again == pytest.approx(found, rel=1e-14)


@pytest.mark.parametrize("masses", [(1, 1, 1, 1), (3, 1, 1, 1), (1, 2, 4, 8), (7, 1, 5, 5), (1, 1, 1, 3)])
def test_the_weighted_median_is_the_mean_of_two_where_the_half_falls_between_them(rng, masses):
    points = rng.normal(size=(4, 2))
    expected = naive.weighted_median_distance(points, masses)
    for unit in (1.0, 0.1, 1.0 / 3.0):  # rounding of the weights moves no half
        found = median_distance(points, unit * np.array(masses, float), rng)
        assert found == pytest.approx(expected, rel=1e-14)


def test_the_half_between_two_distances_by_hand(rng):
    points = np.array([[0.0], [1.0], [4.0]])  # pairs at 1, 3 and 4
    assert median_distance(points, np.array([2.0, 1.0, 1.0]), rng) == pytest.approx(3.0)  # they weigh 2, 1 and 2
    between = median_distance(points, np.array([2.0, 1.0, 2.0]), rng)  # 2, 2 and 4
    assert between == pytest.approx(np.sqrt((9.0 + 16.0) / 2), rel=1e-14)


@pytest.mark.parametrize("unit", [1e-150, 1e150, 2.0**40])
def test_the_median_has_the_units_of_points(rng, unit):
    x, y = rng.normal(size=(9, 2)), rng.normal(size=(9, 2))
    w = np.full(9, 1.0)
    ratio = median_of(unit * x, unit * y, w, w, rng) / unit
    assert ratio == pytest.approx(median_of(x, y, w, w, rng), rel=1e-12)


def test_points_without_weight_and_points_that_coincide_take_no_part(rng):
    x = np.zeros((5, 2))
    w = np.full(5, 0.2)
    with pytest.raises(ValueError, match=r"bandwidth='median' needs points that differ; all.*coincide. Pass a length"):
        otgen.mmd_squared(x, x)
    assert otgen.mmd_squared(x, x, bandwidth=1.0) == otgen.mmd_squared(x, x, kernel="energy") == 0.0
    assert otgen.mmd_squared(x, x + 3.0, estimator="biased") > 0.0
    far = np.concatenate([rng.normal(size=(5, 2)), [[1e9, 0.0]]])
    b = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.0])
    assert otgen.mmd_squared(x, far, 5 * w, b) == otgen.mmd_squared(x, far[:5], 5 * w, b[:5])


@pytest.mark.parametrize("weighted", [False, True])
def test_of_many_points_some_are_drawn_by_a_seed(rng, weighted):
    x, y = rng.normal(size=(4 * MEDIAN_POINTS, 2)), rng.normal(size=(4 * MEDIAN_POINTS, 2))
    a = np.where(x[:, 0] > 0, 1.0, 1e-9 if weighted else 1.0)
    found = [median_of(x, y, a, a, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]
    if not weighted:  # |z - z'|^2 / 2 is chi-squared of two degrees: its median is 2 log 2
        assert found[0] == pytest.approx(np.sqrt(4.0 * np.log(2.0)), rel=0.05)
