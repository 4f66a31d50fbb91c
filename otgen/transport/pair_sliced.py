"""Sliced distances between many clouds: the projections of each are sorted once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

import otgen_kernels as kernels

from ..options import read_seed
from .costs import check_p
from .directions import read_directions
from .line import check_range
from .slicing import LEAST_COLUMNS, MOST_COLUMNS, frame, mean_of_powers

Array = np.ndarray

KEPT = 1 << 28
"""Bytes of sorted projections that are kept: those of the first clouds that fit. Others are sorted for every pair."""


class SlicedPairs:
    """The value of `sliced_wasserstein` of clouds i and j, all along the same directions.

    Each cloud is projected about a centre of its own, and a pair is moved together by what is between its two.
    """

    def __init__(
        self,
        clouds: Mapping[int, Array],
        weights: Mapping[int, Array | None],
        *,
        p: float = 2,
        n_projections: int = 128,
        projections: Any = "orthogonal",
        seed: Any = 0,
    ) -> None:
        self._clouds, self._weights = clouds, weights
        self._p, some = check_p(p), next(iter(clouds.values()))
        directions = read_directions(projections, n_projections, some.shape[1], read_seed(seed))
        self._directions = directions.astype(some.dtype)
        # Projections at a time that take little more room than the points.
        step = max(LEAST_COLUMNS, min(MOST_COLUMNS, some.shape[1]))
        self._parts = [slice(start, start + step) for start in range(0, len(directions), step)]
        self._cloud, self._whole = cache(self._prepare), cache(self._sort_all)
        self._kept = self._that_fit()

    def __call__(self, i: int, j: int) -> float:
        one, other = self._cloud(i), self._cloud(j)
        distances = np.empty(len(self._directions))
        for part in self._parts:
            (u, a), (v, b) = self._sorted(i, part), self._sorted(j, part)
            if (a is None) != (b is None):
                a, b = (np.full(z.shape, 1.0 / z.shape[1]) if w is None else w for z, w in ((u, a), (v, b)))
            with np.errstate(over="ignore", invalid="ignore"):
                v = v + (self._directions[part].astype(np.float64) @ (other.centre - one.centre))[:, None]
            check_range(v[:, [0, -1]])  # sorted: beyond the range the ends are, or NaN
            distances[part] = kernels.wasserstein_sorted(u, v, a, b, p=self._p)
        check_range(distances)
        return one.mass ** (1 / self._p) * float(mean_of_powers(distances[None], self._p)[0])

    def _that_fit(self) -> set[int]:
        rows, kept, total = 8 * len(self._directions), set(), 0
        for i in sorted(self._clouds):
            total += rows * len(self._clouds[i]) * (1 if self._weights[i] is None else 2)
            if total <= KEPT:
                kept.add(i)
        return kept

    def _sorted(self, i: int, part: slice) -> tuple[Array, Array | None]:
        """Projections along some directions (k, n), sorted, and their weights where these differ."""
        if i not in self._kept:
            return self._sort(i, part)
        values, weights = self._whole(i)
        return values[part], None if weights is None else weights[part]

    def _sort_all(self, i: int) -> tuple[Array, Array | None]:
        # As many at a time as for one pair: a GEMM of another shape may round otherwise.
        values, weights = zip(*(self._sort(i, part) for part in self._parts))
        return np.concatenate(values), None if weights[0] is None else np.concatenate(weights)

    def _sort(self, i: int, part: slice) -> tuple[Array, Array | None]:
        cloud = self._cloud(i)
        slices = kernels.Slices(cloud.points, cloud.scale * cloud.centre[None], np.array([cloud.scale]))
        projected = slices.project(self._directions[part])[:, 0]
        values, weights = kernels.sorted_rows(projected, cloud.weights)
        with np.errstate(over="ignore"):
            values /= cloud.scale
        check_range(values[:, [0, -1]])
        return values, weights

    def _prepare(self, i: int) -> _Cloud:
        points, weights, mass = self._clouds[i], self._weights[i], 1.0
        if weights is not None:
            keep = weights > 0
            points, weights, mass = points[keep], weights[keep], float(weights.sum())
            weights = None if (weights == weights[0]).all() else weights / mass
        centres, scales = frame(points[None], points[None])
        # In the precision of the points, as their differences with it are: what is between two centres is then exact.
        centre = centres[0].astype(points.dtype).astype(np.float64) / scales[0]
        return _Cloud(np.ascontiguousarray(points)[None], centre, float(scales[0]), weights, mass)


@dataclass(frozen=True, eq=False)
class _Cloud:
    """Points with weight (1, n, d), the middle of their range (d,), the power of two that makes it about 1, weights."""

    points: Array
    centre: Array
    scale: float
    weights: Array | None
    mass: float
