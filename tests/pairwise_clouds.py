"""Clouds of many sizes, and what a matrix of distances between them must be: a loop over its pairs."""

from __future__ import annotations

import numpy as np

from tolerance import tol

SIZES = (30, 1, 25, 70, 7, 40)


def clouds(sizes=SIZES, d=2, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(n, d)) + rng.normal(size=d) for n in sizes]


def masses(sizes=SIZES, seed=1):
    rng = np.random.default_rng(seed)
    found = [rng.random(n) + 0.01 for n in sizes]
    return [a / a.sum() for a in found]


def loop(function, samples, weights=None):
    """The definition: each pair by a call of its own."""
    k = len(samples)
    own, found = weights or [None] * k, np.zeros((k, k))
    for i in range(k):
        for j in range(i):
            found[i, j] = found[j, i] = function(samples[j], samples[i], own[j], own[i])
    return found


EXACT = tol(float)


def check(found, expected, rel=EXACT):
    assert found.dtype == np.float64 and (found == found.T).all() and not np.diag(found).any()
    np.testing.assert_allclose(found, expected, rtol=rel, atol=rel * expected.max())


def mean_distance(x, y, a, b):
    return float(np.linalg.norm(x.mean(axis=0) - y.mean(axis=0)))
