"""The two half-steps of a small problem: the soft c-transforms of its rows and of its columns, from a tile of costs.

Both are computed relative to a guess, the last answer, and once more where that was poor. All is in bits: potentials
times k = log2(e) / eps. The precision is that of the costs given; what comes out is float64.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .exp2 import exp2

LOG2_E = float(np.log2(np.e))
FAR = 1e30
TOP = 60.0  # bits: exp2 knows no infinity, and one such term is enough to know a guess as poor

_options = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}


@njit(**_options)
def rows_answer(costs, k, columns, there, out):
    """out_i = there_i - log2 sum_j 2^(there_i + columns_j - k c_ij): the same for any guess `there`, all in bits."""
    n, m = costs.shape
    z = costs[0].copy()
    cast = costs[0, :1].copy()
    cast[0] = k
    k_cast = cast[0]
    cast[0] = TOP
    top = cast[0]
    for i in range(n):
        guess = there[i]
        for _ in range(2):
            cast[0] = 0.0
            total = cast[0]
            cast[0] = guess
            first = cast[0]
            for j in range(m):
                total += exp2(min(first + columns[j] - k_cast * costs[i, j], top))
            if 1e-6 <= total <= 1e12:
                break
            for j in range(m):
                z[j] = columns[j] - k_cast * costs[i, j]
            guess = -np.float64(z.max())
        out[i] = guess - np.log2(np.float64(total))


@njit(**_options)
def columns_answer(costs, k, rows, there, out):
    """The same for the columns: out_j = there_j - log2 sum_i 2^(there_j + rows_i - k c_ij)."""
    n, m = costs.shape
    sums, cast = costs[0].copy(), costs[0, :1].copy()
    cast[0] = k
    k_cast = cast[0]
    cast[0] = TOP
    top = cast[0]
    guess = costs[0].copy()
    for j in range(m):
        guess[j] = there[j]
    for _ in range(2):
        sums[:] = 0.0
        for i in range(n):
            cast[0] = rows[i]
            row = cast[0]
            for j in range(m):
                sums[j] += exp2(min(row + guess[j] - k_cast * costs[i, j], top))
        good = True
        for j in range(m):
            good = good and 1e-6 <= sums[j] <= 1e12
        if good:
            break
        guess[:] = FAR
        for i in range(n):
            cast[0] = rows[i]
            row = cast[0]
            for j in range(m):
                guess[j] = min(guess[j], k_cast * costs[i, j] - row)
    for j in range(m):
        out[j] = np.float64(guess[j]) - np.log2(np.float64(sums[j]))
