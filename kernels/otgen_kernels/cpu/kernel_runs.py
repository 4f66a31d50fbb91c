"""Sums of a kernel over blocks of pairs: from coordinate differences in low dimension, behind a GEMM in high dimension.

Both gather s of a patch of pairs, a few rows of a run of columns, that lies in L1 with k and its slope; `profile` is
called once a patch: a call, and a slice of an array, cost as much as hundreds of pairs.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..constants import KERNEL_PATCH, KERNEL_ROWS, KERNEL_RUN
from ..kernel_kinds import POLYNOMIAL
from .kernel_profiles import profile

_options = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}


# Patches are (rows, size), points of a run (d, size), each indexed by the loops' own counters: an index that is a sum
# may be negative for all that LLVM knows, and then nothing is vectorised.


@njit(**_options)
def fill_patch(x, i, at, kind, s):
    """Write s (rows, size) of the rows i, i + 1, ... of x (d, n) and the points at (d, size)."""
    d = x.shape[0]
    for r in range(s.shape[0]):
        u = x[0, i + r]
        if kind == POLYNOMIAL:
            for t in range(s.shape[1]):
                s[r, t] = u * at[0, t]
            for k in range(1, d):
                u = x[k, i + r]
                for t in range(s.shape[1]):
                    s[r, t] += u * at[k, t]
            continue
        if d == 1:
            for t in range(s.shape[1]):
                s[r, t] = (u - at[0, t]) * (u - at[0, t])
        else:
            v = x[1, i + r]
            for t in range(s.shape[1]):
                p, q = u - at[0, t], v - at[1, t]
                s[r, t] = p * p + q * q
        for k in range(2, d):
            u = x[k, i + r]
            for t in range(s.shape[1]):
                p = u - at[k, t]
                s[r, t] += p * p


@njit(**_options)
def sum_patch(value, a, i, b, down, rows, lo, column):
    """Add sum_t b_t k_rt to rows from lo; where down, a_r k_rt to column, a from i."""
    for r in range(value.shape[0]):
        total = value[0, 0] - value[0, 0]
        for t in range(value.shape[1]):
            total += b[t] * value[r, t]
        rows[lo + r] += np.float64(total)
        if down:
            w = a[i + r]
            for t in range(value.shape[1]):
                column[t] += w * value[r, t]


@njit(**_options)
def gradients_of_patch(x, i, at, kind, a, b, slope, by_x, wants_x, sums, wants_y):
    """Add the gradients of a patch to by_x, and to sums (d, size) for the columns; slope is lost."""
    d = x.shape[0]
    for r in range(slope.shape[0]):
        if wants_y:
            for k in range(d):
                u, w = x[k, i + r], a[i + r]
                if kind == POLYNOMIAL:
                    for t in range(slope.shape[1]):
                        sums[k, t] += w * slope[r, t] * u
                else:
                    for t in range(slope.shape[1]):
                        sums[k, t] += w * slope[r, t] * (at[k, t] - u)
        if wants_x:
            for t in range(slope.shape[1]):
                slope[r, t] *= b[t]
            for k in range(d):
                u = x[k, i + r]
                total = u - u
                if kind == POLYNOMIAL:
                    for t in range(slope.shape[1]):
                        total += slope[r, t] * at[k, t]
                else:
                    for t in range(slope.shape[1]):
                        total += slope[r, t] * (u - at[k, t])
                by_x[i + r, k] += np.float64(total)


@njit(**_options)
def runs_of_differences(
    x, y, lo, hi, first, last, kind, constants, a, b, slopes, down, rows, columns, by_x, by_y, wants_x, wants_y
):
    """Add the sums of the rows lo..hi of x (d, n) and the columns first..last of y (d, m).

    rows (hi - lo,) += K b; columns += K^T a where down; by_x += sum_j b_j grad_x k and by_y += sum_i a_i grad_y k.
    """
    d = x.shape[0]
    zero = constants[3, 0] - constants[3, 0]
    room = np.empty((3, KERNEL_PATCH * KERNEL_RUN), x.dtype)
    for start in range(first, last, KERNEL_RUN):
        size = min(KERNEL_RUN, last - start)
        at, weight = np.empty((d, size), x.dtype), np.empty(size, x.dtype)
        at[:], weight[:] = y[:, start : start + size], b[start : start + size]
        column, sums = np.empty(size, x.dtype), np.empty((d, size), x.dtype)
        for top in range(lo, hi, KERNEL_ROWS):  # sums down a column stay short: they run in the precision of the pairs
            column[:], sums[:] = zero, zero
            end = min(top + KERNEL_ROWS, hi)
            for i in range(top, end, KERNEL_PATCH):
                height = min(KERNEL_PATCH, end - i)
                s, value, slope = room[0][: height * size], room[1][: height * size], room[2][: height * size]
                fill_patch(x, i, at, kind, s.reshape(height, size))
                profile(kind, s, constants, slopes, value, slope)
                sum_patch(value.reshape(height, size), a, i, weight, down, rows, i - lo, column)
                if slopes:
                    patch = slope.reshape(height, size)
                    gradients_of_patch(x, i, at, kind, a, weight, patch, by_x, wants_x, sums, wants_y)
            if down:
                for t in range(size):
                    columns[start + t] += np.float64(column[t])
            if wants_y:
                for k in range(d):
                    for t in range(size):
                        by_y[start + t, k] += np.float64(sums[k, t])


@njit(**_options)
def square_differences(x, y, i, j):
    """|x_i - y_j|^2 from coordinates (n, d)."""
    s = x[i, 0] - x[i, 0]
    for k in range(x.shape[1]):
        s += (x[i, k] - y[j, k]) * (x[i, k] - y[j, k])
    return s


@njit(**_options)
def runs_of_products(
    product, near, far, close, x, y, lo, first, kind, constants, a, b, slopes, down, rows, columns, by_x, by_y, wants_x,
    wants_y, leaves_value,
):  # fmt: skip
    """Add the sums of a tile from row lo and column first on, whose -2 <x, y> (polynomial: <x, y>) are in product.

    near and far are |x|^2 and |y|^2 of the tile. Where s falls below close_r, which a product has too few digits for,
    it is taken from the coordinates, and so is that pair's gradient; of all others 2 dk/ds (k, where leaves_value)
    stays in product.
    """
    n, m = product.shape
    zero = constants[3, 0] - constants[3, 0]
    patch = max(KERNEL_PATCH * KERNEL_RUN // m, 1)
    room = np.empty((3, patch * m), product.dtype)
    column = np.zeros(m, product.dtype)
    apart = np.empty((patch * m, 2), np.int64)
    for top in range(0, n, patch):
        height = min(patch, n - top)
        flat_s, flat_value, flat_slope = room[0][: height * m], room[1][: height * m], room[2][: height * m]
        s, value, slope = (
            flat_s.reshape(height, m), flat_value.reshape(height, m), flat_slope.reshape(height, m)
        )  # fmt: skip
        tile = product[top : top + height]
        count = 0
        for r in range(height):
            if kind == POLYNOMIAL:
                for t in range(m):
                    s[r, t] = tile[r, t]
                continue
            bound, square = close[top + r], near[top + r]
            least = bound
            for t in range(m):
                s[r, t] = tile[r, t] + (square + far[t])
                least = min(least, s[r, t])
            if least < bound:
                for t in range(m):
                    if s[r, t] < bound:
                        apart[count, 0], apart[count, 1] = r, t
                        count += 1
                        s[r, t] = square_differences(x, y, lo + top + r, first + t)
        profile(kind, flat_s, constants, slopes, flat_value, flat_slope)
        sum_patch(value, a, top, b, down, rows, top, column)
        if leaves_value:
            tile[:] = value
        elif slopes:
            for c in range(count):
                r, t = apart[c, 0], apart[c, 1]
                if s[r, t] > zero:
                    i, j = lo + top + r, first + t
                    for k in range(x.shape[1]):
                        u = np.float64(slope[r, t]) * np.float64(x[i, k] - y[j, k])
                        if wants_x:
                            by_x[i, k] += np.float64(b[t]) * u
                        if wants_y:
                            by_y[j, k] -= np.float64(a[top + r]) * u
                slope[r, t] = zero
            tile[:] = slope
    if down:
        for t in range(m):
            columns[first + t] += np.float64(column[t])
