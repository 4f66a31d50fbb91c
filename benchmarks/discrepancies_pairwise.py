"""Matrices of distances between many small clouds, by otgen and by a loop over POT."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

POINTS = 200  # of each cloud
WARM = 3  # clouds: every kernel is loaded, and what compiles has compiled


def pairwise(solver: str, n: int, d: int) -> Callable[[], np.ndarray]:
    """The call that is timed: W_1 between every two of n normal clouds (200, d), a matrix (n, n)."""
    clouds = normal_clouds(n, d)
    measure = SOLVERS[solver]
    measure(clouds[:WARM])
    return lambda: measure(clouds)


def normal_clouds(n: int, d: int) -> list[np.ndarray]:
    """n clouds (200, d) of unit variance, their centres as far apart as they are wide."""
    rng = np.random.default_rng(0)
    return [rng.normal(size=(POINTS, d)) + rng.normal(size=d) for _ in range(n)]


def otgen_pairwise(clouds: list[np.ndarray]) -> np.ndarray:
    """`otgen.pairwise`, over every CPU."""
    import otgen

    return otgen.pairwise(clouds)


def pot_loop(clouds: list[np.ndarray]) -> np.ndarray:
    """`ot.emd2` of `ot.dist`, for i < j alone, as POT's users write it."""
    import ot

    distances = np.zeros((len(clouds), len(clouds)))
    for i, x in enumerate(clouds):
        for j in range(i + 1, len(clouds)):
            distances[i, j] = distances[j, i] = ot.emd2([], [], ot.dist(x, clouds[j], metric="euclidean"))
    return distances


SOLVERS: dict[str, Callable[[list[np.ndarray]], np.ndarray]] = {"otgen": otgen_pairwise, "POT": pot_loop}
