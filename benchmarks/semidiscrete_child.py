"""One solver on one case of the semi-discrete benchmark, in a process of its own: JSON on stdin, JSON as last line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import cells64
import numpy as np
from child import peak_mb, repeated
from clouds import domain, sites
from semidiscrete_cases import COUNTED, PACKAGES, Map

COUNTS = 20  # repeats of the counting, within the time that child.repeated allows
SLACK = 1.1  # as in semidiscrete.py


def main() -> None:
    """Answer the request; an error of the solver ends the process with its traceback."""
    request = json.load(sys.stdin)
    task, solver, extra = request.pop("task"), request.pop("solver"), request.pop("extra", {})
    problem = Map(**request)
    for package in PACKAGES.get(solver, ()):
        import_module(package)
    baseline = peak_mb()
    answer = TASKS[task](solver, problem, sites(problem, extra.pop("codes", None)), **extra)
    print(json.dumps({**answer, "added_mb": answer["peak_mb"] - baseline}))


def newton(solver: str, problem: Map, y: np.ndarray) -> dict[str, Any]:
    """Best time of an exact fit; error_found: the largest relative error of a cell's mass, by Qhull.

    honest: where it says that it converged, its heights do have these masses, else it says why not.
    """
    answer, h, inside = _timed("newton", solver, problem, y)
    found = cells64.mass_error(y, h, inside, domain(y)) if np.isfinite(h).all() else {"error_found": float("inf")}
    said = found["error_found"] <= SLACK * problem.tol if answer["converged"] else bool(answer["warning"])
    return answer | found | {"finite": bool(np.isfinite(h).all()), "honest": said}


def monte_carlo(solver: str, problem: Map, y: np.ndarray, **options: Any) -> dict[str, Any]:
    """Best time of a fit; error_found: chi2 of its heights, on points that no solver has seen."""
    answer, h, _ = _timed("monte_carlo", solver, problem, y, **options)
    box, rng = domain(y), np.random.default_rng(2**32 + 1)

    def draw(k: int) -> np.ndarray:
        return box[:, 0] + rng.random((k, len(box))) * (box[:, 1] - box[:, 0])

    return answer | cells64.chi2(y, h, draw)


def _timed(
    task: str, solver: str, problem: Map, y: np.ndarray, **options: Any
) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    from semidiscrete_solvers import SOLVERS

    all_seconds, answer = repeated(SOLVERS[task, solver](y, domain(y), problem, **options))
    h, inside = np.asarray(answer.pop("h"), np.float64), answer.pop("inside", y)
    return {"seconds": min(all_seconds), "all_seconds": all_seconds, "peak_mb": peak_mb(), **answer}, h, inside


def counts(solver: str, problem: Map, y: np.ndarray) -> dict[str, Any]:
    """Best time of the counts of COUNTED points; error_found: the share of them that is in a wrong cell, at least."""
    from semidiscrete_solvers import COUNTERS

    y = y - y.mean(axis=0)
    x = (np.random.default_rng(1).random((COUNTED, problem.d)) - 0.5).astype(np.float32)
    h = -0.5 * np.einsum("ij,ij->i", y, y)
    run = COUNTERS[solver](x, y, h)
    run()
    all_seconds, found = repeated(run, COUNTS)
    answer = {"seconds": min(all_seconds), "all_seconds": all_seconds, "peak_mb": peak_mb()}
    if found is None:
        return answer
    return answer | {"error_found": float(np.abs(found - cells64.counts(x, y, h)).sum()) / (2 * COUNTED)}


TASKS: dict[str, Callable[..., dict[str, Any]]] = {"newton": newton, "monte_carlo": monte_carlo, "counts": counts}

if __name__ == "__main__":
    main()
