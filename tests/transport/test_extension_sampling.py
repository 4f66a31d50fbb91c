"""The smooth extension, drawn from: quantiles of its angles, rejection, seeds and blocks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from naive_extension import Box
from otgen.transport import extension
from otgen.transport.extension import Extension


def clusters(n: int, reach: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Targets in two clusters at (-reach, 0) and (reach, 0), and their cells' centres: the left and right half."""
    rng = np.random.default_rng(5)
    centres = rng.random((n, 2))
    y = 0.2 * centres + np.where(centres[:, :1] < 0.5, [[-reach, 0.0]], [[reach, 0.0]])
    return y, centres


@pytest.fixture
def plane(rng) -> Extension:
    return Extension(rng.normal(size=(60, 2)), rng.random((60, 2)), Box(2), seed=3)


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


# Quantiles


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


def test_counts_and_seeds_are_refused_in_words(plane: Extension) -> None:
    with pytest.raises(ValueError, match="seed must be an int >= 0"):
        plane.sample(1, 0.5, seed=1.5)  # pyright: ignore[reportArgumentType]
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
