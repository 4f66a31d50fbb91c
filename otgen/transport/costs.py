"""Costs c(x, y) = metric(x, y)**p: their names, the domain they need, and their gradients."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..options import is_real

METRICS = ("euclidean", "cityblock", "chebyshev", "cosine")
COSTS = ("sqeuclidean", *METRICS)


class Cost(NamedTuple):
    """The cost metric(x, y)**p; p >= 1."""

    metric: str
    p: float

    def __str__(self) -> str:
        if self == ("euclidean", 2.0):
            return "sqeuclidean"
        return self.metric if self.p == 1 else f"{self.metric}**{self.p:g}"


def parse_cost(cost: Any) -> Cost:
    """Return the Cost a user named: "sqeuclidean", a metric's name (p = 1), or a pair (metric, p)."""
    if isinstance(cost, str) and cost in COSTS:
        return Cost("euclidean", 2.0) if cost == "sqeuclidean" else Cost(cost, 1.0)
    if isinstance(cost, (tuple, list)) and len(cost) == 2:
        return make_cost(cost[0], cost[1], "the metric of cost", "write ('euclidean', 2)")
    raise ValueError(
        f"cost must be one of {', '.join(COSTS)}, or a pair (metric, p); got {cost!r}. "
        "For powers write ('euclidean', 3)."
    )


def make_cost(metric: Any, p: Any, name: str = "metric", squared: str = "pass metric='euclidean', p=2") -> Cost:
    """Return Cost(metric, p); `name` is what errors speak of, `squared` how one writes a power there."""
    if not isinstance(metric, str) or metric not in METRICS:
        raise ValueError(
            f"{name} must be one of {', '.join(METRICS)}; got {metric!r}. For squared distances {squared}."
        )
    return Cost(metric, check_p(p))


def check_p(p: Any) -> float:
    """Return p as a float; raise unless it is a finite number >= 1."""
    if not is_real(p) or not 1 <= p < math.inf:
        raise ValueError(f"p must be a finite number >= 1; got {p!r}. Pass p=1 or p=2, the usual ones.")
    return float(p)


def check_domain(cost: Cost, x: np.ndarray, y: np.ndarray) -> None:
    """Raise where cost is undefined or cannot be represented: cosine of a zero vector, a power beyond float64.

    x and y are clouds (n, d), (m, d) or batches of them.
    """
    flat = x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1])
    if cost.metric == "cosine":
        for name, shape, points in zip("xy", (x.shape, y.shape), flat):
            zero = ~points.any(axis=1)
            if zero.any():
                *problem, row = (int(k) for k in np.unravel_index(np.argmax(zero), shape[:-1]))
                where = f"row {row} of {name}" + (f"[{problem[0]}]" if problem else "")
                raise ValueError(f"cosine needs non-zero vectors; {where} is zero. Drop it.")
    largest = diameter(cost.metric, *flat)
    if largest > 0 and not -1000 < cost.p * math.log2(largest) < 1020:
        raise ValueError(
            f"{cost} leaves the range of float64: distances reach {largest:.3g}. Rescale x and y together, or lower p."
        )


def diameter(metric: str, x: np.ndarray, y: np.ndarray) -> float:
    """Return an upper bound of metric(x_i, y_j) over all pairs, from the box around both clouds."""
    if metric == "cosine":
        return 2.0
    low = np.minimum(x.min(axis=0), y.min(axis=0)).astype(np.float64)
    high = np.maximum(x.max(axis=0), y.max(axis=0)).astype(np.float64)
    with np.errstate(over="ignore"):
        sides = high - low
        longest = float(sides.max())
        if metric == "chebyshev" or longest in (0.0, math.inf):
            return longest
        return float(sides.sum()) if metric == "cityblock" else longest * float(np.linalg.norm(sides / longest))


def pair_gradients(cost: Cost, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of c(x_s, y_s) in x_s and in y_s for paired rows (s, d) float64; 0 where the points coincide.

    chebyshev takes the lowest of tied coordinates; where a distance has a kink a subgradient is returned.
    """
    r = _distances(cost.metric, x, y)
    outer = np.where(r > 0, cost.p * r ** (cost.p - 1), 0.0)[:, None]
    if cost.metric == "cosine":
        norm_x, norm_y = _norms(x), _norms(y)
        unit_x, unit_y = x / norm_x, y / norm_y
        cos = 1.0 - r[:, None]
        return outer * (cos * unit_x - unit_y) / norm_x, outer * (cos * unit_y - unit_x) / norm_y
    u = x - y
    if cost.metric == "euclidean":
        inner = u / np.where(r > 0, r, 1.0)[:, None]
    elif cost.metric == "cityblock":
        inner = np.sign(u)
    else:
        inner = np.zeros_like(u)
        at = (np.arange(len(u)), np.argmax(np.abs(u), axis=1))
        inner[at] = np.sign(u[at])
    gradient = outer * inner
    return gradient, -gradient


def paired_costs(cost: Cost, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """c(x_s, y_s) of paired rows (s, d) float64: (s,)."""
    return _distances(cost.metric, x, y) ** cost.p


def _distances(metric: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if metric == "cosine":
        # Half the squared chord: 1 - <u, v> would lose everything for nearly parallel vectors.
        return 0.5 * np.square(x / _norms(x) - y / _norms(y)).sum(axis=1)
    u = np.abs(x - y)
    if metric == "cityblock":
        return u.sum(axis=1)
    return u.max(axis=1) if metric == "chebyshev" else _norms(u)[:, 0]


def _norms(u: np.ndarray) -> np.ndarray:
    """|u_s| of each row as a column, safe from over- and underflow."""
    largest = np.abs(u).max(axis=1, keepdims=True)
    safe = np.where(largest > 0, largest, 1.0)
    return largest * np.sqrt(np.square(u / safe).sum(axis=1, keepdims=True))
