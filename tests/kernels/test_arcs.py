"""Lists of arcs against plain Python."""

from __future__ import annotations

import numpy as np
import pytest

import naive
from otgen_kernels import host
from tolerance import tol


@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "chebyshev"])
@pytest.mark.parametrize("p", [1, 1.5, 2, 4])
def test_arc_costs(metric, p):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 11)), rng.normal(size=(5, 11))
    rows, cols = rng.integers(6, size=9).astype(np.int32), rng.integers(5, size=9).astype(np.int32)
    expected = [naive.cost(x[i], y[j], metric, p) for i, j in zip(rows, cols)]
    np.testing.assert_allclose(host.arc_costs(x, y, rows, cols, metric=metric, p=p), expected, rtol=tol(float))
    matrix = host.cost_matrix(x, y, metric=metric, p=p)
    assert matrix.shape == (6, 5)
    np.testing.assert_allclose(matrix[rows, cols], expected, rtol=tol(float))


def test_merge_arcs_is_the_sorted_union():
    rng = np.random.default_rng(0)
    n, m = 8, 6
    by_row, by_col = rng.integers(-1, m, (n, 3)), rng.integers(-1, n, (m, 4))
    extra_i, extra_j = (rng.integers(size, size=5).astype(np.int32) for size in (n, m))
    expected = {(i, int(j)) for i in range(n) for j in by_row[i] if j >= 0}
    expected |= {(int(i), j) for j in range(m) for i in by_col[j] if i >= 0}
    expected |= set(zip(extra_i.tolist(), extra_j.tolist()))
    rows, cols = host.merge_arcs(n, m, by_row, by_col, extra_i, extra_j)
    assert list(zip(rows.tolist(), cols.tolist())) == sorted(expected)


def test_merge_of_nothing_is_empty():
    none = np.empty(0, np.int32)
    rows, cols = host.merge_arcs(3, 2, np.full((3, 2), -1), np.full((2, 2), -1), none, none)
    assert rows.size == cols.size == 0


def test_refine_arcs_are_all_pairs_of_children():
    rows, cols = host.refine_arcs(np.array([0, 1]), np.array([1, 0]), np.array([0, 2, 3]), np.array([0, 1, 3]))
    assert sorted(zip(rows.tolist(), cols.tolist())) == [(0, 1), (0, 2), (1, 1), (1, 2), (2, 0)]


def test_ship_leftovers_uses_both_sides_up():
    a, b = np.array([0.0, 2.0, 3.0]), np.array([4.0, 0.0, 1.0])
    rows, cols, mass = host.ship_leftovers(a.copy(), b.copy())
    np.testing.assert_allclose(np.bincount(rows, mass, 3), a)
    np.testing.assert_allclose(np.bincount(cols, mass, 3), b)


@pytest.mark.parametrize("k", [1, 3, 7])
def test_smallest_of_a_matrix(k):
    rng = np.random.default_rng(0)
    cost, h, f = rng.integers(0, 5, (9, 7)).astype(float), rng.normal(size=7).round(), rng.normal(size=9).round()
    values, columns = host.matrix_smallest_k(cost, h, k)
    for i in range(9):
        assert list(zip(values[i], columns[i])) == sorted((cost[i, j] - h[j], j) for j in range(7))[:k]
    values, rows = host.matrix_smallest_k_columns(cost, f, k)
    for j in range(7):
        assert list(zip(values[j], rows[j])) == sorted((cost[i, j] - f[i], i) for i in range(9))[:k]
