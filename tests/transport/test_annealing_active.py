"""In high dimension the last stage works among listed pairs: sooner, and to the same honest end."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import naive_entropic as naive
import otgen
from otgen.transport import annealing
from otgen_kernels.cpu.soft import SoftPairs
from otgen_kernels.cpu.soft_active import ActivePairs


def problem(n=320, m=280, d=12, seed=0):
    rng = np.random.default_rng((seed, n, m, d))
    a, b = rng.random(n) + 0.05, rng.random(m) + 0.05
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.3, a / a.sum(), b / b.sum()


@pytest.fixture
def calls(monkeypatch):
    """How many sweeps ran among listed pairs, and over all."""
    count = {"listed": 0, "all": 0, "lists": 0}
    for kind, name in ((ActivePairs, "listed"), (SoftPairs, "all")):

        def transform(self, side, *args, real=kind.transform, name=name, **options):
            count[name] += side
            return real(self, side, *args, **options)

        monkeypatch.setattr(kind, "transform", transform)
    real = SoftPairs.active

    def active(self, *args):
        found = real(self, *args)
        count["lists"] += found is not None
        return found

    monkeypatch.setattr(SoftPairs, "active", active)
    return count


def honest(result, a, b):
    plan = result.plan.toarray()
    error = np.abs(plan.sum(1) - a).sum() + np.abs(plan.sum(0) - b).sum()
    assert result.marginal_error == pytest.approx(error, rel=1e-2, abs=1e-9)
    assert result.converged == (result.marginal_error <= result.tol * result.scale)
    return result


def without_lists(monkeypatch, *args, **options):
    with monkeypatch.context() as patch:
        patch.setattr(annealing, "ACTIVE_ROUNDS", 0)
        return otgen.sinkhorn(*args, **options)


@pytest.mark.parametrize("kind", ["cloud", "weights of many sizes", "cityblock", "euclidean"])
@pytest.mark.parametrize("accuracy", [1e-3, 1e-5])
def test_lists_lead_to_the_same_result(kind, accuracy, calls, monkeypatch):
    x, y, a, b = problem()
    if kind == "weights of many sizes":
        rng = np.random.default_rng(1)
        a, b = (10.0 ** -rng.uniform(0, 8, len(w)) for w in (a, b))
        a, b = a / a.sum(), b / b.sum()
    cost = {"cityblock": "cityblock", "euclidean": "euclidean"}.get(kind, "sqeuclidean")
    scale = {"sqeuclidean": 25.0, "cityblock": 14.0, "euclidean": 5.0}[cost]
    options = {"eps": 0.003 * scale, "cost": cost, "tol": accuracy}
    result = honest(otgen.sinkhorn(x, y, a, b, **options), a, b)
    assert calls["lists"] >= 1 and calls["listed"] > 0 and result.converged
    swept = dict(calls)
    plain = honest(without_lists(monkeypatch, x, y, a, b, **options), a, b)
    assert calls["lists"] == swept["lists"] and plain.converged
    needed = calls["all"] - swept["all"]
    assert swept["all"] <= needed + swept["lists"]  # a list that led nowhere costs the sweep that tested it
    if accuracy == 1e-5 and kind != "weights of many sizes":
        assert swept["all"] < needed
    size = scale
    assert result.dual_value == pytest.approx(plain.dual_value, abs=result.gap + plain.gap + 1e-9 * size)
    assert result.value == pytest.approx(plain.value, abs=10 * accuracy * size)
    assert max(result.lower_bound, plain.lower_bound) <= min(result.upper_bound, plain.upper_bound)


def test_tight_tolerance_ends_over_all_pairs_in_float64(calls, monkeypatch):
    x, y, a, b = problem()
    result = honest(otgen.sinkhorn(x, y, a, b, eps=0.1, tol=1e-9), a, b)
    plain = without_lists(monkeypatch, x, y, a, b, eps=0.1, tol=1e-9)
    assert calls["listed"] > 0 and result.converged and plain.converged
    assert result.objective == pytest.approx(plain.objective, rel=1e-8)
    np.testing.assert_allclose(result.plan.toarray(), plain.plan.toarray(), atol=1e-7 * a.max())


def test_a_list_made_too_early_does_no_harm(calls, monkeypatch):
    x, y, a, b = problem()
    plain = without_lists(monkeypatch, x, y, a, b, eps=0.08, tol=1e-5)
    monkeypatch.setattr(annealing, "ACTIVE_FROM", 10.0)
    for stages in (annealing.STAGE_SWEEPS, 1):  # with 1 the potentials are poor, too
        monkeypatch.setattr(annealing, "STAGE_SWEEPS", stages)
        monkeypatch.setattr(annealing, "COARSE_SWEEPS", stages)
        result = honest(otgen.sinkhorn(x, y, a, b, eps=0.08, tol=1e-5), a, b)
        assert result.converged
        assert result.dual_value == pytest.approx(plain.dual_value, abs=result.gap + plain.gap + 1e-9)


def test_a_list_without_a_feasible_plan_is_left(calls, monkeypatch):
    # With few bits a list leaves out what the marginals need: the test over all pairs sees it, and the run goes on.
    x, y, a, b = problem()
    monkeypatch.setattr(annealing, "ACTIVE_BITS", -14.0)
    monkeypatch.setattr(annealing, "ACTIVE_SWEEPS", 20)
    result = honest(otgen.sinkhorn(x, y, a, b, eps=0.08, tol=1e-5), a, b)
    assert result.converged and calls["all"] > 0


@pytest.mark.parametrize("most", [1, 3, 10, 25, 40])
def test_the_last_sweep_is_over_all_pairs(most, calls):
    x, y, a, b = problem()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", otgen.ConvergenceWarning)
        result = honest(otgen.sinkhorn(x, y, a, b, eps=0.08, tol=1e-4, max_iter=most), a, b)
        divergence = otgen.sinkhorn_divergence(x, y, a, b, eps=0.08, tol=1e-4, max_iter=most)
    assert result.n_iter <= most and np.isfinite(divergence)
    assert result.lower_bound <= result.upper_bound and result.gap >= 0


def test_no_list_where_it_cannot_help(calls):
    x, y, a, b = problem(80, 70)
    eps = 0.08
    otgen.sinkhorn(x, y, a, b, eps=eps, unbalanced=1.0, tol=1e-4)
    otgen.sinkhorn(x, x, a, a, eps=eps, tol=1e-4)
    otgen.sinkhorn(x[:, :2], y[:, :2], a, b, eps=0.01, tol=1e-4)
    otgen.sinkhorn(x, y, a, b, eps=100.0, tol=1e-4)
    assert calls["lists"] == calls["listed"] == 0


def test_value_against_dense_sinkhorn(calls):
    x, y, a, b = problem(120, 100)
    C = ((x[:, None] - y) ** 2).sum(2)
    eps = 0.3
    result = honest(otgen.sinkhorn(x, y, a, b, eps=eps, tol=1e-6), a, b)
    assert calls["listed"] > 0
    assert result.dual_value == pytest.approx(naive.optimum(C, a, b, eps), rel=1e-7)
