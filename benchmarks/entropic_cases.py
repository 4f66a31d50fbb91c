"""What the entropic benchmark measures: its cases, each with its peers and its targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cases import DIMENSIONS, Case, Problem
from targets import accurate, below_megabytes, faster, faster_than_each, honest, within, within_times

# What a peer imports; one that is missing is a line "not installed".
PACKAGES = {
    "OTT": ("jax", "ott"),
    "KeOps": ("torch", "pykeops"),
    "POT": ("ot",),
    "POT on torch": ("torch", "ot"),
    "GeomLoss": ("torch", "pykeops", "geomloss"),
    "torch": ("torch",),
    "SGEMM": (),
    "otgen": (),
}
HALF_STEP_PEERS = ("OTT online", "KeOps", "POT log", "torch", "torch from points")
SINKHORN_PEERS = ("OTT online", "OTT dense", "POT on torch", "POT", "POT log", "KeOps annealed", "torch annealed")
# At 10,000 points: the others' half-steps are slower than these peers', and so are they at 2,000.
FAST_SINKHORN_PEERS = ("OTT dense", "OTT online", "POT on torch", "torch annealed")
DIVERGENCE_PEERS = ("GeomLoss multiscale", "GeomLoss online")


@dataclass(frozen=True)
class Regularised(Problem):
    """The input of one case: a recipe of clouds.py, the cost |x - y|^2, and eps as a part of the mean cost."""

    recipe: str = "gaussian32"
    n: int = 10_000
    p: int = 2
    eps: float = 0.01
    tol: float | None = None


def packages(solver: str) -> tuple[str, ...]:
    """What a solver such as "OTT online" imports: the entry of the longest name that it starts with."""
    return PACKAGES[max((name for name in PACKAGES if solver.startswith(name)), key=len)]


def all_cases() -> list[Case]:
    """Every case, in the order of the table."""
    return [*half_steps(), *to_tolerance(), *divergences(), *large(), *robustness()]


def half_steps() -> Iterator[Case]:
    """One soft c-transform inside a running loop; at eps = 1 x mean cost no pair is far enough to be skipped."""
    for d in DIMENSIONS:
        for eps in (0.01, 1.0):
            name = f"half-step, 10,000 points, {DIMENSIONS[d]}, eps {eps:g}"
            peers = (*HALF_STEP_PEERS, "SGEMM") if d == 64 else HALF_STEP_PEERS
            targets = (faster(1.8, "OTT online"), faster(10, "KeOps"), within_times(1.6, "SGEMM"))
            if d < 64:
                targets = (faster(4, "OTT online"), faster(6, "KeOps"), faster(15, "POT log"), faster(15, "torch"))
            yield Case(name, name, "half-step", Regularised(d=d, eps=eps), peers, targets)


def to_tolerance() -> Iterator[Case]:
    """From the points to potentials whose marginals are off by 1e-4 in L1."""
    for n, quick in ((2_000, True), (10_000, False)):
        for d, factor in ((2, 10), (64, 4)):
            name = f"sinkhorn to 1e-4, {n:,} points, {DIMENSIONS[d]}"
            targets = (accurate(1e-4, "marginal error"),)
            peers = SINKHORN_PEERS if quick else FAST_SINKHORN_PEERS
            if not quick:
                targets = (faster_than_each(factor, peers), *targets)
            yield Case(name, name, "sinkhorn", Regularised(n=n, d=d, tol=1e-4), peers, targets, quick)


def divergences() -> Iterator[Case]:
    """The debiased divergence and its gradient in x, against GeomLoss at the fastest scaling that agrees to 1e-3."""
    for d in DIMENSIONS:
        name = f"divergence with gradient, 10,000 points, {DIMENSIONS[d]}"
        peers = DIVERGENCE_PEERS if d <= 3 else DIVERGENCE_PEERS[1:]  # its clusters are cells of a grid: d <= 3
        yield Case(name, name, "divergence", Regularised(d=d), peers, (faster_than_each(10, peers),))


def large() -> Iterator[Case]:
    """No peer answers at this size within the time of the whole benchmark."""
    name = "sinkhorn to 1e-3, 100,000 points, d = 3"
    targets = (within(360), below_megabytes(500), accurate(1e-3, "marginal error"))
    yield Case(name, name, "sinkhorn", Regularised(n=100_000, d=3, tol=1e-3), (), targets)


def robustness() -> Iterator[Case]:
    """Small eps, zero weights, coincident points, scales far from 1; all in float32."""
    rows = {
        "gaussian32": "Gaussian clouds",
        "zeros32": "a third of the weights zero",
        "coincident32": "ten distinct points",
        "tiny32": "scale 1e-12",
        "huge32": "scale 1e12",
    }
    for recipe, row in rows.items():
        for eps in (1e-2, 1e-3, 1e-4, 1e-5):
            problem = Regularised(recipe, 2_000, 2, eps=eps)
            row_of_all = f"float32, 2,000 points, {row}, eps 0.01 to 1e-05"
            yield Case(f"{row}, eps {eps:g}", row_of_all, "robust", problem, (), (honest(),), quick=True)
