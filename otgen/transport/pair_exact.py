"""Exact distances between many clouds: what a cloud needs is made once, and a small pair is one compiled call."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np

from otgen_kernels import host

from .costs import make_cost
from .exact import wasserstein
from .multiscale import ALL_ARCS, KEPT_SIDE
from .small import MOST_POINTS
from .solution import lower_bound

Array = np.ndarray

TOL = 1e-9  # of the value: the gap that `wasserstein` proves
SAFE = 2.0**100  # a value, or a coordinate, between 1 / SAFE and SAFE has costs far from the ends of float64


class ExactPairs:
    """W_p between clouds i and j, as `wasserstein` gives it and with its proof."""

    def __init__(
        self,
        clouds: Mapping[int, Array],
        weights: Mapping[int, Array | None],
        *,
        p: float = 1,
        metric: str = "euclidean",
    ) -> None:
        self.cost = make_cost(metric, p)
        self._clouds, self._weights = clouds, weights
        self._cloud = cache(self._prepare)

    def __call__(self, i: int, j: int) -> float:
        one, other = self._cloud(i), self._cloud(j)
        value = None if one is None or other is None else self._small(one, other)
        if value is not None:
            return value
        x, y, a, b = self._clouds[i], self._clouds[j], self._weights[i], self._weights[j]
        return wasserstein(x, y, a, b, p=self.cost.p, metric=self.cost.metric)

    def _prepare(self, i: int) -> _Cloud | None:
        """The cloud as `_small` takes it; None where it is for `wasserstein` alone."""
        x, a = self._clouds[i], self._weights[i]
        if len(x) > MOST_POINTS or x.shape[1] == 1 or self.cost.metric == "cosine" or np.abs(x).max() > SAFE:
            return None
        return _Cloud(x, a)

    def _small(self, one: _Cloud, other: _Cloud) -> float | None:
        """The distance, where its gap proves it; without the figures and potentials that `wasserstein` may hand on."""
        n, m = len(one.x), len(other.x)
        if one.a is None or other.a is None:
            a, b, total = host.uniform_masses(n, m)
            weights = masses = a, b
        else:
            weights, total = (one.a, other.a), 1.0
            masses = host.whole_masses(*weights)
        (above_x, above_a), (above_y, above_b) = one.merged(masses[0]), other.merged(masses[1])
        if n * m <= ALL_ARCS:
            above_x = above_x[:0]
        *_, f, g, value = host.small_transport(
            one.x, other.x, weights, masses, (above_x, above_y, above_a, above_b),
            metric=self.cost.metric, p=self.cost.p,
        )  # fmt: skip
        gap = value - lower_bound(weights[0], f, weights[1], g)
        if not (1 / SAFE < value / total < SAFE and gap <= TOL * value):
            return None
        return (value / total) ** (1 / self.cost.p)


class _Cloud:
    """The points that carry mass, in k-d order, and the groups of them one level up."""

    def __init__(self, x: Array, a: Array | None) -> None:
        keep = slice(None) if a is None else a > 0
        x = x[keep].astype(np.float64)
        order = host.tree_order(x)
        self.x, self.a = np.ascontiguousarray(x[order]), None if a is None else a[keep][order]
        size = len(x)
        self._starts = np.arange(size + 1) if size <= KEPT_SIDE else host.group_starts(size)
        share = np.full(size, 1.0 / size) if self.a is None else self.a
        self._means = host.group_means(self.x, share, self._starts)[0]

    def merged(self, masses: Array) -> tuple[Array, Array]:
        """The means of the groups, and their masses where the points have these."""
        return self._means, np.add.reduceat(masses, self._starts[:-1])
