"""Lists of arcs (i, j) of a transport problem: their costs, their union, their refinement to a finer level."""

import numpy as np
from numba import njit

from ..costs import describe
from .decide import ABSOLUTES, POWER, ROOT, SQUARE, SQUARES, cost

_options = {"nogil": True, "cache": True, "error_model": "numpy"}


def arc_costs(x, y, rows, cols, *, metric, p):
    """metric(x[rows[e]], y[cols[e]])**p of every listed arc, for metric euclidean, cityblock or chebyshev."""
    return _arc_costs(x, y, rows, cols, *describe(metric, p))


def cost_matrix(x, y, *, metric, p):
    """metric(x_i, y_j)**p of all pairs (n, m), as `arc_costs`: for problems so small that the matrix stays in cache."""
    return _cost_matrix(x, y, *describe(metric, p)[:3])


@njit(**_options)
def _arc_costs(x, y, rows, cols, form, shape, q, unit):
    costs = np.empty(rows.size)
    for e in range(rows.size):
        costs[e] = cost(x, rows[e], y, cols[e], form, shape, q, unit)
    return costs


@njit(**_options)
def _cost_matrix(x, y, form, shape, q):
    # a row at a time and the coordinates outermost, so that the inner loops run over pairs and vectorise
    turned = np.ascontiguousarray(y.T)
    costs = np.zeros((x.shape[0], y.shape[0]))
    for i in range(x.shape[0]):
        row = costs[i]
        for k in range(x.shape[1]):
            at, coordinates = x[i, k], turned[k]
            if form == SQUARES:
                for j in range(row.size):
                    row[j] += (at - coordinates[j]) * (at - coordinates[j])
            elif form == ABSOLUTES:
                for j in range(row.size):
                    row[j] += abs(at - coordinates[j])
            else:
                for j in range(row.size):
                    row[j] = max(row[j], abs(at - coordinates[j]))
        if shape == ROOT:
            for j in range(row.size):
                row[j] = np.sqrt(row[j])
        elif shape == SQUARE:
            for j in range(row.size):
                row[j] *= row[j]
        elif shape == POWER:
            for j in range(row.size):
                row[j] = row[j] ** q
    return costs


@njit(**_options)
def merge_arcs(n, m, by_row, by_col, extra_i, extra_j):
    """The union, sorted by row then column, of (i, by_row[i, :]), (by_col[j, :], j) and the extra arcs.

    by_row (n, k) holds columns and by_col (m, l) rows; entries of -1 are skipped.
    """
    start = np.zeros(n + 1, np.int64)
    for i in range(n):
        start[i + 1] += by_row.shape[1]
    for j in range(by_col.shape[0]):
        for t in range(by_col.shape[1]):
            if by_col[j, t] >= 0:
                start[by_col[j, t] + 1] += 1
    for e in range(extra_i.size):
        start[extra_i[e] + 1] += 1
    for i in range(n):
        start[i + 1] += start[i]
    fill = start[:-1].copy()
    cols = np.empty(start[n], np.int32)
    for i in range(by_row.shape[0]):
        for t in range(by_row.shape[1]):
            if by_row[i, t] >= 0:
                cols[fill[i]] = by_row[i, t]
                fill[i] += 1
    for j in range(by_col.shape[0]):
        for t in range(by_col.shape[1]):
            i = by_col[j, t]
            if i >= 0:
                cols[fill[i]] = j
                fill[i] += 1
    for e in range(extra_i.size):
        cols[fill[extra_i[e]]] = extra_j[e]
        fill[extra_i[e]] += 1
    rows = np.empty(start[n], np.int32)
    kept = 0
    for i in range(n):
        row = np.sort(cols[start[i] : fill[i]])
        previous = -1
        for j in row:
            if j != previous:
                rows[kept] = i
                cols[kept] = j  # kept never runs ahead of start[i], whose row has been copied
                kept += 1
                previous = j
    return rows[:kept].copy(), cols[:kept].copy()


@njit(**_options)
def refine_arcs(coarse_i, coarse_j, row_starts, col_starts):
    """All pairs of children of the given coarse arcs; coarse row I has the rows row_starts[I] .. row_starts[I + 1]."""
    count = 0
    for e in range(coarse_i.size):
        i, j = coarse_i[e], coarse_j[e]
        count += (row_starts[i + 1] - row_starts[i]) * (col_starts[j + 1] - col_starts[j])
    rows = np.empty(count, np.int32)
    cols = np.empty(count, np.int32)
    count = 0
    for e in range(coarse_i.size):
        for i in range(row_starts[coarse_i[e]], row_starts[coarse_i[e] + 1]):
            for j in range(col_starts[coarse_j[e]], col_starts[coarse_j[e] + 1]):
                rows[count] = i
                cols[count] = j
                count += 1
    return rows, cols


@njit(**_options)
def ship_leftovers(excess_a, excess_b):
    """Ship what is left, first sources to first sinks (north-west corner): (rows, cols, mass); uses both up."""
    n, m = excess_a.size, excess_b.size
    rows = np.empty(n + m, np.int64)
    cols = np.empty(n + m, np.int64)
    mass = np.empty(n + m)
    count = i = j = 0
    while True:
        while i < n and excess_a[i] <= 0.0:
            i += 1
        while j < m and excess_b[j] <= 0.0:
            j += 1
        if i == n or j == m:
            return rows[:count], cols[:count], mass[:count]
        shipped = min(excess_a[i], excess_b[j])
        rows[count], cols[count], mass[count] = i, j, shipped
        count += 1
        excess_a[i] -= shipped
        excess_b[j] -= shipped


@njit(**_options)
def matrix_smallest_k(cost, h, k):
    """The k smallest of cost[i, j] - h[j] in each row i, ascending, the lower j first in ties: values, j (n, k)."""
    n, m = cost.shape
    values = np.full((n, k), np.inf)
    indices = np.full((n, k), -1, np.int64)
    for i in range(n):
        for j in range(m):
            value = cost[i, j] - h[j]
            if value < values[i, k - 1]:
                _insert(values, indices, i, value, j)
    return values, indices


@njit(**_options)
def matrix_smallest_k_columns(cost, h, k):
    """The k smallest of cost[i, j] - h[i] in each column j, as `matrix_smallest_k`, reading the rows in order."""
    n, m = cost.shape
    values = np.full((m, k), np.inf)
    indices = np.full((m, k), -1, np.int64)
    for i in range(n):
        for j in range(m):
            value = cost[i, j] - h[i]
            if value < values[j, k - 1]:
                _insert(values, indices, j, value, i)
    return values, indices


@njit(**_options)
def _insert(values, indices, row, value, index):
    """Put a value below the last of an ascending row in its place, behind its equals; the last drops out."""
    t = values.shape[1] - 1
    while t > 0 and values[row, t - 1] > value:
        values[row, t], indices[row, t] = values[row, t - 1], indices[row, t - 1]
        t -= 1
    values[row, t], indices[row, t] = value, index
