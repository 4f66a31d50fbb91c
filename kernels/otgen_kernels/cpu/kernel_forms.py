"""Statistics of one pooled sample under many labellings, its pairs or its sorted projections worked out once."""

from __future__ import annotations

import numpy as np
from numba import njit

from ..constants import SERIAL_PAIRS
from . import pool
from .kernel_pairs import KernelPairs
from .kernel_sum import rounds


def kernel_forms(x: np.ndarray, marks: np.ndarray, *, kernel: str, scales: np.ndarray, bandwidth: float) -> np.ndarray:
    """Return sum_ij s_i s_j k(x_i, x_j), float64 (P,), of every column s of marks (n, P), whose entries are 0 and 1.

    Tiles of k in the precision of x, each times the marks of its columns by a GEMM: 2 n^2 P operations at most, halved
    since k is symmetric.
    """
    pairs = KernelPairs(x, None, kernel, scales, bandwidth, path="products")
    marks = np.require(marks, pairs.dtype, "C")
    ones, none, nothing = np.ones(len(x), pairs.dtype), np.empty(0), np.empty((0, 0))
    total = np.zeros(marks.shape[1])
    with pool.blas_single_thread():
        for units in rounds(len(x), None, scatter=False):
            found = np.zeros((len(units), marks.shape[1]))

            def work(k: int, units=units, found=found) -> None:
                unit = units[k]
                for top, left, tile in pairs.tiles(unit):
                    height, width = tile.shape
                    rows = np.zeros(height)
                    pairs.fold(
                        tile, top, left, ones, ones, False, False, rows, none, nothing, nothing, False, False, True
                    )
                    sums = tile @ marks[left : left + width]
                    sums *= marks[top : top + height]
                    found[k] += (1 + unit.mirrored) * sums.sum(0, dtype=np.float64)

            pool.run(work, len(units), serial=len(x) ** 2 < SERIAL_PAIRS)
            total += found.sum(0)
    return np.ldexp(total, pairs.value_exponent)


def line_forms(values: np.ndarray, marks: np.ndarray, *, p: float) -> np.ndarray:
    """Return (mean over lines of W_p^p)^(1/p), W_p between the marked and the unmarked points: float64 (P,).

    values (n, L) are the coordinates along L lines, marks (n, P) bool with as many True in each column; weights are
    uniform on both sides.
    """
    size = float(np.abs(values).max())
    exponent = int(np.frexp(size)[1]) + 1 if size > 0.0 else 0
    scaled = np.ldexp(values.astype(np.float64), -exponent)
    scaled -= 0.5 * (scaled.min(0) + scaled.max(0))  # far from 0 their p-th powers would underflow
    extent = float(np.abs(scaled).max())
    shift = int(np.frexp(extent)[1]) if extent > 0.0 else 0
    scaled, exponent = np.ldexp(scaled, -shift), exponent + shift
    order = np.argsort(scaled, axis=0, kind="stable")
    order = np.ascontiguousarray(order.T)
    at = np.ascontiguousarray(np.take_along_axis(scaled.T, order, 1))
    labels = np.ascontiguousarray(marks.T)
    out = np.empty((marks.shape[1], values.shape[1]))
    pool.run(lambda k: _labelled(at, order, labels[k], float(p), out[k]), len(labels), serial=out.size * len(at) < 2e4)
    return np.ldexp(out.mean(1) ** (1.0 / p), exponent)


@njit(nogil=True, cache=True, error_model="numpy")
def _labelled(at, order, labels, p, out):
    """W_p^p along each line: what is left of the points in turn is matched, in whole numbers."""
    n = labels.size
    marked = 0
    for i in range(n):
        marked += labels[i]
    others = n - marked
    x, y = np.empty(marked), np.empty(others)
    for line in range(at.shape[0]):
        total = 0.0
        if p == 1.0:  # the integral of |F - G|
            ahead = 0
            for t in range(n - 1):
                ahead += others if labels[order[line, t]] else -marked
                total += abs(ahead) * (at[line, t + 1] - at[line, t])
        else:
            i = j = 0
            for t in range(n):
                if labels[order[line, t]]:
                    x[i] = at[line, t]
                    i += 1
                else:
                    y[j] = at[line, t]
                    j += 1
            i = j = 0
            left_x, left_y = others, marked  # each marked point has `others` parts of the mass
            while i < marked and j < others:
                step = min(left_x, left_y)
                u = abs(x[i] - y[j])
                total += step * (u * u if p == 2.0 else u**p)
                left_x -= step
                left_y -= step
                if left_x == 0:
                    i += 1
                    left_x = others
                if left_y == 0:
                    j += 1
                    left_y = marked
        out[line] = total / (np.float64(marked) * np.float64(others))
