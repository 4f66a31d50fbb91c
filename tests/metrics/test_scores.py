"""FID, KID, exact W1 and the energy distance where they are known, and against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import naive_metrics as naive
import otgen
from otgen.metrics import energy, exact_w1, fid, kid
from tolerance import tol


def normals(n, d, seed, shift=0.0):
    return np.random.default_rng((seed, n, d)).normal(size=(n, d)) + shift


def test_fid_of_a_shift_is_its_square():
    x = normals(200, 6, 0)
    step = np.arange(6.0)
    assert fid(x, x + step) == pytest.approx(float(step @ step), rel=1e-9)
    assert fid(x, 3 * x) == pytest.approx(4 * float(np.trace(np.cov(x.T)) + (x.mean(0) ** 2).sum()), rel=1e-9)
    assert fid(x, x) == 0.0


def test_kid_of_one_subset_has_no_deviation():
    x, y = normals(9, 3, 1), normals(9, 3, 2, 0.5)
    assert kid(x, y, subsets=1).sd == 0.0


def test_kid_over_subsets_is_unbiased_and_seeded():
    x, y = normals(60, 4, 3), normals(50, 4, 4, 0.7)
    found = kid(x, y, subsets=400, size=20, seed=1)
    whole = naive.kid(x, y)
    assert abs(found.mean - whole) < 4 * found.sd / math.sqrt(400) and found.sd > 0
    assert kid(x, y, subsets=400, size=20, seed=np.random.default_rng(1)) == found
    assert kid(x, y, subsets=400, size=20, seed=2) != found


def test_kid_subsets_are_drawn_from_both_sides():
    x, y = normals(30, 2, 5), normals(12, 2, 6)
    rng = np.random.default_rng(7)
    values = []
    for _ in range(3):
        rows = rng.choice(30, 6, replace=False), rng.choice(12, 6, replace=False)
        values.append(naive.kid(x[rows[0]], y[rows[1]]))
    found = kid(x, y, subsets=3, seed=7)
    assert found == pytest.approx((np.mean(values), np.std(values, ddof=1)), rel=1e-8)


def test_exact_w1_and_energy_are_the_librarys_own():
    x, y = normals(40, 3, 8), normals(30, 3, 9, 1.0)
    assert exact_w1(x, y) == otgen.wasserstein(x, y)
    assert exact_w1(x, x + 2.0) == pytest.approx(2 * math.sqrt(3), rel=1e-6)
    assert energy(x, y) == pytest.approx(otgen.energy_distance_squared(x, y), rel=tol(float))
    a, b = np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]])
    assert energy(a, b) == pytest.approx(10.0, rel=tol(float))


def test_exact_w1_takes_at_most_so_many_points_of_a_side():
    x, y = normals(40, 2, 10), normals(25, 2, 11)
    found = exact_w1(x, y, points=25, seed=3)
    rows = np.random.default_rng(3).choice(40, 25, replace=False)
    assert found == otgen.wasserstein(x[rows], y) and found != exact_w1(x, y, points=25, seed=4)


def test_results_are_python_floats_for_tensors_too():
    x, y = (torch.from_numpy(normals(20, 2, seed)).float().requires_grad_() for seed in (0, 1))
    found = [fid(x, y), *kid(x, y, subsets=2), exact_w1(x, y), energy(x, y)]
    assert all(type(value) is float for value in found)


def test_bad_input():
    x = normals(6, 2, 12)
    with pytest.raises(
        ValueError, match="kid needs four rows a side and size >= 2; got 3 and 6 rows and size=1000. Draw more"
    ):
        kid(x[:3], x)
    with pytest.raises(ValueError, match="subsets must be an int >= 1; got 0"):
        kid(x, x, subsets=0)
    with pytest.raises(ValueError, match="size must be an int >= 1; got -3"):
        kid(x, x, size=-3)
    with pytest.raises(ValueError, match="seed must be an int >= 0"):
        kid(x, x, seed=-1)
    with pytest.raises(ValueError, match="points must be an int >= 1; got 0"):
        exact_w1(x, x, points=0)
    with pytest.raises(ValueError, match="must hold at least two samples"):
        fid(x[:1], x)
    for score in (fid, kid, exact_w1, energy):
        with pytest.raises(ValueError, match="y must be finite"):
            score(x, np.full((6, 2), math.nan))
