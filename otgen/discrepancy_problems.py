"""Discrepancies that other libraries know too: what `otgen validate` checks of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import otgen

__all__ = ["DIFFERENCE_TOLERANCE", "KnownDiscrepancy", "known_discrepancies"]

DIFFERENCE_TOLERANCE = 1e-8
"""Of values that are differences of larger ones, MMD^2 and Gaussian distances: digits cancel, here and at the peer."""

Matrix = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class KnownDiscrepancy:
    """One value by otgen and by a peer, how it is called, and how far apart the two may be, relatively."""

    name: str
    peer: str
    shape: tuple[int, int, int]
    ours: Callable[[], float]
    theirs: Callable[[], float]
    tolerance: float = 1e-9

    @property
    def has_gap(self) -> bool:
        """Whether otgen's value comes with bounds."""
        return False

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
        yield from _kernels(x, y, a, b)


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
        lambda: _number(ot.gaussian.bures_wasserstein_distance(mean_x, mean_y, cov_x, cov_y)),
        DIFFERENCE_TOLERANCE,
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
        DIFFERENCE_TOLERANCE,
    )


def _kernels(x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray) -> Iterator[KnownDiscrepancy]:
    h = 1.7
    for kernel, matrix in _matrices(h, x.shape[1]).items():
        options = {} if kernel in ("polynomial", "energy") else {"bandwidth": h}
        yield _mmd(x, y, None, None, kernel, matrix, **options)
        if kernel == "imq":
            yield _mmd(x, y, a, b, kernel, matrix, **options)
            yield _mmd(x, y, None, None, kernel, matrix, estimator="biased", **options)
            yield _mmd(x, y, a, b, kernel, matrix, estimator="biased", **options)


def _matrices(h: float, d: int) -> dict[str, Matrix]:
    """The kernels of all pairs, each written out: their scales are those of the papers."""
    from scipy.spatial.distance import cdist
    from sklearn.metrics import pairwise

    def inverse_multiquadric(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        squares = cdist(u, v, "sqeuclidean")
        return np.sum([s * h**2 / (s * h**2 + squares) for s in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)], axis=0)

    def rational_quadratic(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        squares = cdist(u, v, "sqeuclidean")
        return np.sum([(1.0 + squares / (2.0 * s * h**2)) ** -s for s in (0.2, 0.5, 1.0, 2.0, 5.0)], axis=0)

    return {
        "gaussian": lambda u, v: pairwise.rbf_kernel(u, v, gamma=0.5 / h**2),
        "polynomial": lambda u, v: pairwise.polynomial_kernel(u, v, degree=3, gamma=1.0 / d, coef0=1),
        "laplace": lambda u, v: np.exp(-cdist(u, v) / h),
        "imq": inverse_multiquadric,
        "rational_quadratic": rational_quadratic,
        "energy": lambda u, v: -cdist(u, v),
    }


def _mmd(
    x: np.ndarray, y: np.ndarray, a: np.ndarray | None, b: np.ndarray | None, kernel: str, matrix: Matrix,
    **options: Any,
) -> KnownDiscrepancy:  # fmt: skip
    def theirs() -> float:
        u, v = (np.full(len(z), 1.0 / len(z)) if w is None else w for z, w in ((x, a), (y, b)))
        value = -2.0 * u @ matrix(x, y) @ v
        for z, w in ((x, u), (y, v)):
            K = matrix(z, z)
            if options.get("estimator") == "biased":
                value += w @ K @ w
            else:
                value += (w @ K @ w - w**2 @ np.diag(K)) / (1.0 - w @ w)
        return float(value)

    words = [f"MMD^2, {kernel}", options.get("estimator"), None if a is None else "weights"]
    return KnownDiscrepancy(
        ", ".join(word for word in words if word),
        "scikit-learn" if kernel in ("gaussian", "polynomial") else "scipy cdist",
        (*x.shape[:1], *y.shape),
        lambda: otgen.mmd_squared(x, y, a, b, kernel=kernel, **options),
        theirs,
        DIFFERENCE_TOLERANCE,
    )
