"""Smoothed cells over listed sites: softmax weights p_i(x) ~ exp((<x, y_i> + h_i) / eps), their means and Laplacian.

w_i = mean p_i is the mass of a smoothed cell, and (1/eps) mean [diag(p) - p p^T] the derivative of w in h: a Laplacian,
only ever applied. Sums run over PARTS fixed parts of the samples, whatever the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from . import pool
from .exp2 import exp2

PARTS = 8
"""Parts of the samples of a list, each with sums of its own."""

_options = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}


@njit(**_options)
def soften(score, index, h, rate, weights, mass, curvature):
    """weights = softmax of (score + h[index]) by rows, rate = 1 / (eps ln 2); mass += p, curvature += p (1 - p)."""
    k = score.shape[1]
    z = np.empty(k, np.float32)
    one = np.float32(1.0)
    for r in range(score.shape[0]):
        peak = np.float32(-1e38)
        for t in range(k):
            z[t] = score[r, t] + h[index[r, t]]
            if z[t] > peak:
                peak = z[t]
        for t in range(k):
            z[t] = exp2((z[t] - peak) * rate)
        total = np.float32(0.0)
        for t in range(k):
            total += z[t]
        scale = one / total
        for t in range(k):
            p = z[t] * scale
            weights[r, t] = p
            if p > np.float32(0.0):
                i = index[r, t]
                mass[i] += p
                curvature[i] += p * (one - p)


@njit(**_options)
def apply_laplacian(weights, index, v, out):
    """Add sum over rows of p_i (v_i - sum_j p_j v_j) to out."""
    k = weights.shape[1]
    for r in range(weights.shape[0]):
        # From the highest site: the sum of the weights, rounded, is not 1, and a constant v must give 0.
        first = v[index[r, 0]]
        mean = 0.0
        for t in range(k):
            mean += weights[r, t] * (v[index[r, t]] - first)
        for t in range(k):
            i = index[r, t]
            out[i] += weights[r, t] * ((v[i] - first) - mean)


class Lists:
    """Listed sites of samples, of n: score (N, k) = <x, y_i> + what depends on x alone, index (N, k) int32."""

    def __init__(self, score: np.ndarray, index: np.ndarray, n: int):
        self.score, self.index, self.n = score, index, n
        self.weights = np.empty_like(score)
        cuts = np.linspace(0, len(score), PARTS + 1).astype(np.int64)
        self._parts = list(zip(cuts[:-1].tolist(), cuts[1:].tolist()))
        self._serial = score.size < 20_000

    def soften(self, h: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray]:
        """Keep the weights at h and eps; return the sums over samples of p and of p (1 - p) / eps."""
        mass, curvature = np.zeros((PARTS, self.n)), np.zeros((PARTS, self.n))
        low, rate = h.astype(np.float32), np.float32(1.0 / (eps * np.log(2.0)))

        def work(part: int) -> None:
            lo, hi = self._parts[part]
            soften(self.score[lo:hi], self.index[lo:hi], low, rate, self.weights[lo:hi], mass[part], curvature[part])

        pool.run(work, PARTS, serial=self._serial)
        return mass.sum(0), curvature.sum(0) / eps

    def laplacian(self, v: np.ndarray, eps: float) -> np.ndarray:
        """Return (1/eps) sum over samples of [diag(p) - p p^T] v for the weights kept."""
        out = np.zeros((PARTS, self.n))

        def work(part: int) -> None:
            lo, hi = self._parts[part]
            apply_laplacian(self.weights[lo:hi], self.index[lo:hi], v, out[part])

        pool.run(work, PARTS, serial=self._serial)
        return out.sum(0) / eps
