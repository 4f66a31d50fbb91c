"""What a solver hands back: the transport and the proof that it is optimal."""

from __future__ import annotations

import math
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from otgen_kernels import SoftPairs, c_transform

from .. import devices
from ..arrays import Home, read_queries
from .costs import Cost, diameter

OCTAVES = 4  # of sizes of points that are averaged together: what is lost of the nearest ones is as many bits
BLUNT = 2.0**52
"""Exponents whose spacing in float64 is 1: no weight that they give has a digit left."""


@dataclass(frozen=True)
class Points:
    """The clouds a Transport maps between: x (n, d) and y (m, d), which of them carry mass, and where results go.

    They lie where they were worked on: on the host, or as arrays of CuPy.
    """

    x: np.ndarray
    y: np.ndarray
    mass_x: np.ndarray
    mass_y: np.ndarray
    home: Home


@dataclass(frozen=True, eq=False, repr=False)
class Transport:
    """A transport plan between n sources and m targets with its optimality proof.

    lower_bound <= OT <= upper_bound holds for any plan and potentials: upper_bound is the cost of the plan, lower_bound
    = <a, f> + <b, g> with f_i + g_j <= c_ij for every pair, less a bound of the rounding in these sums. converged says
    that gap <= tol * scale.

    value          transport cost <plan, c>: float, or a 0-d tensor, differentiable in the tensors given where exact
    objective      what was minimised: value, plus eps KL(plan | a x b) and the penalties of unbalanced marginals;
                   differentiable in the tensors given
    dual_value     value of the dual problem at potentials
    gap            objective - dual_value, float64, never negative; where entropic the objective is that of the plan
                   rounded to the marginals
    lower_bound    of OT without a regulariser, as upper_bound; None where unbalanced
    potentials     f (n,) and g (m,), float64, on the cost's scale; gradients in the weights, up to a constant
    plan           exact: scipy.sparse.csr_array (n, m), float64, at most n + m - 1 entries;
                   entropic: an EntropicPlan, a_i b_j exp((f_i + g_j - c_ij) / eps), computed where it is used
    marginal_error sum_i |plan's row sum - a_i| + sum_j |plan's column sum - b_j|; where unbalanced |... - what the
                   potentials ask for|
    scale          exact: max(|value|, 1e-3 c0), what tol is relative to; c0 is the cost of shipping each cloud to the
                   other's mean, and for a matrix the lower quartile of |C| times the mass. Entropic: the mass
    where          what ran where: "host", or which part on which GPU
    n_iter         rounds of the solver, sweeps of Sinkhorn on the finest level;  message: why it stopped
    eps            of the entropy, None where exact;  unbalanced: (rho_a, rho_b) or None
    """

    value: Any
    objective: Any
    dual_value: float
    gap: float
    lower_bound: Any
    upper_bound: Any
    scale: float
    tol: float
    potentials: tuple[Any, Any]
    plan: Any
    marginal_error: float
    n_iter: int
    converged: bool
    message: str
    cost: Cost | None = None
    eps: float | None = None
    unbalanced: tuple[float, float] | None = None
    where: str = "host"
    _points: Points | None = field(default=None)
    _log_b: np.ndarray | None = field(default=None)

    @property
    def _held(self) -> Any:
        """An array that lies where this was worked on."""
        return None if self._points is None else self._points.y

    @devices.on_device
    def map(self, x_new: Any = None) -> Any:
        """Return where the plan sends each source: T(x_i) = sum_j plan_ij y_j / sum_j plan_ij, shape (n, d).

        Points x_new (k, d), and sources without mass, go through the potentials instead, over the targets that carry
        mass: T(x) = y_j with j = argmin_j c(x, y_j) - g_j; where entropic, for all points, the average of the y_j with
        weights b_j exp((g_j - c(x, y_j)) / eps). Streamed, memory O(n + m). Raises ValueError for a Transport solved
        from a cost matrix, which knows no points.
        """
        if self._points is None or self.cost is None:
            raise ValueError("map needs points; this Transport was solved from a cost matrix. Use solve_sample(x, y).")
        points = self._points
        if x_new is not None:
            queries, home = read_queries(x_new, points.x.shape[1])
            self._check_reach(queries, points.y)
            return home.array(self._through_potentials(points, queries))
        if self.eps is not None:
            return points.home.array(self._through_potentials(points, points.x))
        mass = np.asarray(self.plan.sum(axis=1))
        share = self.plan.copy()
        share.data /= np.repeat(mass, np.diff(share.indptr))  # a source with one target lands exactly on it
        mapped = share @ points.y.astype(np.float64, copy=False)
        alone = mass == 0
        if alone.any():
            mapped[alone] = self._through_potentials(points, points.x[alone])
        return points.home.array(mapped)

    def _check_reach(self, queries: np.ndarray, y: np.ndarray) -> None:
        """Raise where points lie so far from the targets that their costs leave float64."""
        assert self.cost is not None
        largest = diameter(self.cost.metric, queries, devices.beside(queries, y))
        if largest > 0 and not self.cost.p * math.log2(largest) < 1020:
            raise ValueError(
                f"x_new must lie where {self.cost} stays in the range of float64; distances to the targets reach "
                f"{largest:.3g}. Drop the points that are so far away."
            )

    def _through_potentials(self, points: Points, queries: np.ndarray) -> np.ndarray:
        assert self.cost is not None
        y = points.y[points.mass_y]
        g = devices.beside(y, self.potentials[1])[points.mass_y]
        queries = devices.beside(y, queries)
        dtype = np.promote_types(queries.dtype, y.dtype)
        if self.eps is not None:
            assert self._log_b is not None
            return _soft_average(self.cost, queries, y, g + self.eps * self._log_b[points.mass_y], self.eps, dtype)
        best = c_transform(queries.astype(dtype), y.astype(dtype), g, metric=self.cost.metric, p=self.cost.p)[1]
        return y[best]

    def __repr__(self) -> str:
        n, m = (len(potential) for potential in self.potentials)
        what = f"cost {self.cost}" if self.cost is not None else "a cost matrix"
        lines = [f"Transport of {n:,} to {m:,} points, {what}", f"  value   {float(self.value):.12g}"]
        lines += self._exact_lines() if self.eps is None else self._entropic_lines()
        return "\n".join(lines)

    def _exact_lines(self) -> list[str]:
        if self.converged:
            verdict = f"proven optimal: gap {self.gap:.1e} <= {self.tol:g} * scale {self.scale:.4g}"
        else:
            verdict = f"NOT proven optimal: gap {self.gap:.1e} > {self.tol:g} * scale {self.scale:.4g}. {self.message}"
        return [
            f"  proof   {self.lower_bound:.12g} <= OT <= {self.upper_bound:.12g}",
            f"          {verdict}",
            f"  plan    {self.plan.nnz:,} arcs, marginal error {self.marginal_error:.1e}, n_iter {self.n_iter}",
            *([] if self.where == "host" else [f"  where   {self.where}"]),
        ]

    def _entropic_lines(self) -> list[str]:
        rho = "" if self.unbalanced is None else f", unbalanced {self.unbalanced}"
        lines = [f"  eps     {self.eps:g}{rho}, objective {float(self.objective):.12g}, gap {self.gap:.1e}"]
        if self.lower_bound is not None:
            lines.append(f"  proof   {self.lower_bound:.12g} <= OT <= {self.upper_bound:.12g}")
        verdict = "converged" if self.converged else f"NOT converged: {self.message}"
        error = self.marginal_error / self.scale
        return [*lines, f"  plan    marginal error {error:.1e} of the mass, n_iter {self.n_iter}, {verdict}"]


def _soft_average(cost: Cost, x: np.ndarray, y: np.ndarray, h: np.ndarray, eps: float, dtype: np.dtype) -> np.ndarray:
    """sum_j w_j y_j / sum_j w_j with w_j = exp((h_j - c(x, y_j)) / eps), from the mean of y: no digit is lost.

    Points of one size are averaged together: the arithmetic is that of the farthest of them.
    """
    x, y = x.astype(dtype), y.astype(dtype)
    centre = y.mean(axis=0, dtype=np.float64)
    spread = float(np.abs(y - centre).max()) or 1.0
    with np.errstate(over="ignore"):
        sizes = np.maximum(np.frexp(np.abs(x - centre).max(axis=1) / spread)[1] // OCTAVES, 0)
    found = np.empty_like(x, np.float64)
    for size in np.unique(devices.fetch(sizes)):
        rows = np.flatnonzero(sizes == size)
        found[rows] = _one_size(cost, x[rows], y, h, eps, centre)
    return found


def _one_size(cost: Cost, x: np.ndarray, y: np.ndarray, h: np.ndarray, eps: float, centre: np.ndarray) -> np.ndarray:
    """The averages; so far from all y that float64 cannot tell the exponents apart, the y_j of the largest one."""
    soft = SoftPairs(x, y, metric=cost.metric, p=cost.p)
    single = x.dtype == np.float32
    columns = np.column_stack([y - centre, np.ones_like(y, np.float64, shape=(len(y),))])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # where the exponents are blunt
        near = soft.transform(0, h, eps, single=single)
        sums = soft.average(0, near, h, eps, columns, single=single)
        found = centre + sums[:, :-1] / sums[:, -1:]
    blunt = np.flatnonzero(~(np.abs(near) <= BLUNT * eps))
    if len(blunt):
        found[blunt] = y[c_transform(x[blunt], y, h, metric=cost.metric, p=cost.p)[1]]
    return found


class ConvergenceWarning(UserWarning):
    """An iteration ended above its tol: the message says where, and which knob to turn."""


_strict = threading.local()


@contextmanager
def strictly() -> Iterator[None]:
    """Raise in this thread what would be a ConvergenceWarning: the filters of `warnings` are those of all threads."""
    before, _strict.on = getattr(_strict, "on", False), True
    try:
        yield
    finally:
        _strict.on = before


def warn(message: str) -> None:
    """Issue a ConvergenceWarning at the line outside otgen that led here."""
    if getattr(_strict, "on", False):
        raise ConvergenceWarning(message)
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "otgen":
        frame, level = frame.f_back, level + 1
    warnings.warn(ConvergenceWarning(message), stacklevel=level)


class ConvergenceError(RuntimeError):
    """The optimum was not proven; `result` is the best Transport found, with its honest gap.

    It is None where `pairwise` measures what has no Transport.
    """

    def __init__(self, message: str, result: Any) -> None:
        super().__init__(message)
        self.result: Transport = result

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.result)  # by default pickle hands on the message alone
