"""Pair reductions on the host: which path they take, and a PairIndex that keeps what h does not change."""

from __future__ import annotations

import numpy as np

from ..constants import SERIAL_PAIRS, SMALL_DIMS, TREE_DIMS
from ..costs import describe, exponent, scale_by_power, unit_rows
from .decide import SQUARES
from .gemm import GemmPairs
from .scan import ScanPairs
from .search import TreePairs

_LAYOUT = ("C", "W", "A")


def c_transform(
    x: np.ndarray, y: np.ndarray, h: np.ndarray | None, *, metric: str, p: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return v_i = min_j c(x_i, y_j) - h_j and the lowest j attaining it."""
    return PairIndex(x, y, metric=metric, p=p).c_transform(h)


def smallest_k(
    x: np.ndarray, y: np.ndarray, h: np.ndarray | None, k: int, *, metric: str, p: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k smallest c(x_i, y_j) - h_j of every i, ascending, ties by j, and their j."""
    return PairIndex(x, y, metric=metric, p=p).smallest_k(h, k)


class PairIndex:
    """The pairs of x and y under one cost, prepared once for many h: trees, orders, centred copies.

    The methods are `c_transform` and `smallest_k` of this x and y; those ending in _t swap the two clouds.
    path forces one of "tree", "loops", "gemm" (gemm: euclidean and cosine only); all give the same bits.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, *, metric: str, p: float, path: str | None = None):
        cost = describe(metric, p)
        # A read-only or strided array is another type to Numba: every kernel would be compiled once more for it.
        x, y = np.require(x, None, _LAYOUT), np.require(y, None, _LAYOUT)
        self._exponent = 0.0
        if metric == "cosine":
            x, y = unit_rows(x), unit_rows(y)
        elif e := exponent(x, y, cost):
            x, y = np.ldexp(x.astype(np.float64), -e), np.ldexp(y.astype(np.float64), -e)
            self._exponent = e * p
        if path is None:
            by_gemm = cost.form == SQUARES
            few = TREE_DIMS if by_gemm else SMALL_DIMS
            path = "tree" if x.shape[1] <= few else "gemm" if by_gemm else "loops"
        if path == "gemm":
            self._pairs = GemmPairs(x, y, cost)
        else:
            x, y = x.astype(np.float64, copy=False), y.astype(np.float64, copy=False)
            self._pairs = (TreePairs if path == "tree" else ScanPairs)(x, y, cost)
        self._sizes = (len(x), len(y))

    def c_transform(self, h: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return v_i = min_j c(x_i, y_j) - h_j and the lowest j attaining it."""
        values, indices = self._reduce(0, h, 1)
        return values[:, 0], indices[:, 0]

    def c_transform_t(self, h: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return v_j = min_i c(x_i, y_j) - h_i and the lowest i attaining it."""
        values, indices = self._reduce(1, h, 1)
        return values[:, 0], indices[:, 0]

    def smallest_k(self, h: np.ndarray | None, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the k smallest c(x_i, y_j) - h_j of every i, ascending, ties by j, and their j."""
        return self._reduce(0, h, k)

    def smallest_k_t(self, h: np.ndarray | None, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the k smallest c(x_i, y_j) - h_i of every j, ascending, ties by i, and their i."""
        return self._reduce(1, h, k)

    def _reduce(self, rows: int, h: np.ndarray | None, k: int) -> tuple[np.ndarray, np.ndarray]:
        n, m = self._sizes[rows], self._sizes[1 - rows]
        h = np.zeros(m) if h is None else scale_by_power(np.require(h, np.float64, _LAYOUT), -self._exponent)
        values, indices = np.empty((n, k)), np.empty((n, k), np.int64)
        self._pairs.reduce(rows, h, values, indices, serial=n * m < SERIAL_PAIRS)
        return scale_by_power(values, self._exponent), indices
