"""Exact transport where only listed pairs may be used: the network simplex on a sparse cost matrix, no pricing."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import numpy as np

from otgen_kernels import host

from .solution import RAISE, Progress, Solution, lower_bound, prove, starting_price, weighted_median

Array = np.ndarray

ROUNDED_UNITS = 4  # of 2**-50 of the mass: what rounding may leave unshipped, a row or column


class InfeasibleError(ValueError):
    """The listed pairs cannot carry the masses; `source` is a row with mass that finds no way."""

    def __init__(self, source: int) -> None:
        super().__init__(
            f"C is infeasible: source {source} cannot ship all its mass to the targets its stored entries lead to. "
            "Store more entries, or change the weights."
        )
        self.source = source


def solve_sparse(
    C: Any, a: Array, b: Array, *, tol: float, max_iter: int | None = None, progress: Progress | None = None
) -> Solution:
    """Solve where the explicit entries of the CSR matrix C (n, m) are the only pairs; a, b positive, of equal mass.

    Raises InfeasibleError where they cannot carry the masses. There is one round, so max_iter never binds; an interrupt
    leaves the plan unproven, or goes on to the caller while there is no plan.
    """
    began = time.perf_counter()
    n, m = C.shape
    entries = C.tocoo()
    rows, cols = (index.astype(np.int32) for index in entries.coords)
    costs = entries.data
    f = _least(costs, rows, n)
    g = _least(costs - f[rows], cols, m)
    reduced = costs - f[rows] - g[cols]
    typical = float(np.quantile(np.abs(costs), 0.25))  # a mean would be that of a few huge entries
    simplex = host.NetworkSimplex(*host.whole_masses(a, b))
    simplex.add_arcs(rows, cols, np.zeros_like(costs))
    # first only find a plan: real arcs are free, artificial ones are not
    simplex.start(np.argsort(reduced), 1.0)
    simplex.optimise(0.0)
    left = simplex.leftovers()[0]
    # blocks of pairs that never meet are balanced up to the rounding of their masses only
    if left.sum() > ROUNDED_UNITS * (n + m):
        raise InfeasibleError(int(np.argmax(left)))
    why_not, price = "", starting_price(costs, reduced)
    try:
        simplex.set_costs(reduced, price)
        simplex.optimise(0.0)
        while simplex.leftovers()[0].sum() > left.sum() and RAISE * price < np.inf:
            price *= RAISE
            simplex.set_price(price)
            simplex.optimise(0.0)
        proven = g + simplex.duals()[1]
        proven -= weighted_median(proven, b)
        f, g = _least(costs - proven[cols], rows, n), proven  # both at once: an interrupt leaves a feasible pair
    except KeyboardInterrupt:
        if simplex.leftovers()[0].sum() > left.sum():
            raise
        why_not = "interrupted"
    simplex.rescale(a, b)
    plan = simplex.plan()
    value = float((np.asarray(C[plan[0], plan[1]]).ravel() * plan[2]).sum())
    found = prove(
        plan, (f, g), value, lower_bound(a, f, b, g), typical * float(a.sum()), tol=tol, n_iter=1, why_not=why_not
    )
    if progress is not None:
        report = {"level": 1, "levels": 1, "round": 1, "arcs": len(costs), "gap": found.gap, "scale": found.scale}
        # the proof is there: an interrupt from the report has nothing left to stop
        with contextlib.suppress(KeyboardInterrupt):
            progress(report | {"seconds": time.perf_counter() - began})
    return found


def _least(values: Array, at: Array, size: int) -> Array:
    """The least of the values at each position; 0 where there is none."""
    least = np.full(size, np.inf)
    np.minimum.at(least, at, values)
    return np.where(np.isinf(least), 0.0, least)
