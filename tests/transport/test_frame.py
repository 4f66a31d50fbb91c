from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from otgen.transport.frame import Frame, frame_of
from otgen.transport.sources import Ball, Box, Normal, Polytope
from tolerance import tol

SCALES = [(1.0, 1.0), (1e-150, 1e150), (1e150, 1e-150), (1e-150, 1e-150), (1e150, 1.0), (3e-5, 7e8)]


def cells(x, y, heights):
    return (x @ y.T + heights).argmax(1)


def clear(x, y, heights):
    """Whether the best target leads by more than rounding."""
    values = np.sort(x @ y.T + heights, axis=1)
    return values[:, -1] - values[:, -2] > 1e-9 * np.abs(values).max()


@pytest.mark.parametrize(("width", "spread"), SCALES)
@pytest.mark.parametrize("d", [1, 2, 5])
def test_heights_mean_the_same_cells_in_both_coordinates(rng, width, spread, d):
    low = width * rng.uniform(-3.0, 3.0, d)
    source, y = Box(low, low + width * rng.uniform(0.5, 1.0, d)), spread * (rng.standard_normal((40, d)) + 5.0)
    frame = frame_of(y, source)
    x, sites = source.sample(500, rng), frame.y(y)
    inner, h = frame.x(x), -0.5 * (sites**2).sum(1)
    mine, theirs = cells(inner, sites, h), cells(x, y, frame.heights_out(h, y))
    sure = clear(inner, sites, h)
    assert len(np.unique(mine)) > 1 and sure.mean() > 0.9
    np.testing.assert_array_equal(mine[sure], theirs[sure])


@pytest.mark.parametrize(("width", "spread"), SCALES)
def test_inside_everything_is_of_size_one(rng, width, spread):
    source, y = Box(np.array([width, -width]), np.array([3 * width, 5 * width])), spread * rng.standard_normal((30, 2))
    frame = frame_of(y, source)
    for points in (frame.x(source.corners), frame.y(y)):
        assert 0.5 <= np.abs(points).max() <= 1.0
        np.testing.assert_allclose(points.min(0) + points.max(0), 0.0, atol=tol(np.float64))
    x = source.sample(100, rng)
    np.testing.assert_allclose(frame.x_out(frame.x(x)), x, rtol=0, atol=tol(np.float64) * 5 * width)


def test_one_target_and_coincident_targets_have_a_frame():
    frame = frame_of(np.full((3, 2), 7.0), Box(np.array([0.0, 0.0]), np.array([1.0, 1.0])))
    np.testing.assert_array_equal(frame.y(np.full((3, 2), 7.0)), 0.0)
    assert frame.log_y == 0


@pytest.mark.parametrize(
    "source", [Ball(np.array([10.0, 0.0]), 2.0), Normal(np.array([10.0, 0.0]), np.diag([1.0, 0.5]))]
)
def test_sources_without_corners_are_framed_by_their_radius(source):
    frame = frame_of(np.eye(2), source)
    np.testing.assert_array_equal(frame.at_x, [10.0, 0.0])
    assert 0.5 <= source.radius / 2.0**frame.log_x <= 1.0


@pytest.mark.parametrize("scale", [1.0, 1e-150, 1e150])
def test_walls_are_those_of_the_framed_corners(rng, scale):
    source = Polytope(scale * (rng.standard_normal((9, 3)) + 4.0))
    frame = frame_of(rng.standard_normal((5, 3)), source)
    walls, corners = frame.walls(source), frame.x(source.corners)
    above = corners @ walls[:, :-1].T - walls[:, -1]
    assert above.max() <= tol(np.float64) * 10
    assert ((np.abs(above) < 1e-10).sum(0) >= 3).all()
    x = source.sample(200, rng)
    assert (frame.x(x) @ walls[:, :-1].T <= walls[:, -1] + tol(np.float64)).all()


def diagram_of(inner, sites, h):
    """Masses and moments of the cells of equally weighted points, in the frame's coordinates."""
    cell, n = cells(inner, sites, h), len(sites)
    each = np.eye(n)[cell] / len(inner)
    return SimpleNamespace(mass=each.sum(0), first=each.T @ inner, second=each.T @ (inner**2).sum(1))


@pytest.mark.parametrize(("width", "spread"), [*SCALES[:1], (1e-150, 1e-150), (1e70, 1e70), (3e-5, 7e8)])
def test_value_is_the_mean_of_the_costs_and_the_dual_value(rng, width, spread):
    source, y = Box(width * np.array([1.0, -2.0]), width * np.array([2.0, 1.0])), spread * rng.standard_normal((12, 2))
    frame = frame_of(y, source)
    x, sites = source.sample(3000, rng), frame.y(y)
    inner, h = frame.x(x), -0.5 * (sites**2).sum(1)
    diagram = diagram_of(inner, sites, h)
    unit = max(width, spread)
    apart = (((x - y[cells(inner, sites, h)]) / unit) ** 2).sum(1).mean()
    assert frame.value(diagram, h, y, diagram.mass) / unit**2 == pytest.approx(apart, rel=tol(np.float64), abs=0)
    # E |x|^2 + sum nu |y|^2 + 2 (<h, nu> - E u_h), in numbers of size 1.
    nu, (v, w) = np.full(12, 1 / 12), (x / unit, y / unit)
    heights = frame.heights_out(h, y) / unit / unit
    dual = (v**2).sum(1).mean() + nu @ (w**2).sum(1) + 2.0 * (nu @ heights - (v @ w.T + heights).max(1).mean())
    size = tol(np.float64) * ((v**2).sum(1).max() + (w**2).sum(1).max())
    assert frame.value(diagram, h, y, nu) / unit**2 == pytest.approx(dual, abs=size)


def test_a_frame_is_one_of_points_far_apart(rng):
    y = np.array([[-1e308, 0.0], [1e308, 1e300]])
    frame = Frame.of(np.array([[0.0, 0.0], [1.0, 1.0]]), y)
    assert np.isfinite(frame.y(y)).all() and np.abs(frame.y(y)).max() <= 1.0
