"""Heights from which Newton's method on power diagrams starts: no cell is empty, and their masses are near enough.

For a strictly convex phi whose gradients p_i = grad phi(y_i) are in the source's domain, the heights -phi(y_i) give
every y_i a cell that holds p_i, as <p_i, y_j> - phi(y_j) < <p_i, y_i> - phi(y_i). Here phi(y) = c sum_k F_k(<a_k, y>)
over a few directions a_k, F_k' being the transport on the line of the targets' projections to the source's: clusters,
tails and lines are spread over the whole domain, where a linear phi would leave them in slivers.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from .sources import Source

Array = np.ndarray

POINTS = 4096  # of the source, from which its projections are known
TRIED = 2000  # targets on which the two starts are compared
EVEN = 10.0  # times the mean mass, or a part of it: the largest and the least mass that a start is made for
INSIDE = 0.999  # of the way from the source's mean to a wall, that a p_i may be at most


def first_heights(
    y: Array, nu: Array, points: Array, halfspaces: Array, masses: Callable[[Array, Array], Array]
) -> Array:
    """The start along the axes or along all directions, the one that is nearer to nu in chi2 for a sample of targets.

    masses answers rows of y, and heights of them alone, with the masses of their cells. The start is made for masses
    nearer to one another than nu where those are far apart: beside one target that has nearly all the mass the others
    would begin in slivers, thinner in every direction and with less than their mass. Round cells that are far too large
    only have to shrink.
    """
    nu = np.clip(nu, 1.0 / (EVEN * len(nu)), EVEN / len(nu))
    nu = nu / nu.sum()
    axes, others = directions(y.shape[1])
    every = np.vstack([axes, others])
    rows = np.sort(np.random.default_rng(0).permutation(len(y))[:TRIED])
    part = nu[rows] / nu[rows].sum()
    distances = []
    for along in (axes, every):
        mass = masses(rows, convex_heights(y[rows], part, points, halfspaces, along))
        distances.append(float(((mass - part) ** 2 / part).sum()) if (mass > 0.0).all() else np.inf)
    return convex_heights(y, nu, points, halfspaces, axes if distances[0] < distances[1] else every)


def directions(d: int) -> tuple[Array, Array]:
    """The axes, and the diagonals of the faces and of the cube, (k, d) of length 1; each sum of a a^T is k / d I."""
    signs = np.array([sign for sign in product((-1, 0, 1), repeat=d) if next(filter(None, sign), 0) > 0], np.float64)
    signs /= np.linalg.norm(signs, axis=1)[:, None]
    axis = (np.abs(signs) == 1.0).any(1)
    return signs[axis], signs[~axis]


def spread_points(source: Source, n: int = POINTS) -> Array:
    """n points of the source that fill it evenly: the additive recurrence of Roberts (2018)."""
    numbers = source.uniforms or 0
    root = 2.0
    for _ in range(50):
        root = (1.0 + root) ** (1.0 / (numbers + 1))  # of x^(numbers + 1) = x + 1
    return source.from_uniform(np.outer(np.arange(1, n + 1), root ** -np.arange(1.0, numbers + 1)) % 1.0)


def convex_heights(y: Array, nu: Array, points: Array, halfspaces: Array, along: Array) -> Array:
    """-phi(y_i), for the projections along directions (k, d), with p_i in the domain {x : <a, x> <= b}, rows (a, b)."""
    mean = points.mean(0)
    phi, gradient = np.zeros(len(y)), np.zeros(y.shape)
    for a in along:
        slopes, heights = _on_a_line(y @ a, nu, np.sort((points - mean) @ a))
        phi += heights
        gradient += slopes[:, None] * a
    room = halfspaces[:, -1] - halfspaces[:, :-1] @ mean  # from the mean of the source, inside, to every face
    needed = float(((gradient @ halfspaces[:, :-1].T).max(0) / room).max())
    scale = min(y.shape[1] / len(along), INSIDE / needed if needed > 0.0 else np.inf)
    return -scale * phi - y @ mean


def _on_a_line(t: Array, nu: Array, sorted_points: Array) -> tuple[Array, Array]:
    """F'(t_i), the quantile of the points at the middle of the mass of all that have t_i; F(t_i) up to a constant."""
    places, which = np.unique(t, return_inverse=True)
    mass = np.bincount(which, nu)
    n = len(sorted_points)
    width = (sorted_points[-1] - sorted_points[0]) / n  # beyond the last points, lest F' be flat there
    shares = np.r_[0.0, (np.arange(n) + 0.5) / n, 1.0]
    reached = np.r_[sorted_points[0] - width, sorted_points, sorted_points[-1] + width]
    slopes = np.interp(np.cumsum(mass) - 0.5 * mass, shares, reached)
    heights = np.r_[0.0, np.cumsum(np.diff(places) * 0.5 * (slopes[1:] + slopes[:-1]))]
    return slopes[which], heights[which]
