"""Scores by nearest neighbours: fidelity and variety apart, and whether samples are copies of training images."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from otgen_kernels import PairIndex

from ..arrays import read_clouds, read_points
from ..options import read_count

FIRST = 64  # neighbours looked at first: a sample in a ball of density 1 lies in about k = 5 of them
ENTRIES = 1 << 22  # distances held at once, 64 MB with their indices


class Neighbours(NamedTuple):
    """Precision, recall, density and coverage; all in [0, 1] but density, which is about 1 for equal laws."""

    precision: float
    recall: float
    density: float
    coverage: float


class Memorisation(NamedTuple):
    """How near samples are to training images against held-out ones; `ratio` 1 and `below` 1/2 for equal laws."""

    ratio: float
    below: float


def neighbour_scores(x: Any, y: Any, *, k: int = 3, k_density: int = 5) -> Neighbours:
    """Precision and recall (k neighbours), density and coverage (k_density) of samples x (n, d) and true y (m, d).

    B_k(y_j) is the closed ball around y_j that reaches its k-th nearest other point of y. precision: the share of x in
    some B_k(y_j); recall: the share of y in some B_k(x_i); density: the number of balls B(y_j) that a point of x lies
    in, mean over x, divided by k_density; coverage: the share of balls B(y_j) that hold a point of x.

    Memory O(n + m). Raises ValueError where a side has not more points than neighbours, ValueError or TypeError for
    other bad input. Source: Kynkaanniemi et al., arXiv 1904.06991; Naeem et al., arXiv 2002.09797.
    """
    x, y, _ = read_points(x, y)
    k, k_density = read_count(k, "k", "neighbours"), read_count(k_density, "k_density", "neighbours")
    for name, points, most in (("x", x, k), ("y", y, max(k, k_density))):
        if len(points) <= most:
            raise ValueError(
                f"{name} must hold more than {most} points, the neighbours looked at; got {len(points)}. Draw more, or "
                "lower k and k_density."
            )
    of_x, of_y = _radii(x, (k,)), _radii(y, (k, k_density))
    held = _inside(x, y, of_y[1])
    nearest = PairIndex(y, x, metric="euclidean", p=1).c_transform(None)[0]
    return Neighbours(
        float(_covered(x, y, of_y[0]).mean()),
        float(_covered(y, x, of_x[0]).mean()),
        float(held.sum() / (k_density * len(x))),
        float((nearest <= of_y[1]).mean()),
    )


def memorisation(samples: Any, training: Any, held_out: Any) -> Memorisation:
    """Distances of samples to their nearest training image against those of images that were not trained on.

    d(s) = min over training of |s - t|. ratio = median d(samples) / median d(held_out), far below 1 for copies; below =
    the share of samples with d under the median of held_out, ties by half. Where the median of held_out is 0 the ratio
    is 1 or inf. All (n, d), of any sizes; memory O(n). Raises ValueError or TypeError for bad input.
    """
    (samples, training, held_out), _ = read_clouds({"samples": samples, "training": training, "held_out": held_out})
    near, usual = (
        PairIndex(points, training, metric="euclidean", p=1).c_transform(None)[0] for points in (samples, held_out)
    )
    middle, at = float(np.median(near)), float(np.median(usual))
    below = float((near < at).mean() + 0.5 * (near == at).mean())
    if at == 0:
        return Memorisation(1.0 if middle == 0 else math.inf, below)
    return Memorisation(middle / at, below)


def _radii(points: np.ndarray, counts: tuple[int, ...]) -> list[np.ndarray]:
    """The distance (n,) of each point to its k-th nearest other point, for each k of counts."""
    # The nearest of all is the point itself, or one that coincides with it: at 0 either way.
    found = PairIndex(points, points, metric="euclidean", p=1).smallest_k(None, max(counts) + 1)[0]
    return [np.ascontiguousarray(found[:, k]) for k in counts]


def _covered(points: np.ndarray, centres: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Whether each point lies in some ball: min_j |x - y_j| - r_j <= 0."""
    return PairIndex(points, centres, metric="euclidean", p=1).c_transform(radii)[0] <= 0


def _inside(points: np.ndarray, centres: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """The number of balls (n,) that each point lies in: how many of the smallest |x - y_j| - r_j are <= 0."""
    counts, left, k = np.zeros(len(points), np.int64), np.arange(len(points)), FIRST
    while len(left):
        k = min(k, len(centres))
        step = max(ENTRIES // k, 1)
        for low in range(0, len(left), step):
            rows = left[low : low + step]
            found = PairIndex(points[rows], centres, metric="euclidean", p=1).smallest_k(radii, k)[0]
            counts[rows] = (found <= 0).sum(axis=1)
        # Where all k are inside there may be more.
        left, k = left[counts[left] == k] if k < len(centres) else left[:0], 8 * k
    return counts
