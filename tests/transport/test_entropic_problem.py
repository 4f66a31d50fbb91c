"""Extreme scales, dtypes and layouts, warm starts, and how a run of the entropic solver ends."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy.spatial.distance import cdist

import naive_entropic as naive
import otgen
from tolerance import tol


def problem(n=20, m=15, d=2, seed=0):
    rng = np.random.default_rng((seed, n, m, d))
    a, b = rng.random(n) + 0.05, rng.random(m) + 0.05
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.3, a / a.sum(), b / b.sum()


def honest(result, a, b):
    """Finite, and a verdict that follows from the marginals of the dense plan."""
    numbers = [result.value, result.objective, result.dual_value, result.gap, result.marginal_error]
    assert np.isfinite([float(number) for number in numbers]).all()
    assert all(np.isfinite(np.asarray(potential)).all() for potential in result.potentials)
    plan = np.asarray(result.plan.toarray(), float)
    error = np.abs(plan.sum(axis=1) - a).sum() + np.abs(plan.sum(axis=0) - b).sum()
    assert error == pytest.approx(result.marginal_error, rel=1e-2, abs=1e-6 * a.sum())
    assert result.converged == (result.marginal_error <= result.tol * result.scale)
    if result.lower_bound is not None:
        assert result.lower_bound <= result.upper_bound and result.gap >= 0
    return result


@pytest.mark.parametrize("scale", [1e-150, 1e-12, 1e12, 1e150])
@pytest.mark.parametrize("share", [1e-3, 0.1])
def test_scales(scale, share):
    x, y, a, b = problem()
    eps = share * cdist(x, y, "sqeuclidean").mean()
    unit = otgen.sinkhorn(x, y, a, b, eps=eps, tol=1e-8)
    result = honest(otgen.sinkhorn(scale * x, scale * y, a, b, eps=eps * scale**2, tol=1e-8), a, b)
    assert result.converged and result.objective == pytest.approx(scale**2 * unit.objective, rel=1e-7)
    assert result.lower_bound == pytest.approx(scale**2 * unit.lower_bound, rel=1e-5)
    np.testing.assert_allclose(result.plan.toarray(), unit.plan.toarray(), atol=1e-7)
    np.testing.assert_allclose(result.map() / scale, unit.map(), atol=1e-5)


CLOUDS = {
    "one to one": (np.zeros((1, 2)), np.ones((1, 2))),
    "one to many": (np.zeros((1, 2)), problem()[1]),
    "many to one": (problem()[0], np.zeros((1, 2))),
    "all points one": (np.ones((4, 2)), np.ones((3, 2))),
    "all points one, far": (np.full((4, 12), 1e60), np.full((3, 12), 1e60)),
    "duplicates": (problem()[0][[0, 0, 0, 1, 1, 2]], problem()[0][[0, 1, 1, 1, 2, 2, 2]]),
    "collinear": (np.outer(np.arange(9.0), [1, 2]), np.outer(np.arange(7.0), [1, 2]) + 0.5),
    "clusters": (np.repeat(np.eye(3), 30, 0) + 1e-7 * problem(90, 5, 3)[0], np.repeat(np.eye(3), 20, 0)),
    "far from the origin": (problem()[0] + 1e6, problem()[1] + 1e6),
    "one far point": (np.vstack([problem()[0], [[1e4, 0.0]]]), np.vstack([problem()[1], [[1e4, 1.0]]])),
}


BEYOND_FLOAT32 = ("all points one, far", "float32")


@pytest.mark.parametrize("share", [1e-5, 1e-2, 1.0, 1e3])
@pytest.mark.parametrize(
    ("cloud", "dtype"),
    [(cloud, dtype) for cloud in CLOUDS for dtype in ("float64", "float32") if (cloud, dtype) != BEYOND_FLOAT32],
)
def test_clouds_that_break_others(cloud, dtype, share):
    x, y = (points.astype(dtype) for points in CLOUDS[cloud])
    a, b = np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y))
    eps = share * (cdist(x.astype(float), y.astype(float), "sqeuclidean").mean() or 1.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = honest(otgen.sinkhorn(x, y, eps=eps, max_iter=500), a, b)
    assert [w.category for w in caught] == [] if result.converged else [otgen.ConvergenceWarning]
    assert result.converged or share < 1e-2
    exact = otgen.solve_sample(x, y).value
    slack = tol(float) * (abs(exact) + eps)
    assert result.lower_bound <= exact + slack and result.upper_bound >= exact - slack


def test_nearly_separate_blocks_do_not_stall():
    # Secants as many as the problem has directions once kept out what was learnt later: 10,000 sweeps were not enough.
    rng = np.random.default_rng(0)
    a = rng.random(6) + 0.1
    rng.random(5)
    x = rng.normal(size=(6, 2))
    order = np.random.default_rng(0).permutation(6)
    a = a / a.sum()
    result = otgen.sinkhorn(x, x[order], a, a[order], eps=0.4, cost=("cityblock", 2), tol=1e-11)
    assert result.converged and result.n_iter < 300


def test_weights_over_many_decades():
    x, y, a, b = problem()
    a, b = (10.0 ** -np.random.default_rng(1).uniform(0, 20, len(w)) for w in (a, b))
    a, b = a / a.sum(), b / b.sum()
    assert honest(otgen.sinkhorn(x, y, a, b, eps=0.05), a, b).converged


def test_float32_keeps_its_precision_and_says_what_it_can():
    x, y, a, b = problem()
    single = otgen.sinkhorn(x.astype("f4"), y.astype("f4"), a.astype("f4"), b.astype("f4"), eps=0.1)
    double = otgen.sinkhorn(x, y, a, b, eps=0.1)
    assert (single.tol, double.tol) == (1e-4, 1e-6) and single.converged
    assert single.plan.dtype == single.plan.toarray().dtype == single.map().dtype == np.float32
    assert single.potentials[0].dtype == np.float64 and type(single.value) is float
    # the objective of a plan is off by its marginal error, to first order, the dual value to second
    assert single.objective == pytest.approx(double.objective, rel=single.tol)
    assert single.dual_value == pytest.approx(double.dual_value, rel=1e-6)
    fine = otgen.sinkhorn(x.astype("f4"), y.astype("f4"), eps=0.1, tol=1e-6)
    assert fine.converged and fine.marginal_error <= 1e-6
    with pytest.raises(
        ValueError, match="tol must be a number >= 1e-06, .* float32 can reach; got 1e-08. Pass float64"
    ):
        otgen.sinkhorn(x.astype("f4"), y.astype("f4"), eps=0.1, tol=1e-8)


@pytest.mark.parametrize(
    "form", [np.asfortranarray, lambda z: np.repeat(np.repeat(z, 2, 0), 2, 1)[::2, ::2], np.ndarray.tolist]
)
def test_layouts(form):
    x, y, a, b = problem()
    expected = otgen.sinkhorn(x, y, a, b, eps=0.2)
    result = otgen.sinkhorn(form(x), form(y), a.tolist(), b, eps=0.2)
    assert result.objective == expected.objective
    C = cdist(x, y)
    assert otgen.solve(form(C), a, b, eps=0.2).objective == otgen.solve(C, a, b, eps=0.2).objective


def test_integers_are_float64():
    result = otgen.sinkhorn([[0], [4]], np.array([[2], [3]]), [3, 1], [2, 2], eps=1, tol=1e-12)
    C, a, b = np.array([[4.0, 9.0], [4.0, 1.0]]), np.array([3.0, 1.0]), np.array([2.0, 2.0])
    assert result.objective == pytest.approx(naive.optimum(C, a, b, 1.0), rel=1e-10)


@pytest.mark.parametrize("door", ["points", "matrix"])
def test_a_warm_start_is_honoured(door):
    x, y, a, b = problem(60, 50)
    C = cdist(x, y, "sqeuclidean")

    def solve(**options):
        if door == "points":
            return otgen.sinkhorn(x, y, a, b, eps=0.02, tol=1e-8, **options)
        return otgen.solve(C, a, b, eps=0.02, tol=1e-8, **options)

    cold = solve()
    warm = solve(potentials=cold.potentials)
    assert warm.converged and warm.n_iter <= 3 < cold.n_iter
    assert solve(potentials=list(cold.potentials), max_iter=3).converged
    assert warm.objective == pytest.approx(cold.objective, rel=1e-9)


def test_max_iter_ends_with_one_warning_that_names_the_knob():
    x, y, a, b = problem()
    with pytest.warns(otgen.ConvergenceWarning) as caught:
        result = honest(otgen.sinkhorn(x, y, a, b, eps=0.01, tol=1e-9, max_iter=4), a, b)
    assert len(caught) == 1 and caught[0].filename == __file__
    assert not result.converged and result.n_iter == 4
    assert str(caught[0].message) == result.message
    share = result.marginal_error / result.scale
    expected = f"stopped at marginal error {share:.1e} of the mass, above tol=1e-09, after 4 sweeps. Raise max_iter"
    assert result.message.startswith(expected) and "NOT converged" in repr(result)


@pytest.mark.parametrize("eps", [1e-5, 1e-3])
@pytest.mark.parametrize("max_iter", [1, 2, 7])
def test_potentials_that_are_far_off_are_finite(eps, max_iter):
    x, y, a, b = problem()
    with pytest.warns(otgen.ConvergenceWarning), np.errstate(all="raise", under="ignore"):
        honest(otgen.sinkhorn(x, y, a, b, eps=eps, max_iter=max_iter), a, b)
        honest(otgen.solve(cdist(x, y), a, b, eps=eps, max_iter=max_iter), a, b)
        wild = otgen.sinkhorn(x, y, a, b, eps=eps, unbalanced=(0.3, math.inf), max_iter=max_iter)
    assert np.isfinite([wild.value, wild.objective, wild.dual_value, wild.gap, wild.marginal_error]).all()


def test_eps_beyond_the_precision_of_float64_is_refused():
    x, y, a, b = problem()
    for eps in (1e-20, 1e-300):
        with pytest.raises(ValueError, match=f"eps must be on the scale of the costs: at {eps:g} .* eps=None"):
            otgen.sinkhorn(x, y, a, b, eps=eps)
    with pytest.raises(ValueError, match="tol must be at least .* what float64 can reach at eps=1e-06"):
        otgen.sinkhorn(x, y, a, b, eps=1e-6, tol=1e-12)


def interrupt_at(stage):
    def progress(state):
        if stage(state):
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("door", ["points", "matrix"])
@pytest.mark.parametrize(
    "stage",
    [lambda s: True, lambda s: s["level"] == s["levels"], lambda s: s["level"] == s["levels"] and s["eps"] == 1e-3],
    ids=["first", "fine", "last"],
)
def test_an_interrupt_gives_what_there_is(stage, door):
    x, y, a, b = problem(300, 290)
    with pytest.warns(otgen.ConvergenceWarning, match="interrupted at marginal error"):
        if door == "points":
            result = otgen.sinkhorn(x, y, a, b, eps=1e-3, progress=interrupt_at(stage))
        else:
            result = otgen.solve(cdist(x, y, "sqeuclidean"), a, b, eps=1e-3, progress=interrupt_at(stage))
    honest(result, a, b)
    exact = otgen.solve_sample(x, y, a, b).value
    assert not result.converged and "interrupted" in result.message
    assert result.lower_bound <= exact * (1 + 1e-12) <= result.upper_bound * (1 + 2e-12)


def test_progress_tells_where_it_is():
    x, y, a, b = problem(300, 290)
    states = []
    result = otgen.sinkhorn(x, y, a, b, eps=0.01, progress=states.append)
    assert all(set(s) == {"level", "levels", "eps", "iteration", "error", "tol", "seconds"} for s in states)
    levels, eps = [s["level"] for s in states], [s["eps"] for s in states]
    assert levels == sorted(levels) and levels[0] == 1 and levels[-1] == states[-1]["levels"] > 1
    assert eps == sorted(eps, reverse=True) and eps[-1] == 0.01
    # A sweep that is taken back after its first half counts, and has no error to tell.
    assert 0.8 * result.n_iter <= sum(level == levels[-1] for level in levels) <= result.n_iter


def test_the_number_of_threads_changes_nothing(monkeypatch):
    x, y, a, b = problem(1500, 1400)
    found = []
    for threads in ("1", "3"):
        monkeypatch.setenv("OTGEN_NUM_THREADS", threads)
        found.append(otgen.sinkhorn(x, y, a, b, eps=0.1, tol=1e-4))
    assert found[0].objective == found[1].objective and found[0].n_iter == found[1].n_iter
    np.testing.assert_array_equal(found[0].potentials[0], found[1].potentials[0])
