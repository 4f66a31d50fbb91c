"""Semi-discrete maps whose answer is known another way: what `otgen validate` checks of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from .transport.semidiscrete import SemiDiscreteOT

__all__ = ["KnownMap", "known_maps"]


@dataclass(frozen=True)
class KnownMap:
    """One fit, what W2^2 is by other means, and how far apart the two may be."""

    name: str
    method: str
    y: np.ndarray
    b: np.ndarray | None
    answer: Callable[[], float]
    tolerance: float
    parameters: dict[str, Any]

    @property
    def has_gap(self) -> bool:
        """Whether otgen's value comes with bounds."""
        return True

    def label(self) -> str:
        """The cost, and the method."""
        return f"|x - y|^2, {self.method}"

    def fit(self) -> SemiDiscreteOT:
        """The fitted map."""
        return SemiDiscreteOT(method=self.method, **self.parameters).fit(self.y, self.b)

    def timed_answer(self) -> tuple[float, float]:
        """What W2^2 should be, and the seconds that took."""
        start = time.perf_counter()
        value = self.answer()
        return value, time.perf_counter() - start


def known_maps(emd2: Callable[..., Any], *, quick: bool) -> Iterator[KnownMap]:
    """Yield fits against POT on a fine grid of the source, closed forms, and the two methods against each other."""
    rng = np.random.default_rng(20262)
    n, fine = (8, 24) if quick else (30, 60)
    for d in (2, 3):
        side = fine if d == 2 else round(fine ** (2 / 3))
        y, b = rng.random((n, d)), rng.random(n) + 0.2
        b /= b.sum()
        # The grid's plan spread over its pixels is a plan of the source: its cost is above, by what pixels that two
        # cells share are worth, a part of a pixel squared.
        yield KnownMap(
            f"map, a grid of {side}^{d} by POT", "newton", y, b, _GridAnswer(emd2, y, b, side), 0.3 / side**2, {}
        )
    side = 5 if quick else 20
    middles = (np.arange(side) + 0.5) / side
    grid = np.stack(np.meshgrid(middles, middles), -1).reshape(-1, 2)
    yield KnownMap("map to the middles of a grid", "newton", grid, None, lambda: 2 / (12 * side**2), 1e-9, {})
    s = np.sort(rng.random(n))
    line = np.column_stack([s, np.full(n, 0.3)])
    yield KnownMap("map to a line", "newton", line, None, lambda: on_line(s) + 1 / 12 + 0.2**2, 1e-6, {})
    yield KnownMap("map of an interval", "monte_carlo", s[:, None], None, lambda: on_line(s), 1e-3, {"tol": 1e-3})
    y = rng.random((n, 2))
    exact = lambda: SemiDiscreteOT(method="newton").fit(y).value_.value  # noqa: E731
    yield KnownMap("map, Monte Carlo against exact", "monte_carlo", y, None, exact, 1e-3, {"tol": 1e-3})


@dataclass(frozen=True)
class _GridAnswer:
    emd2: Callable[..., Any]
    y: np.ndarray
    b: np.ndarray
    side: int

    def __call__(self) -> float:
        d = self.y.shape[1]
        middles = (np.arange(self.side) + 0.5) / self.side
        x = np.stack(np.meshgrid(*[middles] * d), -1).reshape(-1, d)
        a = np.full(len(x), 1.0 / len(x))
        return float(self.emd2(a, self.b, cdist(x, self.y, "sqeuclidean"), numItermax=10**8)) + d / (12 * self.side**2)


def on_line(s: np.ndarray) -> float:
    """W2^2 between the uniform measure on [0, 1] and equal masses at s, ascending: the k-th gets the k-th n-th part."""
    cuts = np.arange(len(s) + 1) / len(s)
    return float((((cuts[1:] - s) ** 3 - (cuts[:-1] - s) ** 3) / 3.0).sum())
