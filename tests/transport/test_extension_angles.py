"""The smooth extension: its angles against loops, its images in the hull of the kept targets, and where it jumps."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import nnls

import naive_extension
from naive_extension import Box
from otgen.transport.extension import Extension, dihedral_angles
from tolerance import tol

TOL = tol(np.float64)


@pytest.fixture
def plane(rng) -> Extension:
    return Extension(rng.normal(size=(60, 2)), rng.random((60, 2)), Box(2), seed=3)


# The definition


@pytest.mark.parametrize("n, d", [(40, 1), (40, 2), (30, 3), (25, 9), (3, 9), (2, 2), (2, 1), (1, 3)])
def test_it_is_what_the_loops_say(rng, n: int, d: int) -> None:
    y, centres, x = rng.normal(size=(n, d)), rng.random((n, d)), rng.random((50, d))
    x[:3] = centres[rng.integers(n, size=3)]
    built = Extension(y, centres, Box(d), seed=0)
    found, k = built.angles(x), min(d, n - 1)
    assert found.ids.shape == found.distances.shape == (50, k + 1) and found.angles.shape == (50, k)
    for i, point in enumerate(x):
        ids, distances, angles = naive_extension.neighbours(point, y, centres)
        assert found.ids[i].tolist() == ids
        np.testing.assert_allclose(found.distances[i], distances, rtol=TOL)
        np.testing.assert_allclose(found.angles[i], angles, rtol=TOL)
    seen = set()
    few = np.quantile(found.angles, 0.2) if k else 0.5
    for theta in (0.999 * few, math.pi):  # no angle of its own: the two may round it differently
        points, kept = built.apply(x, theta)
        np.testing.assert_array_equal(built.singular(x, theta), ~kept)
        for i, point in enumerate(x):
            image = naive_extension.extend(point, y, centres, theta)
            assert kept[i] == (image is not None)
            np.testing.assert_allclose(points[i], [np.nan] * d if image is None else image, rtol=TOL, atol=TOL)
        seen |= set(kept.tolist())
    assert seen == ({True} if n == 1 else {True, False})


def test_angles_are_right_to_the_last_digits_however_small(rng) -> None:
    worst = 0.0
    for d in (1, 2, 7):
        for size in (0.0, 1e-3, 1.0, 30.0):
            for step in (1e-150, 1e-12, 1e-7, 1e-3, 1.0):
                for along in (False, True):  # collinear targets: the term that cancels everywhere else
                    y = size * rng.normal(size=d)
                    other = y + step * (y if along else rng.normal(size=d))
                    angle = dihedral_angles(np.stack([y, other])[None])[0, 0]
                    exact = naive_extension.dihedral_angle(y, other)
                    assert (angle == 0) == (exact == 0)
                    if exact:
                        worst = max(worst, abs(angle / exact - 1) / (1 + np.linalg.norm(y)))
    assert worst <= 8 * np.finfo(float).eps
    y = rng.normal(size=(300, 2, 3)) * 10.0 ** rng.integers(-3, 4, size=(300, 2, 1))
    np.testing.assert_array_equal(dihedral_angles(y), dihedral_angles(y[:, ::-1]))
    y = rng.normal(size=(300, 2, 67))
    np.testing.assert_array_equal(dihedral_angles(y), dihedral_angles(y[:, ::-1]))
    # What the formula itself gives: an angle of 1e-9 is lost.
    y, other = np.array([1.0, 1.0]), np.array([1.0, 1.0 + 1e-9])
    assert (1 + y @ other) / math.sqrt((1 + y @ y) * (1 + other @ other)) >= 1 - 1e-15
    assert dihedral_angles(np.stack([y, other])[None])[0, 0] == pytest.approx(1e-9 * math.sqrt(2 / 9), rel=1e-6)


@pytest.mark.parametrize("size", [1e-150, 1e150])
def test_angles_of_tiny_and_huge_targets(size: float) -> None:
    y = size * np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 1e-3], [0.0, 0.0]])
    with np.errstate(all="raise", under="ignore"):
        angles = dihedral_angles(y[None])[0]
    right = [math.sqrt(2) * size, math.hypot(2, 1e-3) * size, size] if size < 1 else [math.pi / 2, math.pi, math.pi / 2]
    np.testing.assert_allclose(angles, right, rtol=2e-3)


def test_known_angles() -> None:
    # Normals (0, -1), (1, -1), (-1, -1), (sqrt 3, -1) in the plane.
    y = np.array([[0.0], [1.0], [-1.0], [math.sqrt(3)]])
    np.testing.assert_allclose(dihedral_angles(y[None])[0], [math.pi / 4, math.pi / 4, math.pi / 3], rtol=TOL)
    np.testing.assert_allclose(dihedral_angles(y[None, 1:3])[0], [math.pi / 2], rtol=TOL)


# What the extension is for


def test_results_lie_in_the_hull_of_the_kept_targets_and_are_new(rng) -> None:
    y, centres, x = rng.normal(size=(50, 3)), rng.random((50, 3)), rng.random((200, 3))
    built = Extension(y, centres, Box(3), seed=0)
    theta = built.quantile(0.4)
    points, kept = built.apply(x, theta)
    assert 20 < kept.sum() < 200
    mixed = 0
    for point, image in zip(x[kept], points[kept]):
        ids = naive_extension.kept_ids(point, y, centres, theta)
        # image = sum w_i y_i with w >= 0 and sum w = 1 is solvable to rounding.
        _, residual = nnls(np.vstack([y[ids].T, np.ones(len(ids))]), np.append(image, 1.0))
        assert len(ids) >= 2 and residual <= TOL
        mixed += np.abs(y - image).max(axis=1).min() > 1e-6
    assert mixed == kept.sum()  # none is a target


def test_a_point_at_a_centre_is_the_target_itself_and_near_it_continuous(plane: Extension) -> None:
    at = plane._centres
    points, kept = plane.apply(at, math.pi)
    assert kept.all()
    np.testing.assert_array_equal(points, plane._targets)
    near = plane.apply(at + 1e-9, math.pi)[0]
    assert 0 < np.abs(near - points).max() < 1e-5


def test_where_all_neighbours_are_across_the_jump_x_is_rejected() -> None:
    # One target a side: between them is nothing but the jump.
    built = Extension([[-2.0], [2.0]], [[0.25], [0.75]], Box(1), seed=0)
    x = [[0.1], [0.5], [0.9]]
    angle = built.angles(x).angles
    np.testing.assert_allclose(angle, 2 * math.atan(2.0), rtol=TOL)
    assert built.singular(x, 2.0).all() and not built.singular(x, 2.3).any()
    points, _ = built.apply(x, 2.3)
    np.testing.assert_allclose(points[1], 0.0, atol=TOL)
    np.testing.assert_allclose(points[0], (-2 / 0.15 + 2 / 0.65) / (1 / 0.15 + 1 / 0.65), rtol=TOL)
    assert built.rejection_rate(2.0, 100) == 1 and built.rejection_rate(2.3, 100) == 0
    # Grid of four clusters' centres, each of one point: all angles are wide, and all is rejected but at pi.
    four = Extension(3 * np.array([[-1, -1], [-1, 1], [1, -1], [1, 1.0]]), np.eye(4)[:, :2], Box(2), seed=0)
    assert four.singular(Box(2).sample(50, np.random.default_rng(0)), 0.5).all()


def test_the_singular_set_shrinks_as_theta_grows(plane: Extension, rng) -> None:
    x = rng.random((500, 2))
    rates = [plane.singular(x, theta) for theta in (0.1, 0.3, 1.0, math.pi)]
    for wide, narrow in pairwise(rates):
        assert (narrow <= wide).all() and narrow.sum() < wide.sum()
    assert not rates[-1].any()


# Sets of targets that are hardly one


def test_one_centre_is_a_constant_map_without_jump(rng) -> None:
    built = Extension([[5.0, 6.0], [7.0, 8.0]], [[0.5, 0.5], [np.nan, np.nan]], Box(2), seed=0)
    x = rng.random((20, 2))
    points, kept = built.apply(x, 1e-300)
    assert built.without_centre == 1 and kept.all() and (points == [5.0, 6.0]).all()
    assert not built.singular(x, 1e-300).any() and built.rejection_rate(0.1, 50) == 0
    assert built.angles(x).angles.shape == (20, 0) and built.quantile(0.1) == math.pi
    np.testing.assert_array_equal(built.sample(3, 0.1), [[5.0, 6.0]] * 3)


def test_two_centres_mix_or_jump_by_their_one_angle(rng) -> None:
    y, centres, x = rng.normal(size=(2, 3)), rng.random((2, 3)), rng.random((30, 3))
    built = Extension(y, centres, Box(3), seed=0)
    angle = naive_extension.dihedral_angle(*y)
    assert built.singular(x, angle * 0.999).all() and not built.singular(x, angle * 1.001).any()
    assert built.quantile(0.01) == built.quantile(1.0) == pytest.approx(angle, rel=TOL)
    assert not built.singular(x, built.quantile(0.01)).any()  # from either side the angle is the same, to the bit


def test_cells_without_centre_are_left_out_and_counted(rng) -> None:
    y, centres, x = rng.normal(size=(30, 2)), rng.random((30, 2)), rng.random((40, 2))
    without = np.arange(30) % 4 == 1
    centres[without] = np.nan
    built, small = Extension(y, centres, Box(2), seed=0), Extension(y[~without], centres[~without], Box(2), seed=0)
    assert built.without_centre == without.sum() and small.without_centre == 0
    assert not np.isin(built.angles(x).ids, np.flatnonzero(without)).any()
    np.testing.assert_array_equal(built.apply(x, 1.0)[0], small.apply(x, 1.0)[0])


def test_equal_centres_share_their_point_and_equal_targets_meet_at_no_angle() -> None:
    y = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    centres = np.array([[0.5, 0.5], [0.5, 0.5], [0.9, 0.9], [0.1, 0.9]])
    built = Extension(y, centres, Box(2), seed=0)
    points, kept = built.apply([[0.5, 0.5]], math.pi)
    assert kept.all()
    np.testing.assert_array_equal(points, [[0.5, 0.0]])  # no 0 / 0, and nothing of the third
    twins = Extension(y[[1, 3]], centres[[2, 3]], Box(2), seed=0)
    points, kept = twins.apply([[0.3, 0.3]], 1e-300)
    assert kept.all() and (points == [1.0, 0.0]).all()
    with pytest.raises(ValueError, match=r"quantile must give an angle above 0; got quantile=0.5.*merge equal targets"):
        twins.quantile(0.5)


# Laws


def test_order_of_the_targets_does_not_matter(rng) -> None:
    for d, n in ((2, 300), (12, 200)):
        y, centres, x = rng.normal(size=(n, d)), rng.random((n, d)), rng.random((100, d))
        order = rng.permutation(n)
        one, other = Extension(y, centres, Box(d), seed=0), Extension(y[order], centres[order], Box(d), seed=0)
        a, b = one.angles(x), other.angles(x)
        np.testing.assert_array_equal(a.ids, order[b.ids])
        np.testing.assert_array_equal(a.angles, b.angles)
        np.testing.assert_array_equal(one.apply(x, 1.0)[0], other.apply(x, 1.0)[0])
        np.testing.assert_array_equal(one.sample(50, 1.0), other.sample(50, 1.0))


@pytest.mark.parametrize("scale", [2.0**-20, 2.0**30, 2.0**-500, 2.0**500])
def test_the_scale_of_the_source_does_not_matter(rng, scale: float) -> None:
    y, centres, x = rng.normal(size=(40, 2)), rng.random((40, 2)), rng.random((60, 2))
    points, kept = Extension(y, centres, Box(2), seed=0).apply(x, 0.7)
    scaled, kept_too = Extension(y, scale * centres, Box(2, scale), seed=0).apply(scale * x, 0.7)
    assert 0 < kept.sum() < 60
    np.testing.assert_array_equal(kept, kept_too)
    np.testing.assert_allclose(scaled, points, rtol=TOL)


# Errors


@pytest.mark.parametrize(
    "theta", [0, -0.1, math.nan, math.pi * 1.0001, math.inf, "0.5", True, None, np.array([0.5, 1.0])]
)
def test_angles_that_are_none_are_refused(plane: Extension, theta) -> None:
    x = [[0.5, 0.5]]
    for call in (lambda: plane.apply(x, theta), lambda: plane.singular(x, theta), lambda: plane.sample(1, theta),
                 lambda: plane.rejection_rate(theta, 10)):  # fmt: skip
        with pytest.raises(
            ValueError, match=r"theta must be an angle in \(0, pi\], in radians; got .* Pass a quantile"
        ):
            call()
    assert plane.apply(x, float(np.nextafter(0, 1)))[1].shape == (1,) and plane.apply(x, math.pi)[1].all()


def test_shapes_and_values_are_refused_in_words(plane: Extension) -> None:
    good = np.random.default_rng(0).random((4, 2))
    for centres, message in (
        (good[:3], r"centres must have the shape of y, \(4, 2\); got shape \(3, 2\). Pass a row for each target"),
        (good[0], r"centres must have shape \(n, d\), one point a row; got shape \(2,\)"),
        (np.full((4, 2), np.nan), r"centres must have a row that is not NaN; got 4 cells, none with a centre"),
        (
            np.where(np.eye(4)[:, :2] > 0, np.nan, good),
            r"centres must be finite, or NaN in all .*; centres\[0\] is \[nan",
        ),
        (np.where(np.eye(4)[:, 2:] > 0, np.inf, good), r"centres\[2\] is \[inf, .* Set the whole row"),
    ):
        with pytest.raises(ValueError, match=message):
            Extension(good, centres, Box(2), seed=0)
    with pytest.raises(ValueError, match=r"y must be finite; y\[0, 0\] is nan"):
        Extension(good * np.nan, good, Box(2), seed=0)
    with pytest.raises(ValueError, match=r"y must not exceed 1e\+150 in size; it reaches 2e\+150. Rescale it"):
        Extension(2e150 * np.eye(2), good[:2], Box(2), seed=0)
    with pytest.raises(
        ValueError, match=r"source must have the dimension of y, 2; got source.dim = 3. Pass the source"
    ):
        Extension(good, good, Box(3), seed=0)
    with pytest.raises(ValueError, match="seed must be an int >= 0"):
        Extension(good, good, Box(2), seed=-1)
    for x, message in (([[0.1, 0.2, 0.3]], r"x must have shape \(N, 2\), as the source; got shape \(1, 3\)"),
                       ([0.1, 0.2], r"x must have shape \(n, d\), one point a row; got shape \(2,\)"),
                       ([[0.1, math.nan]], r"x must be finite; x\[0, 1\] is nan")):  # fmt: skip
        for call in (plane.angles, lambda x: plane.apply(x, 0.5), lambda x: plane.singular(x, 0.5)):
            with pytest.raises(ValueError, match=message):
                call(x)
