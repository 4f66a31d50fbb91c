"""Transport along many lines whose points are sorted already: what a cloud needs once, and what each pair needs."""

from __future__ import annotations

import numpy as np

from .line import p_mean, uniform_masses
from .order import sort_with


def sorted_rows(values: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Rows (k, n) of values in ascending order, float64, and weights (n,) in the order of each, (k, n)."""
    if weights is None:
        return np.sort(values, axis=1).astype(np.float64, copy=False), None
    found, beside = np.empty(values.shape), np.empty(values.shape)
    for row, points in enumerate(values):
        found[row], beside[row] = sort_with(points, weights)
    return found, beside


def wasserstein_sorted(
    x: np.ndarray, y: np.ndarray, a: np.ndarray | None, b: np.ndarray | None, *, p: float
) -> np.ndarray:
    """W_p between the rows of x (k, n) and y (k, m), each sorted, float64 (k,); weights as those of wasserstein_1d.

    a (k, n) and b (k, m) are positive, in the order of the points, of mass 1 in each row; both None is uniform.
    """
    n, m = x.shape[1], y.shape[1]
    total = 1.0
    if a is None or b is None:
        one, other, total = (None, None, float(n)) if n == m else uniform_masses(n, m)
    values = np.empty(len(x))
    for row in range(len(x)):
        if a is not None and b is not None:
            one, other = a[row], b[row]
        values[row] = p_mean(x[row], y[row], one, other, total, float(p))
    return values
