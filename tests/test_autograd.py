"""Gradients on torch tensors against finite differences of the same distance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import otgen
from otgen import autograd
from otgen.arrays import Home
from tolerance import tol

torch = pytest.importorskip("torch")

STEP = 1e-6


def problem(n=6, m=5, d=2, seed=0):
    """Random clouds with random weights: no ties, so plan and duals are unique and differences are smooth."""
    rng = np.random.default_rng(seed)
    a, b = rng.random(n) + 0.1, rng.random(m) + 0.1
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.5, a / a.sum(), b / b.sum()


def tensors(*arrays):
    return [torch.tensor(array, requires_grad=True) for array in arrays]


def differences(function, arrays, k):
    """Central differences in arrays[k]; weights are normalised to mass 1, as the convention of their gradient says."""
    gradient = np.zeros_like(arrays[k])
    for index in np.ndindex(gradient.shape):
        ends = []
        for sign in (1, -1):
            moved = [array.copy() for array in arrays]
            moved[k][index] += sign * STEP
            moved[2:] = [weights / weights.sum() for weights in moved[2:]]
            ends.append(function(*moved))
        gradient[index] = (ends[0] - ends[1]) / (2 * STEP)
    return gradient


def check(differentiable, function, arrays):
    inputs = tensors(*arrays)
    value = differentiable(*inputs)
    assert value.shape == () and value.requires_grad
    assert value.item() == pytest.approx(function(*arrays), rel=tol(float))
    value.backward()
    for k, tensor in enumerate(inputs):
        np.testing.assert_allclose(tensor.grad.numpy(), differences(function, arrays, k), rtol=2e-5, atol=2e-8)


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("p", [1, 2, 3.5])
@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "chebyshev"])
def test_wasserstein(metric, p, d):
    def distance(*arrays):
        return otgen.wasserstein(*arrays, p=p, metric=metric)

    check(distance, distance, problem(d=d))


@pytest.mark.parametrize("p", [1, 2])
def test_wasserstein_cosine(p):
    def distance(*arrays):
        return otgen.wasserstein(*arrays, p=p, metric="cosine")

    check(distance, distance, problem(d=3))


@pytest.mark.parametrize("cost", ["sqeuclidean", "euclidean", ("cityblock", 1.5), "cosine"])
def test_value_of_solve_sample(cost):
    def value(*arrays):
        return otgen.solve_sample(*arrays, cost=cost).value

    check(value, value, problem(d=2))


@pytest.mark.parametrize("p", [1, 2, 3.5])
def test_wasserstein_1d(p):
    def distance(*arrays):
        return otgen.wasserstein_1d(*arrays, p=p)

    x, y, a, b = problem(d=1)
    check(distance, distance, (x[:, 0], y[:, 0], a, b))


def test_columns_of_wasserstein_1d():
    arrays = problem(d=3)
    outer = np.array([1.0, -2.0, 0.5])

    def distance(*arrays):
        return float(outer @ otgen.wasserstein_1d(*arrays, p=2))

    def differentiable(*inputs):
        values = otgen.wasserstein_1d(*inputs, p=2)
        assert values.shape == (3,)
        return torch.from_numpy(outer) @ values

    check(differentiable, distance, arrays)


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_extreme_scales_have_the_gradient_of_the_unit_scale(scale):
    x, y, a, b = problem()
    for function in (otgen.wasserstein, lambda *arrays, p: otgen.wasserstein_1d(*arrays, p=p).sum()):
        unit, scaled = tensors(x, y, a, b), tensors(scale * x, scale * y, a, b)
        function(*unit, p=2).backward()
        function(*scaled, p=2).backward()
        for k in range(4):
            expected = unit[k].grad * (scale if k >= 2 else 1.0)
            np.testing.assert_allclose(
                scaled[k].grad, expected, rtol=tol(float), atol=tol(float) * expected.abs().max()
            )


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "chebyshev", "cosine"])
def test_distance_zero_has_gradient_zero(metric, p):
    x, _, a, _ = problem(d=3)
    inputs = tensors(x, x[::-1].copy(), a, a[::-1].copy())
    otgen.wasserstein(*inputs, p=p, metric=metric).backward()
    for tensor in inputs:
        assert torch.count_nonzero(tensor.grad) == 0
    value = otgen.solve_sample(*inputs, cost=(metric, p)).value
    for gradient in torch.autograd.grad(value, inputs):
        assert torch.count_nonzero(gradient) == 0


@pytest.mark.parametrize("p", [1, 1.5, 2])
def test_distance_zero_on_the_line_has_gradient_zero(p):
    inputs = tensors(np.array([0.0, 1.0, 1.0]), np.array([1.0, 0.0, 1.0]))
    otgen.wasserstein_1d(*inputs, p=p).backward()
    assert all(torch.count_nonzero(tensor.grad) == 0 for tensor in inputs)


@pytest.mark.parametrize("p", [1, 1.5, 2])
@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "chebyshev"])
def test_points_that_coincide_have_gradient_zero_and_the_others_their_own(metric, p):
    x, y = np.array([[0.0, 0.0], [5.0, 1.0]]), np.array([[0.0, 0.0], [5.0, 3.0]])
    inputs = tensors(x, y)
    value = otgen.solve_sample(*inputs, cost=(metric, p)).value
    value.backward()
    np.testing.assert_array_equal(inputs[0].grad[0], [0, 0])
    np.testing.assert_allclose(inputs[0].grad[1], [0, -0.5 * p * 2 ** (p - 1)], atol=tol(float))
    np.testing.assert_array_equal(inputs[1].grad, -inputs[0].grad)


def test_points_without_mass():
    x, y, a, b = problem()
    a[2] = 0.0
    a /= a.sum()
    inputs = tensors(x, y, a, b)
    otgen.wasserstein(*inputs, p=2).backward()
    assert torch.count_nonzero(inputs[0].grad[2]) == 0
    # One-sided: mass can only be added to a point that has none.
    moved = a.copy()
    moved[2] += STEP
    ahead = otgen.wasserstein(x, y, moved / moved.sum(), b, p=2) - otgen.wasserstein(x, y, a, b, p=2)
    assert inputs[2].grad[2].item() == pytest.approx(ahead / STEP, rel=1e-4)


def test_weight_gradients_keep_the_mass():
    x, y, a, b = problem()
    inputs = tensors(x, y, a, b)
    otgen.wasserstein(*inputs, p=2).backward()
    assert float(inputs[2].grad @ torch.from_numpy(a)) == pytest.approx(0, abs=tol(float))
    logits = torch.log(torch.from_numpy(a)).requires_grad_()
    otgen.wasserstein(inputs[0], inputs[1], torch.softmax(logits, 0), inputs[3], p=2).backward()
    expected = torch.from_numpy(a) * inputs[2].grad
    np.testing.assert_allclose(logits.grad, expected, rtol=tol(float), atol=tol(float))


def test_the_gradient_of_a_cost_matrix_is_the_plan():
    x, y, a, b = problem()
    C, weights = torch.tensor(np.abs(x[:, :1] - y[:, 0]) ** 2, requires_grad=True), tensors(a, b)
    result = otgen.solve(C, *weights)
    result.value.backward()
    np.testing.assert_allclose(C.grad, result.plan.toarray())
    shifted = otgen.solve(torch.from_numpy(C.detach().numpy() - result.value.item()), *weights)
    assert shifted.value.item() == pytest.approx(0, abs=tol(float))
    for tensor, gradient in zip(weights, torch.autograd.grad(shifted.value, weights)):
        np.testing.assert_allclose(
            gradient, tensor.grad, rtol=1e-9, atol=tol(float)
        )  # 0 means nothing where costs have signs
    for k, tensor in enumerate(weights):
        numeric = differences(lambda *arrays: otgen.solve(*arrays[1:]).value, (a, C.detach().numpy(), a, b), k + 2)
        np.testing.assert_allclose(tensor.grad, numeric, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    "compute",
    [
        lambda x, y: otgen.wasserstein(x, y, p=2),
        lambda x, y: otgen.solve_sample(x, y).value,
        lambda x, y: otgen.wasserstein_1d(x, y).sum(),
    ],
)
def test_a_second_derivative_is_refused(compute):
    x, y = tensors(*problem()[:2])
    (gradient,) = torch.autograd.grad(compute(x, y), x, create_graph=True)
    penalised = x.sum() + gradient.square().sum()
    with pytest.raises(RuntimeError, match="once differentiable.*create_graph=True"):
        penalised.backward()


def test_backward_twice_and_the_chain_rule():
    x, y = tensors(*problem()[:2])
    value = otgen.wasserstein(x, y, p=2)
    (once,) = torch.autograd.grad(value, x, retain_graph=True)
    (twice,) = torch.autograd.grad(3 * value**2, x)
    np.testing.assert_allclose(twice, 6 * value.item() * once, rtol=tol(float))


@pytest.mark.parametrize(
    ("dtype", "returned"), [("float32", "float32"), ("float16", "float32"), ("bfloat16", "float32")]
)
def test_dtypes_of_value_and_gradient(dtype, returned):
    x, y = (torch.tensor(points).to(getattr(torch, dtype)).requires_grad_() for points in problem()[:2])
    for value in (otgen.wasserstein(x, y), otgen.wasserstein_1d(x, y).sum(), otgen.solve_sample(x, y).value):
        assert value.dtype == getattr(torch, returned)
        value.backward()
        assert x.grad is not None and x.grad.dtype == x.dtype and torch.isfinite(x.grad).all()


def test_only_what_requires_a_gradient_gets_one():
    x, y = (torch.tensor(points) for points in problem()[:2])
    assert not otgen.wasserstein(x, y).requires_grad
    y.requires_grad_()
    value = otgen.wasserstein(x, y)
    value.backward()
    assert x.grad is None and y.grad is not None
    with torch.no_grad():
        assert not otgen.wasserstein(x, y).requires_grad
        assert not otgen.solve_sample(x, y).value.requires_grad


def test_attach_contracts_a_jacobian_with_the_incoming_gradient():
    home = Home(np.dtype(np.float64), torch.device("cpu"))
    x, w = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True), torch.zeros(2).double().requires_grad_()
    by_x, by_w = np.arange(6.0).reshape(2, 3), np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    pairs: list[tuple[Any, np.ndarray]] = [(x, by_x), (w, by_w), (None, by_x)]
    values = autograd.attach(np.array([7.0, 8.0, 9.0]), home, pairs)
    assert values.tolist() == [7.0, 8.0, 9.0]
    values.backward(torch.tensor([1.0, 0.0, 10.0], dtype=torch.float64))
    assert x.grad.tolist() == [[0.0, 0.0, 20.0], [3.0, 0.0, 50.0]] and w.grad.tolist() == [31.0, 64.0]


def test_numpy_inputs_never_want_a_gradient():
    assert not autograd.wants_gradient(np.zeros(2), None, [1.0])


def test_points_as_lists_live_where_their_weights_do():
    x, y = [[0.0, 0.0], [1.0, 0.0]], [[0.0, 2.0], [3.0, 0.0]]
    a = torch.tensor([0.25, 0.75], dtype=torch.float64, requires_grad=True)
    value = otgen.wasserstein(x, y, a)
    assert isinstance(value, torch.Tensor) and value.requires_grad
    value.backward()
    assert a.grad is not None and a.grad.abs().sum() > 0
    line = otgen.wasserstein_1d([0.0, 1.0], [2.0, 3.0], a)
    assert isinstance(line, torch.Tensor) and line.requires_grad
    result = otgen.solve([[0.0, 1.0], [2.0, 0.0]], a)
    assert isinstance(result.value, torch.Tensor) and result.value.requires_grad
