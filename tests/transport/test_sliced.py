"""Sliced distances against their definition, POT and closed forms."""

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
powers = st.sampled_from([1.0, 1.5, 2.0, 4.0])


def problem(n=12, m=9, d=3, seed=0):
    rng = np.random.default_rng((seed, n, m, d))
    a, b = rng.random(n) + 0.1, rng.random(m) + 0.1
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.4, a / a.sum(), b / b.sum()


def sliced(*arrays, **options):
    return otgen.sliced_wasserstein(*arrays, **{"n_projections": 16} | options)


@pytest.mark.parametrize("p", [1, 1.5, 2, 5])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 6), (8, 8), (12, 9)])
@pytest.mark.parametrize("weighted", [False, True])
def test_is_the_definition_and_pot(n, m, p, weighted):
    x, y, a, b = problem(n, m)
    weights = (a, b) if weighted else (None, None)
    found = sliced(x, y, *weights, p=p)
    assert type(found.value) is float and float(found) == found.value
    assert found.directions.shape == (16, 3) and found.distances.shape == (16,)
    own, other = (a, b) if weighted else (np.full(n, 1 / n), np.full(m, 1 / m))
    expected = naive_sliced.distances(x, y, own, other, p, found.directions)
    np.testing.assert_allclose(found.distances, expected, rtol=tol(float), atol=tol(float))
    assert found.value == pytest.approx(naive_sliced.value(x, y, own, other, p, found.directions), rel=tol(float))
    peer = ot.sliced_wasserstein_distance(x, y, own, other, projections=found.directions.T, p=p)
    assert found.value == pytest.approx(peer, rel=tol(float))


@pytest.mark.parametrize("projections", ["orthogonal", "sobol", "independent"])
def test_two_points_have_their_distance_over_root_d(projections):
    """<theta, x - y>^2 has mean |x - y|^2 / d; a block of orthonormal directions has exactly that."""
    d = 8
    x, y = np.zeros((1, d)), np.arange(1.0, d + 1)[None]
    found = sliced(x, y, n_projections=4096, projections=projections)
    truth = math.sqrt((y**2).sum() / d)
    if projections == "orthogonal":
        assert found.value == pytest.approx(truth, rel=tol(float))
    assert abs(found.value - truth) <= 4 * found.standard_error
    assert 0 < found.standard_error < 0.02 * truth


def test_a_translation_is_as_far_as_its_points():
    x, shift = problem(d=5)[0], np.array([1.0, -2.0, 0.5, 0.0, 3.0])
    found = sliced(x, x + shift, n_projections=20)
    assert found.value == pytest.approx(np.linalg.norm(shift) / math.sqrt(5), rel=tol(float))


@pytest.mark.parametrize("p", [1, 2])
def test_the_standard_error_covers_the_truth(p):
    """Of 200 seeds, value^p +- 1.96 standard errors of it holds the truth (16,384 directions) in at least 90 %."""
    x, y, a, b = problem(20, 15, 4)
    truth = otgen.sliced_wasserstein(x, y, a, b, p=p, n_projections=2**14, projections="sobol").value ** p
    covered = 0
    for seed in range(200):
        found = sliced(x, y, a, b, p=p, n_projections=64, projections="independent", seed=seed)
        error = p * found.value ** (p - 1) * found.standard_error
        covered += abs(found.value**p - truth) <= 1.96 * error
    assert 180 <= covered <= 199


def test_the_standard_error_is_that_of_a_mean():
    x, y, a, b = problem()
    found = sliced(x, y, a, b, p=3)
    powers = found.distances**3
    expected = powers.std(ddof=1) / math.sqrt(16) / (3 * powers.mean() ** (2 / 3))
    assert found.standard_error == pytest.approx(expected, rel=tol(float))
    assert math.isnan(sliced(x, y, n_projections=1).standard_error)
    assert sliced(x, x).standard_error == 0.0


@pytest.mark.parametrize("p", [1, 2])
def test_on_the_line_it_is_wasserstein_1d(p):
    x, y, a, b = problem(d=1)
    found = sliced(x, y, a, b, p=p)
    assert found.value == pytest.approx(otgen.wasserstein_1d(x[:, 0], y[:, 0], a, b, p=p), rel=tol(float))
    assert found.standard_error == 0.0 and found.directions.tolist() == [[1.0]]


@settings(max_examples=40, deadline=None)
@given(seeds, powers)
def test_is_a_metric_below_wasserstein(seed, p):
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 5))
    x, y, z = (rng.normal(size=(int(rng.integers(1, 9)), d)).round(1) for _ in range(3))
    options = {"p": p, "seed": seed}
    between = sliced(x, y, **options).value
    assert between == pytest.approx(sliced(y, x, **options).value, rel=tol(float), abs=tol(float))
    assert sliced(x, x[::-1].copy(), **options).value <= tol(float)
    assert between <= sliced(x, z, **options).value + sliced(z, y, **options).value + tol(float)
    exact: Any = ot.emd2([], [], cdist(x, y) ** p)
    assert between <= exact ** (1 / p) + tol(float)


@settings(max_examples=40, deadline=None)
@given(seeds, powers, st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_moves_and_scales_with_the_points(seed, p, scale, shift):
    x, y, a, b = problem(seed=seed)
    value = sliced(x, y, a, b, p=p).value
    assert sliced(x + shift, y + shift, a, b, p=p).value == pytest.approx(value, rel=1e-9)
    assert sliced(-scale * x, -scale * y, a, b, p=p).value == pytest.approx(scale * value, rel=1e-9)
    assert sliced(x, y, 3 * a, 3 * b, p=p).value == pytest.approx(3 ** (1 / p) * value, rel=tol(float))


@pytest.mark.parametrize("p", [1, 2, 30])
@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1e150, 1e300])
def test_extreme_scales(scale, p):
    x, y, a, b = problem()
    expected = sliced(x, y, a, b, p=p)
    found = sliced(scale * x, scale * y, a, b, p=p)
    assert found.value == pytest.approx(scale * expected.value, rel=1e-9)
    assert found.standard_error == pytest.approx(scale * expected.standard_error, rel=1e-9)


@pytest.mark.parametrize("scale", [1e-37, 1.0, 1e37])
def test_float32_in_float32_out(scale):
    x, y, a, b = problem(50, 40, 6)
    x, y = (x * scale).astype(np.float32), (y * scale).astype(np.float32)
    found = sliced(x, y, a, b)
    expected = sliced(x.astype(float), y.astype(float), a, b, projections=found.directions)
    assert found.directions.dtype == found.distances.dtype == np.float32
    assert found.value == pytest.approx(expected.value, rel=0.1 * tol(np.float32))


def test_far_from_the_origin_float32_loses_what_its_points_lost_and_no_more():
    x, y = (np.random.default_rng(k).integers(0, 9, size=(40, 6)).astype(np.float32) for k in (0, 1))
    expected = sliced(x, y).value
    assert sliced(x + 2.0**22, y + 2.0**22).value == pytest.approx(expected, rel=0.1 * tol(np.float32))


def test_points_without_weight_take_no_part():
    x, y, a, b = problem()
    expected = sliced(x, y, a, b)
    found = sliced(np.vstack([x, [[1e9, 0, 0]]]), y, np.append(a, 0.0), b)
    assert found.value == expected.value and found.distances.tolist() == expected.distances.tolist()


def test_equal_weights_are_the_uniform_ones_and_layout_changes_nothing():
    x, y, _, _ = problem()
    expected = sliced(x, y).value
    assert sliced(x, y, np.full(12, 0.5), np.full(9, 6 / 9)).value == pytest.approx(math.sqrt(6) * expected)
    assert sliced(np.asfortranarray(x), np.repeat(y, 2, axis=0)[::2]).value == expected
    assert sliced(x.tolist(), y.tolist()).value == expected
    whole = np.round(4 * x).astype(int)
    assert sliced(whole, y).value == sliced(whole.astype(float), y).value
    collinear = np.outer(x[:, 0], [1.0, 2.0, 2.0])
    assert sliced(collinear, 2 * collinear, n_projections=30).value == pytest.approx(
        math.sqrt((collinear**2).sum() / 12 / 3), rel=tol(float)
    )


def test_batches_are_their_problems_along_the_same_directions():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3, 8, 4)), 10.0 ** np.arange(3)[:, None, None] * rng.normal(size=(3, 6, 4))
    a, b = rng.random((3, 8)) + 0.1, rng.random((3, 6)) + 0.1
    a, b = a / a.sum(axis=1, keepdims=True), b / b.sum(axis=1, keepdims=True)
    for weights in ((None, None), (a, b), (a[0], b[0])):
        found = sliced(x, y, *weights)
        assert found.value.shape == found.standard_error.shape == (3,) and found.distances.shape == (3, 16)
        for k in range(3):
            own = [w if w is None or w.ndim == 1 else w[k] for w in weights]
            alone = sliced(x[k], y[k], *own)
            assert found.value[k] == alone.value and found.standard_error[k] == alone.standard_error
            np.testing.assert_array_equal(found.distances[k], alone.distances)
            np.testing.assert_array_equal(found.directions, alone.directions)


def test_many_directions_are_taken_in_parts_that_change_nothing(monkeypatch):
    x, y, a, b = problem()
    whole = sliced(x, y, a, b, n_projections=100)
    monkeypatch.setattr("otgen.transport.slicing.MOST_COLUMNS", 7)
    monkeypatch.setattr("otgen.transport.slicing.LEAST_COLUMNS", 7)
    parts = sliced(x, y, a, b, n_projections=100)
    np.testing.assert_allclose(parts.distances, whole.distances, rtol=tol(float))


def test_one_seed_gives_the_same_bits_on_any_number_of_threads(monkeypatch):
    x, y = problem(3000, 3000, 70)[:2]
    found = []
    for threads in ("1", "3"):
        monkeypatch.setenv("OTGEN_NUM_THREADS", threads)
        found.append(sliced(x, y, n_projections=40).value)
    assert found[0] == found[1] != sliced(x, y, n_projections=40, seed=1).value


def test_bad_input_is_refused():
    x, y, a, _ = problem()
    for p in (0.5, math.inf, "2"):
        with pytest.raises(ValueError, match="p must be a finite number >= 1; got"):
            sliced(x, y, p=p)
    with pytest.raises(ValueError, match="seed must be an int >= 0"):
        sliced(x, y, seed=-1)
    with pytest.raises(ValueError, match="n_projections must be an int >= 1; got 0"):
        sliced(x, y, n_projections=0)
    with pytest.raises(ValueError, match="projections must be one of orthogonal"):
        sliced(x, y, projections="grid")
    with pytest.raises(ValueError, match=r"x and y must have points of one dimension d"):
        sliced(x, y[:, :2])
    with pytest.raises(ValueError, match=r"x must have shape \(n, d\)"):
        sliced(x[:, 0], y)
    with pytest.raises(ValueError, match=r"y must be finite; y\[2, 1\] is nan"):
        y[2, 1] = np.nan
        sliced(x, y)
    with pytest.raises(ValueError, match="b must sum to the mass of a"):
        sliced(x, x, a, 2 * a)
    with pytest.raises(ValueError, match=r"y must have shape \(B, n, d\)"):
        sliced(x[None], x)
    with pytest.raises(ValueError, match="leave the range of float64"):
        sliced(np.full((1, 9), -1.7e308), np.full((1, 9), 1.7e308))
