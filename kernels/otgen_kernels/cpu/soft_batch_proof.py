"""What is told of a small problem's potentials: value, bounds and errors, in float64, from one tile of its costs.

The figures and the rounded plan are those of otgen/transport/rounding.py, where the reasons are; the mass left over is
shipped in the order of the points.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .soft_batch_answers import LOG2_E, columns_answer, rows_answer

AGREE = 0.01
"""Share by which an unbalanced plan's mass may miss what its potentials ask for before they are shifted to agree."""

FIGURES = ("value", "objective", "dual_value", "gap", "error", "lower", "upper", "sweeps", "mass")
"""What is told of every problem, in this order; the error is absolute, mass is what it is a share of."""


@njit(nogil=True, cache=True, error_model="numpy")
def prove(costs, a, b, log_a, log_b, eps, rho_a, rho_b, f, g, figures):
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
    if not balanced:
        shift_f, shift_g = _best_shifts(moved, a, b, f, g, eps, rho_a, rho_b)
        if shift_f != 0.0 or shift_g != 0.0:
            grown = (shift_f + shift_g) / eps
            factor = np.exp(grown)
            f += shift_f
            g += shift_g
            rows *= factor
            held *= factor
            entropy = factor * (entropy + grown * moved)
            value, moved = factor * value, factor * moved
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
def _best_shifts(mass, a, b, f, g, eps, rho_a, rho_b):
    """(t, t') for which (f + t, g + t') has the largest dual value; 0, 0 where masses agree. As in rounding.py."""
    if not mass > 0.0:
        return 0.0, 0.0
    log_mass, log_a, log_b = np.log(mass), _log_asked(a, f, rho_a), _log_asked(b, g, rho_b)
    if np.isinf(rho_a):
        agreed = log_a
    elif np.isinf(rho_b):
        agreed = log_b
    else:
        agreed = (eps * log_mass + rho_a * log_a + rho_b * log_b) / (eps + rho_a + rho_b)
    if max(abs(log_mass - agreed), abs(log_a - agreed), abs(log_b - agreed)) <= AGREE:
        return 0.0, 0.0
    both = eps * (agreed - log_mass)
    if np.isinf(rho_a):
        other = rho_b * (log_b - agreed)
        return both - other, other
    one = rho_a * (log_a - agreed)
    return one, both - one


@njit(nogil=True, cache=True, error_model="numpy")
def _log_asked(weights, potential, rho):
    """log sum_i w_i exp(-f_i / rho)."""
    if np.isinf(rho):
        return np.log(weights.sum())
    low = potential.min()
    return np.log((weights * np.exp((low - potential) / rho)).sum()) - low / rho


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
