from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otgen.transport.frame import frame_of
from otgen.transport.power_newton import GROWTH, PowerCells, fit_newton, newton, reachable, softened
from otgen.transport.power_start import convex_heights, directions, spread_points
from otgen.transport.sources import Box, Polytope
from tolerance import tol

SQUARE = Box(np.zeros(2), np.ones(2))
HEXAGON = Polytope(np.array([[np.cos(a), np.sin(a)] for a in np.arange(6) * np.pi / 3 + 0.1]))
GEM = Polytope(np.random.default_rng(3).standard_normal((12, 3)) + [5.0, 0.0, -2.0])


def uniform(y):
    return np.full(len(y), 1.0 / len(y))


def end(y, nu, source, steps):
    """The heights after so many steps."""
    run, _ = fit_newton(y, nu, source, start=None, tol=1e-12, max_iter=steps, report=lambda row, reached: None)
    return run.heights


@given(st.integers(1, 40), st.floats(0.0, 12.0), st.integers(0, 2**32 - 1))
def test_reachable_masses(n, decades, seed):
    rng = np.random.default_rng(seed)
    mass, nu = 10.0 ** rng.uniform(-decades, 0.0, (2, n))
    mass, nu = mass / mass.sum(), nu / nu.sum()
    target = reachable(mass, nu)
    assert target.sum() == pytest.approx(1.0, rel=tol(np.float64))
    slack = 1.0 + tol(np.float64)
    assert (target >= mass / GROWTH / slack).all() and (target <= GROWTH * mass * slack).all()
    # It is clip(k nu): what is within the bounds is proportional to nu, what is above them is cut to them.
    free = (target > mass / GROWTH * slack) & (target < GROWTH * mass / slack)
    k = target[free] / nu[free]
    if free.any():
        np.testing.assert_allclose(k, k.mean(), rtol=1e-9)
        assert (k.mean() * nu[target <= mass / GROWTH] <= mass[target <= mass / GROWTH] / GROWTH * (1 + 1e-9)).all()
        assert (k.mean() * nu[target >= GROWTH * mass] >= GROWTH * mass[target >= GROWTH * mass] * (1 - 1e-9)).all()
    if ((nu >= mass / GROWTH) & (nu <= GROWTH * mass)).all():
        np.testing.assert_array_equal(target, nu)


def dual(source, y, nu, heights):
    """E(h) = <h, nu> - integral of max_i <x, y_i> + h_i, and the masses, from the diagram's moments."""
    frame = frame_of(y, source)
    found = PowerCells(y, source, frame, None).measure(heights)
    within = (found.first * frame.y(y)).sum() + found.mass @ heights
    return heights @ nu - within, found


@pytest.mark.parametrize("source", [HEXAGON, GEM])
def test_gradient_and_hessian_by_finite_differences(rng, source):
    y = rng.standard_normal((15, source.dim))
    nu, sites = uniform(y), frame_of(y, source).y(y)
    heights = end(y, nu, source, 1)
    _, found = dual(source, y, nu, heights)
    assert (found.mass > 1e-3).all() and np.abs(found.mass - nu).max() > 1e-3
    rows = np.repeat(np.arange(15), np.diff(found.starts))
    hessian = np.zeros((15, 15))
    hessian[rows, found.neighbours] = found.facets / np.linalg.norm(sites[rows] - sites[found.neighbours], axis=1)
    np.fill_diagonal(hessian, -hessian.sum(1))
    step = 1e-5
    for i in range(15):
        up, down = (dual(source, y, nu, heights + sign * step * np.eye(15)[i]) for sign in (1.0, -1.0))
        assert (up[0] - down[0]) / (2 * step) == pytest.approx(nu[i] - found.mass[i], abs=1e-8)
        np.testing.assert_allclose((down[1].mass - up[1].mass) / (2 * step), hessian[i], atol=1e-5)


def test_a_step_is_that_of_the_dense_newton_method(rng):
    y = rng.random((80, 2))
    nu, frame, steps = uniform(y), frame_of(y, SQUARE), []
    sites, cells = frame.y(y), PowerCells(y, SQUARE, frame, None)
    start = convex_heights(sites, nu, frame.x(spread_points(SQUARE)), frame.walls(SQUARE), directions(2)[0])
    # Near the end full steps to nu itself, solved to 0.3 tol of a cell's mass.
    newton(cells, sites, nu, start, tol=1e-10, max_iter=50, report=lambda row, h, near: steps.append((row, h)))
    (_, before), (row, after) = steps[-2], steps[-1]
    assert row["step"] == 1.0
    found = cells.measure(before)
    rows = np.repeat(np.arange(80), np.diff(found.starts))
    laplacian = np.zeros((80, 80))
    laplacian[rows, found.neighbours] = -found.facets / np.linalg.norm(sites[rows] - sites[found.neighbours], axis=1)
    np.fill_diagonal(laplacian, -laplacian.sum(1))
    expected = np.linalg.lstsq(laplacian, nu - found.mass, rcond=None)[0]
    change = after - before
    np.testing.assert_allclose(change - change.mean(), expected - expected.mean(), atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("shape", [(20, 30), (6, 5, 4)])
@pytest.mark.parametrize("cells", [10, 2000])
@pytest.mark.parametrize("darkest", [0.0, 0.2])
def test_softened_images_come_ever_nearer(rng, shape, cells, darkest):
    pixels = np.where(rng.random(shape) < 0.5, darkest, rng.uniform(1.0, 3.0, shape))
    pixels /= pixels.mean()
    last = np.inf  # of the mean distances from the image itself
    for image in softened(pixels, cells):
        parts = image.shape[0] // shape[0]
        assert image.shape == tuple(parts * side for side in shape) and image.min() > 0.0
        assert image.mean() == pytest.approx(1.0, rel=1e-3)
        apart = np.abs(image - np.kron(pixels, np.ones((parts,) * len(shape)))).mean()
        assert apart < last
        last = apart
    assert last < (0.02 if darkest == 0.0 else 0.8 if cells == 10 else 0.3)
    widest = max(image.size for image in softened(pixels, cells))
    assert (widest > pixels.size) == (cells == 2000)
    assert max(image.size for image in softened(pixels, 10**9)) <= 1 << 22


def test_images_for_small_cells_end_with_a_fainter_background(rng):
    pixels = np.where(rng.random((8, 9)) < 0.5, 0.0, 1.0)
    pixels /= pixels.mean()
    usual, fainter = (list(softened(pixels, 10, least)) for least in (1.0, 2e-3))
    assert len(fainter) == len(usual) + 3
    for one, other in zip(usual, fainter):
        np.testing.assert_allclose(one, other, atol=tol(np.float64))
    assert fainter[-1].min() == pytest.approx(2e-3 * usual[-1].min())
    lit = pixels + 0.1
    assert len(list(softened(lit / lit.mean(), 10, 1e-3))) == len(list(softened(lit / lit.mean(), 10)))
