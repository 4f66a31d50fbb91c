"""Smoothed cells over listed sites on the GPU: the lists are sorted by site once, and sums by site keep that order."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import device

THREADS = 256
WARPS = THREADS // 32


class Lists:
    """Listed sites of samples, of n: score (N, k) = <x, y_i> + what depends on x alone, index (N, k) int32."""

    def __init__(self, score: Any, index: Any, n: int):
        self.score, self.index, self.n = score, index, n
        self._program = device.Program("cells_soft")
        with device.home((score, index)):
            cupy = device.namespace()
            self.weights = cupy.empty_like(score)
            flat = index.ravel()
            self._order = cupy.argsort(flat).astype(np.int64, copy=False)  # stable, as all sorts of CuPy
            self._starts = cupy.searchsorted(flat[self._order], cupy.arange(n + 1, dtype=np.int32)).astype(
                np.int64, copy=False
            )

    def soften(self, h: Any, eps: float) -> tuple[Any, Any]:
        """Keep the weights at h and eps; return the sums over samples of p and of p (1 - p) / eps."""
        with device.home((self.score, h)):
            cupy, (rows, k) = device.namespace(), self.score.shape
            low, rate = cupy.ascontiguousarray(h, np.float32), np.float32(1.0 / (eps * np.log(2.0)))
            mass, curvature = cupy.empty(self.n), cupy.empty(self.n)
            self._program(
                "soften", (-(-rows // THREADS),), (THREADS,), self.score, self.index, low, rows, k, rate, self.weights
            )
            self._program(
                "site_masses", (-(-self.n // WARPS),), (THREADS,), self.weights, self._order, self._starts, self.n,
                mass, curvature,
            )  # fmt: skip
            return mass, curvature / eps

    def laplacian(self, v: Any, eps: float) -> Any:
        """Return (1/eps) sum over samples of [diag(p) - p p^T] v for the weights kept."""
        with device.home((self.score, v)):
            cupy, (rows, k) = device.namespace(), self.score.shape
            v, base, out = cupy.ascontiguousarray(v, np.float64), cupy.empty(rows), cupy.empty(self.n)
            self._program("row_means", (-(-rows // THREADS),), (THREADS,), self.weights, self.index, v, rows, k, base)
            self._program(
                "site_differences", (-(-self.n // WARPS),), (THREADS,), self.weights, self._order, self._starts, v,
                base, self.n, k, out,
            )  # fmt: skip
            return out / eps
