"""Max-sliced distances: planted directions, bounds, and the grid of the circle."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

import naive_sliced
import otgen
from tolerance import tol

seeds = st.integers(0, 2**32 - 1)
DEFAULT_TOL = 1e-6


def problem(n=9, m=7, d=2, seed=0):
    rng = np.random.default_rng((seed, n, m, d))
    a, b = rng.random(n) + 0.1, rng.random(m) + 0.1
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)), a / a.sum(), b / b.sum()


def along(x, y, direction, a=None, b=None, p=2.0):
    return otgen.wasserstein_1d(x @ direction, y @ direction, a, b, p=p)


def planted(kind, n=2000, d=50):
    """Normal clouds that differ along one direction: by mean, by width, or by shape at equal mean and width."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=d)
    hidden /= np.linalg.norm(hidden)
    x, y = rng.normal(size=(2, n, d))
    place = y @ hidden
    moved = {"mean": place + 1, "width": 2 * place, "shape": 0.95 * np.sign(place) + 0.3 * rng.normal(size=n)}[kind]
    return x, y + np.outer(moved - place, hidden), hidden


@pytest.mark.parametrize(("kind", "p"), [("mean", 1), ("width", 2), ("shape", 1), ("shape", 2)])
def test_finds_the_planted_direction(kind, p):
    x, y, hidden = planted(kind)
    found = otgen.max_sliced_wasserstein(x, y, p=p)
    assert abs(found.direction @ hidden) > 0.95
    assert found.converged and found.value >= along(x, y, hidden, p=p)
    assert found.value == pytest.approx(along(x, y, found.direction, p=p), rel=tol(float))
    random = otgen.sliced_wasserstein(x, y, p=p, n_projections=1000, projections="independent", seed=1)
    assert 1.5 * random.distances.max() < found.value <= found.upper_bound


@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_is_the_best_of_the_circle(p, weighted):
    for seed in range(2):
        x, y, a, b = problem(seed=seed)
        weights = (a, b) if weighted else (None, None)
        found = otgen.max_sliced_wasserstein(x, y, *weights, p=p)
        own, other = (a, b) if weighted else (np.full(9, 1 / 9), np.full(7, 1 / 7))
        assert found.value >= naive_sliced.best_of_circle(x, y, own, other, p, 120) * (1 - 2 * DEFAULT_TOL)
        exact = naive_sliced.value(x, y, own, other, p, found.direction[None])
        assert found.value == pytest.approx(exact, rel=tol(float))


@settings(max_examples=12, deadline=None)
@given(seeds, st.sampled_from([1.0, 2.0, 3.0]))
def test_lies_between_random_directions_and_wasserstein(seed, p):
    rng = np.random.default_rng(seed)
    n, m, d = (int(k) for k in rng.integers(1, 9, 3))
    x, y, a, b = problem(n, m, d, seed)
    found = otgen.max_sliced_wasserstein(x, y, a, b, p=p)
    theta = otgen.sliced_wasserstein(x, y, n_projections=1000, projections="independent", seed=1).directions
    peer: Any = ot.max_sliced_wasserstein_distance(x, y, a, b, projections=theta.T, p=p)
    assert found.value >= peer * (1 - 2 * DEFAULT_TOL) - tol(float)
    exact: Any = ot.emd2(a, b, cdist(x, y) ** p)
    assert found.value <= exact ** (1 / p) * (1 + tol(float))
    assert np.linalg.norm(found.direction) == pytest.approx(1.0, rel=tol(float))
    if found.upper_bound is not None:
        longer = otgen.max_sliced_wasserstein(x, y, a, b, p=p, n_starts=40, seed=2)
        assert max(found.value, longer.value) <= found.upper_bound * (1 + tol(float))
    assert (found.upper_bound is None) == (p > 2)


@pytest.mark.parametrize("p", [1, 1.5, 2])
@pytest.mark.parametrize("mass", [1.0, 3.0])
def test_a_translation_is_proven(p, mass):
    x, _, a, _ = problem(d=5)
    shift = np.array([1.0, -2.0, 0.5, 0.0, 3.0])
    found = otgen.max_sliced_wasserstein(x, x + shift, mass * a, mass * a, p=p)
    expected = mass ** (1 / p) * float(np.linalg.norm(shift))
    assert found.value == pytest.approx(expected, rel=tol(float))
    assert found.upper_bound == pytest.approx(expected, rel=tol(float)) and found.upper_bound >= found.value
    assert abs(found.direction @ shift) == pytest.approx(np.linalg.norm(shift), rel=tol(float))


def test_the_bound_is_that_of_the_plan_along_the_direction():
    x, y, a, b = problem(d=3)
    found = otgen.max_sliced_wasserstein(x, y, 2 * a, 2 * b, p=1.5)
    plan: Any = ot.emd_1d(x @ found.direction, y @ found.direction, a, b, metric="minkowski", p=1.5)
    moments = sum(plan[i, j] * np.outer(x[i] - y[j], x[i] - y[j]) for i in range(9) for j in range(7))
    expected = 2 ** (1 / 1.5) * math.sqrt(np.linalg.eigvalsh(moments)[-1])
    assert found.upper_bound == pytest.approx(expected, rel=tol(float))


def test_equal_clouds_are_nowhere_apart():
    x = problem(d=4)[0]
    found = otgen.max_sliced_wasserstein(x, x[::-1].copy())
    assert found.value == pytest.approx(0.0, abs=tol(float)) and found.converged
    assert found.upper_bound == pytest.approx(0.0, abs=tol(float))


def test_on_the_line_and_of_single_points():
    x, y, a, b = problem(d=1)
    found = otgen.max_sliced_wasserstein(x, y, a, b)
    assert found.value == pytest.approx(along(x, y, np.ones(1), a, b), rel=tol(float))
    assert found.upper_bound == pytest.approx(found.value, rel=tol(float))
    found = otgen.max_sliced_wasserstein([[0.0, 0.0]], [[3.0, 4.0]])
    assert float(found) == pytest.approx(5.0, rel=tol(float))


@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1e150, 1e300])
def test_extreme_scales(scale):
    x, y, a, b = problem(d=3)
    unit, scaled = (otgen.max_sliced_wasserstein(s * x, s * y, a, b) for s in (1.0, scale))
    assert scaled.value == pytest.approx(scale * unit.value, rel=10 * DEFAULT_TOL)
    assert scaled.upper_bound is not None and unit.upper_bound is not None
    assert scaled.upper_bound == pytest.approx(scale * unit.upper_bound, rel=1e-2)


def test_float32_points_without_weight_and_one_seed():
    x, y, a, b = problem(30, 20, 4)
    single = otgen.max_sliced_wasserstein(x.astype(np.float32), y.astype(np.float32), a, b)
    double = otgen.max_sliced_wasserstein(x, y, a, b)
    assert single.direction.dtype == np.float32 and single.value == pytest.approx(double.value, rel=1e-4)
    again = otgen.max_sliced_wasserstein(np.vstack([x, [[1e9, 0, 0, 0]]]), y, np.append(a, 0.0), b)
    assert again.value == double.value and again.direction.tolist() == double.direction.tolist()


def test_too_few_rounds_are_told():
    x, y, _ = planted("shape", 300)
    found = otgen.max_sliced_wasserstein(x, y, max_iter=1)
    assert not found.converged and found.n_iter == 1
    assert found.value < otgen.max_sliced_wasserstein(x, y).value


@pytest.mark.parametrize("p", [1, 2, 3])
def test_gradients_hold_the_direction(p):
    torch = pytest.importorskip("torch")
    arrays = problem(d=3)
    inputs = [torch.tensor(array, requires_grad=True) for array in arrays]
    found = otgen.max_sliced_wasserstein(*inputs, p=p)
    found.value.backward()
    direction = found.direction
    assert not direction.requires_grad and not found.value.isnan()
    others = [torch.tensor(array, requires_grad=True) for array in arrays]
    otgen.wasserstein_1d(others[0] @ direction, others[1] @ direction, *others[2:], p=p).backward()
    for one, other in zip(inputs, others):
        np.testing.assert_allclose(one.grad, other.grad, rtol=1e-9, atol=tol(float))


def test_bad_input_is_refused():
    x, y, a, _ = problem()
    with pytest.raises(ValueError, match=r"p must be a finite number >= 1; got 0"):
        otgen.max_sliced_wasserstein(x, y, p=0)
    with pytest.raises(ValueError, match="n_starts must be an int >= 1; got 0. Pass the number of directions"):
        otgen.max_sliced_wasserstein(x, y, n_starts=0)
    with pytest.raises(ValueError, match="max_iter must be an int >= 1; got 0. Pass the number of rounds"):
        otgen.max_sliced_wasserstein(x, y, max_iter=0)
    with pytest.raises(ValueError, match="tol must be a positive finite number"):
        otgen.max_sliced_wasserstein(x, y, tol=0)
    with pytest.raises(ValueError, match="seed must be an int >= 0"):
        otgen.max_sliced_wasserstein(x, y, seed="a")
    with pytest.raises(ValueError, match=r"For clouds \(B, n, d\) loop over x\[k\] and y\[k\]"):
        otgen.max_sliced_wasserstein(np.ones((2, 3, 1)), np.ones((2, 3, 1)))
    with pytest.raises(ValueError, match=r"x must have shape \(n, d\)"):
        otgen.max_sliced_wasserstein(x[None], y[None])
    with pytest.raises(ValueError, match="b must sum to the mass of a"):
        otgen.max_sliced_wasserstein(x, x, a, 2 * a)
