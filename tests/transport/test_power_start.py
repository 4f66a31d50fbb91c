from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from otgen.transport.frame import frame_of
from otgen.transport.power_newton import PowerCells, fit_newton
from otgen.transport.power_start import convex_heights, directions, first_heights, spread_points
from otgen.transport.sources import Ball, Box, Image, Polytope
from tolerance import tol

SQUARE = Box(np.zeros(2), np.ones(2))
CLOUDS = {
    "uniform": lambda rng, n, d: rng.random((n, d)),
    "skewed": lambda rng, n, d: rng.standard_normal((n, d)) ** 3,
    "cauchy": lambda rng, n, d: rng.standard_cauchy((n, d)),
    "flat": lambda rng, n, d: rng.standard_normal((n, d)) * np.r_[1.0, [1e-6] * (d - 1)],
    "line": lambda rng, n, d: rng.standard_normal((n, 1)) * rng.standard_normal(d),
    "on an axis": lambda rng, n, d: rng.standard_normal((n, 1)) * np.eye(d)[0],
    "grid": lambda rng, n, d: rng.integers(0, 4, (n, d)) / 3.0,
    "two clusters": lambda rng, n, d: rng.integers(0, 2, (n, 1)) + 1e-5 * rng.standard_normal((n, d)),
}


@settings(deadline=None)
@given(st.sampled_from(sorted(CLOUDS)), st.integers(1, 60), st.sampled_from([2, 3]), st.integers(0, 2**32 - 1))
def test_a_start_leaves_no_cell_empty(cloud, n, d, seed):
    rng = np.random.default_rng(seed)
    y = np.unique(CLOUDS[cloud](rng, n, d), axis=0)
    source = Polytope(rng.standard_normal((8, d)) * 10.0 ** rng.uniform(-1.0, 0.0, d) + 3.0)
    frame, nu = frame_of(y, source), 10.0 ** rng.uniform(-6.0, 0.0, len(y))
    nu /= nu.sum()
    sites, points, walls = frame.y(y), frame.x(spread_points(source)), frame.walls(source)
    apart = np.linalg.norm(sites[:, None] - sites, axis=2)[~np.eye(len(y), dtype=bool)]
    assume(len(apart) == 0 or apart.min() > 1e-7)
    axes, others = directions(d)
    for along in (axes, np.vstack([axes, others])):
        heights = convex_heights(sites, nu, points, walls, along)
        assert (PowerCells(y, source, frame, None).measure(heights).mass > 0.0).all()


def test_a_grid_on_its_box_starts_at_the_answer():
    side = (np.arange(8) + 0.5) / 8
    y = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    run, _ = fit_newton(
        y, np.full(64, 1 / 64), SQUARE, start=None, tol=1e-9, max_iter=50, report=lambda row, reached: None
    )
    assert run.history[0]["error"] < 0.05


def test_ties_on_an_axis_share_their_place():
    y = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    points = spread_points(SQUARE) - 0.5
    walls = np.array([[-1.0, 0.0, 0.5], [1.0, 0.0, 0.5], [0.0, -1.0, 0.5], [0.0, 1.0, 0.5]])
    heights = convex_heights(y, np.full(4, 0.25), points, walls, directions(2)[0])
    # p = (+-1/4, +-1/4): phi grows by the mean of its slopes, 0, along every side.
    np.testing.assert_allclose(heights, heights.mean(), atol=2e-3)
    mass = np.full(4, 0.25)
    frame = frame_of(y, SQUARE)
    sites = frame.y(y)
    found = first_heights(
        sites, mass, frame.x(spread_points(SQUARE)), frame.walls(SQUARE),
        lambda rows, heights: PowerCells(y[rows], SQUARE, frame, None).measure(heights).mass,
    )  # fmt: skip
    np.testing.assert_allclose(PowerCells(y, SQUARE, frame, None).measure(found).mass, mass, rtol=0.02)


@pytest.mark.parametrize("d", [2, 3])
def test_directions_are_even(d):
    axes, others = directions(d)
    assert len(axes) == d and len(others) == (3**d - 1) // 2 - d
    for along in (axes, others):
        np.testing.assert_allclose(along.T @ along, len(along) / d * np.eye(d), atol=tol(np.float64))
        np.testing.assert_allclose(np.linalg.norm(along, axis=1), 1.0, rtol=tol(np.float64))
    every = np.vstack([axes, others])
    assert (np.abs(every @ every.T)[~np.eye(len(every), dtype=bool)] < 0.99).all()


@pytest.mark.parametrize("source", [
    SQUARE, Box(np.zeros(3), np.array([1.0, 2.0, 3.0])), Polytope(np.array([[0.0, 0.0], [2.0, 0.5], [0.5, 1.5]])),
    Image(np.zeros(2), np.ones(2), np.array([[1.0, 0.0], [2.0, 3.0]])), Ball(np.zeros(3), 1.0),
])  # fmt: skip
def test_points_fill_the_source_evenly(source):
    x = spread_points(source, 4096)
    assert x.shape == (4096, source.dim)
    # Independent points would be off by radius / 64; these are a quarter of that at most.
    np.testing.assert_allclose(x.mean(0), source.mean, atol=0.25 * source.radius / 64)


@pytest.mark.parametrize("width", [1e-1, 1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("kind", ["two clusters", "a cluster among others", "a far cluster", "a line and a cluster"])
def test_narrow_clusters_take_few_steps(rng, width, kind):
    cluster = width * rng.random((100, 2))
    y = {
        "two clusters": np.r_[width * rng.random((100, 2)), cluster + 5.0],
        "a cluster among others": np.r_[rng.random((100, 2)), cluster + 0.5],
        "a far cluster": np.r_[rng.random((100, 2)), cluster + 5.0],
        "a line and a cluster": np.r_[rng.random((100, 1)) * [[1.0, 0.0]], cluster + 5.0],
    }[kind]
    run, _ = fit_newton(
        y, np.full(200, 1 / 200), SQUARE, start=None, tol=1e-7, max_iter=15, report=lambda row, reached: None
    )
    assert run.message == "" and run.error <= 1e-7
