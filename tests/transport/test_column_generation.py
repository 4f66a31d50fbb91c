"""The exact solver on clouds that have broken other solvers, stopped early, interrupted, and on any thread count."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import ot
import pytest
import scipy.sparse
from scipy.spatial.distance import cdist

import otgen
from tolerance import tol

N = 400  # three levels


def rng():
    return np.random.default_rng(7)


def grid(side=20):
    return np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2).astype(float)


def clusters(centres, spread=0.0):
    return centres[rng().integers(len(centres), size=N)] + spread * rng().normal(size=(N, 2))


x, y, line = rng().normal(size=(N, 2)), rng().normal(size=(N, 2))[::-1] + 1.0, rng().random((N, 1))
CLOUDS = {
    "shifted": (x, y),
    "identical": (x, x),
    "permuted": (x, x[::-1]),
    "nearly permuted": (x, x[::-1] + 1e-9 * y),
    "one point each": (np.zeros((N, 2)), np.ones((N, 2))),
    "duplicates": (clusters(5 * x[:10]), clusters(5 * y[:10])),
    "clusters": (clusters(5 * x[:10], 0.01), clusters(5 * y[:10], 0.01)),
    "grid to half a cell": (grid(), grid() + 0.5),
    "grid to itself": (grid(), grid() + 3.0),
    "collinear": (line * [1, 2], line[::-1] * [1, 2] + 0.3),
    "far away": (x, 0.5 * x + 1e6),
    "outlier": (np.vstack([1e6 * x[:1], x[1:]]), y),
    "heavy tails": (rng().standard_cauchy((N, 2)), y),
    "few targets": (x, y[:7]),
    "one target": (x, y[:1]),
    "circle to its centre": (np.stack([np.cos(6.28 * line), np.sin(6.28 * line)], -1)[:, 0], np.zeros((5, 2))),
    "high dimension": (rng().normal(size=(N, 40)), rng().normal(size=(300, 40)) + 0.2),
}


def check(result, C, a, b, peer_is_exact=True):
    f, g = result.potentials
    plan = result.plan.tocoo()
    assert result.plan.nnz <= len(a) + len(b) - 1 and (plan.data > 0).all()
    assert (C - f[:, None] - g).min() >= -tol(float) * max(np.abs(C).max(), np.abs(f).max())
    marginals = np.bincount(plan.coords[0], plan.data, len(a)), np.bincount(plan.coords[1], plan.data, len(b))
    np.testing.assert_allclose(marginals[0], a, atol=1e-13)
    np.testing.assert_allclose(marginals[1], b, atol=1e-13)
    assert result.value == pytest.approx(C[plan.coords] @ plan.data, rel=1e-12, abs=1e-300)
    assert result.value - (a @ f + b @ g) == pytest.approx(result.gap, abs=1e-11 * C.max() + 1e-300)
    if result.converged:
        assert result.gap <= 1e-9 * result.scale
        best, slack = ot.emd2(a, b, C, numItermax=10**7), 1e-8 * result.value + 2e-9 * result.scale
        assert result.value <= best + slack
        # POT's pivot tolerance is absolute: with weights over 18 decades and an outlier it stops 1e-6 too high
        assert not peer_is_exact or result.value >= best - slack


@pytest.mark.parametrize("weights", ["uniform", "random", "extreme"])
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("name", CLOUDS)
def test_adversarial_clouds_are_certified(name, p, weights):
    source, target = (np.ascontiguousarray(points, float) for points in CLOUDS[name])
    a, b = np.ones(len(source)), np.ones(len(target))
    if weights != "uniform":
        decades = 1 if weights == "random" else 18
        a, b = (10.0 ** -rng().uniform(0, decades, len(points)) for points in (source, target))
    a, b = a / a.sum(), b / b.sum()
    result = otgen.solve_sample(source, target, a, b, cost=("euclidean", p))
    assert result.converged, result.message
    check(result, cdist(source, target) ** p, a, b, peer_is_exact=weights != "extreme")


@pytest.mark.skipif("OTGEN_DATA" not in os.environ, reason="OTGEN_DATA names the folder with the DOTmark images")
def test_dotmark_images_as_weights():
    folder = Path(os.environ["OTGEN_DATA"]) / "dotmark32"
    images = [np.loadtxt(folder / f"data32_{name}.csv", delimiter=",").ravel() for name in (1001, 1002)]
    a, b = (image / image.sum() for image in images)
    for p in (1, 2):
        result = otgen.solve_sample(grid(32), grid(32), a, b, cost=("euclidean", p))
        assert result.converged
        kept_a, kept_b = a > 0, b > 0
        C = cdist(grid(32), grid(32)) ** p
        best = ot.emd2(a[kept_a], b[kept_b], C[np.ix_(kept_a, kept_b)], numItermax=10**7)
        assert result.value == pytest.approx(best, rel=1e-8)


@pytest.mark.parametrize("p", [1, 2])
def test_stopped_after_one_round_the_gap_is_honest(p):
    found = otgen.solve_sample(x, y, cost=("euclidean", p), max_iter=1, tol=1e-15)
    assert found.n_iter == 1
    a = np.full(N, 1 / N)
    check(found, cdist(x, y) ** p, a, a)
    best = float(ot.emd2(a, a, cdist(x, y) ** p))  # pyright: ignore[reportArgumentType]
    assert found.lower_bound <= best * (1 + 1e-12) and best <= found.upper_bound * (1 + 1e-12)


@pytest.mark.parametrize("at", range(1, 6))
def test_interrupted_it_returns_the_best_plan_and_its_gap(at):
    calls = []

    def interrupt(report):
        calls.append(report)
        if len(calls) == at:
            raise KeyboardInterrupt

    found = otgen.solve_sample(x, y, cost="euclidean", progress=interrupt)
    a, C = np.full(N, 1 / N), cdist(x, y)
    assert len(calls) == at and (found.converged or found.message == "interrupted")
    check(found, C, a, a)
    best = float(ot.emd2(a, a, C))  # pyright: ignore[reportArgumentType]
    assert found.lower_bound <= best * (1 + 1e-12) <= found.upper_bound * (1 + 2e-12)


def test_interrupted_during_the_pivots(monkeypatch):
    from otgen_kernels.host import NetworkSimplex

    original, calls = NetworkSimplex.pivot, []

    def pivot(self, tolerance, max_pivots):
        calls.append(self.n)
        if self.n == N:
            original(self, tolerance, 50)
            raise KeyboardInterrupt
        return original(self, tolerance, max_pivots)

    monkeypatch.setattr(NetworkSimplex, "pivot", pivot)
    found = otgen.solve_sample(x, y, cost="euclidean")
    a = np.full(N, 1 / N)
    assert calls[-1] == N and found.message == "interrupted" and not found.converged
    check(found, cdist(x, y), a, a)
    with pytest.raises(otgen.ConvergenceError, match="interrupted"):
        otgen.wasserstein(x, y)


def test_same_numbers_on_any_thread_count(monkeypatch):
    results = []
    points = np.random.default_rng(0).normal(size=(2, 2500, 2))
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("OTGEN_NUM_THREADS", threads)
        results.append(otgen.solve_sample(points[0], points[1] + 1, cost="euclidean"))
    for other in results[1:]:
        assert other.value == results[0].value and (other.plan != results[0].plan).nnz == 0
        np.testing.assert_array_equal(other.potentials[1], results[0].potentials[1])


@pytest.mark.parametrize("name", ["shifted", "duplicates", "grid to half a cell", "few targets"])
def test_matrices_dense_and_sparse_agree_with_points(name):
    source, target = CLOUDS[name]
    C = cdist(source, target)
    a, b = rng().random(len(source)) + 0.1, rng().random(len(target)) + 0.1
    a, b = a / a.sum(), b / b.sum()
    dense, sparse = otgen.solve(C, a, b), otgen.solve(scipy.sparse.csr_array(C + (C == 0) * 1e-300), a, b)
    for result in (dense, sparse):
        assert result.converged
        check(result, C, a, b)


def test_a_matrix_of_one_number_and_negative_costs():
    assert otgen.solve(np.full((300, 200), 2.5)).value == pytest.approx(2.5, rel=1e-14)
    C = rng().normal(size=(200, 150))
    a, b = np.full(200, 1 / 200), np.full(150, 1 / 150)
    assert otgen.solve(C, a, b).value == pytest.approx(ot.emd2(a, b, C), rel=1e-9)
