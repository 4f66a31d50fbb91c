"""What every exact solver answers: a plan, feasible duals, and the gap between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray
Progress = Callable[[dict[str, Any]], None]

MEAN_SHARE = 1e-3  # of the mean cost: the least scale a gap is measured against, for values near 0


@dataclass(frozen=True)
class Solution:
    """An optimal plan as a list of arcs and duals feasible for every pair; `gap` = value - lower_bound is its proof."""

    rows: Array
    cols: Array
    mass: Array
    f: Array
    g: Array
    value: float
    lower_bound: float
    gap: float
    scale: float
    n_iter: int
    converged: bool
    message: str


def verdict(converged: bool, why_not: str) -> str:
    """The message of a solution: proven, or why it is not."""
    return "proven optimal" if converged else why_not or "no arc is violated beyond rounding, yet the gap is above tol"
