"""Exact transport where only listed pairs may be used: the network simplex on a sparse cost matrix, no pricing."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from otgen_kernels import host

from .column_generation import PIVOT_TOL, SLICE
from .solution import MEAN_SHARE, Progress, Solution, verdict

Array = np.ndarray


class InfeasibleError(ValueError):
    """The listed pairs cannot carry the masses; `source` is a row with mass that finds no way."""

    def __init__(self, source: int) -> None:
        super().__init__(
            f"C is infeasible: source {source} cannot ship all its mass, the targets of its stored entries are full. "
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
    typical = float(np.abs(costs).mean())
    simplex = host.NetworkSimplex(*host.whole_masses(a, b))
    simplex.add_arcs(rows, cols, np.zeros_like(costs))
    # first only find a plan: real arcs are free, artificial ones are not
    simplex.start(np.argsort(reduced, kind="stable"), 1.0)
    _pivot(simplex, 0.5)
    if simplex.leftovers()[0].any():
        raise InfeasibleError(int(np.argmax(simplex.leftovers()[0])))
    message = ""
    try:
        simplex.set_costs(reduced, price := 2.0 * float(reduced.max()) or typical or 1.0)
        _pivot(simplex, PIVOT_TOL * typical)
        while simplex.leftovers()[0].any():
            simplex.set_price(price := 8.0 * price)
            _pivot(simplex, PIVOT_TOL * typical)
        g = g + simplex.duals()[1]
        f = _least(costs - g[cols], rows, n)
    except KeyboardInterrupt:
        if simplex.leftovers()[0].any():
            raise
        message = "interrupted"
    simplex.rescale(a, b)
    rows, cols, mass = simplex.plan()
    paid = np.asarray(C[rows, cols]).ravel()
    value, lower = float(paid @ mass), float(a @ f + b @ g)
    scale = max(abs(value), MEAN_SHARE * typical * float(a.sum()))
    gap = max(value - lower, 0.0)
    converged = gap <= tol * scale
    if progress is not None:
        seconds = time.perf_counter() - began
        progress(
            {"level": 1, "levels": 1, "round": 1, "arcs": len(costs), "gap": gap, "scale": scale, "seconds": seconds}
        )
    return Solution(rows, cols, mass, f, g, value, lower, gap, scale, 1, converged, verdict(converged, message))


def _least(values: Array, at: Array, size: int) -> Array:
    """The least of the values at each position; 0 where there is none."""
    least = np.full(size, np.inf)
    np.minimum.at(least, at, values)
    return np.where(np.isinf(least), 0.0, least)


def _pivot(simplex: host.NetworkSimplex, tol: float) -> None:
    while not simplex.pivot(tol, SLICE)[1]:
        pass
    simplex.refresh()
