"""Transport: frozen, readable, and able to map points."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.sparse
from scipy.spatial.distance import cdist

import otgen
from tolerance import tol


def problem(n=8, m=6, d=2, seed=0):
    rng = np.random.default_rng(seed)
    a, b = rng.random(n), rng.random(m)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)), a / a.sum(), b / b.sum()


def test_is_frozen_and_typed():
    x, y, a, b = problem()
    result = otgen.solve_sample(x, y, a, b)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.value = 0.0  # pyright: ignore[reportAttributeAccessIssue]
    for name in ("value", "objective", "dual_value", "gap", "lower_bound", "upper_bound", "scale", "marginal_error"):
        assert type(getattr(result, name)) is float, name
    assert type(result.converged) is bool and type(result.n_iter) is int and isinstance(result.message, str)
    assert isinstance(result.plan, scipy.sparse.csr_array) and result.plan.has_sorted_indices


def test_repr_shows_the_proof():
    x, y, a, b = problem()
    result = otgen.solve_sample(x, y, a, b)
    lines = repr(result).splitlines()
    assert lines[0] == "Transport of 8 to 6 points, cost sqeuclidean"
    assert f"{result.lower_bound:.12g} <= OT <= {result.upper_bound:.12g}" in repr(result)
    assert "proven optimal: gap" in repr(result) and f"{result.plan.nnz} arcs" in repr(result)
    stopped = dataclasses.replace(result, converged=False, gap=0.5, message="stopped after 1 round")
    assert "NOT proven optimal: gap 5.0e-01 > 1e-09 * scale" in repr(stopped)
    assert "stopped after 1 round" in repr(stopped)


def test_map_is_the_barycentric_projection():
    x, y, a, b = problem()
    result = otgen.solve_sample(x, y, a, b, cost="cityblock")
    np.testing.assert_allclose(result.map(), result.plan.toarray() @ y / a[:, None], rtol=tol(float))


def test_map_of_a_permutation_moves_points_onto_points():
    x, y, _, _ = problem(7, 7)
    result = otgen.solve_sample(x, y)
    np.testing.assert_array_equal(result.map(), y[result.plan.indices])


@pytest.mark.parametrize("cost", [("euclidean", 2), ("euclidean", 1), ("cityblock", 1.5), ("cosine", 1)])
def test_new_points_go_through_the_potentials(cost):
    x, y, a, b = problem()
    b[2] = 0.0
    result = otgen.solve_sample(x, y, a, b / b.sum(), cost=cost)
    new = np.random.default_rng(1).normal(size=(20, 2))
    reduced = cdist(new, y, cost[0]) ** cost[1] - result.potentials[1]
    reduced[:, 2] = np.inf  # a target without mass receives nothing
    np.testing.assert_array_equal(result.map(new), y[reduced.argmin(axis=1)])


def test_sources_without_mass_go_through_the_potentials():
    x, y, a, b = problem()
    a[[1, 4]] = 0.0
    result = otgen.solve_sample(x, y, a / a.sum(), b)
    np.testing.assert_array_equal(result.map()[[1, 4]], result.map(x[[1, 4]]))


def test_map_keeps_the_precision_and_checks_its_points():
    x, y, a, b = problem()
    result = otgen.solve_sample(x.astype("f4"), y.astype("f4"), a, b)
    assert result.map().dtype == np.float32 and result.map(x[:3].astype("f4")).dtype == np.float32
    assert result.map([[0, 0]]).shape == (1, 2)
    with pytest.raises(ValueError, match=r"x_new must have shape \(k, 2\), as x; got shape \(3, 1\)"):
        result.map(x[:3, :1])
    with pytest.raises(ValueError, match=r"x_new must be finite; x_new\[0, 1\] is nan"):
        result.map([[0, np.nan]])
    with pytest.raises(ValueError, match=r"x_new must have shape \(n, d\)"):
        result.map(x[0])


def test_a_cost_matrix_has_no_map():
    with pytest.raises(ValueError, match="map needs points; this Transport was solved from a cost matrix"):
        otgen.solve(np.ones((2, 2))).map()


def test_torch_in_torch_out():
    torch = pytest.importorskip("torch")
    x, y, a, b = (torch.tensor(array, dtype=torch.float32) for array in problem())
    result = otgen.solve_sample(x, y, a / a.sum(), b / b.sum())
    assert result.value.shape == () and result.value.dtype == torch.float32
    assert result.potentials[0].dtype == result.potentials[1].dtype == torch.float64
    assert result.map().dtype == result.map(x[:2]).dtype == torch.float32
    assert "proven optimal" in repr(result)


def test_convergence_error_carries_the_result():
    result = otgen.solve(np.ones((2, 2)))
    error = otgen.ConvergenceError("not proven", result)
    assert isinstance(error, RuntimeError) and error.result is result and str(error) == "not proven"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("away", [1e9, 1e12, 1e15])
def test_an_entropic_map_of_points_far_away_takes_the_target_of_least_cost(rng, dtype, away) -> None:
    x, y = (rng.random((9, 2)).astype(dtype) for _ in range(2))
    x_new = np.array([[away, 2 * away], [away, away], [0.5, 0.5]], dtype)
    result = otgen.sinkhorn(x, y, eps=0.1)
    found = result.map(x_new)
    np.testing.assert_allclose(found[:2], y[np.argmax(x_new[:2] / dtype(away) @ y.T, axis=1)], rtol=1e-6)
    np.testing.assert_array_equal(found[2:], result.map(x_new[2:]))
