"""Many entropic problems of one shape at once: (B, n, d) against (B, m, d), each with its own convergence."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import otgen_kernels as kernels

from .. import autograd, devices
from ..arrays import Home, home_beside, library_of
from ..batches import read_batch_weights, read_batches
from .annealing import Run
from .costs import Cost, check_domain, diameter
from .entropic_problem import NO_GRADIENT, REACH, PointProblem, Power, Solution
from .iteration import Potentials, dual_value
from .potentials import centred
from .regularisation import COARSEST, DEFAULT_TOL, DIVERGENCE_TOL, Regularisation, check_reach, read_stopping
from .result import Transport, warn
from .rounding import Proof

Array = np.ndarray
EPS = float(np.finfo(np.float64).eps)

SMALL_PAIRS = 2**20
"""Pairs of one problem, 8 MB of costs, up to which it is solved whole by one thread beside the others."""


@dataclass(frozen=True, eq=False, repr=False)
class TransportBatch:
    """The results of B problems: batch[k] is the Transport of the k-th, and every figure is an array over them.

    value, objective, dual_value, gap, lower_bound, upper_bound, marginal_error, scale (B,), as in Transport
    potentials     f (B, n) and g (B, m);  converged (B,) bool;  n_iter (B,) int

    In the user's library; objective is differentiable for torch tensors, in points and weights.
    """

    value: Any
    objective: Any
    dual_value: Array
    gap: Array
    lower_bound: Any
    upper_bound: Any
    marginal_error: Array
    scale: Array
    potentials: tuple[Any, Any]
    n_iter: Array
    converged: Array
    tol: float
    cost: Cost
    eps: float
    unbalanced: tuple[float, float] | None
    _one: Any = field(default=None)

    def __len__(self) -> int:
        return len(self.converged)

    def __getitem__(self, k: int) -> Transport:
        if isinstance(k, bool) or not isinstance(k, (int, np.integer)):
            raise TypeError(
                f"a batch is indexed by one int; got {k!r}. Index its arrays, such as batch.value, for more."
            )
        if not -len(self) <= k < len(self):
            raise IndexError(f"this batch holds {len(self)} problems; got index {k}.")
        one = self._one(k % len(self))
        if library_of(self.value) == "torch":  # with their gradients
            one = replace(one, value=self.value[k], objective=self.objective[k])
        return one

    def __iter__(self) -> Iterator[Transport]:
        return (self[k] for k in range(len(self)))

    def __repr__(self) -> str:
        return (
            f"TransportBatch of {len(self):,} problems, cost {self.cost}, eps {self.eps:g}: "
            f"{int(self.converged.sum()):,} converged, marginal error up to "
            f"{float((self.marginal_error / self.scale).max()):.1e} of the mass"
        )


class Batch:
    """B problems between clouds, at about unit size by a power of two."""

    def __init__(
        self, x: Array, y: Array, a: Array, b: Array, cost: Cost, by: Regularisation, home: Home,
        unit: int | None = None,
    ) -> None:  # fmt: skip
        self.x, self.y, self.a, self.b, self.cost, self.by, self.home = x, y, a, b, cost, by, home
        if unit is None:
            unit = _unit_of(x, y, cost)
        self.unit = unit
        self.exponent, self.per_length = unit * cost.p, unit * (cost.p - 1.0)
        self.points = _times_two_to(-unit, x), _times_two_to(-unit, y)
        self.scaled = Regularisation(*(Power(-self.exponent)(value) for value in (by.eps, by.rho_a, by.rho_b)))
        self.options = {"metric": cost.metric, "p": cost.p, "eps": self.scaled.eps}

    def solve(self, tol: float, max_iter: int) -> tuple[Array, Array, Array]:
        """Potentials f (B, n), g (B, m) and, on the host, figures (B, 9), at unit size."""
        if self.a.shape[1] * self.b.shape[1] > SMALL_PAIRS:
            return self._one_by_one(tol, max_iter)
        symmetric = self.scaled.rho_a == self.scaled.rho_b and all(
            one.shape == other.shape and bool(np.array_equal(one, other))
            for one, other in ((self.x, self.y), (self.a, self.b))
        )
        f, g, figures = kernels.sinkhorn_batch(
            *self.points, self.a, self.b, rho_a=self.scaled.rho_a, rho_b=self.scaled.rho_b,
            tol=tol, max_iter=max_iter, symmetric=symmetric, **self.options,
        )  # fmt: skip
        return f, g, devices.fetch(figures)

    def _one_by_one(self, tol: float, max_iter: int) -> tuple[Array, Array, Array]:
        """The same where one problem is large enough for all threads."""
        f, g, figures = np.empty_like(self.a), np.empty_like(self.b), np.full((len(self.a), 9), np.nan)
        for k in range(len(self.a)):
            problem = self.problem(k, self.points, self.scaled)
            found, up = problem.solve(None, tol, max_iter, None, self.home.dtype), Power(problem.exponent)
            proof = found.proof
            f[k], g[k] = (up(potential) for potential in problem.extended(proof))
            figures[k, :4] = up(np.array([proof.value, proof.objective, proof.dual_value, proof.gap]))
            if proof.lower_bound is not None:
                figures[k, 5:7] = up(np.array([proof.lower_bound, proof.upper_bound]))
            figures[k, [4, 7, 8]] = proof.marginal_error, found.run.n_iter, found.scale
        return f, g, figures

    def problem(self, k: int, points: tuple[Array, Array], by: Regularisation) -> PointProblem:
        """The k-th problem by itself."""
        return PointProblem(points[0][k], points[1][k], self.a[k], self.b[k], self.cost, by)

    def reach(self) -> float:
        """The error that float64 can be trusted to tell at this eps, under the largest cost within a problem."""
        cost, (x, y) = self.cost, self.points
        lengths = [diameter(cost.metric, *clouds) for clouds in zip(x, y)]
        return REACH * EPS * (16.0 + math.log2(math.e) * max(lengths) ** cost.p / self.scaled.eps)

    def dual(self, f: Array, g: Array) -> Array:
        """The dual values of any potentials, at unit size: lower bounds of the optima."""
        masses = devices.fetch(kernels.plan_mass_batch(*self.points, self.a, self.b, f, g, **self.options))
        f, g = np.where(self.a > 0, f, 0.0), np.where(self.b > 0, g, 0.0)
        count = range(len(masses))
        return np.array([dual_value(self.a[k], self.b[k], f[k], g[k], masses[k], self.scaled) for k in count])

    def gradients(self, f: Array, g: Array) -> tuple[Array, Array]:
        """Gradients of the objectives in x and y."""
        (x, y), up = self.points, Power(self.per_length)
        by_x = kernels.sinkhorn_batch_gradient(x, y, self.a, self.b, f, g, **self.options)
        by_y = kernels.sinkhorn_batch_gradient(y, x, self.b, self.a, g, f, **self.options)
        return up(by_x), up(by_y)

    def weight_gradients(self, f: Array, g: Array) -> tuple[Array, Array]:
        """Gradients of the objectives in a and b, masses free to change."""
        by, up = self.scaled, Power(self.exponent)
        by_a = by.weight_gradient(f, by.rho_a, self.b.sum(1, keepdims=True))
        by_b = by.weight_gradient(g, by.rho_b, self.a.sum(1, keepdims=True))
        return up(by_a), up(by_b)

    def at_fixed_mass(self, by_a: Array, by_b: Array) -> tuple[Array, Array]:
        """Weight gradients centred, problem by problem, where both masses must move together."""
        if not self.by.balanced:
            return by_a, by_b
        pairs = ((by_a, self.a), (by_b, self.b))
        one, other = (np.stack([centred(g, w) for g, w in zip(*pair)]) for pair in pairs)
        return one, other

    def transports(self, solved: tuple[Array, Array, Array], tol: float, inputs: tuple) -> TransportBatch:
        """The results in the user's units, warning once where some did not converge."""
        f, g, figures = solved
        up, home, (value, objective, dual, gap, error, lower, upper, sweeps, mass) = (
            Power(self.exponent), self.home, figures.T
        )  # fmt: skip
        converged = error <= tol * mass
        warn_of(converged, error / mass, tol)

        bounded = self.by.balanced
        given = self.x.copy(), self.y.copy()  # batch[k] must not change when the user refills a buffer

        def one(k: int) -> Transport:
            problem = self.problem(k, given, self.by)
            to_own = Power(self.exponent - problem.exponent)
            proof = Proof(
                f=to_own(f[k][problem.keep_x]),
                g=to_own(g[k][problem.keep_y]),
                value=to_own(value[k]),
                objective=to_own(objective[k]),
                dual_value=to_own(dual[k]),
                gap=to_own(gap[k]),
                marginal_error=float(error[k]),
                lower_bound=to_own(lower[k]) if bounded else None,
                upper_bound=to_own(upper[k]) if bounded else None,
            )
            run = Run(Potentials(proof.f, proof.g), int(sweeps[k]), "")
            return problem.transport(Solution(proof, run, tol, float(mass[k])), home)

        batch = TransportBatch(
            value=home.array(up(value)), objective=home.array(up(objective)), dual_value=up(dual), gap=up(gap),
            lower_bound=up(lower) if bounded else None, upper_bound=up(upper) if bounded else None,
            marginal_error=error, scale=mass,
            potentials=(home.array(up(f), f.dtype), home.array(up(g), g.dtype)), n_iter=sweeps.astype(np.int64),
            converged=converged, tol=tol, cost=self.cost, eps=self.by.eps,
            unbalanced=None if bounded else (self.by.rho_a, self.by.rho_b), _one=one,
        )  # fmt: skip
        if not autograd.wants_gradient(*inputs):
            return batch
        weights = self.at_fixed_mass(*self.weight_gradients(f, g))
        pairs = list(zip(inputs, (*self.gradients(f, g), *weights)))
        return replace(
            batch,
            objective=autograd.attach(up(objective), home, pairs, batched=True),
            value=autograd.refuse(up(value), home, inputs, NO_GRADIENT),
        )


def _unit_of(x: Array, y: Array, cost: Cost) -> int:
    check_domain(cost, x, y)
    clouds = x.reshape(-1, x.shape[2]), y.reshape(-1, y.shape[2])
    largest = 0.0 if cost.metric == "cosine" else diameter(cost.metric, *clouds)
    return 4 * round(math.frexp(largest)[1] / 4) if largest > 0 else 0  # 2^(unit p) is exact for the usual p


def _times_two_to(exponent: int, x: Array) -> Array:
    return np.ldexp(x.astype(np.float64), exponent).astype(x.dtype) if exponent else x


def warn_of(converged: Array, error: Array, tol: float) -> None:
    """One warning for all the problems that did not reach tol."""
    if not converged.all():
        missed = int((~converged).sum())
        message = (
            f"{missed} of {len(converged)} problems stopped at marginal errors up to {float(error.max()):.1e} of the "
            f"mass, above tol={tol:g}. Raise max_iter, eps or tol"
        )
        warn(message)


def read_batch(
    x: Any, y: Any, a: Any, b: Any, cost: Cost, by: Regularisation, tol: Any, max_iter: Any,
    default: dict[np.dtype, float] = DEFAULT_TOL,
) -> tuple[Batch, float, int, tuple]:  # fmt: skip
    """Validate a batch; its inputs, weights (n,) spread over the problems, are what gradients are attached to."""
    x_host, y_host, home = read_batches(x, y)
    shape = (len(x_host), x_host.shape[1], y_host.shape[1])
    a_host, b_host = read_batch_weights(a, b, shape, unequal=not by.balanced, x=x, y=y)
    home = home_beside(home, a=a, b=b)
    given, (tol, max_iter) = tol, read_stopping(tol, max_iter, None, home.dtype, default)
    batch = Batch(x_host, y_host, a_host, b_host, cost, by, home)
    reach = batch.reach() if 0.0 < batch.scaled.eps < math.inf else math.inf
    if given is None and reach <= COARSEST:
        tol = max(tol, reach)
    check_reach(tol, reach, by.eps)
    spread = [w.expand(shape[0], -1) if library_of(w) == "torch" and w.ndim == 1 else w for w in (a, b)]
    return batch, tol, max_iter, (x, y, *spread)


def sinkhorn_batch(
    x: Any, y: Any, a: Any, b: Any, cost: Cost, by: Regularisation, tol: Any, max_iter: Any
) -> TransportBatch:
    """`sinkhorn` of x (B, n, d) and y (B, m, d), with a (B, n) or (n,) and b (B, m) or (m,)."""
    batch, tol, max_iter, inputs = read_batch(x, y, a, b, cost, by, tol, max_iter)
    return batch.transports(batch.solve(tol, max_iter), tol, inputs)


def divergence_batch(x: Any, y: Any, a: Any, b: Any, cost: Cost, by: Regularisation, tol: Any, max_iter: Any) -> Any:
    """`sinkhorn_divergence` of every problem: (B,)."""
    batch, tol, max_iter, inputs = read_batch(x, y, a, b, cost, by, tol, max_iter, DIVERGENCE_TOL)
    f, g, figures = batch.solve(tol, max_iter)
    errors, alone = [figures[:, 4] / figures[:, 8]], []
    for points, weights, rho in ((batch.x, batch.a, by.rho_a), (batch.y, batch.b, by.rho_b)):
        by_itself = Regularisation(by.eps, rho, rho)
        own = Batch(points, points, weights, weights, cost, by_itself, batch.home, batch.unit)
        one, other, found = own.solve(tol, max_iter)
        errors.append(found[:, 4] / found[:, 8])
        shared = 0.5 * (one + other)  # x = y: both sides have one potential
        alone.append((own, shared, own.dual(shared, shared)))
    error = np.max(errors, axis=0)
    warn_of(error <= tol, error, tol)
    (_, f_alone, dual_x), (_, g_alone, dual_y) = alone
    # With the two terms' own potentials S is a squared norm, never below 0 (Feydy et al.).
    joint = np.maximum(figures[:, 2], batch.dual(f_alone, g_alone))
    lack = batch.a.sum(1) - batch.b.sum(1)
    value = Power(batch.exponent)(joint - 0.5 * (dual_x + dual_y)) + 0.5 * by.eps * devices.fetch(lack) ** 2
    if not autograd.wants_gradient(*inputs):
        return batch.home.array(value)
    points = [
        together - own.gradients(shared, shared)[0] for together, (own, shared, _) in zip(batch.gradients(f, g), alone)
    ]
    weights = []
    for together, (own, shared, _), sign in zip(batch.weight_gradients(f, g), alone, (1.0, -1.0)):
        by_itself = 0.5 * sum(own.weight_gradients(shared, shared))
        weights.append(together - by_itself + sign * by.eps * lack[:, None])
    pairs = zip(inputs, (*points, *batch.at_fixed_mass(*weights)))
    return autograd.attach(value, batch.home, pairs, batched=True)
