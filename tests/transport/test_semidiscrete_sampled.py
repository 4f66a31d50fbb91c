"""The estimator by Monte Carlo: what it says of itself, limits, files, and points far away."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import otgen
from otgen.transport.brenier_fit import NewtonFit
from otgen.transport.brenier_run import Fit

NUMPY: dict[str, Any] = {"seed": np.int64(3), "tol": np.float32(1e-5)}
Y = np.random.default_rng(5).random((60, 3))


def fitted(y=Y, b=None, *, resume=None, **parameters):
    return otgen.SemiDiscreteOT(**{"method": "monte_carlo", "tol": 0.05, **parameters}).fit(y, b, resume=resume)


@pytest.mark.parametrize("seed", range(4))
def test_converged_means_that_fresh_samples_say_so(seed):
    b = np.random.default_rng(seed).random(60) + 0.2
    estimator = fitted(b=b / b.sum(), seed=seed)
    error = estimator.error_
    assert estimator.converged_ and error.high <= 0.05 and error.max_relative is None
    x = np.random.default_rng(100 + seed).random((200_000, 3))
    mass = np.bincount(estimator.assign(x), minlength=60) / len(x)
    assert ((mass - b / b.sum()) ** 2 / (b / b.sum())).sum() <= 0.05
    np.testing.assert_allclose(estimator.cell_measures_.sum(), 1.0)


def test_the_two_methods_agree():
    exact = otgen.SemiDiscreteOT(method="newton").fit(Y)
    sampled = fitted(tol=0.002)
    assert sampled.value_.low <= exact.value_.value * (1 + 1e-3) and sampled.value_.high >= exact.value_.value * 0.98
    assert np.abs(sampled.heights_ - exact.heights_).max() <= 0.05 * np.ptp(exact.heights_)
    centres = np.linalg.norm(sampled.cell_centers_ - exact.cell_centers_, axis=1)
    assert np.median(centres) <= 0.03


def test_any_source_and_dimension():
    rng = np.random.default_rng(0)
    for source, d, more in (
        ("normal", 5, {"cov": 2 * np.eye(5)}), ("ball", 4, {}), ("uniform", 40, {"domain": [[-1, 1]] * 40}),
        (lambda n, rng: rng.exponential(size=(n, 2)), 2, {}), ("uniform", 1, {}),
    ):  # fmt: skip
        estimator = fitted(rng.random((30, d)), source=source, **more)
        assert estimator.converged_ and estimator.error_.high <= 0.05
    assert estimator.method_ == "monte_carlo" and np.abs(30 * estimator.cell_measures_ - 1).max() < 1.0


def test_adam_is_there():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", otgen.ConvergenceWarning)
        adam = fitted(Y[:10], optimizer="adam", tol=0.2, max_time=20.0)
    assert adam.error_.chi2 <= 0.3


def test_limits_hold_after_the_fit_too():
    with pytest.warns(otgen.ConvergenceWarning, match="stopped by max_samples"):
        estimator = fitted(tol=1e-5, max_samples=3000)
    assert not estimator.converged_ and estimator.error_.samples <= 50_000
    with pytest.raises(ValueError, match="max_samples must be at least the number of targets, 60; got 59"):
        fitted(max_samples=59)
    with pytest.raises(ValueError, match="max_iter is no limit of method 'monte_carlo'"):
        fitted(max_iter=3)


def test_a_fit_without_progress_ends(monkeypatch):
    monkeypatch.setattr(NewtonFit, "fit", lambda self: setattr(self, "fitted", 1))
    with pytest.warns(otgen.ConvergenceWarning, match="tests without progress"):
        estimator = fitted(np.concatenate([Y[:20], 5 + Y[20:40]]))
    assert not estimator.converged_


def test_resume_goes_on_and_knows_its_problem(tmp_path):
    path = tmp_path / "fit.npz"
    with pytest.warns(otgen.ConvergenceWarning):
        stopped = fitted(tol=0.002, max_samples=8000, resume=path)
    again = fitted(tol=0.002, resume=path)
    assert again.converged_ and again.history_["samples"][0] == stopped.history_["samples"][0]
    assert len(again.history_["samples"]) > len(stopped.history_["samples"])
    with pytest.raises(ValueError, match="the state of another fit"):
        fitted(source="normal", resume=path)
    other = tmp_path / "other.npz"
    fitted(source=lambda n, rng: rng.random((n, 3)), resume=other)
    with pytest.raises(ValueError, match="the state of another fit"):
        fitted(source=lambda n, rng: rng.normal(size=(n, 3)), resume=other)


def test_an_interrupt_keeps_the_best(monkeypatch):
    whole = Fit.tell

    def tell(self, *args, **more):
        whole(self, *args, **more)
        raise KeyboardInterrupt

    monkeypatch.setattr(Fit, "tell", tell)
    with pytest.warns(otgen.ConvergenceWarning, match="an interrupt"):
        estimator = fitted(tol=0.001)
    assert not estimator.converged_ and np.isfinite(estimator.heights_).all()


def test_points_far_away_have_the_cell_of_their_direction():
    estimator = otgen.SemiDiscreteOT().fit(Y)
    direction = np.array([1.0, -1.0, 0.5])
    expected = np.argmax(Y @ direction)
    for size in (1e9, 1e15, 1e100, 1e300):
        assert estimator.assign([size * direction])[0] == expected
    tiny = otgen.SemiDiscreteOT(domain=[[0, 1e-140]] * 3).fit(Y)
    assert tiny.assign([1e300 * direction])[0] == expected


def test_sizes_that_float64_cannot_square_are_refused():
    with pytest.raises(ValueError, match="the source must have a width between 1e-150 and 1e150"):
        otgen.SemiDiscreteOT(domain=[[0, 1e160]] * 3).fit(Y)
    with pytest.raises(ValueError, match="y must have a width"):
        otgen.SemiDiscreteOT().fit(1e-200 * Y)
    with pytest.raises(ValueError, match="b must sum to 1"):
        otgen.SemiDiscreteOT().fit(Y, np.full(60, (1 + 1e-9) / 60))
    single = np.random.default_rng(0).random(60).astype(np.float32)
    otgen.SemiDiscreteOT().fit(Y, single / single.sum())


def test_a_loaded_map_has_the_parameters_it_was_made_with(tmp_path):
    path = tmp_path / "map.npz"
    for made in (
        otgen.SemiDiscreteOT(domain=[[0, 2]] * 3, **NUMPY),
        otgen.SemiDiscreteOT("ball", domain=([0.5, 0.5, 0.5], 2.0), tol=0.1, max_samples=100_000),
        otgen.SemiDiscreteOT("polyhedron", domain=np.concatenate([np.eye(3), -np.eye(3)])),
        otgen.SemiDiscreteOT("normal", cov=2 * np.eye(3), tol=0.1),
        otgen.SemiDiscreteOT("image", density=np.ones((2, 3, 4))),
    ):
        made.fit(Y).save(path)
        loaded = otgen.SemiDiscreteOT.load(path)
        again = otgen.SemiDiscreteOT(**loaded.get_params()).fit(Y)
        np.testing.assert_allclose(again.heights_, made.heights_, atol=1e-12)
        assert loaded.source == made.source and loaded.max_samples == made.max_samples


def test_targets_that_are_one_at_the_cloud_s_scale_are_merged():
    estimator = otgen.SemiDiscreteOT().fit([[1e-300, 0.0], [2e-300, 0.0], [1.0, 1.0]])
    assert estimator.converged_ and estimator.merged_ == 1
    np.testing.assert_allclose(estimator.cell_measures_, 1 / 3, rtol=1e-5)
