"""otgen and its peers, as their users call them: one function for each task and solver.

Each imports its library and returns a call of (x, y, a, b) that answers with facts for the record, in JSON types.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Solve = Callable[..., dict[str, Any]]
NO_CAP = 10**9  # iterations: the peer's own cap of 1e5 returns an unproven plan at these sizes


def otgen_transport(p: int) -> Solve:
    """`otgen.solve_sample`: the plan and its proof."""
    import otgen

    def solve(x, y, a, b):
        found = otgen.solve_sample(x, y, a, b, cost=("euclidean", p))
        gap = found.gap / found.scale if found.scale else found.gap
        return {"value": found.value, "gap": gap, "scale": found.scale, "converged": found.converged}

    return solve


def pot_transport(p: int) -> Solve:
    """`ot.dist` and `ot.emd2`."""
    import ot

    emd2: Callable[..., Any] = ot.emd2
    metric = {1: "euclidean", 2: "sqeuclidean"}[p]

    def solve(x, y, a, b):
        a, b = ot.unif(len(x)) if a is None else a, ot.unif(len(y)) if b is None else b
        value, log = emd2(a, b, ot.dist(x, y, metric=metric), numItermax=NO_CAP, log=True)
        return {"value": float(value), "warning": log["warning"]}

    return solve


def otgen_line(p: int) -> Solve:
    """`otgen.wasserstein_1d`."""
    import otgen

    return lambda x, y, a, b: {"value": float(otgen.wasserstein_1d(x, y, a, b, p=p))}


def pot_line(p: int) -> Solve:
    """`ot.wasserstein_1d`, which returns W_p^p."""
    import ot

    distance: Callable[..., Any] = ot.wasserstein_1d
    return lambda x, y, a, b: {"value": float(distance(x, y, a, b, p=p)) ** (1 / p)}


def scipy_line(p: int) -> Solve:
    """`scipy.stats.wasserstein_distance`: p = 1."""
    from scipy.stats import wasserstein_distance

    assert p == 1
    return lambda x, y, a, b: {"value": float(wasserstein_distance(x, y, a, b))}


def otgen_couple(p: int) -> Solve:
    """`otgen.couple`, pairs drawn independently as the peer draws them."""
    import otgen

    assert p == 2
    return lambda x, y, a, b: {"pairs": len(otgen.couple(x, y, replace=True)[0])}


def torchcfm_couple(p: int) -> Solve:
    """What TorchCFM's OTPlanSampler does with the exact method: POT's plan, then pairs drawn from all its entries."""
    import ot

    assert p == 2

    def solve(x, y, a, b):
        plan = ot.emd(ot.unif(len(x)), ot.unif(len(y)), ot.dist(x, y), numItermax=NO_CAP)
        chances = plan.ravel() / plan.sum()
        rows, _ = np.divmod(np.random.choice(chances.size, size=len(x), p=chances), len(y))  # noqa: NPY002 (as the peer)
        return {"pairs": len(rows)}

    return solve


SOLVERS: dict[tuple[str, str], Callable[[int], Solve]] = {
    ("transport", "otgen"): otgen_transport,
    ("transport", "POT"): pot_transport,
    ("line", "otgen"): otgen_line,
    ("line", "POT"): pot_line,
    ("line", "scipy"): scipy_line,
    ("couple", "otgen"): otgen_couple,
    ("couple", "TorchCFM"): torchcfm_couple,
    ("cold", "otgen"): otgen_transport,
    ("warm", "otgen"): otgen_transport,
}
