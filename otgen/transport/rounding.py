"""The proof of an entropic solution: its errors, the nearest feasible plan, and bounds, all of it in float64.

The plan of potentials (f, g) misses a marginal by a little. Its rows and columns are scaled down to the marginals, and
the mass left over is shipped between what is left of both, neighbour to neighbour (Altschuler, Weed and Rigollet,
arXiv 1705.09634, algorithm 2, ship it as a product, which costs more). That plan is feasible: its cost is an upper
bound of OT, and its regularised objective lies above the regularised optimum, as the dual value lies below it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from otgen_kernels import host

from .. import devices
from .regularisation import Regularisation, asked

Array = np.ndarray

BITS = 44.0
"""Pairs that a proof skips make up less than 2^-44, 6e-14, of any of its sums."""

MOST = 1e10
"""A row's sum, as a share of what it should be, above which its potential cannot have been meant."""

AGREE = 0.01
"""Share by which an unbalanced plan's mass may miss what its potentials ask for before they are shifted to agree."""


class ProvableCosts(Protocol):
    """What a proof asks of the costs of a problem between points that carry mass."""

    soft: Any

    def at(self, rows: Array, cols: Array) -> Array:
        """c_ij of the listed arcs."""
        ...

    def hard(self, g: Array) -> Array:
        """min_j c_ij - g_j of every i, in float64."""
        ...

    def neighbours(self, rows: Array, cols: Array) -> tuple[Array, Array]:
        """The given rows and the given columns, each in an order in which those alike in place are near in space."""
        ...


@dataclass(frozen=True)
class Proof:
    """Potentials on the points that carry mass and what was found of them."""

    f: Array
    g: Array
    value: float
    objective: float
    dual_value: float
    gap: float
    marginal_error: float
    lower_bound: float | None = None
    upper_bound: float | None = None


def prove_balanced(costs: ProvableCosts, a: Array, b: Array, f: Array, g: Array, eps: float) -> Proof:
    """Make the rows exact once more, in float64, round the plan, and bound OT and the regularised optimum."""
    soft, mass = costs.soft, float(a.sum())
    log_a, log_b = eps * np.log(a), eps * np.log(b)
    f, sums, logs = _row_sums(soft, f, g + log_b, eps, math.inf)
    f = f - eps * np.log(sums)
    logs = logs / sums - np.log(sums)  # sum_j p log p of the rows made exact
    columns = b * np.exp((g - soft.transform(1, f + log_a, eps, g, bits=BITS)) / eps)
    value = float(a @ f + columns @ (g + log_b) - eps * (a @ logs))
    moved = float(columns.sum()) - mass**2
    dual = float(a @ f + b @ g) - eps * moved
    objective = float(a @ f + columns @ g) - eps * moved
    error = float(np.abs(columns - b).sum())

    upper, regularised = _rounded(costs, a, b, f, g, columns, eps)
    lower = float(a @ costs.hard(g) + b @ g)
    lower -= 8.0 * np.finfo(np.float64).eps * math.log2(len(a) + len(b) + 2) * float(np.abs(b) @ np.abs(g))
    lower = min(lower, upper)
    return Proof(f, g, value, objective, dual, max(regularised - dual, 0.0), error, lower, upper)


def _row_sums(soft: Any, f: Array, h: Array, eps: float, rho: float) -> tuple[Array, Array, Array]:
    """f, sum_j p_ij and sum_j p_ij log p_ij; f is first made to answer h where these are out of all measure."""
    with np.errstate(over="ignore", invalid="ignore"):
        sums, logs = soft.entropy(0, f, h, eps, bits=BITS)
    if not (np.isfinite(logs) & (sums > np.finfo(np.float64).tiny) & (sums < MOST)).all():
        f = soft.transform(0, h, eps, f)
        f = f if math.isinf(rho) else f * (rho / (rho + eps))
        sums, logs = soft.entropy(0, f, h, eps, bits=BITS)
    return f, sums, logs


def _rounded(
    costs: ProvableCosts, a: Array, b: Array, f: Array, g: Array, columns: Array, eps: float
) -> tuple[float, float]:
    """The cost, with a bound of its rounding, and the regularised objective of the plan rounded to a and b."""
    # Columns first: what was too much is scaled off, and then no row has more than its mass, but for rounding.
    h = g + eps * np.log(np.where(columns > b, b / np.where(columns > b, columns, 1.0), 1.0))
    log_b = np.log(b)
    rows, logs = costs.soft.entropy(0, f, h + eps * log_b, eps, bits=BITS)
    scale = np.minimum(1.0, 1.0 / np.maximum(rows, np.finfo(np.float64).tiny))
    logs, rows = scale * (logs + rows * np.log(scale)), rows * scale
    kept = np.minimum(columns, b)
    terms = a * rows * (f + eps * np.log(scale)), kept * (h + eps * log_b), eps * a * logs
    value = float(terms[0].sum() + terms[1].sum() - terms[2].sum())
    rounding = (costs.soft.rounding(eps, False) + 2.0**-BITS) * sum(float(np.abs(term).sum()) for term in terms)
    entropy = float(a @ logs - kept @ log_b)  # sum pi log(pi / (a b))
    lack_a, lack_b = np.maximum(a * (1.0 - rows), 0.0), np.maximum(b - kept, 0.0)
    rows_left, cols_left = np.flatnonzero(lack_a > 0.0), np.flatnonzero(lack_b > 0.0)
    mass = float(a.sum())
    shipped = 0.0
    if len(rows_left) and len(cols_left):
        rows_left, cols_left = costs.neighbours(rows_left, cols_left)
        lack_a, lack_b = lack_a[rows_left], lack_b[cols_left]
        lack_b = lack_b * (lack_a.sum() / lack_b.sum())
        # A list walked from end to end: on the host, whoever has the pairs.
        arcs = host.ship_leftovers(devices.fetch(lack_a.copy()), devices.fetch(lack_b))
        i, j, more = (devices.beside(a, part) for part in arcs)
        i, j = rows_left[i], cols_left[j]
        cost = costs.at(i, j)
        value += float(more @ cost)
        there = a[i] * b[j] * np.exp((f[i] + eps * np.log(scale[i]) + h[j] - cost) / eps)
        weight = np.log(a[i]) + log_b[j]
        entropy += float(_x_log(there + more, weight).sum() - _x_log(there, weight).sum())
        shipped = float(more.sum())
    moved = float(kept.sum()) + shipped
    return value + rounding, value + eps * (entropy - moved + mass**2)


def _x_log(x: Array, log_of: Array) -> Array:
    """x log(x / exp(log_of)), 0 at 0."""
    return x * (np.log(np.where(x > 0.0, x, 1.0)) - log_of)


def prove_unbalanced(costs: ProvableCosts, a: Array, b: Array, f: Array, g: Array, by: Regularisation) -> Proof:
    """Value, primal objective and dual value where at least one marginal is only asked for by a penalty."""
    soft, eps = costs.soft, by.eps
    log_a, log_b = eps * np.log(a), eps * np.log(b)
    if math.isinf(by.rho_b):
        g = soft.transform(1, f + log_a, eps, g, bits=BITS)
    before, (f, sums, logs) = f, _row_sums(soft, f, g + log_b, eps, by.rho_a)
    if math.isinf(by.rho_b) and f is not before:  # the columns are held: no row can have more than all of their mass
        g = soft.transform(1, f + log_a, eps, g, bits=BITS)
        sums, logs = soft.entropy(0, f, g + log_b, eps, bits=BITS)
    if math.isinf(by.rho_a):
        f = f - eps * np.log(sums)
        sums, logs = np.ones_like(sums), logs / sums - np.log(sums)
    rows = a * sums
    columns = b * np.exp((g - soft.transform(1, f + log_a, eps, g, bits=BITS)) / eps)
    shift_f, shift_g = _best_shifts(float(rows.sum()), a, b, f, g, by)
    if shift_f != 0.0 or shift_g != 0.0:
        grown = (shift_f + shift_g) / eps
        factor = math.exp(grown)
        f, g, rows, columns = f + shift_f, g + shift_g, factor * rows, factor * columns
        logs = factor * (logs + grown * sums)
    moved, product = float(rows.sum()), float(a.sum()) * float(b.sum())
    value = float(rows @ f + columns @ (g + log_b) - eps * (a @ logs))
    entropy = float(a @ logs - columns @ np.log(b)) - moved + product
    primal, dual, error = value + eps * entropy, -eps * (moved - product), 0.0
    for weights, marginal, potential, rho in ((a, rows, f, by.rho_a), (b, columns, g, by.rho_b)):
        if math.isinf(rho):
            dual += float(weights @ potential)
            error += float(np.abs(marginal - weights).sum())
            continue
        wanted = weights * asked(potential, rho)
        primal += rho * float(_x_log(marginal, np.log(weights)).sum() - marginal.sum() + weights.sum())
        dual += rho * float((weights - wanted).sum())
        error += float(np.abs(marginal - wanted).sum())
    return Proof(f, g, value, primal, dual, max(primal - dual, 0.0), error)


def _best_shifts(mass: float, a: Array, b: Array, f: Array, g: Array, by: Regularisation) -> tuple[float, float]:
    """(t, t') for which (f + t, g + t'), of a plan of this mass, has the largest dual value; 0, 0 where masses agree.

    An unfinished run at a small eps may leave a plan of any mass. At the best shifts the plan and both sides' requests
    A = <a, exp(-f / rho_a)> and B have one mass S, with log S = (eps log mass + rho_a log A + rho_b log B) / (eps +
    rho_a + rho_b), the mass of a held side where there is one; t = rho_a log(A / S), t + t' = eps log(S / mass).
    """
    if not mass > 0.0:
        return 0.0, 0.0
    rho = by.rho_a, by.rho_b
    logs = [math.log(mass)]
    for weights, potential, each in ((a, f, rho[0]), (b, g, rho[1])):
        exponents = np.zeros_like(potential) if math.isinf(each) else -potential / each
        most = float(exponents.max())
        logs.append(most + math.log(float(weights @ np.exp(exponents - most))))
    held = [log for log, each in zip(logs[1:], rho) if math.isinf(each)]
    soft = by.eps, *rho
    agreed = held[0] if held else sum(share * log for share, log in zip(soft, logs)) / sum(soft)
    if max(abs(log - agreed) for log in logs) <= AGREE or abs(agreed - logs[0]) > 700.0:  # exp would leave float64
        return 0.0, 0.0
    both = by.eps * (agreed - logs[0])
    if math.isinf(rho[0]):
        other = rho[1] * (logs[2] - agreed)
        return both - other, other
    one = rho[0] * (logs[1] - agreed)
    return one, both - one
