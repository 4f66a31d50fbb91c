"""An entropic problem from validated input to its result: the points with mass, the run, the proof, the gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import autograd, devices
from ..arrays import Home
from .annealing import INTERRUPTED, Annealing, Run
from .costs import Cost, diameter
from .device_costs import DeviceMatrixSoftCosts, DevicePointSoftCosts
from .iteration import Potentials, answered_value, dual_value
from .plan import EntropicPlan, Scaling
from .potentials import centred
from .regularisation import (
    COARSEST,
    DEFAULT_TOL,
    DIVERGENCE_TOL,
    Regularisation,
    asked,
    check_reach,
    read_stopping,
)
from .result import Points, Transport
from .rounding import BITS, Proof, prove_balanced, prove_unbalanced
from .soft_costs import MatrixSoftCosts, PointSoftCosts

Array = np.ndarray
Progress = Callable[[dict[str, Any]], None] | None

NO_GRADIENT = (
    "Transport.value of entropic transport, <plan, cost>, has no gradient here: the plan moves with the points. "
    "Differentiate Transport.objective, or otgen.sinkhorn_divergence."
)
SINGLE_BITS = 18.0  # pairs that a gradient in float32 skips make up less than 2^-18, 4e-6, of it
REACH = 0.1  # of the rounding that is estimated for float64: the least tol that is accepted


@dataclass(frozen=True)
class Solution:
    """A proof for the points that carry mass, at unit size, and how the run ended."""

    proof: Proof
    run: Run
    tol: float
    scale: float

    @property
    def error(self) -> float:
        """The marginal error as a share of the mass; of no mass, none is missing."""
        return self.proof.marginal_error / self.scale if self.scale > 0.0 else 0.0

    @property
    def converged(self) -> bool:
        return bool(self.proof.marginal_error <= self.tol * self.scale)


@dataclass(frozen=True)
class Dual:
    """Potentials of the points that carry mass, at unit size, the dual value in the user's units, and the run's end."""

    f: Array
    g: Array
    value: float
    run: Run
    tol: float

    @property
    def missed(self) -> float:
        """How many times tol the marginal error is."""
        return self.run.potentials.error / self.tol


class Problem:
    """What clouds and matrices share: the points that carry mass, the run, the proof, the result."""

    costs: Any
    exponent = 0.0  # costs and eps are worked on at 2^-exponent times their size
    cost: Cost | None = None
    symmetric = False

    def __init__(
        self, a: Array | None, b: Array | None, shape: tuple[int, int], by: Regularisation, like: Array
    ) -> None:
        n, m = shape
        self.a = np.full_like(like, 1.0 / n, np.float64, shape=(n,)) if a is None else a
        self.b = np.full_like(like, 1.0 / m, np.float64, shape=(m,)) if b is None else b
        self.keep_x, self.keep_y = self.a > 0, self.b > 0
        self.a_kept, self.b_kept, self.by = self.a[self.keep_x], self.b[self.keep_y], by

    def scaled_regularisation(self) -> Regularisation:
        """eps and rho in the units the costs are worked on."""
        return Regularisation(*(Power(-self.exponent)(rho) for rho in (self.by.eps, self.by.rho_a, self.by.rho_b)))

    def anneal(
        self, start: tuple[Array, Array] | None, tol: Any, max_iter: Any, progress: Progress, dtype: np.dtype,
        *, proven: bool, default: dict[np.dtype, float] = DEFAULT_TOL,
    ) -> tuple[Annealing, Run]:  # fmt: skip
        """Run Sinkhorn from large eps and coarse clouds to the user's, or from given potentials; will it be proven?"""
        given, (tol, max_iter) = tol, read_stopping(tol, max_iter, progress, dtype, default)
        by = self.scaled_regularisation()
        reach = REACH * self.costs.soft.rounding(by.eps, False) if 0.0 < by.eps < math.inf else math.inf
        if given is None and reach <= COARSEST:
            tol = max(tol, reach)
        check_reach(tol, reach, self.by.eps)
        annealing = Annealing(
            self.costs, self.a_kept, self.b_kept, by,
            tol=tol, max_iter=max_iter, symmetric=self.symmetric, progress=progress, proven=proven,
        )  # fmt: skip
        first = None
        if start is not None:
            f, g = (Power(-self.exponent)(h[keep]) for h, keep in zip(start, (self.keep_x, self.keep_y)))
            first = Potentials(f, g)
        return annealing, annealing.run(first)

    def solve(
        self, start: tuple[Array, Array] | None, tol: Any, max_iter: Any, progress: Progress, dtype: np.dtype
    ) -> Solution:
        """Anneal, prove, and go on in float64 if the proof finds more error than asked for."""
        annealing, run = self.anneal(start, tol, max_iter, progress, dtype, proven=True)
        solution = self._proven(run, annealing.tol)
        for _ in range(2):
            if solution.converged or run.message or run.n_iter >= annealing.max_iter:
                break
            run = annealing.resume(Potentials(solution.proof.f, solution.proof.g))
            solution = self._proven(run, annealing.tol)
        return solution

    def dual(self, tol: Any, max_iter: Any, progress: Progress, dtype: np.dtype) -> Dual:
        """Anneal, and take the dual value at the end, in the user's units and precision, and nothing else.

        Raises KeyboardInterrupt where the run was interrupted: a part of a divergence is no result.
        """
        annealing, run = self.anneal(None, tol, max_iter, progress, dtype, proven=False, default=DIVERGENCE_TOL)
        if run.message == INTERRUPTED:
            raise KeyboardInterrupt
        f, g, value = run.potentials.f, run.potentials.g, run.potentials.value
        if dtype == np.float32 and value > -math.inf:  # the last sweep has found it
            return Dual(f, g, Power(self.exponent)(value), run, annealing.tol)
        if self.symmetric:
            return Dual(f, f, self.dual_value(f, f), run, annealing.tol)
        by = self.scaled_regularisation()
        f = self.costs.soft.transform(0, g + by.eps * np.log(self.b_kept), by.eps, f, bits=BITS)
        if math.isfinite(by.rho_a):
            f = f * (by.rho_a / (by.rho_a + by.eps))
        value = answered_value(self.b_kept, self.a_kept, g, f, replace(by, rho_a=by.rho_b, rho_b=by.rho_a))
        return Dual(f, g, Power(self.exponent)(value), run, annealing.tol)

    def dual_value(self, f: Array, g: Array) -> float:
        """The dual value of any potentials at unit size, in the user's units: a lower bound of the optimum."""
        by = self.scaled_regularisation()
        answer = self.costs.soft.transform(0, g + by.eps * np.log(self.b_kept), by.eps, f, bits=BITS)
        mass = float(self.a_kept @ np.exp((f - answer) / by.eps))
        return Power(self.exponent)(dual_value(self.a_kept, self.b_kept, f, g, mass, by))

    def _proven(self, run: Run, tol: float) -> Solution:
        proof = self._prove(run.potentials, self.scaled_regularisation())
        return Solution(proof, run, tol, self._scale(proof))

    def _prove(self, potentials: Potentials, by: Regularisation) -> Proof:
        f, g = potentials.f, potentials.g
        if by.balanced:
            proof = prove_balanced(self.costs, self.a_kept, self.b_kept, f, g, by.eps)
            # (f + t, g - t) prove the same: both sides get half of the dual value.
            shift = 0.5 * float(self.b_kept @ proof.g - self.a_kept @ proof.f) / float(self.a_kept.sum())
            return replace(proof, f=proof.f + shift, g=proof.g - shift)
        return prove_unbalanced(self.costs, self.a_kept, self.b_kept, f, g, by)

    def _scale(self, proof: Proof) -> float:
        """The mass that marginal errors are a share of: the plan's own where it is not given."""
        if self.by.balanced:
            return float(self.a_kept.sum())
        by = self.scaled_regularisation()
        return 0.5 * float(self.a_kept @ asked(proof.f, by.rho_a) + self.b_kept @ asked(proof.g, by.rho_b))

    def transport(self, solution: Solution, home: Home) -> Transport:
        """Return the result in the user's units."""
        proof, by = solution.proof, self.by
        up = Power(self.exponent)
        f, g = self.extended(proof)
        scaling = Scaling(
            self.costs.soft, self.costs.cost_rows,
            proof.f + self.scaled_regularisation().eps * np.log(self.a_kept),
            proof.g + self.scaled_regularisation().eps * np.log(self.b_kept),
            self.scaled_regularisation().eps, self.keep_x, self.keep_y, home.dtype == np.float32,
        )  # fmt: skip
        message = f"converged to marginal error {solution.error:.1e}"
        if not solution.converged:
            message = shortfall(solution.run, solution.tol, solution.error)
        return Transport(
            value=home.number(up(proof.value)),
            objective=home.number(up(proof.objective)),
            dual_value=up(proof.dual_value),
            gap=up(proof.gap),
            lower_bound=None if proof.lower_bound is None else up(proof.lower_bound),
            upper_bound=None if proof.upper_bound is None else up(proof.upper_bound),
            scale=solution.scale,
            tol=solution.tol,
            potentials=(home.array(up(f), f.dtype), home.array(up(g), g.dtype)),
            plan=EntropicPlan(scaling, home),
            marginal_error=proof.marginal_error,
            n_iter=solution.run.n_iter,
            converged=solution.converged,
            message=message,
            where=_where(self.a, home),
            cost=self.cost,
            eps=by.eps,
            unbalanced=None if by.balanced else (by.rho_a, by.rho_b),
            _points=self._points(home),
            _log_b=np.log(np.where(self.keep_y, self.b, 1.0)),
        )

    def weight_gradients(self, proof: Proof | Dual) -> tuple[Array, Array]:
        """Gradients of the objective in a and b: the potentials, and what moves with them where masses may change."""
        f, g = self.extended(proof)
        by, up = self.scaled_regularisation(), Power(self.exponent)
        by_a, by_b = by.weight_gradient(f, by.rho_a, self.b.sum()), by.weight_gradient(g, by.rho_b, self.a.sum())
        return up(by_a), up(by_b)

    def at_fixed_mass(self, by_a: Array, by_b: Array) -> tuple[Array, Array]:
        """Weight gradients as the house gives them: centred where both masses must move together."""
        return (centred(by_a, self.a), centred(by_b, self.b)) if self.by.balanced else (by_a, by_b)

    def extended(self, proof: Proof | Dual) -> tuple[Array, Array]:
        """Potentials of all points: those without mass get the soft c-transform of the others'."""
        raise NotImplementedError

    def _points(self, home: Home) -> Points | None:
        return None


class PointProblem(Problem):
    """A problem between clouds, at unit size by a power of two where its costs would leave float64."""

    def __init__(self, x: Array, y: Array, a: Array | None, b: Array | None, cost: Cost, by: Regularisation) -> None:
        super().__init__(a, b, (len(x), len(y)), by, x)
        self.given, self.cost = (x, y), cost
        x, y = x.astype(np.float64), y.astype(np.float64)
        largest = 1.0 if cost.metric == "cosine" else diameter(cost.metric, x, y)
        if largest == 0.0:  # all points coincide: where does not matter, and only eps has a size
            x, y, largest = np.zeros_like(x), np.zeros_like(y), by.eps ** (1.0 / cost.p)
        self.unit = 0
        if abs(math.log2(largest)) * cost.p > 100:
            self.unit = 16 * round(math.frexp(largest)[1] / 16)  # so that 2^(unit p) is exact for the usual p
            x, y = np.ldexp(x, -self.unit), np.ldexp(y, -self.unit)
        self.exponent = self.unit * cost.p
        self.x, self.y = x, y
        same = by.rho_a == by.rho_b and bool(np.array_equal(self.a, self.b) and np.array_equal(x, y))
        x_kept = x if self.keep_x.all() else x[self.keep_x]
        y_kept = y if self.keep_y.all() else y[self.keep_y]
        self.symmetric = same
        if same:
            y_kept, self.b_kept = x_kept, self.a_kept
        self.costs = _point_costs(x_kept, y_kept, cost)

    def extended(self, proof: Proof | Dual) -> tuple[Array, Array]:
        by, out = self.scaled_regularisation(), []
        sides = (
            (self.x, self.keep_x, proof.f, self.costs.y, proof.g, self.b_kept, by.rho_a),
            (self.y, self.keep_y, proof.g, self.costs.x, proof.f, self.a_kept, by.rho_b),
        )
        for points, keep, potential, others, h, weights, rho in sides:
            full = np.empty(len(points), like=potential)
            full[np.flatnonzero(keep)] = potential
            if not keep.all():
                alone = _point_costs(points[~keep], others, self.costs.cost).soft
                found = alone.transform(0, h + by.eps * np.log(weights), by.eps)
                full[np.flatnonzero(~keep)] = found if math.isinf(rho) else found * (rho / (rho + by.eps))
            out.append(full)
        return out[0], out[1]

    def _points(self, home: Home) -> Points:
        # copies: map() must not change when the user refills a buffer
        return Points(self.given[0].copy(), self.given[1].copy(), self.keep_x, self.keep_y, home)

    def point_gradient(self, side: int, proof: Proof | Dual, *, single: bool) -> Array:
        """Gradient of the objective in x (side 0) or y: that of the cost under the plan, held fixed.

        Every point ships what its potential asks for, so that the side's own potentials need not answer the others'.
        """
        by = self.scaled_regularisation()
        eps, potential, rho = by.eps, (proof.f, proof.g)[side], (by.rho_a, by.rho_b)[side]
        h = (proof.g + eps * np.log(self.b_kept), proof.f + eps * np.log(self.a_kept))[side]
        mass = (self.a_kept, self.b_kept)[side] * asked(potential, rho)
        out = np.zeros_like((self.x, self.y)[side])
        keep = np.flatnonzero((self.keep_x, self.keep_y)[side])
        bits = SINGLE_BITS if single else BITS
        out[keep] = self.costs.soft.gradient(side, potential, h, eps, mass, single=single, bits=bits)
        return Power(self.unit * (self.costs.cost.p - 1.0))(out)

    def differentiable(self, result: Transport, solution: Solution, home: Home, inputs: tuple) -> Transport:
        """The result with the gradients of its objective, where the inputs record them."""
        if not autograd.wants_gradient(*inputs):
            return result
        points = [self.point_gradient(side, solution.proof, single=home.dtype == np.float32) for side in (0, 1)]
        weights = self.at_fixed_mass(*self.weight_gradients(solution.proof))
        return _attached(result, home, zip(inputs, (*points, *weights)))


class MatrixProblem(Problem):
    """A problem under a dense cost matrix."""

    def __init__(self, costs: Array, a: Array | None, b: Array | None, by: Regularisation) -> None:
        super().__init__(a, b, costs.shape, by, costs)
        largest = float(np.abs(costs).max()) or by.eps
        if abs(math.log2(largest)) > 100:
            exponent = math.frexp(largest)[1]
            costs, self.exponent = np.ldexp(costs, -exponent), float(exponent)
        self.matrix = costs
        whole = self.keep_x.all() and self.keep_y.all()
        self.costs = _matrix_costs(costs if whole else costs[self.keep_x][:, self.keep_y].copy())

    def extended(self, proof: Proof | Dual) -> tuple[Array, Array]:
        by, f, g = self.scaled_regularisation(), np.empty_like(self.a), np.empty_like(self.b)
        f[np.flatnonzero(self.keep_x)], g[np.flatnonzero(self.keep_y)] = proof.f, proof.g
        for keep, full, part, h, weights, rho in (
            (self.keep_x, f, self.matrix[~self.keep_x][:, self.keep_y], proof.g, self.b_kept, by.rho_a),
            (self.keep_y, g, self.matrix[self.keep_x][:, ~self.keep_y].T, proof.f, self.a_kept, by.rho_b),
        ):
            if not keep.all():
                soft = _matrix_costs(part.copy()).soft
                found = soft.transform(0, h + by.eps * np.log(weights), by.eps)
                full[np.flatnonzero(~keep)] = found if math.isinf(rho) else found * (rho / (rho + by.eps))
        return f, g

    def differentiable(self, result: Transport, solution: Solution, home: Home, inputs: tuple) -> Transport:
        """The result with the gradients of its objective: that in C is the plan."""
        if not autograd.wants_gradient(*inputs):
            return result
        weights = self.at_fixed_mass(*self.weight_gradients(solution.proof))
        plan = result.plan.toarray(force=True) if autograd.wants_gradient(inputs[0]) else None
        plan = None if plan is None else devices.beside(self.matrix, plan)
        return _attached(result, home, zip(inputs, (plan, *weights)))


def _point_costs(x: Array, y: Array, cost: Cost) -> PointSoftCosts:
    return (DevicePointSoftCosts if devices.is_on_gpu(x) else PointSoftCosts)(x, y, cost)


def _matrix_costs(matrix: Array) -> MatrixSoftCosts:
    return (DeviceMatrixSoftCosts if devices.is_on_gpu(matrix) else MatrixSoftCosts)(matrix)


class Power:
    """Multiplication by 2^exponent that leaves float64 only where the product itself does."""

    def __init__(self, exponent: float) -> None:
        self._whole = math.floor(exponent)
        self._rest = 2.0 ** (exponent - self._whole)

    def __call__(self, value: Any) -> Any:
        scaled = np.ldexp(value * self._rest, self._whole)
        return float(scaled) if np.ndim(value) == 0 else scaled


def _attached(result: Transport, home: Home, pairs: Any) -> Transport:
    pairs = list(pairs)
    objective = autograd.attach(float(result.objective), home, pairs)
    value = autograd.refuse(float(result.value), home, [tensor for tensor, _ in pairs], NO_GRADIENT)
    return replace(result, objective=objective, value=value)


def _where(weights: Array, home: Home) -> str:
    if not devices.is_on_gpu(weights):
        return "host"
    return f"pairs on {devices.described(home.device)}, coarser clouds and the rounding of the plan on the host"


def shortfall(run: Run, tol: float, error: float) -> str:
    """Where a run ended above tol, and which knob to turn."""
    reached = f"marginal error {error:.1e} of the mass, above tol={tol:g}, after {run.n_iter} sweeps"
    return f"{run.message} at {reached}" if run.message else f"stopped at {reached}. Raise max_iter, eps or tol"
