"""Toys against their definitions: the law of the noise, the shares of the modes, and scikit-learn's own curves."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from sklearn.datasets import make_moons, make_swiss_roll

from otgen.data import load, toys

NAMES = list(toys.TOYS)
N = 20_000


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_reproduces_the_points(name):
    x = toys.sample(name, 50, 3)
    assert x.shape == (50, 2) and x.dtype == np.float32
    np.testing.assert_array_equal(x, toys.sample(name, 50, np.random.default_rng(3)))
    assert not np.array_equal(x, toys.sample(name, 50, 4))


@pytest.mark.parametrize("name", ["25gaussians", "8gaussians"])
def test_a_mixture_has_the_noise_and_the_shares_that_are_stated(name):
    toy, x = toys.facts(name), toys.sample(name, N, 0)
    distance, mode = toy.distance(x)
    # Modes are 28 sd apart and more, so the nearest is a point's own and distances follow Rayleigh's law exactly.
    assert scipy.stats.kstest(distance / toy.sd, scipy.stats.rayleigh.cdf).pvalue > 1e-3
    assert scipy.stats.chisquare(np.bincount(mode, minlength=toy.components)).pvalue > 1e-3
    for r in (3, 4):
        expected = math.exp(-(r**2) / 2)
        assert abs((distance > r * toy.sd).mean() - expected) < 4 * math.sqrt(expected / N)


def test_the_modes_are_where_the_papers_put_them():
    grid = {(2 * i / 2.828, 2 * j / 2.828) for i in range(-2, 3) for j in range(-2, 3)}
    centres = toys.facts("25gaussians").centres
    assert centres is not None and {tuple(centre) for centre in centres} == grid
    assert toys.facts("25gaussians").sd == 0.05 / 2.828
    eight = toys.facts("8gaussians").centres
    assert eight is not None and eight.shape == (8, 2)
    np.testing.assert_allclose(np.hypot(*eight.T), 2, rtol=1e-12)
    gaps = np.hypot(*(eight - np.roll(eight, 1, axis=0)).T)
    np.testing.assert_allclose(gaps, 4 * math.sin(math.pi / 8), rtol=1e-12)


@pytest.mark.parametrize("name", ["ring", "swissroll", "moons", "lines"])
def test_points_leave_a_curve_as_far_as_the_noise_takes_them(name):
    toy = toys.facts(name)
    distance, curve = toy.distance(toys.sample(name, N, 1))
    assert toy.centres is None and set(curve) == set(range(toy.components))
    # Across the curve the noise is one normal; only ends and bends differ from it.
    assert abs(math.sqrt((distance**2).mean()) / toy.sd - 1) < 0.05
    # No point is farther from the curve than from its own place on it.
    assert (distance > 4 * toy.sd).mean() <= math.exp(-8) + 4 * math.sqrt(math.exp(-8) / N)


def test_distances_to_the_ring_and_the_lines_are_those_of_geometry(rng):
    x = rng.uniform(-3, 3, size=(500, 2))
    ring, _ = toys.facts("ring").distance(x)
    np.testing.assert_allclose(ring, np.abs(np.hypot(*x.T) - 2), atol=2e-4)
    lines, which = toys.facts("lines").distance(x)
    above = np.maximum(0, np.maximum(-x[:, 1], x[:, 1] - 1))
    each = np.stack([np.hypot(x[:, 0] - place, above) for place in (0, 1)])
    np.testing.assert_allclose(lines, each.min(axis=0), atol=2e-4)
    far = lines > 0.02
    np.testing.assert_allclose(lines[far], each.min(axis=0)[far], atol=1e-6)
    np.testing.assert_array_equal(which, each.argmin(axis=0))


def test_moons_and_swissroll_lie_on_scikit_learns_curves():
    moons, labels = make_moons(400, noise=None, random_state=0)
    distance, curve = toys.facts("moons").distance(moons)
    assert distance.max() < 2e-4
    np.testing.assert_array_equal(curve, labels)
    roll = np.asarray(make_swiss_roll(400, noise=0.0, random_state=0)[0])[:, [0, 2]] / 7.5
    distance, _ = toys.facts("swissroll").distance(roll)
    assert distance.max() < 2e-4
    far = toys.sample("swissroll", N, 0)
    theirs = np.asarray(make_swiss_roll(N, noise=0.25, random_state=0)[0])[:, [0, 2]] / 7.5
    for axis in range(2):
        assert scipy.stats.ks_2samp(far[:, axis], theirs[:, axis]).pvalue > 1e-3  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("name", NAMES)
def test_a_set_of_points_is_labelled_and_its_splits_differ(name):
    data, held_out = load(name, n=300, seed=5), load(name, n=300, seed=5, split="test")
    assert len(data) == 300 and data.shape == (2,) and data.range == (-math.inf, math.inf)
    _, nearest = toys.facts(name).distance(data.x[:])
    np.testing.assert_array_equal(data.labels, nearest)
    assert data.classes is not None and len(data.classes) == toys.facts(name).components
    np.testing.assert_array_equal(load(name, n=300, seed=5).x[:], data.x[:])
    assert not np.isin(data.x[:], held_out.x[:]).all(axis=1).any()
    assert len(load(name)) == 10_000


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match="name must be one of 25gaussians, 8gaussians, .*; got 'rings'"):
        toys.facts("rings")
    with pytest.raises(ValueError, match="n must be an int >= 1; got 0"):
        toys.sample("ring", 0, 0)
    with pytest.raises(ValueError, match="seed must be an int >= 0 or a numpy Generator; got -1"):
        toys.sample("ring", 5, -1)
    with pytest.raises(ValueError, match=r"x must have shape \(k, 2\), as ring; got shape \(1, 3\)"):
        toys.facts("ring").distance(np.zeros((1, 3)))
