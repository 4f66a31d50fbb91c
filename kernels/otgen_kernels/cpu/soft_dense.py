"""Sums of 2^z over pairs from tiles of costs: a GEMM in high dimension, loops, or the user's own matrix.

z_ij = k (near_i + h_j - c_ij) as in soft_local. A tile of x . y (or of distances, or of the matrix) is made in a buffer
that stays in cache; behind it each run of 64 pairs is looked at first, and only where one of them can be seen in the
sum are its powers taken.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numba import njit

from ..constants import SOFT_COLUMNS, SOFT_RUN, TILE_ROWS
from ..costs import Cost
from . import pool
from .decide import ABSOLUTES, IDENTITY, ROOT, SQUARE, SQUARES
from .exp2 import LOWEST, exp2, log2
from .soft_local import AVERAGE, FAR, GRADIENT, LARGEST, TOTAL

_options = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}


@njit(**_options)
def fold_tile(product, row_term, column_term, factor, shape, q, cut, mode, low, sums):
    """Reduce a tile: z = row_term_i + column_term_j + factor * product^q; modes that need the powers leave them there.

    product is (rows, runs, 64) and column_term (runs, 64). GRADIENT leaves 2^z dc/ds, and 0 where s is 0.
    """
    size = product.shape[2]
    z = column_term[0].copy()
    z[0], z[1] = 0.0, -0.5 * low
    zero, high = z[0], z[1]
    for r in range(product.shape[0]):
        first = row_term[r]
        for b in range(product.shape[1]):
            if shape == IDENTITY:
                for t in range(size):
                    z[t] = first + column_term[b, t] + factor * product[r, b, t]
            elif shape == ROOT:
                for t in range(size):
                    z[t] = first + column_term[b, t] + factor * np.sqrt(max(product[r, b, t], zero))
            elif shape == SQUARE:
                for t in range(size):
                    s = max(product[r, b, t], zero)
                    z[t] = first + column_term[b, t] + factor * (s * s)
            else:
                for t in range(size):
                    z[t] = first + column_term[b, t] + factor * exp2(q * log2(product[r, b, t]))
            peak = z[0]
            for t in range(size):
                peak = max(peak, z[t])
            if mode == LARGEST:
                sums[r, 0] = max(sums[r, 0], np.float64(peak))
                continue
            if peak < cut:
                if mode >= AVERAGE:
                    for t in range(size):
                        product[r, b, t] = zero
                continue
            if not peak <= high:  # a poor guess: powers stop half way to the end of exp2
                for t in range(size):
                    z[t] = min(high, z[t])
            total, moment = zero, zero
            if mode == TOTAL:
                for t in range(size):
                    total += exp2(z[t])
            elif mode < AVERAGE:
                for t in range(size):
                    u = max(z[t], low)
                    v = exp2(u)
                    total += v
                    moment += u * v
                sums[r, 1] += np.float64(moment)
            else:
                for t in range(size):
                    z[t] = exp2(z[t])
                    total += z[t]
                if mode == AVERAGE or shape == IDENTITY:
                    for t in range(size):
                        product[r, b, t] = z[t]
                elif shape == ROOT:
                    for t in range(size):
                        s = product[r, b, t]
                        product[r, b, t] = q * z[t] / np.sqrt(s) if s > zero else zero
                elif shape == SQUARE:
                    for t in range(size):
                        product[r, b, t] *= q * z[t]
                else:
                    for t in range(size):
                        s = product[r, b, t]
                        product[r, b, t] = q * z[t] * exp2(q * log2(s)) / s if s > zero else zero
            sums[r, 0] += np.float64(total)


@njit(**_options)
def square_distances(product, near, far, x, y, doubt, unit):
    """product_rt + near_r + far_t; where that is below doubt_r, unit |x_r - y_t|^2 from the coordinates instead."""
    d = x.shape[1]
    for r in range(product.shape[0]):
        row, least = product[r], doubt[r]
        close = least
        for t in range(row.size):
            row[t] += near[r] + far[t]
            close = min(close, row[t])
        if close == least:
            continue
        for t in range(row.size):
            if row[t] < least:
                s = 0.0
                for c in range(d):
                    s += (x[r, c] - y[t, c]) ** 2
                row[t] = unit * s


@njit(**_options)
def close_gradients(weights, product, doubt, x, y, scale, sums):
    """Add scale sum_t weights_rt (x_r - y_t) over pairs of s below doubt_r to sums[:, 1:], and end their weights."""
    for r in range(product.shape[0]):
        for t in range(product.shape[1]):
            if product[r, t] < doubt[r]:
                w = scale * np.float64(weights[r, t])
                weights[r, t] = 0.0
                for c in range(x.shape[1]):
                    sums[r, 1 + c] += w * (x[r, c] - y[t, c])


@njit(**_options)
def distances(product, x, y, form):
    """sum |x - y| or max |x - y| of each pair of a tile; y (d, m) by coordinates, so that pairs lie side by side."""
    for r in range(product.shape[0]):
        row = product[r]
        row[:] = 0.0
        for c in range(x.shape[1]):
            u, at = x[r, c], y[c]
            if form == ABSOLUTES:
                for t in range(at.size):
                    row[t] += abs(u - at[t])
            else:
                for t in range(at.size):
                    row[t] = max(row[t], abs(u - at[t]))


@njit(**_options)
def distance_gradients(weights, x, y, form, distances, sums):
    """sum_t weights_rt grad_x sum |x - y_t| or max |x - y_t| (its lowest tied coordinate) into sums[:, 1:]."""
    d = x.shape[1]
    for r in range(weights.shape[0]):
        for t in range(weights.shape[1]):
            w = np.float64(weights[r, t])
            if w == 0.0:
                continue
            for c in range(d):
                u = x[r, c] - y[c, t]
                if form == ABSOLUTES:
                    sums[r, 1 + c] += w * np.sign(u)
                elif abs(u) == distances[r, t]:
                    sums[r, 1 + c] += w * np.sign(u)
                    break


class Tiles(Protocol):
    """Where tiles of s come from, with c = (factor s)^q or, if linear, c = row and column terms + factor s."""

    shape: tuple[int, int]

    def prepare(self, side: int, k: float, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray, float]:
        """The terms of z = k (near + h) + row_i + column_j + factor s^q that do not depend on near and h."""
        ...

    def fill(self, side: int, lo: int, hi: int, first: int, last: int, k: float, product: np.ndarray) -> None:
        """Write s of the rows lo..hi of the cloud `side` against the columns first..last of the other."""
        ...

    def add_gradient(
        self, side: int, lo: int, hi: int, first: int, last: int, weights: np.ndarray, sums: np.ndarray
    ) -> None:
        """Add sum_j weights_ij grad_x s_ij to sums[:, 1:]."""
        ...


class GemmTiles:
    """s = unit |x - y|^2 through x @ y.T of centred clouds; where q = 1 the norms go into the terms of z instead."""

    def __init__(self, x: np.ndarray, y: np.ndarray, cost: Cost):
        centre = 0.5 * (x.mean(0) + y.mean(0))
        self._exact = x - centre, y - centre
        self._cost, self.shape = cost, (len(x), len(y))
        self._norms = tuple(cost.unit * np.einsum("ij,ij->i", z, z) for z in self._exact)
        self.linear = cost.shape == IDENTITY
        self._cast: dict[np.dtype, tuple[np.ndarray, np.ndarray]] = {}

    def _points(self, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
        if dtype not in self._cast:
            x, y = self._exact
            self._cast[dtype] = x.astype(dtype, copy=False), y.astype(dtype, copy=False)
        return self._cast[dtype]

    def prepare(self, side: int, k: float, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray, float]:
        self._points(dtype)
        rows, columns = self._norms[side], self._norms[1 - side]
        if self.linear:
            return -k * rows, -k * columns, 1.0
        return np.zeros(len(rows)), np.zeros(len(columns)), -k

    def fill(self, side: int, lo: int, hi: int, first: int, last: int, k: float, product: np.ndarray) -> None:
        points = self._points(product.dtype)
        scale = 2.0 * self._cost.unit * (k if self.linear else -1.0)
        left = points[side][lo:hi] * product.dtype.type(scale)
        np.matmul(left, points[1 - side][first:last].T, out=product)
        if not self.linear:
            x, y = self._exact[side][lo:hi], self._exact[1 - side][first:last]
            near, far = (norms.astype(product.dtype) for norms in self._norms_of(side, lo, hi, first, last))
            doubt = self._doubt(side, lo, hi, first, last, product.dtype)
            square_distances(product, near, far, x, y, doubt, self._cost.unit)

    def _norms_of(self, side: int, lo: int, hi: int, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        return self._norms[side][lo:hi], self._norms[1 - side][first:last]

    def _doubt(self, side: int, lo: int, hi: int, first: int, last: int, dtype: np.dtype) -> np.ndarray:
        near, far = self._norms_of(side, lo, hi, first, last)
        return (CLOSE[dtype] * (near + far.max())).astype(dtype)

    def add_gradient(
        self, side: int, lo: int, hi: int, first: int, last: int, weights: np.ndarray, sums: np.ndarray
    ) -> None:
        # Centred points: sum_j w_j (x - y_j) keeps its digits where the clouds are far from the origin.
        points = self._points(weights.dtype)
        twice = 2.0 * self._cost.unit
        x, y, q = self._exact[side][lo:hi], self._exact[1 - side][first:last], self._cost.q
        mass = weights.sum(1, dtype=np.float64)
        if q < 1.0:  # dc/ds = q s^(q - 1) has no bound: the digits of a close pair must not meet the others'
            doubt = self._doubt(side, lo, hi, first, last, weights.dtype)
            if (mass > q * np.maximum(doubt, np.finfo(doubt.dtype).tiny) ** (q - 1.0)).any():
                found = np.empty_like(weights)
                self.fill(side, lo, hi, first, last, 0.0, found)
                close_gradients(weights, found, doubt, x, y, twice, sums)
                mass = weights.sum(1, dtype=np.float64)
        sums[:, 1:] += twice * (mass[:, None] * x - weights @ points[1 - side][first:last])


class LoopTiles:
    """s = sum |x - y| or max |x - y| of every pair, where no GEMM helps."""

    def __init__(self, x: np.ndarray, y: np.ndarray, cost: Cost):
        # In whole numbers: differences of coordinates on a grid stay what they were, and ties stay ties.
        centre = np.rint(0.5 * (x.mean(0) + y.mean(0)))
        self._exact, self._form, self.shape = (x - centre, y - centre), cost.form, (len(x), len(y))

    def prepare(self, side: int, k: float, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray, float]:
        return np.zeros(self.shape[side]), np.zeros(self.shape[1 - side]), -k

    def _tile(
        self, side: int, lo: int, hi: int, first: int, last: int, dtype: np.dtype
    ) -> tuple[np.ndarray, np.ndarray]:
        x, y = self._exact[side][lo:hi], self._exact[1 - side][first:last]
        return x.astype(dtype), np.ascontiguousarray(y.T, dtype)

    def fill(self, side: int, lo: int, hi: int, first: int, last: int, k: float, product: np.ndarray) -> None:
        distances(product, *self._tile(side, lo, hi, first, last, product.dtype), self._form)

    def add_gradient(
        self, side: int, lo: int, hi: int, first: int, last: int, weights: np.ndarray, sums: np.ndarray
    ) -> None:
        x, y = self._tile(side, lo, hi, first, last, np.dtype(np.float64))
        found = np.empty(weights.shape)
        distances(found, x, y, self._form)
        distance_gradients(weights, x, y, self._form, found, sums)


class MatrixTiles:
    """s = the cost matrix (n, m) itself, as it lies in memory, times 2^-exponent."""

    def __init__(self, matrix: np.ndarray, exponent: int):
        self._matrix, self.shape, self._exponent = matrix, matrix.shape, exponent

    def prepare(self, side: int, k: float, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray, float]:
        return np.zeros(self.shape[side]), np.zeros(self.shape[1 - side]), -k

    def fill(self, side: int, lo: int, hi: int, first: int, last: int, k: float, product: np.ndarray) -> None:
        part = self._matrix[lo:hi, first:last] if side == 0 else self._matrix[first:last, lo:hi].T
        if self._exponent:
            np.ldexp(part, -self._exponent, out=product, casting="same_kind")
        else:
            np.copyto(product, part, casting="same_kind")

    def add_gradient(
        self, side: int, lo: int, hi: int, first: int, last: int, weights: np.ndarray, sums: np.ndarray
    ) -> None:
        raise NotImplementedError("a cost matrix knows no points")


CLOSE = {np.dtype(np.float32): 2.0**-7, np.dtype(np.float64): 2.0**-20}
"""Share of |x|^2 + |y|^2 below which |x - y|^2 from a GEMM has lost too many digits."""


class DensePairs:
    """All pairs of a problem under one cost, reduced behind tiles of `Tiles`."""

    def __init__(self, tiles: Tiles, cost: Cost):
        self.tiles, self.cost = tiles, cost

    def terms(
        self, side: int, near: np.ndarray, h: np.ndarray, k: float, dtype: np.dtype
    ) -> tuple[np.ndarray, np.ndarray, np.floating]:
        """The row term (n,), the column term in runs (runs, 64) and the factor of z = row + column + factor s^q."""
        row_term, column_term, factor = self.tiles.prepare(side, k, dtype)
        m = len(column_term)
        # Moved so that both terms are small where it matters: near and h of transport differ from the norms by little.
        row_term, column_term = row_term + near, column_term + h
        shift = column_term.max()
        row_term = np.clip(row_term + shift, -FAR, FAR).astype(dtype)
        padded = np.full(-(-m // SOFT_RUN) * SOFT_RUN, -FAR, dtype)
        padded[:m] = np.maximum(column_term - shift, -FAR)
        return row_term, padded.reshape(-1, SOFT_RUN), dtype.type(factor)

    def reduce(
        self, side: int, near: np.ndarray, h: np.ndarray, k: float, mode: int, sums: np.ndarray, *,
        dtype: np.dtype, bits: float, columns: np.ndarray | None = None, rows: np.ndarray | None = None,
        serial: bool = False,
    ) -> None:  # fmt: skip
        """As LocalPairs.reduce."""
        tiles, cost = self.tiles, self.cost
        n, m = tiles.shape[side], tiles.shape[1 - side]
        row_term, column_term, factor = self.terms(side, near, h, k, dtype)
        cut = dtype.type(-(bits + np.log2(m)))
        scalars = factor, cost.shape, dtype.type(cost.q), cut, mode, dtype.type(LOWEST[dtype])
        values = None if columns is None else columns.astype(dtype, copy=False)

        def work(task: int) -> None:
            lo, hi = task * TILE_ROWS, min((task + 1) * TILE_ROWS, n)
            if rows is not None and not rows[lo:hi].any():
                return
            out = np.full((hi - lo, sums.shape[1]), -FAR if mode == LARGEST else 0.0)
            room = np.zeros((hi - lo) * min(SOFT_COLUMNS, column_term.size), dtype)
            for first in range(0, column_term.size, SOFT_COLUMNS):
                end = min(first + SOFT_COLUMNS, column_term.size)
                last = min(end, m)
                whole = room[: (hi - lo) * (end - first)].reshape(hi - lo, end - first)
                product = whole[:, : last - first]
                tiles.fill(side, lo, hi, first, last, k, product)
                runs = whole.reshape(hi - lo, -1, SOFT_RUN)
                fold_tile(runs, row_term[lo:hi], column_term[first // SOFT_RUN : end // SOFT_RUN], *scalars, out)
                if mode == AVERAGE:
                    assert values is not None
                    out[:, 1:] += product @ values[first:last]
                elif mode == GRADIENT:
                    tiles.add_gradient(side, lo, hi, first, last, product, out)
            wanted = np.ones(hi - lo, bool) if rows is None else rows[lo:hi]
            sums[lo:hi][wanted] = out[wanted]

        with pool.blas_single_thread():
            pool.run(work, -(-n // TILE_ROWS), serial=serial)


def dense_points(x: np.ndarray, y: np.ndarray, cost: Cost) -> DensePairs:
    """The pairs of x and y (float64): by GEMM for euclidean and cosine costs, by loops for the others."""
    return DensePairs((GemmTiles if cost.form == SQUARES else LoopTiles)(x, y, cost), cost)
