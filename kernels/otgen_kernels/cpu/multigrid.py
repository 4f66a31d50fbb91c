"""Solves L u = r for the Laplacian of a weighted graph: conjugate gradients behind an algebraic multigrid.

(L u)_i = sum_j w_ij (u_i - u_j), w_ij = w_ji >= 0. Vertices are matched in pairs along their heaviest edges, twice a
level, and the coarse graph has the sums of the weights between its groups: groups are of four, and of vertices that
agree whatever the geometry. Coarse corrections are two steps of conjugate gradients each (a K-cycle), which makes the
number of iterations independent of the size. Source: Notay, An aggregation-based algebraic multigrid method, ETNA 37
(2010); Napov and Notay, An efficient multigrid method for graph Laplacian systems, ETNA 45 (2016).
"""

from __future__ import annotations

import numpy as np
from numba import njit

COARSEST = 40
"""Vertices up to which a graph is solved densely."""

FEWER = 0.8
"""Share of the vertices a coarser graph may have at most."""

ENOUGH = 1 / 16
"""Squared residual left by one coarse step, as a share, below which there is no second."""

STRONG = 0.25
"""Share of a vertex's heaviest edge from which on it may be matched along another."""

_options = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}


@njit(**_options)
def match_pairs(starts, ends, weights, group):
    """Give every vertex the number of its group in group; returns how many there are.

    Groups are pairs along heavy edges; a vertex whose neighbours all have partners joins that of its heaviest edge.
    """
    n = starts.size - 1
    for i in range(n):
        group[i] = -1
    count = 0
    for i in range(n):
        if group[i] >= 0:
            continue
        heaviest, best, partner = 0.0, 0.0, -1
        for e in range(starts[i], starts[i + 1]):
            w = weights[e]
            heaviest = max(heaviest, w)
            if w > best and group[ends[e]] < 0:
                best, partner = w, ends[e]
        if partner >= 0 and best >= STRONG * heaviest:
            group[i] = group[partner] = count
            count += 1
    for i in range(n):
        if group[i] >= 0:
            continue
        best, partner = 0.0, -1
        for e in range(starts[i], starts[i + 1]):
            if weights[e] > best and group[ends[e]] >= 0:
                best, partner = weights[e], ends[e]
        if partner >= 0:
            group[i] = group[partner]
        else:
            group[i] = count
            count += 1
    return count


@njit(**_options)
def contract(starts, ends, weights, group, count):
    """The graph between groups: sums of the weights of the edges between them."""
    n = starts.size - 1
    first = np.zeros(count + 1, np.int64)
    for i in range(n):
        first[group[i] + 1] += 1
    for g in range(count):
        first[g + 1] += first[g]
    members, fill = np.empty(n, np.int64), first[:-1].copy()
    for i in range(n):
        members[fill[group[i]]] = i
        fill[group[i]] += 1
    new_starts = np.zeros(count + 1, np.int64)
    new_ends, new_weights = np.empty_like(ends), np.empty_like(weights)
    place = np.full(count, -1)  # where the edge to a group is, if it is of the group at hand
    size = 0
    for g in range(count):
        begin = size
        for t in range(first[g], first[g + 1]):
            i = members[t]
            for e in range(starts[i], starts[i + 1]):
                other = group[ends[e]]
                if other == g:
                    continue
                if place[other] < begin:
                    place[other] = size
                    new_ends[size], new_weights[size] = other, weights[e]
                    size += 1
                else:
                    new_weights[place[other]] += weights[e]
        new_starts[g + 1] = size
    return new_starts, new_ends[:size].copy(), new_weights[:size].copy()


@njit(**_options)
def smooth(starts, ends, weights, inverse, r, u, forward):
    """One Gauss-Seidel sweep for L u = r, in ascending or descending order."""
    n = starts.size - 1
    for t in range(n):
        i = t if forward else n - 1 - t
        s = r[i]
        for e in range(starts[i], starts[i + 1]):
            s += weights[e] * u[ends[e]]
        u[i] = s * inverse[i]


@njit(**_options)
def smooth_first(starts, ends, weights, inverse, r, u):
    """The forward sweep from u = 0: only what has been set already counts."""
    n = starts.size - 1
    for i in range(n):
        s = r[i]
        for e in range(starts[i], starts[i + 1]):
            if ends[e] < i:
                s += weights[e] * u[ends[e]]
        u[i] = s * inverse[i]


@njit(**_options)
def apply_laplacian(starts, ends, weights, degree, u, out):
    """out = L u; returns <u, L u>."""
    total = 0.0
    for i in range(starts.size - 1):
        s = degree[i] * u[i]
        for e in range(starts[i], starts[i + 1]):
            s -= weights[e] * u[ends[e]]
        out[i] = s
        total += s * u[i]
    return total


@njit(**_options)
def restrict_residual(starts, ends, weights, degree, r, u, group, out):
    """out_g = sum over the group of r - L u."""
    for g in range(out.size):
        out[g] = 0.0
    for i in range(starts.size - 1):
        s = r[i] - degree[i] * u[i]
        for e in range(starts[i], starts[i + 1]):
            s += weights[e] * u[ends[e]]
        out[group[i]] += s


@njit(**_options)
def prolong(coarse, group, u):
    """u_i += coarse_g for i in g."""
    for i in range(u.size):
        u[i] += coarse[group[i]]


# Sums and steps of vectors that fit in cache: a threaded BLAS takes longer to wake than these take.


@njit(**_options)
def dot(u, v):
    """<u, v>."""
    s = 0.0
    for i in range(u.size):
        s += u[i] * v[i]
    return s


@njit(**_options)
def step_along(u, direction, residual, image, length):
    """u += length direction, residual -= length image; returns |residual|^2."""
    s = 0.0
    for i in range(u.size):
        u[i] += length * direction[i]
        residual[i] -= length * image[i]
        s += residual[i] * residual[i]
    return s


@njit(**_options)
def worst(residual, allowed):
    """max_i |residual_i| / allowed_i."""
    s = 0.0
    for i in range(residual.size):
        s = max(s, abs(residual[i]) / allowed[i])
    return s


@njit(**_options)
def next_direction(z, residual, last, direction, old):
    """The direction of flexible conjugate gradients, in place; last becomes residual. Returns <z, residual>."""
    mean = 0.0
    for i in range(z.size):
        mean += z[i]
    mean /= z.size
    slope, turn = 0.0, 0.0
    for i in range(z.size):
        z[i] -= mean
        slope += z[i] * residual[i]
        turn += z[i] * (residual[i] - last[i])
    beta = turn / old if old > 0.0 else 0.0
    for i in range(z.size):
        direction[i] = z[i] + beta * direction[i]
        last[i] = residual[i]
    return slope


@njit(**_options)
def facet_weights(starts, ends, facets, y):
    """facet_ij / |y_i - y_j| along the edges (i, j) of a graph of cells."""
    out = np.empty(facets.size)
    for i in range(starts.size - 1):
        for e in range(starts[i], starts[i + 1]):
            s = 0.0
            for c in range(y.shape[1]):
                s += (y[i, c] - y[ends[e], c]) ** 2
            out[e] = facets[e] / np.sqrt(s)
    return out


class Multigrid:
    """The hierarchy of one connected graph, symmetric, as CSR; `solve` answers any right-hand side."""

    def __init__(self, starts: np.ndarray, ends: np.ndarray, weights: np.ndarray):
        self._levels = [_Level(starts, ends, weights)]
        while (n := self._levels[-1].size) > COARSEST:
            level = self._levels[-1]
            first = np.empty(n, np.int64)
            count = match_pairs(level.starts, level.ends, level.weights, first)
            graph = contract(level.starts, level.ends, level.weights, first, count)
            second = np.empty(count, np.int64)
            fewer = match_pairs(*graph, second)
            if fewer > FEWER * n:  # nearly without edges: no coarser graph says more
                break
            level.group = second[first]
            self._levels.append(_Level(*contract(*graph, second, fewer)))
        last = self._levels[-1]
        self._dense = last.inverted() if last.size <= COARSEST else None

    def solve(self, r: np.ndarray, allowed: np.ndarray, most: int) -> tuple[np.ndarray, float, int]:
        """Return u, of mean 0, with |r - L u|_i <= allowed_i; max_i |r - L u|_i / allowed_i, and the iterations taken.

        More than 1 says that `most` iterations did not suffice.
        """
        level, residual = self._levels[0], r - r.mean()
        u, direction, last, image = (np.zeros_like(residual) for _ in range(4))
        error, old, step = worst(residual, allowed), 0.0, 0
        while error > 1.0 and step < most:
            # Flexible: a cycle is not the same linear map every time.
            old = next_direction(self._cycle(0, residual), residual, last, direction, old)
            curvature = level.apply(direction, image)
            if not curvature > 0.0:
                break
            step_along(u, direction, residual, image, dot(direction, residual) / curvature)
            error = worst(residual, allowed)
            step += 1
        return u - u.mean(), error, step

    def _cycle(self, place: int, r: np.ndarray) -> np.ndarray:
        """One K-cycle: an approximate answer to L u = r on a level."""
        level = self._levels[place]
        if level.group is None:
            return r * level.inverse if self._dense is None else self._dense.dot(r)
        u, coarse = np.empty_like(r), np.empty(self._levels[place + 1].size)
        graph = level.starts, level.ends, level.weights
        smooth_first(*graph, level.inverse, r, u)
        restrict_residual(*graph, level.degree, r, u, level.group, coarse)
        prolong(self._coarse(place + 1, coarse), level.group, u)
        smooth(*graph, level.inverse, r, u, False)
        return u

    def _coarse(self, place: int, r: np.ndarray) -> np.ndarray:
        """Two steps of conjugate gradients, the second only where the first left much."""
        level = self._levels[place]
        u = self._cycle(place, r)
        if level.group is None and self._dense is not None:
            return u
        image, rest = np.empty_like(r), r.copy()
        curvature = level.apply(u, image)
        if not curvature > 0.0:
            return u
        length = dot(u, r) / curvature
        first = length * u
        if step_along(np.zeros_like(r), u, rest, image, length) <= ENOUGH * dot(r, r):
            return first
        v, other = self._cycle(place, rest), np.empty_like(r)
        bend = level.apply(v, other)
        along = dot(v, image)
        bend -= along * along / curvature
        if not bend > 0.0:
            return first
        second = dot(v, rest) / bend
        return first + second * (v - (along / curvature) * u)


class _Level:
    def __init__(self, starts: np.ndarray, ends: np.ndarray, weights: np.ndarray):
        self.starts, self.ends, self.weights, self.size = starts, ends, weights, len(starts) - 1
        self.degree = np.bincount(np.repeat(np.arange(self.size), np.diff(starts)), weights, self.size)
        self.inverse = np.divide(1.0, self.degree, out=np.zeros(self.size), where=self.degree > 0.0)
        self.group: np.ndarray | None = None

    def apply(self, u: np.ndarray, out: np.ndarray) -> float:
        return apply_laplacian(self.starts, self.ends, self.weights, self.degree, u, out)

    def inverted(self) -> np.ndarray:
        """The inverse up to constants: what is added to every entry only moves u by one."""
        matrix = np.diag(self.degree) + (self.degree.mean() / self.size or 1.0)
        np.add.at(matrix, (np.repeat(np.arange(self.size), np.diff(self.starts)), self.ends), -self.weights)
        return np.linalg.pinv(matrix, hermitian=True)
