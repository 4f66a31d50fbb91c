"""One solver on one case of the entropic benchmark, in a process of its own: JSON on stdin, JSON as last line."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import float64
import numpy as np
from child import peak_mb, repeated
from clouds import inputs
from entropic_cases import Regularised, packages

STEPS = 50  # half-steps at most, within the time that child.repeated allows
CHECKED_ROWS = 256


def main() -> None:
    """Answer the request; an error of the solver ends the process with its traceback."""
    request = json.load(sys.stdin)
    task, solver, extra = request.pop("task"), request.pop("solver"), request.pop("extra", {})
    problem = Regularised(**request)
    if "torch" in packages(solver):
        os.environ.pop("POT_BACKEND_DISABLE_PYTORCH", None)  # measure.py hides it from POT on NumPy
    for package in packages(solver):
        import_module(package)
    baseline = peak_mb()
    answer = TASKS[task](solver, problem, **extra)
    peak = answer.pop("peak_mb", None) or peak_mb()
    print(json.dumps({**answer, "peak_mb": peak, "added_mb": peak - baseline}))


def half_step(solver: str, problem: Regularised, potentials: str) -> dict[str, Any]:
    """Best time of a half-step; error_found: the worst of some rows against float64, as a part of eps."""
    from entropic_half_step import SOLVERS

    x, y, _, _ = inputs(problem)
    eps = problem.eps * float64.mean_cost(x, y)
    with np.load(potentials) as held:
        near, h = held["f"], held["g"] - eps * np.log(len(y))
    step = SOLVERS[solver](x, y, h, near, eps)
    step()  # compiles, where that is not done yet
    all_seconds, v = repeated(step, STEPS)
    answer = {"seconds": min(all_seconds), "all_seconds": all_seconds, "peak_mb": peak_mb()}
    if v is not None:
        exact = float64.soft_c_transform(x[:CHECKED_ROWS], y, h, eps)
        answer["error_found"] = float(np.abs(np.asarray(v)[:CHECKED_ROWS] - exact).max() / eps)
    return answer


def sinkhorn(solver: str, problem: Regularised) -> dict[str, Any]:
    """Best time of a solve; error_found: the L1 marginal error of its potentials in float64."""
    from entropic_sinkhorn import SOLVERS

    x, y, a, b = inputs(problem)
    eps = problem.eps * float64.mean_cost(x, y)
    all_seconds, answer = repeated(SOLVERS[solver](x, y, a, b, eps, problem.tol))
    peak = peak_mb()
    f, g = (np.asarray(answer.pop(name)) for name in ("f", "g"))
    found = {
        "finite": all(np.isfinite(v).all() for v in answer.values() if isinstance(v, int | float))
        and bool(np.isfinite(f if a is None else f[a > 0]).all() and np.isfinite(g if b is None else g[b > 0]).all()),
        "error_found": float64.marginal_error(x, y, a, b, f, g, eps),
    }
    return {"seconds": min(all_seconds), "all_seconds": all_seconds, **answer, **found, "peak_mb": peak}


def divergence(solver: str, problem: Regularised, scaling: float | None = None) -> dict[str, Any]:
    """Best time of a value with its gradient."""
    from entropic_divergence import SOLVERS

    x, y, _, _ = inputs(problem)
    eps = problem.eps * float64.mean_cost(x, y)
    all_seconds, answer = repeated(SOLVERS[solver](x, y, eps, scaling))
    return {"seconds": min(all_seconds), "all_seconds": all_seconds, **answer}


def robust(solver: str, problem: Regularised) -> dict[str, Any]:
    """A solve at the tolerance otgen chooses; honest: what it says of itself is what its potentials bear out."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # an overflow or a NaN that NumPy met on the way
        answer = sinkhorn(solver, problem)
    told, found = answer["marginal_error"], answer["error_found"]
    said = bool(answer["converged"]) != bool(answer["warning"])  # one of both, never neither
    return answer | {"honest": bool(said and found <= 1.5 * told + 1e-6)}


TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    "half-step": half_step,
    "sinkhorn": sinkhorn,
    "divergence": divergence,
    "robust": robust,
}

if __name__ == "__main__":
    main()
