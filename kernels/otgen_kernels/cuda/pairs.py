"""Pair reductions on the GPU: every pair, in float64, from coordinate differences; memory O(n + m)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..costs import describe, exponent, scale_by_power, unit_rows
from . import device

TILE = 64
"""Rows and columns of a tile of pairs, as in tile.cuh."""

WAVES = 8
"""Blocks for each multiprocessor at least: with fewer rows than that the columns are split too."""


def c_transform(x: Any, y: Any, h: Any, *, metric: str, p: float) -> tuple[Any, Any]:
    """Return v_i = min_j c(x_i, y_j) - h_j and the lowest j attaining it."""
    return PairIndex(x, y, metric=metric, p=p).c_transform(h)


def smallest_k(x: Any, y: Any, h: Any, k: int, *, metric: str, p: float) -> tuple[Any, Any]:
    """Return the k smallest c(x_i, y_j) - h_j of every i, ascending, ties by j, and their j."""
    return PairIndex(x, y, metric=metric, p=p).smallest_k(h, k)


class PairIndex:
    """The pairs of x and y under one cost: nothing is prepared but their scale, all pairs are looked at each time.

    The methods are those of the host's. A minimum is of the costs in the rounding of this device: where two differ by
    less than that, the index may be another than the host's.
    """

    def __init__(self, x: Any, y: Any, *, metric: str, p: float):
        self._cost = describe(metric, p)
        self._exponent = 0.0
        with device.home((x, y)):
            cupy = device.namespace()
            if metric == "cosine":
                x, y = unit_rows(x), unit_rows(y)
            elif e := exponent(x, y, self._cost):
                x, y = cupy.ldexp(x.astype(np.float64), -e), cupy.ldexp(y.astype(np.float64), -e)
                self._exponent = e * p
            self._clouds = cupy.ascontiguousarray(x), cupy.ascontiguousarray(y)
        real = "float" if x.dtype == np.float32 else "double"
        self._program = device.Program("pairs", REAL=real, FORM=self._cost.form, SHAPE=self._cost.shape)

    def c_transform(self, h: Any) -> tuple[Any, Any]:
        """Return v_i = min_j c(x_i, y_j) - h_j and the lowest j attaining it."""
        return self._least(0, h)

    def c_transform_t(self, h: Any) -> tuple[Any, Any]:
        """Return v_j = min_i c(x_i, y_j) - h_i and the lowest i attaining it."""
        return self._least(1, h)

    def smallest_k(self, h: Any, k: int) -> tuple[Any, Any]:
        """Return the k smallest c(x_i, y_j) - h_j of every i, ascending, ties by j, and their j."""
        return self._smallest(0, h, k)

    def smallest_k_t(self, h: Any, k: int) -> tuple[Any, Any]:
        """Return the k smallest c(x_i, y_j) - h_i of every j, ascending, ties by i, and their i."""
        return self._smallest(1, h, k)

    def _least(self, rows: int, h: Any) -> tuple[Any, Any]:
        x, y = self._clouds[rows], self._clouds[1 - rows]
        with device.home((x, h)):
            cupy, (n, d), m = device.namespace(), x.shape, len(y)
            run, splits = shares(n, m)
            part = cupy.empty((splits, n)), cupy.empty((splits, n), np.int32)
            values, indices = cupy.empty(n), cupy.empty(n, np.int64)
            self._program(
                "c_transform", (-(-n // TILE), splits), (256,), x, y, self._offsets(h), n, m, d, run,
                self._cost.unit, self._cost.q, *part,
            )  # fmt: skip
            self._program("c_transform_merge", (-(-n // 256),), (256,), *part, n, splits, values, indices)
            return scale_by_power(values, self._exponent), indices

    def _smallest(self, rows: int, h: Any, k: int) -> tuple[Any, Any]:
        x, y = self._clouds[rows], self._clouds[1 - rows]
        with device.home((x, h)):
            cupy, (n, d), m = device.namespace(), x.shape, len(y)
            run, splits = shares(n, m)
            part = cupy.empty((splits, n, k)), cupy.empty((splits, n, k), np.int32)
            heads = cupy.zeros((n, splits), np.int32)
            values, indices = cupy.empty((n, k)), cupy.empty((n, k), np.int64)
            self._program(
                "smallest_k", (-(-n // TILE), splits), (256,), x, y, self._offsets(h), n, m, d, run, k,
                self._cost.unit, self._cost.q, *part,
            )  # fmt: skip
            self._program("smallest_k_merge", (-(-n // 256),), (256,), *part, n, splits, k, heads, values, indices)
            return scale_by_power(values, self._exponent), indices

    def _offsets(self, h: Any) -> Any:
        if h is None:
            return None
        return scale_by_power(device.namespace().ascontiguousarray(h, np.float64), -self._exponent)


def shares(n: int, m: int) -> tuple[int, int]:
    """How many columns, whole tiles, a block takes in turn, and by how many blocks a row's columns are shared."""
    tiles, wanted = -(-m // TILE), -(-WAVES * device.processors() // -(-n // TILE))
    run = -(-tiles // min(tiles, wanted))
    return run * TILE, -(-tiles // run)
