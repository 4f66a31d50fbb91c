"""Heights of a Brenier potential by Monte Carlo, in any dimension."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .brenier_adam import AdamFit
from .brenier_fit import NewtonFit
from .brenier_run import MonteCarloRun as MonteCarloRun
from .brenier_run import Problem, Source
from .cell_error import Chi2


def fit_monte_carlo(
    y: np.ndarray, nu: np.ndarray, source: Source, *, start: np.ndarray | None = None, optimizer: str | None = None,
    tol: float, seed: int, max_time: float | None = None, max_samples: int | None = None,
    progress: Callable[[dict[str, Any]], None] | None = None,
    checkpoint: Callable[[dict[str, Any]], None] | None = None,
    state: dict[str, Any] | None = None,
) -> MonteCarloRun:  # fmt: skip
    """Find h such that the cells of u_h(x) = max_i <x, y_i> + h_i have the masses nu: chi2 <= tol on fresh samples.

    y (n, d) are distinct rows of order 1, nu (n,) > 0 sums to 1. optimizer None is `brenier_fit`, "adam" the source
    lecture's Algorithm 1. start (n,) replaces the start. Arrays of CuPy are worked on where they are, start being of
    CuPy too. The answer is the same for a seed on any number of threads, and of one on every GPU of a kind;
    checkpoint(state) is called every half minute, at the end of a chunk of samples, and state= goes on from there.
    Ends unconverged, with a message that says what was reached, at max_time seconds, max_samples or an interrupt.
    """
    if len(nu) == 1:
        h = np.zeros_like(nu, dtype=np.float64)
        return MonteCarloRun(h, Chi2(0.0, 0.0, 0.0, 0, 0), True, "one target is the constant map", 0, 0, [])
    problem = Problem(
        y.astype(np.float64, copy=False), nu.astype(np.float64, copy=False), source, tol, seed,
        np.inf if max_time is None else max_time, np.inf if max_samples is None else max_samples, progress, checkpoint,
    )  # fmt: skip
    fit = AdamFit(problem, start) if optimizer == "adam" else NewtonFit(problem, start)
    if state is not None:
        fit.restore(state)
    return fit.run()
