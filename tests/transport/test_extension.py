"""The smooth extension: against loops, in the hull of the kept targets, and with no point across a jump."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import nnls

import naive_extension
from otgen.transport import extension
from otgen.transport.extension import Extension, dihedral_angles
from tolerance import tol

TOL = tol(np.float64)


class Box:
    """The uniform measure on [0, 1]^d, which remembers how much was drawn."""

    def __init__(self, dim: int, scale: float = 1.0):
        self.dim, self.scale, self.drawn = dim, scale, []

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        self.drawn.append(n)
        return self.scale * rng.random((n, self.dim))


def clusters(n: int, reach: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Targets in two clusters at (-reach, 0) and (reach, 0), and their cells' centres: the left and right half."""
    rng = np.random.default_rng(5)
    centres = rng.random((n, 2))
    y = 0.2 * centres + np.where(centres[:, :1] < 0.5, [[-reach, 0.0]], [[reach, 0.0]])
    return y, centres


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


def test_two_clusters_are_not_joined_at_a_small_angle() -> None:
    y, centres = clusters(200)
    built = Extension(y, centres, Box(2), seed=0)
    sides = np.array([[0.1, 0.5], [0.9, 0.5], [0.25, 0.25]])
    # Near the middle i_0 has neighbours on both sides: within 0.3 only those of its own, within pi all.
    middle = np.column_stack([np.full(41, 0.5), np.linspace(0.05, 0.95, 41)])
    theta = 0.3
    points, kept = built.apply(np.concatenate([sides, middle]), theta)
    assert kept[:3].all() and np.abs(points[kept, 0]).min() > 2.5
    joined, all_kept = built.apply(middle, math.pi)
    assert all_kept.all() and (np.abs(joined[:, 0]) < 2.5).sum() > 20
    assert np.abs(built.sample(500, theta, seed=1)[:, 0]).min() > 2.5
    assert np.abs(built.sample(500, math.pi, seed=1)[:, 0]).min() < 1.5


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


def test_a_quantile_follows_the_scale_of_the_codes_and_a_fixed_theta_does_not(rng) -> None:
    y, centres = rng.normal(size=(100, 3)), rng.random((100, 3))
    rates, thetas = {}, {}
    for scale in (1e-3, 1e-5):
        built = Extension(scale * y, centres, Box(3), seed=0)
        thetas[scale] = built.quantile(0.3)
        rates[scale] = built.rejection_rate(thetas[scale], 2000)
        assert built.rejection_rate(0.1, 2000) == 0  # all angles are small now, jumps or not
    assert thetas[1e-3] / thetas[1e-5] == pytest.approx(100, rel=1e-3)
    assert rates[1e-3] == pytest.approx(rates[1e-5], abs=2e-3) and 0.05 < rates[1e-3] < 0.7
    assert Extension(y, centres, Box(3), seed=0).rejection_rate(0.1, 2000) > 0.9


def test_a_quantile_is_the_least_angle_that_its_share_does_not_exceed(plane: Extension) -> None:
    box = Box(2)
    drawn = plane.angles(box.sample(20_000, np.random.default_rng(99))).angles
    thetas = [plane.quantile(q, 4000) for q in (0.1, 0.5, 0.9)]
    for q, theta in zip((0.1, 0.5, 0.9), thetas):
        assert np.mean(drawn <= theta) == pytest.approx(q, abs=0.03)
        assert 1 - plane.rejection_rate(theta, 4000) >= q - 0.03  # any of d neighbours will do
    assert thetas == sorted(set(thetas)) and plane.quantile(1.0, 4000) >= thetas[-1]
    # 8 points have 16 angles: the quantile is one of them, and exactly its share is at or below it.
    few = np.sort(plane.angles(_stream_of(plane, 8)).angles.ravel())
    assert plane.quantile(0.25, 8) == few[3] and plane.quantile(1.0, 8) == few[-1] and plane.quantile(0.26, 8) == few[4]


def _stream_of(built: Extension, n: int) -> np.ndarray:
    """The points that `quantile` draws, as the source saw them."""
    seen: list[np.ndarray] = []
    source = built._source

    class Spy:
        dim = source.dim

        def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
            seen.append(source.sample(n, rng))
            return seen[-1]

    Extension(built._targets, built._centres, Spy(), seed=built._seed).quantile(0.5, n)
    return np.concatenate(seen)


# Seeds, blocks, draws


def test_seeds(plane: Extension) -> None:
    one = plane.sample(100, 0.5)
    np.testing.assert_array_equal(one, plane.sample(100, 0.5, seed=3))  # that of the constructor
    assert not (one == plane.sample(100, 0.5, seed=4)).any()
    np.testing.assert_array_equal(
        plane.sample(9, 0.5, np.random.default_rng(8)), plane.sample(9, 0.5, np.random.default_rng(8))
    )
    assert plane.quantile(0.5, 7) == plane.quantile(0.5, 7, seed=3) != plane.quantile(0.5, 7, seed=4)
    rates = (
        plane.rejection_rate(0.3, 500),
        plane.rejection_rate(0.3, 500, seed=3),
        plane.rejection_rate(0.3, 500, seed=4),
    )
    assert rates[0] == rates[1] != rates[2]
    # A generator goes on where it stands.
    rng = np.random.default_rng(8)
    assert not (plane.sample(9, 0.5, rng) == plane.sample(9, 0.5, rng)).any()


def test_the_points_that_made_the_centres_are_not_drawn_again() -> None:
    # Cells of one sample each: on the same stream every image would be a target.
    centres = Box(2).sample(500, np.random.default_rng(0))
    y = 3 * centres + np.sin(9 * centres[:, ::-1])
    built = Extension(y, centres, Box(2), seed=0)
    assert built.apply(Box(2).sample(500, np.random.default_rng(0)), math.pi)[0].tolist() == y.tolist()
    images = built.sample(500, math.pi)
    assert np.abs(images[:, None] - y).max(axis=2).min() > 0


def test_what_is_drawn_is_the_images_of_the_source(plane: Extension) -> None:
    theta = 0.6
    images = plane.sample(3000, theta)
    points, kept = plane.apply(np.random.default_rng(12).random((6000, 2)), theta)
    points = points[kept]
    assert images.shape == (3000, 2) and np.isfinite(images).all()
    error = 5 * points.std(axis=0) / math.sqrt(2000)
    assert (np.abs(images.mean(axis=0) - points.mean(axis=0)) < error).all()
    assert (np.abs(np.square(images).mean(axis=0) - np.square(points).mean(axis=0)) < 3 * error).all()
    rate = plane.rejection_rate(theta, 6000)
    assert 0.02 < rate < 0.9 and rate == pytest.approx(1 - kept.mean(), abs=0.03)


def test_blocks_change_nothing_and_bound_what_is_drawn_at_once(rng, monkeypatch) -> None:
    y, centres, x = rng.normal(size=(80, 3)), rng.random((80, 3)), rng.random((333, 3))
    whole = Extension(y, centres, Box(3), seed=0)
    monkeypatch.setattr(extension, "SEARCHED", 400)  # 100 rows of 4 neighbours
    monkeypatch.setattr(extension, "MIXED", 12 * 7)  # 7 rows of 4 x 3
    monkeypatch.setattr(extension, "TILE", 12 * 2)
    source = Box(3)
    parts = Extension(y, centres, source, seed=0)
    for one, other in zip((*whole.angles(x), *whole.apply(x, 0.8)), (*parts.angles(x), *parts.apply(x, 0.8))):
        np.testing.assert_array_equal(one, other)
    assert whole.rejection_rate(0.5, 333) == parts.rejection_rate(0.5, 333)
    assert whole.quantile(0.5, 333) == parts.quantile(0.5, 333)
    assert parts.sample(450, 0.8).shape == (450, 3)
    assert max(source.drawn) == 100 and source.drawn[:4] == [100, 100, 100, 33]


def test_nothing_comes_of_nothing(plane: Extension) -> None:
    points, kept = plane.apply(np.empty((0, 2)), 0.5)
    assert points.shape == (0, 2) and kept.shape == (0,) and plane.singular(np.empty((0, 2)), 0.5).shape == (0,)
    assert [part.shape for part in plane.angles(np.empty((0, 2)))] == [(0, 3), (0, 3), (0, 2)]


# Errors


def test_sampling_that_would_not_end_says_so() -> None:
    source = Box(1)
    never = Extension([[-2.0], [2.0]], [[0.25], [0.75]], source, seed=0)
    message = r"theta must keep a share of 0.001 .* theta = 0.1 kept 0 of \d+ points, a rejection rate of 1.0+\. Raise"
    with pytest.raises(ValueError, match=message):
        never.sample(5, 0.1)
    assert 20_000 <= sum(source.drawn) < 10**6

    # Close targets are right of 0.87 alone; the two left of it are far apart. Seldom is not never.
    centres = np.concatenate([[[0.25], [0.75]], 0.996 + 0.004 * np.random.default_rng(0).random((400, 1))])
    y = np.concatenate([[[-50.0], [0.0]], 50 + centres[2:]])
    seldom = Extension(y, centres, Box(1), seed=0)
    assert 0.8 < seldom.rejection_rate(0.01, 2000) < 1 and len(seldom.sample(200, 0.01)) == 200


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


@pytest.mark.parametrize("q", [0, -0.5, 1.01, math.nan, "0.9", True])
def test_quantiles_outside_are_refused(plane: Extension, q) -> None:
    with pytest.raises(ValueError, match=r"quantile must be a number in \(0, 1\]; got .* Pass 0.9"):
        plane.quantile(q)


def test_theta_or_quantile_and_not_both(plane: Extension) -> None:
    assert plane.threshold(theta=0.4) == 0.4 and plane.threshold(quantile=0.4, seed=1) == plane.quantile(0.4, seed=1)
    assert plane.threshold(None, 0.4, samples=50) == plane.quantile(0.4, 50) != plane.quantile(0.4)
    with pytest.raises(ValueError, match=r"theta or quantile must be given, and not both; got neither. Pass theta in"):
        plane.threshold()
    with pytest.raises(ValueError, match=r"not both; got theta=0.3 and quantile=0.9. Pass theta"):
        plane.threshold(0.3, 0.9)
    with pytest.raises(ValueError, match="theta must be an angle"):
        plane.threshold(theta=0)
    with pytest.raises(ValueError, match="quantile must be a number"):
        plane.threshold(quantile=0)


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
    with pytest.raises(ValueError, match="seed must be an int >= 0"):
        plane.sample(1, 0.5, seed=1.5)  # pyright: ignore[reportArgumentType]
    for x, message in (([[0.1, 0.2, 0.3]], r"x must have shape \(N, 2\), as the source; got shape \(1, 3\)"),
                       ([0.1, 0.2], r"x must have shape \(n, d\), one point a row; got shape \(2,\)"),
                       ([[0.1, math.nan]], r"x must be finite; x\[0, 1\] is nan")):  # fmt: skip
        for call in (plane.angles, lambda x: plane.apply(x, 0.5), lambda x: plane.singular(x, 0.5)):
            with pytest.raises(ValueError, match=message):
                call(x)
    for n in (0, -1, 2.0, True):
        for name, call in (("n", lambda n: plane.sample(n, 0.5)), ("n", lambda n: plane.rejection_rate(0.5, n)),
                           ("samples", lambda n: plane.quantile(0.5, n))):  # fmt: skip
            with pytest.raises(ValueError, match=rf"{name} must be an int >= 1; got {n!r}"):
                call(n)


def test_a_source_that_breaks_its_word_is_named() -> None:
    class Broken(Box):
        def __init__(self, answer):
            super().__init__(2)
            self.answer = answer

        def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
            return self.answer(n)

    good = np.random.default_rng(0).random((4, 2))
    with pytest.raises(ValueError, match=r"source.sample\(64, rng\) must return shape \(64, 2\); got shape \(2, 64\)"):
        Extension(good, good, Broken(lambda n: np.zeros((2, n))), seed=0).sample(1, 1.0)
    with pytest.raises(
        ValueError, match=r"source.sample must be finite; source.sample\[0, 0\] is nan. Repair the source"
    ):
        Extension(good, good, Broken(lambda n: np.full((n, 2), np.nan)), seed=0).rejection_rate(1.0, 7)
