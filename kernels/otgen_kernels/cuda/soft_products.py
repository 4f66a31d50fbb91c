"""Transforms of squared distances in high dimension and float32: the launch of soft_products.cu."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..costs import Cost
from . import device

ROWS, COLUMNS, SLICE, STAGES = 256, 128, 16, 4  # of products.cuh
COLUMN_STAGE, ROW_STAGE = 4 * (COLUMNS * 4 + 8) + COLUMNS, 4 * (ROWS * 4 + 8)  # floats

FAR, PADDED = -1e30, -2e30
"""Terms of columns without weight, and of those that are not there."""

WAVES = 4
"""Blocks for each multiprocessor at least: with fewer rows than that the columns are split too."""


class ProductPairs:
    """The pairs of the clouds x and y (float64) under c = unit |x - y|^2."""

    def __init__(self, x: Any, y: Any, cost: Cost):
        self._unit = cost.unit
        centre = 0.5 * (x.mean(0) + y.mean(0))
        self._clouds = tuple(_padded(z - centre) for z in (x, y))
        # Of the coordinates as they are multiplied: what is off then is a point, by 2^-24, not a distance.
        self._halves = tuple(
            0.5 * (cloud[: len(z)].astype(np.float64) ** 2).sum(1) for cloud, z in zip(self._clouds, (x, y))
        )

    def total(self, side: int, h: Any, to_bits: float, k: float) -> tuple[Any, Any]:
        """Peaks and totals (splits, n) of a side's rows."""
        cupy, near, far = device.namespace(), self._clouds[side], self._clouds[1 - side]
        halves, (padded, d) = self._halves[side], far.shape
        n, m, twice = len(halves), len(h), 2.0 * k * self._unit
        terms = h * (to_bits / twice) - self._halves[1 - side]
        top = terms.max(keepdims=True)
        term = cupy.full(padded, PADDED, np.float32)
        term[:m] = np.maximum(terms - top, FAR)
        blocks, tiles = -(-n // ROWS), padded // COLUMNS
        run = -(-tiles // min(tiles, -(-WAVES * device.processors() // blocks)))
        splits = -(-tiles // run)
        sums = cupy.empty((splits, n)), cupy.empty((splits, n))
        shared, held = _shared(d // SLICE)
        device.Program("soft_products")(
            "total", (blocks, splits), (256,), near, far, term, top, halves, twice, n, padded, d, run * COLUMNS, held,
            *sums, shared=shared,
        )  # fmt: skip
        return sums


def _shared(slices: int) -> tuple[int, int]:
    """Bytes of shared memory, and whether a block's rows stay there."""
    columns = 4 * STAGES * COLUMN_STAGE
    held = slices <= STAGES or columns + 4 * slices * ROW_STAGE <= device.most_shared()
    return columns + 4 * (slices if held else STAGES) * ROW_STAGE, int(held)


def _padded(points: Any) -> Any:
    """The points in float32, their number a multiple of ROWS, their coordinates of SLICE: with zeros."""
    n, d = points.shape
    out = device.namespace().zeros((-(-n // ROWS) * ROWS, -(-d // SLICE) * SLICE), np.float32)
    out[:n, :d] = points
    return out
