"""A convex polyhedron in dual form: cut by planes, measured whole or voxel by voxel.

After Ray, Sokolov, Lefebvre, Levy, "Meshless Voronoi on the GPU", 2018: every vertex is a triangle of three planes.
Here the triangles know their neighbours, and a new vertex is a point of the old edge it cuts, not the solution of a
3 x 3 system: it lies within rounding of its planes however flat the angle between them is.

    v (3, room)         the vertices' coordinates
    mesh (2, 4 room)    half-edge 4t + k (k < 3) of triangle t: the plane it starts at, and its twin
    desk (6, slots)     scratch: marks (all 0 between calls), a patch, a ring, edges by plane (all -1 between calls);
                        the site behind each plane, -1 for a wall of the domain; sites seen (laguerre3d_search.py)
    far (room,)         scratch: the vertices' distances from a plane, those beyond it positive
"""

import numpy as np
from numba import njit

FAST = {"reassoc", "contract", "nsz"}
BROKEN, FULL = -1, -2
"""What cut() returns if rounding tore the surface, and if the arrays are too small; the polyhedron is as it was."""
MARK, PATCH, RING, EDGE, SITE, DONE = 0, 1, 2, 3, 4, 5
AXIS_SLOTS = 9
"""Planes that voxels need beside those of the cell: two lower walls in turn and an upper one on each axis."""


@njit(nogil=True, cache=True, error_model="numpy", fastmath=FAST)
def beyond(v, far, count, a0, a1, a2, b, limit):
    """How many vertices have <a, v> - b > limit; what it is goes to far."""
    hits = 0
    for t in range(count):
        d = a0 * v[0, t] + a1 * v[1, t] + a2 * v[2, t] - b
        far[t] = d
        hits += d > limit
    return hits


@njit(nogil=True, cache=True, error_model="numpy")
def _clip(v, mesh, desk, far, count, slot, shift, tol):
    """Replace the vertices with far > shift + tol that hang together with the farthest by a face of plane `slot`."""
    limit = shift + tol
    first = 0
    for t in range(1, count):
        if far[t] > far[first]:
            first = t
    if far[first] <= limit:
        return count
    desk[MARK, first], desk[PATCH, 0] = 1, first
    patch, rim, last, torn, k = 1, 0, -1, False, 0
    while k < patch:
        t = desk[PATCH, k]
        k += 1
        for e in range(4 * t, 4 * t + 3):
            u = mesh[1, e] >> 2
            if desk[MARK, u]:
                continue
            if far[u] > limit:
                desk[MARK, u], desk[PATCH, patch] = 1, u
                patch += 1
            else:
                p = mesh[0, e]
                torn |= desk[EDGE, p] >= 0
                desk[EDGE, p] = last = e
                rim += 1
    result = count + rim - patch
    if patch == count:
        result = 0
    elif torn or rim < 3:
        result = BROKEN
    elif count + rim > v.shape[1]:
        result = FULL
    else:
        e, steps = last, 0
        while steps < rim:
            desk[RING, steps] = e
            steps += 1
            e = desk[EDGE, mesh[0, e + 1 if e & 3 < 2 else e - 2]]
            if e == last or e < 0:
                break
        if e != last or steps != rim:
            result = BROKEN
        else:
            for t in range(count):  # out of the patch but far beyond the plane: the surface is not convex
                if far[t] > shift + 1e4 * tol and not desk[MARK, t]:
                    result = BROKEN
    if result <= 0:
        for k in range(patch):
            t = desk[PATCH, k]
            desk[MARK, t] = 0
            for e in range(4 * t, 4 * t + 3):
                desk[EDGE, mesh[0, e]] = -1
        return result
    for k in range(rim):
        e = desk[RING, k]
        t, u = e >> 2, mesh[1, e] >> 2
        s = min(max((shift - far[u]) / (far[t] - far[u]), 0.0), 1.0)
        for c in range(3):
            v[c, count + k] = v[c, u] + s * (v[c, t] - v[c, u])
        desk[EDGE, mesh[0, e]] = -1
        desk[RING, k] = mesh[1, e]  # the half-edge outside; its start is the end of the one inside
    here = desk[PATCH, 0]
    prior = mesh[0, mesh[1, desk[RING, 0]]]
    last = desk[PATCH, rim - 1] if rim <= patch else count + rim - 1 - patch
    for k in range(rim):
        outer = desk[RING, k]
        here = desk[PATCH, k] if k < patch else count + k - patch
        for c in range(3):
            v[c, here] = v[c, count + k]
        desk[MARK, here] = 0
        mesh[0, 4 * here], mesh[0, 4 * here + 1], mesh[0, 4 * here + 2] = prior, mesh[0, outer], slot
        prior = mesh[0, outer]
        mesh[1, 4 * here], mesh[1, outer] = outer, 4 * here
        mesh[1, 4 * here + 2], mesh[1, 4 * last + 1] = 4 * last + 1, 4 * here + 2
        last = here
    source = count
    for k in range(rim, patch):  # more went than came: the last triangles move into the holes
        hole = desk[PATCH, k]
        if hole < result:
            source -= 1
            while desk[MARK, source]:
                source -= 1
            for c in range(3):
                v[c, hole] = v[c, source]
            for c in range(3):
                mesh[0, 4 * hole + c] = mesh[0, 4 * source + c]
                twin = mesh[1, 4 * source + c]
                mesh[1, 4 * hole + c], mesh[1, twin] = twin, 4 * hole + c
    for k in range(rim, patch):
        desk[MARK, desk[PATCH, k]] = 0
    return result


@njit(nogil=True, cache=True, error_model="numpy")
def cut(v, mesh, desk, far, count, a0, a1, a2, b, slot, tol):
    """Keep <a, x> <= b + tol, |a| = 1; return the number of vertices: 0 if nothing is left, or BROKEN or FULL.

    Where rounding tears the surface, planes moved by up to 1e4 tol are tried until one cuts it clean.
    """
    if beyond(v, far, count, a0, a1, a2, b, tol) == 0:
        return count
    shift, result = 0.0, BROKEN
    while result == BROKEN and abs(shift) < 1e4 * tol:
        result = _clip(v, mesh, desk, far, count, slot, shift, tol)
        if shift > 0.0:
            shift = -shift
        else:
            shift = 2.0 * tol - 4.0 * shift
    return result


@njit(nogil=True, cache=True, error_model="numpy", fastmath=FAST)
def integrate(v, mesh, desk, count, weight, total, areas):
    """Add weight times (volume, first moments, second moment) to total (5,), and that of each face to areas."""
    ox, oy, oz = v[0, 0], v[1, 0], v[2, 0]
    mass, mx, my, mz, second = 0.0, 0.0, 0.0, 0.0, 0.0
    for start in range(4 * count):
        if start & 3 == 3 or desk[MARK, start >> 2] >> (start & 3) & 1:
            continue
        # The face of the plane this half-edge starts at: turn around it.
        t = start >> 2
        px, py, pz = v[0, t] - ox, v[1, t] - oy, v[2, t] - oz
        qx, qy, qz = 0.0, 0.0, 0.0
        sx, sy, sz = 0.0, 0.0, 0.0
        pp, qq = px * px + py * py + pz * pz, 0.0
        e, steps = start, 0
        while True:
            t = e >> 2
            desk[MARK, t] |= 1 << (e & 3)
            rx, ry, rz = v[0, t] - ox, v[1, t] - oy, v[2, t] - oz
            rr = rx * rx + ry * ry + rz * rz
            if steps >= 2:
                ax, ay, az = qx - px, qy - py, qz - pz
                bx, by, bz = rx - px, ry - py, rz - pz
                nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
                sx, sy, sz = sx + nx, sy + ny, sz + nz
                six = px * nx + py * ny + pz * nz
                ux, uy, uz = px + qx + rx, py + qy + ry, pz + qz + rz
                mass += six
                mx, my, mz = mx + six * ux, my + six * uy, mz + six * uz
                second += six * (pp + qq + rr + ux * ux + uy * uy + uz * uz)
            qx, qy, qz, qq = rx, ry, rz, rr
            steps += 1
            twin = mesh[1, e]
            e = twin + 1 if twin & 3 < 2 else twin - 2
            if e == start:
                break
        areas[mesh[0, start]] += 0.5 * weight * np.sqrt(sx * sx + sy * sy + sz * sz)
    for t in range(count):
        desk[MARK, t] = 0
    mass, mx, my, mz, second = mass / 6, mx / 24, my / 24, mz / 24, second / 120
    total[0] += weight * mass
    total[1] += weight * (mx + mass * ox)
    total[2] += weight * (my + mass * oy)
    total[3] += weight * (mz + mass * oz)
    away = 2.0 * (ox * mx + oy * my + oz * mz) + mass * (ox * ox + oy * oy + oz * oz)
    total[4] += weight * (second + away)


@njit(nogil=True, cache=True, error_model="numpy", fastmath=FAST)
def extent(v, count, axis):
    """The least and largest coordinate of the vertices on one axis."""
    low = high = v[axis, 0]
    for t in range(count):
        low = min(low, v[axis, t])
        high = max(high, v[axis, t])
    return low, high


@njit(nogil=True, cache=True, error_model="numpy")
def _voxel_span(v, count, axis, corner, side, cells, tol):
    """The first and last voxel layers that hold more than a sliver of the polyhedron."""
    low, high = extent(v, count, axis)
    first = min(max(int(np.floor((low + 4.0 * tol - corner) / side)), 0), cells - 1)
    last = min(max(int(np.floor((high - 4.0 * tol - corner) / side)), first), cells - 1)
    return first, last


@njit(nogil=True, cache=True, error_model="numpy")
def integrate_voxels(pieces, meshes, desk, far, count, voxels, frame, slot, tol, total, areas):
    """integrate() of a density that is constant in each voxel; slots from `slot` on are free; 0, BROKEN or FULL.

    frame (2, 3): the lower corner of the voxels and their sides. pieces (4, 3, room), meshes (4, 2, 4 room): the cell
    comes in the first; the others hold what is left of it in a layer, a row and a voxel.
    """
    counts = np.zeros(4, np.int64)
    index, last = np.zeros(3, np.int64), np.zeros(3, np.int64)
    counts[0] = count
    index[0], last[0] = _voxel_span(pieces[0], count, 0, frame[0, 0], frame[1, 0], voxels.shape[0], tol)
    axis = 0
    while axis >= 0:
        if index[axis] > last[axis]:
            axis -= 1
            continue
        k = index[axis]
        index[axis] += 1
        left, n = pieces[axis], counts[axis]
        piece, mesh = pieces[axis + 1], meshes[axis + 1]
        for c in range(3):
            for t in range(n):
                piece[c, t] = left[c, t]
        for c in range(2):
            for t in range(4 * n):
                mesh[c, t] = meshes[axis, c, t]
        counts[axis + 1] = n
        if k < last[axis]:
            wall = frame[0, axis] + (k + 1) * frame[1, axis]
            for side in range(2):  # the layer keeps what is below the wall, the rest what is above
                p, sign = axis + 1 - side, 1.0 - 2.0 * side
                a0, a1, a2 = sign * (axis == 0), sign * (axis == 1), sign * (axis == 2)
                here = slot + 3 * axis + (k & 1 if side else 2)
                kept = cut(pieces[p], meshes[p], desk, far, n, a0, a1, a2, sign * wall, here, tol)
                if kept < 0:
                    return kept
                counts[p] = kept
            if counts[axis] == 0:
                last[axis] = k
        n = counts[axis + 1]
        if n == 0:
            continue
        if axis == 2:
            weight = voxels[index[0] - 1, index[1] - 1, k]
            if weight > 0.0:
                integrate(piece, mesh, desk, n, weight, total, areas)
        else:
            axis += 1
            index[axis], last[axis] = _voxel_span(
                piece, n, axis, frame[0, axis], frame[1, axis], voxels.shape[axis], tol
            )
    return 0
