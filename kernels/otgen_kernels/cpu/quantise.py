"""Coarser versions of a weighted cloud, and masses as whole numbers: what a multiscale exact solver starts from."""

import numpy as np
from numba import njit

GROUP = 4  # points merged into one at the next coarser level; 4 was the measured best
MASS_UNITS = 2.0**50  # whole masses add up exactly in float64 below 2**53


@njit(nogil=True, cache=True, error_model="numpy")
def _select(keys, ids, lo, hi, nth):
    """Reorder keys[lo:hi], ids alike, so that position nth holds what a sort would put there (Hoare's quickselect)."""
    hi -= 1
    while hi > lo:
        mid = (lo + hi) >> 1
        # the median of three as pivot keeps sorted and constant keys from going quadratic
        if keys[mid] < keys[lo]:
            keys[mid], keys[lo], ids[mid], ids[lo] = keys[lo], keys[mid], ids[lo], ids[mid]
        if keys[hi] < keys[lo]:
            keys[hi], keys[lo], ids[hi], ids[lo] = keys[lo], keys[hi], ids[lo], ids[hi]
        if keys[hi] < keys[mid]:
            keys[hi], keys[mid], ids[hi], ids[mid] = keys[mid], keys[hi], ids[mid], ids[hi]
        value = keys[mid]
        i, j = lo, hi
        while i <= j:
            while keys[i] < value:
                i += 1
            while keys[j] > value:
                j -= 1
            if i <= j:
                keys[i], keys[j], ids[i], ids[j] = keys[j], keys[i], ids[j], ids[i]
                i += 1
                j -= 1
        if nth <= j:
            hi = j
        elif nth >= i:
            lo = i
        else:
            return


@njit(nogil=True, cache=True, error_model="numpy")
def kd_order(x):
    """A permutation of the rows of x (n, d) along a k-d tree: any GROUP**l consecutive rows from a multiple are near.

    Each box is cut across its widest side at the multiple of a power of GROUP nearest to its middle, so that the
    groups of every level are boxes of the tree.
    """
    n, d = x.shape
    order = np.arange(n)
    keys = np.empty(n)
    starts = np.empty(128, np.int64)
    stops = np.empty(128, np.int64)
    starts[0], stops[0] = 0, n
    depth = 1
    low = np.empty(d)
    high = np.empty(d)
    while depth > 0:
        depth -= 1
        lo, hi = starts[depth], stops[depth]
        count = hi - lo
        if count <= GROUP:
            continue
        unit = 1
        while unit * GROUP * 2 <= count:
            unit *= GROUP
        cut = lo + max((count // 2 + unit // 2) // unit * unit, unit)
        if cut >= hi:
            cut -= unit
        low[:] = x[order[lo]]
        high[:] = low
        for r in range(lo, hi):
            row = x[order[r]]
            for k in range(d):
                low[k] = min(low[k], row[k])
                high[k] = max(high[k], row[k])
        axis = np.argmax(high - low)
        for r in range(lo, hi):
            keys[r] = x[order[r], axis]
        _select(keys, order, lo, hi, cut)
        # the larger part is pushed first, so the stack never holds more than log2(n) boxes
        if cut - lo > hi - cut:
            starts[depth], stops[depth], starts[depth + 1], stops[depth + 1] = lo, cut, cut, hi
        else:
            starts[depth], stops[depth], starts[depth + 1], stops[depth + 1] = cut, hi, lo, cut
        depth += 2
    return order


def group_starts(n):
    """Where each group of GROUP consecutive rows starts, and n at the end: (ceil(n / GROUP) + 1,)."""
    return np.append(np.arange(0, n, GROUP), n)


def group_means(x, a, starts):
    """Weighted mean and mass of each group: x (n, d), a (n,) -> (N, d), (N,); the plain mean where it has no mass."""
    mass = np.add.reduceat(a, starts[:-1])
    count = np.diff(starts)
    empty = np.repeat(mass == 0.0, count)
    share = np.where(empty, 1.0, a) / np.repeat(np.where(mass == 0.0, count, mass), count)
    return np.add.reduceat(x * share[:, None], starts[:-1]), mass


def whole_masses(a, b):
    """Round the masses a (n,), b (m,), equal in total, to positive whole numbers that are exactly equal in total.

    A mass moves by about a unit of 2**-50 of the total. With whole masses every flow of a transport simplex is exact
    in float64: no mass is lost, and ties are ties.
    """
    units = MASS_UNITS / max(a.sum(), b.sum())
    whole_a, whole_b = np.maximum(np.rint(a * units), 1.0), np.maximum(np.rint(b * units), 1.0)
    missing = whole_a.sum() - whole_b.sum()
    lighter = whole_b if missing > 0.0 else whole_a
    added = np.floor(lighter * (abs(missing) / lighter.sum()))
    odd = int(abs(missing) - added.sum())
    added[np.argsort(-lighter, kind="stable")[:odd]] += 1.0
    lighter += added
    return whole_a, whole_b
