"""Kernels, discrepancies and permutation statistics as loops so plain that they are the definitions."""

from __future__ import annotations

import math
from fractions import Fraction


def kernel(x, y, name: str, scales=(1.0,), h: float = 1.0) -> float:
    """k(x, y) of two points."""
    x, y = [float(u) for u in x], [float(u) for u in y]
    if name == "polynomial":
        return (math.fsum(u * v for u, v in zip(x, y)) / len(x) + 1.0) ** 3
    r = math.hypot(*(u - v for u, v in zip(x, y)))
    if name == "energy":
        return -r
    if name == "gaussian":
        return math.fsum(math.exp(-((r / h) ** 2) / (2.0 * s)) for s in scales)
    if name == "laplace":
        return math.fsum(math.exp(-(r / h) / math.sqrt(s)) for s in scales)
    if name == "imq":
        return math.fsum(s / (s + (r / h) ** 2) for s in scales)
    return math.fsum((1.0 + (r / h) ** 2 / (2.0 * s)) ** -s for s in scales)


def gradient(x, y, name: str, scales=(1.0,), h: float = 1.0) -> list[float]:
    """The gradient of k(x, y) in x; 0 where a distance is."""
    x, y = [float(u) for u in x], [float(u) for u in y]
    d = len(x)
    if name == "polynomial":
        base = math.fsum(u * v for u, v in zip(x, y)) / d + 1.0
        return [3.0 * base**2 * v / d for v in y]
    r = math.hypot(*(u - v for u, v in zip(x, y)))
    if r == 0.0:
        return [0.0] * d
    if name == "energy":
        slope = -1.0 / r
    elif name == "gaussian":
        slope = -math.fsum(math.exp(-((r / h) ** 2) / (2.0 * s)) / (s * h * h) for s in scales)
    elif name == "laplace":
        slope = -math.fsum(math.exp(-(r / h) / math.sqrt(s)) / (h * math.sqrt(s)) for s in scales) / r
    elif name == "imq":
        slope = -math.fsum(2.0 * s * h * h / (s * h * h + r * r) ** 2 for s in scales)
    else:
        slope = -math.fsum((1.0 + (r / h) ** 2 / (2.0 * s)) ** (-s - 1.0) / (h * h) for s in scales)
    return [slope * (u - v) for u, v in zip(x, y)]


def matrix(x, y, name: str, scales=(1.0,), h: float = 1.0) -> list[list[float]]:
    """k(x_i, y_j) of all pairs."""
    return [[kernel(u, v, name, scales, h) for v in y] for u in x]


def within(K, a, estimator: str) -> float:
    """The mean of k within a cloud of weights of mass 1."""
    n = len(a)
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j or estimator == "biased"]
    total = math.fsum(a[i] * a[j] * K[i][j] for i, j in pairs)
    return total / math.fsum(a[i] * a[j] for i, j in pairs)


def mmd_squared(x, y, a, b, name: str, scales=(1.0,), h: float = 1.0, estimator: str = "unbiased") -> float:
    """MMD^2 of clouds whose weights have mass 1."""
    if estimator == "linear":
        return math.fsum(
            kernel(x[i], x[i + 1], name, scales, h)
            + kernel(y[i], y[i + 1], name, scales, h)
            - kernel(x[i], y[i + 1], name, scales, h)
            - kernel(x[i + 1], y[i], name, scales, h)
            for i in range(0, len(x), 2)
        ) / (len(x) // 2)
    across = matrix(x, y, name, scales, h)
    cross = math.fsum(a[i] * b[j] * across[i][j] for i in range(len(a)) for j in range(len(b)))
    alone = [within(matrix(z, z, name, scales, h), w, estimator) for z, w in ((x, a), (y, b))]
    return alone[0] + alone[1] - 2.0 * cross


def median_distance(points) -> float:
    """The root of the median of |z - z'|^2 over pairs of different points."""
    squares = sorted(
        math.hypot(*(float(u - v) for u, v in zip(points[i], points[j]))) ** 2
        for i in range(len(points))
        for j in range(i)
        if any(u != v for u, v in zip(points[i], points[j]))
    )
    middle = len(squares) // 2
    return math.sqrt(squares[middle] if len(squares) % 2 else 0.5 * (squares[middle - 1] + squares[middle]))


def weighted_median_distance(points, masses) -> float:
    """The same of weighted pairs, in exact fractions: where the half falls between two, the mean of them."""
    pairs = sorted(
        (math.hypot(*(float(u - v) for u, v in zip(points[i], points[j]))) ** 2, Fraction(masses[i]) * masses[j])
        for i in range(len(points))
        for j in range(i)
        if any(u != v for u, v in zip(points[i], points[j]))
    )
    total, below = sum(weight for _, weight in pairs), Fraction(0)
    for k, (square, weight) in enumerate(pairs):
        below += weight
        if 2 * below == total:
            return math.sqrt(0.5 * (square + pairs[k + 1][0]))
        if 2 * below > total:
            return math.sqrt(square)
    raise ValueError("all points coincide")
