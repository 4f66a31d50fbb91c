"""The k smallest c(x_i, y_j) - h_j in high dimension: float32 GEMM tiles propose, float64 differences decide.

With x, y centred and scaled to at most 1, and u = 2^-24, the screened s = |x|^2 + |y|^2 - 2 <x, y> is within
u (2 d |x| |y| + 4 (|x| + |y|)^2) + 2 r (|x| + |y|) + r^2 of |x - y|^2, r being how far rounding to float32 moves x
and y. Every pair that this leaves in doubt is decided anew from its coordinates.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..constants import BIG, BLOCK, TILE_COLUMNS, TILE_ROWS
from ..costs import Cost
from . import pool
from .decide import IDENTITY, POWER, ROOT, SQUARE, SQUARES, cost, settle

_U = 2.0**-24
_UP = np.float32(1 + 2.0**-20)  # makes up for a few roundings in float32


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _screen(product, r, block, square, height, near, limit, shape, unit, score):
    """Score a block of pairs of row r so that c <= limit + height implies score <= 0; return how many are.

    For a power, limit is already the largest s of interest.
    """
    # Counted in float32, so that a register holds as many counts as scores.
    hits, one, zero = np.float32(0.0), np.float32(1.0), np.float32(0.0)
    size = product.shape[2]
    for t in range(size):
        score[t] = product[r, block, t] + square[block, t] + near
    if shape == IDENTITY:
        for t in range(size):
            score[t] = unit * score[t] - (limit + height[block, t]) * _UP
            hits += one if score[t] <= zero else zero
    elif shape == ROOT:
        for t in range(size):
            c = (limit + height[block, t]) * _UP  # sqrt(s) <= c, without the root
            score[t] -= c * abs(c)
            hits += one if score[t] <= zero else zero
    elif shape == SQUARE:
        for t in range(size):
            s = max(unit * score[t], zero)
            score[t] = s * s - (limit + height[block, t]) * _UP
            hits += one if score[t] <= zero else zero
    else:
        for t in range(size):
            score[t] -= limit
            hits += one if score[t] <= zero else zero
    # Nothing is added: but an array that ends in several branches has its references counted, atomically.
    return hits + zero * np.float32(height.shape[0] + score.shape[0])


@njit(nogil=True, cache=True, error_model="numpy")
def fold_tile(
    product, row, columns, x, y, h, near, square, height, highest, shift, spare, grow, shape, q, unit,
    value, index, sizes,
):  # fmt: skip
    """Offer every pair of a tile that may matter to the candidates of its rows row, row + 1, ..."""
    k = value.shape[1] // 2
    width = product.shape[2]
    score = np.empty(width, np.float32)
    for r in range(product.shape[0]):
        i = row + r
        size = sizes[r]
        best = value[r, k - 1] if size == k else BIG
        for block in range(product.shape[1]):
            t = 0
            while t < width:
                # The most that c + (max h - h_j) may be, in the units of the tile and rounded up.
                limit = ((best + shift) + spare) * (1.0 + 1e-6) * grow + 1e-30
                if best == BIG:
                    limit = np.inf
                elif shape == POWER:
                    limit = max(limit + highest[block], 0.0) ** (1.0 / q) / unit * (1.0 + 1e-6)
                if _screen(product, r, block, square, height, near[i], np.float32(limit), shape, unit, score) == 0.0:
                    break
                while t < width:
                    at = t
                    t += 1
                    if score[at] <= 0.0:
                        j = columns[block * width + at]
                        if j < 0:  # padding
                            t = width
                            break
                        v = cost(x, i, y, j, SQUARES, shape, q, np.float64(unit)) - h[j]
                        if v <= best:
                            value[r, size], index[r, size] = v, j
                            size += 1
                            if size == 2 * k:
                                settle(value, index, r, size)
                                size = k
                                best = value[r, k - 1]
                                break  # the lower limit may spare the rest of the block
        settle(value, index, r, size)
        sizes[r] = min(size, k)


class _Cloud:
    """A cloud in float32, centred and scaled, its squared norms, and how far rounding moved its points at most."""

    def __init__(self, x: np.ndarray, centre: np.ndarray, e: int):
        self.points = np.empty(x.shape, np.float32)
        self.square = np.empty(len(x))
        self.moved = 0.0
        for lo in range(0, len(x), TILE_ROWS):  # by tiles: no second copy of x in float64
            exact = np.ldexp(x[lo : lo + TILE_ROWS] - centre, -e)
            near = exact.astype(np.float32)
            self.points[lo : lo + TILE_ROWS] = near
            back = near.astype(np.float64)
            self.square[lo : lo + TILE_ROWS] = np.einsum("ij,ij->i", back, back)
            self.moved = max(self.moved, float(np.sqrt(((exact - back) ** 2).sum(1).max())))


class GemmPairs:
    """Pairs of the clouds x and y under a euclidean or cosine cost, reduced behind tiles of x @ y.T."""

    def __init__(self, x: np.ndarray, y: np.ndarray, cost: Cost):
        self._raw, self._cost = (x, y), cost
        centre = 0.5 * (x.mean(0, dtype=np.float64) + y.mean(0, dtype=np.float64))
        reach = max(np.abs(edge - centre).max() for z in (x, y) for edge in (z.min(0), z.max(0)))
        e = int(np.frexp(reach)[1])
        self._clouds = (_Cloud(x, centre, e), _Cloud(y, centre, e))
        self._grow = 2.0 ** (-2.0 * cost.q * e)
        # Centring rounds too: each coordinate by at most one unit of its size before.
        size = np.ldexp(np.abs(centre).max() + reach, -e) * np.sqrt(x.shape[1])
        self._moved = self._clouds[0].moved + self._clouds[1].moved + 4 * np.finfo(np.float64).eps * size

    def reduce(self, rows: int, h: np.ndarray, values: np.ndarray, indices: np.ndarray, *, serial: bool) -> None:
        """Fill values and indices for the cloud `rows` (0: x, 1: y) against the other, whose offsets are h."""
        x, y, cost = self._raw[rows], self._raw[1 - rows], self._cost
        near, far = self._clouds[rows], self._clouds[1 - rows]
        d, k = x.shape[1], values.shape[1]
        # In random order a new best pair is found log m times, whatever the order of y; for a power blocks of like h
        # are worth more.
        columns = np.random.default_rng(0).permutation(len(y))
        if cost.shape == POWER:
            columns = columns[np.argsort(-h[columns], kind="stable")]
        shift, largest = h.max(), np.abs(h).max()
        padded = -(-len(y) // BLOCK) * BLOCK
        points, square = np.zeros((padded, d), np.float32), np.zeros(padded, np.float32)
        height, names = np.full(padded, -1e18), np.full(padded, -1)
        names[: len(y)], points[: len(y)], square[: len(y)] = columns, far.points[columns], far.square[columns]
        height[: len(y)] = np.maximum((h[columns] - shift) * self._grow, -1e18)
        highest = height.reshape(-1, BLOCK).max(1)
        height = np.nextafter(height.astype(np.float32), np.float32(np.inf)) * np.float32(1 - 2.0**-22)
        eps = np.finfo(np.float64).eps
        norm, most = np.sqrt(near.square), np.sqrt(far.square.max())
        doubt = _U * (2 * d * norm * most + 4 * (norm + most) ** 2) + 2 * self._moved * (norm + most) + self._moved**2
        screened = (near.square - 1.1 * doubt - 1e-30).astype(np.float32)
        square, height = square.reshape(-1, BLOCK), height.reshape(-1, BLOCK)

        def work(tile: int) -> None:
            lo = tile * TILE_ROWS
            hi = min(lo + TILE_ROWS, len(x))
            left = near.points[lo:hi] * np.float32(-2)
            value, index = np.empty((hi - lo, 2 * k)), np.empty((hi - lo, 2 * k), np.int64)
            sizes = np.zeros(hi - lo, np.int64)
            room = np.empty((hi - lo) * min(TILE_COLUMNS, padded), np.float32)
            for first in range(0, padded, TILE_COLUMNS):
                last = min(first + TILE_COLUMNS, padded)
                blocks = slice(first // BLOCK, last // BLOCK)
                product = room[: (hi - lo) * (last - first)].reshape(hi - lo, last - first)
                np.matmul(left, points[first:last].T, out=product)
                fold_tile(
                    product.reshape(hi - lo, -1, BLOCK), lo, names[first:last], x, y, h, screened, square[blocks],
                    height[blocks], highest[blocks], shift, 16 * eps * largest, self._grow, cost.shape, cost.q,
                    np.float32(cost.unit), value, index, sizes,
                )  # fmt: skip
            values[lo:hi], indices[lo:hi] = value[:, :k], index[:, :k]

        with pool.blas_single_thread():
            pool.run(work, -(-len(x) // TILE_ROWS), serial=serial)
