"""The debiased divergence against its definition, its limits and its symmetries."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

import naive_entropic as naive
import otgen
from otgen.transport.entropic_problem import PointProblem
from tolerance import tol

INF = math.inf


def problem(n=12, m=9, seed=0, masses=(1.0, 1.0)):
    rng = np.random.default_rng((seed, n, m))
    a, b = rng.random(n) + 0.05, rng.random(m) + 0.05
    x, y = rng.normal(size=(n, 2)), rng.normal(size=(m, 2)) + 0.3
    return x, y, masses[0] * a / a.sum(), masses[1] * b / b.sum()


@pytest.mark.parametrize("share", [0.2, 1.0])
@pytest.mark.parametrize(("metric", "p"), [("euclidean", 2), ("euclidean", 1), ("cityblock", 1), ("cosine", 1)])
def test_agrees_with_the_definition(metric, p, share):
    x, y, a, b = problem()
    eps = share * float(naive.cost_matrix(x, y, metric, p).mean())
    expected = naive.divergence(x, y, a, b, eps, metric, p)
    found = otgen.sinkhorn_divergence(x, y, a, b, eps=eps, cost=(metric, p), tol=1e-9)
    assert type(found) is float and found == pytest.approx(expected, rel=1e-7, abs=1e-10)
    assert otgen.sinkhorn_divergence(y, x, b, a, eps=eps, cost=(metric, p), tol=1e-9) == pytest.approx(found, rel=1e-7)


@pytest.mark.parametrize("unbalanced", [0.5, (0.3, 2.0), (INF, 0.5), (0.5, INF)])
@pytest.mark.parametrize("masses", [(1.0, 1.0), (1.0, 3.0)])
def test_unbalanced_agrees_with_the_definition(unbalanced, masses):
    x, y, a, b = problem(masses=masses)
    rho = unbalanced if isinstance(unbalanced, tuple) else (unbalanced, unbalanced)
    expected = naive.divergence(x, y, a, b, 0.3, rho_a=rho[0], rho_b=rho[1])
    found = otgen.sinkhorn_divergence(x, y, a, b, eps=0.3, unbalanced=unbalanced, tol=1e-9)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)
    swapped = otgen.sinkhorn_divergence(y, x, b, a, eps=0.3, unbalanced=rho[::-1], tol=1e-9)
    assert swapped == pytest.approx(found, rel=1e-6)


def test_the_mass_term_keeps_it_above_zero():
    x, _, a, _ = problem()
    for share in (0.01, 1.0, 100.0):
        assert otgen.sinkhorn_divergence(x, x, a, 3 * a, eps=share, unbalanced=1.0) > 0
    assert otgen.sinkhorn_divergence(x, x, a, a, eps=1.0, unbalanced=1.0) == 0.0


@pytest.mark.parametrize("eps", [1e-3, 0.1, 10.0])
def test_equal_measures(eps):
    x, _, a, _ = problem(30)
    order = np.random.default_rng(1).permutation(len(x))
    assert otgen.sinkhorn_divergence(x, x, a, a, eps=eps) == 0.0
    assert abs(otgen.sinkhorn_divergence(x, x[order], a, a[order], eps=eps, tol=1e-8)) <= 1e-10
    doubled = np.vstack([x, x])
    assert abs(otgen.sinkhorn_divergence(x, doubled, a, 0.5 * np.r_[a, a], eps=eps, tol=1e-8)) <= 1e-10


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_never_negative(seed):
    rng = np.random.default_rng(seed)
    x, y, a, b = problem(int(rng.integers(1, 9)), int(rng.integers(1, 9)), seed)
    if rng.random() < 0.6:  # nearly the same measure
        y, b = x + 10.0 ** rng.uniform(-9, -1) * rng.normal(size=x.shape), a
    eps, accuracy = 10.0 ** rng.uniform(-2, 2), 10.0 ** rng.uniform(-9, -1)
    unbalanced = [None, 1.0][rng.integers(2)]
    found = otgen.sinkhorn_divergence(x, y, a, b, eps=eps, tol=accuracy, unbalanced=unbalanced)
    assert found >= -tol(float) * (eps + cdist(x, y, "sqeuclidean").max())


@pytest.mark.parametrize("seed", [52, 105, 358, 498])
def test_float64_goes_on_where_float32_stalls(seed):
    """Problems whose tol float32 is expected to reach, and does not."""
    rng = np.random.default_rng(seed)
    x, y, a, b = problem(int(rng.integers(1, 9)), int(rng.integers(1, 9)), seed)
    if rng.random() < 0.6:
        y, b = x + 10.0 ** rng.uniform(-9, -1) * rng.normal(size=x.shape), a
    eps, accuracy = 10.0 ** rng.uniform(-2, 2), 10.0 ** rng.uniform(-9, -1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        otgen.sinkhorn_divergence(x, y, a, b, eps=eps, tol=accuracy, unbalanced=[None, 1.0][rng.integers(2)])


def test_float32_is_asked_for_a_coarser_marginal_error_than_float64():
    """1e-3: and the value of it is the value of 1e-6 to a part of its square; the gradient to twice as much."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 2)).astype(np.float32), (rng.normal(size=(280, 2)) + 1).astype(np.float32)
    found, errors = [], []
    for points in ((x, y), (x.astype(np.float64), y.astype(np.float64))):
        first = torch.from_numpy(points[0]).requires_grad_()
        last: dict = {}
        value = otgen.sinkhorn_divergence(first, torch.from_numpy(points[1]), eps=0.1, progress=last.update)
        value.backward()
        assert first.grad is not None
        found.append((value.item(), first.grad.double().numpy()))
        errors.append((last["tol"], last["error"]))
    assert errors[0][0] == 1e-3 and errors[1][0] == 1e-6
    assert all(error <= asked for asked, error in errors)
    (coarse, gradient), (value, exact) = found
    assert coarse == pytest.approx(value, rel=1e-4)
    assert np.linalg.norm(gradient - exact) <= 5e-3 * np.linalg.norm(exact)


def test_only_the_gradients_that_are_recorded_are_computed(monkeypatch):
    asked = []
    whole = PointProblem.point_gradient
    monkeypatch.setattr(
        PointProblem,
        "point_gradient",
        lambda self, side, *args, **options: asked.append(side) or whole(self, side, *args, **options),
    )
    x, y = torch.randn(20, 2, requires_grad=True), torch.randn(30, 2)
    otgen.sinkhorn_divergence(x, y, eps=0.1).backward()
    assert asked == [0, 0] and x.grad is not None and y.grad is None


def test_small_eps_tends_to_the_exact_cost_and_large_eps_to_the_means():
    x, y, a, b = problem(30, 20)
    exact = otgen.solve_sample(x, y, a, b).value
    assert otgen.sinkhorn_divergence(x, y, a, b, eps=1e-3) == pytest.approx(exact, rel=0.02)
    apart = float(((a @ x - b @ y) ** 2).sum())
    assert otgen.sinkhorn_divergence(x, y, a, b, eps=1e5, tol=1e-9) == pytest.approx(apart, rel=1e-3)
    C, own, other = (cdist(*pair) for pair in ((x, y), (x, x), (y, y)))
    energy = a @ C @ b - 0.5 * (a @ own @ a + b @ other @ b)
    found = otgen.sinkhorn_divergence(x, y, a, b, eps=1e5, cost="euclidean", tol=1e-9)
    assert found == pytest.approx(energy, rel=1e-3)


def test_single_points():
    assert otgen.sinkhorn_divergence([[0.0, 0.0]], [[3.0, 4.0]], eps=0.1) == pytest.approx(25.0, rel=tol(float))
    x, y = problem()[:2]
    assert otgen.sinkhorn_divergence(x[:1], y, eps=0.1) > 0
    for scale in (1e-100, 1e100):
        found = otgen.sinkhorn_divergence(scale * x[:1], scale * y[:1], eps=1e-3 * scale**2)
        assert found == pytest.approx(scale**2 * float(((x[0] - y[0]) ** 2).sum()), rel=1e-9)


def test_translation_scale_and_zero_weights():
    x, y, a, b = problem()
    found = otgen.sinkhorn_divergence(x, y, a, b, eps=0.3, tol=1e-9)
    moved = otgen.sinkhorn_divergence(4 * x + 1, 4 * y + 1, a, b, eps=16 * 0.3, tol=1e-9)
    assert moved == pytest.approx(16 * found, rel=1e-8)
    more = otgen.sinkhorn_divergence(np.vstack([x, [[9, 9]]]), y, np.r_[a, 0], b, eps=0.3, tol=1e-9)
    assert more == pytest.approx(found, rel=1e-8)
    single = otgen.sinkhorn_divergence(x.astype("f4"), y.astype("f4"), a, b, eps=0.3)
    assert type(single) is float and single == pytest.approx(found, rel=1e-3)


def test_a_term_that_does_not_converge_says_so():
    x, y, a, b = problem()
    with pytest.warns(otgen.ConvergenceWarning, match="stopped at marginal error .* Raise max_iter"):
        otgen.sinkhorn_divergence(x, y, a, b, eps=1e-3, max_iter=1)
