"""Where the costs of an entropic problem come from: two clouds or a matrix, behind what iterations and proofs ask."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np

import otgen_kernels as kernels
from otgen_kernels import host

from .costs import Cost

Array = np.ndarray

GROUP_LEAST = 32
"""Points below which a cloud is not made coarser: such a problem costs nothing."""


class PointSoftCosts:
    """c_ij = metric(x_i, y_j)**p for clouds x (n, d) and y (m, d), float64."""

    def __init__(self, x: Array, y: Array, cost: Cost) -> None:
        self.x, self.y, self.cost = x, y, cost
        self.shape = (len(x), len(y))
        # Half the squared chord of unit vectors: arc costs and means know no other cosine.
        self._plain = (kernels.unit_rows(x), kernels.unit_rows(y)) if cost.metric == "cosine" else (x, y)

    @cached_property
    def soft(self) -> Any:
        return kernels.SoftPairs(self.x, self.y, metric=self.cost.metric, p=self.cost.p)

    def at(self, rows: Array, cols: Array) -> Array:
        """c_ij of the listed arcs."""
        x, y = self._plain
        return host.arc_costs(x, y, rows, cols, metric=self.cost.metric, p=self.cost.p)

    def cost_rows(self, rows: Array) -> Array:
        """c_ij for the given i and every j."""
        x, y = self._plain
        if self.cost.metric == "cosine":
            half = host.cost_matrix(x[rows], y, metric="euclidean", p=2.0)
            return (0.5 * half) ** self.cost.p
        return host.cost_matrix(x[rows], y, metric=self.cost.metric, p=self.cost.p)

    def hard(self, g: Array) -> Array:
        """min_j c_ij - g_j of every i, decided in float64."""
        return kernels.c_transform(self.x, self.y, g, metric=self.cost.metric, p=self.cost.p)[0]

    def neighbours(self, rows: Array, cols: Array) -> tuple[Array, Array]:
        """Rows and columns in one common order of a k-d tree: what has like places in the two is near in space."""
        x, y = self._plain
        order = host.tree_order(np.concatenate([x[rows], y[cols]]))
        return rows[order[order < len(rows)]], cols[order[order >= len(rows)] - len(rows)]

    def coarser(self, a: Array, b: Array) -> tuple[PointSoftCosts, Array, Array, float] | None:
        """The problem between groups of four points, its masses, the mean cost within a group; None if too small."""
        if min(self.shape) < 2 * GROUP_LEAST:
            return None
        (x, mass_a, spread), (y, mass_b, other) = (
            _grouped(points, weights, self.cost) for points, weights in zip(self._plain, (a, b))
        )
        return PointSoftCosts(x, y, self.cost), mass_a, mass_b, spread + other

    def extend(self, side: int, finer: PointSoftCosts, h: Array, weights: Array, eps: float, rho: float) -> Array:
        """What potentials h of this problem's side 1 - `side` imply for the points of a finer one's side."""
        points, others = (finer.x, self.y) if side == 0 else (finer.y, self.x)
        soft = kernels.SoftPairs(points, others, metric=self.cost.metric, p=self.cost.p)
        found = soft.transform(0, h + eps * np.log(weights), eps, single=True)
        return found if math.isinf(rho) else found * (rho / (rho + eps))

    def typical_cost(self, a: Array, b: Array) -> float:
        """sum_i a_i c(x_i, mean y) + sum_j b_j c(mean x, y_j), for a and b of mass 1: at least about the mean cost."""
        x, y = self._plain
        mean_x, mean_y = (a @ x)[None], (b @ y)[None]
        rows, cols = np.arange(len(x)), np.arange(len(y))
        options = {"metric": self.cost.metric, "p": self.cost.p}
        to_y = host.arc_costs(x, mean_y, rows, np.zeros_like(rows), **options)
        to_x = host.arc_costs(mean_x, y, np.zeros_like(cols), cols, **options)
        return float(a @ to_y + b @ to_x)


def _grouped(x: Array, a: Array, cost: Cost) -> tuple[Array, Array, float]:
    """Means and masses of groups of four neighbours, and the mean cost of a point to its group's mean."""
    order = host.tree_order(x)
    points, weights = np.ascontiguousarray(x[order]), a[order]
    starts = host.group_starts(len(x))
    means, mass = host.group_means(points, weights, starts)
    group = np.repeat(np.arange(len(means)), np.diff(starts))
    spread = weights @ host.arc_costs(points, means, np.arange(len(x)), group, metric=cost.metric, p=cost.p)
    return means, mass, float(spread / weights.sum())


class MatrixSoftCosts:
    """c_ij given as a matrix C (n, m), float32 or float64."""

    def __init__(self, matrix: Array) -> None:
        self.matrix = matrix
        self.shape = matrix.shape

    @cached_property
    def soft(self) -> Any:
        return kernels.SoftMatrix(self.matrix)

    def at(self, rows: Array, cols: Array) -> Array:
        """c_ij of the listed arcs."""
        return self.matrix[rows, cols].astype(np.float64)

    def cost_rows(self, rows: Array) -> Array:
        """c_ij for the given i and every j."""
        return self.matrix[rows].astype(np.float64)

    def hard(self, g: Array) -> Array:
        """min_j c_ij - g_j of every i, in float64."""
        return host.matrix_smallest_k(self.matrix, g, 1)[0][:, 0]

    def neighbours(self, rows: Array, cols: Array) -> tuple[Array, Array]:
        """As they are: a bare matrix has no geometry."""
        return rows, cols

    def coarser(self, a: Array, b: Array) -> None:
        """None: a bare matrix has no means."""
        return None

    def typical_cost(self, a: Array, b: Array) -> float:
        """The mean cost under a and b, of mass 1, above the least: a constant added to C changes nothing."""
        return max(float(a @ self.matrix @ b) - float(self.matrix.min()), 0.0)
