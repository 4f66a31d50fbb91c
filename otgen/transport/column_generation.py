"""Exact transport by column generation: a network simplex on few arcs, all other arcs priced through the pair engine.

    min sum_ij pi_ij c_ij,  pi 1 = a,  pi^T 1 = b,  pi >= 0        max <a, f> + <b, g>,  f_i + g_j <= c_ij

Each round solves the problem on the current arcs, then asks every row and column for its arcs of smallest reduced cost
c_ij - f_i - g_j; those below zero join. The row answers make f the c-transform of g, hence feasible over all pairs, so
every round ends with a proof: value - (<a, f> + <b, g>). Costs inside the simplex are reduced by the starting duals, so
the numbers it compares are small and its artificial arcs need only a small price.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import replace

import numpy as np

import otgen_kernels as kernels
from otgen_kernels import host

from ..options import check_size
from . import small
from .device_pricing import DevicePointCosts
from .multiscale import ALL_ARCS, Level, matrix_levels, point_levels
from .pricing import MatrixCosts, PointCosts
from .solution import MEAN_SHARE, RAISE, Progress, Solution, lower_bound, prove, starting_price, weighted_median

Array = np.ndarray

START_ARCS = 10  # candidates of every row and column that open a level; doubled where the level above lacked many
ROUND_ARCS = 5  # violated arcs of a row or column that may join in one round
COLUMN_SHARE = 0.05  # violated arcs per row below which the rows' own suffice and a pass over the columns is saved
COARSE_ROUNDS = 4  # a coarse level only has to give good duals
COARSE_GAP = 1e-7  # relative to its scale; stopping at 1e-4 cost the next level twice the pivots in W1
FIRST_TOL = 0.5  # of the median candidate; as arcs are still missing, the first round need not tell the best ones apart
NEXT_TOL = 0.1  # of the gap the last round left: pivoting further than the missing arcs allow is wasted
NOISE = 2.0**-46  # relative to the potentials: a reduced cost below it is rounding, and no reason to add an arc
EXACT = 1e-13  # of the typical cost: a tolerance of the pivots that would fall below it becomes 0
SETTLED = 20  # rounds after which new arcs are compared with those that are there


def solve_points(
    x: Array,
    y: Array,
    a: Array,
    b: Array,
    *,
    metric: str,
    p: float,
    tol: float,
    max_iter: int | None,
    progress: Progress | None = None,
    on_gpu: bool = False,
) -> Solution:
    """Solve between points x (n, d), y (m, d) with positive weights a, b of equal mass for the cost metric**p.

    The arrays are on the host; with on_gpu the pairs are priced on the current device.
    """
    unit = 1.0
    if metric == "cosine":
        # 1 - cos is half the squared chord between unit vectors, and means of those still make a coarser problem
        x, y = kernels.unit_rows(x), kernels.unit_rows(y)
        metric, p, unit = "euclidean", 2 * p, 0.5**p
    x_order, y_order = host.tree_order(x), host.tree_order(y)
    x, y, a, b = x[x_order], y[y_order], a[x_order], b[y_order]
    found = None
    if max(len(x), len(y)) <= small.MOST_POINTS:
        found = small.solve_small(x, y, a, b, metric=metric, p=p, tol=tol, progress=progress)
    if found is None or not found.converged:
        costs = (DevicePointCosts if on_gpu else PointCosts)(x, y, metric, p)
        found = _descend(point_levels(costs, *host.whole_masses(a, b)), a, b, tol, max_iter, progress)
    f, g = np.empty_like(found.f), np.empty_like(found.g)
    f[x_order], g[y_order] = unit * found.f, unit * found.g
    return replace(
        found,
        rows=x_order[found.rows],
        cols=y_order[found.cols],
        f=f,
        g=g,
        value=unit * found.value,
        lower_bound=unit * found.lower_bound,
        gap=unit * found.gap,
        scale=unit * found.scale,
    )


def solve_dense(
    C: Array, a: Array, b: Array, *, tol: float, max_iter: int | None, progress: Progress | None = None
) -> Solution:
    """Solve for a float64 cost matrix C (n, m) and positive weights a, b of equal mass."""
    return _descend(matrix_levels(MatrixCosts(C), *host.whole_masses(a, b)), a, b, tol, max_iter, progress)


class _Restricted:
    """The problem of one level on the arcs found so far, and the best feasible duals of the whole level."""

    def __init__(self, level: Level, above: _Restricted | None) -> None:
        costs = level.costs
        n, m = costs.shape
        self.level, self.costs = level, costs
        self.units = level.a.sum()
        self.typical = costs.typical_cost(level.a / self.units, level.b / self.units)
        g = np.zeros(m) if above is None else costs.implied(above.costs, above.f)
        # flat duals, as those of W1 along its rays, leave many arcs of nearly no reduced cost to choose from
        k = START_ARCS if above is None or above.missing <= sum(above.costs.shape) else 2 * START_ARCS
        values, by_row = costs.rows_smallest(g, min(k, m))
        self.f0 = values[:, 0].copy()
        values, by_col = costs.columns_smallest(self.f0, min(k, n))
        self.g0 = values[:, 0].copy()
        self.f, self.g, self.lower = self.f0, self.g0, self._dual_value(self.f0, self.g0)
        self.simplex = host.NetworkSimplex(level.a, level.b)
        if n * m <= ALL_ARCS:
            rows, cols = np.divmod(np.arange(n * m, dtype=np.int32), np.int32(m))
        else:
            rows, cols = host.merge_arcs(n, m, by_row, by_col, *self._refined(above))
        cost = costs.at(rows, cols)
        reduced = self._add(rows, cols, cost)
        self.price = starting_price(cost, reduced)
        self.simplex.start(np.argsort(reduced), self.price)
        self.tol = FIRST_TOL * float(np.median(reduced))
        self.missing = 0  # arcs that pricing has added

    def _refined(self, above: _Restricted | None) -> tuple[Array, Array]:
        """Arcs between the children of the arcs that carry mass one level above: they make a feasible plan certain."""
        if above is None or above.level.row_starts is None:
            return np.empty(0, np.int32), np.empty(0, np.int32)
        rows, cols, _ = above.simplex.plan()
        return host.refine_arcs(rows, cols, above.level.row_starts, above.level.col_starts)

    def _add(self, rows: Array, cols: Array, cost: Array) -> Array:
        check_size(*self.costs.shape, self.simplex.n_arcs - self.simplex.n_nodes + 1 + len(rows))
        reduced = cost - self.f0[rows] - self.g0[cols]
        self.simplex.add_arcs(rows, cols, reduced)
        return reduced

    def _dual_value(self, f: Array, g: Array) -> float:
        return lower_bound(self.level.a / self.units, f, self.level.b / self.units, g)

    def tighten(self, gap: float) -> bool:
        """Lower the tolerance of the pivots to suit the gap that is left; False if it was 0 already."""
        if self.tol == 0.0:
            return False
        tol = NEXT_TOL * min(gap, self.tol)
        self.tol = tol if tol > EXACT * self.typical else 0.0
        return True

    def feasible(self) -> bool:
        """Whether all mass is shipped along real arcs."""
        return not self.simplex.leftovers()[0].any()

    def value(self) -> float:
        """The cost of the current plan, per unit of mass; meaningless unless `feasible`."""
        rows, cols, mass = self.simplex.plan()
        return float(self.costs.at(rows, cols) @ mass) / self.units

    def price_rows(self) -> Array:
        """Make f the c-transform of g, keep the pair if it proves more, and return the violated arcs by row."""
        u, v = self.simplex.duals()
        shift = weighted_median(self.g0 + v, self.level.b)
        u, v = u + shift, v - shift
        self.f_now, self.g_now = self.f0 + u, self.g0 + v
        self.f_noise, self.g_noise = (NOISE * (np.abs(old) + np.abs(new)) for old, new in ((self.f0, u), (self.g0, v)))
        values, cols = self.costs.rows_smallest(self.g_now, min(ROUND_ARCS, self.costs.shape[1]))
        f = values[:, 0].copy()
        lower = self._dual_value(f, self.g_now)
        if lower > self.lower:
            self.f, self.g, self.lower = f, self.g_now, lower
        cols[self.f_now[:, None] - values <= self.f_noise[:, None] + self.g_noise[cols]] = -1
        return cols

    def add_violated(self, by_row: Array, *, compare: bool) -> int:
        """Add the violated arcs of every row (as priced) and, where these are many, every column; returns how many.

        With compare, those that are there already (rounding makes them look violated) are left out.
        """
        n, m = self.costs.shape
        if np.count_nonzero(by_row >= 0) <= COLUMN_SHARE * n:
            by_col = np.empty((0, 1), np.int64)
        else:
            values, by_col = self.costs.columns_smallest(self.f_now, min(ROUND_ARCS, n))
            by_col[self.g_now[:, None] - values <= self.g_noise[:, None] + self.f_noise[by_col]] = -1
        none = np.empty(0, np.int32)
        rows, cols = host.merge_arcs(n, m, by_row, by_col, none, none)
        if compare:
            old_rows, old_cols = self.simplex.real_arcs()
            new = ~np.isin(rows * np.int64(m) + cols, old_rows * np.int64(m) + old_cols)
            rows, cols = rows[new], cols[new]
        self._add(rows, cols, self.costs.at(rows, cols))
        self.missing += len(rows)
        return len(rows)

    def raise_price(self) -> bool:
        """Make unshipped mass dearer: no arc is violated, yet some mass is not shipped; False at the end of float64."""
        if not (higher := RAISE * self.price) < np.inf:
            return False
        self.price = higher
        self.simplex.set_price(higher)
        return True


def _descend(
    levels: list[Level], a: Array, b: Array, tol: float, max_iter: int | None, progress: Progress | None
) -> Solution:
    """Solve from the coarsest level to the finest, whose masses are a and b; Ctrl-C ends with what there is."""
    began = time.perf_counter()
    state, depth, rounds, message = None, len(levels), 0, ""
    try:
        for depth in range(len(levels) - 1, -1, -1):
            state = _Restricted(levels[depth], state)
            for rounds in itertools.count(1):
                pivots = state.simplex.optimise(state.tol)
                violated = state.price_rows()
                value, gap, scale = 0.0, np.inf, MEAN_SHARE * state.typical
                if state.feasible():
                    value = state.value()
                    gap, scale = max(value - state.lower, 0.0), max(abs(value), scale)
                if progress is not None:
                    progress(
                        {
                            "level": len(levels) - depth,
                            "levels": len(levels),
                            "round": rounds,
                            "arcs": state.simplex.n_arcs - state.simplex.n_nodes + 1,
                            "gap": gap if gap < np.inf else None,
                            "scale": scale,
                            "seconds": time.perf_counter() - began,
                        }
                    )
                # the user's answer is taken to tol of its own value, though `scale` would call it proven sooner
                if gap <= (tol * abs(value) if depth == 0 else COARSE_GAP * scale):
                    break
                if rounds == (max_iter if depth == 0 else COARSE_ROUNDS):
                    message = f"stopped after max_iter={rounds} rounds" if depth == 0 else ""
                    break
                added = state.add_violated(violated, compare=pivots == 0 or rounds > SETTLED)
                if added == 0 and not (state.tighten(gap) if gap < np.inf else state.raise_price()):
                    break
                if added > 0:
                    state.tighten(gap)
    except KeyboardInterrupt:
        message = "interrupted"
        if state is None or state.level is not levels[0]:
            state, rounds = _Restricted(levels[0], state), 0
    assert state is not None, "there is always a level"
    return _proven(state, a, b, tol, rounds, message)


def _proven(state: _Restricted, a: Array, b: Array, tol: float, rounds: int, message: str) -> Solution:
    """The state's plan for the true masses a, b, completed if mass is left, and the gap to its best duals."""
    complete = state.feasible()
    state.simplex.rescale(a, b)
    rows, cols, mass = state.simplex.plan()
    if not complete:
        more = host.ship_leftovers(*state.simplex.leftovers())
        rows, cols, mass = (np.concatenate(pair) for pair in zip((rows, cols, mass), more, strict=True))
    return prove(
        (rows, cols, mass),
        (state.f, state.g),
        float((state.costs.at(rows, cols) * mass).sum()),
        lower_bound(a, state.f, b, state.g),
        state.typical * float(a.sum()),
        tol=tol,
        n_iter=rounds,
        why_not=message,
    )
