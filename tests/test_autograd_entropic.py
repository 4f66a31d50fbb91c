"""Gradients of entropic objectives and divergences against finite differences."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

import otgen
from tolerance import tol

torch = pytest.importorskip("torch")

STEP = 1e-4
EPS = 0.4
SIDES = {"balanced": None, "unbalanced": (0.7, 1.5), "one-sided": (math.inf, 0.8), "other side": (0.8, math.inf)}


def problem(n=6, m=5, d=2, seed=0, masses=(1.0, 1.0)):
    rng = np.random.default_rng(seed)
    a, b = rng.random(n) + 0.1, rng.random(m) + 0.1
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.5
    return x, y, masses[0] * a / a.sum(), masses[1] * b / b.sum()


def tensors(*arrays):
    return [torch.tensor(array, requires_grad=True) for array in arrays]


def differences(function, arrays, k, fixed_mass):
    """Central differences in arrays[k]; at fixed mass, weights are brought back to theirs."""
    masses = [weights.sum() for weights in arrays[2:]]
    gradient = np.zeros_like(arrays[k])
    for index in np.ndindex(gradient.shape):
        ends = []
        for sign in (1, -1):
            moved = [array.copy() for array in arrays]
            moved[k][index] += sign * STEP
            if fixed_mass:
                moved[2:] = [weights * (mass / weights.sum()) for weights, mass in zip(moved[2:], masses)]
            ends.append(function(*moved))
        gradient[index] = (ends[0] - ends[1]) / (2 * STEP)
    return gradient


def objective(cost, unbalanced):
    def function(*arrays):
        options = {"eps": EPS, "cost": cost, "unbalanced": unbalanced, "tol": 1e-11}
        return otgen.sinkhorn(*arrays, **options).objective

    return function


def divergence(cost, unbalanced):
    def function(*arrays):
        options = {"eps": EPS, "cost": cost, "unbalanced": unbalanced, "tol": 1e-11}
        return otgen.sinkhorn_divergence(*arrays, **options)

    return function


@pytest.mark.parametrize("kind", [objective, divergence])
@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize("cost", [("euclidean", 2), ("cityblock", 1.5), ("chebyshev", 2), ("cosine", 1)])
def test_points_and_weights(cost, sides, kind):
    unbalanced = SIDES[sides]
    arrays = problem(masses=(1.0, 1.0) if unbalanced is None else (1.0, 1.6))
    function, inputs = kind(cost, unbalanced), tensors(*arrays)
    value = function(*inputs)
    assert value.shape == () and value.requires_grad
    assert value.item() == pytest.approx(function(*arrays), rel=tol(float))
    value.backward()
    for k, tensor in enumerate(inputs):
        expected = differences(function, arrays, k, fixed_mass=unbalanced is None)
        np.testing.assert_allclose(tensor.grad.numpy(), expected, rtol=1e-4, atol=2e-7)


def test_distances_to_the_power_one():
    arrays = problem()
    inputs, function = tensors(*arrays), objective("euclidean", None)
    function(*inputs).backward()
    for k, tensor in enumerate(inputs):
        np.testing.assert_allclose(tensor.grad, differences(function, arrays, k, True), rtol=1e-4, atol=2e-7)


def test_weights_of_another_mass():
    arrays = problem(masses=(5.0, 5.0))
    inputs, function = tensors(*arrays), objective("sqeuclidean", None)
    function(*inputs).backward()
    for k in (2, 3):
        np.testing.assert_allclose(inputs[k].grad, differences(function, arrays, k, True), rtol=1e-4, atol=1e-6)
        assert float(inputs[k].grad @ inputs[k].detach()) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("unbalanced", [None, (0.7, 1.5)])
def test_a_cost_matrix(unbalanced):
    x, y, a, b = problem()
    C, *weights = tensors((x[:, :1] - y[:, 0]) ** 2, a, b)
    options = {"eps": EPS, "unbalanced": unbalanced, "tol": 1e-11}
    result = otgen.solve(C, *weights, **options)
    result.objective.backward()
    np.testing.assert_allclose(C.grad, result.plan.toarray(), rtol=1e-12)
    numeric = differences(
        lambda C, _, *w: otgen.solve(C, *w, **options).objective, (C.detach().numpy(), a, a, b), 0, False
    )
    np.testing.assert_allclose(C.grad, numeric, rtol=1e-4, atol=1e-7)
    for k, tensor in enumerate(weights):
        numeric = differences(
            lambda C, _, *w: otgen.solve(C, *w, **options).objective,
            (C.detach().numpy(), a, a, b),
            k + 2,
            unbalanced is None,
        )
        np.testing.assert_allclose(tensor.grad, numeric, rtol=1e-4, atol=1e-7)


def test_points_without_mass():
    x, y, a, b = problem()
    a[2] = 0.0
    a /= a.sum()
    inputs, function = tensors(x, y, a, b), objective("sqeuclidean", None)
    function(*inputs).backward()
    assert torch.count_nonzero(inputs[0].grad[2]) == 0
    moved = a.copy()
    moved[2] += 1e-6
    ahead = function(x, y, moved / moved.sum(), b) - function(x, y, a, b)
    # One-sided, and x log x: mass can only be added to a point that has none.
    assert inputs[2].grad[2].item() == pytest.approx(ahead / 1e-6, abs=1e-2)


@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "chebyshev", "cosine"])
@pytest.mark.parametrize("p", [1, 2])
def test_the_divergence_of_a_cloud_with_itself_has_gradient_zero(metric, p):
    x, _, a, _ = problem()
    inputs = tensors(x, x.copy(), a, a.copy())
    value = divergence((metric, p), None)(*inputs)
    assert value.item() == 0.0
    value.backward()
    for tensor in inputs:
        assert torch.count_nonzero(tensor.grad) == 0
    order = np.random.default_rng(0).permutation(len(x))
    inputs = tensors(x, x[order], a, a[order])
    divergence((metric, p), None)(*inputs).backward()
    for tensor in inputs:
        assert torch.isfinite(tensor.grad).all() and tensor.grad.abs().max() < 1e-5


@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_extreme_scales_have_the_gradient_of_the_unit_scale(scale):
    x, y, a, b = problem()
    unit, scaled = tensors(x, y, a, b), tensors(scale * x, scale * y, a, b)
    otgen.sinkhorn(*unit, eps=EPS, tol=1e-10).objective.backward()
    otgen.sinkhorn(*scaled, eps=EPS * scale**2, tol=1e-10).objective.backward()
    for k, power in enumerate((1, 1, 2, 2)):
        np.testing.assert_allclose(scaled[k].grad / scale**power, unit[k].grad, rtol=1e-6, atol=1e-8)


def test_value_says_why_it_has_no_gradient():
    x, y = tensors(*problem()[:2])
    with pytest.raises(RuntimeError, match="Transport.value of entropic transport.*Differentiate Transport.objective"):
        otgen.sinkhorn(x, y, eps=EPS).value.backward()
    with torch.no_grad():
        assert not otgen.sinkhorn(x, y, eps=EPS).value.requires_grad


@pytest.mark.parametrize("kind", [objective, divergence])
def test_a_second_derivative_is_refused(kind):
    x, y = tensors(*problem()[:2])
    (gradient,) = torch.autograd.grad(kind("sqeuclidean", None)(x, y), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once differentiable.*create_graph=True"):
        gradient.square().sum().backward()


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_low_precision(dtype):
    expected = tensors(*problem()[:2])
    otgen.sinkhorn(*expected, eps=EPS, tol=1e-9).objective.backward()
    x, y = (z.detach().to(getattr(torch, dtype)).requires_grad_() for z in expected)
    for value in (otgen.sinkhorn(x, y, eps=EPS).objective, otgen.sinkhorn_divergence(x, y, eps=EPS)):
        assert value.dtype == torch.float32
        (gradient,) = torch.autograd.grad(value, x)
        assert gradient.dtype == x.dtype and torch.isfinite(gradient).all()
    (gradient,) = torch.autograd.grad(otgen.sinkhorn(x, y, eps=EPS).objective, x)
    rough = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}[dtype]
    np.testing.assert_allclose(gradient.double(), expected[0].grad, atol=rough)


def test_only_what_requires_a_gradient_gets_one():
    x, y = (torch.tensor(points) for points in problem()[:2])
    assert not otgen.sinkhorn(x, y, eps=EPS).objective.requires_grad
    y.requires_grad_()
    otgen.sinkhorn_divergence(x, y, eps=EPS).backward()
    assert x.grad is None and y.grad is not None


def test_numpy_users_see_no_torch_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x, y = tensors(*problem()[:2])
        otgen.sinkhorn_divergence(x, y, eps=EPS).backward()
