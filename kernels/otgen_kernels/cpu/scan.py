"""The k smallest c(x_i, y_j) - h_j by looking at every pair: what is left where neither a tree nor a GEMM helps."""

from __future__ import annotations

import numpy as np
from numba import njit

from ..constants import BIG, LEAF, SCAN_BYTES, TILE_ROWS, TINY
from ..costs import Cost
from . import pool
from .decide import ABSOLUTES, IDENTITY, POWER, ROOT, SQUARE, SQUARES, cost, settle


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def screen_leaf(x, i, leaves, heights, leaf, dims, form, shape, unit, reach, score):
    """Score one leaf so that c - h <= reach implies score <= 0; return how many are.

    For a power, reach is already the largest s of interest: no power is taken here.
    """
    size = leaves.shape[2]  # read, not LEAF: LLVM would unroll the loops first and then fail to vectorise them
    if len(dims) == 0:
        for t in range(size):
            score[t] = 0.0
        d = x.shape[1]
        whole = d - d % 4
        for k in range(0, whole, 4):  # four at a time: the scores are read and written less often
            for t in range(size):
                s = score[t]
                for r in range(4):
                    u = x[i, k + r] - leaves[leaf, k + r, t]
                    if len(form) == SQUARES:
                        s += u * u
                    elif len(form) == ABSOLUTES:
                        s += abs(u)
                    else:
                        s = max(s, abs(u))
                score[t] = s
        for k in range(whole, d):
            for t in range(size):
                u = x[i, k] - leaves[leaf, k, t]
                if len(form) == SQUARES:
                    score[t] += u * u
                elif len(form) == ABSOLUTES:
                    score[t] += abs(u)
                else:
                    score[t] = max(score[t], abs(u))
    else:
        for t in range(size):
            s = 0.0
            for k in range(len(dims)):
                u = x[i, k] - leaves[leaf, k, t]
                if len(form) == SQUARES:
                    s += u * u
                elif len(form) == ABSOLUTES:
                    s += abs(u)
                else:
                    s = max(s, abs(u))
            score[t] = s
    hits = 0
    if shape == IDENTITY:
        for t in range(size):
            score[t] = unit * score[t] - (reach + heights[leaf, t])
            hits += score[t] <= 0.0
    elif shape == ROOT:
        for t in range(size):
            r = reach + heights[leaf, t]  # sqrt(s) <= r, without the root
            score[t] -= r * abs(r)
            hits += score[t] <= 0.0
    elif shape == SQUARE:
        for t in range(size):
            s = unit * score[t]
            score[t] = s * s - (reach + heights[leaf, t])
            hits += score[t] <= 0.0
    else:
        for t in range(size):
            score[t] = unit * score[t] - reach
            hits += score[t] <= 0.0
    # Nothing is added: but an array that ends in several branches has its references counted, atomically.
    return hits + 0 * (heights.shape[0] + score.shape[0])


@njit(nogil=True, cache=True, error_model="numpy")
def scan(
    x, lo, hi, first, last, y, h, leaves, heights, highest, rounding, form, shape, q, unit, slack, value, index, sizes
):
    """Offer the leaves first..last to the candidates of the rows lo..hi: row i's are in value[i - lo]."""
    k = value.shape[1] // 2
    score = np.empty(leaves.shape[2])
    for i in range(lo, hi):
        size = sizes[i - lo]
        limit = value[i - lo, k - 1] if size >= k else BIG
        for leaf in range(first, last):
            reach = limit + slack * abs(limit) + rounding + TINY
            if shape == POWER:
                reach = max(reach + highest[leaf], 0.0) ** (1.0 / q) * (1.0 + slack)
            if not screen_leaf(x, i, leaves, heights, leaf, (), form, shape, unit, reach, score):
                continue
            for u in range(min(LEAF, y.shape[0] - leaf * LEAF)):
                if score[u] <= 0.0:
                    j = leaf * LEAF + u
                    v = cost(x, i, y, j, np.int64(len(form)), shape, q, unit) - h[j]
                    if v <= limit:
                        value[i - lo, size], index[i - lo, size] = v, j
                        size += 1
                        if size == 2 * k:
                            settle(value, index, i - lo, size)
                            size = k
                            limit = value[i - lo, k - 1]
        settle(value, index, i - lo, size)
        sizes[i - lo] = min(size, k)


class ScanPairs:
    """Pairs of the clouds x and y (float64) under one cost, each looked at."""

    def __init__(self, x: np.ndarray, y: np.ndarray, cost: Cost):
        self._clouds, self._cost = (x, y), cost

    def reduce(self, rows: int, h: np.ndarray, values: np.ndarray, indices: np.ndarray, *, serial: bool) -> None:
        """Fill values and indices for the cloud `rows` (0: x, 1: y) against the other, whose offsets are h."""
        x, y, cost = self._clouds[rows], self._clouds[1 - rows], self._cost
        (m, d), k = y.shape, values.shape[1]
        slack = cost.slack(d)
        count = -(-m // LEAF)
        leaves, heights = np.zeros((count * LEAF, d)), np.full((count, LEAF), -BIG)
        leaves[:m], heights.reshape(-1)[:m] = y, h
        leaves = np.ascontiguousarray(leaves.reshape(count, LEAF, d).transpose(0, 2, 1))
        rounding = slack * float(np.abs(h).max())
        highest = heights.max(1) + rounding
        form = (0,) * cost.form
        step = max(SCAN_BYTES // leaves[0].nbytes, 1)

        def work(tile: int) -> None:
            lo = tile * TILE_ROWS
            hi = min(lo + TILE_ROWS, len(x))
            value, index = np.empty((hi - lo, 2 * k)), np.empty((hi - lo, 2 * k), np.int64)
            sizes = np.zeros(hi - lo, np.int64)
            for first in range(0, count, step):
                scan(
                    x, lo, hi, first, min(first + step, count), y, h, leaves, heights, highest, rounding, form,
                    cost.shape, cost.q, cost.unit, slack, value, index, sizes,
                )  # fmt: skip
            values[lo:hi], indices[lo:hi] = value[:, :k], index[:, :k]

        pool.run(work, -(-len(x) // TILE_ROWS), serial=serial)
