"""Whether the codes that a model decodes have the law of the codes of true samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import read_clouds
from ..options import read_count, read_seed
from ..transport.two_sample import TwoSampleTest, two_sample_test

POINTS = 1_000  # a side: the test holds its level at any number, and 199 permutations of these take half a second
PERMUTATIONS = 199


def latent_test(codes: Any, drawn: Any, *, points: int = POINTS, seed: Any = 0) -> TwoSampleTest:
    """Permutation test, by the energy distance, of codes (n, d) of true samples and (m, d) drawn to be decoded.

    For a VAE or a WAE these are Q(x) and the prior; for an AE-OT Q(x) and T~(u). A small p_value says that new samples
    are decoded from where no data lies, or not from all of where it lies. `points` rows a side at most, drawn without
    replacement. Raises ValueError or TypeError for bad input. Source: Szekely and Rizzo (2013).
    """
    rng, points = read_seed(seed), read_count(points, "points")
    (x, y), _ = read_clouds({"codes": codes, "drawn": drawn})
    x, y = (side[rng.choice(len(side), points, replace=False)] if len(side) > points else side for side in (x, y))
    return two_sample_test(x, y, statistic="energy", n_permutations=PERMUTATIONS, seed=rng)


def read_codes(latent: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return codes of true samples and codes drawn, or raise."""
    if not isinstance(latent, (tuple, list)) or len(latent) != 2:
        raise ValueError(
            f"latent must be a pair: codes of true samples and codes that are decoded; got {type(latent).__name__}. "
            "Pass (model.encode(x), model.prior(n, generator))."
        )
    (x, y), _ = read_clouds(dict(zip(("latent[0]", "latent[1]"), latent)))
    return x, y
