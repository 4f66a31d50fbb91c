"""Clouds along directions: projections in columns, and sums over columns or points, by products of cuBLAS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from . import device

SLICE_NUMBERS = 1 << 25
"""Coordinates that are centred at a time: 256 MB of float64 beside the points."""


class Slices:
    """Clouds (B, n, d), each taken as scale x - centre, for many projections; scales (B,) are powers of two.

    As on the host, but that tiles are as large as memory allows and what is summed over points or directions is
    multiplied in float64, whatever the dtype of the points.
    """

    def __init__(self, points: Any, centres: Any, scales: Any) -> None:
        self.points, self.centres = points, centres.astype(points.dtype)
        self.scales = scales.astype(points.dtype)  # powers of two: exact

    def project(self, directions: Any) -> Any:
        """<direction, point>, (k, B, n), of directions (k, d), in the dtype of the points."""
        with device.home((self.points, directions)):
            cupy, (batch, n, d), k = device.namespace(), self.points.shape, len(directions)
            out = cupy.empty((k, batch, n), self.points.dtype)
            for which, rows in self._tiles():
                block = self._block(which, rows)
                out[:, which, rows] = cupy.matmul(directions, block.reshape(-1, d).T).reshape(k, *block.shape[:2])
            return out

    def spread(self, slopes: Any, directions: Any, factors: Any, out: Any) -> None:
        """Add sum_l factors_lb slopes_lbi direction_l to out (B, n, d) float64; slopes (k, B, n), factors (k, B)."""
        with device.home((self.points, slopes, directions, factors, out)):
            cupy = device.namespace()
            weighted = factors.T[:, :, None] * directions.astype(np.float64)  # (B, k, d)
            for which, rows in self._tiles():
                part = slopes[:, which, rows].transpose(1, 2, 0).astype(np.float64)
                out[which, rows] += cupy.matmul(part, weighted[which])

    def pull(self, slopes: Any) -> Any:
        """sum_i slopes_li (scale x_i - centre), (k, d) float64, of the first cloud, from slopes (k, n)."""
        with device.home((self.points, slopes)):
            cupy = device.namespace()
            total = cupy.zeros((len(slopes), self.points.shape[2]))
            for which, rows in self._tiles(one=True):
                block = self._block(which, rows)[0].astype(np.float64)
                total += cupy.matmul(slopes[:, rows].astype(np.float64), block)
            return total

    def _block(self, which: slice, rows: slice) -> Any:
        block = self.points[which, rows] * self.scales[which, None, None]
        block -= self.centres[which, None]
        return block

    def _tiles(self, one: bool = False) -> Iterator[tuple[slice, slice]]:
        """Clouds, whole ones together or one in parts, and their rows."""
        batch, n, d = self.points.shape
        some, rows = max(1, SLICE_NUMBERS // (n * d)), max(64, SLICE_NUMBERS // d)
        for first in range(0, 1 if one else batch, some):
            for start in range(0, n, rows):
                yield slice(first, 1 if one else first + some), slice(start, start + rows)


def weighted_gram(points: Any, weights: Any) -> Any:
    """sum_i weights_i points_i points_i^T (d, d) of points (n, d), weights (n,), float64; summed in a fixed order."""
    with device.home((points, weights)):
        cupy, (n, d) = device.namespace(), points.shape
        rows = max(64, SLICE_NUMBERS // d)
        gram = cupy.zeros((d, d))
        for start in range(0, n, rows):
            block = points[start : start + rows]
            gram += cupy.matmul(block.T, block * weights[start : start + rows, None])
        return gram
