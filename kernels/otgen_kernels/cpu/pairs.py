"""Pair reductions on the host."""

from __future__ import annotations

import numpy as np
from numba import njit

FORMS = {"euclidean": 0, "cityblock": 1, "chebyshev": 2, "cosine": 3}


@njit(nogil=True, cache=True, error_model="numpy")
def _rows(x, y, h, form, p, k, values, indices):
    n, d = x.shape
    for i in range(n):
        size = 0
        for j in range(y.shape[0]):
            s = 0.0
            for t in range(d):
                u = abs(x[i, t] - y[j, t])
                if form == 1:
                    s += u
                elif form == 2:
                    s = max(s, u)
                else:
                    s += u * u
            if form == 0:
                c = s if p == 2.0 else (np.sqrt(s) if p == 1.0 else np.sqrt(s) ** p)
            else:
                s = 0.5 * s if form == 3 else s
                c = s if p == 1.0 else s**p
            v = c - h[j]
            if size == k and v >= values[i, k - 1]:
                continue
            at = size if size < k else k - 1
            while at > 0 and values[i, at - 1] > v:
                values[i, at] = values[i, at - 1]
                indices[i, at] = indices[i, at - 1]
                at -= 1
            values[i, at] = v
            indices[i, at] = j
            size = min(size + 1, k)


def smallest_k(x, y, h, k, *, metric, p):
    """Return the k smallest metric(x_i, y_j)**p - h_j of every row i, ascending, and their j."""
    x = np.asarray(x, np.float64)
    y = np.asarray(y, np.float64)
    if metric == "cosine":
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        y = y / np.linalg.norm(y, axis=1, keepdims=True)
    h = np.zeros(len(y)) if h is None else np.asarray(h, np.float64)
    values, indices = np.empty((len(x), k)), np.empty((len(x), k), np.int64)
    _rows(x, y, h, FORMS[metric], float(p), k, values, indices)
    return values, indices


def c_transform(x, y, h, *, metric, p):
    """Return v_i = min_j metric(x_i, y_j)**p - h_j and the lowest j attaining it."""
    values, indices = smallest_k(x, y, h, 1, metric=metric, p=p)
    return values[:, 0], indices[:, 0]
