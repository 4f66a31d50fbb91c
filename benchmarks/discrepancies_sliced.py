"""Sliced distances by otgen and POT, for one pair of clouds along 200 directions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

PROJECTIONS = 200
SOLVERS = ("otgen", "POT")
WARM_POINTS = 500  # every kernel is loaded, and what compiles has compiled


def clouds(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Two normal clouds (n, d) in float32: one is shifted by 0.1 along each axis, and its axes are scaled unevenly."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, n, d), np.float32)
    return x, (y * np.linspace(0.5, 1.5, d, dtype=np.float32) + np.float32(0.1)).astype(np.float32)


def sliced(solver: str, n: int, d: int) -> tuple[Callable[[], float], dict[str, Any]]:
    """The call that is timed: no arguments, SW_2 of both clouds along the same directions; otgen's is checked."""
    if solver not in SOLVERS:
        raise ValueError(f"solver must be one of {', '.join(SOLVERS)}; got {solver!r}.")
    x, y = clouds(n, d)
    lines = directions(d)
    solve = otgen_sliced if solver == "otgen" else pot_sliced
    solve(x[:WARM_POINTS], y[:WARM_POINTS], lines)
    facts = {"check": lambda found: abs(found / plain(x, y, lines) - 1.0)} if solver == "otgen" else {}
    return lambda: solve(x, y, lines), facts


def plain(x: np.ndarray, y: np.ndarray, lines: np.ndarray) -> float:
    """SW_2 of clouds of one size, by sorting each line in float64."""
    squares = []
    for line in lines.astype(float):
        apart = np.sort(x.astype(float) @ line) - np.sort(y.astype(float) @ line)
        squares.append(float((apart**2).mean()))
    return float(np.mean(squares)) ** 0.5


def directions(d: int) -> np.ndarray:
    """Unit vectors (200, d) in float32."""
    lines = np.random.default_rng(1).standard_normal((PROJECTIONS, d))
    return (lines / np.linalg.norm(lines, axis=1, keepdims=True)).astype(np.float32)


def otgen_sliced(x: np.ndarray, y: np.ndarray, lines: np.ndarray) -> float:
    """`otgen.sliced_wasserstein`."""
    import otgen

    return float(otgen.sliced_wasserstein(x, y, p=2, projections=lines))


def pot_sliced(x: np.ndarray, y: np.ndarray, lines: np.ndarray) -> float:
    """`ot.sliced_wasserstein_distance`, which holds all columns (n, 200) at once."""
    import ot

    found: Any = ot.sliced_wasserstein_distance(x, y, p=2, projections=lines.T)
    return float(found)
