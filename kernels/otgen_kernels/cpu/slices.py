"""Clouds along directions: projections in columns, and sums over columns or points, all by tiles of GEMM."""

from __future__ import annotations

import numpy as np

from .pool import blas_single_thread, run

SLICE_NUMBERS = 1 << 18  # of one tile: 2 MB of float64, shared evenly, and large beside what a call of BLAS costs


class Slices:
    """Clouds (B, n, d), each taken as scale x - centre, for many projections; scales (B,) are powers of two.

    Centring bounds the rounding of a projection by the width of the cloud, not by its distance from the origin. Tiles
    are fixed and each is one GEMM of one thread: the same bits on any number of threads.
    """

    def __init__(self, points: np.ndarray, centres: np.ndarray, scales: np.ndarray) -> None:
        self.points, self.centres, self.scales = points, centres.astype(points.dtype), scales
        self.rows = max(64, SLICE_NUMBERS // points.shape[2])

    def project(self, directions: np.ndarray) -> np.ndarray:
        """<direction, point>, (k, B, n), of directions (k, d), in the dtype of the points."""
        batch, n, _ = self.points.shape
        out = np.empty((len(directions), batch, n), self.points.dtype)

        def tile(b: int, rows: slice) -> None:
            np.matmul(directions, self._block(b, rows).T, out=out[:, b, rows])

        self._run(tile)
        return out

    def spread(self, slopes: np.ndarray, directions: np.ndarray, factors: np.ndarray, out: np.ndarray) -> None:
        """Add sum_l factors_lb slopes_lbi direction_l to out (B, n, d) float64; slopes (k, B, n), factors (k, B)."""

        def tile(b: int, rows: slice) -> None:
            weighted = (factors[:, b, None] * directions).astype(slopes.dtype)
            out[b, rows] += slopes[:, b, rows].T @ weighted

        self._run(tile)

    def pull(self, slopes: np.ndarray) -> np.ndarray:
        """sum_i slopes_li (scale x_i - centre), (k, d) float64, of the first cloud, from slopes (k, n)."""
        tiles = -(-self.points.shape[1] // self.rows)
        parts = np.empty((tiles, len(slopes), self.points.shape[2]))

        def tile(b: int, rows: slice) -> None:
            if b == 0:
                parts[rows.start // self.rows] = slopes[:, rows] @ self._block(b, rows)

        self._run(tile)
        return parts.sum(axis=0)

    def _block(self, b: int, rows: slice) -> np.ndarray:
        block = self.points[b, rows] * float(self.scales[b])
        block -= self.centres[b]
        return block

    def _run(self, work) -> None:
        batch, n, _ = self.points.shape
        tiles = -(-n // self.rows)

        def tile(k: int) -> None:
            start = k % tiles * self.rows
            work(k // tiles, slice(start, min(start + self.rows, n)))

        with blas_single_thread():
            run(tile, batch * tiles, serial=self.points.size < SLICE_NUMBERS)


def weighted_gram(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """sum_i weights_i points_i points_i^T (d, d) of points (n, d), weights (n,), float64; summed in a fixed order."""
    n, d = points.shape
    rows = max(64, SLICE_NUMBERS // d)
    gram = np.zeros((d, d))
    with blas_single_thread():
        for start in range(0, n, rows):
            block = points[start : start + rows]
            gram += block.T @ (block * weights[start : start + rows, None])
    return gram
