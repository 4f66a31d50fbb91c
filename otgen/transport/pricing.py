"""Where the costs of a transport problem come from: two clouds or a matrix, behind the questions pricing asks.

Each answers: the k arcs of smallest reduced cost from every row or column, the cost of listed arcs, and the duals that
a coarser problem's row potentials imply for this problem's columns. Nothing here holds an n x m array of its own.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

import otgen_kernels as kernels
from otgen_kernels import host

Array = np.ndarray

SAMPLED_COSTS = 2**18  # entries of a matrix that are enough for its quartile
CACHED_PAIRS = 2**18  # pairs whose costs, 2 MB, stay in cache


class Costs(Protocol):
    """c_ij of an n x m transport problem."""

    shape: tuple[int, int]

    def rows_smallest(self, g: Array, k: int) -> tuple[Array, Array]:
        """The k smallest c_ij - g_j of every row i, ascending: values and columns (n, k)."""
        ...

    def columns_smallest(self, f: Array, k: int) -> tuple[Array, Array]:
        """The k smallest c_ij - f_i of every column j, ascending: values and rows (m, k)."""
        ...

    def at(self, rows: Array, cols: Array) -> Array:
        """c_ij of the listed arcs."""
        ...

    def implied(self, coarse: Any, f: Array) -> Array:
        """g_j = min_I c(X_I, y_j) - f_I over the rows of a coarser problem of the same kind, with row potentials f."""
        ...

    def typical_cost(self, a: Array, b: Array) -> float:
        """A cost that the problem's values are measured against, per unit of mass."""
        ...


class PointCosts:
    """c_ij = metric(x_i, y_j)**p for points x (n, d), y (m, d)."""

    def __init__(self, x: Array, y: Array, metric: str, p: float) -> None:
        self.x, self.y, self.metric, self.p = x, y, metric, p
        self.shape = (len(x), len(y))
        self.matrix = self._matrix(x, y)
        self.index = self._index() if self.matrix is None else None

    def between(self, x: Array, y: Array) -> PointCosts:
        """The same costs between other clouds."""
        return PointCosts(x, y, self.metric, self.p)

    def _index(self) -> Any:
        return kernels.PairIndex(self.x, self.y, metric=self.metric, p=self.p)

    def _matrix(self, x: Array, y: Array) -> Array | None:
        """The cost matrix where it is small: reading it again costs less than a call of the engine."""
        return host.cost_matrix(x, y, metric=self.metric, p=self.p) if len(x) * len(y) <= CACHED_PAIRS else None

    def rows_smallest(self, g: Array, k: int) -> tuple[Array, Array]:
        return self.index.smallest_k(g, k) if self.index else host.matrix_smallest_k(self.matrix, g, k)

    def columns_smallest(self, f: Array, k: int) -> tuple[Array, Array]:
        return self.index.smallest_k_t(f, k) if self.index else host.matrix_smallest_k_columns(self.matrix, f, k)

    def at(self, rows: Array, cols: Array) -> Array:
        if self.matrix is not None:
            return self.matrix[rows, cols]
        return host.arc_costs(self.x, self.y, rows, cols, metric=self.metric, p=self.p)

    def implied(self, coarse: Any, f: Array) -> Array:
        matrix = self._matrix(coarse.x, self.y)
        if matrix is not None:
            return host.matrix_smallest_k_columns(matrix, f, 1)[0][:, 0]
        return kernels.c_transform(self.y, coarse.x, f, metric=self.metric, p=self.p)[0]

    def typical_cost(self, a: Array, b: Array) -> float:
        return cost_to_means(self.x, self.y, a, b, self.metric, self.p)


def cost_to_means(x: Array, y: Array, a: Array, b: Array, metric: str, p: float) -> float:
    """sum_i a_i c(x_i, mean y) + sum_j b_j c(mean x, y_j), for a and b of mass 1."""
    mean_x, mean_y = (a @ x)[None], (b @ y)[None]
    zero, rows, cols = np.zeros(1, np.int32), *(np.arange(len(points), dtype=np.int32) for points in (x, y))
    to_y = host.arc_costs(x, mean_y, rows, np.broadcast_to(zero, rows.shape), metric=metric, p=p)
    to_x = host.arc_costs(mean_x, y, np.broadcast_to(zero, cols.shape), cols, metric=metric, p=p)
    return float(a @ to_y + b @ to_x)


class MatrixCosts:
    """c_ij given as a float64 matrix C (n, m)."""

    def __init__(self, matrix: Array) -> None:
        self.matrix = matrix
        self.shape = matrix.shape

    def rows_smallest(self, g: Array, k: int) -> tuple[Array, Array]:
        return host.matrix_smallest_k(self.matrix, g, k)

    def columns_smallest(self, f: Array, k: int) -> tuple[Array, Array]:
        return host.matrix_smallest_k_columns(self.matrix, f, k)

    def at(self, rows: Array, cols: Array) -> Array:
        return self.matrix[rows, cols]

    def implied(self, coarse: Any, f: Array) -> Array:
        return host.matrix_smallest_k_columns(self.matrix[coarse.rows], f, 1)[0][:, 0]

    def typical_cost(self, a: Array, b: Array) -> float:
        """The lower quartile of |c_ij|: a mean would be that of the huge costs by which users forbid pairs."""
        stride = max(1, self.matrix.size // SAMPLED_COSTS)
        return float(np.quantile(np.abs(self.matrix.reshape(-1)[::stride]), 0.25))


class MatrixSample(MatrixCosts):
    """The costs between some rows and some columns of a matrix."""

    def __init__(self, parent: MatrixCosts, rows: Array, cols: Array) -> None:
        super().__init__(parent.matrix[np.ix_(rows, cols)])
        self.rows, self.cols = rows, cols
