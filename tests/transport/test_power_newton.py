from __future__ import annotations

import numpy as np
import pytest

from otgen.transport.frame import frame_of
from otgen.transport.power_newton import PowerCells, Reached, fit_newton
from otgen.transport.sources import Box, Image, Polytope
from tolerance import tol

SQUARE = Box(np.zeros(2), np.ones(2))
CUBE = Box(np.zeros(3), np.ones(3))
OBLONG = Box(np.array([-3.0, 100.0]), np.array([5.0, 100.5]))
HEXAGON = Polytope(np.array([[np.cos(a), np.sin(a)] for a in np.arange(6) * np.pi / 3 + 0.1]))
GEM = Polytope(np.random.default_rng(3).standard_normal((12, 3)) + [5.0, 0.0, -2.0])
IMAGE = Image(np.zeros(2), np.array([2.0, 1.0]), np.random.default_rng(4).uniform(0.05, 1.0, (7, 11)))
VOXELS = Image(np.zeros(3), np.ones(3), np.random.default_rng(4).uniform(0.2, 1.0, (3, 4, 5)))
SOURCES = {
    "box": SQUARE,
    "oblong": OBLONG,
    "polygon": HEXAGON,
    "image": IMAGE,
    "cube": CUBE,
    "polyhedron": GEM,
    "voxels": VOXELS,
}


def fit(y, nu, source, *, start=None, tol=1e-9, max_iter=300, report=lambda row, reached: None, **more):
    return fit_newton(y, nu, source, start=start, tol=tol, max_iter=max_iter, report=report, **more)


def uniform(y):
    return np.full(len(y), 1.0 / len(y))


def check(y, source, nu=None, most=60):
    """The run's masses are nu by a diagram made anew, and by counting where cells are for the naive argmax."""
    nu = uniform(y) if nu is None else nu
    run, frame = fit(y, nu, source)
    assert run.message == "" and run.error <= 1e-9 and len(run.history) <= most
    pixels = source.density
    again = PowerCells(y, source, frame, None if pixels is None else pixels / pixels.mean()).measure(run.heights)
    np.testing.assert_allclose(again.mass, nu, rtol=2e-9)
    x, n = source.sample(20_000, np.random.default_rng(9)), len(y)
    counts = np.zeros(n)
    for part in np.array_split(frame.x(x), 20):
        counts += np.bincount((part @ frame.y(y).T + run.heights).argmax(1), minlength=n)
    chi2 = ((counts - 20_000 * nu) ** 2 / (20_000 * nu)).sum()
    assert abs(chi2 - (n - 1)) <= 6.0 * np.sqrt(2.0 * n + (1.0 / nu / 20_000).sum())
    return run, frame


@pytest.mark.parametrize("weights", ["uniform", "random", "uneven"])
@pytest.mark.parametrize("name", SOURCES)
def test_masses_are_reached(rng, name, weights):
    source, n = SOURCES[name], 60
    nu = {"uniform": np.ones(n), "random": rng.uniform(0.1, 1.0, n), "uneven": 10.0 ** rng.uniform(-3.0, 0.0, n)}[
        weights
    ]
    y = 10.0 * rng.standard_normal((n, source.dim)) + 3.0
    check(y, source, nu / nu.sum())


UNEQUAL = {
    "over nine decades": lambda rng, y: 10.0 ** rng.uniform(-9.0, 0.0, len(y)),
    "over twelve decades": lambda rng, y: 10.0 ** rng.uniform(-12.0, 0.0, len(y)),
    "one small": lambda rng, y: np.where(np.arange(len(y)) == 7, 1e-9, 1.0),
    "one large": lambda rng, y: np.where(np.arange(len(y)) == 7, 1.0, 1e-9),
    "a small half": lambda rng, y: np.where(y[:, 0] < 0.5, 1e-9, 1.0),
    "few large": lambda rng, y: np.where(np.arange(len(y)) % 50 == 7, 1.0, 1e-9),
}


@pytest.mark.parametrize("source", [SQUARE, CUBE], ids=["plane", "space"])
@pytest.mark.parametrize("name", UNEQUAL)
def test_masses_far_apart_are_reached(rng, name, source):
    y = rng.random((200, source.dim))
    nu = UNEQUAL[name](rng, y)
    nu /= nu.sum()
    run, frame = fit(y, nu, source, tol=1e-6)
    assert run.message == "" and run.error <= 1e-6 and len(run.history) <= 60
    again = PowerCells(y, source, frame, None).measure(run.heights)
    np.testing.assert_allclose(again.mass, nu, rtol=2e-6)


def test_a_small_and_a_large_mass_have_their_wall_where_it_belongs():
    y = np.array([[0.0, 0.0], [1.0, 0.0]])
    run, frame = fit(y, np.array([1e-9, 1.0 - 1e-9]), SQUARE, tol=1e-6)
    # The wall is at x = 1e-9: 0 + h_0 = 1e-9 + h_1. float64 holds heights of size 1 to 1e-16, a ten-millionth of it.
    heights = frame.heights_out(run.heights, y)
    assert heights[0] - heights[1] == pytest.approx(1e-9, rel=2e-6)


def test_masses_that_float64_does_not_part_end_with_the_reason(rng):
    y = np.array([[0.0, 0.0], [1.0, 0.0]])
    run, _ = fit(y, np.array([1e-13, 1.0 - 1e-13]), SQUARE, tol=1e-6)
    assert 1e-6 < run.error < 0.1 and run.message.startswith(
        "float64 heights are at their end: two targets are 1.0e+00"
    )
    assert "of masses 1.0e-13 and 1.0e+00, where masses are from 1.0e-13 to 1.0e+00" in run.message
    assert "raise the least masses" in run.message


def blobs(rng, n, d):
    return np.repeat(rng.random((10, d)), n // 10, axis=0) + 0.01 * rng.standard_normal((n, d))


HARD = {
    "blobs": lambda rng: blobs(rng, 500, 2),
    "normal": lambda rng: rng.standard_normal((500, 2)),
    "heavy tails": lambda rng: rng.standard_t(2, (300, 2)),
    "a line": lambda rng: rng.random((200, 1)) * [[1.0, 0.0]],
    "a slanted line": lambda rng: rng.random((100, 1)) * [[3.0, 1.0]] + [[0.1, 0.2]],
    "a circle": lambda rng: np.exp(2j * np.pi * rng.random((200, 1))).view(float),
    "regular polygon": lambda rng: np.exp(2j * np.pi * np.arange(64)[:, None] / 64).view(float),
    "a curve beside a blob": lambda rng: np.r_[
        rng.random((100, 1)) * [[1.0, 0.0]], [5.0, 5.0] + 1e-1 * rng.random((100, 2))
    ],
}


@pytest.mark.parametrize("name", HARD)
def test_hard_targets_in_the_plane(rng, name):
    check(HARD[name](rng), SQUARE)


@pytest.mark.parametrize("y", [
    np.random.default_rng(0).standard_normal((300, 3)),
    blobs(np.random.default_rng(0), 200, 3),
    np.random.default_rng(0).random((60, 1)) * [[1.0, 2.0, 0.0]],
    np.random.default_rng(0).random((100, 3)) * [1.0, 1.0, 0.0],
], ids=["normal", "blobs", "a line", "a plane"])  # fmt: skip
def test_hard_targets_in_space(y):
    check(y, CUBE)


@pytest.mark.parametrize("source", [SQUARE, CUBE])
def test_a_grid_has_the_heights_of_its_voronoi_diagram(source):
    side = (np.arange(5) + 0.5) / 5
    y = np.stack(np.meshgrid(*[side] * source.dim), -1).reshape(-1, source.dim)
    run, frame = check(y, source)
    heights = frame.heights_out(run.heights, y)
    expected = -0.5 * (y**2).sum(1)
    np.testing.assert_allclose(heights - heights.mean(), expected - expected.mean(), atol=1e-9)
    # T(x) = A y has the same cells: y -> y / 4 + t is the map of the same cells, and u of the same heights times 4.
    run, frame = check(0.25 * y + 7.0, source)
    heights = frame.heights_out(run.heights, 0.25 * y + 7.0)
    np.testing.assert_allclose(heights - heights.mean(), 0.25 * (expected - expected.mean()), atol=1e-9)


@pytest.mark.parametrize("source", [SQUARE, CUBE])
def test_one_and_two_targets(rng, source):
    run, _ = fit(np.full((1, source.dim), 3.0), np.ones(1), source)
    assert run.error <= tol(np.float64) and len(run.history) == 1
    y = np.zeros((2, source.dim))
    y[1, 0] = 5.0
    run, frame = check(y, source, np.array([0.3, 0.7]))
    # The wall is at x = 0.3: 0 + h_0 = 0.3 * 5 + h_1.
    heights = frame.heights_out(run.heights, y)
    assert heights[0] - heights[1] == pytest.approx(1.5, rel=1e-8)


@pytest.mark.parametrize("y", [
    np.r_[np.random.default_rng(0).random((30, 2)), [[0.5, 0.5], [0.5 + 1e-13, 0.5]]],
    np.c_[1.0 + 1e-10 * np.arange(50), np.zeros(50)][np.r_[:50, 0]] + np.r_[np.zeros((50, 2)), [[2.0, 1.0]]],
], ids=["two", "a line"])  # fmt: skip
def test_targets_that_float64_does_not_part_end_with_the_reason(y):
    run, _ = fit(y, uniform(y), SQUARE, tol=1e-12)
    assert run.error > 1e-12
    assert "float64 heights are at their end: two targets are" in run.message or "rounding hides them" in run.message
    assert "Merge" in run.message


def test_limits_end_a_run_and_say_so(rng):
    y = rng.standard_normal((300, 2))
    run, _ = fit(y, uniform(y), SQUARE, max_iter=2)
    assert run.message == "stopped at max_iter" and len(run.history) == 3 and run.error > 1e-9
    run, _ = fit(y, uniform(y), SQUARE, deadline=0.0)
    assert run.message == "stopped at max_time" and len(run.history) == 1


def test_every_step_is_told_and_a_start_goes_on_from_it(rng):
    y, told = rng.standard_normal((300, 2)), []
    run, _ = fit(y, uniform(y), SQUARE, report=lambda row, reached: told.append((row, reached)))
    assert [row for row, _ in told] == run.history
    assert [row["iteration"] for row in run.history] == list(range(len(told)))
    errors = [row["error"] for row in run.history]
    assert errors[-1] == run.error <= 1e-9 < errors[-2] and errors[0] > 0.1
    middle = len(told) // 2
    again, _ = fit(y, uniform(y), SQUARE, start=told[middle][1])
    assert [row["error"] for row in again.history] == errors[middle:]
    np.testing.assert_array_equal(again.heights, run.heights)


def test_a_start_with_empty_cells_is_said(rng):
    y = rng.standard_normal((50, 2))
    sites = frame_of(y, SQUARE).y(y)
    heights = fit(y, uniform(y), SQUARE)[0].heights
    heights[np.argsort((sites**2).sum(1))[:7]] -= 100.0
    run, _ = fit(y, uniform(y), SQUARE, start=Reached(heights, 0))
    assert (
        run.message.startswith("7 cells have no mass at the start") or "cells have no mass at the start" in run.message
    )
    assert run.error == np.inf


@pytest.mark.parametrize("size", [1e-150, 1e150, 1e-6])
def test_scales_change_nothing(rng, size):
    y = rng.standard_normal((80, 2))
    one, _ = fit(y, uniform(y), HEXAGON)
    other, _ = fit(y / size, uniform(y), Polytope(size * HEXAGON.corners))
    assert other.error <= 1e-9 and len(other.history) == pytest.approx(len(one.history), abs=2)


def test_an_image_with_black_parts(rng):
    density = np.zeros((20, 30))
    density[3:9, 4:12], density[12:18, 15:28] = 1.0, 3.0
    image = Image(np.zeros(2), np.array([1.5, 1.0]), density)
    check(rng.random((1000, 2)), image, most=120)
    nu = 10.0 ** rng.uniform(-5.0, 0.0, 60)
    check(rng.random((60, 2)), image, nu / nu.sum(), most=120)
