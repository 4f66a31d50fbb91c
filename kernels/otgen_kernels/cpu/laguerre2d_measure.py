"""Moments and facets of the cells of a planar power diagram, and the graph of its cells."""

from __future__ import annotations

import numpy as np
from numba import njit

from .laguerre2d_cells import FULL, leaf_cells, scratch
from .laguerre2d_density import image_moments, image_segment, polygon_moments


@njit(nogil=True, cache=True, error_model="numpy")
def measure_leaves(leaves, tree, domain, listed, row, image, grid, facets, answer, edges, lengths):
    """Measure the cells of `leaves`; tree, domain and listed as for leaf_cells, row the corners a cell may have.

    answer: mass, first and second, in the order of y, and the degrees in k-d order, -1 for a cell without area. edges
    and lengths are filled from their beginning, cell by cell: returns how many were, FULL if row was too small and
    2 * FULL if edges was.
    """
    leaf, y, order = tree[0], tree[1], tree[3]
    mass, first, second, degree = answer
    extent = domain[2]
    room = scratch(leaf, row, len(tree[6]))
    px, py, edge, size = room[0], room[1], room[2], room[3]
    out, local = np.empty(4), np.empty(4)
    has_image = image.shape[0] > 0
    work = np.empty((5, 2, row + 8 if has_image else 0))
    filled = 0
    for group in leaves:
        if not leaf_cells(group, tree, domain, listed, room):
            return FULL
        for i in range(group * leaf, min(group * leaf + leaf, len(y))):
            g, o = i - group * leaf, order[i]
            k = size[g]
            out[:] = 0.0
            x, v = 0.0, 0.0
            if k > 2:
                x, v = px[g, 0], py[g, 0]
                polygon_moments(px[g], py[g], 0, k, out)
                if out[0] <= 0.0:
                    k = 0
                    out[:] = 0.0
                elif has_image:
                    image_moments(px[g], py[g], k, image, grid, work, local, out)
            mass[o] = out[0]
            first[o, 0], first[o, 1] = out[1] + x * out[0], out[2] + v * out[0]
            second[o] = out[3] + 2.0 * (x * out[1] + v * out[2]) + (x * x + v * v) * out[0]
            degree[i] = -1 if k < 3 else 0
            if not facets or k < 3:
                continue
            if filled + k > len(edges):
                return 2 * FULL
            for t in range(k):
                if edge[g, t] >= 0:
                    n = t + 1 if t + 1 < k else 0
                    dx, dy = px[g, n] - px[g, t], py[g, n] - py[g, t]
                    length = np.sqrt(dx * dx + dy * dy)
                    if length > extent:
                        if has_image:
                            length = image_segment(px[g, t], py[g, t], px[g, n], py[g, n], image, grid)
                        edges[filled], lengths[filled] = edge[g, t], length
                        filled += 1
                        degree[i] += 1
    return filled


@njit(nogil=True, cache=True, error_model="numpy")
def outline_leaves(leaves, tree, domain, listed, row, wanted, sizes, xs, ys):
    """Put the polygons of the sites i of wanted[i] >= 0 (k-d order) in row wanted[i] of xs and ys; 0, or FULL."""
    leaf, y = tree[0], tree[1]
    room = scratch(leaf, row, len(tree[6]))
    px, py, size = room[0], room[1], room[3]
    for group in leaves:
        if not leaf_cells(group, tree, domain, listed, room):
            return FULL
        for i in range(group * leaf, min(group * leaf + leaf, len(y))):
            if wanted[i] >= 0:
                k = size[i - group * leaf]
                sizes[wanted[i]] = k if k > 2 else 0
                for t in range(k):
                    xs[wanted[i], t], ys[wanted[i], t] = px[i - group * leaf, t], py[i - group * leaf, t]
    return 0


@njit(nogil=True, cache=True, error_model="numpy")
def match_rows(lo, hi, begin, edges, lengths, tiny, empty, agreed):
    """Set agreed[e] of the edges of the rows lo..hi to the mean of both sides; count what only this side sees.

    An edge that only this side sees is dropped (-1) up to the length tiny or towards a cell without area, else kept.
    """
    alone, lost = 0, 0
    for i in range(lo, hi):
        for e in range(begin[i], begin[i + 1]):
            j, found = edges[e], -1.0
            for f in range(begin[j], begin[j + 1]):
                if edges[f] == i:
                    found = lengths[f]
                    break
            if found >= 0.0:
                agreed[e] = 0.5 * (lengths[e] + found)
            elif empty[j]:
                agreed[e] = -1.0
                lost += 1
            elif lengths[e] <= tiny:
                agreed[e] = -1.0
            else:
                agreed[e] = lengths[e]
                alone += 1
    return alone, lost


@njit(nogil=True, cache=True, error_model="numpy")
def write_rows(lo, hi, begin, edges, agreed, order, starts, neighbours, facets):
    """Write the rows lo..hi (k-d order) of the graph to their places in the order of y, neighbours ascending."""
    for i in range(lo, hi):
        base = starts[order[i]]
        filled = base
        for e in range(begin[i], begin[i + 1]):
            if agreed[e] < 0.0:
                continue
            j, t = order[edges[e]], filled
            while t > base and neighbours[t - 1] > j:
                neighbours[t], facets[t] = neighbours[t - 1], facets[t - 1]
                t -= 1
            neighbours[t], facets[t] = j, agreed[e]
            filled += 1
