"""Sinkhorn's iteration on a GPU: the kernels decide, and the host hears of a sweep while the next one runs."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

from otgen_kernels import gpu

from .iteration import NOISE, RADIUS, SINGLE_NOISE, STALLED, Array, Potentials, Sweeps
from .regularisation import Regularisation

SMALL = 2**30
"""Pairs up to which a sweep is started before the last one is known: by count, not measured, one in vain costs less
than to wait each time."""


def iterate(
    soft: Any, a: Array, b: Array, by: Regularisation, start: Potentials, sweeps: Sweeps, *, symmetric: bool
) -> Potentials:
    """What `iteration.iterate` and `iterate_symmetric` do, for arrays of CuPy: the same rules, up to rounding."""
    rules = gpu.Rules(
        tol=sweeps.tol,
        floor=100.0 * soft.rounding(by.eps, sweeps.single),
        patience=STALLED,
        noise=SINGLE_NOISE if sweeps.single else NOISE,
        radius=math.inf if symmetric else RADIUS,
    )
    g = start.f if symmetric else start.g
    run = gpu.Sinkhorn(
        soft, a, b, start.f, g, eps=by.eps, rho=(by.rho_a, by.rho_b), rules=rules, symmetric=symmetric,
        options={"single": sweeps.single, "bits": sweeps.bits()},
    )  # fmt: skip
    ahead = 1 if len(a) * len(b) <= SMALL else 0
    posted, found, state = deque(), Potentials(start.f, g), gpu.START
    try:
        for sweep in range(sweeps.most + ahead):
            if sweep < sweeps.most:
                posted.append(run.sweep())
            if sweep < ahead:
                continue
            state = gpu.State(*map(float, posted.popleft().read()))
            if symmetric or not state.rejected:
                f, g = (run.g, run.g) if symmetric else (run.f, run.plain)
                found = Potentials(f, g, state.error, state.attained)
                sweeps.report(sweep - ahead + 1, found)
            if state.done:
                break
    finally:
        for late in posted:  # on its way into memory that is given back here
            late.read()
    if symmetric:
        last = run.plain if state.plain and state.done != gpu.CONVERGED else run.g
        found = Potentials(last, last, state.error, state.attained)
    return found
