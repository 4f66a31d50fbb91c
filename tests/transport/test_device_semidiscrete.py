"""Semi-discrete maps of targets on a GPU: fitted there by Monte Carlo, applied wherever the points are."""

from __future__ import annotations

import numpy as np
import pytest

import otgen


@pytest.fixture
def targets(rng):
    return rng.random((12, 3))


@pytest.mark.parametrize("optimizer", [None, "adam"])
def test_a_map_is_fitted_on_the_device(cupy, targets, optimizer):
    y = cupy.asarray(targets)
    fit = otgen.SemiDiscreteOT(method="monte_carlo", optimizer=optimizer, tol=0.05).fit(y)
    assert fit.converged_ and fit.error_.high <= 0.05
    for found in (fit.heights_, fit.cell_measures_, fit.cell_centers_):
        assert isinstance(found, cupy.ndarray)
    fresh = np.random.default_rng(5).random((4000, 3))
    counts = np.bincount(cupy.asnumpy(fit.assign(cupy.asarray(fresh))), minlength=12) / 4000
    assert ((counts - 1 / 12) ** 2 * 12).sum() < 0.1
    np.testing.assert_allclose(cupy.asnumpy(fit.cell_measures_), 1 / 12, rtol=0.35)
    assert fit.value_.low <= fit.value_.value <= fit.value_.high
    again = otgen.SemiDiscreteOT(method="monte_carlo", optimizer=optimizer, tol=0.05).fit(y)
    np.testing.assert_array_equal(cupy.asnumpy(again.heights_), cupy.asnumpy(fit.heights_))


def test_points_are_mapped_where_they_are(cupy, targets, rng, cuda_tensors):
    fit = otgen.SemiDiscreteOT(method="monte_carlo", tol=0.05).fit(cupy.asarray(targets))
    x = rng.random((50, 3))
    for call in (fit.assign, fit.transform, fit.potential, lambda z: fit.singular(z, theta=0.3)):
        there, here = call(cupy.asarray(x)), call(x)
        assert isinstance(there, cupy.ndarray) and isinstance(here, np.ndarray)
        np.testing.assert_allclose(cupy.asnumpy(there), here, rtol=1e-12)
    sample = fit.sample(20, theta=1.0)
    assert isinstance(sample, cupy.ndarray) and sample.shape == (20, 3)
    torch = cuda_tensors.torch
    given = torch.from_numpy(x).to(cuda_tensors.device).requires_grad_()
    fit.potential(given).sum().backward()
    np.testing.assert_allclose(given.grad.cpu().numpy(), fit.transform(x), rtol=1e-12)


def test_newton_fits_targets_of_the_device_on_the_host(cupy, rng):
    y = rng.random((30, 2))
    b = rng.random(30)
    fit = otgen.SemiDiscreteOT().fit(cupy.asarray(y), cupy.asarray(b / b.sum()))
    wanted = otgen.SemiDiscreteOT().fit(y, b / b.sum())
    assert fit.method_ == "newton" and isinstance(fit.heights_, cupy.ndarray)
    np.testing.assert_array_equal(cupy.asnumpy(fit.heights_), wanted.heights_)


def test_a_fit_goes_on_from_its_file_and_is_saved(cupy, targets, tmp_path):
    y, path = cupy.asarray(targets), tmp_path / "state.npz"
    options = {"method": "monte_carlo", "tol": 0.01}
    with pytest.warns(otgen.ConvergenceWarning, match="max_samples"):
        otgen.SemiDiscreteOT(**options, max_samples=1500).fit(y, resume=path)
    assert path.exists()
    fit = otgen.SemiDiscreteOT(**options).fit(y, resume=path)
    whole = otgen.SemiDiscreteOT(**options).fit(y)
    assert fit.converged_ and whole.converged_
    fit.save(tmp_path / "map.npz")
    loaded = otgen.SemiDiscreteOT.load(tmp_path / "map.npz")
    np.testing.assert_array_equal(loaded.heights_, cupy.asnumpy(fit.heights_))
