"""The smooth extension of a semi-discrete map as loops so plain that they are the definition."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np

from naive import distance


class Box:
    """The uniform measure on [0, 1]^d, which remembers how much was drawn."""

    def __init__(self, dim: int, scale: float = 1.0):
        self.dim, self.scale, self.drawn = dim, scale, []

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        self.drawn.append(n)
        return self.scale * rng.random((n, self.dim))


def dihedral_angle(y, other) -> float:
    """arccos((1 + <y, y'>) / sqrt((1 + |y|^2) (1 + |y'|^2))), with so many digits that no cancellation matters."""
    with localcontext() as context:
        context.prec = 700  # squares of 1e-160 beside 1
        y, other = [Decimal(float(u)) for u in y], [Decimal(float(u)) for u in other]
        one = Decimal(1)
        norms = sum((u * u for u in y), one) * sum((v * v for v in other), one)
        cos = sum((u * v for u, v in zip(y, other)), one) / norms.sqrt()
        sin = max(1 - cos * cos, Decimal(0)).sqrt()
        return math.atan2(float(sin), float(cos))


def neighbours(x, y, centres):
    """(ids, distances, angles) of the d + 1 centres nearest to x, ties by row; rows of NaN are no centres."""
    rows = [i for i, c in enumerate(centres) if not math.isnan(c[0])]
    near = sorted((distance(x, centres[i], "euclidean"), i) for i in rows)[: len(x) + 1]
    ids = [i for _, i in near]
    return ids, [r for r, _ in near], [dihedral_angle(y[ids[0]], y[i]) for i in ids[1:]]


def kept_ids(x, y, centres, theta: float) -> list[int]:
    """i_0 and the neighbours within theta; i_0 where it is the only centre; [] where x is rejected."""
    ids, _, angles = neighbours(x, y, centres)
    kept = [i for i, angle in zip(ids[1:], angles) if angle <= theta]
    return [ids[0], *kept] if kept or len(ids) == 1 else []


def extend(x, y, centres, theta: float):
    """The inverse-distance average of the kept targets; None where x is rejected."""
    kept = kept_ids(x, y, centres, theta)
    if not kept:
        return None
    distances = [distance(x, centres[i], "euclidean") for i in kept]
    if 0.0 in distances:
        weights = [float(r == 0.0) for r in distances]
    else:
        weights = [1.0 / r for r in distances]
    total = math.fsum(weights)
    return [math.fsum(w * float(y[i][k]) for w, i in zip(weights, kept)) / total for k in range(len(x))]
