"""One small problem solved whole in compiled code: annealed, accelerated, guarded, and proven at the end.

The algorithm is that of otgen/transport/iteration.py and annealing.py without coarser levels: eps falls by four, sweeps
are mixed with secants orthonormal in sum_j b_j u_j v_j, and a step that lowers the semi-dual is taken back. Potentials,
sums and all that is reported are float64; the exponents of the sweeps have the precision of `work`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .soft_batch_answers import LOG2_E, columns_answer, rows_answer
from .soft_batch_proof import prove

MEMORY = 5
RADIUS = 3.0
FACTOR = 4.0
STAGE_TOL, STAGE_SWEEPS = 1e-2, 60
SINGLE, DOUBLE = (1.2e-7, 1e-7, 50, np.inf), (2.2e-16, 1e-13, 300, 0.1)
"""Of a precision: its unit roundoff, the share that the sums of a semi-dual may be off by, and when it is at its end.

That is where the error is within the rounding of the exponents, has not fallen by a tenth for so many sweeps, and the
potentials got no farther in them than this share of their way: they go round in noise. An error that stays while the
potentials move will fall yet, as at a small eps (measured: 25 sweeps alone gave up 1 problem in 6 that converged).
float32 need not go round: noise makes its way slow, and float64 goes on from there.
"""


@njit(nogil=True, cache=True, error_model="numpy")
def solve_small(costs, work, a, b, eps, rho_a, rho_b, tol, max_iter, precision, resumed, f, g, figures):
    """Solve one problem of positive weights: costs (n, m) float64, and the same in the precision of the sweeps.

    precision is SINGLE or DOUBLE; a resumed one starts at g, at the user's eps.
    """
    n, m = costs.shape
    unit, noise, patience, share = precision
    log_a, log_b = np.log2(a), np.log2(b)
    mass_a, mass_b = a.sum(), b.sum()
    typical = 0.0
    for i in range(n):
        typical += a[i] * (costs[i] * b).sum()
    typical /= mass_a * mass_b
    stages = 0
    if typical > eps and not resumed:
        stages = int(np.ceil(np.log(typical / eps) / np.log(FACTOR)))
    if not resumed:
        f[:] = 0.0
        g[:] = 0.0
    there, back = np.zeros(n), np.zeros(m)
    columns, rows = work[0].copy(), work[:, 0].copy()
    points, changes = np.empty((MEMORY, m)), np.empty((MEMORY, m))
    last_point, last_residual, residual, step = np.empty(m), np.empty(m), np.empty(m), np.empty(m)
    plain, mark, largest = np.empty(m), np.empty(m), costs.max()
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
        best, since, way = np.inf, 0, 0.0
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
            error = _error(b, g, back, k, rho_b)
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
            if error < 0.9 * best or since == patience:
                best, since, way = min(error, best), 0, 0.0
                mark[:] = g
            since += 1
            way += _norm(b, residual)
            if since == patience and error < unit * (16.0 + k * largest) and _moved(b, g, mark) <= share * way:
                break
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
    prove(costs, a, b, log_a, log_b, eps, rho_a, rho_b, f, g, figures)


@njit(nogil=True, cache=True, error_model="numpy")
def solve_symmetric(costs, work, a, b, eps, rho_a, rho_b, tol, max_iter, precision, resumed, f, g, figures):
    """The same for a problem of one cloud with itself."""
    n = costs.shape[0]
    unit, _, patience, share = precision
    k = LOG2_E / eps
    damp = 1.0 if np.isinf(rho_a) else rho_a / (rho_a + eps)
    log_a = np.log2(a)
    if not resumed:
        f[:] = 0.0
    columns, there = work[0].copy(), f * k / damp
    mark, step, largest = np.empty(n), np.empty(n), costs.max()
    best, since, way = np.inf, 0, 0.0
    for sweep in range(max_iter):
        figures[7] = sweep + 1
        for i in range(n):
            columns[i] = k * f[i] + log_a[i]
        rows_answer(work, k, columns, there, there)
        error = _error(a, f, there, k, rho_a)
        for i in range(n):
            step[i] = 0.5 * (damp * there[i] / k - f[i])
        if error < 0.9 * best or since == patience:
            best, since, way = min(error, best), 0, 0.0
            mark[:] = f
        since += 1
        way += _norm(a, step)
        lost = since == patience and error < unit * (16.0 + k * largest) and _moved(a, f, mark) <= share * way
        f += step
        if error <= tol or lost:
            break
    g[:] = f
    prove(costs, a, b, log_a, log_a, eps, rho_a, rho_b, f, g, figures)


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
def _norm(weights, v):
    return np.sqrt((weights * v * v).sum())


@njit(nogil=True, cache=True, error_model="numpy")
def _moved(weights, now, before):
    """How far potentials are from where they were, a common shift aside."""
    v = now - before
    return _norm(weights, v - (weights * v).sum() / weights.sum())


@njit(nogil=True, cache=True, error_model="numpy")
def _error(weights, potential, back, k, rho):
    """sum |marginal - what it should be|, a share of what that is in all; back, in bits, answers the other side."""
    error, wanted = 0.0, 0.0
    for i in range(weights.size):
        want = 1.0 if np.isinf(rho) else _decay(potential[i], rho)
        error += weights[i] * abs(2.0 ** min(k * potential[i] - back[i], 60.0) - want)
        wanted += weights[i] * want
    return error / wanted


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
