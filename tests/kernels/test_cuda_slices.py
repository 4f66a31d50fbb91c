"""Clouds along directions on the GPU against those of the host."""

from __future__ import annotations

import numpy as np
import pytest

from otgen_kernels.cpu import slices as on_host
from otgen_kernels.cuda import slices
from tolerance import tol


def setting(batch, n, d, dtype: type = np.float64, k=5):
    rng = np.random.default_rng((batch, n, d))
    points, directions = rng.normal(size=(batch, n, d)).astype(dtype), rng.normal(size=(k, d)).astype(dtype)
    return points, rng.normal(size=(batch, d)), 2.0 ** rng.integers(-3, 3, batch), directions


@pytest.mark.parametrize("numbers", [1 << 25, 200])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("batch", "n", "d"), [(1, 1, 1), (3, 20, 4), (5, 3, 70), (2, 150, 3)])
def test_projections_and_their_sums_are_those_of_the_host(cupy, monkeypatch, batch, n, d, dtype, numbers):
    monkeypatch.setattr(slices, "SLICE_NUMBERS", numbers)
    points, centres, scales, directions = setting(batch, n, d, dtype)
    theirs = on_host.Slices(points, centres, scales)
    ours = slices.Slices(*(cupy.asarray(part) for part in (points, centres, scales)))
    wanted, found = theirs.project(directions), ours.project(cupy.asarray(directions))
    assert found.dtype == dtype and found.shape == (5, batch, n) and found.flags.c_contiguous
    np.testing.assert_allclose(cupy.asnumpy(found), wanted, rtol=0, atol=tol(dtype) * d)
    factors, out, onto = np.random.default_rng(0).random((5, batch)), np.ones(points.shape), cupy.ones(points.shape)
    theirs.spread(wanted, directions, factors, out)
    ours.spread(found, cupy.asarray(directions), cupy.asarray(factors), onto)
    assert onto.dtype == np.float64
    np.testing.assert_allclose(cupy.asnumpy(onto), out, rtol=0, atol=tol(dtype) * np.abs(out).max())
    pulled, wanted = ours.pull(found[:, 0]), theirs.pull(wanted[:, 0])
    assert pulled.dtype == np.float64 and pulled.shape == (5, d)
    np.testing.assert_allclose(cupy.asnumpy(pulled), wanted, rtol=0, atol=tol(dtype) * max(1.0, np.abs(wanted).max()))


def test_directions_of_higher_precision_than_the_points(cupy):
    points, centres, scales, _ = setting(1, 30, 4, np.float32)
    direction = np.full((1, 4), 0.5)
    found = slices.Slices(*(cupy.asarray(z) for z in (points, centres, scales))).project(cupy.asarray(direction))
    assert found.dtype == np.float32
    wanted = on_host.Slices(points, centres, scales).project(direction)
    np.testing.assert_allclose(cupy.asnumpy(found), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("numbers", [1 << 25, 200])
@pytest.mark.parametrize(("n", "d"), [(1, 1), (300, 30)])
def test_weighted_gram(cupy, monkeypatch, n, d, numbers):
    monkeypatch.setattr(slices, "SLICE_NUMBERS", numbers)
    points, weights = np.random.default_rng(0).normal(size=(n, d)), np.random.default_rng(1).random(n)
    found, wanted = (
        slices.weighted_gram(cupy.asarray(points), cupy.asarray(weights)),
        points.T @ (weights[:, None] * points),
    )
    np.testing.assert_allclose(cupy.asnumpy(found), wanted, rtol=0, atol=tol(float) * np.abs(wanted).max())
