"""Scores of samples by their definitions, one pair at a time."""

from __future__ import annotations

import math
from statistics import median


def distance(u, v) -> float:
    return math.sqrt(sum((float(s) - float(t)) ** 2 for s, t in zip(u, v)))


def radius(points, i, k) -> float:
    """The distance of point i to its k-th nearest other point."""
    return sorted(distance(points[i], points[j]) for j in range(len(points)) if j != i)[k - 1]


def neighbour_scores(x, y, k, k_density) -> tuple[float, float, float, float]:
    def share(points, centres):
        radii = [radius(centres, j, k) for j in range(len(centres))]
        return sum(any(distance(p, c) <= r for c, r in zip(centres, radii)) for p in points) / len(points)

    radii = [radius(y, j, k_density) for j in range(len(y))]
    held = [[distance(p, c) <= r for c, r in zip(y, radii)] for p in x]
    density = sum(map(sum, held)) / (k_density * len(x))
    coverage = sum(any(row[j] for row in held) for j in range(len(y))) / len(y)
    return share(x, y), share(y, x), density, coverage


def memorisation(samples, training, held_out) -> tuple[float, float]:
    near, usual = ([min(distance(p, t) for t in training) for p in points] for points in (samples, held_out))
    at = median(usual)
    return median(near) / at, sum((d < at) + 0.5 * (d == at) for d in near) / len(near)


def kid(x, y) -> float:
    """Unbiased squared MMD under (<u, v> / d + 1)^3."""
    n, m, d = len(x), len(y), len(x[0])

    def k(u, v):
        return (sum(float(s) * float(t) for s, t in zip(u, v)) / d + 1) ** 3

    within_x = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_y = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_x + within_y - 2 * sum(k(u, v) for u in x for v in y) / (n * m)


def sharpness(images) -> float:
    found = []
    for image in images:
        channels, height, width = image.shape
        grey = [[sum(float(image[c, i, j]) for c in range(channels)) / channels for j in range(width)]
                for i in range(height)]  # fmt: skip
        values = [
            grey[i - 1][j] + grey[i + 1][j] + grey[i][j - 1] + grey[i][j + 1] - 4 * grey[i][j]
            for i in range(1, height - 1)
            for j in range(1, width - 1)
        ]
        mean = sum(values) / len(values)
        found.append(sum((v - mean) ** 2 for v in values) / len(values))
    return sum(found) / len(found)
