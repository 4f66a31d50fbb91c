"""The cells of one tile, one after the other, and the matrix of faces that all tiles make together."""

import numpy as np
from numba import njit

from ..constants import BIG
from .laguerre3d_cell import BROKEN, EDGE, FULL, SITE, integrate, integrate_voxels
from .laguerre3d_search import LANES, carve


@njit(nogil=True, cache=True, error_model="numpy")
def measure_tile(lo, hi, room, filled, cloud, tree, near, domain, voxels, frame, tol, number, moments, sites, values):
    """Measure the cells lo..hi of the tree's order; return (0, hi, filled), else BROKEN or FULL and the cell it was.

    moments (n, 5): mass, first and second moments, by site. A cell's faces, number[i] of them, follow `filled` in
    sites, ascending, and values. FULL: room (for a cell's vertices, its planes) or len(sites) must grow; go on there.
    """
    order = cloud[2]
    whole = voxels.size == 0
    pieces, meshes = np.empty((1 if whole else 4, 3, room)), np.empty((1 if whole else 4, 2, 4 * room), np.int64)
    desk = np.zeros((6, room), np.int64)
    desk[EDGE] = -1
    areas, far, total = np.zeros(room), np.empty(room), np.zeros(5)
    nodes = LANES * len(tree[1])
    stack, keys, work = np.empty(nodes + LANES, np.int64), np.empty(nodes + LANES), np.empty((6, LANES))
    v, mesh = pieces[0], meshes[0]
    planes = domain[2]
    for i in range(lo, hi):
        total[:] = 0.0
        number[i] = 0
        count, used = 0, 0
        if cloud[1][i] > -BIG:
            for attempt in range(2):  # torn beyond repair: once more, in the other order
                warm = attempt == 0
                count, used = carve(i, cloud, tree, near, domain, warm, v, mesh, desk, far, stack, keys, work, tol)
                if count != BROKEN:
                    break
        if count > 0:
            if filled + used > len(sites):
                return FULL, i, filled
            for k in range(used):
                areas[k] = -1.0
            for t in range(count):
                for e in range(4 * t, 4 * t + 3):
                    areas[mesh[0, e]] = 0.0
            if whole:
                integrate(v, mesh, desk, count, 1.0, total, areas)
            else:
                done = integrate_voxels(pieces, meshes, desk, far, count, voxels, frame, used, tol, total, areas)
                if done < 0:
                    return done, i, filled
        elif count < 0:
            return count, i, filled
        if total[0] <= 0.0:  # a point or a sheet: rounding
            total[:] = 0.0
        else:
            begin = filled
            for slot in range(planes, used):
                if areas[slot] >= 0.0:
                    site, k = order[desk[SITE, slot]], filled
                    while k > begin and sites[k - 1] > site:
                        sites[k], values[k] = sites[k - 1], values[k - 1]
                        k -= 1
                    sites[k], values[k] = site, areas[slot]
                    filled += 1
            number[i] = filled - begin
        for c in range(5):
            moments[order[i], c] = total[c]
    return 0, hi, filled


@njit(nogil=True, cache=True, error_model="numpy")
def corners_of(i, room, cloud, tree, near, domain, tol):
    """The vertices (3, k) of the cell i of the tree's order, and BROKEN, FULL or their number."""
    desk = np.zeros((6, room), np.int64)
    desk[EDGE] = -1
    v, mesh, far = np.empty((3, room)), np.empty((2, 4 * room), np.int64), np.empty(room)
    nodes = LANES * len(tree[1])
    stack, keys, work = np.empty(nodes + LANES, np.int64), np.empty(nodes + LANES), np.empty((6, LANES))
    count, _ = carve(i, cloud, tree, near, domain, i < 0, v, mesh, desk, far, stack, keys, work, tol)
    return v[:, : max(count, 0)], count


@njit(nogil=True, cache=True, error_model="numpy")
def _transpose(begins, ends, columns, values):
    n = len(begins)
    starts = np.zeros(n + 1, np.int64)
    for k in range(len(columns)):
        starts[columns[k] + 1] += 1
    for i in range(n):
        starts[i + 1] += starts[i]
    fill = starts[:n].copy()
    rows, out = np.empty(len(columns), np.int64), np.empty(len(columns))
    for i in range(n):
        for k in range(begins[i], ends[i]):
            j = columns[k]
            rows[fill[j]], out[fill[j]] = i, values[k]
            fill[j] += 1
    return starts, rows, out


@njit(nogil=True, cache=True, error_model="numpy")
def symmetrise(mass, begins, ends, columns, values, negligible):
    """(A + A^T) / 2 in CSR without rows and columns of no mass; row i of A is at begins[i]..ends[i], ascending.

    What only one of A and A^T has is dropped if half of it is at most negligible.
    """
    n = len(mass)
    turned, rows, others = _transpose(begins, ends, columns, values)
    starts = np.zeros(n + 1, np.int64)
    sites, facets = np.empty(2 * len(columns), np.int64), np.empty(2 * len(columns))
    filled = 0
    for i in range(n):
        k, l, end, stop = begins[i], turned[i], ends[i], turned[i + 1]
        while mass[i] > 0.0 and (k < end or l < stop):
            p = columns[k] if k < end else n
            q = rows[l] if l < stop else n
            value, site = 0.0, min(p, q)
            if p <= q:
                value += 0.5 * values[k]
                k += 1
            if q <= p:
                value += 0.5 * others[l]
                l += 1
            if mass[site] > 0.0 and (p == q or value > negligible):
                sites[filled], facets[filled] = site, value
                filled += 1
        starts[i + 1] = filled
    return starts, sites[:filled].copy(), facets[:filled].copy()
