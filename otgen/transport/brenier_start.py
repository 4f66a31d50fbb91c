"""Heights to start from: quadratic in y, h_i = -<y_i, m> - (s/2) q(y_i - mean of y), the best of a few by samples.

q = <z, A^-1 z> with A the Gaussian map between source and targets is the Legendre dual of that map: a good start in the
plane. q = <z, cov(x) z> is what entropic transport from u = 0 gives; it wins in high dimension, where the targets are
few (n = 10,000, d = 64: chi2 0.27, against 1,400 of Voronoi cells). q = |z|^2 with a small s is the start that leaves
no cell empty: the Voronoi cells of the targets shrunk about the mean of the source.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .cell_error import estimate_chi2


def choose_start(cells: Any, nu: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the heights among the candidates whose cells have the least chi2 on the samples x."""
    best, least = np.zeros_like(nu), np.inf
    for h in _candidates(cells.y, nu, x):
        chi2 = estimate_chi2(cells.counts(x, h), nu).value
        if chi2 < least:
            best, least = h, chi2
    return best


def _candidates(y: np.ndarray, nu: np.ndarray, x: np.ndarray) -> Iterator[np.ndarray]:
    mean, z = x.mean(0), y - nu @ y
    linear = -(y @ mean)
    sigma = np.cov(x, rowvar=False, ddof=0).reshape(len(mean), -1)
    root_values, vectors = np.linalg.eigh((z * nu[:, None]).T @ z)
    keep = root_values > 1e-12 * max(root_values[-1], 1e-300)
    basis, roots = vectors[:, keep], np.sqrt(root_values[keep])
    # A^-1 = S^-1/2 (S^1/2 Sigma S^1/2)^1/2 S^-1/2 on the span of the targets, S their covariance.
    inner, inside = np.linalg.eigh(roots[:, None] * (basis.T @ sigma @ basis) * roots)
    half = (z @ basis / roots) @ inside * np.maximum(inner, 0.0) ** 0.25
    gaussian = (half * half).sum(1)
    entropic = ((z @ sigma) * z).sum(1)
    for s in (1.0, 0.5, 0.25, 0.125):
        yield linear - 0.5 * s * gaussian
    spread = np.sqrt(max(float(nu @ entropic), 1e-300))
    for s in (0.3, 0.6, 1.2):
        yield linear - 0.5 * s * np.sqrt(2.0 * np.log(len(nu) + 1.0)) / spread * entropic
    square = (z * z).sum(1)
    widest = max(float(np.sqrt(square.max())), 1e-300)
    yield linear - 0.05 * (np.sqrt(np.trace(sigma)) / widest) * square
