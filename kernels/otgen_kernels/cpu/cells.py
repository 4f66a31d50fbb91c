"""Cells of u_h(x) = max_i <x, y_i> + h_i: which site is highest at each x, counted, or the few highest, in float32.

Tiles of x @ y.T stay in cache while each run of pairs is compared with the row's best so far; only a run that beats it
is looked at pair by pair. In low dimension the products are made in the registers of that comparison instead.
Clouds are centred first, so that float32 keeps the digits that tell sites apart.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..constants import LOW, SERIAL_PAIRS, SMALL_DIMS
from . import pool
from .pairs import PairIndex

RUN = 64
"""Pairs of a row looked at together; LLVM unrolls 32 into scalar code, 128 measured no faster."""

ROWS = 192
"""Rows of one tile."""

COLUMNS = 384
"""Columns of one tile: ROWS rows of float32 fill 288 KB, its sites 96 KB at d = 64; an L2 cache has 512."""

SMALL_PAIRS = 1 << 20
"""Pairs of a tile in low dimension: a few hundred microseconds of work."""

_options = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}


@njit(**_options)
def _offer(score, r, first, keep, reach, top, index):
    """Insert the scores of a run that are among the `keep` best of row r and within reach of its best."""
    last = keep - 1
    for t in range(RUN):
        s = score[t]
        if s > top[r, last] and s > top[r, 0] - reach:
            at = last
            while at > 0 and s > top[r, at - 1]:
                top[r, at], index[r, at] = top[r, at - 1], index[r, at - 1]
                at -= 1
            top[r, at], index[r, at] = s, first + t


@njit(**_options)
def fold_tile(product, term, base, keep, reach, top, index):
    """Offer every product[r, b, t] + term[b, t] to the keep best scores top[r] and their sites index[r].

    Scores above the bar are counted, in float32: LLVM makes vector code of that, and none of a maximum.
    """
    score = np.empty(RUN, np.float32)
    one, zero = np.float32(1.0), np.float32(0.0)
    for r in range(product.shape[0]):
        bar = max(top[r, keep - 1], top[r, 0] - reach)
        for b in range(product.shape[1]):
            hits = zero
            for t in range(RUN):
                hits += one if product[r, b, t] + term[b, t] > bar else zero
            if hits > zero:
                for t in range(RUN):
                    score[t] = product[r, b, t] + term[b, t]
                _offer(score, r, base + b * RUN, keep, reach, top, index)
                bar = max(top[r, keep - 1], top[r, 0] - reach)


@njit(**_options)
def fold_rows(x, y, term, keep, reach, top, index):
    """As fold_tile with the products made here; y (d, runs, RUN), d even."""
    score = np.empty(RUN, np.float32)
    one, zero = np.float32(1.0), np.float32(0.0)
    for r in range(x.shape[0]):
        bar = max(top[r, keep - 1], top[r, 0] - reach)
        u, v = x[r, 0], x[r, 1]
        for b in range(y.shape[1]):
            hits = zero
            if y.shape[0] == 2:
                for t in range(RUN):
                    hits += one if term[b, t] + u * y[0, b, t] + v * y[1, b, t] > bar else zero
            if y.shape[0] > 2 or hits > zero:
                for t in range(RUN):
                    score[t] = term[b, t] + u * y[0, b, t] + v * y[1, b, t]
                for c in range(2, y.shape[0], 2):
                    p, q = x[r, c], x[r, c + 1]
                    for t in range(RUN):
                        score[t] += p * y[c, b, t] + q * y[c + 1, b, t]
                hits = zero
                for t in range(RUN):
                    hits += one if score[t] > bar else zero
            if hits > zero:
                _offer(score, r, b * RUN, keep, reach, top, index)
                bar = max(top[r, keep - 1], top[r, 0] - reach)


class Cells:
    """The sites y (n, d), prepared once for many x and h; centre (d,) is about where x lies (None: the origin).

    fast: nothing on the host; on a GPU scores from plain TF32.
    """

    def __init__(self, y: np.ndarray, centre: np.ndarray | None = None, *, fast: bool = False):
        n, d = y.shape
        self.y = np.ascontiguousarray(y, np.float64)
        self.centre = np.zeros(d) if centre is None else np.asarray(centre, np.float64)
        self.shift = self.y.mean(0)
        moved = self.y - self.shift
        self._tilt = moved @ self.centre
        self._padded = -(-n // RUN) * RUN
        self._small = d <= SMALL_DIMS
        points = np.zeros((self._padded, d), np.float32)
        points[:n] = moved
        if self._small:
            self._points = np.zeros((d + d % 2, self._padded // RUN, RUN), np.float32)
            self._points[:d] = points.T.reshape(d, -1, RUN)
        else:
            self._points = points

    def terms(self, h: np.ndarray) -> np.ndarray:
        """Return what <x - centre, y_i - shift> needs to become <x, y_i> + h_i less a function of x: (n,) float64."""
        return h + self._tilt

    def top(self, x: np.ndarray, h: np.ndarray, keep: int, reach: float = np.inf) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores (N, keep) of the highest sites, descending, and their indices (int32).

        A score is <x - centre, y_i - shift> + terms(h)_i - max terms(h) in float32. Only sites within reach of the
        highest are sought; places left over hold LOW and site 0.
        """
        n, d = self.y.shape
        top, index = np.full((len(x), keep), LOW, np.float32), np.zeros((len(x), keep), np.int32)
        term = np.full(self._padded, 2 * LOW, np.float32)
        exact = self.terms(h)
        term[:n] = np.maximum(exact - exact.max(), LOW)
        term, reach32 = term.reshape(-1, RUN), np.float32(min(reach, 1e30))
        rows = min(max(ROWS, SMALL_PAIRS // self._padded), 4096) if self._small else ROWS

        def work(tile: int) -> None:
            lo = tile * rows
            hi = min(lo + rows, len(x))
            near = (x[lo:hi] - self.centre).astype(np.float32)
            if self._small:
                if d % 2:
                    near = np.concatenate([near, np.zeros((hi - lo, 1), np.float32)], 1)
                fold_rows(near, self._points, term, keep, reach32, top[lo:hi], index[lo:hi])
                return
            room = np.empty((hi - lo) * min(COLUMNS, self._padded), np.float32)
            for first in range(0, self._padded, COLUMNS):
                last = min(first + COLUMNS, self._padded)
                product = room[: (hi - lo) * (last - first)].reshape(hi - lo, last - first)
                np.matmul(near, self._points[first:last].T, out=product)
                tile_term = term[first // RUN : last // RUN]
                fold_tile(product.reshape(hi - lo, -1, RUN), tile_term, first, keep, reach32, top[lo:hi], index[lo:hi])

        with pool.blas_single_thread():
            pool.run(work, -(-len(x) // rows), serial=len(x) * n < SERIAL_PAIRS)
        return top, index

    def counts(self, x: np.ndarray, h: np.ndarray) -> np.ndarray:
        """Return how many of the points x each cell holds, (n,) int64."""
        return self.histogram(self.top(x, h, 1)[1][:, 0])

    def histogram(self, index: np.ndarray) -> np.ndarray:
        """Return how many entries of index (N,) each site has, (n,) int64."""
        return np.bincount(index, minlength=len(self.y))

    def tally(self, x: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, float]:
        """Return how many of the points x each cell holds, (n,) int64, and the sum of u_h(x)."""
        index, value = self.assign(x, h)
        return self.histogram(index), float(value.sum())

    def shortfall(self, x: np.ndarray, highest: np.ndarray, terms: np.ndarray, sites: np.ndarray) -> np.ndarray:
        """Return min over x of highest(x) - (<x - centre, y_i - shift> + terms_i) for the sites i."""
        near, points = (x - self.centre).astype(np.float32), (self.y[sites] - self.shift).astype(np.float32)
        low, term = np.full(len(sites), np.inf, np.float32), terms[sites].astype(np.float32)
        rows = max(SMALL_PAIRS // len(sites), 1)
        for lo in range(0, len(x), rows):
            score = near[lo : lo + rows] @ points.T + term
            np.minimum(low, (highest[lo : lo + rows, None] - score).min(0), out=low)
        return low.astype(np.float64)

    def assign(self, x: np.ndarray, h: np.ndarray, *, exact: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Return the highest site of every x and u_h(x); exact decides near-ties in float64, the lowest index first."""
        if exact:
            x = np.ascontiguousarray(x, np.float64)
            square = np.einsum("ij,ij->i", self.y, self.y)
            index = PairIndex(x, self.y, metric="euclidean", p=2.0).c_transform(2.0 * h + square)[1]
        else:
            index = self.top(x, h, 1)[1][:, 0].astype(np.int64)
        value = np.empty(len(x))
        _values(np.ascontiguousarray(x), self.y, h, index, value)
        return index, value


@njit(nogil=True, cache=True, error_model="numpy")
def _values(x, y, h, index, value):
    for r in range(x.shape[0]):
        s = 0.0
        for c in range(x.shape[1]):
            s += x[r, c] * y[index[r], c]
        value[r] = s + h[index[r]]
