"""The pair reductions of the GPU against those of the host, which tests/naive.py defines."""

from __future__ import annotations

import numpy as np
import pytest

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
    for k in (1, min(m, 3), min(m, 40)):
        for name, offsets in (("smallest_k", h), ("smallest_k", None)):
            check(cupy, x, y, offsets, getattr(ours, name)(offsets if offsets is None else cupy.asarray(h), k),
                  getattr(theirs, name)(offsets, k))  # fmt: skip
    k = min(n, 4)
    check(cupy, y, x, g, ours.smallest_k_t(cupy.asarray(g), k), theirs.smallest_k_t(g, k))
    check(cupy, x, y, h, ours.c_transform(cupy.asarray(h)), theirs.c_transform(h))
    check(cupy, y, x, g, ours.c_transform_t(cupy.asarray(g)), theirs.c_transform_t(g))


def check(cupy, x, y, h, found, wanted):
    """Values agree to rounding; an index may be another one only of a value that is the same to rounding."""
    values, indices = (cupy.asnumpy(part) for part in found)
    assert values.dtype == np.float64 and indices.dtype == np.int64
    np.testing.assert_allclose(values, wanted[0], rtol=1e-12, atol=1e-14)
    if values.ndim == 2:
        assert all(len(set(row)) == len(row) for row in indices)
    differs = indices != wanted[1]
    assert differs.mean() < 0.02 or h is None or len(y) < 10


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
