"""Roots of energy distances and of biased MMD^2 between many clouds: the sums within each are taken once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from otgen_kernels import kernel_sum

from .kernel_choice import Kernel

Array = np.ndarray


class DiscrepancyPairs:
    """The root of the biased `mmd_squared` of clouds i and j, or of their energy distance, squared."""

    def __init__(self, clouds: Mapping[int, Array], weights: Mapping[int, Array | None], kernel: Kernel) -> None:
        self._clouds, self._weights = clouds, weights
        self._sums: dict[str, Any] = {"sums": False, "by_x": False, "by_y": False}
        self._sums |= kernel.options((), (), None)  # a median would be of each pair: none is asked for
        self._cloud = cache(self._prepare)

    def __call__(self, i: int, j: int) -> float:
        one, other = self._cloud(i), self._cloud(j)
        across = kernel_sum(one.points, other.points, one.weights, other.weights, **self._sums).total
        value = one.within + other.within - 2.0 * across
        if not math.isfinite(value):
            raise ValueError("sums of the kernel over x and y leave the range of float64. Rescale x and y together.")
        return one.mass * math.sqrt(max(value, 0.0))

    def _prepare(self, i: int) -> _Cloud:
        points, weights = self._clouds[i], self._weights[i]
        if weights is None:
            weights = np.full(len(points), 1.0 / len(points))
        elif not weights.all():
            points, weights = points[weights > 0], weights[weights > 0]
        mass = float(weights.sum())
        weights = weights / mass
        return _Cloud(points, weights, mass, kernel_sum(points, None, weights, None, **self._sums).total)


class _Cloud(NamedTuple):
    """Points with weight, their weights at mass 1, the mass, and the mean of the kernel within."""

    points: Array
    weights: Array
    mass: float
    within: float
