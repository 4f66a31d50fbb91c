"""Points in the order of a k-d tree: the packed trees of the pair engine and the coarser clouds stand on it."""

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, error_model="numpy")
def kd_order(x, leaf):
    """The order of the rows of x (n, d) along a k-d tree with leaves of `leaf` points.

    In that order aligned runs of leaf, 2 leaf, 4 leaf, ... rows are boxes of the tree, cut across their widest side.
    """
    m, d = x.shape
    order = np.arange(m)
    key, low, high = np.empty(m), np.empty(d), np.empty(d)
    stack = np.empty((128, 2), np.int64)
    stack[0, 0], stack[0, 1] = 0, m
    depth = 1
    while depth:
        depth -= 1
        lo, hi = stack[depth, 0], stack[depth, 1]
        if hi - lo <= leaf:
            continue
        # Cut at the largest power of two of leaves below the end: this keeps the groups aligned.
        cut = leaf
        while 2 * cut < hi - lo:
            cut *= 2
        cut += lo
        for k in range(d):
            low[k] = high[k] = x[order[lo], k]
        for t in range(lo + 1, hi):
            for k in range(d):
                u = x[order[t], k]
                low[k] = min(low[k], u)
                high[k] = max(high[k], u)
        axis, widest = 0, -1.0
        for k in range(d):
            if high[k] - low[k] > widest:
                widest, axis = high[k] - low[k], k
        stack[depth, 0], stack[depth, 1] = lo, cut
        stack[depth + 1, 0], stack[depth + 1, 1] = cut, hi
        depth += 2
        if widest <= 0.0:
            continue
        for t in range(lo, hi):
            key[t] = x[order[t], axis]
        left, right = lo, hi - 1
        while left < right:  # Hoare's selection: the cut - lo smallest keys go left
            a, b, c = key[left], key[(left + right) >> 1], key[right]
            pivot = max(min(a, b), min(max(a, b), c))
            i, j = left, right
            while i <= j:
                while key[i] < pivot:
                    i += 1
                while key[j] > pivot:
                    j -= 1
                if i <= j:
                    key[i], key[j] = key[j], key[i]
                    order[i], order[j] = order[j], order[i]
                    i += 1
                    j -= 1
            if cut <= j:
                right = j
            elif cut >= i:
                left = i
            else:
                break
    return order
