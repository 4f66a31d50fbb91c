"""Power (Laguerre) diagrams in the plane, clipped to a convex polygon: cell measures, moments and facets."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import pool
from .kdtree import kd_order
from .laguerre2d_cells import EPS4, FULL
from .laguerre2d_measure import match_rows, measure_leaves, outline_leaves, write_rows
from .laguerre_diagram import Diagram
from .laguerre_tree import DEAD, LaguerreTree

LEAF_SITES = 16
"""Sites whose cells are found together."""

TILE_LEAVES = 32
"""Leaves of one unit of work: about 1 ms."""

SERIAL_SITES = 2048
"""Sites below which threads are not worth their start."""

EDGES_PER_SITE = 8
"""Room for edges of a tile at first, each counted from both sides: a planar graph has fewer than 6."""

CORNERS = 32
"""Corners a cell may have at first."""

NEGLIGIBLE = 1e-13
"""Length, relative to the domain, up to which an edge that only one of its two cells sees is dropped."""


class Laguerre2D:
    """The power diagrams of the sites y (n, 2) on a convex polygon (k, 2), corners counter-clockwise, for any heights.

    W_i = {x : <x, y_i> + h_i >= <x, y_j> + h_j for all j}; for the cost |x - y|^2, h_i = (g_i - |y_i|^2) / 2.
    The measure is Lebesgue's, or has a piecewise constant density, an image (H, W) >= 0 on the polygon, which is then a
    rectangle: row r covers y in y0 + [r, r + 1] (y1 - y0) / H, column c covers x in x0 + [c, c + 1] (x1 - x0) / W.
    Of equal sites the higher one has the cell, of equal heights the first. Sites of height -inf take no part.
    """

    def __init__(self, y: np.ndarray, polygon: np.ndarray, density: np.ndarray | None = None):
        self._y = np.ascontiguousarray(y, np.float64)
        self._corners = np.ascontiguousarray(polygon, np.float64)
        along = np.roll(self._corners, -1, 0) - self._corners
        outward = np.column_stack([along[:, 1], -along[:, 0]])
        self._walls = np.column_stack([outward, -(outward * self._corners).sum(1)])
        self._low, self._high = self._corners.min(0), self._corners.max(0)
        self._extent = float(np.abs(self._corners).max())
        self._image = np.zeros((0, 0)) if density is None else np.ascontiguousarray(density, np.float64)
        size = (self._high - self._low) / np.maximum(self._image.shape[::-1], 1)
        self._grid = np.concatenate([self._low, size])
        self._tree = LaguerreTree(self._y, kd_order(self._y, LEAF_SITES), LEAF_SITES)
        self._twins = _equal_rows(self._y)

    def measure(self, h: np.ndarray, *, near: Diagram | None = None, facets: bool = True) -> Diagram:
        """Return the Diagram of the heights h (n,); near, that of similar heights, makes it faster.

        Without facets the graph is left empty. A cell without area has mass 0 and no neighbours; one of positive area
        on which the density is 0 keeps its neighbours, with the facets that it has.
        """
        n = len(self._y)
        heights = self._heights(h)
        answer = mass, first, second, degree = np.empty(n), np.empty((n, 2)), np.empty(n), np.empty(n, np.int64)
        tiles = self._tiles()
        edges: list[np.ndarray] = [np.empty(0, np.int64)] * len(tiles)
        lengths: list[np.ndarray] = [np.empty(0)] * len(tiles)
        tree, domain, listed = self._search(heights, near)

        def work(tile: int) -> None:
            row, room = self._row(), EDGES_PER_SITE * LEAF_SITES * len(tiles[tile]) if facets else 0
            while True:
                ids, values = np.empty(room, np.int64), np.empty(room)
                filled = measure_leaves(
                    tiles[tile], tree, domain, listed, row, self._image, self._grid, facets, answer, ids, values
                )
                if filled >= 0:
                    edges[tile], lengths[tile] = ids[:filled], values[:filled]
                    return
                row, room = (2 * row, room) if filled == FULL else (row, 2 * room)

        self._run(work, range(len(tiles)))
        if not facets:
            return Diagram(mass, first, second, np.zeros(n + 1, np.int64), np.empty(0, np.int64), np.empty(0))
        while True:
            graph, lost = self._graph(degree, edges, lengths)
            if not len(lost):
                return Diagram(mass, first, second, *graph)
            # A cell without area was seen by its neighbours: it hid them from one another. They are found without it.
            heights[degree < 0] = DEAD
            self._run(work, lost)

    def polygons(self, h: np.ndarray, rows: np.ndarray) -> list[np.ndarray]:
        """Return the cells of the sites `rows` as corners (k, 2), counter-clockwise; (0, 2) where a cell is empty."""
        rows = np.asarray(rows, np.int64).reshape(-1)
        chosen, place = np.unique(rows, return_inverse=True)
        wanted = np.full(len(self._y), -1)
        wanted[self._tree.rank[chosen]] = np.arange(len(chosen))
        leaves = np.unique(self._tree.rank[chosen] // LEAF_SITES)
        tree, domain, listed = self._search(self._heights(h), None)
        row = self._row()
        while True:
            sizes = np.zeros(len(chosen), np.int64)
            xs, ys = np.empty((len(chosen), row)), np.empty((len(chosen), row))
            if outline_leaves(leaves, tree, domain, listed, row, wanted, sizes, xs, ys) != FULL:
                return [np.column_stack([xs[i, : sizes[i]], ys[i, : sizes[i]]]) for i in place]
            row *= 2

    def _heights(self, h: np.ndarray) -> np.ndarray:
        # In k-d order, those without a part marked.
        h = np.array(h, np.float64)
        for twins in self._twins:
            best = twins[np.argmax(h[twins])]
            h[twins[twins != best]] = -np.inf
        return np.maximum(h[self._tree.order], DEAD)

    def _search(self, heights: np.ndarray, near: Diagram | None) -> tuple:
        # The arguments that measure_leaves and outline_leaves share.
        tree = self._tree
        mass, first = (np.empty(0), np.empty((0, 2))) if near is None else (near.mass, near.first)
        nodes, slack = tree.bounds(heights, self._low, self._high, mass, first)
        starts = np.empty(0, np.int64) if near is None else near.starts
        listed = np.empty(0, np.int64) if near is None else near.neighbours
        return (
            (tree.leaf, tree.y, heights, tree.order, tree.rank, tree.starts, nodes, slack),
            (self._corners, self._walls, EPS4 * self._extent),
            (starts, listed),
        )

    def _graph(self, degree: np.ndarray, edges: list, lengths: list) -> tuple[tuple, np.ndarray]:
        # The symmetric graph in the order of y, and the tiles that saw a cell without area.
        n, tree = len(degree), self._tree
        begin = np.zeros(n + 1, np.int64)
        np.cumsum(np.maximum(degree, 0), out=begin[1:])
        ids, values = np.concatenate(edges), np.concatenate(lengths)
        empty = degree < 0
        agreed = np.empty(len(ids))
        tiles = len(edges)
        alone, lost = np.zeros(tiles, np.int64), np.zeros(tiles, np.int64)
        tiny = NEGLIGIBLE * self._extent * (self._image.max(initial=0.0) if len(self._image) else 1.0)
        span = TILE_LEAVES * LEAF_SITES

        def match(tile: int) -> None:
            lo, hi = tile * span, min(tile * span + span, n)
            alone[tile], lost[tile] = match_rows(lo, hi, begin, ids, values, tiny, empty, agreed)

        self._run(match, range(tiles))
        if lost.any():
            return (), np.flatnonzero(lost)
        if alone.any():
            ids, agreed, begin = _both_ways(ids, agreed, begin)
        kept = np.zeros(n + 1, np.int64)
        counts = np.zeros(len(agreed) + 1, np.int64)
        np.cumsum(agreed >= 0.0, out=counts[1:])
        kept[1 + tree.order] = np.diff(counts[begin])
        starts = np.cumsum(kept)
        neighbours, facets = np.empty(starts[-1], np.int64), np.empty(starts[-1])

        def write(tile: int) -> None:
            lo, hi = tile * span, min(tile * span + span, n)
            write_rows(lo, hi, begin, ids, agreed, tree.order, starts, neighbours, facets)

        self._run(write, range(tiles))
        return (starts, neighbours, facets), np.empty(0, np.int64)

    def _row(self) -> int:
        return max(CORNERS, 2 * len(self._corners))

    def _tiles(self) -> list[np.ndarray]:
        leaves = np.arange(-(-len(self._y) // LEAF_SITES))
        return [leaves[t : t + TILE_LEAVES] for t in range(0, len(leaves), TILE_LEAVES)]

    def _run(self, work: Callable[[int], None], tiles: range | np.ndarray) -> None:
        pool.run(lambda t: work(tiles[t]), len(tiles), serial=len(self._y) < SERIAL_SITES)


def _equal_rows(y: np.ndarray) -> list[np.ndarray]:
    """The groups of equal rows of y, ascending."""
    order = np.lexsort(y.T)  # stable: equal rows stay ascending
    same = (y[order[1:]] == y[order[:-1]]).all(1)
    if not same.any():
        return []
    return [group for group in np.split(order, 1 + np.flatnonzero(~same)) if len(group) > 1]


def _both_ways(ids: np.ndarray, values: np.ndarray, begin: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Add the reverse of every edge that has none."""
    n = len(begin) - 1
    kept = values >= 0.0
    rows, ids, values = np.repeat(np.arange(n), np.diff(begin))[kept], ids[kept], values[kept]
    alone = ~np.isin(rows * n + ids, ids * n + rows)
    rows, ids = np.concatenate([rows, ids[alone]]), np.concatenate([ids, rows[alone]])
    values = np.concatenate([values, values[alone]])
    order = np.lexsort((ids, rows))
    return ids[order], values[order], np.searchsorted(rows[order], np.arange(n + 1))
