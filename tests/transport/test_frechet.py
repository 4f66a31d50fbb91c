"""The Frechet distance of samples and of moments against its formula, POT and the distance of the laws."""

from __future__ import annotations

import math

import numpy as np
import ot
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import naive_gaussian as naive
import otgen
from tolerance import tol

SHAPES = [(40, 30, 4), (5, 6, 12), (4, 60, 12), (60, 4, 12), (12, 13, 12), (2, 2, 1), (2, 3, 5), (9, 3, 2)]


def samples(n, m, d, seed=0):
    rng = np.random.default_rng((seed, n, m, d))
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) @ rng.normal(size=(d, d)) + 0.3


def formula(x, y):
    """|m_x - m_y|^2 + tr S_x + tr S_y - 2 |F_x F_y^T|_*, F the centred samples over sqrt(n - 1)."""
    left, right = ((z - z.mean(axis=0)) / math.sqrt(len(z) - 1) for z in (x, y))
    cross = np.linalg.svd(left @ right.T, compute_uv=False).sum()
    return float(((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum() + (left**2).sum() + (right**2).sum() - 2 * cross)


@pytest.mark.parametrize("shape", SHAPES)
def test_agrees_with_the_formula_for_samples_and_moments_of_every_shape(shape):
    x, y = samples(*shape)
    expected = formula(x, y)
    moments = [otgen.GaussianMoments().update(z) for z in (x, y)]
    for one, other in ((x, y), (moments[0], y), (x, moments[1]), moments):
        found = otgen.frechet_distance(one, other)
        assert type(found) is float and found == pytest.approx(expected, rel=1e-10)
    assert otgen.frechet_distance(y, x) == pytest.approx(expected, rel=1e-10)
    laws = x.mean(axis=0), np.cov(x.T, ddof=1).reshape(shape[2], -1), y.mean(axis=0), np.cov(y.T).reshape(shape[2], -1)
    assert otgen.gaussian_wasserstein(*laws) ** 2 == pytest.approx(expected, rel=1e-10)


def test_agrees_with_the_definition_with_pot_and_with_scipy():
    x, y = samples(40, 30, 4)
    found = otgen.frechet_distance(x, y)
    assert found == pytest.approx(naive.wasserstein_squared(*naive.moments(x), *naive.moments(y)), rel=tol(float))
    divided_by_n = (z.mean(axis=0) + (z - z.mean(axis=0)) * math.sqrt(1 - 1 / len(z)) for z in (x, y))
    other = np.asarray(ot.gaussian.empirical_bures_wasserstein_distance(x, y, reg=0))
    assert otgen.frechet_distance(*divided_by_n) == pytest.approx(float(other**2), rel=1e-8)
    cov_x, cov_y = np.cov(x.T), np.cov(y.T)
    root = scipy.linalg.sqrtm(cov_x @ cov_y)
    squared = ((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum() + np.trace(cov_x + cov_y - 2 * root).real
    assert found == pytest.approx(float(squared), rel=1e-8)


@pytest.mark.parametrize(("rank_x", "rank_y"), [(8, 3), (3, 8), (2, 3), (8, 0), (0, 2)])
def test_many_samples_of_low_rank_stay_real(rank_x, rank_y):
    """Features that are sums of others: scipy's root has no digits there, or an imaginary part."""
    rng = np.random.default_rng((rank_x, rank_y))
    x = rng.normal(size=(50, rank_x)) @ rng.normal(size=(rank_x, 8)) + 3
    y = rng.normal(size=(40, rank_y)) @ rng.normal(size=(rank_y, 8))
    expected = formula(x, y)
    moments = [otgen.GaussianMoments().update(z) for z in (x, y)]
    for one, other in ((x, y), moments):
        assert otgen.frechet_distance(one, other) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("n", "d"), [(30, 3), (4, 9)])
def test_equal_samples(n, d):
    x = samples(n, 2, d)[0]
    assert otgen.frechet_distance(x, x.copy()) == 0.0
    assert 0 <= otgen.frechet_distance(x, x[::-1]) <= 1e-24
    assert otgen.frechet_distance(x, x + 2) == pytest.approx(4 * d, rel=tol(float))
    assert otgen.frechet_distance(np.zeros((n, d)), np.ones((3, d))) == pytest.approx(d, rel=tol(float))
    moments = otgen.GaussianMoments().update(x)
    assert otgen.frechet_distance(moments, otgen.GaussianMoments().update(x)) == 0.0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 9), st.integers(2, 9), st.integers(1, 7))
def test_never_negative_and_scales(seed, n, m, d):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(-2, 3, size=(n, d)), rng.integers(-2, 3, size=(m, d))  # ties and ranks of all kinds
    value = otgen.frechet_distance(x, y)
    assert value >= 0 and value == pytest.approx(formula(x, y), rel=1e-7, abs=1e-12)
    assert otgen.frechet_distance(1 - 4 * x, 1 - 4 * y) == pytest.approx(16 * value, rel=1e-7, abs=1e-12)
    assert otgen.frechet_distance(x[rng.permutation(n)], y) == pytest.approx(value, rel=1e-7, abs=1e-12)


@pytest.mark.parametrize("shape", [(9, 8, 3), (4, 3, 6)])
@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_scales(scale, shape):
    x, y = samples(*shape)
    assert otgen.frechet_distance(scale * x, scale * y) == pytest.approx(scale**2 * formula(x, y), rel=1e-10, abs=0)
    found, expected = torch.tensor(scale * x, requires_grad=True), torch.tensor(x, requires_grad=True)
    otgen.frechet_distance(found, torch.tensor(scale * y)).backward()
    otgen.frechet_distance(expected, torch.tensor(y)).backward()
    assert found.grad is not None and expected.grad is not None
    np.testing.assert_allclose(found.grad / scale, expected.grad, rtol=1e-8)


@pytest.mark.parametrize("shape", [(9, 8, 3), (4, 5, 7), (3, 30, 7), (30, 3, 7), (7, 7, 7)])
def test_gradients(shape):
    x, y = samples(*shape)
    inputs = [torch.tensor(z, requires_grad=True) for z in (x, y)]
    otgen.frechet_distance(*inputs).backward()
    for k, tensor in enumerate(inputs):
        assert tensor.grad is not None
        expected = np.zeros_like((x, y)[k])
        for index in np.ndindex(expected.shape):
            ends = []
            for sign in (1, -1):
                moved = [x.copy(), y.copy()]
                moved[k][index] += sign * 1e-5
                ends.append(formula(*moved))
            expected[index] = (ends[0] - ends[1]) / 2e-5
        np.testing.assert_allclose(tensor.grad, expected, rtol=1e-6, atol=1e-8)
    moments = otgen.GaussianMoments().update(y)
    alone = torch.tensor(x, requires_grad=True)
    otgen.frechet_distance(moments, alone).backward()
    assert alone.grad is not None and inputs[0].grad is not None
    np.testing.assert_allclose(alone.grad, inputs[0].grad, rtol=1e-7, atol=1e-9)


def test_gradients_of_many_samples_of_low_rank():
    """Points z B of rank 3 in 8 dimensions, moved by z and by B: the rank stays, and the distance is smooth."""
    rng = np.random.default_rng(1)
    z, B, y = rng.normal(size=(50, 3)), rng.normal(size=(3, 8)), rng.normal(size=(60, 8))
    inputs = [torch.tensor(part, requires_grad=True) for part in (z, B)]
    otgen.frechet_distance(inputs[0] @ inputs[1], torch.tensor(y)).backward()
    for k, tensor in enumerate(inputs):
        assert tensor.grad is not None
        ends = []
        for sign in (1, -1):
            moved = [z.copy(), B.copy()]
            moved[k][1, 2] += sign * 1e-5
            ends.append(formula(moved[0] @ moved[1], y))
        assert tensor.grad[1, 2].item() == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6)


@pytest.mark.parametrize(("n", "d"), [(9, 3), (3, 9)])
def test_gradients_are_finite_where_there_is_no_spread(n, d):
    x, y = torch.zeros((n, d), requires_grad=True), torch.ones((4, d), requires_grad=True)
    otgen.frechet_distance(x, y).backward()
    assert x.grad is not None and y.grad is not None
    np.testing.assert_allclose(x.grad, np.full((n, d), -2 / n), rtol=1e-6)
    np.testing.assert_allclose(y.grad, np.full((4, d), 2 / 4), rtol=1e-6)
    same = torch.randn((n, d), requires_grad=True)
    otgen.frechet_distance(same, same.detach()).backward()
    assert same.grad is not None and (same.grad == 0).all()


def test_input_of_every_kind():
    x, y = samples(9, 8, 3)
    expected = otgen.frechet_distance(x, y)
    wide = np.zeros((18, 6))
    wide[::2, ::2] = x
    assert otgen.frechet_distance(wide[::2, ::2], np.asfortranarray(y)) == expected
    assert otgen.frechet_distance(x.tolist(), y) == expected
    single = [torch.tensor(z, dtype=torch.float32) for z in (x, y)]
    found = otgen.frechet_distance(*single)
    assert found.dtype == torch.float32 and found.item() == pytest.approx(expected, rel=1e-5)
    coarse = otgen.frechet_distance(*(z.numpy() for z in single))
    assert type(coarse) is float and np.float32(coarse) == found.item()
    assert type(otgen.frechet_distance(np.arange(6).reshape(3, 2), y[:, :2])) is float
    assert isinstance(otgen.frechet_distance(single[0], otgen.GaussianMoments().update(y)), torch.Tensor)


def test_many_dimensions_need_no_square_matrix():
    """d^2 numbers would be 80 GB here."""
    x, y = samples(3, 4, 1)
    x, y = np.repeat(x, 100_000, axis=1), np.repeat(y, 100_000, axis=1)
    assert otgen.frechet_distance(x, y) == pytest.approx(1e5 * formula(x[:, :1], y[:, :1]), rel=1e-10)


def test_bad_input_is_refused():
    x, y = samples(9, 8, 3)
    with pytest.raises(ValueError, match="y must hold at least two samples, for a covariance; got 1. Draw more"):
        otgen.frechet_distance(x, y[:1])
    with pytest.raises(ValueError, match="x must hold at least two samples, for a covariance; got 0. Draw more"):
        otgen.frechet_distance(otgen.GaussianMoments(), y)
    with pytest.raises(ValueError, match=r"y must have points of the dimension of x; got shapes \(8, 2\) and \(9, 3\)"):
        otgen.frechet_distance(x, y[:, :2])
    with pytest.raises(ValueError, match="x and y must have samples of one dimension d; got 3 and 2. Match"):
        otgen.frechet_distance(otgen.GaussianMoments().update(x), y[:, :2])
    with pytest.raises(ValueError, match=r"x must be finite; x\[0, 1\] is inf"):
        otgen.frechet_distance([[0.0, np.inf], [0.0, 1.0]], y[:, :2])
    with pytest.raises(ValueError, match=r"x must have shape \(n, d\)"):
        otgen.frechet_distance([0.0, 1.0], y)
    with pytest.raises(ValueError, match="the squared distance leaves the range of float64"):
        otgen.frechet_distance(1e200 * x, y)
    with pytest.raises(TypeError, match="arrays must come from one library"):
        otgen.frechet_distance(torch.tensor(x), y)
