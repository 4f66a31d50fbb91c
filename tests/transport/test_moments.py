"""Moments of a stream against two passes over exact fractions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import naive_gaussian as naive
import otgen
from otgen.transport import moments
from tolerance import tol


def points(n=40, d=3, seed=0):
    return np.random.default_rng((seed, n, d)).normal(size=(n, d)) * 10.0 ** np.arange(d) + 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 5), st.booleans())
def test_any_batches_give_the_same_numbers(sizes, rows, look):
    x = points(sum(sizes))
    whole, parts = otgen.GaussianMoments(), otgen.GaussianMoments()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moments, "MOST_ROWS", rows)
        assert whole.update(x) is whole
        for end, size in zip(np.cumsum(sizes), sizes):
            parts.update(x[end - size : end])
            if look:
                assert parts.count == end and parts.mean == pytest.approx(x[:end].mean(axis=0), rel=tol(float))
    assert (whole.mean == parts.mean).all()
    if len(x) > 1:
        assert (whole.covariance == parts.covariance).all() and (whole.covariance == whole.covariance.T).all()
        mean, covariance = naive.moments(x)
        np.testing.assert_allclose(whole.mean, mean, rtol=tol(float), atol=tol(float))
        scale = np.sqrt(np.outer(covariance.diagonal(), covariance.diagonal()))
        assert (abs(whole.covariance - covariance) <= tol(float) * scale).all()


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_shifted_stream_keeps_its_digits(size, monkeypatch):
    """Sums of squares would be off by more than the covariance itself here."""
    monkeypatch.setattr(moments, "MOST_ROWS", 32)
    x = 1e8 + points(300, 2)
    found = otgen.GaussianMoments()
    for start in range(0, len(x), size):
        found.update(x[start : start + size])
    mean, covariance = naive.moments(x)
    np.testing.assert_allclose(found.covariance, covariance, rtol=tol(float))
    np.testing.assert_allclose(found.mean, mean, rtol=4e-16)


@pytest.mark.parametrize("rows", [4, 4096])
def test_streams_are_merged(rows, monkeypatch):
    monkeypatch.setattr(moments, "MOST_ROWS", rows)
    x = 1e6 + points(50)
    left, right = otgen.GaussianMoments().update(x[:19]), otgen.GaussianMoments().update(x[19:])
    before = right.covariance
    assert left.merge(right) is left and left.count == 50 and right.count == 31
    mean, covariance = naive.moments(x)
    np.testing.assert_allclose(left.mean, mean, rtol=tol(float))
    np.testing.assert_allclose(left.covariance, covariance, rtol=1e-9)
    assert (right.covariance == before).all()
    left.update(x[:3])
    np.testing.assert_allclose(left.covariance, np.cov(np.vstack([x, x[:3]]).T), rtol=1e-9)
    empty = otgen.GaussianMoments()
    assert empty.merge(otgen.GaussianMoments()).count == 0 and empty.merge(right).count == 31
    assert (empty.covariance == before).all() and empty.merge(otgen.GaussianMoments()).count == 31
    empty.update(x[:19])
    np.testing.assert_allclose(empty.covariance, covariance, rtol=1e-9)
    assert (right.covariance == before).all()
    twice = right.merge(right)
    np.testing.assert_allclose(twice.covariance, before * 60 / 61, rtol=1e-12)


def test_a_stream_is_copied_and_float64():
    x = points().astype("f4")
    found = otgen.GaussianMoments().update(x.copy())
    batch = x.copy()
    other = otgen.GaussianMoments().update(batch)
    batch[:] = 0
    assert (other.covariance == found.covariance).all() and found.covariance.dtype == found.mean.dtype == np.float64
    tensor = torch.tensor(x, requires_grad=True)
    assert (otgen.GaussianMoments().update(tensor).covariance == found.covariance).all()
    assert (otgen.GaussianMoments().update(x.tolist()).mean == found.mean).all()
    half = otgen.GaussianMoments().update(torch.tensor(x).bfloat16())
    assert (half.mean == otgen.GaussianMoments().update(torch.tensor(x).bfloat16().double()).mean).all()
    found.covariance[:] = 0
    assert found.covariance.any()


def test_bad_input_is_refused_and_changes_nothing():
    found = otgen.GaussianMoments()
    with pytest.raises(ValueError, match="a mean needs one; count is 0. Call update"):
        _ = found.mean
    found.update([[1.0, 2.0]])
    with pytest.raises(ValueError, match="a covariance needs two samples; count is 1"):
        _ = found.covariance
    with pytest.raises(ValueError, match=r"batch must have shape \(k, 2\), as those before; got shape \(4, 3\)"):
        found.update(np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"batch must be finite; batch\[1, 0\] is nan"):
        found.update([[1.0, 2.0], [np.nan, 0.0]])
    with pytest.raises(ValueError, match=r"batch must have shape \(n, d\)"):
        found.update([1.0, 2.0])
    with pytest.raises(TypeError, match="other must be GaussianMoments; got ndarray. Use update"):
        found.merge(np.zeros((2, 2)))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="other must hold samples of dimension 2, as this; got 3"):
        found.merge(otgen.GaussianMoments().update(np.zeros((2, 3))))
    assert found.count == 1 and found.mean.tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="the covariance leaves the range of float64"):
        _ = otgen.GaussianMoments().update([[1e200], [-1e200]]).covariance


def test_it_tells_its_count_and_dimension_and_how_one_sample_is_passed():
    found = otgen.GaussianMoments()
    assert repr(found) == "GaussianMoments(count=0, d=None)"
    assert repr(found.update(points(7))) == "GaussianMoments(count=7, d=3)"
    with pytest.raises(ValueError, match=r"got shape \(3,\). Reshape .* to \(n, 1\), a single point to \(1, d\)\.$"):
        found.update(points()[0])
