"""The definitions of cells in float64: what every answer of the semi-discrete benchmark is checked against.

Cell i of heights h is where <x, y_i> + h_i is the greatest. Nothing here comes from otgen.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial import ConvexHull, HalfspaceIntersection, QhullError

CHECKED_CELLS = 10_000  # a random part of larger clouds: Qhull takes a millisecond for one
SAMPLES, SAMPLES_OF_EACH = 400_000, 5  # the noise of chi2 is sqrt(2 n) / samples: 4e-4 at 10,000 cells
BLOCK = 1 << 23  # scores in a block: 64 MB


def counts(x: np.ndarray, y: np.ndarray, h: np.ndarray) -> np.ndarray:
    """How many of the points x (N, d) each cell holds, (n,)."""
    found, rows = np.zeros(len(y), np.int64), max(BLOCK // len(y), 1)
    y = y.astype(np.float64)
    for start in range(0, len(x), rows):
        score = x[start : start + rows].astype(np.float64) @ y.T
        score += h
        found += np.bincount(score.argmax(axis=1), minlength=len(y))
    return found


def chi2(y: np.ndarray, h: np.ndarray, draw: Callable[[int], np.ndarray]) -> dict[str, float]:
    """sum_i (w_i - 1/n)^2 n of the cells' masses w, unbiased, from independent points; `noise`: its sd at w = 1/n."""
    n = len(y)
    samples, found = max(SAMPLES, SAMPLES_OF_EACH * n), np.zeros(n, np.int64)
    for start in range(0, samples, SAMPLES):
        found += counts(draw(min(SAMPLES, samples - start)), y, h)
    pairs = float(samples) * (samples - 1)
    error = n * float((found * (found - 1.0)).sum()) / pairs - 1
    return {"error_found": error, "noise": (2 * (n - 1) / pairs) ** 0.5, "empty": int((found == 0).sum())}


def mass_error(y: np.ndarray, h: np.ndarray, inside: np.ndarray, box: np.ndarray) -> dict[str, float]:
    """The largest |w_i n - 1| of the cells' exact volumes w in a box (d, 2), by Qhull; equal targets share a cell.

    `inside` (n, d) are points of the cells, such as their centres; a cell that does not hold its own counts as empty.
    """
    places, first, count = np.unique(y, axis=0, return_index=True, return_counts=True)
    h, inside, nu = h[first], inside[first], count / len(y)
    rng = np.random.default_rng(0)
    some = rng.choice(len(places), min(CHECKED_CELLS, len(places)), replace=False)
    walls = _walls(box)
    around = neighbours(places, h, box)
    volume = float(np.prod(box[:, 1] - box[:, 0]))
    errors = [abs(_volume(i, places, h, around[i], inside[i], walls) / (volume * nu[i]) - 1) for i in some]
    return {"error_found": float(np.max(errors)), "checked_cells": len(some)}


def neighbours(y: np.ndarray, h: np.ndarray, box: np.ndarray) -> list[np.ndarray]:
    """The sites whose cells may touch that of each: the edges of the upper hull of the points (y_i, h_i)."""
    n, d = y.shape
    centre = box.mean(axis=1)
    width = np.ptp(box, axis=1).max() + np.ptp(y, axis=0).max()
    # Sites far off and too low to have a part of the box: with them no cloud is flat, be it on a line.
    far = 3 * width * np.concatenate([np.eye(d), -np.eye(d)])
    lifted = h + y @ centre
    low = np.full(2 * d, lifted.min() - 3 * d * width**2 * (1 + np.abs(y - centre).max() / width))
    points = np.column_stack([np.concatenate([y - centre, far]), np.concatenate([lifted, low])])
    hull = ConvexHull(points)
    upper = hull.simplices[hull.equations[:, d] > 0]
    pairs = np.concatenate([upper[:, [i, j]] for i in range(d + 1) for j in range(d + 1) if i != j])
    pairs = np.unique(pairs[(pairs < n).all(axis=1)], axis=0)
    return np.split(pairs[:, 1], np.searchsorted(pairs[:, 0], np.arange(1, n)))


def _walls(box: np.ndarray) -> np.ndarray:
    """Rows (a, b), <a, x> + b <= 0 in the box."""
    unit = np.eye(len(box))
    return np.column_stack([np.concatenate([unit, -unit]), np.concatenate([-box[:, 1], box[:, 0]])])


def _volume(i: int, y: np.ndarray, h: np.ndarray, around: np.ndarray, inside: np.ndarray, walls: np.ndarray) -> float:
    apart = y[around] - y[i]
    length = np.linalg.norm(apart, axis=1)
    faces = np.column_stack([apart / length[:, None], (h[around] - h[i]) / length])
    faces = np.concatenate([faces, walls])
    # About a point inside and in units of the cell, lest Qhull's tolerances see a small cell as flat.
    faces[:, -1] += faces[:, :-1] @ inside
    if not (faces[:, -1] < 0).all():
        return 0.0
    size = np.abs(faces[:, -1]).min()
    faces[:, -1] /= size
    try:
        corners = HalfspaceIntersection(faces, np.zeros(y.shape[1])).intersections
        return float(ConvexHull(corners).volume * size ** y.shape[1])
    except QhullError:
        return 0.0
