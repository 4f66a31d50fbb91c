"""The soft reductions of the GPU against those of the host, which tests/naive.py defines."""

from __future__ import annotations

import numpy as np
import pytest

from otgen_kernels.cpu import soft as on_host
from otgen_kernels.cuda import soft

COSTS = [("euclidean", 2.0), ("euclidean", 1.0), ("euclidean", 3.0), ("cityblock", 1.0), ("chebyshev", 2.0),
         ("cosine", 1.0)]  # fmt: skip
SIZES = [(1, 1, 1), (5, 7, 2), (70, 130, 3), (65, 200, 20)]


def clouds(rng, n, m, d):
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.5
    y[: min(n, m) // 2] = x[: min(n, m) // 2]  # coincident points
    y[m // 2 + 1 :: 7] = y[m // 2]  # and duplicates
    return x, y


def compare(cupy, ours, theirs, rng, eps, single, gradient=True):
    """All answers on both sides: to 1e-12 in float64, and to what the host says of its own float32 in float32."""
    reach = theirs.rounding(eps, True) if single else max(1e-12, 4 * theirs.rounding(eps, False))
    for side in (0, 1):
        n, m = ours.shape[side], ours.shape[1 - side]
        h = eps * rng.normal(size=m)
        v = theirs.transform(side, h, eps)
        f = v + eps * rng.normal(size=n)
        there, f_there = cupy.asarray(h), cupy.asarray(f)
        found = ours.transform(side, there, eps, cupy.asarray(v), single=single, bits=10.0, rough=True)
        assert isinstance(found, cupy.ndarray) and found.dtype == np.float64
        np.testing.assert_allclose(cupy.asnumpy(found), v, rtol=reach, atol=reach * eps)
        for one, other in zip(ours.entropy(side, f_there, there, eps, single=single), theirs.entropy(side, f, h, eps)):
            np.testing.assert_allclose(cupy.asnumpy(one), other, rtol=20 * reach, atol=20 * reach)
        for width in (1, 19):
            columns = rng.normal(size=(m, width)) * np.logspace(-30, 30, width)
            found = cupy.asnumpy(ours.average(side, f_there, there, eps, cupy.asarray(columns), single=single))
            size = theirs.average(side, f, h, eps, np.abs(columns))
            away = np.abs(found - theirs.average(side, f, h, eps, columns))
            assert found.shape == (n, width) and (away <= 4 * reach * size).all()
        if gradient:
            mass = rng.random(n)
            for given in (None, mass):
                wanted = theirs.gradient(side, f, h, eps, given)
                found = ours.gradient(side, f_there, there, eps, None if given is None else cupy.asarray(given),
                                      single=single)  # fmt: skip
                largest = np.abs(wanted).max(initial=1e-300)
                np.testing.assert_allclose(cupy.asnumpy(found), wanted, atol=20 * reach * largest)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize(("metric", "p"), COSTS)
@pytest.mark.parametrize(("n", "m", "d"), SIZES)
def test_every_answer_is_that_of_the_host(cupy, rng, n, m, d, metric, p, single):
    x, y = clouds(rng, n, m, d)
    theirs = on_host.SoftPairs(x, y, metric=metric, p=p)
    ours = soft.SoftPairs(cupy.asarray(x), cupy.asarray(y), metric=metric, p=p)
    assert ours.active(None, None, None, 1.0, 1.0) is None
    for eps in (0.5, 0.01):
        compare(cupy, ours, theirs, rng, eps, single)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_a_cost_matrix_is_read_where_it_lies(cupy, rng, dtype, single):
    for n, m in ((1, 1), (70, 7), (10, 150)):
        matrix = (5.0 * rng.normal(size=(n, m))).astype(dtype)
        for layout in (matrix, np.asfortranarray(matrix), np.repeat(matrix, 2, 1)[:, ::2]):
            ours, theirs = soft.SoftMatrix(cupy.asarray(layout)), on_host.SoftMatrix(layout)
            compare(cupy, ours, theirs, rng, 0.3, single, gradient=False)
