from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial import ConvexHull, Delaunay

from otgen.transport.sources import CLASSES, Ball, Box, Convex, Framed, Image, Normal, Polytope, Sampler
from tolerance import tol

PIXELS = np.array([[0.0, 1.0, 0.0, 2.0], [0.0, 0.0, 3.0, 0.0], [5.0, 0.0, 0.0, 0.0]])
VOXELS = np.where(np.random.default_rng(5).random((3, 2, 4)) < 0.5, 0.0, np.random.default_rng(6).random((3, 2, 4)))
COV = np.array([[2.0, 0.7], [0.7, 0.5]])


def point(*numbers):
    return np.array(numbers)


SOURCES: dict[str, Any] = {
    "interval": Box(point(-2.0), point(3.0)),
    "box": Box(point(-1.0, 2.0), point(0.5, 2.25)),
    "box in 5-D": Box(-np.arange(1.0, 6.0), np.arange(5.0) + 0.5),
    "image": Image(point(0.0, -1.0), point(4.0, 1.0), PIXELS),
    "voxels": Image(point(0.0, -1.0, 2.0), point(4.0, 1.0, 2.5), VOXELS),
    "polygon": Polytope(np.array([[0.0, 0.0], [3.0, 0.0], [4.0, 1.0], [1.0, 2.0], [1.0, 1.0], [0.0, 0.0]])),
    "tiny triangle": Polytope(1e-150 * np.array([[1.0, 1.0], [2.0, 1.0], [1.0, 3.0]])),
    "polyhedron": Polytope(np.random.default_rng(3).standard_normal((12, 3)) + [1.0, 0.0, -2.0]),
    "ball": Ball(point(1.0, -1.0, 0.0), 2.0),
    "disc": Ball(point(1e3, 0.0), 0.01),
    "normal": Normal(point(1.0, -3.0), COV),
}
CONVEX = {name: source for name, source in SOURCES.items() if isinstance(source, Convex) and source.dim in (2, 3)}
N = 200_000


def draw(source, n=N, seed=0):
    return source.sample(n, np.random.default_rng(seed))


def check_inside(source, x):
    assert x.dtype == np.float64 and np.isfinite(x).all()
    slack = tol(np.float64)
    if isinstance(source, Ball):
        assert (np.linalg.norm(x - source.centre, axis=1) <= source.radius + slack * np.abs(x).max()).all()
    elif isinstance(source, Box):
        assert (x >= source.low).all() and (x <= source.high).all()
    elif isinstance(source, Convex):
        walls = source.halfspaces
        assert (x @ walls[:, :-1].T <= walls[:, -1] + slack * np.abs(source.corners).max()).all()


def second_moment(source):
    """E |x|^2 in closed form."""
    if isinstance(source, Polytope):  # on a simplex: (|sum v|^2 + sum |v|^2) / ((d + 1) (d + 2))
        corners = source.corners / source.radius  # volumes of tiny ones are no numbers
        simplices = corners[Delaunay(corners).simplices]
        volume = np.abs(np.linalg.det(simplices[:, 1:] - simplices[:, :1]))
        each = (simplices.sum(1) ** 2).sum(1) + (simplices**2).sum((1, 2))
        return source.radius**2 * (volume @ each / volume.sum()) / ((source.dim + 1) * (source.dim + 2))
    within = {
        "ball": lambda: source.radius**2 * source.dim / (source.dim + 2),
        "normal": lambda: np.trace(source.cov),
        "uniform": lambda: ((source.high - source.low) ** 2).sum() / 12,
    }
    if source.kind in within:
        return source.mean @ source.mean + within[source.kind]()
    pixels = source.density.T if source.dim == 2 else source.density  # rows of an image run along the second coordinate
    size = (source.high - source.low) / pixels.shape
    middles = source.low + (np.stack(np.indices(pixels.shape), -1) + 0.5) * size
    return float((pixels * (middles**2).sum(-1)).sum() / pixels.sum() + (size**2).sum() / 12)


@pytest.mark.parametrize("name", SOURCES)
def test_moments_are_those_of_a_large_sample(name):
    source = SOURCES[name]
    x = draw(source)
    assert x.shape == (N, source.dim)
    error = 6.0 / N**0.5  # six standard deviations: a right source fails once in 1e8
    np.testing.assert_allclose(x.mean(0), source.mean, rtol=0, atol=error * x.std(0).max())
    square = ((x / source.radius) ** 2).sum(1)
    assert square.mean() == pytest.approx(second_moment(source) / source.radius**2, abs=error * square.std())
    assert 0.2 * source.radius <= np.abs(x - source.mean).max() <= 6.0 * source.radius


@pytest.mark.parametrize("name", SOURCES)
def test_points_are_inside_even_for_the_ends_of_the_numbers(name):
    source = SOURCES[name]
    check_inside(source, draw(source, 20_000))
    few = min(source.uniforms, 4)
    ends = np.stack(np.meshgrid(*[[0.0, 2.0**-53, 0.5, 1.0 - 2.0**-53]] * few), -1).reshape(-1, few)
    u = np.column_stack([ends, np.full((len(ends), source.uniforms - few), 1.0 - 2.0**-53)])
    check_inside(source, source.from_uniform(u))
    assert source.from_uniform(np.empty((0, source.uniforms))).shape == (0, source.dim)


@pytest.mark.parametrize("name", SOURCES)
def test_parameters_make_the_source_anew(name):
    source = SOURCES[name]
    again = CLASSES[source.kind](**source.parameters())
    assert type(again) is type(source)
    np.testing.assert_array_equal(draw(again, 100), draw(source, 100))
    np.testing.assert_array_equal(again.mean, source.mean)
    assert again.radius == source.radius


@pytest.mark.parametrize("name", SOURCES)
def test_a_seed_gives_the_same_points(name):
    source = SOURCES[name]
    np.testing.assert_array_equal(draw(source, 50, 7), draw(source, 50, 7))
    assert (draw(source, 50, 7) != draw(source, 50, 8)).any()


@pytest.mark.parametrize("name", CONVEX)
def test_corners_and_halfspaces_are_of_one_body(name):
    source = CONVEX[name]
    normals, offsets = source.halfspaces[:, :-1], source.halfspaces[:, -1]
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0, rtol=tol(np.float64))
    above = source.corners @ normals.T - offsets
    near = 1e-12 * np.abs(source.corners).max()
    assert above.max() <= near
    assert ((np.abs(above) < near).sum(0) >= source.dim).all()  # every wall carries a face
    assert ((np.abs(above) < near).sum(1) >= source.dim).all()
    if source.dim == 2:
        corners = source.corners / np.abs(source.corners).max()
        (x, y), (u, v) = corners.T, np.roll(corners, -1, 0).T
        assert 0.5 * (x * v - u * y).sum() == pytest.approx(ConvexHull(corners).volume)  # counter-clockwise


def test_black_pixels_are_never_drawn_and_the_others_by_their_mass():
    source = SOURCES["image"]
    x = draw(source)
    column, row = np.floor(x[:, 0]).astype(int), np.floor((x[:, 1] + 1.0) / (2.0 / 3.0)).astype(int)
    share = np.zeros(PIXELS.shape)
    np.add.at(share, (row, column), 1.0 / N)
    assert not share[PIXELS == 0.0].any()
    np.testing.assert_allclose(share, PIXELS / PIXELS.sum(), rtol=0, atol=6 * 0.5 / N**0.5)


def test_black_voxels_are_never_drawn():
    source = SOURCES["voxels"]
    x = draw(source)
    place = np.floor((x - source.low) / (source.high - source.low) * VOXELS.shape).astype(int)
    share = np.zeros(VOXELS.shape)
    np.add.at(share, tuple(place.T), 1.0 / N)
    assert not share[VOXELS == 0.0].any()
    np.testing.assert_allclose(share, VOXELS / VOXELS.sum(), rtol=0, atol=6 * 0.5 / N**0.5)


@pytest.mark.parametrize("name", ["image", "voxels"])
def test_ends_of_the_numbers_draw_no_black_pixel(name):
    source = SOURCES[name]
    lit = np.flatnonzero(source.density.ravel())
    for first, pixel in ((0.0, lit[0]), (1.0 - 2.0**-53, lit[-1])):
        (x,) = source.from_uniform(np.array([[first] + [0.5] * source.dim]))
        shape = np.array(source.density.shape)
        place = np.floor((x - source.low) / (source.high - source.low) * (shape[::-1] if source.dim == 2 else shape))
        found = tuple(place.astype(int)[::-1] if source.dim == 2 else place.astype(int))
        assert np.ravel_multi_index(found, source.density.shape) == pixel


def test_the_normal_has_its_covariance():
    np.testing.assert_allclose(np.cov(draw(SOURCES["normal"]).T), COV, rtol=0, atol=0.05)


def test_a_polytope_of_repeated_and_inner_corners_is_its_hull():
    source = SOURCES["polygon"]
    assert len(source.corners) == 4
    x = draw(source)  # the share of points in the triangle (0, 0), (3, 0), (1, 2) is 3 of 3 + 2
    assert (x @ [1.0, 1.0] < 3.0).mean() == pytest.approx(0.6, abs=6 * 0.5 / N**0.5)


def test_a_frame_moves_and_scales_the_points():
    inner = Framed(SOURCES["box"], np.array([1.0, 2.0]), 3)
    np.testing.assert_array_equal(draw(inner, 10), (draw(SOURCES["box"], 10) - [1.0, 2.0]) / 8.0)
    np.testing.assert_array_equal(inner.mean, (SOURCES["box"].mean - [1.0, 2.0]) / 8.0)
    u = np.random.default_rng(0).random((10, 2))
    np.testing.assert_array_equal(inner.from_uniform(u), draw(inner, 10))
    assert inner.radius == SOURCES["box"].radius / 8.0


class TestSampler:
    @pytest.mark.parametrize("kind", [np.float32, np.float64, np.int32])
    def test_moments_are_estimated_and_points_are_float64(self, kind):
        source = Sampler(lambda n, rng: (4.0 * rng.standard_normal((n, 2)) + 8.0).astype(kind), 2, 0)
        assert draw(source, 5).dtype == np.float64
        np.testing.assert_allclose(source.mean, 8.0, rtol=0, atol=0.5 + 6 * 4.0 / Sampler.PILOT**0.5)
        assert source.uniforms is None and source.parameters() == {} and source.kind not in CLASSES

    def test_tensors_are_taken(self):
        def sampler(n, rng):
            return torch.from_numpy(rng.random((n, 3))).requires_grad_()

        assert draw(Sampler(sampler, 3, 0), 4).shape == (4, 3)

    @pytest.mark.parametrize("give", [
        lambda n, rng: rng.random(n), lambda n, rng: rng.random((n, 3)), lambda n, rng: rng.random((2, n)),
        lambda n, rng: rng.random((n + 1, 2)), lambda n, rng: None, lambda n, rng: 1j * rng.random((n, 2)),
        lambda n, rng: np.full((n, 2), "a"), lambda n, rng: np.full((n, 2), True),
    ])  # fmt: skip
    def test_a_wrong_shape_or_dtype_is_refused(self, give):
        with pytest.raises(ValueError, match=r"source\(n, rng\) must return real points of shape \(n, 2\).*n = 4096"):
            Sampler(give, 2, 0)

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_a_sampler_that_turns_bad_is_refused(self, bad):
        source = Sampler(lambda n, rng: np.full((n, 2), 0.5 if n == Sampler.PILOT else bad), 2, 0)
        with pytest.raises(ValueError, match=r"source\(n, rng\) must return finite points; it returned NaN or inf"):
            draw(source, 10)
