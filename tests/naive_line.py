"""Transport on the line by its definition, in exact fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np


def wasserstein_1d(x, y, a, b, p) -> float:
    """(integral over t in [0, mass] of |F^-1(t) - G^-1(t)|^p)^(1/p), one step of the quantile functions at a time."""
    left = sorted((float(point), Fraction(float(weight))) for point, weight in zip(x, a))
    right = sorted((float(point), Fraction(float(weight))) for point, weight in zip(y, b))
    factor = sum(weight for _, weight in left) / sum(weight for _, weight in right)
    right = [(point, weight * factor) for point, weight in right]
    t = Fraction(0)
    end_left, end_right = left[0][1], right[0][1]
    i = j = 0
    total = 0.0
    while True:
        end = min(end_left, end_right)
        total += float(end - t) * abs(left[i][0] - right[j][0]) ** p
        t = end
        if end_left == t:
            i += 1
        if end_right == t:
            j += 1
        if i == len(left) or j == len(right):
            return total ** (1 / p)
        if end_left == t:
            end_left += left[i][1]
        if end_right == t:
            end_right += right[j][1]


def uniform(n: int) -> np.ndarray:
    return np.full(n, 1.0 / n)
