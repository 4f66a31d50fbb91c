"""The debiased Sinkhorn divergence: entropic transport less what its blur costs each cloud against itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import autograd
from ..arrays import home_beside, read_points, read_weights
from ..batches import is_batch
from ..devices import on_device
from .batch import divergence_batch
from .costs import check_domain, parse_cost
from .entropic_problem import Dual, PointProblem, Power, Progress, shortfall
from .regularisation import Regularisation, check_alone, read_regularisation
from .result import warn


@on_device
def sinkhorn_divergence(
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
    progress: Progress = None,
) -> Any:
    """Debiased entropic transport between weighted point clouds: >= 0, and 0 for equal measures.

    S = OT(a, b) - OT(a, a) / 2 - OT(b, b) / 2 + (eps / 2) (m(a) - m(b))^2, OT the optimal objective of `sinkhorn`.

    Arguments as in `sinkhorn`, but tol None is 1e-3 for float32 points: the value is off by the square of it (each term
    is its dual value, at its largest there), the gradient by about twice as much. With unbalanced=(rho_a, rho_b) the
    term of a alone has rho_a on both sides, and that of b rho_b. Returns a float; for torch tensors a 0-d tensor,
    differentiable once in points and weights (envelope theorem, memory O(n + m)). Batches x (B, n, d), y (B, m, d) give
    B values.
    Warns with one ConvergenceWarning where a term did not reach tol. Raises ValueError or TypeError for bad input, and
    KeyboardInterrupt where interrupted.
    Source: Feydy et al., arXiv 1810.08278; Sejourne et al., arXiv 1910.12958.
    """
    by, parsed = read_regularisation(eps, unbalanced), parse_cost(cost)
    if is_batch(x) or is_batch(y):
        check_alone(progress=progress)
        return divergence_batch(x, y, a, b, parsed, by, tol, max_iter)
    x_host, y_host, home = read_points(x, y)
    a_host, b_host = read_weights(a, b, len(x_host), len(y_host), unequal=not by.balanced, entropic=True, x=x, y=y)
    home = home_beside(home, a=a, b=b)
    check_domain(parsed, x_host, y_host)
    between = PointProblem(x_host, y_host, a_host, b_host, parsed, by)
    weights = between.a, between.b
    alone = [
        PointProblem(points, points, own, own, parsed, Regularisation(by.eps, rho, rho))
        for points, own, rho in zip((x_host, y_host), weights, (by.rho_a, by.rho_b))
    ]
    # Equal measures share one run, and so differ by nothing.
    problems = (between, *([between] * 2 if between.symmetric else alone))
    duals = [problem.dual(tol, max_iter, progress, home.dtype) for problem in dict.fromkeys(problems)]
    worst = max(duals, key=lambda dual: dual.missed)
    if not worst.missed <= 1.0:
        warn(shortfall(worst.run, worst.tol, worst.run.potentials.error))
    duals = duals * 3 if between.symmetric else duals
    lack = float(weights[0].sum() - weights[1].sum())
    joint, halves = duals[0].value, 0.5 * (duals[1].value + duals[2].value)
    if not between.symmetric and joint - halves < by.eps * duals[0].tol * float(weights[0].sum()):
        joint = max(joint, _from_alone(between, alone, duals))
    value = joint - halves + 0.5 * by.eps * lack**2
    inputs = (x, y, a, b)
    if not autograd.wants_gradient(*inputs):
        return home.number(value)
    single = home.dtype == np.float32
    points = [
        between.point_gradient(side, duals[0], single=single)
        - problems[1 + side].point_gradient(0, duals[1 + side], single=single)
        if autograd.wants_gradient(inputs[side])
        else None
        for side in (0, 1)
    ]
    of_weights: tuple[Any, Any] = None, None
    if autograd.wants_gradient(a, b):
        together = between.weight_gradients(duals[0])
        by_itself = [0.5 * sum(problems[1 + side].weight_gradients(duals[1 + side])) for side in (0, 1)]
        of_weights = between.at_fixed_mass(
            together[0] - by_itself[0] + by.eps * lack, together[1] - by_itself[1] - by.eps * lack
        )
    return autograd.attach(value, home, zip(inputs, (*points, *of_weights)))


def _from_alone(between: PointProblem, alone: list[PointProblem], duals: list[Dual]) -> float:
    """The dual value of the two terms' own potentials: with it S is a squared norm, never below 0 (Feydy et al.).

    Near S = 0 it may exceed the value that the iteration has come to, by a part of eps that is less than tol.
    """
    f, g = (Power(problem.exponent - between.exponent)(dual.f) for problem, dual in zip(alone, duals[1:], strict=True))
    return between.dual_value(f, g)
