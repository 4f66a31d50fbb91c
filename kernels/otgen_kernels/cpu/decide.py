"""The two definitions every path shares: the float64 cost of one pair, and the order of candidates.

Screening may be done in any arithmetic; only these decide. So loops, tree and GEMM give the same bits.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..costs import ABSOLUTES as ABSOLUTES
from ..costs import IDENTITY as IDENTITY
from ..costs import MAXIMUM as MAXIMUM
from ..costs import POWER as POWER
from ..costs import ROOT as ROOT
from ..costs import SQUARE as SQUARE
from ..costs import SQUARES as SQUARES


# No fastmath here: reassociation or contraction could differ between the callers it is inlined into. Loops of length
# zero in place of branches: where x and y end in several branches, Numba counts references to them, atomically, at
# every call, which took half of all time.
@njit(nogil=True, cache=True, error_model="numpy")
def cost(x, i, y, j, form, shape, q, unit):
    """c(x_i, y_j) from coordinate differences in float64; x and y are float32 or float64."""
    d = x.shape[1]
    squares = d if form == SQUARES else 0
    absolutes = d if form == ABSOLUTES else 0
    # Eight sums in a fixed order: one vector register, the same rounding everywhere.
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    for k in range(0, squares - 7, 8):
        s0 += (np.float64(x[i, k]) - np.float64(y[j, k])) ** 2
        s1 += (np.float64(x[i, k + 1]) - np.float64(y[j, k + 1])) ** 2
        s2 += (np.float64(x[i, k + 2]) - np.float64(y[j, k + 2])) ** 2
        s3 += (np.float64(x[i, k + 3]) - np.float64(y[j, k + 3])) ** 2
        s4 += (np.float64(x[i, k + 4]) - np.float64(y[j, k + 4])) ** 2
        s5 += (np.float64(x[i, k + 5]) - np.float64(y[j, k + 5])) ** 2
        s6 += (np.float64(x[i, k + 6]) - np.float64(y[j, k + 6])) ** 2
        s7 += (np.float64(x[i, k + 7]) - np.float64(y[j, k + 7])) ** 2
    s = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
    for k in range(squares - squares % 8, squares):
        s += (np.float64(x[i, k]) - np.float64(y[j, k])) ** 2
    s *= unit
    for k in range(absolutes):
        s += abs(np.float64(x[i, k]) - np.float64(y[j, k]))
    for k in range(d - squares - absolutes):
        s = max(s, abs(np.float64(x[i, k]) - np.float64(y[j, k])))
    if shape == ROOT:
        s = np.sqrt(s)
    elif shape == SQUARE:
        s = s * s
    elif shape == POWER:
        s = s**q
    return s


@njit(nogil=True, cache=True, error_model="numpy")
def settle(value, index, row, size):
    """Sort the first `size` candidates of a row in place (Shell's sort): ascending in value, ties by index."""
    gap = 1
    while 9 * gap < 4 * size:
        gap = (9 * gap + 4) // 4 + 1
    while True:
        for i in range(gap, size):
            v, j = value[row, i], index[row, i]
            at = i
            while at >= gap:
                u = value[row, at - gap]
                if u < v or (u == v and index[row, at - gap] < j):
                    break
                value[row, at], index[row, at] = u, index[row, at - gap]
                at -= gap
            value[row, at], index[row, at] = v, j
        if gap == 1:
            break
        gap = max(4 * gap // 9, 1)
