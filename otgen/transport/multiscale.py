"""The coarser problems whose optimal duals start the next finer one: the starting duals decide the cost of exact OT.

Points are merged four by four along a k-d tree, so a coarse arc with mass says where its sixteen children may ship and
the finer problem always has a feasible start. A bare matrix has no such geometry; its coarser levels are samples.

Source: multiscale transport as in Merigot, A multiscale approach to optimal transport (2011), and Schmitzer, A sparse
multiscale algorithm for dense optimal transport, arXiv 1510.05466.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from otgen_kernels import host

from .pricing import Costs, MatrixCosts, MatrixSample, PointCosts

Array = np.ndarray

ALL_ARCS = 32 * 32  # pairs below which every arc is a candidate and no coarser level pays
KEPT_SIDE = 64  # points below which a side is not merged further: a coarser one says nothing of the finer one's duals


@dataclass(frozen=True)
class Level:
    """One scale of a problem: its costs, its whole masses, and where each row's and column's children start below."""

    costs: Costs
    a: Array
    b: Array
    row_starts: Array | None = None
    col_starts: Array | None = None


def point_levels(costs: PointCosts, a: Array, b: Array) -> list[Level]:
    """Return the levels of a problem between k-d ordered clouds, finest first."""
    levels = [Level(costs, a, b)]
    while costs.shape[0] * costs.shape[1] > ALL_ARCS and max(costs.shape) > KEPT_SIDE:
        x, a, row_starts = merged(costs.x, a)
        y, b, col_starts = merged(costs.y, b)
        costs = costs.between(x, y)
        levels.append(Level(costs, a, b, row_starts, col_starts))
    return levels


def merged(x: Array, a: Array) -> tuple[Array, Array, Array]:
    """The k-d ordered cloud one level up: its points, its masses, and where the children of each start."""
    if len(x) <= KEPT_SIDE:
        return x, a, np.arange(len(x) + 1)
    starts = host.group_starts(len(x))
    x, a = host.group_means(x, a, starts)
    return x, a, starts


def matrix_levels(costs: MatrixCosts, a: Array, b: Array) -> list[Level]:
    """Return the levels of a matrix problem, finest first; each samples a quarter of the rows and columns above."""
    levels = [Level(costs, a, b)]
    rng = np.random.default_rng(0)
    while costs.shape[0] * costs.shape[1] > ALL_ARCS and max(costs.shape) > KEPT_SIDE:
        rows, cols = (_sample(rng, len(masses)) for masses in (a, b))
        costs = MatrixSample(costs, rows, cols)
        a, b = host.whole_masses(a[rows] / a[rows].sum(), b[cols] / b[cols].sum())
        levels.append(Level(costs, a, b))
    return levels


def _sample(rng: np.random.Generator, size: int) -> Array:
    return np.arange(size) if size <= KEPT_SIDE else np.sort(rng.choice(size, -(-size // 4), replace=False))
