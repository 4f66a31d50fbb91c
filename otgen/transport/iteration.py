"""Sinkhorn's iteration at one eps, accelerated, and guarded by what it is certain to increase.

The sweep g -> S(g) = T'(T(g)) of two soft c-transforms has, near its fixed point, a Jacobian that is self-adjoint and
in [0, 1) in <u, v> = sum_j b_j u_j v_j. So Anderson's mixing with secant pairs kept orthonormal in that inner product
is a conjugate-residual method with a short memory. Every accelerated point is tested on the concave semi-dual, which is
known after its first half-step; one that lowers it costs that half-step, and the plain point, an ascent by theorem,
takes its place. The marginal error of a sweep comes free with its second half-step.

Sources: Peyre and Cuturi, Computational Optimal Transport (2019), chapter 4; Anderson, J. ACM 12 (1965); the common
shift of unbalanced potentials: Sejourne, Vialard and Peyre, arXiv 2201.00730; symmetric updates: Feydy et al.,
arXiv 1810.08278.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .regularisation import Regularisation, asked

Array = np.ndarray

MEMORY = 5  # secant pairs: more measured no better
RADIUS = 3.0  # eps that an accelerated step may move a potential: 2 and 5 measured much slower on some problems each
NOISE, SINGLE_NOISE = 1e-13, 1e-7  # share of the semi-dual that its own sums may be off by
STALLED = 25  # sweeps without a tenth less error after which the arithmetic, not the iteration, is at its end


@dataclass
class Potentials:
    """f (n,) and g (m,) on the cost's scale, and the marginal error, a share of the mass, that they were left with.

    value is a dual value that the last sweep came to, in the precision of its arithmetic.
    """

    f: Array
    g: Array
    error: float = math.inf
    value: float = -math.inf


@dataclass(frozen=True)
class Sweeps:
    """How an iteration is to be run: until `tol`, for at most `most` sweeps, in float32 if `single`.

    report is told the number of every sweep and what it came to: an interrupt from there loses nothing.
    """

    tol: float
    most: int
    single: bool
    report: Callable[[int, Potentials], None]

    def bits(self) -> float | None:
        """The share of a sum that skipped pairs may have: a tenth of tol."""
        return max(-math.log2(self.tol) + 3.4, 14.0) if self.single else None


class Secants:
    """At most MEMORY pairs (x, v), v the change of the residual along x, the v orthonormal in <u, v> = sum b u v."""

    def __init__(self, weights: Array) -> None:
        self._weights = weights
        self.clear()

    def clear(self) -> None:
        """Forget: the point has been moved by something else."""
        self._pairs: list[tuple[Array, Array]] = []
        self._last: tuple[Array, Array] | None = None

    def __bool__(self) -> bool:
        return bool(self._pairs)

    def add(self, point: Array, residual: Array) -> None:
        """Learn from the residual at a point."""
        if self._last is not None:
            self._pairs = self._pairs[1 - MEMORY :]
            while not self._add(point - self._last[0], residual - self._last[1]) and self._pairs:
                self._pairs = self._pairs[1:]  # what old pairs explain in full is known better by now
        self._last = point, residual

    def _add(self, x: Array, v: Array) -> bool:
        size = self._norm(v)
        for p, q in self._pairs:
            along = self._weights @ (q * v)
            x, v = x - along * p, v - along * q
        norm = self._norm(v)
        if not norm > max(1e-6 * size, 0.0):
            return False
        self._pairs = [*self._pairs, (x / norm, v / norm)]
        return True

    def step(self, residual: Array) -> Array:
        """The step that cancels what the pairs explain of the residual; the residual itself where there are none."""
        out = residual.copy()
        for p, q in self._pairs:
            out -= (self._weights @ (q * residual)) * (p + q)
        return out

    def _norm(self, v: Array) -> float:
        return math.sqrt(self._weights @ v**2)


def iterate(soft: Any, a: Array, b: Array, by: Regularisation, start: Potentials, sweeps: Sweeps) -> Potentials:
    """Sweep from start.g until the error is at most tol; returns the last f with the g that follows it."""
    eps = by.eps
    log_a, log_b = eps * np.log(a), eps * np.log(b)
    damp_a, damp_b = (1.0 if math.isinf(rho) else rho / (rho + eps) for rho in (by.rho_a, by.rho_b))
    mass = float(b.sum())
    secants, plain, value = Secants(b), None, -math.inf
    options = {"single": sweeps.single, "bits": sweeps.bits()}
    f, g, there, back = start.f, start.g, start.f / damp_a, start.g / damp_b
    error, best, since, attained = math.inf, math.inf, 0, -math.inf
    new = g
    for sweep in range(sweeps.most):
        rough = sweep == 0  # the potentials of another eps, or of another level
        there = soft.transform(0, g + log_b, eps, there, rough=rough, **options)
        f = damp_a * there
        dual, size = _semi_dual(a, b, f, g, by)
        noise = SINGLE_NOISE if sweeps.single else NOISE
        if plain is not None and not dual >= value - noise * size:
            g, plain = plain, None
            secants.clear()
            continue
        value = dual
        back = soft.transform(1, f + log_a, eps, back, rough=rough, **options)
        error = _column_error(b, g, back, by)
        new = damp_b * back
        attained = answered_value(a, b, f, new, by)
        if not by.balanced:
            shift = _common_shift(a, b, f, new, by)
            f, new = f + shift, new - shift
        sweeps.report(sweep + 1, Potentials(f, new, error, attained))
        if error <= sweeps.tol:
            break
        best, since = (error, 0) if error < 0.9 * best else (best, since + 1)
        if since >= STALLED and error < 100.0 * soft.rounding(eps, sweeps.single):
            break
        residual = new - g
        if by.balanced:
            residual -= b @ residual / mass  # a constant changes nothing
        secants.add(g, residual)
        step = secants.step(residual)
        length = float(np.abs(step).max()) / eps
        if length > RADIUS and secants:
            step *= RADIUS / length
        g, plain = g + step, new
    return Potentials(f, new, error, attained)


def dual_value(a: Array, b: Array, f: Array, g: Array, mass: float, by: Regularisation) -> float:
    """The dual value of any (f, g) whose plan has this mass.

    A(f) + B(g) - eps (mass - m(a) m(b)), with A(f) = <a, f>, or rho m(a) - rho <a, exp(-f / rho)> where unbalanced.
    """
    value = -by.eps * (mass - float(a.sum()) * float(b.sum()))
    for weights, potential, rho in ((a, f, by.rho_a), (b, g, by.rho_b)):
        value += float(weights @ (potential if math.isinf(rho) else -rho * np.expm1(-potential / rho)))
    return value


def answered_value(a: Array, b: Array, f: Array, g: Array, by: Regularisation) -> float:
    """The dual value of (f, g) where g answers f: the plan has the mass that the columns ask for."""
    return dual_value(a, b, f, g, float(b @ asked(g, by.rho_b)), by)


def _semi_dual(a: Array, b: Array, f: Array, g: Array, by: Regularisation) -> tuple[float, float]:
    """The dual value where f answers g, up to a constant, and the size of what is summed."""
    if by.balanced:
        return float(a @ f + b @ g), float(a @ np.abs(f) + b @ np.abs(g))
    rows = float((a * asked(f, by.rho_a)).sum())
    value, size = -by.eps * rows, by.eps * rows
    for weights, potential, rho in ((a, f, by.rho_a), (b, g, by.rho_b)):
        # expm1: where rho is large, 1 - exp(-f / rho) would keep nothing of what one step adds.
        terms = potential if math.isinf(rho) else -rho * np.expm1(np.minimum(-potential / rho, 50.0))
        value += float(weights @ terms)
        size += float(weights @ np.abs(terms))
    return value, size


def _column_error(b: Array, g: Array, back: Array, by: Regularisation) -> float:
    """sum_j |column sum - what it should be| as a share of what they should be in all."""
    wanted = asked(g, by.rho_b)
    found = np.exp(np.minimum((g - back) / by.eps, 50.0))
    return float(b @ np.abs(found - wanted) / (b @ wanted))


def _common_shift(a: Array, b: Array, f: Array, g: Array, by: Regularisation) -> float:
    """t for which (f + t, g - t), of the same plan, has the largest dual value: a closed form."""
    log_mass = []
    for weights, potential, rho in ((a, f, by.rho_a), (b, g, by.rho_b)):
        mass, least = float(weights.sum()), float(potential.min())
        if math.isinf(rho):
            log_mass.append(math.log(mass))
        elif max(-least, float(potential.max())) < rho:  # with all its digits where rho is large
            log_mass.append(math.log(mass) + math.log1p(float(weights @ np.expm1(-potential / rho)) / mass))
        else:
            log_mass.append(math.log(float(weights @ np.exp(-(potential - least) / rho))) - least / rho)
    return (log_mass[0] - log_mass[1]) / (1.0 / by.rho_a + 1.0 / by.rho_b)


def iterate_symmetric(soft: Any, a: Array, by: Regularisation, start: Potentials, sweeps: Sweeps) -> Potentials:
    """For x = y, a = b: f <- (f + T f) / 2, with secants; the error is of the same T f. One half-step a sweep."""
    eps = by.eps
    log_a = eps * np.log(a)
    damp = 1.0 if math.isinf(by.rho_a) else by.rho_a / (by.rho_a + eps)
    secants, plain, best, since = Secants(a), None, math.inf, 0
    options = {"single": sweeps.single, "bits": sweeps.bits()}
    f, back, error, attained = start.f, start.f / damp, math.inf, -math.inf
    for sweep in range(sweeps.most):
        back = soft.transform(0, f + log_a, eps, back, **options)
        error = _column_error(a, f, back, by)
        attained = answered_value(a, a, f, damp * back, by)
        sweeps.report(sweep + 1, Potentials(f, f, error, attained))
        if plain is not None and not error <= 2.0 * best:
            f, plain = plain, None
            secants.clear()
            continue
        best, since = (error, 0) if error < 0.9 * best else (best, since + 1)
        residual = 0.5 * (damp * back - f)
        if error <= sweeps.tol:
            return Potentials(f + residual, f + residual, error, attained)
        if since >= STALLED and error < 100.0 * soft.rounding(eps, sweeps.single):
            break
        secants.add(f, residual)
        plain = f + residual
        f = f + secants.step(residual)
    f = plain if plain is not None else f
    return Potentials(f, f, error, attained)
