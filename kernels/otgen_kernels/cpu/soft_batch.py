"""Many small entropic problems at once: each is solved whole in compiled code, its costs in cache, one after another.

The algorithm is that of otgen/transport/iteration.py and annealing.py without coarser levels: eps falls by four, sweeps
are mixed with secants orthonormal in sum_j b_j u_j v_j, and a step that lowers the semi-dual is taken back. Potentials,
sums and all that is reported are float64; the exponents of the sweeps have the precision of the points.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from . import pool
from .costs import describe, unit_rows
from .decide import ABSOLUTES, SQUARES, cost
from .exp2 import exp2

MEMORY = 5
RADIUS = 3.0
FACTOR = 4.0
STAGE_TOL, STAGE_SWEEPS = 1e-2, 60
LOG2_E = float(np.log2(np.e))
FAR = 1e30
TOP = 60.0  # bits: exp2 knows no infinity, and one such term is enough to know a guess as poor

FIGURES = ("value", "objective", "dual_value", "gap", "error", "lower", "upper", "sweeps", "mass")
"""What is told of every problem, in this order; the error is absolute, mass is what it is a share of."""

_options = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}


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
            solve(costs, costs.astype(np.float32), *problem, *options, max_iter, 1e-7, *found)
        spent = int(figures[k, 7])
        # not only where float32 is too coarse: it may have seen less error than there is
        if spent < max_iter and not (single and figures[k, 4] <= tol * figures[k, 8]):
            solve(costs, costs, *problem, *options, max_iter - spent, 1e-13, *found)
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


@njit(**_options)
def rows_answer(costs, k, columns, there, out):
    """out_i = there_i - log2 sum_j 2^(there_i + columns_j - k c_ij): the same for any guess `there`, all in bits."""
    n, m = costs.shape
    z = costs[0].copy()
    cast = costs[0, :1].copy()
    cast[0] = k
    k_cast = cast[0]
    cast[0] = TOP
    top = cast[0]
    for i in range(n):
        guess = there[i]
        for _ in range(2):
            cast[0] = 0.0
            total = cast[0]
            cast[0] = guess
            first = cast[0]
            for j in range(m):
                total += exp2(min(first + columns[j] - k_cast * costs[i, j], top))
            if 1e-6 <= total <= 1e12:
                break
            for j in range(m):
                z[j] = columns[j] - k_cast * costs[i, j]
            guess = -np.float64(z.max())
        out[i] = guess - np.log2(np.float64(total))


@njit(**_options)
def columns_answer(costs, k, rows, there, out):
    """The same for the columns: out_j = there_j - log2 sum_i 2^(there_j + rows_i - k c_ij)."""
    n, m = costs.shape
    sums, cast = costs[0].copy(), costs[0, :1].copy()
    cast[0] = k
    k_cast = cast[0]
    cast[0] = TOP
    top = cast[0]
    guess = costs[0].copy()
    for j in range(m):
        guess[j] = there[j]
    for _ in range(2):
        sums[:] = 0.0
        for i in range(n):
            cast[0] = rows[i]
            row = cast[0]
            for j in range(m):
                sums[j] += exp2(min(row + guess[j] - k_cast * costs[i, j], top))
        good = True
        for j in range(m):
            good = good and 1e-6 <= sums[j] <= 1e12
        if good:
            break
        guess[:] = FAR
        for i in range(n):
            cast[0] = rows[i]
            row = cast[0]
            for j in range(m):
                guess[j] = min(guess[j], k_cast * costs[i, j] - row)
    for j in range(m):
        out[j] = np.float64(guess[j]) - np.log2(np.float64(sums[j]))


@njit(nogil=True, cache=True, error_model="numpy")
def solve_small(costs, work, a, b, eps, rho_a, rho_b, tol, max_iter, noise, f, g, figures):
    """Solve one problem of positive weights: costs (n, m) float64, and the same in the precision of the sweeps."""
    n, m = costs.shape
    log_a, log_b = np.log2(a), np.log2(b)
    mass_a, mass_b = a.sum(), b.sum()
    typical = 0.0
    for i in range(n):
        typical += a[i] * (costs[i] * b).sum()
    typical /= mass_a * mass_b
    stages = 0
    if typical > eps:
        stages = int(np.ceil(np.log(typical / eps) / np.log(FACTOR)))
    f[:] = 0.0
    g[:] = 0.0
    there, back = np.zeros(n), np.zeros(m)
    columns, rows = work[0].copy(), work[:, 0].copy()
    points, changes = np.empty((MEMORY, m)), np.empty((MEMORY, m))
    last_point, last_residual, residual, step = np.empty(m), np.empty(m), np.empty(m), np.empty(m)
    plain = np.empty(m)
    done = 0
    for stage in range(stages + 1):
        now = eps * (typical / eps) ** (1.0 - stage / stages) if stage < stages else eps
        k = LOG2_E / now
        damp_a = 1.0 if np.isinf(rho_a) else rho_a / (rho_a + now)
        damp_b = 1.0 if np.isinf(rho_b) else rho_b / (rho_b + now)
        target, most = tol, max_iter - done
        if stage < stages:  # the last sweep is at the user's eps
            target, most = max(tol, STAGE_TOL), min(STAGE_SWEEPS, max_iter - done - 1)
        held, guarded, learned, value = 0, False, False, -np.inf
        for i in range(n):
            there[i] = f[i] * k / damp_a
        for j in range(m):
            back[j] = g[j] * k / damp_b
        for _ in range(most):
            done += 1
            for j in range(m):
                columns[j] = k * g[j] + log_b[j]
            rows_answer(work, k, columns, there, there)
            for i in range(n):
                f[i] = damp_a * there[i] / k
            dual, size = _semi_dual(a, b, f, g, now, rho_a, rho_b)
            if guarded and not dual >= value - noise * size:
                for j in range(m):
                    g[j] = plain[j]
                held, guarded, learned = 0, False, False
                continue
            value = dual
            for i in range(n):
                rows[i] = k * f[i] + log_a[i]
            columns_answer(work, k, rows, back, back)
            error, wanted = 0.0, 0.0
            for j in range(m):
                want = 1.0 if np.isinf(rho_b) else _decay(g[j], rho_b)
                error += b[j] * abs(2.0 ** min(k * g[j] - back[j], 60.0) - want)
                wanted += b[j] * want
            error /= wanted
            for j in range(m):
                plain[j] = damp_b * back[j] / k
            if not (np.isinf(rho_a) and np.isinf(rho_b)):
                shift = _common_shift(a, b, f, plain, rho_a, rho_b)
                for i in range(n):
                    f[i] += shift
                for j in range(m):
                    plain[j] -= shift
            if error <= target:
                break
            mean = 0.0
            for j in range(m):
                residual[j] = plain[j] - g[j]
                mean += b[j] * residual[j]
            if np.isinf(rho_a) and np.isinf(rho_b):
                for j in range(m):
                    residual[j] -= mean / mass_b
            if learned:
                held = _learn(points, changes, held, g, residual, last_point, last_residual, b)
            learned = True
            for j in range(m):
                last_point[j], last_residual[j], step[j] = g[j], residual[j], residual[j]
            for t in range(held):
                along = 0.0
                for j in range(m):
                    along += b[j] * changes[t, j] * residual[j]
                for j in range(m):
                    step[j] -= along * (points[t, j] + changes[t, j])
            longest = 0.0
            for j in range(m):
                longest = max(longest, abs(step[j]))
            ratio = min(1.0, RADIUS * now / longest) if held > 0 and longest > 0.0 else 1.0
            for j in range(m):
                g[j] += ratio * step[j]
            guarded = True
        if done > 0:
            for j in range(m):
                g[j] = plain[j]
    figures[7] = done
    _prove(costs, a, b, log_a, log_b, eps, rho_a, rho_b, f, g, figures)


@njit(nogil=True, cache=True, error_model="numpy")
def solve_symmetric(costs, work, a, b, eps, rho_a, rho_b, tol, max_iter, noise, f, g, figures):
    """The same for a problem of one cloud with itself."""
    n = costs.shape[0]
    k = LOG2_E / eps
    damp = 1.0 if np.isinf(rho_a) else rho_a / (rho_a + eps)
    log_a = np.log2(a)
    f[:] = 0.0
    columns, there = work[0].copy(), np.zeros(n)
    for sweep in range(max_iter):
        figures[7] = sweep + 1
        for i in range(n):
            columns[i] = k * f[i] + log_a[i]
        rows_answer(work, k, columns, there, there)
        error, wanted = 0.0, 0.0
        for i in range(n):
            want = 1.0 if np.isinf(rho_a) else _decay(f[i], rho_a)
            error += a[i] * abs(2.0 ** min(k * f[i] - there[i], 60.0) - want)
            wanted += a[i] * want
            f[i] = 0.5 * (f[i] + damp * there[i] / k)
        if error <= tol * wanted:
            break
    g[:] = f
    _prove(costs, a, b, log_a, log_a, eps, rho_a, rho_b, f, g, figures)


@njit(nogil=True, cache=True, error_model="numpy")
def _learn(points, changes, held, g, residual, last_point, last_residual, b):
    """Add a secant pair, its change made orthonormal to the others; the oldest goes where there is no room.

    Where the others explain it all and yet the iteration goes on, they are stale: it takes the place of all. Few points
    span no more than the memory holds, and would never learn again.
    """
    m = g.size
    x, v = g - last_point, residual - last_residual
    size = np.sqrt((b * v * v).sum())
    for t in range(held):
        along = (b * changes[t] * v).sum()
        for j in range(m):
            x[j] -= along * points[t, j]
            v[j] -= along * changes[t, j]
    norm = np.sqrt((b * v * v).sum())
    if not norm > 1e-3 * size:
        x, v = g - last_point, residual - last_residual
        norm, held = size, 0
    if not norm > 0.0:
        return held
    if held == points.shape[0]:
        for t in range(held - 1):
            points[t] = points[t + 1]
            changes[t] = changes[t + 1]
        held -= 1
    points[held] = x / norm
    changes[held] = v / norm
    return held + 1


@njit(nogil=True, cache=True, error_model="numpy")
def _decay(potential, rho):
    return np.exp(min(max(-potential / rho, -50.0), 50.0))


@njit(nogil=True, cache=True, error_model="numpy")
def _semi_dual(a, b, f, g, eps, rho_a, rho_b):
    """The dual value where f answers g, up to a constant, and the size of what is summed."""
    value, size, rows = 0.0, 0.0, 0.0
    for i in range(f.size):
        term = a[i] * (f[i] if np.isinf(rho_a) else -rho_a * np.expm1(min(max(-f[i] / rho_a, -50.0), 50.0)))
        rows += a[i] * (1.0 if np.isinf(rho_a) else _decay(f[i], rho_a))
        value += term
        size += abs(term)
    for j in range(g.size):
        term = b[j] * (g[j] if np.isinf(rho_b) else -rho_b * np.expm1(min(max(-g[j] / rho_b, -50.0), 50.0)))
        value += term
        size += abs(term)
    return value - eps * rows, size


@njit(nogil=True, cache=True, error_model="numpy")
def _common_shift(a, b, f, g, rho_a, rho_b):
    """t for which (f + t, g - t) has the largest dual value."""
    return (_log_mass(a, f, rho_a) - _log_mass(b, g, rho_b)) / (1.0 / rho_a + 1.0 / rho_b)


@njit(nogil=True, cache=True, error_model="numpy")
def _log_mass(a, f, rho):
    """log sum_i a_i exp(-f_i / rho), with all its digits where rho is large."""
    if np.isinf(rho):
        return np.log(a.sum())
    low, total = f.min(), 0.0
    if max(-low, f.max()) < rho:
        for i in range(f.size):
            total += a[i] * np.expm1(-f[i] / rho)
        return np.log(a.sum()) + np.log1p(total / a.sum())
    for i in range(f.size):
        total += a[i] * np.exp(-(f[i] - low) / rho)
    return np.log(total) - low / rho


@njit(nogil=True, cache=True, error_model="numpy")
def _prove(costs, a, b, log_a, log_b, eps, rho_a, rho_b, f, g, figures):
    """Make exact what is held exactly, once more in float64, and write value, bounds and errors."""
    n, m = costs.shape
    k = LOG2_E / eps
    balanced = np.isinf(rho_a) and np.isinf(rho_b)
    there, back = f * k, g * k
    if np.isinf(rho_b) and not balanced:
        columns_answer(costs, k, there + log_a, back, back)
        g[:] = back / k
    if np.isinf(rho_a):
        rows_answer(costs, k, g * k + log_b, there, there)
        f[:] = there / k
    held = np.zeros(m)
    rows, value, entropy, moved = np.zeros(n), 0.0, 0.0, 0.0
    for i in range(n):
        for j in range(m):
            exponent = (f[i] + g[j] - costs[i, j]) / eps
            mass = a[i] * b[j] * np.exp(exponent)
            rows[i] += mass
            held[j] += mass
            value += mass * costs[i, j]
            entropy += mass * exponent
        moved += rows[i]
    mass_a, mass_b = a.sum(), b.sum()
    entropy += mass_a * mass_b - moved
    primal, dual, error, scale = value + eps * entropy, -eps * (moved - mass_a * mass_b), 0.0, 0.0
    for i in range(n):
        want = a[i] * (1.0 if np.isinf(rho_a) else np.exp(-f[i] / rho_a))
        dual += a[i] * (f[i] if np.isinf(rho_a) else -rho_a * np.expm1(-f[i] / rho_a))
        error += abs(rows[i] - want)
        scale += 0.5 * want
        if not np.isinf(rho_a):
            primal += rho_a * ((rows[i] * np.log(rows[i] / a[i]) if rows[i] > 0.0 else 0.0) - rows[i] + a[i])
    for j in range(m):
        want = b[j] * (1.0 if np.isinf(rho_b) else np.exp(-g[j] / rho_b))
        dual += b[j] * (g[j] if np.isinf(rho_b) else -rho_b * np.expm1(-g[j] / rho_b))
        error += abs(held[j] - want)
        scale += 0.5 * want
        if not np.isinf(rho_b):
            primal += rho_b * ((held[j] * np.log(held[j] / b[j]) if held[j] > 0.0 else 0.0) - held[j] + b[j])
    figures[0], figures[1], figures[2], figures[4], figures[8] = value, primal, dual, error, scale
    figures[3], figures[5], figures[6] = max(primal - dual, 0.0), np.nan, np.nan
    if balanced:
        _round(costs, a, b, f, g, eps, held, dual, figures)
        # (f + t, g - t) prove the same: both sides get half of the dual value.
        shift = 0.5 * ((b * g).sum() - (a * f).sum()) / mass_a
        f += shift
        g -= shift


@njit(nogil=True, cache=True, error_model="numpy")
def _round(costs, a, b, f, g, eps, held, dual, figures):
    """The plan scaled down to the marginals and completed in the order of the points: gap and both bounds."""
    n, m = costs.shape
    scale = np.ones(m)
    for j in range(m):
        if held[j] > b[j]:
            scale[j] = b[j] / held[j]
    lack = np.empty(m)
    for j in range(m):
        lack[j] = max(b[j] - held[j], 0.0)
    lacking = lack.sum()
    upper, objective, lower, moved = 0.0, 0.0, 0.0, 0.0
    total_lack = 0.0
    rows = np.zeros(n)
    for i in range(n):
        for j in range(m):
            rows[i] += scale[j] * b[j] * np.exp((f[i] + g[j] - costs[i, j]) / eps)
        total_lack += a[i] * max(1.0 - rows[i], 0.0)
    at = 0
    for i in range(n):
        part = min(1.0, 1.0 / rows[i]) if rows[i] > 0.0 else 0.0
        left = a[i] * max(1.0 - rows[i], 0.0)
        if total_lack > 0.0:
            left *= lacking / total_lack
        least = np.inf
        start = at
        for j in range(m):
            c = costs[i, j]
            least = min(least, c - g[j])
            mass = part * scale[j] * a[i] * b[j] * np.exp((f[i] + g[j] - c) / eps)
            if j >= start and left > 0.0 and lack[j] > 0.0:
                more = min(left, lack[j])
                left -= more
                lack[j] -= more
                mass += more
                if lack[j] <= 0.0:
                    at = j + 1
            if mass > 0.0:
                upper += mass * c
                objective += mass * np.log(mass / (a[i] * b[j]))
                moved += mass
        lower += a[i] * least
    for j in range(m):
        lower += b[j] * g[j]
    objective = upper + eps * (objective - moved + a.sum() * b.sum())
    slack = 1e-15 * (np.abs(b * g).sum() + abs(lower)) * (4.0 + np.log2(n + m))
    figures[3] = max(objective - dual, 0.0)
    figures[5], figures[6] = min(lower - slack, upper), upper
