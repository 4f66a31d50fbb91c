"""Laguerre cells in space by their definition: one list of half-spaces a cell, given to Qhull."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog
from scipy.spatial import ConvexHull, HalfspaceIntersection, QhullError


def cell(y, h, halfspaces, i):
    """Return vertices (k, 3), planes (m, 4) in rows <a, x> <= b, and the site behind each or -1; None if empty."""
    rows, sites = [tuple(row) for row in halfspaces], [-1] * len(halfspaces)
    for j in range(len(y)):
        if j == i or h[j] == -np.inf:
            continue
        if np.array_equal(y[j], y[i]):
            if h[j] > h[i] or (h[j] == h[i] and j < i):
                return None
            continue
        rows.append((*(y[j] - y[i]), h[i] - h[j]))
        sites.append(j)
    planes = np.array(rows)
    planes = planes / np.linalg.norm(planes[:, :3], axis=1)[:, None]
    # The centre of the largest ball inside: max r with <a, x> + r <= b.
    inner = linprog([0, 0, 0, -1], np.c_[planes[:, :3], np.ones(len(planes))], planes[:, 3], bounds=[(None, None)] * 4)
    if h[i] == -np.inf or inner.status != 0 or inner.x[3] < 1e-9:
        return None
    try:
        corners = HalfspaceIntersection(np.c_[planes[:, :3], -planes[:, 3]], inner.x[:3]).intersections
    except QhullError:
        return None
    return corners, planes, np.array(sites)


def measure(y, h, halfspaces):
    """Return volumes (n,), centres (n, 3) times volumes, and {(i, j): area} of the faces of the diagram."""
    n = len(y)
    volume, first, faces = np.zeros(n), np.zeros((n, 3)), {}
    for i in range(n):
        if h[i] == -np.inf or (found := cell(y, h, halfspaces, i)) is None:
            continue
        corners, planes, sites = found
        hull = ConvexHull(corners)
        volume[i] = hull.volume
        o = corners.mean(0)
        for simplex in hull.simplices:
            tetra = np.vstack([corners[simplex], o])
            first[i] += abs(np.linalg.det(tetra[:3] - o)) / 6 * tetra.mean(0)
        for plane, j in zip(planes, sites):
            on = corners[np.abs(corners @ plane[:3] - plane[3]) < 1e-9]
            if j >= 0 and len(on) >= 3:
                _, s, axes = np.linalg.svd(on - on.mean(0))
                if s[1] > 1e-7:
                    faces[i, int(j)] = ConvexHull((on - on.mean(0)) @ axes[:2].T).volume
    return volume, first, faces
