"""Entropic optimal transport: Sinkhorn's algorithm, streamed, annealed, accelerated, and proven in float64."""

from __future__ import annotations

from typing import Any

from ..arrays import home_beside, is_sparse, read_costs, read_points, read_weights
from ..batches import is_batch
from ..devices import on_device
from .batch import sinkhorn_batch
from .costs import check_domain, parse_cost
from .entropic_problem import MatrixProblem, PointProblem, Progress
from .regularisation import check_alone, read_potentials, read_regularisation
from .result import Transport, warn


@on_device
def sinkhorn(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    eps: float,
    cost: Any = "sqeuclidean",
    unbalanced: Any = None,
    tol: float | None = None,
    max_iter: int | None = None,
    potentials: Any = None,
    progress: Progress = None,
) -> Any:
    """Entropic transport between weighted point clouds: potentials, a plan that is never stored, and bounds.

    min over pi >= 0 of sum_ij pi_ij c(x_i, y_j) + eps KL(pi | a x b) + rho_a KL(pi 1 | a) + rho_b KL(pi^T 1 | b),
    with KL(p | q) = sum p log(p / q) - p + q; unbalanced None (rho = inf) holds both marginals exactly.

    x (n, d), y (m, d), a (n,), b (m,) as in `solve_sample`; eps and rho are on the scale of the cost. unbalanced is rho
    or (rho_a, rho_b), math.inf for an exact side; without it a and b must have one mass. Runs until the L1 marginal
    error is at most tol times the mass (default 1e-6, 1e-4 for float32, or what float64 reaches at a tiny eps), or
    max_iter sweeps on the finest level: then converged is False and a ConvergenceWarning says how far it came.
    potentials (f, g) of an earlier result start it.
    progress is called once a sweep with a dict (level, levels, eps, iteration, error, tol, seconds).

    Transport.objective is differentiable for torch tensors (once, in points and weights); value is not. lower_bound and
    upper_bound bracket the unregularised optimum (None if unbalanced). x (B, n, d) and y (B, m, d), with a (B, n) or
    (n,) and b likewise, are B problems solved at once: a TransportBatch, each with its own convergence. Raises
    ValueError or TypeError for bad input. Memory O(n + m). Sources: in annealing, iteration and rounding beside this.
    """
    by, parsed = read_regularisation(eps, unbalanced), parse_cost(cost)
    if is_batch(x) or is_batch(y):
        check_alone(potentials=potentials, progress=progress)
        return sinkhorn_batch(x, y, a, b, parsed, by, tol, max_iter)
    x_host, y_host, home = read_points(x, y)
    a_host, b_host = read_weights(a, b, len(x_host), len(y_host), unequal=not by.balanced, entropic=True, x=x, y=y)
    home = home_beside(home, a=a, b=b)
    check_domain(parsed, x_host, y_host)
    start = read_potentials(potentials, len(x_host), len(y_host), x=x)
    problem = PointProblem(x_host, y_host, a_host, b_host, parsed, by)
    solution = problem.solve(start, tol, max_iter, progress, home.dtype)
    result = problem.transport(solution, home)
    if not result.converged:
        warn(result.message)
    return problem.differentiable(result, solution, home, (x, y, a, b))


def solve_matrix(
    C: Any, a: Any, b: Any, *, eps: Any, unbalanced: Any, tol: Any, max_iter: Any, potentials: Any, progress: Progress
) -> Transport:
    """`solve` with eps: entropic transport under a dense cost matrix."""
    by = read_regularisation(eps, unbalanced)
    if is_sparse(C):
        raise TypeError(
            f"C must be dense with eps; got {type(C).__name__}. Pass a dense matrix with large costs for what is "
            "forbidden, or leave eps None for exact transport on its stored entries."
        )
    costs, home = read_costs(C)
    n, m = costs.shape
    a_host, b_host = read_weights(a, b, n, m, unequal=not by.balanced, entropic=True, C=C)
    home = home_beside(home, a=a, b=b)
    start = read_potentials(potentials, n, m, C=C)
    problem = MatrixProblem(costs, a_host, b_host, by)
    solution = problem.solve(start, tol, max_iter, progress, home.dtype)
    result = problem.transport(solution, home)
    if not result.converged:
        warn(result.message)
    return problem.differentiable(result, solution, home, (C, a, b))
