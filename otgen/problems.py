"""The spread of problems that `otgen validate` solves: the same ones every time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.distance import cdist

__all__ = ["Problem", "entropic_problems", "problems"]


@dataclass(frozen=True)
class Problem:
    """One transport problem: points with a cost `(metric, p)`, or a cost matrix C in place of points.

    Entropic where eps is given, then of (rho_a, rho_b) where unbalanced, and where `divergence` the debiased one.
    """

    name: str
    x: np.ndarray | None = None
    y: np.ndarray | None = None
    a: np.ndarray | None = None
    b: np.ndarray | None = None
    metric: str = "euclidean"
    p: float = 1.0
    C: np.ndarray | None = None
    eps: float | None = None
    unbalanced: tuple[float, float] | None = None
    divergence: bool = False

    @property
    def has_gap(self) -> bool:
        """Whether otgen's value comes with bounds: a divergence is a difference of three, without."""
        return not self.divergence

    def cost_matrix(self) -> np.ndarray:
        """C_ij = metric(x_i, y_j)**p, of shape (n, m), from coordinate differences (SciPy), not from a GEMM."""
        if self.C is not None:
            return self.C
        return cdist(self.x, self.y, self.metric) ** self.p  # pyright: ignore[reportCallIssue, reportArgumentType]

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """The weights (n,) and (m,), uniform ones of mass 1 where none are given."""
        n, m = self.cost_matrix().shape
        return np.full(n, 1 / n) if self.a is None else self.a, np.full(m, 1 / m) if self.b is None else self.b

    def on_line(self) -> bool:
        """Whether the points are numbers, so that the sorted closed form applies."""
        return self.x is not None and self.x.shape[1] == 1

    def label(self) -> str:
        """The cost in words, and what regularises it."""
        cost = "matrix" if self.C is not None else f"{self.metric}^{self.p:g}"
        eps = "" if self.eps is None else f", eps {self.eps:.2g}"
        rho = "" if self.unbalanced is None else f", rho {self.unbalanced[0]:g} {self.unbalanced[1]:g}"
        return cost + eps + rho


def problems(*, quick: bool) -> Iterator[Problem]:
    """Yield the spread: sizes, dimensions, weights, costs, and degenerate inputs; the same ones every time."""
    rng = np.random.default_rng(20260)
    small, large = (60, 150) if quick else (300, 1500)

    def clouds(n: int, m: int, d: int) -> tuple[np.ndarray, np.ndarray]:
        return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 1.0 / np.sqrt(d)

    def weights(n: int, zeros: int = 0) -> np.ndarray:
        w = rng.random(n) + 0.01
        w[rng.permutation(n)[:zeros]] = 0.0
        return w / w.sum()

    for d in (1, 2, 3, 16, 64):
        for p in (1.0, 2.0):
            x, y = clouds(large, large, d)
            yield Problem(f"gaussians, d = {d}", x, y, p=p)
    for d in (2, 16):
        x, y = clouds(small, large, d)
        yield Problem("n < m, random weights", x, y, weights(small), weights(large), p=2.0)
        yield Problem("n > m, random weights", y, x, weights(large), weights(small), p=1.0)
        yield Problem("half the weights 0", x, y, weights(small, small // 2), weights(large, large // 2), p=1.0)
    x, y = clouds(small, small, 3)
    for metric in ("euclidean", "cityblock", "chebyshev", "cosine"):
        for p in (1.0, 1.5, 3.0):
            yield Problem("every metric and power", x, y, metric=metric, p=p)
    yield Problem("1 point to many", x[:1], y, p=2.0)
    yield Problem("many points to 1", x, y[:1], p=1.0)
    yield Problem("1 point to 1", x[:1], y[:1], p=2.0)
    for p in (1.0, 2.0):
        yield Problem("identical clouds", x, x.copy(), p=p)
        yield Problem("permuted cloud", x, x[rng.permutation(small)], p=p)
        yield Problem("permuted cloud, weighted", x, x[::-1].copy(), weights(small), weights(small), p=p)
        repeated = np.repeat(x[: small // 5], 5, axis=0)
        yield Problem("every point five times", repeated, np.repeat(y[: small // 5], 5, axis=0), p=p)
        yield Problem("all points one point", np.ones((small, 2)), np.ones((small, 2)), p=p)
        side = int(np.sqrt(large))
        grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2).astype(float)
        yield Problem("grid to shifted grid", grid, grid + [0.5, 0.0], p=p)
        yield Problem("weights on one grid", grid, grid, weights(len(grid)), weights(len(grid)), p=p)
        line = np.linspace(0.0, 1.0, small)[:, None] * [1.0, 2.0, -1.0]
        yield Problem("collinear points", line, line[::2] + 0.25, p=p)
        spots = rng.integers(0, 4, size=(small, 2)) * 10.0 + rng.normal(scale=1e-3, size=(small, 2))
        yield Problem("tight clusters", spots, spots[rng.permutation(small)] + 1e-2, p=p)
        yield Problem("coordinates of 1e6", x * 1e6, y * 1e6, p=p)
        yield Problem("coordinates of 1e-6", x * 1e-6, y * 1e-6, p=p)
    yield Problem("random matrix", C=rng.random((small, large)))
    yield Problem("integer matrix, ties", C=rng.integers(0, 5, size=(small, small)).astype(float))
    yield Problem("negative costs", a=weights(small), b=weights(large), C=rng.normal(size=(small, large)))


def entropic_problems(*, quick: bool) -> Iterator[Problem]:
    """Yield entropic problems that POT, which needs many more sweeps for small eps, still solves in seconds."""
    rng = np.random.default_rng(20261)
    small, large = (30, 50) if quick else (120, 200)

    def clouds(n: int, m: int, d: int) -> tuple[np.ndarray, np.ndarray]:
        return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 1.0 / np.sqrt(d)

    def weights(n: int, zeros: int = 0) -> np.ndarray:
        w = rng.random(n) + 0.1
        w[rng.permutation(n)[:zeros]] = 0.0
        return w / w.sum()

    def with_eps(problem: Problem, share: float) -> Problem:
        return replace(problem, eps=share * float(problem.cost_matrix().mean()))

    for d in (1, 2, 3, 16, 64):
        x, y = clouds(large, small, d)
        for share in (1.0, 0.1, 0.03):
            yield with_eps(Problem(f"sinkhorn, d = {d}", x, y, p=2.0), share)
        yield with_eps(Problem(f"sinkhorn, d = {d}, weights", x, y, weights(large), weights(small, 5)), 0.1)
    x, y = clouds(small, small, 3)
    a, b = weights(small), weights(small)
    for metric in ("euclidean", "cityblock", "chebyshev", "cosine"):
        yield with_eps(Problem("sinkhorn, every metric", x, y, metric=metric, p=1.5), 0.1)
    yield with_eps(Problem("sinkhorn, random matrix", a=a, b=b, C=rng.random((small, small))), 0.1)
    yield with_eps(Problem("sinkhorn, a cloud to itself", x, x.copy(), p=2.0), 0.1)
    yield with_eps(Problem("sinkhorn, coordinates of 1e6", x * 1e6, y * 1e6, p=2.0), 0.1)
    for rho in ((1.0, 1.0), (0.5, 2.0), (math.inf, 1.0)):
        yield with_eps(Problem("unbalanced", x, y, a, b, p=2.0, unbalanced=rho), 0.1)
        masses = (a, b * (2.0 if rho[0] < math.inf else 0.5))
        yield with_eps(Problem("unbalanced, two masses", x, y, *masses, p=1.0, unbalanced=rho), 0.1)
    for p in (1.0, 2.0):
        yield with_eps(Problem("divergence", x, y, p=p, divergence=True), 0.1)
        yield with_eps(Problem("divergence, weights", x, y, a, b, p=p, divergence=True), 0.1)
    for rho in ((1.0, 1.0), (0.5, 2.0)):
        problem = Problem("divergence, two masses", x, y, a, 2 * b, p=2.0, unbalanced=rho, divergence=True)
        yield with_eps(problem, 0.1)
    yield with_eps(Problem("divergence of equal clouds", x, x.copy(), p=2.0, divergence=True), 0.1)
