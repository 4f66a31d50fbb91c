"""Distances and maps between normal laws against the definition, POT and SciPy."""

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

seeds = st.integers(0, 2**32 - 1)


def same(found, expected, **tolerances):
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), **tolerances)


def law(d, rank=None, seed=0):
    rng = np.random.default_rng((seed, d))
    factor = rng.normal(size=(d, d if rank is None else rank))
    return rng.normal(size=d), factor @ factor.T


def laws(d=4, rank_x=None, rank_y=None, seed=0):
    return *law(d, rank_x, 2 * seed), *law(d, rank_y, 2 * seed + 1)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_agrees_with_the_definition(d):
    arguments = laws(d)
    found = otgen.gaussian_wasserstein(*arguments)
    assert type(found) is float
    assert found**2 == pytest.approx(naive.wasserstein_squared(*arguments), rel=tol(float))


def test_agrees_with_pot_and_with_the_root_of_scipy():
    mean_x, cov_x, mean_y, cov_y = laws(30)
    found = otgen.gaussian_wasserstein(mean_x, cov_x, mean_y, cov_y)
    assert found == pytest.approx(ot.gaussian.bures_wasserstein_distance(mean_x, mean_y, cov_x, cov_y), rel=1e-8)
    root = scipy.linalg.sqrtm(cov_x @ cov_y)
    squared = ((mean_x - mean_y) ** 2).sum() + np.trace(cov_x + cov_y - 2 * root)
    assert found**2 == pytest.approx(float(np.real(squared)), rel=1e-8)


@pytest.mark.parametrize(("rank_x", "rank_y"), [(0, 0), (0, 6), (6, 0), (2, 3), (5, 2), (1, 6), (6, 5)])
def test_singular_covariances(rank_x, rank_y):
    """By |L_x^T L_y|_*, the factors being known: the root of a product is complex or NaN here."""
    rng = np.random.default_rng((rank_x, rank_y))
    left, right = rng.normal(size=(6, rank_x)), rng.normal(size=(6, rank_y))
    expected = (left**2).sum() + (right**2).sum() - 2 * np.linalg.svd(left.T @ right, compute_uv=False).sum()
    found = otgen.gaussian_wasserstein(np.ones(6), left @ left.T, np.zeros(6), right @ right.T)
    assert found**2 == pytest.approx(6 + expected, rel=tol(float))


def test_diagonal_laws_are_one_dimensional_ones():
    spread_x, spread_y = np.array([3.0, 0.0, 1e-9, 1.0]), np.array([1.0, 2.0, 1e-3, 0.0])
    found = otgen.gaussian_wasserstein(np.zeros(4), np.diag(spread_x**2), np.zeros(4), np.diag(spread_y**2))
    assert found == pytest.approx(float(np.linalg.norm(spread_x - spread_y)), rel=tol(float))


def test_small_eigenvalues_keep_their_digits():
    """Of S_x^1/2 S_y S_x^1/2, whose condition number of 1e24 leaves them none: the singular values have them."""
    rng = np.random.default_rng(0)
    scales = 10.0 ** np.linspace(0, -6, 40)
    left = np.linalg.qr(rng.normal(size=(40, 40)))[0] * scales
    right = left + 0.1 * scales * rng.normal(size=(40, 40))
    expected = (left**2).sum() + (right**2).sum() - 2 * np.linalg.svd(left.T @ right, compute_uv=False).sum()
    found = otgen.gaussian_wasserstein(np.ones(40), left @ left.T, np.ones(40), right @ right.T)
    assert found**2 == pytest.approx(expected, rel=1e-13, abs=0)


def test_equal_laws_are_at_distance_zero():
    for rank in (0, 2, 5):
        mean, cov = law(5, rank)
        assert otgen.gaussian_wasserstein(mean, cov, mean.copy(), cov.copy()) == 0.0


@pytest.mark.parametrize("size", [1e-3, 1e-6, 1e-9])
def test_close_laws_keep_their_digits(size):
    """S_y = (1 + h)^2 S_x is at distance h sqrt(tr S_x): h eps tr S_x would be left of a difference of traces."""
    mean, cov = law(5)
    found = otgen.gaussian_wasserstein(mean, cov, mean, (1 + size) ** 2 * cov)
    assert found == pytest.approx(size * math.sqrt(np.trace(cov)), rel=tol(float) / size, abs=0)
    mean, cov = law(5, 2)
    found = otgen.gaussian_wasserstein(mean, cov, mean, (1 + size) ** 2 * cov)
    assert found == pytest.approx(size * math.sqrt(np.trace(cov)), rel=1e-6, abs=1e-7 * math.sqrt(np.trace(cov)))


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_scales(scale):
    mean_x, cov_x, mean_y, cov_y = laws()
    expected = otgen.gaussian_wasserstein(mean_x, cov_x, mean_y, cov_y)
    found = otgen.gaussian_wasserstein(scale * mean_x, scale**2 * cov_x, scale * mean_y, scale**2 * cov_y)
    assert found == pytest.approx(scale * expected, rel=tol(float), abs=0)
    mixed = otgen.gaussian_wasserstein(mean_x, scale**2 * cov_x, mean_x, cov_y)
    assert mixed == pytest.approx(math.sqrt(max(scale**2 * np.trace(cov_x), np.trace(cov_y))), rel=tol(float))
    grown = (scale * mean_x, scale**2 * cov_x, scale * mean_y, scale**2 * cov_y)
    tensors = [torch.tensor(value, requires_grad=True) for value in grown]
    otgen.gaussian_wasserstein(*tensors).backward()
    plain = [torch.tensor(value, requires_grad=True) for value in (mean_x, cov_x, mean_y, cov_y)]
    otgen.gaussian_wasserstein(*plain).backward()
    for k, (tensor, expected) in enumerate(zip(tensors, plain)):
        assert tensor.grad is not None
        same(tensor.grad * scale ** (k % 2), expected.grad, rtol=1e-9)
    there = otgen.gaussian_map(scale * mean_x, scale**2 * cov_x, scale * mean_y, scale**2 * cov_y)
    same(there.matrix, otgen.gaussian_map(mean_x, cov_x, mean_y, cov_y).matrix, rtol=1e-9)


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 6), st.integers(0, 6), st.integers(0, 6))
def test_is_a_metric_that_moves_and_scales(seed, d, rank_x, rank_y):
    mean_x, cov_x, mean_y, cov_y = laws(d, min(d, rank_x), min(d, rank_y), seed)
    mean_z, cov_z = law(d, seed=seed + 5)
    value = otgen.gaussian_wasserstein(mean_x, cov_x, mean_y, cov_y)
    assert value >= 0
    assert otgen.gaussian_wasserstein(mean_y, cov_y, mean_x, cov_x) == pytest.approx(value, rel=1e-9, abs=1e-9)
    through = otgen.gaussian_wasserstein(mean_x, cov_x, mean_z, cov_z)
    through += otgen.gaussian_wasserstein(mean_z, cov_z, mean_y, cov_y)
    assert value <= through * (1 + 1e-9)
    moved = otgen.gaussian_wasserstein(3 * mean_x + 1, 9 * cov_x, 3 * mean_y + 1, 9 * cov_y)
    assert moved == pytest.approx(3 * value, rel=1e-9, abs=1e-9)
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]
    turned = (turn @ mean_x, turn @ cov_x @ turn.T, turn @ mean_y, turn @ cov_y @ turn.T)
    assert otgen.gaussian_wasserstein(*turned) == pytest.approx(value, rel=1e-7, abs=1e-7)


def test_input_of_every_kind():
    mean_x, cov_x, mean_y, cov_y = laws()
    expected = otgen.gaussian_wasserstein(mean_x, cov_x, mean_y, cov_y)
    lists = [value.tolist() for value in (mean_x, cov_x, mean_y, cov_y)]
    assert otgen.gaussian_wasserstein(*lists) == expected
    wide = np.zeros((8, 8))
    wide[::2, ::2] = cov_x
    assert otgen.gaussian_wasserstein(mean_x, wide[::2, ::2], mean_y, np.asfortranarray(cov_y)) == expected
    assert otgen.gaussian_wasserstein([0], [[4]], [3], [[64]]) == pytest.approx(math.hypot(3, 6), rel=tol(float))
    single = [torch.tensor(value, dtype=torch.float32) for value in (mean_x, cov_x, mean_y, cov_y)]
    found = otgen.gaussian_wasserstein(*single)
    assert found.dtype == torch.float32 and found.item() == pytest.approx(expected, rel=1e-5)
    coarse = otgen.gaussian_wasserstein(*(value.astype("f4") for value in (mean_x, cov_x, mean_y, cov_y)))
    assert type(coarse) is float and np.float32(coarse) == found.item()


def test_rounding_of_a_covariance_is_none_of_its_eigenvalues():
    mean, cov = law(5, 2)
    values, vectors = np.linalg.eigh(cov)
    values[:3] = [-1e-15, -1e-16, 1e-15]
    rounded = (vectors * values) @ vectors.T
    step = np.random.default_rng(0).normal(size=(5, 5)) * 1e-16
    assert otgen.gaussian_wasserstein(mean, cov, mean, rounded + step) <= 1e-7
    single = cov.astype("f4")
    assert otgen.gaussian_wasserstein(mean, single, mean, cov) <= 1e-3 * math.sqrt(np.trace(cov))
    assert otgen.gaussian_map(mean, single, mean, single).matrix.shape == (5, 5)


def test_bad_input_is_refused():
    mean, cov = law(2)
    with pytest.raises(ValueError, match=r"mean_x must have shape \(d,\) with d >= 1; got shape \(1, 2\). Reshape"):
        otgen.gaussian_wasserstein([mean], cov, mean, cov)
    with pytest.raises(ValueError, match=r"cov_y must have shape \(2, 2\), as mean_y .* got shape \(2,\).*numpy.diag"):
        otgen.gaussian_wasserstein(mean, cov, mean, [1.0, 2.0])
    with pytest.raises(ValueError, match=r"mean_x and mean_y must have one dimension d; got 2 and 3 entries"):
        otgen.gaussian_wasserstein(mean, cov, np.zeros(3), np.eye(3))
    with pytest.raises(ValueError, match=r"mean_y must be finite; mean_y\[1\] is nan"):
        otgen.gaussian_wasserstein(mean, cov, [0.0, np.nan], cov)
    with pytest.raises(ValueError, match=r"cov_x must be finite; cov_x\[0, 1\] is inf"):
        otgen.gaussian_wasserstein(mean, [[1.0, np.inf], [0.0, 1.0]], mean, cov)
    with pytest.raises(
        ValueError, match=r"cov_x must be symmetric; cov_x\[0, 1\] is 0.5 and cov_x\[1, 0\] is 0.4. Pass"
    ):
        otgen.gaussian_wasserstein(mean, [[1.0, 0.5], [0.4, 1.0]], mean, cov)
    with pytest.raises(ValueError, match=r"cov_y must be positive semidefinite; its smallest eigenvalue is -1. Set"):
        otgen.gaussian_wasserstein(mean, cov, mean, [[1.0, 2.0], [2.0, 1.0]])
    with pytest.raises(ValueError, match=r"smallest eigenvalue is -1e-09"):
        otgen.gaussian_wasserstein(mean, np.diag([1.0, -1e-9]), mean, cov)
    with pytest.raises(ValueError, match="of mean_x and mean_y leaves the range of float64"):
        otgen.gaussian_wasserstein([1e308, 0], cov, [-1e308, 0], cov)
    with pytest.raises(TypeError, match="arrays must come from one library"):
        otgen.gaussian_wasserstein(torch.zeros(2), cov, mean, cov)


def differences(function, arrays, k, step=1e-6):
    gradient = np.zeros_like(arrays[k])
    for index in np.ndindex(gradient.shape):
        ends = []
        for sign in (1, -1):
            moved = [array.copy() for array in arrays]
            moved[k][index] += sign * step
            if moved[k].ndim == 2:
                moved[k] = 0.5 * (moved[k] + moved[k].T)
            ends.append(function(*moved))
        gradient[index] = (ends[0] - ends[1]) / (2 * step)
    return gradient


def test_gradients():
    arrays = laws(3)
    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    value = otgen.gaussian_wasserstein(*tensors)
    assert value.shape == () and value.item() == pytest.approx(otgen.gaussian_wasserstein(*arrays), rel=tol(float))
    value.backward()
    for k, tensor in enumerate(tensors):
        same(tensor.grad, differences(otgen.gaussian_wasserstein, arrays, k), rtol=1e-6, atol=1e-8)


def test_gradients_of_singular_covariances_are_those_on_the_support():
    """Moving the factor, S = L L^T, stays on the support, where the distance is smooth."""
    rng = np.random.default_rng(3)
    mean_x, cov_x, mean_y, _ = laws(4)
    factor = rng.normal(size=(4, 2))

    def by_factor(left):
        return otgen.gaussian_wasserstein(mean_x, left @ left.T, mean_y, cov_x)

    left = torch.tensor(factor, requires_grad=True)
    laws_of = torch.tensor(mean_x), left @ left.T, torch.tensor(mean_y), torch.tensor(cov_x)
    otgen.gaussian_wasserstein(*laws_of).backward()
    expected = np.zeros_like(factor)
    for index in np.ndindex(factor.shape):
        step = np.zeros_like(factor)
        step[index] = 1e-6
        expected[index] = (by_factor(factor + step) - by_factor(factor - step)) / 2e-6
    same(left.grad, expected, rtol=1e-6, atol=1e-8)


def test_gradients_at_zero_are_zero():
    for rank in (0, 2, 4):
        inputs = [torch.tensor(value, requires_grad=True) for value in (*law(4, rank), *law(4, rank))]
        otgen.gaussian_wasserstein(*inputs).backward()
        assert all((tensor.grad == 0).all() for tensor in inputs)
    mean = torch.zeros(2, requires_grad=True)
    value = otgen.gaussian_wasserstein(mean, torch.eye(2), torch.ones(2), torch.eye(2))
    [first] = torch.autograd.grad(value, mean, create_graph=True)
    with pytest.raises(RuntimeError, match="once differentiable"):
        torch.autograd.grad(first.sum(), mean)


def test_map_agrees_with_pot_and_pushes_one_law_to_the_other():
    mean_x, cov_x, mean_y, cov_y = laws(5)
    found = otgen.gaussian_map(mean_x, cov_x, mean_y, cov_y)
    matrix, offset = ot.gaussian.bures_wasserstein_mapping(mean_x, mean_y, cov_x, cov_y)[:2]
    same(found.matrix, matrix, rtol=1e-9, atol=1e-9)
    same(found.offset, offset, rtol=1e-9, atol=1e-9)
    same(found.matrix @ cov_x @ found.matrix.T, cov_y, rtol=1e-9, atol=1e-9)
    assert (found.matrix == found.matrix.T).all() and np.linalg.eigvalsh(found.matrix)[0] > 0  # a convex potential's
    x = np.random.default_rng(0).normal(size=(7, 5))
    same(found.transform(x), x @ found.matrix.T + found.offset, rtol=1e-9, atol=1e-9)
    same(found.transform(found.mean_x[None]), mean_y[None], rtol=tol(float))
    same(found.inverse(found.transform(x)), x, rtol=1e-9, atol=1e-9)
    back = otgen.gaussian_map(mean_y, cov_y, mean_x, cov_x)
    same(found.inverse(x), back.transform(x), rtol=1e-9, atol=1e-9)
    assert (found.mean_y == mean_y).all() and repr(found) == "GaussianMap(d=5, ranks=5 to 5)"


@pytest.mark.parametrize(("rank_x", "rank_y"), [(0, 0), (3, 3), (3, 1), (5, 2), (4, 0), (1, 1)])
def test_map_of_singular_covariances_moves_least(rank_x, rank_y):
    mean_x, cov_x, mean_y, cov_y = laws(5, rank_x, rank_y)
    found = otgen.gaussian_map(mean_x, cov_x, mean_y, cov_y)
    same(found.matrix @ cov_x @ found.matrix.T, cov_y, atol=1e-10)
    step = found.matrix - np.eye(5)
    moved = ((mean_x - mean_y) ** 2).sum() + np.trace(step @ cov_x @ step.T)
    assert moved == pytest.approx(otgen.gaussian_wasserstein(mean_x, cov_x, mean_y, cov_y) ** 2, rel=1e-10)
    x = mean_x + np.random.default_rng(0).normal(size=(9, 5)) @ cov_x
    image = found.transform(x)
    assert ((x[:, None] - x) * (image[:, None] - image)).sum(axis=-1).min() >= -1e-9  # monotone, as gradients are
    if rank_x == rank_y:
        same(found.inverse(image), x, atol=1e-9)
    else:
        with pytest.raises(ValueError, match=f"no inverse: cov_x has rank {rank_x} and cov_y rank {rank_y}. Add"):
            found.inverse(image)


def test_map_between_supports_that_are_orthogonal():
    found = otgen.gaussian_map([0, 0], [[1, 0], [0, 0]], [0, 0], [[0, 0], [0, 4]])
    assert abs(found.transform([[3.0, 0.0]])).tolist() == [[0.0, 6.0]]


def test_map_takes_and_returns_arrays_of_one_kind():
    arrays = laws(3)
    exact = otgen.gaussian_map(*arrays)
    found = otgen.gaussian_map(*(torch.tensor(array, dtype=torch.float32) for array in arrays))
    assert {part.dtype for part in (found.matrix, found.offset, found.mean_x, found.mean_y)} == {torch.float32}
    same(found.matrix, exact.matrix, rtol=1e-3, atol=1e-5)
    x = np.random.default_rng(0).normal(size=(4, 3))
    for dtype, result in ((torch.float64, torch.float64), (torch.float32, torch.float32), (torch.int64, torch.float64)):
        assert exact.transform(torch.tensor(x).to(dtype)).dtype == result
    assert exact.transform(torch.tensor(x).bfloat16()).dtype == torch.float32
    assert exact.transform(x.astype("f4")).dtype == np.float32
    points = torch.tensor(x, requires_grad=True)
    image = exact.transform(points)
    same(image.detach(), exact.transform(x), rtol=tol(float))
    assert torch.autograd.gradcheck(exact.transform, points)
    assert torch.autograd.gradcheck(exact.inverse, points)


def test_map_refuses_what_has_none():
    mean, cov = law(4)
    with pytest.raises(
        ValueError, match=r"cov_x must have at least the rank of cov_y \(4\) .* its rank is 2. Add a small"
    ):
        otgen.gaussian_map(*law(4, 2), mean, cov)
    with pytest.raises(ValueError, match=r"cov_y must not record gradients: .* Pass cov_y.detach\(\)"):
        first, second = torch.tensor(mean), torch.tensor(cov)
        otgen.gaussian_map(first, second, first, second.clone().requires_grad_())
    found = otgen.gaussian_map(mean, cov, mean, cov)
    with pytest.raises(ValueError, match=r"x must have shape \(k, 4\), as mean_x; got shape \(2, 3\)"):
        found.transform(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"y must be finite; y\[0, 0\] is nan"):
        found.inverse(np.full((1, 4), np.nan))
