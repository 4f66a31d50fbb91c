"""Unit vectors to project on: drawn at random, spread evenly, or given."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import autograd
from ..arrays import bring, check_finite
from ..devices import fetch
from ..options import read_count

UNIT = 1e-6  # off unit length that a given direction may be: rounding of float32, not more
FINEST = 2.0**-31  # half the spacing of scipy's Sobol points, whose inverse normal must stay finite


def read_directions(projections: Any, n_projections: Any, d: int, rng: np.random.Generator) -> np.ndarray:
    """Return float64 unit vectors (L, d): those given, or n_projections of the kind named; one suffices on the line.

    They are drawn and checked on the host, so that a seed means the same directions on any device.
    """
    count = read_count(n_projections, "n_projections", "directions")
    if isinstance(projections, str) and projections in KINDS:
        return np.ones((1, 1)) if d == 1 else KINDS[projections](count, d, rng)
    if projections is None or isinstance(projections, (str, int, float)):
        raise ValueError(
            f"projections must be one of {', '.join(KINDS)}, or unit vectors of shape (L, {d}); got {projections!r}. "
            "Leave it out for orthogonal ones."
        )
    if autograd.wants_gradient(projections):
        raise ValueError("projections must not record gradients: none passes to them. Pass projections.detach().")
    directions = fetch(bring(projections, "projections", None)).astype(np.float64)
    if directions.ndim != 2 or directions.shape[1] != d or len(directions) == 0:
        raise ValueError(
            f"projections must have shape (L, {d}), one direction a row; got shape {directions.shape}. "
            "Transpose it if directions are its columns."
        )
    check_finite(directions, "projections")
    lengths = np.linalg.norm(directions, axis=1)
    worst = int(np.argmax(np.abs(lengths - 1.0)))
    if not abs(lengths[worst] - 1.0) <= UNIT:
        raise ValueError(
            f"projections must hold unit vectors, to {UNIT:g}; row {worst} has length {float(lengths[worst])!r}. "
            "Divide each row by its length."
        )
    return directions


def independent(count: int, d: int, rng: np.random.Generator) -> np.ndarray:
    """Directions (count, d) drawn one by one from the uniform distribution on the sphere."""
    return _unit(rng.standard_normal((count, d)))


def orthogonal(count: int, d: int, rng: np.random.Generator) -> np.ndarray:
    """Blocks of d orthonormal directions, each block uniform over all such: a Gaussian matrix by QR.

    Signs that make the diagonal of R positive make Q uniform (Mezzadri, arXiv math-ph/0609050).
    """
    blocks, width = -(-count // d), min(count, d)
    q, r = np.linalg.qr(rng.standard_normal((blocks, d, width)))
    q = q * np.where(np.diagonal(r, axis1=1, axis2=2) < 0, -1.0, 1.0)[:, None]
    return np.ascontiguousarray(q.transpose(0, 2, 1).reshape(-1, d)[:count])


def sobol(count: int, d: int, rng: np.random.Generator) -> np.ndarray:
    """Scrambled Sobol points of the cube, through the inverse normal distribution onto the sphere."""
    # Nested: scipy.stats takes half a second that `import otgen` should not pay.
    from scipy.special import ndtri
    from scipy.stats import qmc

    if d > qmc.Sobol.MAXDIM:
        raise ValueError(
            f"projections='sobol' knows at most {qmc.Sobol.MAXDIM} dimensions; got d = {d}. "
            "Pass projections='orthogonal'."
        )
    options: Any = {"seed": rng}  # rng= since scipy 1.15, which goes on to take seed=
    points = qmc.Sobol(d, **options).random_base2(math.ceil(math.log2(count)))[:count]
    return _unit(ndtri(np.clip(points, FINEST, 1.0 - FINEST)))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


KINDS: dict[str, Callable[[int, int, np.random.Generator], np.ndarray]] = {
    "orthogonal": orthogonal,
    "sobol": sobol,
    "independent": independent,
}
