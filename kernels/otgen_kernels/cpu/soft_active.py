"""The pairs that a plan can feel, listed: a Sinkhorn iteration among them costs a small part of one over all pairs.

Where eps is small against the costs of high dimension, a few pairs in a hundred carry all but 2^-bits of the plan. They
are collected in one pass, with z_ij = log2 of their share of row i, up to a fixed number; what an iteration among them
finds has then to be tested over all pairs.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..constants import ACTIVE_PAIRS, ACTIVE_PARTS, ACTIVE_SHARE, SOFT_COLUMNS, SOFT_RUN, TILE_ROWS
from . import pool
from .decide import IDENTITY, ROOT, SQUARE
from .exp2 import exp2, log2
from .soft_dense import DensePairs

_options = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}
_TOP = np.float32(100.0)  # bits: exp2 knows no infinity
_LOG2_E = float(np.log2(np.e))


@njit(**_options)
def collect_tile(product, row_term, column_term, factor, shape, q, cut, first, rows, cols, values, size):
    """Append the pairs of a tile whose z reaches the cut of their column; returns how many there are now, or -1."""
    width = product.shape[2]
    z = column_term[0].copy()
    for r in range(product.shape[0]):
        for b in range(product.shape[1]):
            least = z[0] - z[0]
            if shape == IDENTITY:
                for t in range(width):
                    z[t] = row_term[r] + column_term[b, t] + factor * product[r, b, t] - cut[b, t]
            elif shape == ROOT:
                for t in range(width):
                    z[t] = row_term[r] + column_term[b, t] + factor * np.sqrt(max(product[r, b, t], least)) - cut[b, t]
            elif shape == SQUARE:
                for t in range(width):
                    s = max(product[r, b, t], least)
                    z[t] = row_term[r] + column_term[b, t] + factor * (s * s) - cut[b, t]
            else:
                for t in range(width):
                    z[t] = row_term[r] + column_term[b, t] + factor * exp2(q * log2(product[r, b, t])) - cut[b, t]
            peak = z[0]
            for t in range(width):
                peak = max(peak, z[t])
            if peak < least:
                continue
            for t in range(width):
                if z[t] >= least:
                    if size == cols.size:
                        return -1
                    rows[size], cols[size], values[size] = r, first + b * width + t, z[t] + cut[b, t]
                    size += 1
    return size


@njit(nogil=True, cache=True, error_model="numpy")
def gather(keys, names, values, count):
    """Entries by key, in their order within one: starts (count + 1,), names and values."""
    starts = np.zeros(count + 1, np.int64)
    for e in range(keys.size):
        starts[keys[e] + 1] += 1
    for i in range(count):
        starts[i + 1] += starts[i]
    fill = starts[:-1].copy()
    out_names, out_values = np.empty_like(names), np.empty_like(values)
    for e in range(keys.size):
        at = fill[keys[e]]
        out_names[at], out_values[at] = names[e], values[e]
        fill[keys[e]] += 1
    return starts, out_names, out_values


@njit(**_options)
def active_rows(starts, names, values, moved, lo, hi, room, out):
    """out_i = log2 sum_e 2^(values_e + moved[names_e]) over the entries e of each row lo..hi."""
    for i in range(lo, hi):
        name, value = names[starts[i] : starts[i + 1]], values[starts[i] : starts[i + 1]]
        z = room[: name.size]
        for e in range(name.size):
            z[e] = value[e] + moved[name[e]]
        peak = z[0]
        for e in range(name.size):
            peak = max(peak, z[e])
        total = peak - peak
        for e in range(name.size):
            total += exp2(z[e] - peak)
        out[i] = np.float64(peak) + np.log2(np.float64(total))


@njit(**_options)
def active_columns(starts, names, values, moved, guess, lo, hi, room, out):
    """out_j += sum_e 2^(values_e + moved_i + guess_j) over the entries e = (i, j) of the rows lo..hi."""
    for i in range(lo, hi):
        name, value = names[starts[i] : starts[i + 1]], values[starts[i] : starts[i + 1]]
        z, first = room[: name.size], moved[i]
        for e in range(name.size):
            z[e] = value[e] + (first + guess[name[e]])
        for e in range(name.size):
            z[e] = exp2(min(z[e], _TOP))
        for e in range(name.size):
            out[name[e]] += np.float64(z[e])


class ActivePairs:
    """Listed pairs of a problem at one eps, answering `transform` as SoftPairs does, among themselves."""

    def __init__(
        self, starts: np.ndarray, names: np.ndarray, values: np.ndarray, ends: tuple[np.ndarray, np.ndarray],
        rounding: float,
    ):  # fmt: skip
        self._list, self._ends, self._rounding = (starts, names, values), ends, rounding
        self.shape = (len(ends[0]), len(ends[1]))
        self._longest = int(np.diff(starts).max())
        # Parts of the list with sums of their own, added in one order: the same numbers on any number of threads.
        self._cuts = np.searchsorted(starts, np.linspace(0, starts[-1], ACTIVE_PARTS + 1))

    def transform(
        self, side: int, h: np.ndarray, eps: float, near: np.ndarray | None = None, *, single: bool = True,
        bits: float | None = None, rough: bool = False,
    ) -> np.ndarray:  # fmt: skip
        """Return v_i = -eps log sum_j exp((h_j - c_ij) / eps) over the listed pairs, for the eps of the list.

        For side 1, near is a guess that is right to 100 bits, as the last answer of an iteration is.
        """
        scale, moved = _LOG2_E / eps, h * (_LOG2_E / eps) - self._ends[1 - side]
        moved = moved.astype(np.float32)
        if side == 0:
            return (self._ends[0] - self._rows(moved)) / scale
        assert near is not None
        guess = (near * scale - self._ends[1]).astype(np.float32)
        return (self._ends[1] + guess - np.log2(self._columns(moved, guess))) / scale

    def _rows(self, moved: np.ndarray) -> np.ndarray:
        n = self.shape[0]
        out = np.empty(n)

        def work(task: int) -> None:
            room = np.empty(self._longest, np.float32)
            active_rows(*self._list, moved, task * TILE_ROWS, min((task + 1) * TILE_ROWS, n), room, out)

        pool.run(work, -(-n // TILE_ROWS))
        return out

    def _columns(self, moved: np.ndarray, guess: np.ndarray) -> np.ndarray:
        sums = np.zeros((ACTIVE_PARTS, self.shape[1]))

        def work(part: int) -> None:
            room = np.empty(self._longest, np.float32)
            active_columns(*self._list, moved, guess, self._cuts[part], self._cuts[part + 1], room, sums[part])

        pool.run(work, ACTIVE_PARTS)
        return sums.sum(axis=0)

    def rounding(self, eps: float, single: bool) -> float:
        """As SoftPairs.rounding: what the exponents were computed with."""
        return self._rounding


def collect(
    pairs: DensePairs, near: np.ndarray, h: np.ndarray, log_weights: np.ndarray, k: float, bits: float,
    rounding: float,
) -> ActivePairs | None:  # fmt: skip
    """List the pairs with 2^z > 2^-bits b_j, z = near_i + h_j - k c_ij in bits; None where they are too many.

    h includes the weights, and log_weights is log2 of b_j / sum b. Skipped pairs make up less than 2^-bits of every row
    and column.
    """
    tiles, cost, dtype = pairs.tiles, pairs.cost, np.dtype(np.float32)
    n, m = tiles.shape
    limit = min(ACTIVE_PAIRS, int(ACTIVE_SHARE * n * m))
    row_term, column_term, factor = pairs.terms(0, near, h, k, dtype)
    cut = np.full(column_term.shape, np.float32(0.0))
    cut.reshape(-1)[:m] = log_weights - bits
    tasks = -(-n // TILE_ROWS)
    room = 3 * limit // (2 * tasks)  # rows differ, yet not by much
    found: list[tuple] = [()] * tasks

    too_many = False

    def work(task: int) -> None:
        nonlocal too_many
        if too_many:
            return
        lo, hi = task * TILE_ROWS, min((task + 1) * TILE_ROWS, n)
        rows, cols, values = np.empty(room, np.uint32), np.empty(room, np.uint32), np.empty(room, np.float32)
        buffer = np.zeros((hi - lo) * min(SOFT_COLUMNS, column_term.size), dtype)
        size = 0
        for first in range(0, column_term.size, SOFT_COLUMNS):
            end = min(first + SOFT_COLUMNS, column_term.size)
            last = min(end, m)
            whole = buffer[: (hi - lo) * (end - first)].reshape(hi - lo, end - first)
            tiles.fill(0, lo, hi, first, last, k, whole[:, : last - first])
            runs = slice(first // SOFT_RUN, end // SOFT_RUN)
            size = collect_tile(
                whole.reshape(hi - lo, -1, SOFT_RUN), row_term[lo:hi], column_term[runs], factor, cost.shape,
                dtype.type(cost.q), cut[runs], first, rows, cols, values, size,
            )  # fmt: skip
            if size < 0:
                too_many = True
                return
        found[task] = gather(rows[:size], cols[:size], values[:size], hi - lo)

    with pool.blas_single_thread():
        # Two tiles tell about how many there will be.
        first = sorted({tasks // 3, 2 * tasks // 3})
        pool.run(lambda place: work(first[place]), len(first))
        if too_many or sum(len(found[task][1]) for task in first) * tasks > limit * len(first):
            return None
        others = [task for task in range(tasks) if task not in first]
        pool.run(lambda place: work(others[place]), len(others))
    lists = [one for one in found if one]
    if len(lists) < tasks or sum(len(one[1]) for one in lists) > limit:
        return None
    counts = np.concatenate([np.diff(starts) for starts, _, _ in lists])
    cols, values = (np.concatenate([one[place] for one in lists]) for place in (1, 2))
    listed = np.zeros(m, bool)
    listed[cols] = True
    if not (counts.all() and listed.all()):
        return None
    return ActivePairs(np.concatenate([[0], np.cumsum(counts)]), cols, values, (near, h), rounding)
