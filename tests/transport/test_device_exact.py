"""Exact transport of points on a GPU: priced there, the same plan, value and gradients as on the host."""

from __future__ import annotations

import numpy as np
import pytest

import otgen
from otgen.transport import device_pricing


@pytest.fixture
def points(rng):
    return rng.normal(size=(300, 3)), rng.normal(size=(280, 3)) + 0.5


def test_the_distance_is_that_of_the_host(cupy, points, monkeypatch):
    asked = []
    smallest = device_pricing._HostAnswers.smallest_k
    monkeypatch.setattr(device_pricing._HostAnswers, "smallest_k", lambda *a: asked.append(a) or smallest(*a))
    x, y = points
    monkeypatch.setattr("otgen.transport.pricing.CACHED_PAIRS", 1000)
    found = otgen.wasserstein(cupy.asarray(x), cupy.asarray(y))
    assert isinstance(found, float) and asked
    assert found == pytest.approx(otgen.wasserstein(x, y), rel=1e-9)


def test_the_transport_is_proven_and_says_where_it_ran(cupy, points, rng):
    x, y = points
    a, b = rng.random(300) * (np.arange(300) > 4), rng.random(280)
    a, b = a / a.sum(), b / b.sum()
    found = otgen.solve_sample(*(cupy.asarray(v) for v in (x, y, a, b)))
    wanted = otgen.solve_sample(x, y, a, b)
    assert found.converged and found.where == "pricing on cuda:0, pivots on the host" and wanted.where == "host"
    assert "pricing on cuda:0" in repr(found)
    assert found.value == pytest.approx(wanted.value, rel=1e-9)
    assert all(isinstance(potential, cupy.ndarray) for potential in found.potentials)
    mapped = found.map()
    assert isinstance(mapped, cupy.ndarray)
    np.testing.assert_allclose(cupy.asnumpy(mapped), wanted.map(), atol=1e-8)
    new = rng.normal(size=(7, 3))
    answer = found.map(cupy.asarray(new))
    assert isinstance(answer, cupy.ndarray)
    np.testing.assert_allclose(cupy.asnumpy(answer), found.map(new), atol=1e-12)


def test_small_clouds_and_cosine(cupy, rng):
    x, y = rng.normal(size=(9, 4)).astype(np.float32), rng.normal(size=(5, 4)).astype(np.float32)
    found = otgen.wasserstein(cupy.asarray(x), cupy.asarray(y), metric="cosine", p=1)
    assert found == pytest.approx(otgen.wasserstein(x, y, metric="cosine", p=1), rel=1e-6)
