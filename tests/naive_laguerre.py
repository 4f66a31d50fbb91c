"""Power diagrams in the plane as loops so plain that they are the definition."""

from __future__ import annotations

import math
from itertools import pairwise

from naive import distance


def clip(polygon, ax: float, ay: float, b: float):
    """The part of a convex polygon [(x, y, label of the side to the next corner)] where ax x + ay y + b <= 0."""
    out = []
    for (px, py, label), (qx, qy, _) in zip(polygon, polygon[1:] + polygon[:1]):
        s, t = ax * px + ay * py + b, ax * qx + ay * qy + b
        if s <= 0.0:
            out.append((px, py, label))
        if (s <= 0.0) != (t <= 0.0):
            f = s / (s - t)
            # Leaving, the cut begins here; entering, the rest of this side does.
            out.append((px + f * (qx - px), py + f * (qy - py), None if s <= 0.0 else label))
    return out


def participants(y, h) -> list[int]:
    """The sites of finite h to which no equal site is higher, or as high and earlier."""
    best: dict[tuple[float, float], int] = {}
    for i, (x, v) in enumerate(y):
        j = best.setdefault((float(x), float(v)), i)
        if h[i] > h[j]:
            best[float(x), float(v)] = i
    return [i for i in best.values() if not math.isinf(h[i])]


def cell(y, h, i: int, domain):
    """{x in domain : <x, y_i> + h_i >= <x, y_j> + h_j for all j}, as [(x, y, j)], j None on the sides of the domain."""
    others = participants(y, h)
    if i not in others:
        return []
    polygon = [(float(x), float(v), (None,)) for x, v in domain]
    for j in others:
        if j != i:
            cut = clip(polygon, float(y[j][0] - y[i][0]), float(y[j][1] - y[i][1]), float(h[j] - h[i]))
            polygon = [(x, v, label or (j,)) for x, v, label in cut]
    return [(x, v, label) for x, v, (label,) in polygon]


def moments(polygon):
    """Area, ∫x, ∫y and ∫|(x, y)|^2 of a polygon [(x, y, ...)], by triangles from its first corner."""
    area = mx = my = second = 0.0
    for (bx, by, *_), (cx, cy, *_) in pairwise(polygon[1:]):
        ax, ay = polygon[0][0], polygon[0][1]
        t = ((bx - ax) * (cy - ay) - (cx - ax) * (by - ay)) / 2.0
        area += t
        mx += t * (ax + bx + cx) / 3.0
        my += t * (ay + by + cy) / 3.0
        # Exact for quadratics: the mean over the middles of the sides.
        for (px, py), (qx, qy) in zip([(ax, ay), (bx, by), (cx, cy)], [(bx, by), (cx, cy), (ax, ay)]):
            second += t / 3.0 * (((px + qx) / 2.0) ** 2 + ((py + qy) / 2.0) ** 2)
    return area, mx, my, second


def diagram(y, h, domain):
    """moments of every cell and {(i, j): length of the common edge}."""
    cells = [cell(y, h, i, domain) for i in range(len(y))]
    facets: dict[tuple[int, int], float] = {}
    for i, polygon in enumerate(cells):
        for p, q in zip(polygon, polygon[1:] + polygon[:1]):
            if p[2] is not None:
                facets[i, p[2]] = facets.get((i, p[2]), 0.0) + distance(p[:2], q[:2], "euclidean")
    return [moments(polygon) for polygon in cells], facets
