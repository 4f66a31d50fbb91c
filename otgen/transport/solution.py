"""What the exact solvers share: the price of not shipping, sums that know their rounding, the answer and its proof."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray
Progress = Callable[[dict[str, Any]], None]

RAISE = 64.0  # times the price of not shipping, where mass is left though no arc is missing
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


def starting_price(costs: Array, reduced: Array) -> float:
    """What a unit that is not shipped pays at each end at first: more than a usual arc costs, yet no more than need be.

    The price enters every potential, and a huge one (as a few forbidding costs would make it) takes their digits.
    """
    highest, usual = 2.0 * float(reduced.max()), 16.0 * float(np.median(np.abs(costs)))
    return min(highest, usual) or highest or usual or 1.0


def weighted_median(values: Array, weights: Array) -> float:
    """A value with at most half of the weight on either side: where potentials are counted from.

    (f + t, g - t) prove the same for every t; with the bulk of g near 0 the products a f and b g are small and lose
    little to rounding. A mean would follow a few huge potentials.
    """
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(total, 0.5 * total[-1])]])


def lower_bound(a: Array, f: Array, b: Array, g: Array) -> float:
    """<a, f> + <b, g> less what rounding can have added: products and pairwise sums err by this much of their sizes."""
    bound = (20 + math.log2(len(f) + len(g))) * float(np.finfo(np.float64).eps)
    af, bg = a * f, b * g
    return float(af.sum() + bg.sum() - bound * (np.abs(af).sum() + np.abs(bg).sum()))


def prove(
    plan: tuple[Array, Array, Array],
    duals: tuple[Array, Array],
    value: float,
    lower: float,
    typical: float,
    *,
    tol: float,
    n_iter: int,
    why_not: str = "",
) -> Solution:
    """Put a plan (rows, cols, mass) of cost `value` beside feasible duals (f, g) of value `lower`, and judge the gap.

    `typical` is the cost of moving all mass a typical way: a gap is measured against value or 1e-3 of it.
    """
    lower = min(lower, value)
    gap, scale = value - lower, max(abs(value), MEAN_SHARE * typical)
    converged = bool(gap <= tol * scale < np.inf)
    message = "proven optimal" if converged else why_not or (
        "no pair is violated beyond rounding, yet the gap is above tol; raise tol, or rescale extreme costs and weights"
    )  # fmt: skip
    return Solution(*plan, *duals, value, lower, gap, scale, n_iter, converged, message)
