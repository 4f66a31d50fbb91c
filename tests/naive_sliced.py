"""Sliced transport by its definition: every direction on its own, in exact fractions along it."""

from __future__ import annotations

import math

import numpy as np

import naive_line


def distances(x, y, a, b, p, directions) -> list[float]:
    """W_p along each direction."""
    found = []
    for theta in directions:
        u = [math.fsum(float(t) * float(c) for t, c in zip(theta, point)) for point in x]
        v = [math.fsum(float(t) * float(c) for t, c in zip(theta, point)) for point in y]
        found.append(naive_line.wasserstein_1d(u, v, a, b, p))
    return found


def value(x, y, a, b, p, directions) -> float:
    """(mean over directions of W_p^p)^(1/p)."""
    found = distances(x, y, a, b, p, directions)
    return (math.fsum(w**p for w in found) / len(found)) ** (1 / p)


def best_of_circle(x, y, a, b, p, count) -> float:
    """The largest W_p along `count` directions of the half circle, evenly spread."""
    angles = np.pi * np.arange(count) / count
    return max(distances(x, y, a, b, p, np.stack([np.cos(angles), np.sin(angles)], axis=1)))
