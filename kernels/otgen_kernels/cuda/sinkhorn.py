"""Sinkhorn's iteration on the GPU: sweeps that are started one after the other, their decisions made on the device."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from . import device

THREADS = 256
MOST_PARTS = 128
"""Blocks of a kernel, each with its part of every sum."""

MEMORY = 5
"""Secant pairs, as in sinkhorn.cuh."""

SUMS = 13
"""Sums of a sweep's columns, as in sinkhorn.cu: five, and four for the mass that each side asks for."""

PRODUCTS = 1 + 2 * (MEMORY - 1)

CONVERGED = 1.0
"""What State.done is where the error is at most tol; another number where the arithmetic is at its end."""


class State(NamedTuple):
    """What sinkhorn.cuh knows of the iteration, in its order."""

    value: float
    best: float
    since: float
    error: float
    attained: float
    pairs: float
    first: float
    plain: float
    rejected: float
    done: float


START = State(-math.inf, math.inf, 0.0, math.inf, -math.inf, *[0.0] * 5)


class Rules(NamedTuple):
    """When a point is kept and when the iteration ends; eps and potentials are on the costs' scale.

    tol: the error that ends it. floor: the error below which `patience` sweeps without a tenth less of it end it too.
    noise: the share of the semi-dual that its own sums may be off by. radius: eps that an accelerated step may go.
    """

    tol: float
    floor: float
    patience: int
    noise: float
    radius: float


class Sinkhorn:
    """The iteration between weights a (n,) and b (m,) from the potential g (m,), a sweep at a time.

    soft has the transforms, options are theirs. After a sweep f (n,) and plain (m,) are its potentials; of a symmetric
    problem (a is b) g is, or plain where state.plain says so. What is started after the end changes nothing.
    """

    def __init__(
        self, soft: Any, a: Any, b: Any, f: Any, g: Any, *, eps: float, rho: tuple[float, float], rules: Rules,
        symmetric: bool, options: dict[str, Any],
    ) -> None:  # fmt: skip
        self._soft, self._a, self._b, self._eps, self._rho, self._rules = soft, a, b, eps, rho, rules
        self._symmetric, self._options = symmetric, options
        self._damp = tuple(1.0 if math.isinf(each) else each / (each + eps) for each in rho)
        self._shifted = not symmetric and any(math.isfinite(each) for each in rho)
        self._mass = float(a.sum()), float(b.sum())
        cupy, n, m = device.namespace(), len(a), len(b)
        self.f, self.g, self.plain = f.copy(), g.copy(), g.copy()
        self._log_a, self._log_b = eps * np.log(a), eps * np.log(b)
        self._h_a, self._h_b = cupy.empty(n), g + self._log_b
        self._there, self._back = f / self._damp[0], g / self._damp[1]
        self._last, self._residual, self._x, self._v = (cupy.empty(m) for _ in range(4))
        self._p, self._q = cupy.empty((MEMORY, m)), cupy.empty((MEMORY, m))
        self._blocks = min(-(-max(n, m) // THREADS), MOST_PARTS)
        self._sums, self._products, self._norms, self._lengths = (
            cupy.empty((count, self._blocks)) for count in (SUMS, PRODUCTS, 2, 1)
        )
        self._states = cupy.empty((4, len(State._fields)))
        self._states[3] = cupy.asarray(START)
        self._program = device.Program("sinkhorn")

    def sweep(self) -> device.Posted:
        """Start a sweep; returns its State on its way to the host."""
        a, b, rules, damp = self._a, self._b, self._rules, self._damp
        n, m, eps, rho, latest = len(a), len(b), self._eps, self._rho, 3
        if self._symmetric:
            self._back = self._soft.transform(0, self._h_b, eps, self._back, **self._options)
            f = self.g
        else:
            self._there = self._soft.transform(0, self._h_b, eps, self._there, **self._options)
            self._start("sum_rows", self._there, self.g, a, b, n, m, damp[0], *rho, self._states[3], self._sums)
            self._start(
                "accept_point", self._there, self._log_a, self._log_b, n, m, damp[0], eps, rules.noise, self._states[3],
                self._sums, self.f, self._h_a, self.g, self.plain, self._h_b, self._states[0],
            )  # fmt: skip
            self._back = self._soft.transform(1, self._h_a, eps, self._back, **self._options)
            f, latest = self.f, 0
        back, state = self._back, self._states[latest]
        self._start(
            "sum_columns", back, f, self.g, a, b, n, m, damp[1], eps, *rho, self._shifted, state, self._sums
        )  # fmt: skip
        self._start(
            "learn", back, b, n, m, damp[1], eps, *rho, *self._mass, self._symmetric, self._shifted, rules.tol,
            rules.floor, rules.patience, self._log_b, state, self._sums, self._q, self.f, self.g, self._h_b, self.plain,
            self._last, self._residual, self._x, self._v, self._products, self._states[1],
        )  # fmt: skip
        self._start(
            "orthogonalise", b, m, self._states[1], self._products, self._p, self._q, self._residual, self._x, self._v,
            self._norms,
        )  # fmt: skip
        self._start(
            "make_step", m, self._states[1], self._products, self._norms, self._residual, self._v, self._p, self._q,
            self._x, self._lengths, self._states[2],
        )  # fmt: skip
        self._start(
            "move_point", m, eps, rules.radius, self._log_b, self._states[2], self._lengths, self._x, self.g, self._h_b,
            self._states[3],
        )  # fmt: skip
        return device.Posted(self._states[3])

    def _start(self, kernel: str, *arguments: Any) -> None:
        self._program(kernel, (self._blocks,), (THREADS,), *arguments)
