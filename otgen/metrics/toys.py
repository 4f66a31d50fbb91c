"""Samples of a toy against its density, which is known: modes, stray points and the width of the noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import read_queries
from ..data.toys import Toy, facts

NEAR, WIDE, STRAY = 3.0, 4.0, 10.0
"""Distances from a mode, in sd, that make a sample one of high quality, part of the spread, and one between modes."""


@dataclass(frozen=True)
class ToyScores:
    """What samples make of a toy; of a perfect sampler 98.89 % lie within 3 sd, 99.97 % within 4, none between modes.

    modes: the number of centres, or of curves; covered: those with a sample within 3 sd; within_3_sd, within_4_sd: the
    shares of samples so near to a centre or curve; between: the share farther than 10 sd from all; spread: the
    deviation of the samples within 4 sd around their own mean in each mode, or from the curve, divided by its true
    value (1: perfect, 0: collapsed); None where no mode holds two.
    """

    modes: int
    covered: int
    within_3_sd: float
    within_4_sd: float
    between: float
    spread: float | None


def toy_scores(samples: Any, name: str) -> ToyScores:
    """Judge samples (n, 2) by the density of the toy set `name`, as `ToyScores` says.

    Raises ValueError for an unknown name, ValueError or TypeError for bad samples. Source: Srivastava et al., arXiv
    1705.07761 (modes and high-quality samples within 3 sd).
    """
    toy = facts(name)
    points, _ = read_queries(samples, 2, "samples", name)
    away, mode = toy.distance(points)
    away = away / toy.sd
    near = away <= WIDE
    return ToyScores(
        toy.components,
        len(np.unique(mode[away <= NEAR])),
        float((away <= NEAR).mean()),
        float(near.mean()),
        float((away > STRAY).mean()),
        _spread(points[near].astype(np.float64) / toy.sd, mode[near], away[near], toy),
    )


def _spread(points: np.ndarray, mode: np.ndarray, away: np.ndarray, toy: Toy) -> float | None:
    """The ratio of deviations, points and distances being in sd."""
    if toy.centres is None:  # across a curve the noise is one normal, cut off at 4 sd: 0.1 % of its variance
        return float(np.sqrt(np.mean(away**2))) if len(away) else None
    sizes = np.bincount(mode, minlength=toy.components)
    free = int((sizes - 1)[sizes > 0].sum())
    if free == 0:
        return None
    sums = np.stack([np.bincount(mode, points[:, axis], toy.components) for axis in (0, 1)], axis=1)
    around = points - (sums / np.maximum(sizes, 1)[:, None])[mode]
    half = 0.5 * WIDE**2
    kept = 1 - half / math.expm1(half)  # of the variance, by the points within WIDE
    return math.sqrt(float((around**2).sum()) / (2 * free * kept))
