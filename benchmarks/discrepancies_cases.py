"""What the benchmark of discrepancies measures: its cases, each with its peers and its targets."""

from __future__ import annotations

from cases import Case, Problem
from targets import accurate, adding_less_than, faster

# What a peer imports; one that is missing is a line "not installed".
PACKAGES: dict[str, tuple[str, ...]] = {
    "torch autograd": ("torch",),
    "torch cdist": ("torch",),
    "POT": ("ot",),
    "recomputing": (),
    "torch recomputing": ("torch",),
    "SciPy": (),
}


def all_cases() -> list[Case]:
    """Every case, in the order of the table."""
    return [mmd(), energy(), sliced(), permutations(), frechet(), pairwise()]


def mmd() -> Case:
    """Seven scales and the gradient in x; the peer holds every pair, so that it does a quarter of them, times 4."""
    name = "MMD imq with gradient, 10,000 points, d = 64, float32 (torch: 5,000 points, times 4)"
    targets = faster(10, "torch autograd"), adding_less_than(50), accurate(1e-4, "gradient's error")
    return Case(name, name, "mmd", Problem("gaussian", 10_000, 64, 2), ("torch autograd",), targets)


def energy() -> Case:
    """The peer sums blocks of its distance matrix, the fastest of several sizes and of both ways to distances."""
    name = "energy distance, 50,000 points, d = 2, float32 (torch cdist: a tenth of the rows, times 10)"
    targets = faster(10, "torch cdist"), accurate(1e-3, "error")
    return Case(name, name, "energy", Problem("gaussian", 50_000, 2, 2), ("torch cdist",), targets)


def sliced() -> Case:
    """W2 along 200 directions."""
    name = "sliced W2, 100,000 points, d = 64, 200 directions, float32"
    return Case(
        name, name, "sliced", Problem("gaussian", 100_000, 64, 2), ("POT",), (faster(4, "POT"), accurate(1e-6, "error"))
    )


def permutations() -> Case:
    """MMD imq of 2,000 and 2,000 points, 1,000 permutations; peers compute a part of them, times the rest."""
    name = "two-sample MMD test, 2,000 points, d = 16, 1,000 permutations"
    peers = ("recomputing", "torch recomputing")
    targets = tuple(faster(20, peer) for peer in peers)
    return Case(name, name, "permutations", Problem("gaussian", 2_000, 16, 2), peers, targets, quick=True)


def frechet() -> Case:
    """The Frechet distance of given moments of Inception's size."""
    name = "Frechet distance of moments, d = 2,048"
    targets = faster(4, "SciPy"), accurate(1e-6, "error")
    return Case(name, name, "frechet", Problem("moments", 4_096, 2_048, 2), ("SciPy",), targets)


def pairwise() -> Case:
    """W1 between every two of 200 clouds of 200 points."""
    name = "pairwise W1, 200 clouds of 200 points, d = 2"
    targets = faster(5, "POT"), accurate(1e-7, "error")
    return Case(name, name, "pairwise", Problem("gaussian", 200, 2, 1), ("POT",), targets, quick=True)
