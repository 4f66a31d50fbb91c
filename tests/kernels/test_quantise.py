"""Coarser clouds along a k-d tree, and masses as whole numbers."""

from __future__ import annotations

import numpy as np
import pytest

from otgen_kernels.cpu.quantise import GROUP, MASS_UNITS
from otgen_kernels.host import group_means, group_starts, tree_order, whole_masses


@pytest.mark.parametrize("n", [1, 2, 4, 5, 63, 64, 65, 1000])
@pytest.mark.parametrize("kind", ["normal", "constant", "sorted", "duplicates", "collinear"])
def test_tree_order_is_a_permutation_on_any_input(n, kind):
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, 3))
    if kind == "constant":
        x[:] = 1.0
    elif kind == "sorted":
        x = np.sort(x, axis=0)
    elif kind == "duplicates":
        x = x[rng.integers(max(n // 10, 1), size=n)]
    elif kind == "collinear":
        x[:] = np.linspace(0, 1, n)[:, None]
    assert sorted(tree_order(x).tolist()) == list(range(n))


def test_groups_of_every_level_are_boxes_of_the_tree():
    x = np.random.default_rng(0).random((GROUP**5, 2))
    x = x[tree_order(x)]
    for level in range(1, 5):
        boxes = x.reshape(-1, GROUP**level, 2)
        volume = np.prod(boxes.max(axis=1) - boxes.min(axis=1), axis=1).sum()
        assert volume < 1.0, "boxes of one level do not overlap, so their areas sum to at most the square's"


def test_group_means_keep_mass_and_centre():
    rng = np.random.default_rng(0)
    x, a = rng.normal(size=(11, 2)), rng.random(11)
    a[4:8] = 0
    starts = group_starts(11)
    assert starts.tolist() == [0, 4, 8, 11]
    means, mass = group_means(x, a, starts)
    assert mass.sum() == pytest.approx(a.sum())
    np.testing.assert_allclose(mass @ means, a @ x)
    np.testing.assert_allclose(means[1], x[4:8].mean(axis=0))


@pytest.mark.parametrize("span", [0, 3, 30, 300])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 50), (700, 31)])
def test_whole_masses_are_positive_whole_and_equal_in_total(n, m, span):
    rng = np.random.default_rng(n + span)
    a, b = (10.0 ** -rng.uniform(0, span or 1e-9, size) for size in (n, m))
    b *= a.sum() / b.sum()
    whole_a, whole_b = whole_masses(a, b)
    assert whole_a.sum() == whole_b.sum()
    for masses, whole in ((a, whole_a), (b, whole_b)):
        assert (whole == np.rint(whole)).all() and whole.min() >= 1 and whole.sum() < 2**53
        assert np.abs(whole / MASS_UNITS - masses / a.sum()).max() <= 2 * (n + m) / MASS_UNITS


def test_equal_masses_stay_equal():
    whole_a, whole_b = whole_masses(np.full(300, 1 / 300), np.full(300, 1 / 300))
    assert np.unique(np.concatenate([whole_a, whole_b])).size == 1
