"""The Frechet distance of features by otgen and by SciPy, from the same moments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

DECAY = 1.5  # the k-th eigenvalue of a covariance is k^-1.5: those of network features fall as a power
APART = 0.1  # of the directions and variances of one side against the other, and of the means


def frechet(solver: str, n: int, d: int) -> tuple[Callable[[], float], dict[str, Any]]:
    """Return the call to time, of no arguments, and what is known of the problem.

    solver is "otgen", or "SciPy" for tr sqrtm(S_x S_y). Moments of n seeded samples a side, in dimension d.
    """
    import otgen

    moments = [_moments(n, d, side) for side in (0, 1)]
    facts = {"n": n, "d": d, "rank": min(n - 1, d)}
    if solver == "otgen":
        return lambda: otgen.frechet_distance(*moments), facts
    if solver == "SciPy":
        laws = [(found.mean, found.covariance) for found in moments]
        return lambda: _scipy(*laws[0], *laws[1]), facts
    raise ValueError(f'solver must be "otgen" or "SciPy"; got {solver!r}.')


def _scipy(mean_x: np.ndarray, cov_x: np.ndarray, mean_y: np.ndarray, cov_y: np.ndarray) -> float:
    """As the usual implementations of FID have it."""
    from scipy.linalg import sqrtm

    root = np.real(sqrtm(cov_x @ cov_y))
    return float(((mean_x - mean_y) ** 2).sum() + np.trace(cov_x) + np.trace(cov_y) - 2.0 * np.trace(root))


def _moments(n: int, d: int, side: int) -> Any:
    """Moments of a normal law whose axes and variances are near to those of the other side."""
    import otgen

    shared, own = np.random.default_rng((0, d)), np.random.default_rng((1 + side, n, d))
    axes = np.linalg.qr(shared.standard_normal((d, d)) + APART * own.standard_normal((d, d)))[0]
    scales = np.arange(1.0, d + 1) ** (-0.5 * DECAY) * (1.0 + APART * own.random(d))
    found = otgen.GaussianMoments()
    for start in range(0, n, 1024):
        latent = own.standard_normal((min(1024, n - start), d))
        found.update((latent * scales) @ axes + APART * side / np.sqrt(d))
    return found
