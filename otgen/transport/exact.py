"""Exact optimal transport between weighted points or under a given cost matrix, with its proof."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from otgen_kernels import host

from .. import autograd, devices
from ..arrays import Home, home_beside, is_sparse, read_costs, read_points, read_weights
from ..options import check_options, check_size
from . import column_generation, entropic, line, listed_arcs
from .costs import Cost, check_domain, diameter, make_cost, pair_gradients, parse_cost
from .potentials import centred, extend_over_matrix, extend_over_points
from .result import ConvergenceError, Points, Transport
from .solution import Solution

Progress = Callable[[dict], None] | None


@devices.on_device
def wasserstein(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    p: float = 1,
    metric: str = "euclidean",
    tol: float | None = None,
    max_iter: int | None = None,
    progress: Progress = None,
) -> Any:
    """Exact Wasserstein-p distance between weighted point clouds, proven or not returned.

    W_p = (min over plans pi with marginals a, b of sum_ij pi_ij metric(x_i, y_j)^p)^(1/p).

    x (n, d) and y (m, d); weights a (n,) and b (m,) of one mass, None for uniform of mass 1; metric is euclidean,
    cityblock, chebyshev or cosine. Returns a float; for torch tensors a 0-d tensor, differentiable once in points and,
    at fixed mass, in weights (the gradient at distance 0 is 0). On the line (d = 1, any metric but cosine) it is the
    sorted closed form, exact by theorem; elsewhere a primal-dual gap <= tol * scale (default tol 1e-9) proves it.
    Arrays of CuPy and CUDA tensors are copied to the host once for the pivots; every pair is priced on their GPU.
    Raises ConvergenceError, with `.result`, where max_iter or an interrupt came before the proof; ValueError or
    TypeError for bad input. Memory O(n + m).
    """
    cost = make_cost(metric, p)
    tol, max_iter = check_options(tol, max_iter, progress)
    x_host, y_host, home = read_points(x, y)
    a_host, b_host = read_weights(a, b, len(x_host), len(y_host), x=x, y=y)
    home = home_beside(home, a=a, b=b)
    if x_host.shape[1] == 1 and metric != "cosine":
        return line.distance(x_host, y_host, a_host, b_host, cost.p, home, (x, y, a, b), scalar=True)
    problem = _PointProblem(x_host, y_host, a_host, b_host, cost)
    solution = problem.solve(tol, max_iter, progress)
    if not solution.converged:
        result = problem.transport(solution, tol, home)
        raise ConvergenceError(f"W_{cost.p:g} is not proven: {solution.message}. See .result for its bounds.", result)
    root = max(solution.value, 0.0) ** (1 / cost.p)
    value = math.ldexp(root, problem.exponent)
    if not autograd.wants_gradient(x, y, a, b):
        return home.number(value)
    outer = root ** (1 - cost.p) / cost.p if root > 0 else 0.0
    by_x, by_y, by_a, by_b = problem.gradients(solution)
    # at extreme scales it leaves float64, so only who asks for it sees that
    by_weights = _times_two_to(problem.exponent, outer)[0] if autograd.wants_gradient(a, b) else 0.0
    gradients = outer * by_x, outer * by_y, by_weights * by_a, by_weights * by_b
    return autograd.attach(value, home, zip((x, y, a, b), gradients))


def uninterrupted_wasserstein(x: Any, y: Any) -> Any:
    """W_1 of x (n, d) and y (m, d), where Ctrl-C means to stop all that goes on: KeyboardInterrupt, as elsewhere."""
    try:
        return wasserstein(x, y)
    except ConvergenceError as error:
        if error.result.message == "interrupted":  # the solver answers Ctrl-C with what it has
            raise KeyboardInterrupt from None
        raise


@devices.on_device
def solve_sample(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    cost: Any = "sqeuclidean",
    eps: float | None = None,
    unbalanced: Any = None,
    tol: float | None = None,
    max_iter: int | None = None,
    progress: Progress = None,
) -> Transport:
    """Optimal transport between weighted point clouds: the plan, its cost and the proof that none is cheaper.

    min sum_ij pi_ij c(x_i, y_j) over pi >= 0 with marginals a and b.

    x (n, d), y (m, d), a (n,), b (m,) as in `wasserstein`; cost is "sqeuclidean", a metric, or (metric, p) for
    metric^p. max_iter None runs until gap <= tol * scale; a bounded or interrupted run returns its best plan with
    converged=False and the gap it has. Transport.value is differentiable for torch tensors (once, in points and in
    weights at fixed mass). For arrays on a GPU every pair is priced there, and the pivots and the plan are on the
    host: see Transport.where. With eps it is `sinkhorn`, whose options and result then apply. Raises ValueError or
    TypeError for bad input. progress is called once a round with a dict (level, levels, round, arcs, gap, scale,
    seconds). Memory O(n + m).
    """
    if eps is not None:
        options = {"eps": eps, "cost": cost, "unbalanced": unbalanced, "tol": tol, "max_iter": max_iter}
        return entropic.sinkhorn(x, y, a, b, **options, progress=progress)
    parsed = parse_cost(cost)
    tol, max_iter = check_options(tol, max_iter, progress, unbalanced)
    x_host, y_host, home = read_points(x, y)
    a_host, b_host = read_weights(a, b, len(x_host), len(y_host), x=x, y=y)
    home = home_beside(home, a=a, b=b)
    check_domain(parsed, x_host, y_host)
    problem = _PointProblem(x_host, y_host, a_host, b_host, parsed)
    solution = problem.solve(tol, max_iter, progress)
    result = problem.transport(solution, tol, home)
    if autograd.wants_gradient(x, y, a, b):
        by_x, by_y, by_a, by_b = problem.gradients(solution)
        per_length, per_mass = problem.exponent * (parsed.p - 1), problem.exponent * parsed.p
        gradients = _times_two_to(per_length, by_x, by_y) + _times_two_to(per_mass, by_a, by_b)
        value = autograd.attach(result.value, home, zip((x, y, a, b), gradients))
        result = replace(result, value=value, objective=value)
    return result


@devices.on_device
def solve(
    C: Any,
    a: Any = None,
    b: Any = None,
    *,
    eps: float | None = None,
    unbalanced: Any = None,
    tol: float | None = None,
    max_iter: int | None = None,
    potentials: Any = None,
    progress: Progress = None,
) -> Transport:
    """Optimal transport under a cost matrix C (n, m), dense or scipy.sparse: plan, cost and proof.

    min sum_ij pi_ij C_ij over pi >= 0 with marginals a (n,) and b (m,), as in `wasserstein`.

    Of a sparse C the stored entries are the allowed pairs, stored zeros among them, and all others are forbidden;
    ValueError names a source that cannot ship. Costs may be negative and are worked on in float64. Otherwise as
    `solve_sample`; the gradient of value in a torch C is the plan, and Transport.map is not available. A C on a GPU is
    copied to the host once, and all but what comes back is there.

    With eps: entropic transport as in `sinkhorn`, C dense; potentials start it, and the gradient of objective in C is
    the plan.
    """
    if eps is not None:
        return entropic.solve_matrix(
            C, a, b, eps=eps, unbalanced=unbalanced, tol=tol, max_iter=max_iter, potentials=potentials,
            progress=progress,
        )  # fmt: skip
    if potentials is not None:
        raise ValueError("potentials start the entropic solver only; got potentials without eps. Pass eps= too.")
    tol, max_iter = check_options(tol, max_iter, progress, unbalanced)
    given, home = read_costs(C)
    n, m = given.shape
    a_host, b_host = read_weights(a, b, n, m, C=C)
    home = home_beside(home, a=a, b=b)
    costs: Any = given
    where = "host"
    if devices.is_on_gpu(given):
        where = f"host, with C copied from {devices.described(home.device)}"
        costs = devices.fetch(given)
        a_host, b_host = (w if w is None else devices.fetch(w) for w in (a_host, b_host))
    sparse = is_sparse(costs)
    check_size(n, m, costs.nnz if sparse else 0)
    work = _Masses(a_host, b_host, n, m)
    kept = costs if work.all_kept else _submatrix(costs, work.keep_x, work.keep_y)
    if sparse:
        _check_ways_out(kept, work)
    kept, exponent = _unit_size(kept)
    run = listed_arcs.solve_sparse if sparse else column_generation.solve_dense
    try:
        found = run(kept, work.a_kept, work.b_kept, tol=tol, max_iter=max_iter, progress=progress)
    except listed_arcs.InfeasibleError as error:
        raise listed_arcs.InfeasibleError(int(np.flatnonzero(work.keep_x)[error.source])) from None
    f, g = extend_over_matrix(costs, work.keep_x, work.keep_y, *_times_two_to(exponent, found.f, found.g))
    solution = replace(_scaled(work.restore(found, found.f, found.g), exponent), f=f, g=g)
    result = _transport(solution, work, tol, home, where)
    if autograd.wants_gradient(C, a, b):
        gradients = result.plan.toarray(), centred(f, work.a), centred(g, work.b)
        value = autograd.attach(solution.value, home, zip((C, a, b), gradients))
        result = replace(result, value=value, objective=value)
    return result


class _Masses:
    """Weights as the solver takes them: points without mass dropped, uniform weights as whole numbers."""

    def __init__(self, a: np.ndarray | None, b: np.ndarray | None, n: int, m: int) -> None:
        self.shape = n, m
        self.a = np.full(n, 1.0 / n) if a is None else a
        self.b = np.full(m, 1.0 / m) if b is None else b
        self.keep_x, self.keep_y = self.a > 0, self.b > 0
        self.all_kept = bool(self.keep_x.all() and self.keep_y.all())
        self.a_kept, self.b_kept, self.unit = self.a[self.keep_x], self.b[self.keep_y], 1.0
        if (self.a_kept == self.a_kept[0]).all() and (self.b_kept == self.b_kept[0]).all():
            # Whole numbers split without rounding: a uniform plan of n = m points is exactly a permutation.
            mass = float(self.a.sum()) if a is not None else 1.0
            self.a_kept, self.b_kept, total = host.uniform_masses(len(self.a_kept), len(self.b_kept))
            self.unit = mass / total

    def restore(self, found: Solution, f: np.ndarray, g: np.ndarray) -> Solution:
        """The solver's answer on all points and in the user's masses, with potentials f (n,) and g (m,)."""
        return replace(
            found,
            rows=np.flatnonzero(self.keep_x)[found.rows],
            cols=np.flatnonzero(self.keep_y)[found.cols],
            mass=found.mass * self.unit,
            f=f,
            g=g,
            value=found.value * self.unit,
            lower_bound=found.lower_bound * self.unit,
            gap=found.gap * self.unit,
            scale=found.scale * self.unit,
        )


class _PointProblem:
    """A problem between clouds, brought to unit size by a power of two: x = 2^exponent * self.x."""

    def __init__(self, x: Any, y: Any, a: Any, b: Any, cost: Cost) -> None:
        check_size(len(x), len(y))
        self.on_gpu = devices.is_on_gpu(x)
        x, y, a, b = (value if value is None else devices.fetch(value) for value in (x, y, a, b))
        self.given, self.cost, self.work = (x, y), cost, _Masses(a, b, len(x), len(y))
        x, y = x.astype(np.float64), y.astype(np.float64)
        # Powers of extreme distances leave float64; those of distances near 1 do not, and no bit is lost on the way.
        largest = 0.0 if cost.metric == "cosine" else diameter(cost.metric, x, y)
        self.exponent = math.frexp(largest)[1] if largest > 0 and abs(math.log2(largest)) * cost.p > 100 else 0
        self.x, self.y = (np.ldexp(x, -self.exponent), np.ldexp(y, -self.exponent)) if self.exponent else (x, y)
        check_domain(cost, self.x, self.y)

    def solve(self, tol: float, max_iter: int | None, progress: Progress) -> Solution:
        """Return the solution on all points, in the user's masses but in the costs of the points at unit size."""
        work, cost = self.work, self.cost
        x, y = (self.x, self.y) if work.all_kept else (self.x[work.keep_x], self.y[work.keep_y])
        found = None
        if x.shape[1] == 1 and cost.metric != "cosine":
            found = line.solve_line(x, y, work.a_kept, work.b_kept, p=cost.p, tol=tol, progress=progress)
        if found is None or not found.converged:
            found = column_generation.solve_points(
                x, y, work.a_kept, work.b_kept,
                metric=cost.metric, p=cost.p, tol=tol, max_iter=max_iter, progress=progress, on_gpu=self.on_gpu,
            )  # fmt: skip
        f, g = extend_over_points(cost, self.x, self.y, work.keep_x, work.keep_y, found.f, found.g)
        return work.restore(found, f, g)

    def transport(self, solution: Solution, tol: float, home: Home) -> Transport:
        """Return the result in the user's units."""
        # copies: map() must not change when the user refills a buffer
        points = Points(self.given[0].copy(), self.given[1].copy(), self.work.keep_x, self.work.keep_y, home)
        solution = _scaled(solution, self.exponent * self.cost.p)
        where = f"pricing on {devices.described(home.device)}, pivots on the host" if self.on_gpu else "host"
        return _transport(solution, self.work, tol, home, where, self.cost, points)

    def gradients(self, solution: Solution) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Gradients of the value at unit size in x, y, a, b: those at the fixed optimal plan and potentials."""
        rows, cols, mass = solution.rows, solution.cols, solution.mass
        by_rows, by_cols = pair_gradients(self.cost, self.x[rows], self.y[cols])
        arcs = np.arange(len(mass))
        by_x = _csr(mass, rows, arcs, (len(self.x), len(mass))) @ by_rows
        by_y = _csr(mass, cols, arcs, (len(self.y), len(mass))) @ by_cols
        f, g = _weight_duals(solution)
        return by_x, by_y, centred(f, self.work.a), centred(g, self.work.b)


def _transport(
    solution: Solution,
    work: _Masses,
    tol: float,
    home: Home,
    where: str,
    cost: Cost | None = None,
    points: Points | None = None,
) -> Transport:
    plan = _csr(solution.mass, solution.rows, solution.cols, work.shape)
    error = np.abs(plan.sum(axis=1) - work.a).sum() + np.abs(plan.sum(axis=0) - work.b).sum()
    value = home.number(solution.value)
    return Transport(
        value=value,
        objective=value,
        dual_value=float(solution.lower_bound),
        gap=float(solution.gap),
        lower_bound=float(solution.lower_bound),
        upper_bound=float(solution.value),
        scale=float(solution.scale),
        tol=tol,
        potentials=(home.array(solution.f, solution.f.dtype), home.array(solution.g, solution.g.dtype)),
        plan=plan,
        marginal_error=float(error),
        n_iter=int(solution.n_iter),
        converged=bool(solution.converged),
        message=solution.message,
        where=where,
        cost=cost,
        _points=points,
    )


def _weight_duals(solution: Solution) -> tuple[np.ndarray, np.ndarray]:
    """Potentials to read weight gradients from; 0 at value 0, where f = g = 0 is optimal for costs >= 0."""
    if solution.value == 0:
        return np.zeros_like(solution.f), np.zeros_like(solution.g)
    return solution.f, solution.g


def _check_ways_out(kept: Any, work: _Masses) -> None:
    for name, places, axis in (("source", work.keep_x, 0), ("target", work.keep_y, 1)):
        ways = np.bincount(kept.tocoo().coords[axis], minlength=kept.shape[axis])
        if (ways == 0).any():
            i = int(np.flatnonzero(places)[np.argmax(ways == 0)])
            raise ValueError(
                f"C is infeasible: {name} {i} has mass but no stored entry that leads to mass. "
                "Store a cost for a pair it may use."
            )


def _submatrix(costs: Any, keep_x: np.ndarray, keep_y: np.ndarray) -> Any:
    if is_sparse(costs):
        return costs[np.flatnonzero(keep_x)][:, np.flatnonzero(keep_y)]
    return np.ascontiguousarray(costs[np.ix_(keep_x, keep_y)])


def _unit_size(costs: Any) -> tuple[Any, int]:
    """Costs so large or small that sums of them would leave float64, times a power of two, and its exponent."""
    entries = costs.data if is_sparse(costs) else costs
    largest = float(np.abs(entries).max(initial=0.0))
    if largest == 0.0 or abs(math.log2(largest)) < 500:
        return costs, 0
    exponent = math.frexp(largest)[1]
    if is_sparse(costs):
        scaled = costs.copy()
        scaled.data = np.ldexp(costs.data, -exponent)
        return scaled, exponent
    return np.ldexp(costs, -exponent), exponent


def _scaled(solution: Solution, exponent: float) -> Solution:
    """The solution of a problem whose costs are 2^exponent times as large."""
    if exponent == 0:
        return solution
    names = ("value", "lower_bound", "gap", "scale", "f", "g")
    return replace(solution, **dict(zip(names, _times_two_to(exponent, *(getattr(solution, name) for name in names)))))


def _times_two_to(exponent: float, *values: Any) -> tuple[Any, ...]:
    whole = math.floor(exponent)
    with np.errstate(over="ignore"):  # what leaves float64 is inf
        return tuple(np.ldexp(value * 2.0 ** (exponent - whole), whole) for value in values)


def _csr(values: np.ndarray, rows: np.ndarray, cols: np.ndarray, shape: tuple[int, int]) -> Any:
    from scipy.sparse import csr_array  # a third of the time of `import otgen`, if it were at the top

    return csr_array((values, (rows, cols)), shape=shape)
