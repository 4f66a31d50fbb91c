"""MMD, energy distance and permutation tests, by otgen and as they are written down in torch."""

# pyright: reportMissingImports=false

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
WARM_POINTS = 300
CHECKED_ROWS = 64
PART = {"torch autograd": 2, "torch cdist": 10}  # the peer takes one in so many of the points, or of the rows
PERMUTATIONS = 1_000
RECOMPUTED = {"recomputing": 20, "torch recomputing": 5}  # of the permutations
BLOCKS = (200, 1_000, 4_000)

Timed = tuple[Callable[[], Any], dict[str, Any]]


def clouds(n: int, d: int, dtype: Any = np.float32) -> tuple[np.ndarray, np.ndarray]:
    """Two normal clouds (n, d), the second moved by 0.1 along each axis."""
    x, y = np.random.default_rng(0).standard_normal((2, n, d)).astype(dtype)
    return x, y + dtype(0.1)


def mmd(solver: str, n: int, d: int) -> Timed:
    """MMD^2, imq of seven scales with the h of a standard normal prior, and its gradient in x."""
    import torch

    h = float(np.sqrt(2 * d))
    part = PART.get(solver, 1)
    x, y = (z[: n // part] for z in clouds(n, d))
    run = {"otgen": _otgen_mmd, "torch autograd": _torch_mmd}[solver]

    def call(x: np.ndarray = x, y: np.ndarray = y) -> np.ndarray:
        points = torch.tensor(x, requires_grad=True)
        run(points, torch.tensor(y), h).backward()
        assert points.grad is not None
        return points.grad.numpy()

    call(x[:WARM_POINTS], y[:WARM_POINTS])
    return call, {"share": 1.0 / part**2, "check": lambda found: _gradient_error(found, x, y, h)}


def _otgen_mmd(x: Any, y: Any, h: float) -> Any:
    import otgen

    return otgen.mmd_squared(x, y, bandwidth=h)


def _torch_mmd(x: Any, y: Any, h: float) -> Any:
    def kernel(u: Any, v: Any) -> Any:
        s = (u * u).sum(1)[:, None] + (v * v).sum(1) - 2.0 * u @ v.T
        return sum(c * h * h / (c * h * h + s) for c in SCALES)

    n, m = len(x), len(y)
    alone = (kernel(x, x).sum() - 7 * n) / (n * (n - 1)) + (kernel(y, y).sum() - 7 * m) / (m * (m - 1))
    return alone - 2.0 * kernel(x, y).mean()


def _gradient_error(found: np.ndarray, x: np.ndarray, y: np.ndarray, h: float) -> float:
    """The worst of some rows of the gradient against float64 differences, of the largest entry."""
    rows = np.linspace(0, len(x) - 1, CHECKED_ROWS).astype(int)
    exact = np.zeros((CHECKED_ROWS, x.shape[1]))
    for others, factor in ((x, 2.0 / (len(x) * (len(x) - 1))), (y, -2.0 / (len(x) * len(y)))):
        for k, i in enumerate(rows):
            apart = x[i].astype(float) - others.astype(float)
            s = np.einsum("ij,ij->i", apart, apart)
            slope = -2.0 * sum(c * h * h / (c * h * h + s) ** 2 for c in SCALES)
            exact[k] += factor * slope @ apart
    return float(np.abs(found[rows] - exact).max() / np.abs(exact).max())


def energy(solver: str, n: int, d: int) -> Timed:
    """The squared energy distance; of the peer the mean of the same three sums, over a part of their rows."""
    x, y = clouds(n, d)
    if solver == "otgen":
        import otgen

        otgen.energy_distance_squared(x[:WARM_POINTS], y[:WARM_POINTS])
        return lambda: otgen.energy_distance_squared(x, y), {"check": lambda found: _energy_error(found, x, y)}
    import torch

    part = PART[solver]
    a, b = torch.from_numpy(x), torch.from_numpy(y)

    def sums(size: int, mode: str, rows: int) -> None:
        for one, other in ((a, a), (a, b), (b, b)):
            for start in range(0, rows, size):
                torch.cdist(one[start : start + size], other, compute_mode=mode).sum(dtype=torch.float64)

    def seconds(size: int, mode: str) -> float:
        start = time.perf_counter()
        sums(size, mode, size)
        return (time.perf_counter() - start) / size

    ways = [(size, mode) for size in BLOCKS for mode in ("use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")]
    size, mode = min((way for way in ways if way[0] <= n // part), key=lambda way: seconds(*way))
    return lambda: sums(size, mode, n // part), {"share": 1.0 / part, "way": f"{mode}, blocks of {size}"}


def _energy_error(found: float, x: np.ndarray, y: np.ndarray) -> float:
    """How far, relatively, the value is from the three sums of NumPy's float64 differences."""
    x, y = x.astype(float), y.astype(float)

    def mean(one: np.ndarray, other: np.ndarray) -> float:
        total = 0.0
        for point in one:
            apart = other - point
            total += float(np.sqrt(np.einsum("ij,ij->i", apart, apart)).sum())
        return total / (len(one) * len(other))

    exact = 2.0 * mean(x, y) - mean(x, x) - mean(y, y)
    return abs(found / exact - 1.0)


def permutations(solver: str, n: int, d: int) -> Timed:
    """A permutation test of MMD, or as many values of permuted samples."""
    import otgen

    x, y = clouds(n, d, np.float64)
    h = float(np.sqrt(2 * d))
    if solver == "otgen":
        test = lambda u, v: otgen.two_sample_test(u, v, n_permutations=PERMUTATIONS, bandwidth=h)  # noqa: E731
        test(x[:WARM_POINTS], y[:WARM_POINTS])
        return lambda: test(x, y) and None, {}
    pooled, rng, count = np.concatenate([x, y]), np.random.default_rng(0), RECOMPUTED[solver]
    if solver == "torch recomputing":
        import torch

        value = lambda u, v: float(_torch_mmd(torch.from_numpy(u), torch.from_numpy(v), h))  # noqa: E731
    else:
        value = lambda u, v: otgen.mmd_squared(u, v, bandwidth=h)  # noqa: E731
    value(x[:WARM_POINTS], y[:WARM_POINTS])

    def call() -> None:
        for _ in range(count):
            order = rng.permutation(len(pooled))
            value(pooled[order[:n]], pooled[order[n:]])

    return call, {"share": count / PERMUTATIONS}
