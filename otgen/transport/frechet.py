"""The Frechet distance of samples: that of the normal laws of their means and covariances."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import autograd, devices
from ..arrays import Home, read_clouds
from .bures import Pair, Spread
from .gaussian import Normal, distance
from .moments import GaussianMoments, blocks


@devices.on_device
def frechet_distance(x: Any, y: Any) -> Any:
    """Squared Wasserstein-2 distance between the normal laws of the samples' moments: the formula of FID.

    F = |m_x - m_y|^2 + tr(S_x + S_y - 2 (S_x S_y)^1/2), S the covariance with n - 1 in the denominator.

    x (n, d) and y (m, d) are samples, n, m >= 2, or `GaussianMoments` of samples that do not fit in memory. Real and
    >= 0 always, whatever the ranks, and 0 for equal arguments. Returns a float; for torch tensors a 0-d tensor,
    differentiable once in the samples. Arrays of CuPy and CUDA tensors stay on their GPU. Raises ValueError or
    TypeError for bad input.
    Cost O(n d^2 + d^3), and O((n + d) n^2) where both have fewer samples than dimensions.
    Source: Dowson and Landau, Journal of Multivariate Analysis 12 (1982); Heusel et al., arXiv 1706.08500.
    """
    sides, home = _read(x, y)
    like = next((side.points for side in sides if isinstance(side, Samples)), sides[0])
    laws = [side.law if isinstance(side, Samples) else _law_of(side, like) for side in sides]
    pair = Pair(laws[0].spread, laws[1].spread)
    root = distance(laws[0], laws[1], pair)
    value = root * root
    if not math.isfinite(value):
        raise ValueError("the squared distance leaves the range of float64; got inf. Rescale x and y together.")
    if not autograd.wants_gradient(x, y):
        return home.number(value)
    step = 2.0 * (laws[0].mean - laws[1].mean)
    gradients = [
        side.gradient(pair, k, -step if k else step)
        if isinstance(side, Samples) and autograd.wants_gradient((x, y)[k])
        else None
        for k, side in enumerate(sides)
    ]
    return autograd.attach(value, home, zip((x, y), gradients))


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples (n, d), their law, and the exponent of their largest coordinate.

    With n <= d the spread is in rows, n - 1 of them: a reflection takes the mean's direction out of the n centred ones.
    """

    points: np.ndarray
    exponent: int
    law: Normal

    @classmethod
    def of(cls, points: np.ndarray) -> Samples:
        exponent = math.frexp(float(np.abs(points).max()))[1]
        n, d = points.shape
        if n <= d:
            mean, centered = _centered(points, exponent)
            rows = centered[1:] + centered[0] / (math.sqrt(n) - 1.0)
            spread = Spread(rows / math.sqrt(n - 1), rows=True)
        else:
            moments = GaussianMoments()
            for block in blocks(points, exponent):
                moments.update(block)
            mean, covariance = moments.law(points)
            spread = Spread(covariance)
        spread.exponent += exponent
        return cls(points, exponent, Normal(np.ldexp(mean, exponent), spread))

    def gradient(self, pair: Pair, side: int, by_mean: np.ndarray) -> np.ndarray:
        """The derivative (n, d) of the squared distance, by_mean (d,) that in the mean."""
        n = len(self.points)
        if self.law.spread.rows is not None:
            by_rows = pair.slope_in_rows(side) / math.sqrt(n - 1)
            found = np.vstack([by_rows.sum(axis=0) / (math.sqrt(n) - 1.0), by_rows])
            found -= found.mean(axis=0)
        else:
            _, centered = _centered(self.points, self.exponent)
            found = np.ldexp(centered @ pair.slope(side), self.exponent) * (2.0 / (n - 1))
        return found + by_mean / n


def _centered(points: np.ndarray, exponent: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean of the points times 2^-exponent, and the points less it."""
    centered = np.ldexp(points.astype(np.float64), -exponent)
    start = centered.mean(axis=0)
    centered -= start
    rest = centered.mean(axis=0)  # the mean of large numbers is rounded; that of small ones less
    centered -= rest
    return start + rest, centered


def _law_of(moments: GaussianMoments, like: Any) -> Normal:
    """Where `like` is, a cloud or other moments."""
    mean, covariance = moments.law(getattr(like, "_held", like))
    return Normal(mean, Spread(covariance))


def _read(x: Any, y: Any) -> tuple[list[Samples | GaussianMoments], Home]:
    """Both sides, checked, and the home of the samples; Python floats where there are none."""
    given = {"x": x, "y": y}
    clouds = {name: value for name, value in given.items() if not isinstance(value, GaussianMoments)}
    read, home = read_clouds(clouds) if clouds else ([], Home(np.dtype(np.float64)))
    points = dict(zip(clouds, read))
    for name, value in given.items():
        n = value.count if isinstance(value, GaussianMoments) else len(points[name])
        if n < 2:
            raise ValueError(f"{name} must hold at least two samples, for a covariance; got {n}. Draw more.")
    sizes = [points[name].shape[1] if name in points else value.dimension for name, value in given.items()]
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"x and y must have samples of one dimension d; got {sizes[0]} and {sizes[1]}. Match their columns."
        )
    return [Samples.of(points[name]) if name in points else value for name, value in given.items()], home
