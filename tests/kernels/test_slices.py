"""Tiles of projections against plain products."""

from __future__ import annotations

import numpy as np
import pytest

from otgen_kernels.cpu import slices
from tolerance import tol


def setting(batch, n, d, dtype: type = np.float64, k=5):
    rng = np.random.default_rng((batch, n, d))
    points, directions = rng.normal(size=(batch, n, d)).astype(dtype), rng.normal(size=(k, d)).astype(dtype)
    return points, rng.normal(size=(batch, d)), 2.0 ** rng.integers(-3, 3, batch), directions


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("batch", "n", "d"), [(1, 1, 1), (3, 20, 4), (1, 10_000, 60)])
def test_projections_and_their_sums_are_plain_products(batch, n, d, dtype):
    points, centres, scales, directions = setting(batch, n, d, dtype)
    side = slices.Slices(points, centres, scales)
    centred = points * scales[:, None, None] - centres[:, None]
    found = side.project(directions)
    assert found.dtype == dtype and found.flags.c_contiguous
    np.testing.assert_allclose(found, np.einsum("kd,bnd->kbn", directions, centred), rtol=0, atol=0.1 * tol(dtype) * d)
    factors, out = np.random.default_rng(0).random((5, batch)), np.ones(points.shape)
    side.spread(found, directions, factors, out)
    expected = 1.0 + np.einsum("kb,kbn,kd->bnd", factors, found.astype(float), directions.astype(float))
    np.testing.assert_allclose(out, expected, rtol=0, atol=tol(dtype) * np.abs(expected).max())
    if batch == 1:
        pulled = side.pull(found[:, 0])
        expected = found[:, 0].astype(float) @ centred[0]
        np.testing.assert_allclose(pulled, expected, rtol=0, atol=tol(dtype) * np.abs(expected).max())


def test_a_batch_has_the_bits_of_its_problems():
    points, centres, scales, directions = setting(3, 50, 6)
    together = slices.Slices(points, centres, scales).project(directions)
    for b in range(3):
        alone = slices.Slices(points[[b]], centres[[b]], scales[[b]]).project(directions)
        np.testing.assert_array_equal(together[:, b], alone[:, 0])


def test_the_number_of_threads_changes_no_bit(monkeypatch):
    points, centres, scales, directions = setting(1, 20_000, 40, np.float32)
    found = []
    for threads in ("1", "3"):
        monkeypatch.setenv("OTGEN_NUM_THREADS", threads)
        side, out = slices.Slices(points, centres, scales), np.zeros(points.shape)
        projected = side.project(directions)
        side.spread(projected, directions, np.ones((5, 1)), out)
        found.append((projected, out, side.pull(projected[:, 0])))
    for one, other in zip(*found):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("n", "d"), [(1, 1), (3000, 300)])
def test_weighted_gram(n, d):
    points, weights = np.random.default_rng(0).normal(size=(n, d)), np.random.default_rng(1).random(n)
    expected = points.T @ (weights[:, None] * points)
    found = slices.weighted_gram(points, weights)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tol(float) * np.abs(expected).max())
