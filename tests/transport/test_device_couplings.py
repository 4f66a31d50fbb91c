"""What is built on transports of a GPU's arrays: couplings, barycenters, and exact transport under a matrix."""

from __future__ import annotations

import numpy as np
import pytest

import otgen


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("eps", [None, 0.3])
def test_pairs_are_drawn_as_on_the_host(cupy, rng, eps, replace):
    x, y = rng.normal(size=(40, 2)), rng.normal(size=(30, 2)) + 0.5
    a, b = rng.random(40) * (np.arange(40) > 2), rng.random(30)
    given = x, y, a / a.sum(), b / b.sum()
    options = {"eps": eps, "seed": 3, "n_pairs": 50, "replace": replace}
    found = otgen.couple(*(cupy.asarray(v) for v in given), **options)
    for one, other in zip(found, otgen.couple(*given, **options)):
        assert isinstance(one, cupy.ndarray) and one.dtype == np.int64 and one.shape == (50,)
        np.testing.assert_array_equal(cupy.asnumpy(one), other)


def test_uniform_pairs_are_a_permutation(cupy, cuda_tensors, rng):
    torch = cuda_tensors.torch
    x, y = (torch.tensor(rng.normal(size=(25, 3)), device=cuda_tensors.device) for _ in range(2))
    i, j = otgen.couple(x, y)
    assert isinstance(i, torch.Tensor) and i.dtype == torch.int64
    assert i.cpu().tolist() == list(range(25)) and sorted(j.cpu().tolist()) == list(range(25))


@pytest.mark.parametrize(("eps", "size"), [(None, 20), (0.4, 24), (0.4, 80)])
def test_a_barycenter_is_that_of_the_host(cupy, rng, eps, size):
    clouds = [rng.normal(size=(30, 2)) - 1.0, rng.normal(size=(24, 2)) + 1.0]
    weights = [None, rng.uniform(0.5, 1.0, 24)]
    weights[1] /= weights[1].sum()
    options = {"eps": eps, "size": size, "shares": [0.3, 0.7], "max_iter": 60, "tol": 1e-3}
    there = [cupy.asarray(cloud) for cloud in clouds], [None, cupy.asarray(weights[1])]
    found, wanted = otgen.barycenter(*there, **options), otgen.barycenter(clouds, weights, **options)
    assert isinstance(found.points, cupy.ndarray) and isinstance(found.weights, cupy.ndarray)
    assert found.converged == wanted.converged and found.value == pytest.approx(wanted.value, rel=1e-4)
    np.testing.assert_allclose(cupy.asnumpy(found.points), wanted.points, atol=2e-2)
    assert all("on cuda:0" in transport.where for transport in found.transports)


def test_a_barycenter_starts_from_a_support_on_the_device(cupy, rng):
    clouds, support = [rng.normal(size=(12, 2)) for _ in range(2)], rng.normal(size=(6, 2))
    there = [cupy.asarray(cloud) for cloud in clouds]
    found = otgen.barycenter(there, support=cupy.asarray(support), support_weights=cupy.full(6, 1 / 6))
    wanted = otgen.barycenter(clouds, support=support, support_weights=np.full(6, 1 / 6))
    np.testing.assert_allclose(cupy.asnumpy(found.points), wanted.points, atol=1e-9)
    with pytest.raises(TypeError, match="one library"):
        otgen.barycenter(there, support=support)


def test_a_matrix_is_solved_on_the_host_and_says_so(cupy, rng):
    C = rng.normal(size=(20, 15))
    a, b = rng.random(20) * (np.arange(20) > 1), rng.random(15)
    a, b = a / a.sum(), b / b.sum()
    found, wanted = otgen.solve(cupy.asarray(C), cupy.asarray(a), cupy.asarray(b)), otgen.solve(C, a, b)
    assert found.converged and found.where == "host, with C copied from cuda:0" and wanted.where == "host"
    assert found.value == wanted.value and (found.plan != wanted.plan).nnz == 0
    for one, other in zip(found.potentials, wanted.potentials):
        assert isinstance(one, cupy.ndarray)
        np.testing.assert_array_equal(cupy.asnumpy(one), other)


def test_the_gradient_in_a_matrix_returns_to_the_device(cupy, cuda_tensors, rng):
    torch = cuda_tensors.torch
    C = torch.tensor(rng.random((9, 7)), device=cuda_tensors.device, requires_grad=True)
    result = otgen.solve(C)
    result.value.backward()
    np.testing.assert_allclose(C.grad.cpu().numpy(), result.plan.toarray(), atol=1e-15)
