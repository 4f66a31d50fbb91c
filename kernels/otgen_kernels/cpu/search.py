"""The k smallest c(x_i, y_j) - h_j through a Tree, skipping only what provably cannot matter.

For a node with centre z, half widths w and h_j <= <s, y_j - z> + r, convexity of c in y bounds c - h from below by
c(x, z) - r - sum_k max_{|u_k| <= w_k} (s_k u_k - (what c is known to grow by along u_k)).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..constants import BIG, FAN, LEAF, SMALL_DIMS, TILE_ROWS, TINY
from ..costs import Cost
from . import pool
from .decide import ABSOLUTES, IDENTITY, POWER, ROOT, SQUARE, SQUARES, cost, settle
from .kdtree import kd_order
from .scan import screen_leaf
from .tree import Tree


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _bound(x, i, nodes, group, dims, form, shape, q, unit, slack, slope, bound):
    """Write a lower bound of c - h over each of 8 nodes into bound; slope is scratch: dc/ds at the centres."""
    d = len(dims) if len(dims) else x.shape[1]
    fan = nodes.shape[2]
    for t in range(fan):
        s = 0.0
        for k in range(d):
            a = abs(x[i, k] - nodes[group, k, t])
            if len(form) == SQUARES:
                s += a * a
            elif len(form) == ABSOLUTES:
                s += a
            else:
                s = max(s, a)
        bound[t] = unit * s
    if shape == IDENTITY:
        for t in range(fan):
            slope[t] = 1.0
    elif shape == ROOT:
        for t in range(fan):
            bound[t] = np.sqrt(bound[t])
            slope[t] = 0.5 / max(bound[t], 1e-290)
    elif shape == SQUARE:
        for t in range(fan):
            slope[t] = 2.0 * bound[t]
            bound[t] = bound[t] * bound[t]
    else:
        for t in range(fan):
            c = bound[t] ** q
            slope[t] = q * c / max(bound[t], 1e-290)
            bound[t] = c
    for t in range(fan):
        loss = 0.0
        if len(form) == SQUARES:
            rise = slope[t] * unit
            if q < 1.0:  # c is convex in y but not in s: only its gradient is safe
                for k in range(d):
                    g = abs(2.0 * rise * (nodes[group, k, t] - x[i, k]) - nodes[group, 2 * d + k, t])
                    loss += g * nodes[group, d + k, t]
            else:
                for k in range(d):
                    g = abs(2.0 * rise * (nodes[group, k, t] - x[i, k]) - nodes[group, 2 * d + k, t])
                    u = min(g / max(2.0 * rise, 1e-290), nodes[group, d + k, t])
                    loss += (g - rise * u) * u
        elif len(form) == ABSOLUTES:
            for k in range(d):
                a, w, s = nodes[group, k, t] - x[i, k], nodes[group, d + k, t], nodes[group, 2 * d + k, t]
                kink = min(max(-a, -w), w)
                least = min(slope[t] * abs(a - w) + s * w, slope[t] * abs(a + w) - s * w)
                loss += slope[t] * abs(a) - min(least, slope[t] * abs(a + kink) - s * kink)
        else:
            far, ties = 0.0, 0.0
            for k in range(d):
                far = max(far, abs(nodes[group, k, t] - x[i, k]))
            for k in range(d):
                ties += abs(nodes[group, k, t] - x[i, k]) == far
            for k in range(d):
                a = nodes[group, k, t] - x[i, k]
                g = (slope[t] / ties if abs(a) == far else 0.0) * (1.0 if a > 0.0 else -1.0)
                loss += abs(g - nodes[group, 2 * d + k, t]) * nodes[group, d + k, t]
        bound[t] = bound[t] * (1.0 - slack) - loss - nodes[group, 3 * d, t]


@njit(nogil=True, cache=True, error_model="numpy")
def search(
    x, rows, lo, hi, y, h, order, leaves, heights, nodes, starts, counts, dims, form, shape, q, unit, slack,
    values, indices,
):  # fmt: skip
    """Fill values and indices for the queries rows[lo:hi]; neighbours in rows should be neighbours in space.

    dims has length d where d is small (0 elsewhere) and form the length of its number: the types of the two choose
    the loops, so only the ones in use are compiled.
    """
    m, d = y.shape
    k = values.shape[1]
    room = 2 * k  # candidates held unsorted; at 2 k they are cut to the k smallest
    value, index = np.empty((1, room)), np.empty((1, room), np.int64)
    score, slope, bound = np.empty(leaves.shape[2]), np.empty(FAN), np.empty(FAN)
    pending = np.empty((FAN * counts.shape[0] + 1, 2), np.int64)
    priority = np.empty(FAN * counts.shape[0] + 1)
    row = np.int64(0)  # not the literal, here and in size: Numba would compile `settle` once more for each
    for t in range(lo, hi):
        i = rows[t]
        # The previous query's answer bounds this one's: its k pairs are k candidates here too.
        limit = BIG
        if t > lo:
            limit = -BIG
            for r in range(k):
                j = index[0, r]
                limit = max(limit, cost(x, i, y, j, np.int64(len(form)), shape, q, unit) - h[j])
        size = np.int64(0)
        pending[0, 0], pending[0, 1], priority[0] = counts.shape[0], 0, -BIG
        depth = 1
        while depth:
            depth -= 1
            if priority[depth] > limit:
                continue
            level, leaf = pending[depth, 0], pending[depth, 1]
            if level:
                _bound(x, i, nodes, starts[level - 1] + leaf, dims, form, shape, q, unit, slack, slope, bound)
                base = depth
                for c in range(FAN):
                    b = bound[c]
                    if b <= limit and b < 0.5 * BIG:
                        at = depth
                        while at > base and priority[at - 1] < b:  # the least bound on top
                            priority[at] = priority[at - 1]
                            pending[at, 0], pending[at, 1] = pending[at - 1, 0], pending[at - 1, 1]
                            at -= 1
                        priority[at], pending[at, 0], pending[at, 1] = b, level - 1, leaf * FAN + c
                        depth += 1
                continue
            group, lane = leaf // FAN, leaf % FAN
            reach = limit + slack * abs(limit) + nodes[group, 3 * d + 2, lane] + TINY
            if shape == POWER:
                most = reach + nodes[group, 3 * d + 1, lane]
                if most < 0.0:
                    continue
                reach = most ** (1.0 / q) * (1.0 + slack)
            if not screen_leaf(x, i, leaves, heights, leaf, dims, form, shape, unit, reach, score):
                continue
            for u in range(min(LEAF, m - leaf * LEAF)):
                if score[u] <= 0.0:
                    j = order[leaf * LEAF + u]
                    v = cost(x, i, y, j, np.int64(len(form)), shape, q, unit) - h[j]
                    if v <= limit:
                        value[0, size], index[0, size] = v, j
                        size += 1
                        if size == room:
                            settle(value, index, row, size)
                            size = k
                            limit = value[0, k - 1]
        settle(value, index, row, size)
        for r in range(k):
            values[i, r] = value[0, r]
            indices[i, r] = index[0, r]


class TreePairs:
    """Pairs of the clouds x and y (float64) under one cost, reduced through a tree over either."""

    def __init__(self, x: np.ndarray, y: np.ndarray, cost: Cost):
        self._clouds, self._cost = (x, y), cost
        self._orders: list[np.ndarray | None] = [None, None]
        self._trees: list[Tree | None] = [None, None]

    def reduce(self, rows: int, h: np.ndarray, values: np.ndarray, indices: np.ndarray, *, serial: bool) -> None:
        """Fill values and indices for the cloud `rows` (0: x, 1: y) against the other, whose offsets are h."""
        x, y, cost = self._clouds[rows], self._clouds[1 - rows], self._cost
        tree, order = self._tree(1 - rows), self._order(rows)
        d = x.shape[1]
        slack = cost.slack(d)
        tree.set_heights(h, cost, slack)
        dims = (0,) * d if d <= SMALL_DIMS else ()
        form = (0,) * cost.form

        def work(tile: int) -> None:
            lo = tile * TILE_ROWS
            search(
                x, order, lo, min(lo + TILE_ROWS, len(x)), y, h, tree.order, tree.leaves, tree.heights, tree.nodes,
                tree.starts, tree.counts, dims, form, cost.shape, cost.q, cost.unit, slack, values, indices,
            )  # fmt: skip

        pool.run(work, -(-len(x) // TILE_ROWS), serial=serial)

    def _order(self, side: int) -> np.ndarray:
        order = self._orders[side]
        if order is None:
            order = self._orders[side] = kd_order(self._clouds[side], LEAF)
        return order

    def _tree(self, side: int) -> Tree:
        tree = self._trees[side]
        if tree is None:
            tree = self._trees[side] = Tree(self._clouds[side], self._order(side))
        return tree
