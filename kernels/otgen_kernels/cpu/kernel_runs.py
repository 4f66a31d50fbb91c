"""Sums of a kernel over blocks of pairs: from coordinate differences in low dimension, behind a GEMM in high dimension.

Both split a row into runs of pairs, and give each run to `fold`: k and 2 dk/ds, weighted sums of k along the row, and
where asked down the columns.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..constants import KERNEL_ROWS, KERNEL_RUN
from .kernel_profiles import POLYNOMIAL, profile

_options = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}


@njit(**_options)
def fold(kind, s, constants, slopes, weight, a, down, value, slope, column):
    """Return sum_t weight_t k(s_t); where down, add a k(s_t) to column."""
    profile(kind, s, constants, slopes, value, slope)
    total = constants[1, 0] - constants[1, 0]
    for t in range(s.size):
        total += weight[t] * value[t]
    if down:
        for t in range(s.size):
            column[t] += a * value[t]
    return np.float64(total)


@njit(**_options)
def runs_of_differences(
    x, y, lo, hi, first, last, kind, constants, a, b, slopes, down, rows, columns, by_x, by_y, wants_x, wants_y
):
    """Add the sums of the rows lo..hi of x (n, d) and the columns first..last of y (d, m): a run of columns at a time.

    rows (hi - lo,) += K b; columns += K^T a where down; by_x += sum_j b_j grad_x k and by_y += sum_i a_i grad_y k.
    """
    d = x.shape[0]
    one = constants[3, 0]
    zero = one - one
    room = np.empty((4 + d, KERNEL_RUN), x.dtype)
    s_room, value_room, slope_room, column_room, gradient_room = room[0], room[1], room[2], room[3], room[4:]
    for start in range(first, last, KERNEL_RUN):
        stop = min(start + KERNEL_RUN, last)
        size = stop - start
        s, value, slope, column = s_room[:size], value_room[:size], slope_room[:size], column_room[:size]
        weight = b[start:stop]
        for top in range(lo, hi, KERNEL_ROWS):  # sums down a column stay short: they run in the precision of the pairs
            if down:
                column[:] = zero
            if wants_y:
                gradient_room[:] = zero
            for i in range(top, min(top + KERNEL_ROWS, hi)):
                if kind == POLYNOMIAL:
                    s[:] = zero
                    for k in range(d):
                        u, at = x[k, i], y[k, start:stop]
                        for t in range(size):
                            s[t] += u * at[t]
                else:
                    u, at = x[0, i], y[0, start:stop]
                    if d == 1:
                        for t in range(size):
                            s[t] = (u - at[t]) * (u - at[t])
                    else:
                        v, on = x[1, i], y[1, start:stop]
                        for t in range(size):
                            s[t] = (u - at[t]) * (u - at[t]) + (v - on[t]) * (v - on[t])
                    for k in range(2, d):
                        u, at = x[k, i], y[k, start:stop]
                        for t in range(size):
                            s[t] += (u - at[t]) * (u - at[t])
                rows[i - lo] += fold(kind, s, constants, slopes, weight, a[i], down, value, slope, column)
                if wants_y:
                    for t in range(size):
                        value[t] = a[i] * slope[t]
                    for k in range(d):
                        u = x[k, i]
                        at, sums = y[k, start:stop], gradient_room[k, :size]
                        if kind == POLYNOMIAL:
                            for t in range(size):
                                sums[t] += value[t] * u
                        else:
                            for t in range(size):
                                sums[t] += value[t] * (at[t] - u)
                if wants_x:
                    for t in range(size):
                        value[t] = weight[t] * slope[t]
                    for k in range(d):
                        u, at, total = x[k, i], y[k, start:stop], zero
                        if kind == POLYNOMIAL:
                            for t in range(size):
                                total += value[t] * at[t]
                        else:
                            for t in range(size):
                                total += value[t] * (u - at[t])
                        by_x[i, k] += np.float64(total)
            if down:
                for t in range(size):
                    columns[start + t] += np.float64(column[t])
            if wants_y:
                for k in range(d):
                    for t in range(size):
                        by_y[start + t, k] += np.float64(gradient_room[k, t])


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
    one = constants[3, 0]
    zero = one - one
    room = np.empty((4, KERNEL_RUN), product.dtype)
    s_room, value_room, slope_room, column_room = room[0], room[1], room[2], room[3]
    apart = np.empty(KERNEL_RUN, np.int64)
    for start in range(0, m, KERNEL_RUN):
        stop = min(start + KERNEL_RUN, m)
        size = stop - start
        s, value, slope, column = s_room[:size], value_room[:size], slope_room[:size], column_room[:size]
        weight, at = b[start:stop], far[start:stop]
        column[:] = zero
        for r in range(n):
            row = product[r, start:stop]
            count = 0
            if kind == POLYNOMIAL:
                s[:] = row
            else:
                least = close[r]
                for t in range(size):
                    s[t] = row[t] + (near[r] + at[t])
                    least = min(least, s[t])
                if least < close[r]:
                    for t in range(size):
                        if s[t] < close[r]:
                            apart[count] = t
                            count += 1
                            s[t] = square_differences(x, y, lo + r, first + start + t)
            rows[r] += fold(kind, s, constants, slopes, weight, a[r], down, value, slope, column)
            if leaves_value:
                row[:] = value
            elif slopes:
                for c in range(count):
                    t = apart[c]
                    if s[t] > zero:
                        i, j = lo + r, first + start + t
                        for k in range(x.shape[1]):
                            u = np.float64(slope[t]) * np.float64(x[i, k] - y[j, k])
                            if wants_x:
                                by_x[i, k] += np.float64(weight[t]) * u
                            if wants_y:
                                by_y[j, k] -= np.float64(a[r]) * u
                    slope[t] = zero
                row[:] = slope
        if down:
            for t in range(size):
                columns[first + start + t] += np.float64(column[t])
