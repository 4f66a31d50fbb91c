"""Entropic transport of arrays on a GPU: the results of the host, returned where the arrays live."""

from __future__ import annotations

import numpy as np
import pytest

import otgen

OPTIONS = [
    {"eps": 0.3},
    {"eps": 0.05, "cost": "euclidean"},
    {"eps": 0.3, "unbalanced": 1.0},
    {"eps": 0.1, "cost": "cosine"},
    {"eps": 0.3, "cost": ("cityblock", 1.0), "unbalanced": (0.5, np.inf)},
]


def problem(rng, n=90, m=70, d=3, dtype: type = np.float64):
    a, b = rng.random(n) * (np.arange(n) > 3), rng.random(m)
    x, y = rng.normal(size=(n, d)) + 2.0, rng.normal(size=(m, d)) + 2.5
    return x.astype(dtype), y.astype(dtype), a / a.sum(), b / b.sum()


@pytest.mark.parametrize("options", OPTIONS)
def test_sinkhorn_is_that_of_the_host(cupy, rng, options):
    given = problem(rng)
    found, wanted = otgen.sinkhorn(*(cupy.asarray(v) for v in given), **options), otgen.sinkhorn(*given, **options)
    assert found.converged and found.where.startswith("pairs on cuda:0")
    for name in ("value", "objective", "dual_value", "lower_bound", "upper_bound"):
        one, other = getattr(found, name), getattr(wanted, name)
        assert (one is None) == (other is None) and (one is None or one == pytest.approx(other, rel=1e-5)), name
    assert found.gap < 1e-5 and found.marginal_error <= 1e-6 * found.scale
    for one, other in zip(found.potentials, wanted.potentials):
        assert isinstance(one, cupy.ndarray)
        np.testing.assert_allclose(cupy.asnumpy(one), other, atol=2e-5)


def test_the_plan_is_an_operator_on_the_device(cupy, rng):
    given = problem(rng)
    found, wanted = (otgen.sinkhorn(*v, eps=0.3) for v in ([cupy.asarray(v) for v in given], given))
    V = rng.normal(size=(70, 2))
    for one, other in (
        (found.plan @ cupy.asarray(V), wanted.plan @ V),
        (found.plan.T @ cupy.ones(90), wanted.plan.T @ np.ones(90)),
        (found.plan.toarray(), wanted.plan.toarray()),
        (found.plan.rows([0, 5, 89]), wanted.plan.rows([0, 5, 89])),
        (found.plan.rows(7), wanted.plan.rows(7)),
        (found.map(), wanted.map()),
        (found.map(cupy.asarray(given[1][:5])), wanted.map(given[1][:5])),
        (found.plan.marginals()[1], wanted.plan.marginals()[1]),
    ):
        assert isinstance(one, cupy.ndarray) and one.shape == other.shape
        np.testing.assert_allclose(cupy.asnumpy(one), other, atol=1e-5)
    with pytest.raises(TypeError, match="plan @ V needs V in the library of the points; got ndarray"):
        _ = found.plan @ np.zeros(70)


def test_single_precision_and_the_divergence(cupy, rng):
    x, y, a, b = problem(rng, dtype=np.float32)
    device = [cupy.asarray(v) for v in (x, y, a, b)]
    found = otgen.sinkhorn_divergence(*device, eps=0.2)
    assert found == pytest.approx(otgen.sinkhorn_divergence(x, y, a, b, eps=0.2), rel=1e-3)
    single = otgen.sinkhorn(*device, eps=0.2)
    assert single.converged and single.plan.dtype == np.float32
    assert single.value == pytest.approx(otgen.sinkhorn(x, y, a, b, eps=0.2).value, rel=1e-4)


def test_a_matrix_on_the_device(cupy, rng):
    x, y, a, b = problem(rng)
    C = np.square(x[:, None] - y).sum(2)
    found = otgen.solve(cupy.asarray(C), cupy.asarray(a), cupy.asarray(b), eps=0.3)
    wanted = otgen.solve(C, a, b, eps=0.3)
    assert found.value == pytest.approx(wanted.value, rel=1e-5)
    assert found.lower_bound == pytest.approx(wanted.lower_bound, rel=1e-5)
    np.testing.assert_allclose(cupy.asnumpy(found.plan.toarray()), wanted.plan.toarray(), atol=1e-6)


def test_potentials_start_it_where_they_live(cupy, rng):
    x, y, a, b = (cupy.asarray(v) for v in problem(rng))
    first = otgen.sinkhorn(x, y, a, b, eps=0.3)
    again = otgen.sinkhorn(x, y, a, b, eps=0.3, potentials=first.potentials)
    assert again.n_iter <= 2 and again.value == pytest.approx(first.value, rel=1e-6)
    with pytest.raises(TypeError, match=r"one library; x is cupy, potentials\[0\] is numpy"):
        otgen.sinkhorn(x, y, a, b, eps=0.3, potentials=tuple(cupy.asnumpy(v) for v in first.potentials))


def test_gradients_return_to_the_device(cupy, rng, cuda_tensors):
    torch, device = cuda_tensors.torch, cuda_tensors.device
    given = [torch.from_numpy(v).to(device).requires_grad_() for v in problem(rng)]
    host = [v.detach().cpu().numpy() for v in given]
    otgen.sinkhorn(*given, eps=0.3).objective.backward()
    found = [v.grad.cpu().numpy() for v in given]
    step = 1e-4 * rng.normal(size=host[0].shape)
    up, down = (otgen.sinkhorn(host[0] + s * step, *host[1:], eps=0.3, tol=1e-9).objective for s in (1.0, -1.0))
    assert (found[0] * step).sum() == pytest.approx(0.5 * (up - down), rel=1e-4)
    assert all(np.isfinite(g).all() for g in found)


def test_coarser_clouds_are_used(cupy, rng):
    x, y = rng.normal(size=(200, 2)), rng.normal(size=(180, 2)) + 1.0
    found = otgen.sinkhorn(cupy.asarray(x), cupy.asarray(y), eps=0.01, tol=1e-4)
    assert found.converged
    assert found.value == pytest.approx(otgen.sinkhorn(x, y, eps=0.01, tol=1e-4).value, rel=1e-3)


@pytest.mark.parametrize("options", [{}, {"unbalanced": 1.0}])
def test_batches_are_those_of_the_host(cupy, rng, options):
    x, y = rng.normal(size=(4, 20, 2)), rng.normal(size=(4, 17, 2)) + 0.5
    b = rng.random((4, 17))
    given = x, y, None, b / b.sum(1, keepdims=True)
    device = [None if v is None else cupy.asarray(v) for v in given]
    found, wanted = otgen.sinkhorn(*device, eps=0.3, **options), otgen.sinkhorn(*given, eps=0.3, **options)
    assert isinstance(found.value, cupy.ndarray) and found.converged.all()
    np.testing.assert_allclose(cupy.asnumpy(found.value), wanted.value, rtol=1e-9)
    np.testing.assert_allclose(found.dual_value, wanted.dual_value, rtol=1e-9)
    np.testing.assert_allclose(cupy.asnumpy(found.potentials[0]), wanted.potentials[0], atol=1e-7)
    assert found[1].value == pytest.approx(wanted[1].value, rel=1e-8)
    one, other = (otgen.sinkhorn_divergence(*v, eps=0.3, **options) for v in (device, given))
    assert isinstance(one, cupy.ndarray)
    np.testing.assert_allclose(cupy.asnumpy(one), other, rtol=1e-6)


def test_gradients_of_a_batch(cupy, rng, cuda_tensors):
    torch, device = cuda_tensors.torch, cuda_tensors.device
    given = rng.normal(size=(2, 9, 2)), rng.normal(size=(2, 8, 2))
    x, y = (torch.from_numpy(v).to(device).requires_grad_() for v in given)
    otgen.sinkhorn(x, y, eps=0.5).objective.sum().backward()
    for k in range(2):
        own_x = torch.from_numpy(given[0][k]).to(device).requires_grad_()
        otgen.sinkhorn(own_x, torch.from_numpy(given[1][k]).to(device), eps=0.5, tol=1e-9).objective.backward()
        np.testing.assert_allclose(x.grad[k].cpu().numpy(), own_x.grad.cpu().numpy(), atol=1e-5)
