"""Scores of toys: those of the density itself by its closed form, and those of samples that miss it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from otgen.data import toys
from otgen.metrics import toy_scores

N = 20_000


@pytest.mark.parametrize("name", ["25gaussians", "8gaussians"])
def test_a_perfect_sampler(name):
    found = toy_scores(toys.sample(name, N, 5), name)
    assert found.modes == found.covered == toys.facts(name).components and found.between == 0.0
    for share, r in ((found.within_3_sd, 3), (found.within_4_sd, 4)):
        missed = math.exp(-(r**2) / 2)
        assert abs(1 - share - missed) < 4 * math.sqrt(missed / N)
    # A variance of 2 N squares of normals.
    assert found.spread is not None and abs(found.spread - 1) < 4 / math.sqrt(4 * N)


@pytest.mark.parametrize("name", ["ring", "swissroll", "moons", "lines"])
def test_a_perfect_sampler_of_curves(name):
    toy = toys.facts(name)
    found = toy_scores(toys.sample(name, N, 6), name)
    assert found.modes == found.covered == toy.components and found.between == 0.0
    assert found.within_4_sd > 0.999 and found.spread == pytest.approx(1.0, abs=0.05)


def test_the_spread_is_the_ratio_of_deviations():
    toy = toys.facts("8gaussians")
    assert toy.centres is not None
    corners = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]) * toy.sd * 0.5
    x = (toy.centres[:, None] + corners).reshape(-1, 2)
    found = toy_scores(x, "8gaussians")
    # Each mode: squares 4 x 2 x 0.25 over 2 x 3 degrees of freedom; the cut at 4 sd keeps 1 - 8 / (e^8 - 1).
    assert found.spread == pytest.approx(math.sqrt(2 / 6 / (1 - 8 / math.expm1(8))), rel=1e-9)
    assert (found.covered, found.within_3_sd, found.within_4_sd, found.between) == (8, 1.0, 1.0, 0.0)
    shifted = toy_scores(x + toy.sd, "8gaussians")
    assert shifted.spread == pytest.approx(found.spread, rel=1e-9)


def test_samplers_that_fail():
    toy = toys.facts("8gaussians")
    assert toy.centres is not None
    collapsed = toy_scores(np.repeat(toy.centres[:1], 9, axis=0), "8gaussians")
    assert (collapsed.covered, collapsed.within_3_sd, collapsed.spread) == (1, 1.0, 0.0)
    lost = toy_scores(np.zeros((4, 2)), "8gaussians")
    assert (lost.covered, lost.within_4_sd, lost.between, lost.spread) == (0, 0.0, 1.0, None)
    assert toy_scores(toy.centres, "8gaussians").spread is None
    away = toy.centres[:1] + np.array([[3.5 * toy.sd, 0.0]])
    at_edge = toy_scores(away, "8gaussians")
    assert (at_edge.covered, at_edge.within_3_sd, at_edge.within_4_sd, at_edge.between) == (0, 0.0, 1.0, 0.0)
    assert toy_scores(np.full((3, 2), 9.0), "ring").spread is None


def test_bad_input():
    with pytest.raises(ValueError, match="name must be one of 25gaussians"):
        toy_scores(np.zeros((3, 2)), "9gaussians")
    with pytest.raises(ValueError, match=r"samples must have shape \(k, 2\), as ring; got shape \(3, 4\)"):
        toy_scores(np.zeros((3, 4)), "ring")
    with pytest.raises(ValueError, match="samples must be finite"):
        toy_scores([[math.nan, 0.0]], "ring")
