"""Heights by Monte Carlo: known answers, honest errors, the same answer for a seed, resumed or not."""

from __future__ import annotations

import json

import numpy as np
import pytest

import otgen
from otgen.transport import brenier
from otgen.transport.cell_error import estimate_chi2
from otgen_kernels import Cells


def fit_monte_carlo(*arguments, **more):
    return brenier.fit_monte_carlo(*arguments, **{"max_time": 60.0, **more})


class Box:
    """The uniform measure on a box."""

    def __init__(self, low, high, uniforms=True):
        self.low, self.high = np.asarray(low, np.float64), np.asarray(high, np.float64)
        self.dim = len(self.low)
        self.uniforms = self.dim if uniforms else None
        self.radius = float((self.high - self.low).max() / 2)
        self.mean = 0.5 * (self.low + self.high)

    def sample(self, n, rng):
        return self.low + (self.high - self.low) * rng.random((n, self.dim))

    def from_uniform(self, u):
        return self.low + (self.high - self.low) * u


class Normal(Box):
    """The standard normal measure, which can only be sampled."""

    def __init__(self, d):
        super().__init__(np.full(d, -1.0), np.full(d, 1.0), uniforms=False)

    def sample(self, n, rng):
        return rng.normal(size=(n, self.dim))


def unit(d, **more):
    return Box(np.zeros(d), np.ones(d), **more)


def equal(n):
    return np.full(n, 1.0 / n)


def check(run, y, nu, source, tol):
    """The report holds on samples of our own."""
    assert run.converged, run.message
    assert run.chi2.high <= tol and run.chi2.samples > 0
    assert abs(nu @ run.h) <= 1e-12 * np.abs(run.h).max()
    x = source.sample(200_000, np.random.default_rng(99))
    own = estimate_chi2(Cells(y, source.mean).counts(x, run.h), nu)
    assert own.value <= tol + 3 * (own.high - own.value)


def test_a_grid_whose_cells_are_squares() -> None:
    # The middles of 6 x 6 squares: h_i = -|y_i|^2 / 2 up to a constant.
    side = (np.arange(6) + 0.5) / 6
    y = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    run = fit_monte_carlo(y, equal(36), unit(2), tol=1e-3, seed=0)
    check(run, y, equal(36), unit(2), 1e-3)
    known = -0.5 * (y**2).sum(1)
    np.testing.assert_allclose(run.h, known - known.mean(), atol=2e-3)


def test_one_dimension_has_quantiles_for_cells(rng) -> None:
    y, nu = np.sort(rng.normal(size=20))[:, None], rng.random(20) + 0.2
    nu /= nu.sum()
    run = fit_monte_carlo(y, nu, unit(1), tol=1e-3, seed=1)
    check(run, y, nu, unit(1), 1e-3)
    # Neighbours i, i + 1 are as high where the mass to the left is nu_0 + ... + nu_i.
    cut = -np.diff(run.h) / np.diff(y[:, 0])
    np.testing.assert_allclose(cut, np.cumsum(nu)[:-1], atol=1.5e-2)


@pytest.mark.parametrize("d, n", [(2, 300), (3, 200), (12, 300)])
@pytest.mark.parametrize("only_sampled", [False, True])
def test_random_targets(rng, d, n, only_sampled) -> None:
    y = rng.normal(size=(n, d))
    source = Normal(d) if only_sampled else unit(d)
    run = fit_monte_carlo(y, equal(n), source, tol=0.03, seed=0)
    check(run, y, equal(n), source, 0.03)
    assert [row["samples"] for row in run.history] == sorted(row["samples"] for row in run.history)
    assert {"iteration", "samples", "seconds", "chi2", "low", "high", "eps"} <= set(run.history[-1])


def test_very_uneven_masses(rng) -> None:
    y, nu = rng.random((100, 2)), 10.0 ** rng.uniform(-4, 0, size=100)
    nu /= nu.sum()
    check(fit_monte_carlo(y, nu, unit(2), tol=0.05, seed=0), y, nu, unit(2), 0.05)


def test_clusters_far_from_the_source(rng) -> None:
    y = rng.choice([-3.0, 0.0, 3.0], size=(200, 2)) + 0.05 * rng.normal(size=(200, 2)) + [2.0, -1.0]
    check(fit_monte_carlo(y, equal(200), unit(2), tol=0.1, seed=0), y, equal(200), unit(2), 0.1)


def test_one_target_and_two() -> None:
    one = fit_monte_carlo(np.ones((1, 3)), np.ones(1), unit(3), tol=0.01, seed=0)
    assert one.converged and one.h.tolist() == [0.0] and one.chi2.value == 0.0
    y, nu = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([0.25, 0.75])
    two = fit_monte_carlo(y, nu, unit(2), tol=1e-3, seed=0)
    assert two.h[0] - two.h[1] == pytest.approx(0.25, abs=0.01)  # x_0 + h_1 = h_0 at x_0 = 1/4


def test_a_start_is_used(rng) -> None:
    y = rng.random((200, 2))
    first = fit_monte_carlo(y, equal(200), unit(2), tol=0.01, seed=0)
    again = fit_monte_carlo(y, equal(200), unit(2), tol=0.05, seed=1, start=first.h)
    assert again.converged and again.n_iter <= 2


@pytest.mark.parametrize("optimizer", [None, "adam"])
@pytest.mark.parametrize("d", [2, 10])
def test_a_seed_decides_the_answer_on_any_number_of_threads(rng, monkeypatch, optimizer, d) -> None:
    monkeypatch.setattr("otgen.transport.brenier_adam.FIRST", 2000)
    y, answers, tol = rng.normal(size=(150, d)), [], 0.2 if optimizer is None else 0.6
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("OTGEN_NUM_THREADS", threads)
        answers.append(fit_monte_carlo(y, equal(150), unit(d), tol=tol, seed=5, optimizer=optimizer))
    for other in answers[1:]:
        np.testing.assert_array_equal(answers[0].h, other.h)
        assert answers[0].chi2 == other.chi2
    assert (fit_monte_carlo(y, equal(150), unit(d), tol=tol, seed=6, optimizer=optimizer).h != answers[0].h).any()


@pytest.mark.parametrize("optimizer", [None, "adam"])
@pytest.mark.parametrize("d", [2, 10])
def test_resumed_equals_uninterrupted(rng, monkeypatch, optimizer, d) -> None:
    monkeypatch.setattr("otgen.transport.brenier_run.EVERY", 0.0)
    monkeypatch.setattr("otgen.transport.brenier_run.MOST_ROWS", 1024)
    monkeypatch.setattr("otgen.transport.brenier_adam.FIRST", 2000)
    y, states = rng.normal(size=(150, d)), []
    problem = {"tol": 0.1 if optimizer is None else 0.4, "seed": 3, "optimizer": optimizer}

    def keep(state):
        arrays = {key: np.array(v) for key, v in state.items() if isinstance(v, np.ndarray)}
        states.append((json.dumps({key: v for key, v in state.items() if key not in arrays}), arrays))

    whole = fit_monte_carlo(y, equal(150), unit(d), checkpoint=keep, **problem)
    assert len(states) >= 3
    for text, arrays in (states[0], states[len(states) // 2], states[-1]):
        resumed = fit_monte_carlo(y, equal(150), unit(d), state={**json.loads(text), **arrays}, **problem)
        np.testing.assert_array_equal(resumed.h, whole.h)
        assert resumed.chi2 == whole.chi2 and resumed.samples == whole.samples
        assert len(resumed.history) == len(whole.history)


@pytest.mark.parametrize("optimizer", [None, "adam"])
def test_an_end_before_convergence_says_what_was_reached(rng, optimizer) -> None:
    y = rng.normal(size=(300, 12))
    run = fit_monte_carlo(y, equal(300), unit(12), tol=1e-4, seed=0, max_samples=60_000, optimizer=optimizer)
    assert not run.converged and run.samples <= 60_000
    assert "max_samples" in run.message and f"{run.chi2.value:.3g}" in run.message
    assert np.isfinite(run.h).all() and np.isfinite(run.chi2.high)
    run = fit_monte_carlo(y, equal(300), unit(12), tol=1e-4, seed=0, max_time=0.3, optimizer=optimizer)
    assert not run.converged and "max_time" in run.message and np.isfinite(run.chi2.high)


@pytest.mark.parametrize("optimizer", [None, "adam"])
def test_an_interrupt_returns_the_best_so_far(rng, optimizer) -> None:
    y, seen = rng.normal(size=(200, 10)), []

    def stop(row):
        seen.append(row)
        if len(seen) == 3:
            raise KeyboardInterrupt

    run = fit_monte_carlo(y, equal(200), unit(10), tol=1e-4, seed=0, progress=stop, optimizer=optimizer)
    assert not run.converged and "interrupt" in run.message
    assert np.isfinite(run.chi2.value) and run.chi2.high <= min(row["high"] for row in seen) + 1e-12


def test_adam_reaches_a_small_error_on_a_toy(rng) -> None:
    y = rng.random((60, 2))
    run = fit_monte_carlo(y, equal(60), unit(2), tol=0.02, seed=0, optimizer="adam")
    check(run, y, equal(60), unit(2), 0.02)


def test_samples_that_are_the_targets_themselves_do_not_fool_the_test() -> None:
    # y drawn from default_rng(0), then seed=0: the fit must not draw y again.
    y = np.random.default_rng(0).random((2000, 2))
    run = fit_monte_carlo(y, equal(2000), unit(2), tol=0.2, seed=0)
    check(run, y, equal(2000), unit(2), 0.2)


@pytest.mark.parametrize(("d", "source"), [(3, "normal"), (4, "normal"), (3, "uniform"), (6, "uniform")])
def test_clustered_targets_are_fitted_in_few_dimensions(d: int, source: str) -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=(10, d))[rng.integers(10, size=300)] * 3 + 0.4 * rng.normal(size=(300, d))
    fitted = otgen.SemiDiscreteOT(source=source, method="monte_carlo", tol=0.1, max_time=60.0, seed=0).fit(y)
    assert fitted.converged_, fitted.message_
