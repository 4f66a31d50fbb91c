"""EntropicPlan against its dense array."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

import naive_entropic as naive
import otgen
from otgen.transport import plan as plan_module
from tolerance import tol


def solved(dtype="float64", **options):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 2)).astype(dtype), rng.normal(size=(6, 2)).astype(dtype)
    a, b = rng.random(8), rng.random(6)
    a[[1, 4]], b[3] = 0, 0
    return x, y, otgen.sinkhorn(x, y, a / a.sum(), b / b.sum(), eps=0.3, tol=1e-6, **options)


@pytest.mark.parametrize("door", ["points", "matrix"])
def test_every_entry(door):
    x, y, result = solved()
    if door == "matrix":
        a, b = (np.asarray(mass) for mass in result.plan.marginals())
        result = otgen.solve(cdist(x, y, "sqeuclidean"), a, b * (a.sum() / b.sum()), eps=0.3)
    plan, rng = result.plan, np.random.default_rng(1)
    dense = plan.toarray()
    assert plan.shape == dense.shape == (8, 6) and plan.T.shape == (6, 8) and plan.dtype == np.float64
    assert (dense[[1, 4]] == 0).all() and (dense[:, 3] == 0).all() and (dense[0, :3] > 0).all()
    np.testing.assert_array_equal(plan.T.toarray(), dense.T)
    np.testing.assert_array_equal(plan.T.T.toarray(), dense)
    for shape in ((6,), (6, 1), (6, 4)):
        V = rng.normal(size=shape)
        np.testing.assert_allclose(plan @ V, dense @ V, atol=tol(float))
        W = rng.normal(size=(8, *shape[1:]))
        np.testing.assert_allclose(plan.T @ W, dense.T @ W, atol=tol(float))
        np.testing.assert_allclose(W.T @ plan, W.T @ dense, atol=tol(float))
    rows, columns = plan.marginals()
    np.testing.assert_allclose(rows, dense.sum(axis=1), atol=tol(float))
    np.testing.assert_allclose(columns, dense.sum(axis=0), atol=tol(float))


@pytest.mark.parametrize(
    "index",
    [
        0,
        1,
        -1,
        np.int64(3),
        slice(None),
        slice(1, 7, 2),
        slice(0, 0),
        [0, 1, 1, -2],
        np.array([5, 0]),
        np.arange(8) > 4,
    ],
)
def test_rows(index):
    plan = solved()[2].plan
    found = plan.rows(index)
    np.testing.assert_allclose(found, plan.toarray()[index], rtol=tol(float))
    assert found.shape == plan.toarray()[index].shape


def test_what_is_refused(monkeypatch):
    plan = solved()[2].plan
    with pytest.raises(IndexError, match=r"i must be a row of the plan \(from -8 to 7\)"):
        plan.rows(8)
    with pytest.raises(TypeError, match=r"rows\(\) reads rows of the plan, not of plan.T"):
        plan.T.rows(0)
    with pytest.raises(ValueError, match=r"V must have 6 rows, .* plan \(8, 6\); got shape \(8,\). Pass plan.T @ V"):
        _ = plan @ np.ones(8)
    with pytest.raises(ValueError, match=r"V must have 8 rows"):
        _ = np.ones(7) @ plan
    with pytest.raises(ValueError, match=r"V must have shape \(n,\) or \(n, k\); got shape \(6, 1, 1\)"):
        _ = plan @ np.ones((6, 1, 1))
    with pytest.raises(ValueError, match=r"V must be finite; V\[0\] is nan"):
        _ = plan @ np.r_[np.nan, np.ones(5)]
    with pytest.raises(TypeError, match="unsupported operand"):
        _ = np.ones(6) * plan
    monkeypatch.setattr(plan_module, "LARGEST_ARRAY", 40)
    with pytest.raises(ValueError, match=r"the plan \(8, 6\) has 48 entries, more than 40. Use plan @ V"):
        plan.toarray()
    assert plan.toarray(force=True).shape == (8, 6)


def test_dense_rows_come_in_chunks(monkeypatch):
    plan = solved()[2].plan
    whole = plan.toarray()
    monkeypatch.setattr(plan_module, "CHUNK", 7)
    np.testing.assert_array_equal(plan.toarray(), whole)


def test_float32():
    plan = solved("float32")[2].plan
    dense = plan.toarray()
    assert dense.dtype == plan.rows(0).dtype == (plan @ np.ones(6)).dtype == plan.marginals()[0].dtype == np.float32
    np.testing.assert_allclose(plan @ np.ones(6, "f4"), dense.sum(axis=1), atol=1e-5)


def test_torch():
    torch = pytest.importorskip("torch")
    x, y = (torch.from_numpy(points) for points in solved()[:2])
    plan = otgen.sinkhorn(x, y, eps=0.3).plan
    dense, V = plan.toarray(), torch.ones(6, 2, dtype=torch.float64)
    assert isinstance(dense, torch.Tensor) and dense.dtype == torch.float64
    torch.testing.assert_close(plan @ V, dense @ V)
    torch.testing.assert_close(plan.rows(torch.tensor([0, 2])), dense[[0, 2]])
    torch.testing.assert_close(plan.marginals()[1], dense.sum(0))
    with pytest.raises(TypeError, match="plan @ V needs V in the library of the points; got ndarray"):
        _ = plan @ np.ones(6)


def test_the_plan_does_not_follow_a_refilled_buffer():
    x, y, _ = solved()
    result = otgen.sinkhorn(x, y, eps=0.3)
    before, mapped = result.plan.toarray(), result.map()
    applied = result.plan @ y.copy()
    V = y.copy()
    x[:], y[:] = 0, 0
    np.testing.assert_array_equal(result.plan.toarray(), before)
    np.testing.assert_array_equal(result.map(), mapped)
    np.testing.assert_array_equal(result.plan @ V, applied)


@pytest.mark.parametrize("cost", [("euclidean", 2), ("euclidean", 1), ("cosine", 1)])
def test_map(cost):
    x, y, result = solved(cost=cost)
    keep = np.asarray(result.plan.marginals()[1]) > 0
    b, g = np.asarray(result.plan.marginals()[1])[keep], np.asarray(result.potentials[1])[keep]
    new = np.random.default_rng(2).normal(size=(5, 2))
    for points, found in ((x, result.map()), (new, result.map(new))):
        C = naive.cost_matrix(points, y[keep], *cost)
        weights = b * np.exp((g - C + C.min(axis=1, keepdims=True)) / 0.3)
        np.testing.assert_allclose(found, weights @ y[keep] / weights.sum(axis=1, keepdims=True), atol=1e-5)
    mass = np.asarray(result.plan.marginals()[0])
    kept = mass > 0
    np.testing.assert_allclose(result.map()[kept], (result.plan @ y)[kept] / mass[kept, None], atol=1e-9)
    with pytest.raises(ValueError, match="map needs points; this Transport was solved from a cost matrix"):
        otgen.solve(np.ones((2, 2)), eps=1.0).map()
