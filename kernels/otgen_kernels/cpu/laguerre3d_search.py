"""The sites that may cut a cell: a tree over y whose bounds follow the heights, and a cell cut out.

For x anywhere, a node with centre c, half widths w, slope point q and M = max_j h_j + <q, y_j> over its sites has

    max_j <x, y_j> + h_j  <=  M + <x - q, c> + <|x - q|, w>,

tight for x near q: q is where the node's cells lie, so it does not matter how far they are from their sites.
"""

import numpy as np
from numba import njit

from ..constants import BIG
from .laguerre3d_cell import AXIS_SLOTS, DONE, FAST, FULL, SITE, beyond, cut, extent

LANES = 8
"""Sites of a leaf, children of a node: two AVX registers of float64."""
SHIFT = 40
"""Where the level begins in an entry of the search's queue, level << SHIFT | node."""
SEEN = 128
"""Places of a table of sites that have cut already, a power of two: site j is at j % SEEN unless another took it."""
QUEUE = 64
"""Nodes of the search's queue that are kept sorted: in a longer one, order matters less than sorting costs."""
NODE = 10
"""Fields of a node: centre (3), half widths (3), slope point (3), M - <q, c>."""


@njit(nogil=True, cache=True, error_model="numpy")
def bound_nodes(y, h, centres, inside, box, rounding, starts, counts, nodes):
    """Set q and M of every node: q is the mean of the centres that are inside, else -grad h by least squares.

    y, h and centres are in the tree's order; box (2, 3) holds the domain; M is raised by `rounding`.
    """
    n = len(y)
    q, mean, cross, a = np.empty(3), np.empty(3), np.empty(3), np.empty((3, 3))
    span = LANES
    for level in range(len(starts)):
        for node in range(counts[level]):
            lo, hi = node * span, min((node + 1) * span, n)
            group, lane = starts[level] + node // LANES, node % LANES
            known, live, level_mean = 0, 0, 0.0
            q[:] = 0.0
            mean[:] = 0.0
            for j in range(lo, hi):
                if h[j] <= -BIG:
                    continue
                live += 1
                level_mean += h[j]
                for k in range(3):
                    mean[k] += y[j, k]
                if inside[j]:
                    known += 1
                    for k in range(3):
                        q[k] += centres[j, k]
            if known:
                for k in range(3):
                    q[k] /= known
            elif live:
                level_mean /= live
                cross[:] = 0.0
                a[:] = 0.0
                for k in range(3):
                    mean[k] /= live
                for j in range(lo, hi):
                    if h[j] > -BIG:
                        for k in range(3):
                            u = y[j, k] - mean[k]
                            cross[k] -= u * (h[j] - level_mean)
                            for l in range(k + 1):
                                a[k, l] += u * (y[j, l] - mean[l])
                _solve(a, cross, q)
            for k in range(3):
                q[k] = min(max(q[k], box[0, k]), box[1, k]) if q[k] == q[k] else box[0, k]
            top, shift = -BIG, 0.0
            for j in range(lo, hi):
                top = max(top, h[j] + (q[0] * y[j, 0] + q[1] * y[j, 1] + q[2] * y[j, 2]))
            for k in range(3):
                nodes[group, 6 + k, lane] = q[k]
                shift += q[k] * nodes[group, k, lane]
            nodes[group, 9, lane] = top - shift + rounding
        span *= LANES


@njit(nogil=True, cache=True, error_model="numpy")
def _solve(a, b, x):
    """x = (a + ridge)^-1 b by Cholesky, a given by its lower triangle."""
    ridge = 1e-9 * (a[0, 0] + a[1, 1] + a[2, 2]) + 1e-280
    for k in range(3):
        a[k, k] += ridge
        for l in range(k + 1):
            s = a[k, l]
            for m in range(l):
                s -= a[k, m] * a[l, m]
            a[k, l] = s / a[l, l] if l < k else np.sqrt(max(s, ridge))
        s = b[k]
        for m in range(k):
            s -= a[k, m] * x[m]
        x[k] = s / a[k, k]
    for k in range(2, -1, -1):
        s = x[k]
        for m in range(k + 1, 3):
            s -= a[m, k] * x[m]
        x[k] = s / a[k, k]


@njit(nogil=True, cache=True, error_model="numpy", fastmath=FAST)
def _score(nodes, group, middle, half, y, h, i, score):
    """How far the sites of eight nodes may rise above the site i within the box middle +- half; how many nodes do."""
    lanes = nodes.shape[2]  # read, not LANES: LLVM would unroll the loop first and then fail to vectorise it
    m0, m1, m2, e0, e1, e2 = middle[0], middle[1], middle[2], half[0], half[1], half[2]
    y0, y1, y2, low = y[i, 0], y[i, 1], y[i, 2], h[i]
    hits = 0
    for t in range(lanes):
        u0, u1, u2 = nodes[group, 0, t] - y0, nodes[group, 1, t] - y1, nodes[group, 2, t] - y2
        s = nodes[group, 9, t] - low + (m0 * u0 + m1 * u1 + m2 * u2) + (e0 * abs(u0) + e1 * abs(u1) + e2 * abs(u2))
        s += nodes[group, 3, t] * (abs(m0 - nodes[group, 6, t]) + e0)
        s += nodes[group, 4, t] * (abs(m1 - nodes[group, 7, t]) + e1)
        s += nodes[group, 5, t] * (abs(m2 - nodes[group, 8, t]) + e2)
        score[t] = s
        hits += s > 0.0
    return hits


@njit(nogil=True, cache=True, error_model="numpy", fastmath=FAST)
def _score_sites(leaves, leaf, middle, half, y, h, i, score):
    """How far each site of a leaf rises above the site i within the box middle +- half; how many reach it."""
    lanes = leaves.shape[2]
    m0, m1, m2, e0, e1, e2 = middle[0], middle[1], middle[2], half[0], half[1], half[2]
    y0, y1, y2, low = y[i, 0], y[i, 1], y[i, 2], h[i]
    hits = 0
    for t in range(lanes):
        u0, u1, u2 = leaves[leaf, 0, t] - y0, leaves[leaf, 1, t] - y1, leaves[leaf, 2, t] - y2
        s = leaves[leaf, 3, t] - low + (m0 * u0 + m1 * u1 + m2 * u2) + (e0 * abs(u0) + e1 * abs(u1) + e2 * abs(u2))
        score[t] = s
        hits += s >= 0.0
    return hits


@njit(nogil=True, cache=True, error_model="numpy")
def _offer(i, j, y, h, order, v, mesh, desk, far, count, used, tol, again):
    """Cut the cell of i by the site j as the plane `used`; return the number of vertices (or BROKEN, FULL) and whether
    the plane may be in use. again: j may have cut before, which rounding must not repeat.
    """
    u0, u1, u2, rise = y[j, 0] - y[i, 0], y[j, 1] - y[i, 1], y[j, 2] - y[i, 2], h[j] - h[i]
    square = u0 * u0 + u1 * u1 + u2 * u2
    if square == 0.0:
        return 0 if rise > 0.0 or (rise == 0.0 and order[j] < order[i]) else count, False
    r = 1.0 / np.sqrt(square)
    if again:
        if beyond(v, far, count, u0 * r, u1 * r, u2 * r, -rise * r, tol) == 0:
            return count, False
        for k in range(used):
            if desk[SITE, k] == j:
                return count, False
    return cut(v, mesh, desk, far, count, u0 * r, u1 * r, u2 * r, -rise * r, used, tol), True


@njit(nogil=True, cache=True, error_model="numpy")
def _highest(i, x, still, y, h, leaves, nodes, starts, stack, keys, score):
    """The site of the highest <x, y_j> + h_j, i if it is i; still (3,) is 0."""
    best, top = i, 0.0
    stack[0], keys[0] = len(starts) << SHIFT, BIG
    depth = 1
    while depth:
        depth -= 1
        level, node = stack[depth] >> SHIFT, stack[depth] & ((1 << SHIFT) - 1)
        if keys[depth] <= top:
            continue
        if level == 0:
            _score_sites(leaves, node, x, still, y, h, i, score)
            for t in range(LANES):
                if score[t] > top:
                    best, top = node * LANES + t, score[t]
            continue
        _score(nodes, starts[level - 1] + node, x, still, y, h, i, score)
        base = depth
        for t in range(LANES):
            if score[t] > top:
                k = depth
                while k > base and keys[k - 1] > score[t]:
                    stack[k], keys[k] = stack[k - 1], keys[k - 1]
                    k -= 1
                stack[k], keys[k] = (level - 1) << SHIFT | node * LANES + t, score[t]
                depth += 1
    return best


@njit(nogil=True, cache=True, error_model="numpy")
def carve(i, cloud, tree, near, domain, warm, v, mesh, desk, far, stack, keys, work, tol):
    """Make the cell of i in v, mesh and desk; return (number of vertices, planes used), BROKEN or FULL for the first.

    The neighbours in `near` come first if warm, else the site's own leaf; then what the tree cannot exclude.
    """
    y, h, order, rank = cloud
    leaves, nodes, starts, _ = tree
    near_starts, near_sites = near
    corners, walls, planes = domain
    middle, half, score, here, still, nearness = work[0], work[1], work[2], work[3], work[4], work[5]
    n, slots = len(y), desk.shape[1]
    count, used = corners.shape[1], planes
    if count > v.shape[1] or planes + AXIS_SLOTS >= slots:
        return FULL, used
    for c in range(3):
        for t in range(count):
            v[c, t] = corners[c, t]
    for c in range(2):
        for t in range(4 * count):
            mesh[c, t] = walls[c, t]
    for k in range(planes):
        desk[SITE, k] = -1
    for k in range(SEEN):
        desk[DONE, k] = -1
    lo, hi = near_starts[order[i]], near_starts[order[i] + 1]
    if not warm or lo == hi:
        warm, lo = False, i // LANES * LANES
        hi = min(lo + LANES, n)
    again = hi < lo  # False, but no literal, for which Numba would compile _offer once more
    for k in range(lo, hi):
        j = rank[near_sites[k]] if warm else k
        if j != i:
            desk[SITE, used] = desk[DONE, j & (SEEN - 1)] = j
            count, took = _offer(i, j, y, h, order, v, mesh, desk, far, count, used, tol, again)
            if count <= 0:
                return count, used
            used += took
            if used + AXIS_SLOTS >= slots:
                return FULL, used
    # A cell of unknown place: cut by what is highest at its middle until that is the site itself. Such a cut takes a
    # fair share of what is left, so a hidden cell is soon gone, and another soon small.
    still[:] = 0.0
    while not warm:
        here[:] = 0.0
        for t in range(count):
            for c in range(3):
                here[c] += v[c, t] / count
        j = _highest(i, here, still, y, h, leaves, nodes, starts, stack, keys, score)
        if j == i:
            break
        desk[SITE, used] = desk[DONE, j & (SEEN - 1)] = j
        count, took = _offer(i, j, y, h, order, v, mesh, desk, far, count, used, tol, not again)
        if count <= 0:
            return count, used
        used += took
        if used + AXIS_SLOTS >= slots:
            return FULL, used
        if not took:
            break
    stack[0] = len(starts) << SHIFT
    depth, stale = 1, True
    while depth:
        depth -= 1
        level, node = stack[depth] >> SHIFT, stack[depth] & ((1 << SHIFT) - 1)
        if stale:
            stale = False
            for c in range(3):
                low, high = extent(v, count, c)
                middle[c], half[c] = 0.5 * (low + high), 0.5 * (high - low)
            if max(half[0], half[1], half[2]) <= 8.0 * tol:  # a point: any number of planes may pass through it
                return 0, used
        if level > 0:
            group = starts[level - 1] + node
            if _score(nodes, group, middle, half, y, h, i, score) == 0:
                continue
            child = (level - 1) << SHIFT | node * LANES
            if warm:
                for t in range(LANES):  # written without a branch, which would be mispredicted
                    stack[depth] = child + t
                    depth += score[t] > 0.0
                continue
            _score(nodes, group, here, still, y, h, i, nearness)
            for t in range(LANES):
                if score[t] > 0.0:
                    k, last = depth, max(depth - QUEUE, 0)
                    while k > last and keys[k - 1] > nearness[t]:  # the highest comes to lie on top
                        stack[k], keys[k] = stack[k - 1], keys[k - 1]
                        k -= 1
                    stack[k], keys[k] = child + t, nearness[t]
                    depth += 1
        elif _score_sites(leaves, node, middle, half, y, h, i, score) > 0:
            found = 0
            for t in range(LANES):
                stack[depth + found] = node * LANES + t
                found += score[t] >= 0.0
            for k in range(depth, depth + found):
                j = stack[k]
                if j != i and desk[DONE, j & (SEEN - 1)] != j:
                    desk[SITE, used] = j
                    count, took = _offer(i, j, y, h, order, v, mesh, desk, far, count, used, tol, not again)
                    if count <= 0:
                        return count, used
                    if took:
                        used += 1
                        stale = True
                        if used + AXIS_SLOTS >= slots:
                            return FULL, used
    return count, used
