"""wasserstein, solve_sample and solve as a user calls them: values, proofs, refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import ot
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

import otgen
from otgen.transport import column_generation
from otgen.transport.costs import METRICS
from tolerance import tol


def problem(n=40, m=30, d=2, seed=0):
    rng = np.random.default_rng((seed, n, m, d))
    a, b = rng.random(n) + 0.01, rng.random(m) + 0.01
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.3, a / a.sum(), b / b.sum()


def check_proof(result, C, a, b):
    """Everything a Transport claims, recomputed from the whole cost matrix."""
    f, g = result.potentials
    plan = result.plan.toarray()
    assert (plan >= 0).all() and result.plan.nnz <= sum(C.shape) - 1
    np.testing.assert_allclose(plan.sum(axis=1), a, atol=tol(float))
    np.testing.assert_allclose(plan.sum(axis=0), b, atol=tol(float))
    assert (C - f[:, None] - g).min() >= -tol(float) * np.abs(C).max()
    assert result.value == result.objective == result.upper_bound == pytest.approx((plan * C).sum(), rel=tol(float))
    assert result.dual_value == result.lower_bound == pytest.approx(a @ f + b @ g, rel=1e-9, abs=tol(float))
    assert result.gap == pytest.approx(result.upper_bound - result.lower_bound, abs=tol(float) * result.scale)
    assert result.converged and result.gap <= 1e-9 * result.scale
    assert result.marginal_error <= tol(float)


@pytest.mark.parametrize("d", [1, 2, 7])
@pytest.mark.parametrize("p", [1, 2, 2.5])
@pytest.mark.parametrize("metric", METRICS)
def test_solve_sample_agrees_with_pot_and_proves_it(metric, p, d):
    x, y, a, b = problem(d=d)
    C = cdist(x, y, metric) ** p
    result = otgen.solve_sample(x, y, a, b, cost=(metric, p))
    check_proof(result, C, a, b)
    assert result.value == pytest.approx(ot.emd2(a, b, C), rel=1e-9, abs=tol(float))
    assert otgen.wasserstein(x, y, a, b, p=p, metric=metric) == pytest.approx(result.value ** (1 / p), rel=1e-9)


@pytest.mark.parametrize("d", [1, 3])
def test_uniform_clouds_of_one_size_are_an_assignment(d):
    x, y, _, _ = problem(50, 50, d)
    result = otgen.solve_sample(x, y)
    rows, cols = linear_sum_assignment(cdist(x, y, "sqeuclidean"))
    assert result.value == pytest.approx(cdist(x, y, "sqeuclidean")[rows, cols].mean(), rel=tol(float))
    assert result.plan.nnz == 50 and (result.plan.data == 1 / 50).all()
    np.testing.assert_array_equal(result.plan.indices, cols)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 5), (5, 1), (6, 4)])
def test_small_and_uneven_clouds(n, m):
    x, y, _, _ = problem(n, m)
    C = cdist(x, y)
    result = otgen.solve_sample(x, y, cost="euclidean")
    check_proof(result, C, np.full(n, 1 / n), np.full(m, 1 / m))
    assert result.value == pytest.approx(ot.emd2([], [], C), rel=tol(float))


def test_cost_names():
    x, y, a, b = problem()
    assert otgen.solve_sample(x, y, a, b).cost == ("euclidean", 2)
    for cost in ("sqeuclidean", ("euclidean", 2), ["euclidean", 2.0]):
        assert otgen.solve_sample(x, y, a, b, cost=cost).value == otgen.solve_sample(x, y, a, b).value
    assert str(otgen.solve_sample(x, y, cost="cityblock").cost) == "cityblock"
    assert str(otgen.solve_sample(x, y, cost=("cityblock", 1.5)).cost) == "cityblock**1.5"


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "chebyshev"])
def test_closed_forms(metric, p):
    x, _, a, _ = problem()
    order = np.random.default_rng(1).permutation(len(x))
    assert otgen.wasserstein(x, x[order], a, a[order], p=p, metric=metric) == 0.0
    shift = np.array([[0.3, -0.4]])
    distance = cdist(shift, np.zeros((1, 2)), metric)[0, 0]
    assert otgen.wasserstein(x, x[order] + shift, a, a[order], p=p, metric=metric) == pytest.approx(distance, rel=1e-9)
    assert otgen.wasserstein([[0, 0]], [[3, 4]], p=p, metric=metric) == pytest.approx(
        {"euclidean": 5, "cityblock": 7, "chebyshev": 4}[metric], rel=tol(float)
    )


@pytest.mark.parametrize("scale", [1e-150, 1e150])
@pytest.mark.parametrize("p", [1, 2, 3])
def test_extreme_scales(scale, p):
    x, y, a, b = problem()
    unit = otgen.wasserstein(x, y, a, b, p=p)
    assert otgen.wasserstein(scale * x, scale * y, a, b, p=p) == pytest.approx(scale * unit, rel=1e-9)
    if p == 2:
        result = otgen.solve_sample(0.5 * scale * x, 0.5 * scale * y, a, b)
        assert result.value == pytest.approx((0.5 * scale) ** 2 * unit**2, rel=1e-9)
        assert result.converged and result.gap <= 1e-9 * result.scale


def test_float32_in_float_proof_in_float64():
    x, y, a, b = problem()
    single = otgen.solve_sample(x.astype("f4"), y.astype("f4"), a, b)
    assert single.potentials[0].dtype == single.plan.dtype == np.float64 and single.gap <= 1e-9 * single.scale
    assert single.map().dtype == np.float32
    assert single.value == pytest.approx(otgen.solve_sample(x, y, a, b).value, rel=1e-6)
    x32, y32 = x.astype("f4").astype("f8"), y.astype("f4").astype("f8")
    assert single.value == pytest.approx(otgen.solve_sample(x32, y32, a, b).value, rel=tol(float))


def test_points_without_mass_take_no_part_but_keep_their_place():
    x, y, a, b = problem()
    kept = otgen.solve_sample(x, y, a, b)
    x_more, a_more = np.vstack([[50.0, 50.0], x]), np.r_[0.0, a]
    y_more, b_more = np.vstack([y, [60.0, -10.0], [0.0, 0.0]]), np.r_[b, 0.0, 0.0]
    result = otgen.solve_sample(x_more, y_more, a_more, b_more)
    check_proof(result, cdist(x_more, y_more, "sqeuclidean"), a_more, b_more)
    assert result.value == pytest.approx(kept.value, rel=tol(float))
    assert result.plan.shape == (41, 32) and result.plan[[0]].nnz == 0


def test_integers_and_lists():
    assert otgen.wasserstein([[0, 0], [2, 0]], [[0, 1], [2, 1]]) == 1.0
    assert otgen.wasserstein(np.array([[0], [4]]), np.array([[2]]), [3, 1], [4]) == 8.0


def test_the_line_takes_the_closed_form(monkeypatch):
    monkeypatch.setattr(column_generation, "solve_points", None)
    x, y, a, b = problem(d=1)
    assert otgen.wasserstein(x, y, a, b, p=2) == otgen.wasserstein_1d(x[:, 0], y[:, 0], a, b, p=2)
    result = otgen.solve_sample(x, y, a, b)
    check_proof(result, cdist(x, y, "sqeuclidean"), a, b)


def test_progress_is_called():
    x, y, a, b = problem()
    rounds = []
    otgen.solve_sample(x, y, a, b, progress=rounds.append)
    assert rounds and set(rounds[-1]) == {"level", "levels", "round", "arcs", "gap", "scale", "seconds"}


@pytest.mark.parametrize("weights", ["uniform", "weighted", "zeros"])
def test_solve_a_dense_matrix(weights):
    rng = np.random.default_rng(0)
    C = rng.normal(size=(12, 9))
    a, b = rng.random(12), rng.random(9)
    if weights == "uniform":
        a, b = np.full(12, 1 / 12), np.full(9, 1 / 9)
    elif weights == "zeros":
        a[[0, 5]], b[3] = 0, 0
    a, b = a / a.sum(), b / b.sum()
    result = otgen.solve(C, a, b)
    check_proof(result, C, a, b)
    assert result.value == pytest.approx(ot.emd2(a, b, C), rel=tol(float))
    assert result.cost is None and "a cost matrix" in repr(result)


@pytest.mark.parametrize("zeros", [False, True])
def test_solve_a_sparse_matrix(zeros):
    rng = np.random.default_rng(0)
    a, b = rng.random(12), rng.random(9)
    if zeros:
        a[[0, 5]], b[3] = 0, 0
    a, b = a / a.sum(), b / b.sum()
    C = rng.random((12, 9))
    allowed = ot.emd(a, b, rng.random((12, 9))) > 0  # some plan fits in it
    allowed |= rng.random((12, 9)) < 0.3
    C[np.argwhere(allowed)[0][0], np.argwhere(allowed)[0][1]] = 0.0
    stored = scipy.sparse.coo_array((C[allowed], np.nonzero(allowed)), shape=C.shape)
    result = otgen.solve(stored, a, b)
    assert result.value == pytest.approx(ot.emd2(a, b, np.where(allowed, C, 1e3)), rel=1e-9)
    plan = result.plan.toarray()
    assert (plan[~allowed] == 0).all()
    np.testing.assert_allclose(plan.sum(axis=1), a, atol=tol(float))
    slack = C - result.potentials[0][:, None] - result.potentials[1]
    assert slack[allowed].min() >= -tol(float) and result.converged


def test_solve_a_sparse_matrix_that_cannot_ship():
    empty_row = scipy.sparse.csr_array(([1.0, 1.0], ([0, 2], [0, 1])), shape=(3, 2))
    with pytest.raises(ValueError, match="C is infeasible: source 1 has mass but no stored entry"):
        otgen.solve(empty_row)
    empty_column = scipy.sparse.csr_array(([1.0, 1.0], ([0, 1], [0, 0])), shape=(2, 2))
    with pytest.raises(ValueError, match="C is infeasible: target 1 has mass but no stored entry"):
        otgen.solve(empty_column)
    with pytest.raises(ValueError, match="C is infeasible: source 1 has mass but no stored entry that leads to mass"):
        otgen.solve(scipy.sparse.csr_array(np.eye(2)), [0.5, 0.5], [1, 0])
    assert otgen.solve(empty_row, [0.5, 0, 0.5], [0.5, 0.5]).value == 1.0
    too_little = scipy.sparse.csr_array(np.array([[1.0, 0, 0], [2.0, 0, 0], [0, 1.0, 1.0]]))
    with pytest.raises(ValueError, match="C is infeasible: source [01] cannot ship all its mass"):
        otgen.solve(too_little)


def test_what_is_not_proven_is_not_returned(monkeypatch):
    x, y, a, b = problem()
    true = column_generation.solve_points

    def stopped(*arguments, **options):
        found = true(*arguments, **options)
        return replace(found, converged=False, lower_bound=0.9 * found.value, gap=0.1 * found.value, message="max_iter")

    monkeypatch.setattr(column_generation, "solve_points", stopped)
    with pytest.raises(otgen.ConvergenceError, match="W_2 is not proven: max_iter. See .result") as raised:
        otgen.wasserstein(x, y, a, b, p=2)
    result = raised.value.result
    assert isinstance(raised.value, RuntimeError) and not result.converged
    assert result.gap == pytest.approx(0.1 * result.value) and "NOT proven" in repr(result)
    assert not otgen.solve_sample(x, y, a, b).converged


points = npst.arrays(float, st.tuples(st.integers(1, 6), st.just(2)), elements=st.integers(-8, 8).map(float))


@settings(max_examples=25, deadline=None)
@given(points, points, points, st.sampled_from([1, 2]), st.sampled_from(["euclidean", "cityblock", "chebyshev"]))
def test_is_a_metric_on_tied_points(x, y, z, p, metric):
    def distance(u, v):
        return otgen.wasserstein(u, v, p=p, metric=metric)

    assert distance(x, y) == pytest.approx(distance(y, x), rel=1e-9, abs=1e-9)
    assert distance(x, x[::-1]) == 0.0
    assert distance(x, z) <= distance(x, y) + distance(y, z) + 1e-9


@settings(max_examples=25, deadline=None)
@given(points, points, st.floats(-1e3, 1e3), st.floats(0.01, 100), st.sampled_from([1, 2]))
def test_moves_and_scales_with_the_points(x, y, shift, scale, p):
    value = otgen.wasserstein(x, y, p=p)
    assert otgen.wasserstein(x + shift, y + shift, p=p) == pytest.approx(value, rel=1e-9, abs=1e-9)
    assert otgen.wasserstein(scale * x, scale * y, p=p) == pytest.approx(scale * value, rel=1e-9, abs=tol(float))
