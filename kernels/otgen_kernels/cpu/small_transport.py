"""A small transport problem in few compiled calls: the network simplex on all pairs, priced one row at a time.

The calls, lists of arcs and rounds that a large problem needs take most of the time of a small one. Here all n m costs
fit the cache, and a row of them is priced faster than one pivot is done.
"""

import numpy as np
from numba import njit

from ..costs import describe
from .arcs import _cost_matrix
from .pivots import NOISE, enter, greedy_basis, potentials, tree_flows

SAMPLE = 640  # reduced costs that are sorted to guess how small the smallest n + m of them are
PATIENCE = 50  # pivots per node after which they are taken to chase rounding: the proof says what was lost

_options = {"nogil": True, "cache": True, "error_model": "numpy"}
_reductions = {"fastmath": {"reassoc", "contract", "nsz"}, **_options}


def small_transport(x, y, weights, masses, merged, *, metric, p):
    """Solve between x (n, d) and y (m, d) for the cost metric**p: rows, cols, mass, f, g and the value, sum of mass c.

    weights are (a, b), masses the same as whole numbers equal in total (`whole_masses`): with them each flow is exact.
    merged is the coarser problem (X, Y, A, B) of whole masses whose duals start this one; without a point in X it
    starts from nothing. f and g are feasible for every pair up to rounding, and the plan is a forest. metric is
    euclidean, cityblock or chebyshev.
    """
    X, Y, A, B = merged
    form, shape, q = describe(metric, p)[:3]
    g = np.zeros(len(y))
    if len(X):
        F = _dense(_cost_matrix(X, Y, form, shape, q), (A, B), (A, B), np.zeros(len(Y)))[3]
        g = _column_minima(_cost_matrix(X, y, form, shape, q), F)
    return _dense(_cost_matrix(x, y, form, shape, q), weights, masses, g)


def _dense(C, weights, masses, g):
    """The optimal plan, duals and value of the matrix C (n, m), from duals g (m,)."""
    a, b = masses
    reduced, cost, g = _reduced_costs(C, g)
    # Sorted here: Numba takes ten seconds to compile a sort.
    flat = reduced.reshape(-1)
    stride = max(1, flat.size // SAMPLE)
    sample = np.sort(flat[::stride])
    near = np.flatnonzero(flat <= sample[min(sample.size - 1, sum(C.shape) // stride + 1)])
    first = _first_arcs(near[np.argsort(flat[near], kind="stable")], reduced, a.copy(), b.copy())
    return _solve(C, weights, masses, g, reduced, cost, first)


@njit(**_options)
def _reduced_costs(C, g):
    """C_ij - f_i - g_j >= 0 (n, m) of duals that fit, the costs of all arcs (those to the root first), and g."""
    n, m = C.shape
    nodes = n + m
    f = _row_minima(C, g)
    g = _column_minima(C, f)
    cost = np.empty(nodes + n * m)
    reduced = cost[nodes:].reshape(n, m)
    highest = 0.0
    for i in range(n):
        for j in range(m):
            reduced[i, j] = C[i, j] - f[i] - g[j]
            highest = max(highest, reduced[i, j])
    cost[:nodes] = 2.0 * highest
    return reduced, cost, g


@njit(**_options)
def _first_arcs(near, reduced, a, b):
    """Arcs along which greedy shipping ships all of a and b, those near (sorted) first; uses both up."""
    n, m = reduced.shape
    order = np.empty(near.size + n + m, np.int64)
    order[: near.size] = near
    for e in near:
        shipped = min(a[e // m], b[e % m])
        a[e // m] -= shipped
        b[e % m] -= shipped
    count = near.size
    for i in range(n):
        while a[i] > 0.0:
            best, low = -1, np.inf
            for j in range(m):
                if b[j] > 0.0 and reduced[i, j] < low:
                    best, low = j, reduced[i, j]
            if best < 0:
                break
            shipped = min(a[i], b[best])
            a[i] -= shipped
            b[best] -= shipped
            order[count] = i * m + best
            count += 1
    return order[:count]


@njit(**_options)
def _solve(C, weights, masses, g, reduced, cost, first):
    """Pivot from the basis of the first arcs until none helps: the plan, the duals and the value."""
    a, b = masses
    n, m = C.shape
    nodes = n + m
    tail, head = np.empty(nodes + n * m, np.int32), np.empty(nodes + n * m, np.int32)
    for v in range(nodes):
        tail[v], head[v] = (v, nodes) if v < n else (nodes, v)
    for i in range(n):
        for j in range(m):
            tail[nodes + i * m + j], head[nodes + i * m + j] = i, n + j
    arcs = (tail, head, cost)
    tree = (
        np.empty(nodes + 1, np.int32), np.empty(nodes + 1, np.int32), np.empty(nodes + 1, np.int32),
        np.empty(nodes + 1, np.int32), np.empty(nodes + 1, np.int32), np.empty(nodes + 1, np.int32),
        np.zeros(nodes + 1, np.bool_), np.zeros(nodes + 1), np.zeros(nodes + 1),
    )  # fmt: skip
    greedy_basis(n, first + nodes, arcs, np.concatenate((a, b)), tree)
    potentials(arcs, tree)
    left = PATIENCE * nodes
    while left > 0:
        pivots = _pivot(reduced, tree, left)
        # optimal only once it is so with fresh potentials: many small shifts add up
        potentials(arcs, tree)
        left -= pivots
        if pivots == 0:
            break
    g = g - tree[8][n:nodes]
    tree_flows(np.concatenate((weights[0], -weights[1], np.zeros(1))), tree)
    rows, cols, mass = _plan(n, m, tree)
    value = 0.0
    for e in range(rows.size):
        value += mass[e] * C[rows[e], cols[e]]
    return rows, cols, mass, _row_minima(C, g), g, value


@njit(**_options)
def _pivot(reduced, tree, most):
    """Pivot, row after row, until no row has a negative reduced cost beyond rounding, or `most`; the pivots done."""
    n, m = reduced.shape
    nodes = n + m
    pi = tree[8]
    heads = pi[n:nodes]
    pivots, clean, i = 0, 0, 0
    while clean < n and pivots < most:
        row = reduced[i]
        low = _lowest(row, heads)
        if low - pi[i] < -NOISE * abs(pi[i]):
            j = 0
            while row[j] + heads[j] > low:
                j += 1
            # what rounding alone can make of this arc's potentials is no reason to enter it
            if low - pi[i] < -NOISE * (abs(row[j]) + abs(pi[i]) + abs(heads[j])):
                enter(nodes + i * m + j, i, n + j, low - pi[i], tree)
                pivots += 1
                clean = -1
        clean += 1
        i = i + 1 if i + 1 < n else 0
    return pivots


@njit(**_reductions)
def _lowest(row, h):
    """min_j row_j + h_j."""
    low = np.inf
    for j in range(row.size):
        value = row[j] + h[j]
        low = value if value < low else low
    return low


@njit(**_options)
def _row_minima(C, g):
    """f_i = min_j C_ij - g_j (n,)."""
    f, h = np.empty(C.shape[0]), -g
    for i in range(C.shape[0]):
        f[i] = _lowest(C[i], h)
    return f


@njit(**_options)
def _column_minima(C, f):
    """g_j = min_i C_ij - f_i (m,), reading the rows in order."""
    g = np.full(C.shape[1], np.inf)
    for i in range(C.shape[0]):
        row, at = C[i], f[i]
        for j in range(g.size):
            value = row[j] - at
            g[j] = value if value < g[j] else g[j]
    return g


@njit(**_options)
def _plan(n, m, tree):
    """The arcs of the tree that carry flow: rows, cols, mass."""
    arc, flow = tree[5], tree[7]
    rows, cols, mass = np.empty(n + m, np.int64), np.empty(n + m, np.int64), np.empty(n + m)
    count = 0
    for v in range(n + m):
        e = arc[v] - (n + m)
        if e >= 0 and flow[v] > 0.0:
            rows[count], cols[count], mass[count] = e // m, e % m, flow[v]
            count += 1
    return rows[:count], cols[:count], mass[:count]
