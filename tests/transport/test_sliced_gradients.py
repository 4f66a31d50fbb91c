"""Gradients of sliced distances on torch tensors: differences, POT's autograd, and the conventions at 0."""

from __future__ import annotations

from typing import Any

import numpy as np
import ot
import pytest

import otgen
from tolerance import tol

torch = pytest.importorskip("torch")

DIRECTIONS = np.linalg.qr(np.random.default_rng(7).normal(size=(3, 3)))[0]


def problem(n=6, m=5, seed=0):
    rng = np.random.default_rng(seed)
    a, b = rng.random(n) + 0.1, rng.random(m) + 0.1
    return rng.normal(size=(n, 3)), rng.normal(size=(m, 3)) + 0.5, a / a.sum(), b / b.sum()


def tensors(*arrays):
    return [torch.tensor(array, requires_grad=True) for array in arrays]


def distance(*arrays, p=2.0):
    return otgen.sliced_wasserstein(*arrays, p=p, projections=DIRECTIONS).value


@pytest.mark.parametrize("p", [1.0, 2.0, 3.5])
def test_gradients_are_those_of_pot(p):
    """POT differentiates the quantile functions; ours keep the mass, so that its weight gradients are centred."""
    arrays = problem()
    ours, theirs = tensors(*arrays), tensors(*arrays)
    value = distance(*ours, p=p)
    assert value.shape == () and value.dtype == torch.float64
    value.backward()
    peer: Any = ot.sliced_wasserstein_distance(*theirs, projections=torch.tensor(DIRECTIONS.T), p=p)
    peer.backward()
    assert value.item() == pytest.approx(peer.item(), rel=tol(float))
    for k, (one, other) in enumerate(zip(ours, theirs)):
        expected = other.grad if k < 2 else other.grad - other.grad @ other.detach()
        np.testing.assert_allclose(one.grad, expected, rtol=1e-9, atol=tol(float))


@pytest.mark.parametrize("scale", [1e-150, 1e150])
@pytest.mark.parametrize("p", [1.0, 2.0, 3.5])
def test_gradients_know_no_scale_in_points_and_the_scale_in_weights(scale, p):
    x, y, a, b = problem()
    unit, scaled = tensors(x, y, a, b), tensors(scale * x, scale * y, a, b)
    distance(*unit, p=p).backward()
    distance(*scaled, p=p).backward()
    for k in range(4):
        expected = unit[k].grad * (scale if k >= 2 else 1.0)
        np.testing.assert_allclose(scaled[k].grad, expected, rtol=1e-9, atol=1e-9 * expected.abs().max())


def test_mass_and_points_without_weight():
    x, y, a, b = problem()
    a[2] = 0.0
    a /= a.sum()
    one, three = tensors(x, y, a, b), tensors(x, y, 3 * a, 3 * b)
    distance(*one).backward()
    distance(*three).backward()
    assert torch.count_nonzero(one[0].grad[2]) == 0
    for k in range(4):
        factor = 3**0.5 if k < 2 else 3**-0.5
        np.testing.assert_allclose(three[k].grad, factor * one[k].grad, rtol=1e-9, atol=tol(float))
    step = 1e-6
    moved = a.copy()
    moved[2] += step
    ahead = (distance(x, y, moved / moved.sum(), b) - distance(x, y, a, b)) / step
    assert one[2].grad[2].item() == pytest.approx(ahead, rel=1e-4)


def test_distance_zero_has_gradient_zero():
    x = problem()[0]
    for p in (1.0, 1.5, 2.0):
        inputs = tensors(x, x.copy(), np.full(6, 1 / 6), np.full(6, 1 / 6))
        value = distance(*inputs, p=p)
        value.backward()
        assert value.item() == 0.0 and all(torch.count_nonzero(tensor.grad) == 0 for tensor in inputs)


def test_directions_of_growing_distance_are_summed_in_parts(monkeypatch):
    """Sums so far are brought down where a later part is larger, for powers that would overflow."""
    x, y, _, _ = problem()
    x, y = x * [1.0, 1e3, 1e6], y * [1.0, 1e3, 1e6]
    monkeypatch.setattr("otgen.transport.slicing.MOST_COLUMNS", 1)
    monkeypatch.setattr("otgen.transport.slicing.LEAST_COLUMNS", 1)
    for p in (2.0, 80.0):
        inputs = tensors(x, y)
        value = otgen.sliced_wasserstein(*inputs, p=p, projections=np.eye(3)).value
        value.backward()
        # Euler: the value is 1-homogeneous in the points, of each axis as well
        total = sum(float((tensor.grad * tensor.detach()).sum()) for tensor in inputs)
        assert total == pytest.approx(value.item(), rel=1e-9)
        lines = [otgen.wasserstein_1d(x[:, k], y[:, k], p=p) for k in range(3)]
        first = sum(float((tensor.grad * tensor.detach())[:, 1].sum()) for tensor in inputs)
        expected = (lines[1] / value.item()) ** p / 3 * value.item()
        assert first == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_batches_have_the_gradients_of_their_problems():
    parts = [problem(seed=k) for k in range(3)]
    together = tensors(*(np.stack(arrays) for arrays in zip(*parts)))
    values = distance(*together)
    assert values.shape == (3,)
    outer = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    (outer @ values).backward()
    for k, arrays in enumerate(parts):
        alone = tensors(*arrays)
        (outer[k] * distance(*alone)).backward()
        for one, other in zip(together, alone):
            np.testing.assert_allclose(one.grad[k], other.grad, rtol=1e-12, atol=1e-15)


def test_shared_weights_of_a_batch_gather_the_gradients_of_its_problems():
    parts = [problem(seed=k) for k in range(3)]
    x, y = (np.stack([part[side] for part in parts]) for side in (0, 1))
    shared = tensors(*parts[0][2:])
    distance(*tensors(x, y), *shared).sum().backward()
    expected = np.zeros(6)
    for k in range(3):
        a = tensors(parts[0][2])[0]
        distance(torch.tensor(x[k]), torch.tensor(y[k]), a, torch.tensor(parts[0][3])).backward()
        expected += a.grad.numpy()
    np.testing.assert_allclose(shared[0].grad, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_float32_gradients(dtype):
    x, y, _, _ = problem(60, 60)
    single, double = [torch.tensor(v).to(dtype).requires_grad_() for v in (x, y)], []
    double = [tensor.detach().double().requires_grad_() for tensor in single]
    found = otgen.sliced_wasserstein(*single, projections=DIRECTIONS)
    assert found.value.dtype == found.distances.dtype == found.directions.dtype == torch.float32
    found.value.backward()
    distance(*double).backward()
    for one, other in zip(single, double):
        assert one.grad.dtype == dtype
        np.testing.assert_allclose(
            one.grad.double(), other.grad, atol=0.1 * tol(np.float32) if dtype == torch.float32 else 1e-4
        )


def test_only_what_is_recorded_is_computed_and_only_once_differentiable():
    x, y = tensors(*problem()[:2])
    value = distance(x.detach(), y)
    value.backward()
    assert x.grad is None and y.grad is not None
    assert not distance(x.detach(), y.detach()).requires_grad
    (gradient,) = torch.autograd.grad(distance(x, y), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once differentiable"):
        gradient.square().sum().backward()
