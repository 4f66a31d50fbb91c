"""MMD, the energy distance and their tests for arrays on a GPU: the values and gradients of the host."""

from __future__ import annotations

import numpy as np
import pytest

import otgen

CASES = [{}, {"kernel": "gaussian", "estimator": "biased"}, {"kernel": "polynomial"}, {"kernel": "laplace"},
         {"kernel": "rational_quadratic", "bandwidth": 1.5}, {"estimator": "linear"}]  # fmt: skip


def clouds(rng, n=40, m=40, d=3):
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.5


@pytest.mark.parametrize("options", CASES)
def test_mmd_is_that_of_the_host(cupy, rng, options):
    x, y = clouds(rng)
    found = otgen.mmd_squared(cupy.asarray(x), cupy.asarray(y), **options)
    assert isinstance(found, float) and found == pytest.approx(otgen.mmd_squared(x, y, **options), rel=1e-10)


def test_weights_batches_and_the_energy_distance(cupy, rng):
    x, y = clouds(rng, 30, 20)
    a, b = rng.random(30) * (np.arange(30) > 2), rng.random(20)
    given = x, y, a / a.sum(), b / b.sum()
    for call in (otgen.mmd_squared, otgen.energy_distance_squared):
        assert call(*(cupy.asarray(v) for v in given)) == pytest.approx(call(*given), rel=1e-10)
    xs, ys = rng.normal(size=(3, 10, 2)), rng.normal(size=(3, 12, 2))
    found = otgen.mmd_squared(cupy.asarray(xs), cupy.asarray(ys))
    assert isinstance(found, cupy.ndarray)
    np.testing.assert_allclose(cupy.asnumpy(found), otgen.mmd_squared(xs, ys), rtol=1e-10)
    device = otgen.median_bandwidth(cupy.asarray(x), cupy.asarray(y))
    assert isinstance(device, float) and device == otgen.median_bandwidth(x, y)


@pytest.mark.parametrize("options", [{}, {"kernel": "laplace", "estimator": "biased"}, {"estimator": "linear"}])
def test_gradients_are_those_of_the_host(cupy, rng, cuda_tensors, options, monkeypatch):
    torch, device = cuda_tensors.torch, cuda_tensors.device
    x, y = clouds(rng, 24, 24, 5)
    weights = [] if "estimator" in options and options["estimator"] == "linear" else [np.full(24, 1 / 24)] * 2
    given = [torch.from_numpy(v.copy()).to(device).requires_grad_() for v in (x, y, *weights)]
    otgen.mmd_squared(*given, **options).backward()
    found = [v.grad.cpu().numpy() for v in given]
    monkeypatch.undo()
    other = [torch.from_numpy(v.copy()).requires_grad_() for v in (x, y, *weights)]
    otgen.mmd_squared(*other, **options).backward()
    for one, two in zip(found, other):
        np.testing.assert_allclose(one, two.grad.numpy(), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("statistic", ["mmd", "energy", "wasserstein", "sliced"])
def test_a_permutation_test_draws_the_same_labels(cupy, rng, statistic):
    x, y = clouds(rng, 12, 9, 2)
    found, wanted = (
        otgen.two_sample_test(*given, statistic=statistic, n_permutations=19)
        for given in ((cupy.asarray(x), cupy.asarray(y)), (x, y))
    )
    assert found.p_value == wanted.p_value and found.statistic == pytest.approx(wanted.statistic, rel=1e-9)
    np.testing.assert_allclose(found.null, wanted.null, rtol=1e-9, atol=1e-12)
