"""Roots of Frechet distances between many clouds: the mean and the covariance of each are taken once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np

from .bures import Pair
from .frechet import Samples
from .gaussian import Normal, distance


class FrechetPairs:
    """The root of `frechet_distance` of clouds i and j; keeps at most twice the clouds in float64."""

    def __init__(self, clouds: Mapping[int, np.ndarray]) -> None:
        import scipy.linalg  # noqa: F401  # pyright: ignore[reportUnusedImport]  # BLAS is limited only where loaded

        self._clouds = clouds
        self._law = cache(self._prepare)

    def __call__(self, i: int, j: int) -> float:
        one, other = self._law(i), self._law(j)
        return distance(one, other, Pair(one.spread, other.spread))

    def _prepare(self, i: int) -> Normal:
        points = self._clouds[i]
        if len(points) < 2:
            raise ValueError(f"samples[{i}] must hold two samples, for a covariance; got {len(points)}. Draw more.")
        return Samples.of(points).law
