"""Semi-discrete maps by otgen and its peers.

Each takes targets y (n, d), the box (d, 2) of the source and the case, warms what can be, and returns the call that is
timed: no arguments, heights h of max_i <x, y_i> + h_i with what else is told: a point in each cell, cost, warning.
"""

# pyright: reportMissingImports=false
# The peers are an extra of their own, which the linters do not install.

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from semidiscrete_cases import Map

Solve = Callable[[], dict[str, Any]]
WARM_POINTS = 500  # every kernel is loaded, and what compiles has compiled
MOST_SECONDS = 900.0  # of a fit of otgen: it ends there, and says so
PLAIN_SECONDS = 240.0  # of the plain algorithm: more than the target's ratio needs
# Of POT as it comes: by its own default 10,000 steps of 32 points, a sixth of these.
POT_STEPS, POT_BATCH = 2_000, 1_024


def otgen_newton(y, box, problem: Map) -> Solve:
    """`otgen.SemiDiscreteOT`, method newton."""
    return _otgen(y, box, problem, method="newton")


def otgen_monte_carlo(y, box, problem: Map) -> Solve:
    """`otgen.SemiDiscreteOT`, method monte_carlo, with no tuning."""
    return _otgen(y, box, problem, method="monte_carlo", max_time=MOST_SECONDS)


def adam(y, box, problem: Map) -> Solve:
    """Algorithm 1 of the literature as otgen has it."""
    return _otgen(y, box, problem, method="monte_carlo", optimizer="adam", max_time=PLAIN_SECONDS)


def _otgen(y, box, problem: Map, **options: Any) -> Solve:
    import otgen

    def solve(points: np.ndarray, **changed: Any) -> dict[str, Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", otgen.ConvergenceWarning)  # told by converged_ and message_
            fit = otgen.SemiDiscreteOT("uniform", domain=box, **options | changed).fit(points)
        found = {"h": fit.heights_, "inside": fit.cell_centers_, "converged": fit.converged_, "n_iter": fit.n_iter_}
        found |= {"value": fit.value_.value} if fit.method_ == "newton" else {"told": fit.error_.chi2}
        return found | {"warning": None if fit.converged_ else fit.message_}

    solve(y[:WARM_POINTS], tol=max(problem.tol, 0.1 if options["method"] == "monte_carlo" else 0.0))
    return lambda: solve(y, tol=problem.tol)


def sdot(y, box, problem: Map) -> Solve:
    """The package `sdot`, whose tolerance is absolute: of masses 1 / n. It compiles at the first call of a machine."""
    import sdot

    def solve(points: np.ndarray) -> dict[str, Any]:
        source, target = sdot.SumOfDiracs(points), sdot.Box(box[:, 0], box[:, 1] - box[:, 0])
        found = sdot.ot_solve(source, target, tol=problem.tol / len(points), on_failure="ignore")
        h = 0.5 * (np.asarray(found.weights) - np.einsum("ij,ij->i", points, points))
        status = str(found.stats["status"])
        answer = {"h": h, "inside": np.asarray(found.barycenters), "value": float(np.asarray(found.cost))}
        return answer | {"converged": "converged" in status, "warning": None if "converged" in status else status}

    for _ in range(2):  # whole: it traces anew for every size, and its second call is slower than the third too
        solve(y)
    return lambda: solve(y)


def pot_tuned(y, box, problem: Map, steps: int) -> Solve:
    """POT with what served it best by hand at n = 1,000, d = 2: no eps, steps that begin at n / 1000.

    200 steps of 1,024 points: chi2 0.02, where steps that begin at sqrt(n 1024), as it has them, gave 50, and eps 0.3.
    """
    return pot(y, box, problem, steps, lr0=len(y) / 1_000, decreasing_reg=False)


def pot(y, box, problem: Map, most: int = POT_STEPS, **options: Any) -> Solve:
    """`ot.semidiscrete.solve_semidiscrete`: averaged stochastic gradients at decreasing eps.

    Its potential g has the cells of |x - y|^2 - g, so that h = (g - |y|^2) / 2. It knows no tolerance.
    """
    from ot.semidiscrete import solve_semidiscrete

    rng = np.random.default_rng(0)

    def draw(k: int) -> np.ndarray:
        return box[:, 0] + rng.random((k, len(box))) * (box[:, 1] - box[:, 0])

    sampler: Any = draw  # annotated as a name

    def solve(steps: int) -> dict[str, Any]:
        g = solve_semidiscrete(y, sampler, max_iter=steps, batch_size=POT_BATCH, **options)
        return {"h": 0.5 * (g - np.einsum("ij,ij->i", y, y)), "steps": steps}

    solve(1)
    return lambda: solve(most)


SOLVERS: dict[tuple[str, str], Callable[..., Solve]] = {
    ("newton", "otgen"): otgen_newton,
    ("newton", "sdot"): sdot,
    ("monte_carlo", "otgen"): otgen_monte_carlo,
    ("monte_carlo", "Adam"): adam,
    ("monte_carlo", "POT"): pot,
    ("monte_carlo", "POT tuned"): pot_tuned,
}


def otgen_counts(x, y, h) -> Callable[[], np.ndarray | None]:
    """The points x in each cell, by the kernel of Monte Carlo."""
    from otgen_kernels import Cells

    cells = Cells(y, x.mean(axis=0))
    return lambda: cells.counts(x, h)


def sgemm(x, y, h) -> Callable[[], np.ndarray | None]:
    """The product of the same points in float32, into a buffer that is kept."""
    room = np.empty((len(x), len(y)), np.float32)
    sites = y.astype(np.float32)

    def product() -> None:
        np.matmul(x, sites.T, out=room)

    return product


COUNTERS: dict[str, Callable[..., Callable[[], np.ndarray | None]]] = {"otgen": otgen_counts, "SGEMM": sgemm}
