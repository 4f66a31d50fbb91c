"""Many small entropic problems at once: each is solved whole in compiled code, its costs in cache, one after another.

Here are the drivers, which share the problems among the threads, and the sums over all pairs that need no solving. A
problem is solved in soft_batch_solve.py and proven in soft_batch_proof.py.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..costs import describe, unit_rows
from . import pool
from .decide import ABSOLUTES, SQUARES, cost
from .soft_batch_answers import LOG2_E, rows_answer
from .soft_batch_proof import FIGURES
from .soft_batch_solve import DOUBLE, SINGLE, solve_small, solve_symmetric


def sinkhorn_batch(x, y, a, b, *, metric, p, eps, rho_a, rho_b, tol, max_iter, symmetric):
    """Solve B problems: x (B, n, d), y (B, m, d), a (B, n), b (B, m) -> f (B, n), g (B, m), figures (B, 9).

    symmetric says that x = y, a = b and rho_a = rho_b: then f <- (f + T f) / 2, which needs no acceleration.
    """
    cost, precision = describe(metric, p), x.dtype
    if metric == "cosine":
        x, y = _unit_clouds(x), _unit_clouds(y)
    count, n, _ = x.shape
    m = y.shape[1]
    f, g, figures = np.zeros((count, n)), np.zeros((count, m)), np.zeros((count, len(FIGURES)))
    solve = solve_symmetric if symmetric else solve_small

    def work(k):
        whole, rows, columns = cost_tile(x[k], y[k], *cost), a[k] > 0.0, b[k] > 0.0
        full = rows.all() and columns.all()
        costs = whole if full else whole[np.ix_(rows, columns)]  # zero weights are skipped, not logged
        problem, options = (a[k][rows], b[k][columns]), (eps, rho_a, rho_b, 0.9 * tol)
        found = np.zeros(len(costs)), np.zeros(costs.shape[1]), figures[k]
        # float32 where its exponents can tell the error asked for; a tenth of the largest matters in the mean
        single = precision == np.float32 and 1.2e-7 * (16.0 + 0.1 * LOG2_E / eps * costs.max()) < tol
        if single:
            solve(costs, costs.astype(np.float32), *problem, *options, max_iter, SINGLE, False, *found)
        spent = int(figures[k, 7])
        # not only where float32 is too coarse: it may have stalled, or seen less error than there is
        if spent < max_iter and not (single and figures[k, 4] <= tol * figures[k, 8]):
            solve(costs, costs, *problem, *options, max_iter - spent, DOUBLE, single, *found)
            figures[k, 7] += spent
        f[k, rows], g[k, columns] = found[:2]
        if not full:
            _extend(f[k], whole, rows, columns, g[k], b[k], eps, rho_a)
            _extend(g[k], whole.T, columns, rows, f[k], a[k], eps, rho_b)

    pool.run(work, count, serial=count < 2)
    return f, g, figures


def _unit_clouds(x):
    return unit_rows(x.reshape(-1, x.shape[2])).reshape(x.shape)


def _extend(f, costs, rows, columns, g, b, eps, rho):
    """Give the rows without mass the soft c-transform of the columns that have it."""
    k, found = LOG2_E / eps, np.zeros(int((~rows).sum()))
    answered = np.ascontiguousarray(costs[~rows][:, columns])
    rows_answer(answered, k, k * g[columns] + np.log2(b[columns]), found, found)
    f[~rows] = found / k * (1.0 if np.isinf(rho) else rho / (rho + eps))


def sinkhorn_batch_gradient(x, y, a, b, f, g, *, metric, p, eps):
    """sum_j pi_ij grad c(x_i, y_j) in x_i, for every problem: (B, n, d)."""
    cost, norms = describe(metric, p), None
    if metric == "cosine":
        largest = np.abs(x).max(2, keepdims=True).astype(np.float64)
        norms = largest * np.sqrt(np.square(x / largest).sum(2, keepdims=True))
        x, y = _unit_clouds(x), _unit_clouds(y)
    out = np.zeros(x.shape)

    def work(k):
        gradient_small(x[k], y[k], a[k], b[k], f[k], g[k], eps, *cost, out[k])

    pool.run(work, len(x), serial=len(x) < 2)
    if norms is not None:  # through u = x / |x|
        out = (out - x * (x * out).sum(2, keepdims=True)) / norms
    return out


def plan_mass_batch(x, y, a, b, f, g, *, metric, p, eps):
    """sum_ij a_i b_j exp((f_i + g_j - c_ij) / eps) of every problem, for any potentials: (B,)."""
    cost = describe(metric, p)
    if metric == "cosine":
        x, y = _unit_clouds(x), _unit_clouds(y)
    out = np.zeros(len(x))

    def work(k):
        out[k] = plan_mass(x[k], y[k], a[k], b[k], f[k], g[k], eps, *cost)

    pool.run(work, len(x), serial=len(x) < 2)
    return out


@njit(nogil=True, cache=True, error_model="numpy")
def plan_mass(x, y, a, b, f, g, eps, form, shape, q, unit):
    """sum_ij a_i b_j exp((f_i + g_j - c_ij) / eps)."""
    total = 0.0
    for i in range(x.shape[0]):
        for j in range(y.shape[0]):
            if a[i] * b[j] == 0.0:  # its power may be infinite
                continue
            total += a[i] * b[j] * np.exp((f[i] + g[j] - cost(x, i, y, j, form, shape, q, unit)) / eps)
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def cost_tile(x, y, form, shape, q, unit):
    """c_ij of all pairs, float64."""
    out = np.empty((x.shape[0], y.shape[0]))
    for i in range(x.shape[0]):
        for j in range(y.shape[0]):
            out[i, j] = cost(x, i, y, j, form, shape, q, unit)
    return out


@njit(nogil=True, cache=True, error_model="numpy")
def gradient_small(x, y, a, b, f, g, eps, form, shape, q, unit, out):
    """sum_j pi_ij grad c(x_i, y_j) in x_i."""
    d = x.shape[1]
    plain = np.int64(0)
    for i in range(x.shape[0]):
        for j in range(y.shape[0]):
            if a[i] * b[j] == 0.0:
                continue
            c = cost(x, i, y, j, form, shape, q, unit)
            s = cost(x, i, y, j, form, plain, 1.0, unit)
            mass = a[i] * b[j] * np.exp((f[i] + g[j] - c) / eps)
            if s == 0.0 or mass == 0.0:
                continue
            slope = mass * q * c / s
            if form == SQUARES:
                for t in range(d):
                    out[i, t] += 2.0 * unit * slope * (np.float64(x[i, t]) - np.float64(y[j, t]))
                continue
            for t in range(d):
                u = np.float64(x[i, t]) - np.float64(y[j, t])
                if form == ABSOLUTES:
                    out[i, t] += slope * np.sign(u)
                elif abs(u) == s:
                    out[i, t] += slope * np.sign(u)
                    break
