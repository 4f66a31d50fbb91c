"""Laguerre cells of sites in space, clipped to a convex polyhedron: masses, moments and faces, to rounding.

    W_i = { x in the domain : <x, y_i> + h_i >= <x, y_j> + h_j for all j }

For the cost |x - y|^2 the height is h_i = (g_i - |y_i|^2) / 2. Each cell is cut out of the domain by the neighbours it
had before, then a tree over y proves that nothing else cuts it (laguerre3d_search.py, laguerre3d_cell.py).
"""

from __future__ import annotations

import numpy as np

from ..constants import BIG
from . import pool
from .kdtree import kd_order
from .laguerre3d_cell import AXIS_SLOTS, BROKEN, EDGE, FULL, cut
from .laguerre3d_search import LANES, NODE, bound_nodes
from .laguerre3d_tile import corners_of, measure_tile, symmetrise
from .laguerre_diagram import Diagram

TILE = 128
"""Cells in one unit of work: 3 ms, so that an interrupt is swift and two threads end together."""

SERIAL_SITES = 256
"""Sites below which threads cost more than they save."""

ROOM = 128
"""Vertices and planes a cell may have at first, at least SEEN: four times what a Voronoi cell of random points has."""

TOLERANCE = 8 * np.finfo(np.float64).eps
"""Distance from a plane, relative to the domain, within which a vertex is on it: rounding of <n, v> - b."""

NEGLIGIBLE = 1e-10
"""Area, relative to the domain's extent squared, of a face that rounding may show to one side only."""


class Laguerre3D:
    """Diagrams of the sites y (n, 3) in the polyhedron <a, x> <= b, given by rows (a, b) of halfspaces (k, 4).

    density None is Lebesgue's measure; voxels (A, B, C) >= 0 are constant on the boxes that cut the domain's bounding
    box evenly, axis 0 along x. Coordinates should be of order 1.
    """

    def __init__(self, y: np.ndarray, halfspaces: np.ndarray, density: np.ndarray | None = None):
        y = np.ascontiguousarray(y, np.float64)
        self._order = kd_order(y, LANES)
        self._rank = np.empty_like(self._order)
        self._rank[self._order] = np.arange(len(y))
        self._y = y[self._order]
        self._plant()
        self._corners, self._walls = _domain(np.asarray(halfspaces, np.float64))
        self._box = np.stack([self._corners.min(1), self._corners.max(1)])
        self._planes = len(halfspaces)
        self._radius = float(np.abs(self._box).max())
        self._tol = TOLERANCE * self._radius
        self._voxels = np.empty((0, 0, 0)) if density is None else np.ascontiguousarray(density, np.float64)
        sides = (self._box[1] - self._box[0]) / (1 if density is None else self._voxels.shape)
        self._frame = np.stack([self._box[0], sides])

    def measure(self, h: np.ndarray, *, near: Diagram | None = None, facets: bool = True) -> Diagram:
        """Return the diagram of the heights h (n,); near, that of similar heights, makes it faster, never other.

        Without facets, starts are 0. Cells of no mass have none; -inf takes a site out; of equal sites the highest,
        then the first, has the cell.
        """
        n = len(self._y)
        cloud, tree, old = self._prepare(h, near)
        number, moments = np.empty(n, np.int64), np.empty((n, 5))
        tiles = -(-n // TILE)
        found = [(np.empty(0, np.int64), np.empty(0))] * tiles

        def work(tile: int) -> None:
            lo, hi = tile * TILE, min(tile * TILE + TILE, n)
            room = max(ROOM, 2 * (self._corners.shape[1] + self._planes + AXIS_SLOTS))
            filled, size = 0, 32 * TILE
            sites, values = np.empty(size, np.int64), np.empty(size)
            while lo < hi:
                status, lo, filled = measure_tile(
                    lo, hi, room, filled, cloud, tree, old, self._domain(), self._voxels, self._frame, self._tol,
                    number, moments, sites, values,
                )  # fmt: skip
                if status == BROKEN:
                    raise ArithmeticError(f"cell {self._order[lo]} cannot be cut: its planes coincide to rounding.")
                if status == FULL and len(sites) - filled < room:
                    sites, values = np.resize(sites, 2 * len(sites)), np.resize(values, 2 * len(values))
                elif status == FULL:
                    room *= 2
            found[tile] = sites[:filled], values[:filled]

        pool.run(work, tiles, serial=n < SERIAL_SITES)
        mass, first, second = moments[:, 0].copy(), moments[:, 1:4].copy(), moments[:, 4].copy()
        if not facets:
            return Diagram(mass, first, second, np.zeros(n + 1, np.int64), np.empty(0, np.int64), np.empty(0))
        return Diagram(mass, first, second, *self._symmetric(mass, number, found))

    def polyhedra(self, h: np.ndarray, rows) -> list[np.ndarray]:
        """Return the vertices (k, 3) of each cell in rows, in no order; (0, 3) if it is empty."""
        cloud, tree, near = self._prepare(h, None)
        cells = []
        for i in self._rank[np.asarray(rows, np.int64)]:
            room = max(ROOM, 2 * (self._corners.shape[1] + self._planes + AXIS_SLOTS))
            count = FULL
            corners = np.empty((3, 0))
            while count == FULL and cloud[1][i] > -BIG:
                corners, count = corners_of(i, room, cloud, tree, near, self._domain(), self._tol)
                room *= 2
            if count == BROKEN:
                raise ArithmeticError(f"cell {self._order[i]} cannot be cut: its planes coincide to rounding.")
            cells.append(np.ascontiguousarray(corners.T))
        return cells

    def _domain(self) -> tuple[np.ndarray, np.ndarray, int]:
        return self._corners, self._walls, self._planes

    def _plant(self) -> None:
        # Leaves of sites, then levels of boxes, eight in a group: both field by field, lane by lane.
        y = self._y
        n = len(y)
        count = -(-n // LANES)
        filled = np.concatenate([y, np.repeat(y[-1:], count * LANES - n, 0)]).reshape(count, LANES, 3)
        self._leaves = np.empty((count, 4, LANES))
        self._leaves[:, :3] = filled.transpose(0, 2, 1)
        low, high = filled.min(1), filled.max(1)
        counts, starts, groups = [], [], []
        while True:
            starts.append(sum(map(len, groups)))
            counts.append(count)
            middle = 0.5 * low + 0.5 * high
            # Measured from the rounded centre, so that the box holds its points.
            width = np.maximum(high - middle, middle - low)
            group = np.zeros((-(-count // LANES) * LANES, NODE))
            group[:, NODE - 1] = -BIG  # a lane without a child is never worth a visit
            group[:count, :3], group[:count, 3:6] = middle, width
            groups.append(group.reshape(-1, LANES, NODE).transpose(0, 2, 1))
            if count <= LANES:
                break
            cuts = np.arange(0, count, LANES)
            low, high, count = np.minimum.reduceat(low, cuts), np.maximum.reduceat(high, cuts), len(cuts)
        self._nodes = np.ascontiguousarray(np.concatenate(groups))
        self._starts, self._counts = np.array(starts), np.array(counts)

    def _prepare(self, h: np.ndarray, near: Diagram | None):
        # A call of its own arrays: measure may run in several threads at once.
        n = len(self._y)
        h = np.maximum(np.asarray(h, np.float64)[self._order], -BIG)
        if near is None:
            inside, centres = np.zeros(n, np.bool_), np.empty((0, 3))
            old = np.zeros(n + 1, np.int64), np.empty(0, np.int64)
        else:
            mass = near.mass[self._order]
            inside = (mass > 0) & (h > -BIG)
            centres = near.first[self._order] / np.where(inside, mass, 1.0)[:, None]
            old = near.starts, near.neighbours
        size = np.abs(h[h > -BIG]).max(initial=0.0) + 6 * self._radius * np.abs(self._y).max()
        leaves, nodes = self._leaves.copy(), self._nodes.copy()
        leaves[:, 3] = -BIG
        for lane in range(LANES):
            mine = h[lane::LANES]
            leaves[: len(mine), 3, lane] = mine
        rounding = 16 * np.finfo(np.float64).eps * size
        bound_nodes(self._y, h, centres, inside, self._box, rounding, self._starts, self._counts, nodes)
        return (self._y, h, self._order, self._rank), (leaves, nodes, self._starts, self._counts), old

    def _symmetric(self, mass: np.ndarray, number: np.ndarray, found: list[tuple[np.ndarray, np.ndarray]]):
        ends = np.cumsum(number)
        sites, values = (np.concatenate(parts) for parts in zip(*found))
        begins, ends = (ends - number)[self._rank], ends[self._rank]
        scale = float(np.prod(self._box[1] - self._box[0])) ** (2 / 3)
        densest = self._voxels.max() if self._voxels.size else 1.0
        return symmetrise(mass, begins, ends, sites, values, NEGLIGIBLE * scale * densest)


def _domain(halfspaces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the vertices (3, k) and the half-edges (2, 4 k) of the polyhedron, cut out of a box around it.

    More than three planes may meet in a point: it is then several vertices in one place.
    """
    planes = halfspaces / np.linalg.norm(halfspaces[:, :3], axis=1)[:, None]
    k = len(planes)
    low, high = np.full(3, -1e3), np.full(3, 1e3)
    v, mesh = np.empty((3, 0)), np.empty((2, 0), np.int64)
    for _ in range(3):  # a rough look from afar, then from close by, where rounding is small
        room = 8 + 4 * k
        v, mesh, desk = _box_mesh(low, high, room, k)
        count = 8
        for slot, (a0, a1, a2, b) in enumerate(planes):
            count = cut(
                v, mesh, desk, np.empty(room), count, a0, a1, a2, b, slot, TOLERANCE * max(high.max(), -low.min())
            )
            if count <= 0:
                raise ArithmeticError("halfspaces must hold a polyhedron with an interior; they leave nothing.")
        v, mesh = v[:, :count].copy(), mesh[:, : 4 * count].copy()
        low, high = v.min(1), v.max(1)
        low, high = low - (high - low), high + (high - low)
    triples = mesh[0].reshape(-1, 4)[:, :3]
    if triples.max() >= k:
        raise ArithmeticError("halfspaces must hold a bounded polyhedron; it reaches beyond 1e3.")
    for t, rows in enumerate(triples):  # the cutting left one more rounding than the equations have
        a, b = planes[rows, :3], planes[rows, 3]
        if abs(np.linalg.det(a)) > 1e-3:
            v[:, t] = np.linalg.solve(a, b)
    return v, mesh


def _box_mesh(low: np.ndarray, high: np.ndarray, room: int, first: int):
    """Return v, mesh and desk of a box whose walls are the planes first, first + 1, ... first + 5."""
    v, mesh = np.zeros((3, room)), np.zeros((2, 4 * room), np.int64)
    desk = np.zeros((6, room), np.int64)
    desk[EDGE] = -1
    half_edges = {}
    for t in range(8):
        side = [t & 1, t >> 1 & 1, t >> 2 & 1]
        v[:, t] = np.where(side, high, low)
        corner = [first + side[0], first + 2 + side[1], first + 4 + side[2]]
        if sum(side) % 2:
            corner = corner[::-1]
        for k in range(3):
            mesh[0, 4 * t + k] = corner[k]
            half_edges[corner[k], corner[(k + 1) % 3]] = 4 * t + k
    for (a, b), e in half_edges.items():
        mesh[1, e] = half_edges[b, a]
    return v, mesh, desk
