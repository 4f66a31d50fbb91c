"""Discrepancies that other libraries know too: what `otgen validate` checks of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import otgen

__all__ = ["KnownDiscrepancy", "known_discrepancies"]


@dataclass(frozen=True)
class KnownDiscrepancy:
    """One value by otgen and by a peer, how it is called, and how far apart the two may be, relatively."""

    name: str
    peer: str
    shape: tuple[int, int, int]
    ours: Callable[[], float]
    theirs: Callable[[], float]
    tolerance: float = 1e-9
    divergence = True  # it has no gap

    def label(self) -> str:
        """Whose value is beside ours."""
        return self.peer


def _number(value: Any) -> float:
    return float(value)


def known_discrepancies(*, quick: bool) -> Iterator[KnownDiscrepancy]:
    """Yield W_p on the line, sliced, Gaussian, energy and kernel discrepancies; the same ones every time."""
    rng = np.random.default_rng(20263)
    n, m = (60, 40) if quick else (600, 400)
    a, b = (w / w.sum() for w in (rng.random(n) + 0.1, rng.random(m) + 0.1))
    yield from _on_the_line(rng.normal(size=n), rng.normal(size=m) + 0.5, a, b)
    for d in (3, 20):
        x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.2
        yield from _sliced(x, y, a, b, rng)
        yield from _gaussian(x @ rng.normal(size=(d, d)), y)
        yield from _kernels(x, y)


def _on_the_line(x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray) -> Iterator[KnownDiscrepancy]:
    import ot
    from scipy import stats

    shape = len(x), len(y), 1
    yield KnownDiscrepancy(
        "W1 on the line", "scipy wasserstein_distance", shape, lambda: otgen.wasserstein_1d(x, y, a, b),
        lambda: float(stats.wasserstein_distance(x, y, a, b)),
    )  # fmt: skip
    yield KnownDiscrepancy(
        "W2 on the line", "POT wasserstein_1d", shape, lambda: otgen.wasserstein_1d(x, y, a, b, p=2),
        lambda: _number(ot.wasserstein_1d(x, y, a, b, p=2)) ** 0.5,
    )  # fmt: skip
    yield KnownDiscrepancy(
        "energy distance", "scipy energy_distance", shape,
        lambda: otgen.energy_distance_squared(x[:, None], y[:, None], a, b) ** 0.5,
        lambda: float(stats.energy_distance(x, y, a, b)),
    )  # fmt: skip


def _sliced(x: Any, y: Any, a: Any, b: Any, rng: np.random.Generator) -> Iterator[KnownDiscrepancy]:
    import ot

    lines = rng.normal(size=(50, x.shape[1]))
    lines /= np.linalg.norm(lines, axis=1, keepdims=True)
    for p in (1, 2):
        yield KnownDiscrepancy(
            f"sliced W{p}", "POT sliced", (*x.shape[:1], *y.shape),
            lambda p=p: otgen.sliced_wasserstein(x, y, a, b, p=p, projections=lines).value,
            lambda p=p: _number(ot.sliced_wasserstein_distance(x, y, a, b, p=p, projections=lines.T)),
        )  # fmt: skip


def _gaussian(x: np.ndarray, y: np.ndarray) -> Iterator[KnownDiscrepancy]:
    import ot

    moments = [(z.mean(0), np.cov(z.T)) for z in (x, y)]
    (mean_x, cov_x), (mean_y, cov_y) = moments
    yield KnownDiscrepancy(
        "W2 of normals", "POT bures_wasserstein", (*x.shape[:1], *y.shape),
        lambda: otgen.gaussian_wasserstein(mean_x, cov_x, mean_y, cov_y),
        lambda: _number(ot.gaussian.bures_wasserstein_distance(mean_x, mean_y, cov_x, cov_y)), 1e-8,
    )  # fmt: skip

    def by_sqrtm() -> float:
        from scipy.linalg import sqrtm

        root = np.real(sqrtm(cov_x @ cov_y))
        return float(((mean_x - mean_y) ** 2).sum() + np.trace(cov_x + cov_y - 2.0 * root))

    yield KnownDiscrepancy(
        "Frechet distance",
        "scipy sqrtm",
        (*x.shape[:1], *y.shape),
        lambda: otgen.frechet_distance(x, y),
        by_sqrtm,
        1e-8,
    )


def _kernels(x: np.ndarray, y: np.ndarray) -> Iterator[KnownDiscrepancy]:
    from scipy.spatial.distance import cdist
    from sklearn.metrics import pairwise

    h, d = 1.7, x.shape[1]
    matrices: dict[str, Callable[[Any, Any], Any]] = {
        "gaussian": lambda u, v: pairwise.rbf_kernel(u, v, gamma=0.5 / h**2),
        "polynomial": lambda u, v: pairwise.polynomial_kernel(u, v, degree=3, gamma=1.0 / d, coef0=1),
        "laplace": lambda u, v: np.exp(-cdist(u, v) / h),
        "energy": lambda u, v: -cdist(u, v),
    }
    for kernel, matrix in matrices.items():
        known = "scikit-learn" if kernel in ("gaussian", "polynomial") else "scipy cdist"
        options: dict[str, Any] = {"bandwidth": h} if kernel in ("gaussian", "laplace") else {}

        def theirs(matrix: Callable[[Any, Any], Any] = matrix) -> float:
            n, m = len(x), len(y)
            within = [(K.sum() - np.trace(K)) / (k * (k - 1)) for K, k in ((matrix(x, x), n), (matrix(y, y), m))]
            return float(sum(within) - 2.0 * matrix(x, y).mean())

        yield KnownDiscrepancy(
            f"MMD^2, {kernel}", known, (*x.shape[:1], *y.shape),
            lambda kernel=kernel, options=options: otgen.mmd_squared(x, y, kernel=kernel, **options), theirs, 1e-8,
        )  # fmt: skip
