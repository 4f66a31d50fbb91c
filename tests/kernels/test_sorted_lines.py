"""Rows that are sorted once: the same distances as of points in any order, and as of exact fractions."""

from __future__ import annotations

import numpy as np
import pytest

import naive_line as naive
import otgen_kernels as kernels
from tolerance import tol


def rows(rng, n, k=3):
    return np.round(rng.normal(size=(k, n)), 1)  # with ties


@pytest.mark.parametrize("p", [1.0, 2.0, 3.5])
@pytest.mark.parametrize(("n", "m"), [(7, 7), (6, 4), (1, 5), (1, 1)])
@pytest.mark.parametrize("weighted", [False, True])
def test_they_have_the_distances_of_their_definition(rng, n, m, p, weighted):
    x, y = rows(rng, n), rows(rng, m)
    a, b = (w / w.sum() for w in (rng.integers(1, 4, n).astype(float), rng.integers(1, 4, m).astype(float)))
    (u, of_u), (v, of_v) = (kernels.sorted_rows(z, w if weighted else None) for z, w in ((x, a), (y, b)))
    found = kernels.wasserstein_sorted(u, v, of_u, of_v, p=p)
    a, b = (a, b) if weighted else (naive.uniform(n), naive.uniform(m))
    for row in range(3):
        assert found[row] == pytest.approx(naive.wasserstein_1d(x[row], y[row], a, b, p), rel=tol(float), abs=1e-15)
    np.testing.assert_array_equal(found, kernels.wasserstein_1d(x.T, y.T, *((a, b) if weighted else (None, None)), p=p))


@pytest.mark.parametrize("n", [50, 5000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_go_with_their_points(rng, n, dtype):
    x, a = rng.normal(size=(2, n)).astype(dtype), rng.random(n)
    given = x.copy()
    found, beside = kernels.sorted_rows(x, a)
    alone, nothing = kernels.sorted_rows(x, None)
    assert nothing is None and found.dtype == alone.dtype == np.float64 and beside is not None
    np.testing.assert_array_equal(found, alone)
    np.testing.assert_array_equal(x, given)
    for row in range(2):
        order = np.argsort(x[row], kind="stable")
        np.testing.assert_array_equal(found[row], x[row][order])
        np.testing.assert_array_equal(beside[row], a[order])
