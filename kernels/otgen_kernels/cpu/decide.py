"""The definitions every path shares: the float64 cost of one pair, and the list of the k smallest so far.

Screening may be done in any arithmetic; only these two functions decide. So loops, tree and GEMM give the same bits.
"""

from __future__ import annotations

import numpy as np
from numba import njit

SQUARES, ABSOLUTES, MAXIMUM = 0, 1, 2  # form: s = unit * sum |x-y|^2, sum |x-y|, max |x-y|
IDENTITY, ROOT, SQUARE, POWER = 0, 1, 2, 3  # shape: c = s, sqrt(s), s^2, s^q


# No fastmath here: reassociation or contraction could differ between the callers it is inlined into.
@njit(nogil=True, cache=True, error_model="numpy")
def cost(x, i, y, j, form, shape, q, unit):
    """c(x_i, y_j) from coordinate differences in float64; x and y are float32 or float64."""
    d = x.shape[1]
    s = 0.0
    if form == SQUARES:
        # Eight sums in a fixed order: one vector register, the same rounding everywhere.
        s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
        whole = d - d % 8
        for k in range(0, whole, 8):
            s0 += (np.float64(x[i, k]) - np.float64(y[j, k])) ** 2
            s1 += (np.float64(x[i, k + 1]) - np.float64(y[j, k + 1])) ** 2
            s2 += (np.float64(x[i, k + 2]) - np.float64(y[j, k + 2])) ** 2
            s3 += (np.float64(x[i, k + 3]) - np.float64(y[j, k + 3])) ** 2
            s4 += (np.float64(x[i, k + 4]) - np.float64(y[j, k + 4])) ** 2
            s5 += (np.float64(x[i, k + 5]) - np.float64(y[j, k + 5])) ** 2
            s6 += (np.float64(x[i, k + 6]) - np.float64(y[j, k + 6])) ** 2
            s7 += (np.float64(x[i, k + 7]) - np.float64(y[j, k + 7])) ** 2
        s = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
        for k in range(whole, d):
            s += (np.float64(x[i, k]) - np.float64(y[j, k])) ** 2
        s *= unit
    elif form == ABSOLUTES:
        for k in range(d):
            s += abs(np.float64(x[i, k]) - np.float64(y[j, k]))
    else:
        for k in range(d):
            s = max(s, abs(np.float64(x[i, k]) - np.float64(y[j, k])))
    if shape == IDENTITY:
        return s
    if shape == ROOT:
        return np.sqrt(s)
    if shape == SQUARE:
        return s * s
    return s**q


@njit(nogil=True, cache=True, error_model="numpy")
def keep(v, j, at, row, value, index, place, size):
    """Offer (v, j) to row's heap of the smallest pairs (largest first, ties by j); place carries `at` along.

    Returns the new size of the heap, which grows to the width of value and stays there.
    """
    k = value.shape[1]
    if size < k:
        child = size
        while child > 0:
            parent = (child - 1) >> 1
            if value[row, parent] > v or (value[row, parent] == v and index[row, parent] > j):
                break
            value[row, child] = value[row, parent]
            index[row, child] = index[row, parent]
            place[row, child] = place[row, parent]
            child = parent
        value[row, child], index[row, child], place[row, child] = v, j, at
        return size + 1
    if v < value[row, 0] or (v == value[row, 0] and j < index[row, 0]):
        sift(v, j, at, row, value, index, place, k)
    return size


@njit(nogil=True, cache=True, error_model="numpy")
def sift(v, j, at, row, value, index, place, size):
    """Put (v, j) where the root of row's heap of this size was."""
    parent = 0
    while True:
        child = 2 * parent + 1
        if child >= size:
            break
        right = child + 1
        if right < size and (
            value[row, right] > value[row, child]
            or (value[row, right] == value[row, child] and index[row, right] > index[row, child])
        ):
            child = right
        if v > value[row, child] or (v == value[row, child] and j > index[row, child]):
            break
        value[row, parent] = value[row, child]
        index[row, parent] = index[row, child]
        place[row, parent] = place[row, child]
        parent = child
    value[row, parent], index[row, parent], place[row, parent] = v, j, at


@njit(nogil=True, cache=True, error_model="numpy")
def ascend(row, value, index, place):
    """Sort row's full heap in place: ascending in value, ties by index."""
    for last in range(value.shape[1] - 1, 0, -1):
        v, j, at = value[row, last], index[row, last], place[row, last]
        value[row, last], index[row, last], place[row, last] = value[row, 0], index[row, 0], place[row, 0]
        sift(v, j, at, row, value, index, place, last)
