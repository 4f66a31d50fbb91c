"""The operations as loops so plain that they are the definitions."""

from __future__ import annotations

import math


def distance(x, y, metric: str) -> float:
    """The metric between two points, from their coordinates as Python floats."""
    x, y = [float(u) for u in x], [float(u) for u in y]
    differences = [abs(u - v) for u, v in zip(x, y)]
    if metric == "euclidean":
        return math.hypot(*differences)
    if metric == "cityblock":
        return math.fsum(differences)
    if metric == "chebyshev":
        return max(differences)
    if metric == "cosine":
        # 1 - <x, y> / (|x| |y|), free of cancellation: half the squared distance of the directions.
        norm_x, norm_y = math.hypot(*x), math.hypot(*y)
        return 0.5 * math.hypot(*(u / norm_x - v / norm_y for u, v in zip(x, y))) ** 2
    raise ValueError(f"metric must be a known one; got {metric!r}")


def cost(x, y, metric: str, p: float) -> float:
    """metric(x, y)**p."""
    return distance(x, y, metric) ** p


def smallest_k(x, y, h, k: int, metric: str, p: float):
    """The k smallest metric(x_i, y_j)**p - h_j of every i, ascending, ties by j: (values, indices), lists of lists."""
    values, indices = [], []
    for point in x:
        pairs = sorted((cost(point, other, metric, p) - float(h[j]), j) for j, other in enumerate(y))[:k]
        values.append([v for v, _ in pairs])
        indices.append([j for _, j in pairs])
    return values, indices


def c_transform(x, y, h, metric: str, p: float):
    """min_j metric(x_i, y_j)**p - h_j of every i and the lowest j attaining it: (values, indices), lists."""
    values, indices = smallest_k(x, y, h, 1, metric, p)
    return [v for (v,) in values], [j for (j,) in indices]
