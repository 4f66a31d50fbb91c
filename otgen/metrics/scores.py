"""Distances between two sets of features: FID, KID, exact W1 and the energy distance."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..arrays import read_points
from ..options import read_count, read_seed
from ..transport.discrepancy import energy_distance_squared, mmd_squared
from ..transport.exact import uninterrupted_wasserstein
from ..transport.frechet import frechet_distance

SUBSETS, SUBSET_SIZE = 100, 1_000  # Binkowski et al.


class Kid(NamedTuple):
    """The mean of the estimates of KID over subsets, and their standard deviation (n - 1; 0 for one subset)."""

    mean: float
    sd: float


def fid(x: Any, y: Any) -> float:
    """Frechet distance of features x (n, k) and y (m, k), n, m >= 2: that of the normal laws of their moments.

    F = |m_x - m_y|^2 + tr(S_x + S_y - 2 (S_x S_y)^1/2). Raises ValueError or TypeError for bad input. Biased upwards
    by about 1/n: compare at one n. Source: Heusel et al., arXiv 1706.08500.
    """
    x, y, _ = read_points(x, y)
    return float(frechet_distance(x, y))


def kid(x: Any, y: Any, *, subsets: int = SUBSETS, size: int = SUBSET_SIZE, seed: Any = 0) -> Kid:
    """Kernel distance of features x (n, k) and y (m, k): unbiased MMD^2 under (<x, y> / k + 1)^3, over random subsets.

    Each of the `subsets` takes min(size, n / 2, m / 2) rows of either side without replacement: subsets that were the
    whole sets would not differ. Raises ValueError for fewer than four rows, TypeError or ValueError for other bad
    input. Source: Binkowski et al., arXiv 1801.01401.
    """
    x, y, _ = read_points(x, y)
    count, rng = read_count(subsets, "subsets", "subsets"), read_seed(seed)
    rows = min(read_count(size, "size", "rows of a subset"), len(x) // 2, len(y) // 2)
    if rows < 2:
        raise ValueError(
            f"kid needs four rows a side and size >= 2; got {len(x)} and {len(y)} rows and size={size}. Draw more."
        )
    found = [
        mmd_squared(x[_draw(rng, len(x), rows)], y[_draw(rng, len(y), rows)], kernel="polynomial") for _ in range(count)
    ]
    return Kid(float(np.mean(found)), float(np.std(found, ddof=1)) if count > 1 else 0.0)


def exact_w1(x: Any, y: Any, *, points: int = 2_000, seed: Any = 0) -> float:
    """Exact W1 of features x (n, k) and y (m, k) under the Euclidean metric, of `points` rows a side at most.

    Rows are drawn without replacement where there are more. Biased upwards by about n^(-1/k): compare at one n. Raises
    ValueError or TypeError for bad input.
    """
    x, y, _ = read_points(x, y)
    most, rng = read_count(points, "points"), read_seed(seed)
    x, y = (cloud if len(cloud) <= most else cloud[_draw(rng, len(cloud), most)] for cloud in (x, y))
    return float(uninterrupted_wasserstein(x, y))


def energy(x: Any, y: Any) -> float:
    """Squared energy distance of features x (n, k) and y (m, k): 2 E|X - Y| - E|X - X'| - E|Y - Y'|, never negative.

    Raises ValueError or TypeError for bad input. Source: Szekely and Rizzo, J. Stat. Plan. Inference 143 (2013).
    """
    x, y, _ = read_points(x, y)
    return float(energy_distance_squared(x, y))


def _draw(rng: np.random.Generator, n: int, size: int) -> np.ndarray:
    return rng.choice(n, size, replace=False)
