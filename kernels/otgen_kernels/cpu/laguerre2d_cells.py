"""The cells of a planar power diagram: cut by likely neighbours, then by whom the tree cannot rule out."""

from __future__ import annotations

import numpy as np
from numba import njit

from .laguerre_tree import DEAD, FAN

FULL = -1
"""Returned where a buffer was too small: the driver doubles it and calls again."""

BATCH = 256
"""Sites that wait at most to be tried on the cells of a leaf together."""

EPS4 = 4.0 * float(np.finfo(np.float64).eps)


@njit(nogil=True, cache=True, error_model="numpy")
def cut(px, py, edge, g, k, ax, ay, b, tol, site, value):
    """Cut ax x + ay y + b > 0 off polygon g of k corners, by the site `site`; return its corners, or FULL.

    edge[g, t] is whose line joins the corners t and t + 1. What lies within tol of the line is on it.
    """
    highest, lowest = tol, 0.0
    for t in range(k):
        s = ax * px[g, t] + ay * py[g, t] + b
        value[t] = s
        lowest, highest = min(lowest, s), max(highest, s)
    if highest <= tol:
        return k
    if lowest >= -tol:
        return 0
    top = 0
    while value[top] < highest:
        top += 1
    p = top + 1 if top + 1 < k else 0  # the first corner kept, counter-clockwise
    while value[p] > tol:
        p = p + 1 if p + 1 < k else 0
    q = top - 1 if top > 0 else k - 1  # the last one
    while value[q] > tol:
        q = q - 1 if q > 0 else k - 1
    before, after = p - 1 if p > 0 else k - 1, q + 1 if q + 1 < k else 0
    kept = (q - p if q >= p else q - p + k) + 1
    new_a, new_b = value[q] < -tol, value[p] < -tol
    if kept + new_a + new_b > px.shape[1]:
        return FULL
    xa, ya, xb, yb, last = 0.0, 0.0, 0.0, 0.0, edge[g, before]
    if new_a:
        f = value[q] / (value[q] - value[after])
        xa, ya = px[g, q] + f * (px[g, after] - px[g, q]), py[g, q] + f * (py[g, after] - py[g, q])
    else:
        edge[g, q] = site
    if new_b:
        f = value[p] / (value[p] - value[before])
        xb, yb = px[g, p] + f * (px[g, before] - px[g, p]), py[g, p] + f * (py[g, before] - py[g, p])
    at = q + 1
    if p <= q:
        if p > 0:
            for t in range(kept):
                px[g, t], py[g, t], edge[g, t] = px[g, t + p], py[g, t + p], edge[g, t + p]
        at = kept
    else:
        shift = q + 1 + new_a + new_b - p
        if shift > 0:
            for t in range(k - 1, p - 1, -1):
                px[g, t + 1], py[g, t + 1], edge[g, t + 1] = px[g, t], py[g, t], edge[g, t]
        elif shift < 0:
            for t in range(p, k):
                px[g, t + shift], py[g, t + shift], edge[g, t + shift] = px[g, t], py[g, t], edge[g, t]
    if new_a:
        px[g, at], py[g, at], edge[g, at] = xa, ya, site
        at += 1
    if new_b:
        px[g, at], py[g, at], edge[g, at] = xb, yb, last
    return kept + new_a + new_b


@njit(nogil=True, cache=True, error_model="numpy")
def line_up(i, begin, end, near, rank, y, h, edge, g, lines, ids):
    """Put the lines between i and its listed neighbours in lines[:3], ids, and their places by angle in edge[g]."""
    m = 0
    for e in range(begin, end):
        j = rank[near[e]]
        if h[j] <= DEAD:
            continue
        ax, ay = y[j, 0] - y[i, 0], y[j, 1] - y[i, 1]
        lines[0, m], lines[1, m], lines[2, m], ids[m] = ax, ay, h[j] - h[i], j
        angle = ax / (abs(ax) + abs(ay))  # not the angle, but it grows with it
        angle = 1.0 - angle if ay >= 0.0 else 3.0 + angle
        lines[3, m] = angle
        t = m
        while t > 0 and lines[3, edge[g, t - 1]] > angle:
            edge[g, t] = edge[g, t - 1]
            t -= 1
        edge[g, t] = m
        m += 1
    return m


@njit(nogil=True, cache=True, error_model="numpy")
def join(px, py, edge, g, m, extent, lines, ids):
    """Set polygon g to what the m lines edge[g], counter-clockwise, enclose; False unless each clearly has a side."""
    if m < 3:
        return False
    bad = False
    s = edge[g, m - 1]
    ux, uy, ub = lines[0, s], lines[1, s], lines[2, s]
    for t in range(m):
        s = edge[g, t]
        ax, ay, b = lines[0, s], lines[1, s], lines[2, s]
        cross = ux * ay - uy * ax
        bad |= cross <= 0.02 * (abs(ux) + abs(uy)) * (abs(ax) + abs(ay))
        cross = 1.0 / cross
        px[g, t], py[g, t] = (uy * b - ay * ub) * cross, (ax * ub - ux * b) * cross
        ux, uy, ub = ax, ay, b
    if bad:
        return False
    for t in range(m):
        n = t + 1 if t + 1 < m else 0
        s = edge[g, t]
        ax, ay = lines[0, s], lines[1, s]
        along = ax * (py[g, n] - py[g, t]) - ay * (px[g, n] - px[g, t])
        bad |= along <= 4.0 * extent * (abs(ax) + abs(ay))
        edge[g, t] = ids[s]
    return not bad


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def violations(px, py, g, k, x, y, h, extent, lines, wait, m):
    """Set lines[3, t], t < m, to max_v <v, y_t - y> + h_t - h less the tolerance; return the largest.

    v are the corners of polygon g, wait holds y_t and h_t of the waiting sites, lines[:3] receives the differences.
    """
    for t in range(m):
        lines[0, t] = wait[0, t] - x
        lines[1, t] = wait[1, t] - y
        lines[2, t] = wait[2, t] - h - extent * (abs(lines[0, t]) + abs(lines[1, t]))
    vx, vy, ux, uy = px[g, 0], py[g, 0], px[g, 1], py[g, 1]
    for t in range(m):
        s = vx * lines[0, t] + vy * lines[1, t]
        lines[3, t] = max(s, ux * lines[0, t] + uy * lines[1, t])
    for v in range(2, k - 1, 2):
        vx, vy, ux, uy = px[g, v], py[g, v], px[g, v + 1], py[g, v + 1]
        for t in range(m):
            s = max(lines[3, t], vx * lines[0, t] + vy * lines[1, t])
            lines[3, t] = max(s, ux * lines[0, t] + uy * lines[1, t])
    if k & 1:
        vx, vy = px[g, k - 1], py[g, k - 1]
        for t in range(m):
            lines[3, t] = max(lines[3, t], vx * lines[0, t] + vy * lines[1, t])
    top = -1.0
    for t in range(m):
        lines[3, t] += lines[2, t]
        top = max(top, lines[3, t])
    return top


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def enclose(px, py, size, count, y, h, lo, cx, cy, box):
    """Set box to the bounding box of the polygons and the least <v, y_i - c> + h_i of their corners; False if none."""
    left, right, bottom, top, least = 1e300, -1e300, 1e300, -1e300, 1e300
    for g in range(count):
        ux, uy, uh = y[lo + g, 0] - cx, y[lo + g, 1] - cy, h[lo + g]
        for t in range(size[g]):
            x, v = px[g, t], py[g, t]
            left, right = min(left, x), max(right, x)
            bottom, top = min(bottom, v), max(top, v)
            least = min(least, x * ux + v * uy + uh)
    box[0], box[1], box[2], box[3], box[4] = left, right, bottom, top, least
    return left <= right


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def excess(nodes, b, cx, cy, box):
    """How far node b may rise above the lower bound of the cells in the box, at its best corner."""
    ux, uy, wx, wy, qx, qy = nodes[b, 0] - cx, nodes[b, 1] - cy, nodes[b, 2], nodes[b, 3], nodes[b, 4], nodes[b, 5]
    x = max(box[0] * ux + abs(box[0] - qx) * wx, box[1] * ux + abs(box[1] - qx) * wx)
    y = max(box[2] * uy + abs(box[2] - qy) * wy, box[3] * uy + abs(box[3] - qy) * wy)
    return x + y + (nodes[b, 6] - qx * nodes[b, 0] - qy * nodes[b, 1]) - box[4]


@njit(nogil=True, cache=True, error_model="numpy")
def push(key, item, size, k, b):
    """Push (k, b) on the heap, largest key first."""
    t = size
    while t > 0 and key[(t - 1) >> 1] < k:
        up = (t - 1) >> 1
        key[t], item[t] = key[up], item[up]
        t = up
    key[t], item[t] = k, b


@njit(nogil=True, cache=True, error_model="numpy")
def pop(key, item, size):
    """Remove the item of the largest key from the heap of `size` and return it."""
    best = item[0]
    k, b = key[size - 1], item[size - 1]
    t, last = 0, size - 1
    while True:
        down = 2 * t + 1
        if down >= last:
            break
        if down + 1 < last and key[down + 1] > key[down]:
            down += 1
        if key[down] <= k:
            break
        key[t], item[t] = key[down], item[down]
        t = down
    key[t], item[t] = k, b
    return best


@njit(nogil=True, cache=True, error_model="numpy")
def try_waiting(px, py, edge, size, count, y, h, lo, extent, wait, ids, m, lines, value):
    """Cut every polygon of the leaf by the m waiting sites; return False if a polygon outgrew its row."""
    for g in range(count):
        if size[g] == 0:
            continue
        i = lo + g
        if violations(px, py, g, size[g], y[i, 0], y[i, 1], h[i], extent, lines, wait, m) <= 0.0:
            continue
        for t in range(m):
            if lines[3, t] > 0.0:
                ax, ay = lines[0, t], lines[1, t]
                tol = extent * (abs(ax) + abs(ay))
                k = cut(px, py, edge, g, size[g], ax, ay, wait[2, t] - h[i], tol, ids[t], value)
                if k == FULL:
                    return False
                size[g] = k
                if k == 0:
                    break
    return True


@njit(nogil=True, cache=True, error_model="numpy")
def scratch(leaf, row, nodes):
    """What leaf_cells writes: polygons of up to `row` corners a cell, their sizes, sites that wait, and a heap."""
    px, py, edge, size = (
        np.empty((leaf, row)),
        np.empty((leaf, row)),
        np.empty((leaf, row), np.int64),
        np.empty(leaf, np.int64),
    )
    box, wait, ids, lines = (
        np.empty(5),
        np.empty((3, BATCH + leaf)),
        np.empty(BATCH + leaf, np.int64),
        np.empty((4, BATCH + leaf)),
    )
    return px, py, edge, size, box, wait, ids, lines, np.empty(row), np.empty(nodes + 1), np.empty(nodes + 1, np.int64)


@njit(nogil=True, cache=True, error_model="numpy")
def leaf_cells(group, tree, domain, listed, room):
    """Find the cells of the sites of leaf `group`; False if a polygon outgrew its row.

    tree: sites a leaf, y and h (k-d order), the order and its inverse, and the nodes: where levels start, rows, slack.
    domain: corners (k, 2); sides (k, 3) as a, b, c: a x + b y + c <= 0; the tolerance of a position.
    listed: starts and ids, in the order of y, of the likely neighbours (no ids: none). room: see `scratch`.
    """
    leaf, y, h, order, rank, starts, nodes, slack = tree
    corners, walls, extent = domain
    near_starts, near = listed
    px, py, edge, size, box, wait, ids, lines, value, key, item = room
    lo, hi = group * leaf, min(group * leaf + leaf, len(y))
    count = hi - lo
    sides = len(corners)
    first_inner = starts[1]
    cx, cy = nodes[group, 0], nodes[group, 1]
    for i in range(lo, hi):
        g = i - lo
        size[g] = 0
        if h[i] <= DEAD:
            continue
        k, m, done = sides, 0, False
        if len(near) > 0:
            begin, end = near_starts[order[i]], near_starts[order[i] + 1]
            if end - begin <= min(BATCH, px.shape[1]):
                m = line_up(i, begin, end, near, rank, y, h, edge, g, lines, ids)
                done = join(px, py, edge, g, m, extent, lines, ids)
        if done:
            k = m
            for t in range(sides):
                ax, ay, b = walls[t, 0], walls[t, 1], walls[t, 2]
                k = cut(px, py, edge, g, k, ax, ay, b, extent * (abs(ax) + abs(ay)), -1 - t, value)
                if k <= 0:
                    break
        else:
            for t in range(sides):
                px[g, t], py[g, t], edge[g, t] = corners[t, 0], corners[t, 1], -1 - t
            for t in range(m if m > 0 else hi - lo):
                j = ids[t] if m > 0 else lo + t
                if j == i or h[j] <= DEAD:
                    continue
                ax, ay = y[j, 0] - y[i, 0], y[j, 1] - y[i, 1]
                k = cut(px, py, edge, g, k, ax, ay, h[j] - h[i], extent * (abs(ax) + abs(ay)), j, value)
                if k <= 0:
                    break
        if k == FULL:
            return False
        size[g] = k
    if not enclose(px, py, size, count, y, h, lo, cx, cy, box):
        return True
    # Best first: by what a node may reach at the place where the cells are thought to be.
    gx, gy = nodes[group, 4], nodes[group, 5]
    key[0], item[0] = 0.0, starts[-1] - 1
    queued, waiting, limit = np.int64(1), np.int64(0), 2 * leaf  # typed: Numba compiles literals apart
    while queued > 0:
        b = pop(key, item, queued)
        queued -= 1
        if excess(nodes, b, cx, cy, box) <= 0.0:
            continue
        if b >= first_inner:
            level = 1
            while b >= starts[level + 1]:
                level += 1
            begin = starts[level - 1] + (b - starts[level]) * FAN
            for c in range(begin, min(begin + FAN, starts[level])):
                if excess(nodes, c, cx, cy, box) > 0.0:
                    k = (gx - nodes[c, 4]) * nodes[c, 0] + (gy - nodes[c, 5]) * nodes[c, 1] + nodes[c, 6]
                    k += abs(gx - nodes[c, 4]) * nodes[c, 2] + abs(gy - nodes[c, 5]) * nodes[c, 3]
                    push(key, item, queued, k, c)
                    queued += 1
            continue
        for j in range(b * leaf, min(b * leaf + leaf, len(y))):
            ux, uy = y[j, 0] - cx, y[j, 1] - cy
            reach = max(box[0] * ux, box[1] * ux) + max(box[2] * uy, box[3] * uy) + h[j]
            if reach + slack > box[4]:
                wait[0, waiting], wait[1, waiting], wait[2, waiting], ids[waiting] = y[j, 0], y[j, 1], h[j], j
                waiting += 1
        if waiting >= limit:
            if not try_waiting(px, py, edge, size, count, y, h, lo, extent, wait, ids, waiting, lines, value):
                return False
            waiting, limit = 0, min(2 * limit, BATCH)
            if not enclose(px, py, size, count, y, h, lo, cx, cy, box):
                return True
    return try_waiting(px, py, edge, size, count, y, h, lo, extent, wait, ids, waiting, lines, value)
