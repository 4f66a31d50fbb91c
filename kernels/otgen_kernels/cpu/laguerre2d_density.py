"""Integrals of a piecewise constant density, an image, over convex polygons and along segments."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, error_model="numpy")
def polygon_moments(px, py, lo, hi, out):
    """Add area, ∫(u, v) and ∫|(u, v)|^2 of the polygon px, py [lo:hi], (u, v) from its first corner, to out."""
    ox, oy = px[lo], py[lo]
    area, mx, my, second = 0.0, 0.0, 0.0, 0.0
    ux, uy = px[lo + 1] - ox, py[lo + 1] - oy
    for t in range(lo + 2, hi):
        vx, vy = px[t] - ox, py[t] - oy
        cross = ux * vy - vx * uy
        area += cross
        mx += cross * (ux + vx)
        my += cross * (uy + vy)
        second += cross * (ux * (ux + vx) + vx * vx + uy * (uy + vy) + vy * vy)
        ux, uy = vx, vy
    out[0] += area / 2.0
    out[1] += mx / 6.0
    out[2] += my / 6.0
    out[3] += second / 12.0


@njit(nogil=True, cache=True, error_model="numpy")
def _split(src, lo, hi, axis, at, below, above):
    """Split the convex polygon src[:, lo:hi] at coordinate `axis` = at into below and above; return their sizes."""
    nb, na = 0, 0
    other = 1 - axis
    pu, pv = src[axis, hi - 1], src[other, hi - 1]
    for t in range(lo, hi):
        u, v = src[axis, t], src[other, t]
        if (pu < at and u > at) or (pu > at and u < at):
            w = pv + (at - pu) / (u - pu) * (v - pv)
            below[axis, nb], below[other, nb] = at, w
            above[axis, na], above[other, na] = at, w
            nb += 1
            na += 1
        if u <= at:
            below[axis, nb], below[other, nb] = u, v
            nb += 1
        if u >= at:
            above[axis, na], above[other, na] = u, v
            na += 1
        pu, pv = u, v
    return nb, na


@njit(nogil=True, cache=True, error_model="numpy")
def _add(poly, k, weight, cx, cy, local, out):
    """Add weight times the moments of poly[:, :k], measured from (cx, cy), to out."""
    local[:] = 0.0
    polygon_moments(poly[0], poly[1], 0, k, local)
    ux, uy = poly[0, 0] - cx, poly[1, 0] - cy
    out[0] += weight * local[0]
    out[1] += weight * (local[1] + ux * local[0])
    out[2] += weight * (local[2] + uy * local[0])
    out[3] += weight * (local[3] + 2.0 * (ux * local[1] + uy * local[2]) + (ux * ux + uy * uy) * local[0])


@njit(nogil=True, cache=True, error_model="numpy")
def pixel(u, origin, size, count):
    """The pixel that holds the coordinate u, the nearest one for u outside."""
    return min(max(int(np.floor((u - origin) / size)), 0), count - 1)


@njit(nogil=True, cache=True, error_model="numpy")
def image_moments(px, py, k, image, grid, work, local, out):
    """Set out to the integrals of density, density (u, v) and density |(u, v)|^2 over the polygon px, py [:k].

    (u, v) is measured from its first corner. Row r of the image is y in grid[1] + [r, r + 1] grid[3], column c is x in
    grid[0] + [c, c + 1] grid[2]. work (5, 2, k + 8) and local (4,) are scratch.
    """
    out[:] = 0.0
    height, width = image.shape
    xmin, xmax, ymin, ymax = px[0], px[0], py[0], py[0]
    for t in range(1, k):
        xmin, xmax = min(xmin, px[t]), max(xmax, px[t])
        ymin, ymax = min(ymin, py[t]), max(ymax, py[t])
    r0, r1 = pixel(ymin, grid[1], grid[3], height), pixel(ymax, grid[1], grid[3], height)
    c0, c1 = pixel(xmin, grid[0], grid[2], width), pixel(xmax, grid[0], grid[2], width)
    if r0 == r1 and c0 == c1:
        polygon_moments(px, py, 0, k, out)
        for t in range(4):
            out[t] *= image[r0, c0]
        return
    cx, cy = px[0], py[0]
    rest, spare, row, tail, part = 0, 1, 2, 3, 4
    for t in range(k):
        work[rest, 0, t], work[rest, 1, t] = px[t], py[t]
    left = k
    for r in range(r0, r1 + 1):
        if r < r1:
            count, left = _split(work[rest], 0, left, 1, grid[1] + (r + 1) * grid[3], work[row], work[spare])
            rest, spare = spare, rest
        else:
            count = left
            row, rest = rest, row
        if count < 3:
            continue
        xmin, xmax = work[row, 0, 0], work[row, 0, 0]
        for t in range(1, count):
            xmin, xmax = min(xmin, work[row, 0, t]), max(xmax, work[row, 0, t])
        c0, c1 = pixel(xmin, grid[0], grid[2], width), pixel(xmax, grid[0], grid[2], width)
        for c in range(c0, c1):
            k_part, k_tail = _split(work[row], 0, count, 0, grid[0] + (c + 1) * grid[2], work[part], work[tail])
            if k_part > 2 and image[r, c] != 0.0:
                _add(work[part], k_part, image[r, c], cx, cy, local, out)
            row, tail, count = tail, row, k_tail
        if count > 2 and image[r, c1] != 0.0:
            _add(work[row], count, image[r, c1], cx, cy, local, out)


@njit(nogil=True, cache=True, error_model="numpy")
def image_segment(ax, ay, bx, by, image, grid):
    """The integral of the density along the segment a b (a segment between two pixels counts one of them)."""
    height, width = image.shape
    length = np.hypot(bx - ax, by - ay)
    ca, cb = pixel(ax, grid[0], grid[2], width), pixel(bx, grid[0], grid[2], width)
    ra, rb = pixel(ay, grid[1], grid[3], height), pixel(by, grid[1], grid[3], height)
    if ca == cb and ra == rb:
        return length * image[ra, ca]
    sc, sr = (1 if cb > ca else -1), (1 if rb > ra else -1)
    total, t = 0.0, 0.0
    # Walk from crossing to crossing: tc and tr are where the segment leaves its column and its row.
    while True:
        tc = (grid[0] + (ca + (sc > 0)) * grid[2] - ax) / (bx - ax) if ca != cb else 1.0
        tr = (grid[1] + (ra + (sr > 0)) * grid[3] - ay) / (by - ay) if ra != rb else 1.0
        if ca == cb and ra == rb:
            return total + (1.0 - t) * length * image[ra, ca]
        step = max(min(tc, tr, 1.0), t)
        total += (step - t) * length * image[ra, ca]
        t = step
        if ra == rb or (ca != cb and tc <= tr):
            ca += sc
        else:
            ra += sr
