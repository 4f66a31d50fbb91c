"""Soft reductions in low dimension and float32: clouds along a space-filling curve, and the launches of soft_small.cu
and soft_small_columns.cu."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..constants import SMALL_DIMS
from ..costs import IDENTITY, SQUARES, Cost
from . import device

AVERAGE, GRADIENT = 2, 3
"""What is summed beside totals, as in soft.cuh: 2^z V_j and 2^z grad_x c."""

DIMS = (2, 3, 4, SMALL_DIMS)
"""Dimensions that are compiled; a cloud between gets coordinates 0."""

BILINEAR = 3
"""The form of squared distances themselves, as in soft_small.cuh."""

COLUMNS = 128
"""Points of a tile of neighbours, as in soft_small.cuh."""

VALUES = 4
"""Columns of values that one pass over the pairs sums, or as many as coordinates are compiled where that is more."""

CLOSE = 0.01
"""Mean way to where a row goes, in sizes of tiles, which sums off by 1e-6 of a tile know to 1e-4."""

BLOCKS = 32
"""Blocks for each multiprocessor at least, four times what it holds: with fewer rows the columns are split too."""


class Cloud(NamedTuple):
    """Points (n, D) along the curve, where each of them stood, and the boxes of runs of COLUMNS."""

    points: Any
    order: Any
    centres: Any
    widths: Any


class Sums(NamedTuple):
    """Parts of a row's sums, relative to 2^peaks: peaks and totals (splits, n), extras (splits, n, width)."""

    peaks: Any
    totals: Any
    extras: Any


class SmallPairs:
    """The pairs of the clouds x and y (float64, d <= SMALL_DIMS) under one cost."""

    def __init__(self, x: Any, y: Any, cost: Cost):
        self._dim = next(d for d in DIMS if d >= x.shape[1])
        self._cost = cost
        self._clouds = _along_curve(x, self._dim), _along_curve(y, self._dim)
        self._rows = COLUMNS * (4 if self._dim <= 4 else 2)
        self._bilinear = cost.form == SQUARES and cost.shape == IDENTITY
        self._sizes = (
            [float(np.median(_sizes(cloud.widths))) for cloud in self._clouds] if self._bilinear else [0.0, 0.0]
        )

    def tile_cost(self) -> float | None:
        """The squared size of a block of rows beside a tile of columns, as soft_local's; None if costs are not that."""
        if not self._bilinear:
            return None
        tiles = self._sizes
        blocks = [float(np.median(_sizes(_boxes(cloud.points, self._rows)[1]))) for cloud in self._clouds]
        return self._cost.unit * max(blocks[0] + tiles[1], blocks[1] + tiles[0]) ** 2

    def least_gradient(self, side: int) -> float:
        """The size of a gradient, for rows of mass 1, below which float32's sums over tiles have lost its digits."""
        return CLOSE * 2.0 * self._cost.unit * self._sizes[1 - side]

    def order(self, side: int) -> Any:
        """Where the answers of a side's rows go, int32 (n,)."""
        return self._clouds[side].order

    def total(self, side: int, h: Any, to_bits: float, k: float) -> tuple[Any, Any]:
        """Peaks and totals (splits, n) of a side's rows in their order."""
        return self._launch(None, side, h, to_bits, k)[0][:2]

    def average(self, side: int, h: Any, to_bits: float, k: float, values: Any) -> tuple[Sums, Any]:
        """Sums of 2^z V_j, V the values (m, width), and those of 2^z |term| (splits, n, 1).

        The term, in bits, is the one that float32 rounds most where costs are bilinear, at its largest in a tile.
        """
        return self._launch(AVERAGE, side, h, to_bits, k, values.shape[1], values)

    def gradient(self, side: int, h: Any, to_bits: float, k: float, width: int) -> tuple[Sums, Any]:
        """The same of 2^z grad_x c in the width coordinates there are."""
        return self._launch(GRADIENT, side, h, to_bits, k, width)

    def _launch(
        self, mode: int | None, side: int, h: Any, to_bits: float, k: float, width: int = 0, values: Any = None
    ) -> tuple[Sums, Any]:
        cupy, near, far, cost = device.namespace(), self._clouds[side], self._clouds[1 - side], self._cost
        n, m = len(near.points), len(far.points)
        blocks, tiles = -(-n // self._rows), len(far.centres)
        run = -(-tiles // min(tiles, -(-BLOCKS * device.processors() // blocks)))
        splits = -(-tiles // run)
        passes = max(-(-width // max(self._dim, VALUES)), 1)  # one for a gradient
        sums = Sums(cupy.empty((splits, n)), cupy.empty((splits, n)), cupy.empty((splits, n, width)))
        terms = cupy.empty((0 if mode is None else splits, n, 1))
        cut = 28.0 + float(np.log2(m))  # all pairs that are passed over stay below 2^-28 of a row
        macros = {"D": self._dim, "FORM": BILINEAR if self._bilinear else cost.form}
        given = (
            near.points, near.centres, far.points, far.centres, far.widths, h, far.order, n, m, to_bits, k, cost.unit,
            cost.shape, cost.q, cut, run,
        )  # fmt: skip
        if mode is None:
            device.Program("soft_small", **macros)("total", (blocks, splits), (128,), *given, *sums[:2])
        else:
            program = device.Program("soft_small_columns", **macros, MODE=mode)
            program("columns", (blocks, splits, passes), (128,), *given, values, width, *sums, terms)
        return sums, terms


def _along_curve(x: Any, dim: int) -> Cloud:
    cupy, (n, d) = device.namespace(), x.shape
    low = x.min(0)
    widest = (x.max(0) - low).max()
    bits = min(63 // d, 21)
    cell = ((x - low) * ((2**bits - 1) / np.maximum(widest, 1e-300))).astype(np.int64)
    code = cupy.zeros(n, np.int64)
    for bit in range(bits - 1, -1, -1):  # Morton's order: the coordinates' digits in turn
        for c in range(d):
            code = 2 * code + (cell[:, c] >> bit & 1)
    order = cupy.argsort(code)
    points = cupy.zeros((n, dim))
    points[:, :d] = x[order]
    return Cloud(points, order.astype(np.int32), *_boxes(points, COLUMNS))


def _boxes(points: Any, run: int) -> tuple[Any, Any]:
    """Centres and half widths of runs of points, (runs, dim) each."""
    cupy, (n, dim) = device.namespace(), points.shape
    count = -(-n // run)
    padded = cupy.empty((count * run, dim))
    padded[:n] = points
    padded[n:] = points[-1]
    padded = padded.reshape(count, run, dim)
    low, high = padded.min(1), padded.max(1)
    centres = 0.5 * low + 0.5 * high
    return cupy.ascontiguousarray(centres), cupy.ascontiguousarray(np.maximum(high - centres, centres - low))


def _sizes(widths: Any) -> np.ndarray:
    return np.sqrt((device.namespace().asnumpy(widths) ** 2).sum(1))
