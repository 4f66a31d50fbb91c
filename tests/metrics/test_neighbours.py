"""Precision, recall, density, coverage and memorisation against plain loops, and where they are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import naive_metrics as naive
from otgen.metrics import memorisation, neighbour_scores, neighbours
from tolerance import tol


def clouds(n, m, d, seed, grid=False):
    rng = np.random.default_rng((seed, n, m, d))
    if grid:  # ties, duplicates, and points exactly on the spheres
        return rng.integers(3, size=(n, d)).astype(float), rng.integers(3, size=(m, d)).astype(float)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.3


@given(st.integers(4, 14), st.integers(4, 14), st.sampled_from([1, 2, 12]), st.booleans(), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_agrees_with_the_definition(n, m, d, grid, seed):
    x, y = clouds(n, m, d, seed, grid)
    k, k_density = 1 + seed % 3, 1 + seed % (m - 1)
    if m <= max(k, k_density):
        return
    expected = naive.neighbour_scores(x, y, k, k_density)
    assert neighbour_scores(x, y, k=k, k_density=k_density) == pytest.approx(expected, rel=tol(float))


def test_equal_sets():
    x, _ = clouds(40, 40, 20, 0)
    found = neighbour_scores(x, x[::-1], k=3, k_density=5)
    # A ball holds its centre and the k nearest, and no other point.
    assert found == pytest.approx((1.0, 1.0, 6 / 5, 1.0), rel=tol(float))


def test_disjoint_sets():
    x, y = clouds(30, 20, 3, 1)
    assert neighbour_scores(x + 1e3, y) == (0.0, 0.0, 0.0, 0.0)


def test_samples_at_one_place_are_precise_and_not_varied():
    _, y = clouds(1, 30, 2, 2)
    found = neighbour_scores(np.repeat(y[:1], 50, axis=0), y)
    inside = sum(naive.distance(y[0], y[j]) <= naive.radius(y, j, 5) for j in range(30))
    assert found == pytest.approx((1.0, 1 / 30, inside / 5, inside / 30), rel=tol(float))


@pytest.mark.parametrize("entries", [1 << 22, 700])
@pytest.mark.parametrize("inside", [63, 64, 65, 600])
def test_density_counts_all_balls_however_many(monkeypatch, inside, entries):
    monkeypatch.setattr(neighbours, "ENTRIES", entries)
    # Pairs two apart, a pair for each ball that holds 0, or far away.
    y = np.zeros((600, 2))
    y[:inside, 0] = np.linspace(-0.4, 0.4, inside)
    y[inside:] = 1e3 * (1 + np.arange(600 - inside))[:, None]
    x = np.zeros((7, 2))
    found = neighbours._inside(x, y, np.full(600, 0.5))
    assert found.tolist() == [inside] * 7


@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
def test_scale_translation_and_order_change_nothing(scale):
    x, y = clouds(25, 31, 4, 3)
    expected = neighbour_scores(x, y)
    rng = np.random.default_rng(0)
    assert neighbour_scores(scale * rng.permutation(x), scale * rng.permutation(y)) == expected
    assert memorisation(scale * x, scale * y, scale * y[:3] + scale) == pytest.approx(
        memorisation(x, y, y[:3] + 1), rel=tol(float)
    )


def test_what_is_taken():
    x, y = clouds(12, 15, 3, 4)
    single = neighbour_scores(x.astype(np.float32), y.astype(np.float32))
    assert neighbour_scores(torch.from_numpy(x).float(), torch.from_numpy(y).float()) == single
    assert neighbour_scores(np.asfortranarray(x), np.repeat(y, 2, axis=0)[::2]) == neighbour_scores(x, y)
    assert all(type(value) is float for value in single)
    whole = (10 * x).astype(int), (10 * y).astype(int)
    assert neighbour_scores(*whole) == neighbour_scores(*(side.astype(float) for side in whole))


def test_constants():
    ones = np.ones((8, 2))
    assert neighbour_scores(ones, ones) == (1.0, 1.0, 8 / 5, 1.0)
    assert neighbour_scores(ones, 2 * ones) == (0.0, 0.0, 0.0, 0.0)


def test_fewer_points_than_neighbours_and_other_bad_input():
    x, y = clouds(10, 10, 2, 5)
    with pytest.raises(ValueError, match="x must hold more than 3 points, the neighbours looked at; got 3. Draw more"):
        neighbour_scores(x[:3], y)
    with pytest.raises(ValueError, match="y must hold more than 5 points, the neighbours looked at; got 5"):
        neighbour_scores(x, y[:5])
    with pytest.raises(ValueError, match="k_density must be an int >= 1; got 0"):
        neighbour_scores(x, y, k_density=0)
    with pytest.raises(ValueError, match="k must be an int >= 1; got 2.5"):
        neighbour_scores(x, y, k=2.5)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"x must be finite; x\[0, 1\] is nan"):
        neighbour_scores([[0.0, math.nan]] * 9, y)
    with pytest.raises(ValueError, match="of one dimension d"):
        neighbour_scores(x[:, :1], y)


@pytest.mark.parametrize("seed", range(4))
def test_memorisation_agrees_with_the_definition(seed):
    x, y = clouds(9, 17, 3, seed)
    held_out, _ = clouds(8, 1, 3, seed + 50)
    expected = naive.memorisation(x, y, held_out)
    assert memorisation(x, y, held_out) == pytest.approx(expected, rel=tol(float))


def test_memorisation_of_copies_and_of_held_out_samples():
    x, y = clouds(40, 30, 5, 6)
    assert memorisation(y[:10], y, x) == (0.0, 1.0)
    assert memorisation(x, y, x) == (1.0, 0.5)
    assert memorisation(x + 1e4, y, x)[0] > 100 and memorisation(x + 1e4, y, x)[1] == 0.0
    assert memorisation(y, y, y) == (1.0, 0.5)
    assert memorisation(x, y, y) == (math.inf, 0.0)


def test_memorisation_refuses_what_does_not_fit():
    x, y = clouds(5, 5, 2, 7)
    with pytest.raises(ValueError, match="held_out must have points of the dimension of samples"):
        memorisation(x, y, y[:, :1])
    with pytest.raises(ValueError, match="training must be finite"):
        memorisation(x, y * math.inf, y)
