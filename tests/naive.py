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


def costs(x, y, metric: str, p: float) -> list[list[float]]:
    """metric(x_i, y_j)**p of all pairs."""
    return [[cost(point, other, metric, p) for other in y] for point in x]


def soft_c_transform(rows, h, b, eps: float) -> list[float]:
    """-eps log sum_j b_j exp((h_j - c_ij) / eps) of every row c_i of costs."""
    values = []
    for row in rows:
        exponents = [(float(h[j]) - c) / eps + math.log(b[j]) for j, c in enumerate(row) if b[j] > 0.0]
        largest = max(exponents, default=-math.inf)
        total = math.fsum(math.exp(e - largest) for e in exponents)
        values.append(-eps * (largest + math.log(total)) if exponents else math.inf)
    return values


def plan(rows, f, h, b, eps: float) -> list[list[float]]:
    """b_j exp((f_i + h_j - c_ij) / eps) of every row c_i of costs."""
    return [
        [
            float(b[j]) * math.exp((float(f[i]) + float(h[j]) - c) / eps) if b[j] > 0.0 else 0.0
            for j, c in enumerate(row)
        ]
        for i, row in enumerate(rows)
    ]


def soft_average(plan, values) -> list[list[float]]:
    """sum_j plan_ij values_j, for values of one or more columns."""
    return [[math.fsum(p * float(v) for p, v in zip(row, column)) for column in zip(*values)] for row in plan]


def plan_entropy(plan) -> list[float]:
    """sum_j plan_ij log plan_ij, 0 log 0 being 0."""
    return [math.fsum(p * math.log(p) for p in row if p > 0.0) for row in plan]


def cost_gradient(x, y, metric: str, p: float) -> list[float]:
    """The gradient of metric(x, y)**p in x; 0 where the distance is; of tied coordinates chebyshev takes the lowest."""
    x, y = [float(u) for u in x], [float(u) for u in y]
    away = distance(x, y, metric)
    if away == 0.0:
        return [0.0] * len(x)
    signs = [math.copysign(1.0, u - v) if u != v else 0.0 for u, v in zip(x, y)]
    if metric == "euclidean":
        slope = [(u - v) / away for u, v in zip(x, y)]
    elif metric == "cityblock":
        slope = signs
    elif metric == "chebyshev":
        widest = [abs(u - v) for u, v in zip(x, y)].index(away)
        slope = [sign if k == widest else 0.0 for k, sign in enumerate(signs)]
    else:
        norm_x, norm_y = math.hypot(*x), math.hypot(*y)
        u, v = [t / norm_x for t in x], [t / norm_y for t in y]
        along = math.fsum(s * t for s, t in zip(u, v))
        slope = [(along * s - t) / norm_x for s, t in zip(u, v)]
    return [p * away ** (p - 1) * s for s in slope]


def cost_gradients(x, y, metric: str, p: float) -> list[list[list[float]]]:
    """The gradient of metric(x_i, y_j)**p in x_i of all pairs."""
    return [[cost_gradient(point, other, metric, p) for other in y] for point in x]


def gradient_average(plan, gradients) -> list[list[float]]:
    """sum_j plan_ij gradients_ij."""
    return [soft_average([row], slopes)[0] for row, slopes in zip(plan, gradients)]
