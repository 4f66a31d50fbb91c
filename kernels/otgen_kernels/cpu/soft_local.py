"""Sums of 2^z over pairs in low dimension: tiles of neighbours, whose far pairs are skipped by a bound on z.

z_ij = k (near_i + h_j - c(x_i, y_j)), k = log2(e) / eps. With any guess `near` of the answer
v_i = -eps log sum_j exp((h_j - c_ij) / eps) the sums are of the size of 1, so nothing has to be known about their
largest term first, and a pair with z < -(bits of the precision + log2 m) cannot be seen in them. Pairs are compared
tile by tile: 32 rows around their centre, 128 columns around theirs. Against a tile's centre the offsets of a block are
computed in float64; what is left for the pairs is small: float32 does not cancel, however small eps is.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..constants import SOFT_BLOCK, SOFT_ROWS, TILE_ROWS
from ..costs import Cost
from . import pool
from .decide import ABSOLUTES, IDENTITY, ROOT, SQUARE, SQUARES
from .exp2 import LOWEST, exp2, log2
from .kdtree import kd_order

LARGEST, TOTAL, ENTROPY, AVERAGE, GRADIENT = range(5)
"""What is reduced: max z; sum 2^z; sum 2^z and sum 2^z z; sum 2^z (1, V_j); sum 2^z (1, grad_x c)."""

FAR = 1e30
"""Minus this is the height of a column that pads a block: below every real one, and finite in float32."""


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def local_rows(
    x, lo, hi, near, points, local, centres, widths, heights, highest, columns, dims, form, shape, q, unit, k, cut,
    mode, low, sums,
):  # fmt: skip
    """Reduce the rows lo..hi (one tile) against all blocks into sums[lo:hi]; low is where exp2 ends, in the precision
    of the pairs.

    points (blocks, d, 128) float64 and local, the same from each block's centre; heights (blocks, 128) are h_j and
    highest their maxima; columns (blocks, v, 128) is V. dims has length d and form the length of its number.
    """
    blocks, size, d, n = points.shape[0], points.shape[2], len(dims), hi - lo
    bilinear = len(form) == SQUARES and shape == IDENTITY
    middle, half, radius = np.empty(d), np.empty(d), np.empty(n)
    inside, base = np.empty((n, d)), np.empty(n)
    for c in range(d):
        least = most = x[lo, c]
        for i in range(lo + 1, hi):
            least, most = min(least, x[i, c]), max(most, x[i, c])
        middle[c] = 0.5 * least + 0.5 * most
        half[c] = max(most - middle[c], middle[c] - least)
    nearest = -FAR
    for r in range(n):
        s = 0.0
        for c in range(d):
            u = x[lo + r, c] - middle[c]
            inside[r, c] = u
            if len(form) == SQUARES:
                s += u * u
            elif len(form) == ABSOLUTES:
                s += abs(u)
            else:
                s = max(s, abs(u))
        radius[r] = np.sqrt(s) if len(form) == SQUARES else s
        base[r] = near[lo + r] - (k * unit * s if bilinear else 0.0)
        nearest = max(nearest, near[lo + r])
    away, far = np.empty(size), np.empty(d)
    offset = local[0, 0].copy()
    z, distance, weight = local[0, 0].copy(), local[0, 0].copy(), local[0, 0].copy()
    taken = np.zeros(size, np.bool_)
    slope, from_centre = local[0, :, 0].copy(), local[0, :, 0].copy()
    cast = local[0, 0].copy()  # a number takes the precision of the pairs on its way through an array of theirs
    cast[0], cast[1], cast[2], cast[3], cast[4], cast[5] = k, unit, q, 0.0, 2.0, FAR if mode == LARGEST else -0.5 * low
    # z stops half way to where exp2 ends: a sum that large only says that the guess was poor. min(high, NaN) is high.
    kw, unit_w, q_w, zero, two, high = cast[0], cast[1], cast[2], cast[3], cast[4], cast[5]
    for b in range(blocks):
        # The boxes of the tile and of the block: most pairs of tiles end here where eps is small.
        s = 0.0
        for c in range(d):
            far[c] = middle[c] - centres[b, c]
            u = max(abs(far[c]) - widths[b, c] - half[c], 0.0)
            if len(form) == SQUARES:
                s += u * u
            elif len(form) == ABSOLUTES:
                s += u
            else:
                s = max(s, u)
        if mode != LARGEST and nearest + highest[b] - k * _power(unit * s, shape, q) * (1.0 - 1e-9) < cut:
            continue
        # Each column against the centre of the tile.
        top, most = -2.0 * FAR, 0.0
        for t in range(size):
            s = 0.0
            for c in range(d):
                u = middle[c] - points[b, c, t]
                if len(form) == SQUARES:
                    s += u * u
                elif len(form) == ABSOLUTES:
                    s += abs(u)
                else:
                    s = max(s, abs(u))
            away[t] = s
            most = max(most, s)
        if bilinear:
            for t in range(size):
                away[t] = heights[b, t] - k * unit * away[t]
        else:
            for t in range(size):
                away[t] = heights[b, t] - k * _power(unit * away[t], shape, q)
        for t in range(size):
            top = max(top, away[t])
        if bilinear:
            for t in range(size):
                offset[t] = away[t] - top
        else:
            for t in range(size):
                offset[t] = heights[b, t] - highest[b]
        # A cost grows by at most this much per unit of distance, up to the farthest pair of the two tiles.
        steep = 0.0
        if not bilinear:
            reach = (np.sqrt(most) if len(form) == SQUARES else most) + radius.max()
            if len(form) == SQUARES:
                steep = 2.0 * q * unit * _power(unit * reach * reach, shape, q) / max(unit * reach, 1e-290)
            else:
                steep = q * _power(reach, shape, q) / max(reach, 1e-290)
        for r in range(n):
            i = lo + r
            if bilinear:
                shift, spread = base[r] + top, 0.0
                for c in range(d):
                    u = 2.0 * k * unit * inside[r, c]
                    shift -= u * far[c]
                    spread += abs(u) * widths[b, c]
                    slope[c] = u
            else:
                shift, spread = base[r] + top, k * steep * radius[r]
                for c in range(d):
                    from_centre[c] = x[i, c] - centres[b, c]
            bound = shift + spread
            if bound + 1e-9 * abs(bound) < (sums[i, 0] if mode == LARGEST else cut):
                continue
            if bilinear:
                cast[0] = shift
                first = cast[0]
                for t in range(size):
                    e = first + offset[t]
                    for c in range(d):
                        e += slope[c] * local[b, c, t]
                    z[t] = min(high, e)
            else:
                cast[0] = base[r] + highest[b]
                first = cast[0]
                for t in range(size):
                    e = zero
                    for c in range(d):
                        g = from_centre[c] - local[b, c, t]
                        if len(form) == SQUARES:
                            e += g * g
                        elif len(form) == ABSOLUTES:
                            e += abs(g)
                        else:
                            e = max(e, abs(g))
                    distance[t] = unit_w * e
                if shape == IDENTITY:
                    for t in range(size):
                        z[t] = min(high, first + offset[t] - kw * distance[t])
                elif shape == ROOT:
                    for t in range(size):
                        z[t] = min(high, first + offset[t] - kw * np.sqrt(distance[t]))
                elif shape == SQUARE:
                    for t in range(size):
                        z[t] = min(high, first + offset[t] - kw * (distance[t] * distance[t]))
                else:
                    for t in range(size):
                        z[t] = min(high, first + offset[t] - kw * exp2(q_w * log2(distance[t])))
            if mode == LARGEST:
                peak = z[0]
                for t in range(size):
                    peak = max(peak, z[t])
                sums[i, 0] = max(sums[i, 0], np.float64(peak))
                continue
            total = zero
            if mode == TOTAL:
                for t in range(size):
                    total += exp2(z[t])
                sums[i, 0] += np.float64(total)
                continue
            for t in range(size):
                z[t] = max(z[t], low)
                weight[t] = exp2(z[t])
                total += weight[t]
            sums[i, 0] += np.float64(total)
            if mode == ENTROPY:
                total = zero
                for t in range(size):
                    total += weight[t] * z[t]
                sums[i, 1] += np.float64(total)
            elif mode == AVERAGE:
                for v in range(columns.shape[1]):
                    total = zero
                    for t in range(size):
                        total += weight[t] * columns[b, v, t]
                    sums[i, 1 + v] += np.float64(total)
            else:
                # dc / ds, and then ds / dx
                if bilinear:
                    for t in range(size):
                        weight[t] *= two * unit_w
                elif len(form) == SQUARES:
                    for t in range(size):
                        c_of_s = _power(distance[t], shape, q_w)
                        weight[t] *= two * unit_w * q_w * c_of_s / distance[t] if distance[t] > zero else zero
                else:
                    for t in range(size):
                        c_of_s = _power(distance[t], shape, q_w)
                        weight[t] *= q_w * c_of_s / distance[t] if distance[t] > zero else zero
                if bilinear:
                    total = zero
                    for t in range(size):
                        total += weight[t]
                    for c in range(d):
                        moment = zero
                        for t in range(size):
                            moment += weight[t] * local[b, c, t]
                        sums[i, 1 + c] += (x[i, c] - centres[b, c]) * np.float64(total) - np.float64(moment)
                elif len(form) == SQUARES:
                    # Differences first: the weight of a close pair may be large, and must not meet others' digits.
                    for c in range(d):
                        total = zero
                        for t in range(size):
                            total += weight[t] * (from_centre[c] - local[b, c, t])
                        sums[i, 1 + c] += np.float64(total)
                else:
                    for t in range(size):
                        taken[t] = False
                    for c in range(d):
                        total = zero
                        for t in range(size):
                            g = from_centre[c] - local[b, c, t]
                            if len(form) != ABSOLUTES:
                                if taken[t] or abs(g) != distance[t]:
                                    continue
                                taken[t] = True  # the lowest of tied coordinates
                            total += weight[t] * np.sign(g)
                        sums[i, 1 + c] += np.float64(total)


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _power(s, shape, q):
    """The cost s^q by its shape, in the precision of s."""
    if shape == IDENTITY:
        return s
    if shape == ROOT:
        return np.sqrt(s)
    if shape == SQUARE:
        return s * s
    return exp2(q * log2(s))


class _Cloud:
    """A cloud in the order of a k-d tree: as rows, and as columns in blocks of 128 around their centres."""

    def __init__(self, x: np.ndarray):
        n, d = x.shape
        self.order = kd_order(x, SOFT_ROWS)
        self.rows = np.ascontiguousarray(x[self.order])
        count = -(-n // SOFT_BLOCK)
        padded = np.concatenate([self.rows, np.repeat(self.rows[-1:], count * SOFT_BLOCK - n, 0)])
        self.points = np.ascontiguousarray(padded.reshape(count, SOFT_BLOCK, d).transpose(0, 2, 1))
        low, high = self.points.min(2), self.points.max(2)
        self.centres = 0.5 * low + 0.5 * high
        self.widths = np.maximum(high - self.centres, self.centres - low)
        self._local: dict[np.dtype, np.ndarray] = {}

    def local(self, dtype: np.dtype) -> np.ndarray:
        """The columns from the centre of their block, in this precision."""
        if dtype not in self._local:
            self._local[dtype] = (self.points - self.centres[:, :, None]).astype(dtype)
        return self._local[dtype]

    def blocks_of(self, values: np.ndarray, padding: float) -> np.ndarray:
        """values (m, ...) of the columns as (blocks, 128, ...), in their order."""
        out = np.full((len(self.points) * SOFT_BLOCK, *values.shape[1:]), padding, values.dtype)
        out[: len(values)] = values[self.order]
        return out.reshape(len(self.points), SOFT_BLOCK, *values.shape[1:])


class LocalPairs:
    """Pairs of the clouds x and y (float64, d <= 8) under one cost, reduced tile by tile of neighbours."""

    def __init__(self, x: np.ndarray, y: np.ndarray, cost: Cost):
        self._cost = cost
        self._clouds = (_Cloud(x), _Cloud(y))

    def tile_cost(self) -> float:
        """The squared size of two tiles side by side: what a cost varies by within them, half the time at most."""
        sizes = [np.sqrt((cloud.widths**2).sum(1)) for cloud in self._clouds]
        return float(self._cost.unit * (np.median(sizes[0]) + np.median(sizes[1])) ** 2)

    def reduce(
        self, side: int, near: np.ndarray, h: np.ndarray, k: float, mode: int, sums: np.ndarray, *,
        dtype: np.dtype, bits: float, columns: np.ndarray | None = None, rows: np.ndarray | None = None,
        serial: bool = False,
    ) -> None:  # fmt: skip
        """Fill sums (n, width) for the cloud `side` against the other; near and h are in bits: times k already.

        A pair is skipped only below 2^-bits / m; columns (m, v) is V; rows (n,) bool limits it to some rows.
        """
        cost = self._cost
        near_cloud, far_cloud = self._clouds[side], self._clouds[1 - side]
        x, order = near_cloud.rows, near_cloud.order
        n, d = x.shape
        m = len(far_cloud.order)
        heights = far_cloud.blocks_of(h, -FAR)
        values = np.zeros((len(heights), 1, 1), dtype)
        if columns is not None:
            values = np.ascontiguousarray(far_cloud.blocks_of(columns.astype(dtype), 0.0).transpose(0, 2, 1))
        cut = -(bits + np.log2(m))
        near = near[order]
        wanted = None if rows is None else rows[order]
        out = np.full(sums.shape, -FAR if mode == LARGEST else 0.0)
        arguments = (
            far_cloud.points, far_cloud.local(dtype), far_cloud.centres, far_cloud.widths, heights, heights.max(1),
            values, (0,) * d, (0,) * cost.form, cost.shape, cost.q, cost.unit, k, cut, mode,
            dtype.type(LOWEST[dtype]), out,
        )  # fmt: skip

        def work(task: int) -> None:
            for lo in range(task * TILE_ROWS, min((task + 1) * TILE_ROWS, n), SOFT_ROWS):
                hi = min(lo + SOFT_ROWS, n)
                if wanted is None or wanted[lo:hi].any():
                    local_rows(x, lo, hi, near, *arguments)

        pool.run(work, -(-n // TILE_ROWS), serial=serial)
        if wanted is None:
            sums[order] = out
        else:
            sums[order[wanted]] = out[wanted]
