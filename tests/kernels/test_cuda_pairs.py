"""The pair reductions of the GPU against those of the host, which tests/naive.py defines."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from otgen_kernels.cpu import pairs as on_host
from otgen_kernels.cuda import device, pairs

COSTS = [("euclidean", 2.0), ("euclidean", 1.0), ("cityblock", 1.0), ("chebyshev", 2.0), ("cosine", 1.0),
         ("euclidean", 3.0)]  # fmt: skip
SIZES = [(1, 1, 1), (5, 7, 2), (70, 130, 3), (65, 200, 20)]


def clouds(rng, n, m, d, dtype):
    x, y = rng.normal(size=(n, d)).astype(dtype), rng.normal(size=(m, d)).astype(dtype)
    y[: min(n, m) // 2] = x[: min(n, m) // 2]  # coincident points
    y[m // 2 :] = y[m // 2]  # and duplicates: ties
    return x, y, 0.1 * rng.normal(size=m) * (np.arange(m) < m // 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("metric", "p"), COSTS)
@pytest.mark.parametrize(("n", "m", "d"), SIZES)
def test_both_reductions_are_those_of_the_host(cupy, rng, n, m, d, metric, p, dtype):
    x, y, h = clouds(rng, n, m, d, dtype)
    ours = pairs.PairIndex(cupy.asarray(x), cupy.asarray(y), metric=metric, p=p)
    theirs = on_host.PairIndex(x, y, metric=metric, p=p)
    g = rng.normal(size=n)
    costs = cdist(x.astype(np.float64), y.astype(np.float64), metric) ** p

    def both(name, offsets, *k):
        given = None if offsets is None else cupy.asarray(offsets)
        ours_found = tuple(cupy.asnumpy(part) for part in getattr(ours, name)(given, *k))
        check(costs.T if name.endswith("_t") else costs, offsets, ours_found, getattr(theirs, name)(offsets, *k))

    for k in (1, min(m, 3), min(m, 40)):
        both("smallest_k", h, k)
        both("smallest_k", None, k)
    both("smallest_k_t", g, min(n, 4))
    both("c_transform", h)
    both("c_transform_t", g)


def check(costs, h, found, wanted):
    """Values agree to rounding; each index is of a pair that has its value, and none comes twice in a row."""
    values, indices = found
    assert values.dtype == np.float64 and indices.dtype == np.int64
    np.testing.assert_allclose(values, wanted[0], rtol=1e-12, atol=1e-14)
    offset = 0.0 if h is None else h[indices]
    columns = indices if indices.ndim == 2 else indices[:, None]
    reached = np.take_along_axis(costs, columns, 1).reshape(indices.shape) - offset
    np.testing.assert_allclose(values, reached, rtol=1e-9, atol=1e-12)
    assert all(len(set(row)) == len(row) for row in columns.tolist())


@pytest.mark.parametrize("size", [1e-150, 1e150])
def test_far_scales_neither_vanish_nor_overflow(cupy, rng, size):
    x, y = size * rng.normal(size=(9, 3)), size * rng.normal(size=(11, 3))
    found = pairs.c_transform(cupy.asarray(x), cupy.asarray(y), None, metric="euclidean", p=1.0)
    wanted = on_host.c_transform(x, y, None, metric="euclidean", p=1.0)
    np.testing.assert_allclose(cupy.asnumpy(found[0]), wanted[0], rtol=1e-12)
    np.testing.assert_array_equal(cupy.asnumpy(found[1]), wanted[1])


def test_ties_go_to_the_lowest_index(cupy):
    x, y = np.zeros((3, 2)), np.ones((300, 2))
    values, indices = pairs.smallest_k(cupy.asarray(x), cupy.asarray(y), None, 70, metric="euclidean", p=2.0)
    np.testing.assert_array_equal(cupy.asnumpy(indices), np.tile(np.arange(70), (3, 1)))
    np.testing.assert_array_equal(cupy.asnumpy(values), 2.0)
    assert not cupy.asnumpy(
        pairs.c_transform(cupy.asarray(x), cupy.asarray(y), None, metric="euclidean", p=2.0)[1]
    ).any()


def test_columns_are_shared_by_blocks_only_where_rows_are_few(cupy):
    processors = device.processors()
    assert pairs.shares(64 * 8 * processors, 10_000) == (157 * 64, 1)
    run, splits = pairs.shares(1, 10_000)
    assert run % 64 == 0 and (splits - 1) * run < 10_000 <= splits * run and splits > 1
