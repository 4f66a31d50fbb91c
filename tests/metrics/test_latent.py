"""The energy test between codes of true samples and codes that are decoded."""

from __future__ import annotations

import numpy as np
import pytest

from otgen.metrics import latent


def test_it_tells_a_shift_and_lets_one_law_pass(rng):
    x, y = rng.normal(size=(2, 150, 3))
    assert latent.latent_test(x, y, seed=1).p_value > 0.02
    found = latent.latent_test(x, y + 1.0, seed=1)
    assert found.p_value == 1 / (1 + latent.PERMUTATIONS) and found.statistic > 0.3


def test_at_most_so_many_points_are_taken(rng):
    x = rng.normal(size=(60, 2)).astype(np.float32)
    few = latent.latent_test(x, x[:20] + 5, points=25, seed=0)
    assert few.p_value < 0.05 and few.statistic > latent.latent_test(x, x[20:], points=25, seed=0).statistic


def test_bad_codes():
    with pytest.raises(ValueError, match="latent must be a pair: codes of true samples and codes that are decoded"):
        latent.read_codes(np.zeros((3, 2)))
    with pytest.raises(ValueError, match="drawn"):
        latent.latent_test(np.zeros((3, 2)), np.zeros((3, 3)))
