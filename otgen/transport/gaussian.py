"""Optimal transport between normal laws, in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .. import autograd, devices
from ..arrays import Home, common_home, library_of, read_normal, read_queries
from .bures import Pair, Spread


class Normal(NamedTuple):
    """A normal law: its mean (d,), float64, and the spread of its covariance."""

    mean: np.ndarray
    spread: Spread


@devices.on_device
def gaussian_wasserstein(mean_x: Any, cov_x: Any, mean_y: Any, cov_y: Any) -> Any:
    """Wasserstein-2 distance between two normal laws, in closed form.

    W_2^2 = |m_x - m_y|^2 + tr(S_x + S_y - 2 (S_x^1/2 S_y S_x^1/2)^1/2).

    mean_x, mean_y (d,); cov_x, cov_y (d, d), symmetric and positive semidefinite, singular ones included: eigenvalues
    below 0 by no more than 64 sqrt(d) eps of the largest entry count as 0. Real and >= 0 always, and 0 for equal
    arguments. Near 0 it is off by about eps sqrt(condition number), of singular covariances by sqrt(eps), times their
    scale. Returns a float; for torch tensors a 0-d tensor, differentiable once in all four (the gradient in a singular
    covariance is that of factors of its rank, and at distance 0 it is 0). Arrays of CuPy and CUDA tensors stay on their
    GPU, where eigenvectors take Cholesky's place. Raises ValueError for bad input. Cost O(d^3).
    Source: Gelbrich, Mathematische Nachrichten 147 (1990), theorem 2.1.
    """
    inputs = mean_x, cov_x, mean_y, cov_y
    x, y, home = _read(*inputs)
    pair = Pair(x.spread, y.spread)
    value = distance(x, y, pair)
    if not math.isfinite(value):
        raise ValueError("the distance of mean_x and mean_y leaves the range of float64; got inf. Rescale both laws.")
    if not autograd.wants_gradient(*inputs):
        return home.number(value)
    share = 0.5 / value if value > 0 else 0.0
    step = (x.mean - y.mean) * (2 * share)
    by_x, by_y = (
        share * pair.slope(side) if autograd.wants_gradient(inputs[1 + 2 * side]) else None for side in (0, 1)
    )
    return autograd.attach(value, home, zip(inputs, (step, by_x, -step, by_y)))


@devices.on_device
def gaussian_map(mean_x: Any, cov_x: Any, mean_y: Any, cov_y: Any) -> GaussianMap:
    """Optimal map between two normal laws, T(x) = m_y + A (x - m_x).

    A = S_x^-1/2 (S_x^1/2 S_y S_x^1/2)^1/2 S_x^-1/2, symmetric and positive definite. Where cov_x is singular, A is what
    carries its support to that of cov_y, and 0 off it; it is no longer symmetric then.

    Arguments as in `gaussian_wasserstein`; no gradient passes through the map in them. Raises ValueError for bad input,
    for tensors that record gradients, and where cov_y has a higher rank than cov_x: a map does not add dimensions.
    Source: Peyre and Cuturi, Computational Optimal Transport (2019), remark 2.31.
    """
    for name, value in (("mean_x", mean_x), ("cov_x", cov_x), ("mean_y", mean_y), ("cov_y", cov_y)):
        if autograd.wants_gradient(value):
            raise ValueError(f"{name} must not record gradients: none passes through the map. Pass {name}.detach().")
    x, y, home = _read(mean_x, cov_x, mean_y, cov_y)
    ranks = x.spread.rank, y.spread.rank
    if ranks[1] > ranks[0]:
        raise ValueError(
            f"cov_x must have at least the rank of cov_y ({ranks[1]}) for a map to exist; its rank is {ranks[0]}. "
            "Add a small multiple of the identity to cov_x."
        )
    pair = Pair(x.spread, y.spread)
    back = pair.map(back=True) if ranks[0] == ranks[1] else None
    return GaussianMap(pair.map(), x.mean, y.mean, back, ranks, home)


@dataclass(frozen=True, eq=False, repr=False)
class GaussianMap:
    """The map T(x) = mean_y + matrix (x - mean_x) = matrix x + offset that carries one normal law to another."""

    _matrix: np.ndarray
    _mean_x: np.ndarray
    _mean_y: np.ndarray
    _back: np.ndarray | None
    _ranks: tuple[int, int]
    _home: Home

    def __repr__(self) -> str:
        return f"GaussianMap(d={len(self._mean_x)}, ranks={self._ranks[0]} to {self._ranks[1]})"

    @property
    def _held(self) -> np.ndarray:
        """An array that lies where this was worked on."""
        return self._matrix

    @property
    def matrix(self) -> Any:
        """A (d, d), an array of the library and precision of the covariances, as are the other three."""
        return self._home.array(self._matrix)

    @property
    def offset(self) -> Any:
        """mean_y - A mean_x, (d,)."""
        return _offset(self)

    @property
    def mean_x(self) -> Any:
        """The mean (d,) of the law that is carried."""
        return self._home.array(self._mean_x)

    @property
    def mean_y(self) -> Any:
        """The mean (d,) of the law that it is carried to."""
        return self._home.array(self._mean_y)

    @devices.on_device
    def transform(self, x: Any) -> Any:
        """Return T(x) of points x (k, d), in their library and precision; differentiable in a tensor x.

        Raises ValueError where the shape is another.
        """
        return _affine(x, "x", self._matrix, self._mean_x, self._mean_y)

    @devices.on_device
    def inverse(self, y: Any) -> Any:
        """Return the x of the support of cov_x with T(x) = y, for points y (k, d), as transform does.

        Raises ValueError where cov_y has a lower rank than cov_x: many x then have one T(x).
        """
        if self._back is None:
            raise ValueError(
                f"the map has no inverse: cov_x has rank {self._ranks[0]} and cov_y rank {self._ranks[1]}. "
                "Add a small multiple of the identity to cov_y."
            )
        return _affine(y, "y", self._back, self._mean_y, self._mean_x)


def distance(x: Normal, y: Normal, pair: Pair) -> float:
    """W_2 of two normal laws, pair that of their spreads; inf where the means are too far apart."""
    with np.errstate(over="ignore"):
        step = x.mean - y.mean
    return math.hypot(*devices.fetch(step), pair.distance())  # neither over- nor underflows, whatever the scale


def _read(mean_x: Any, cov_x: Any, mean_y: Any, cov_y: Any) -> tuple[Normal, Normal, Home]:
    """Both laws, checked, and the home of what is made of them."""
    device = common_home(mean_x=mean_x, cov_x=cov_x, mean_y=mean_y, cov_y=cov_y)
    read = [read_normal(mean_x, cov_x, "x"), read_normal(mean_y, cov_y, "y")]
    sizes = [len(mean) for mean, *_ in read]
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"mean_x and mean_y must have one dimension d; got {sizes[0]} and {sizes[1]} entries. Match their lengths."
        )
    laws = [Normal(mean, _read_spread(cov, f"cov_{side}", eps)) for (mean, cov, eps, _), side in zip(read, "xy")]
    return laws[0], laws[1], Home(np.promote_types(read[0][3], read[1][3]), device)


def _read_spread(cov: np.ndarray, name: str, eps: float) -> Spread:
    spread = Spread(cov, eps=eps)
    if spread.lowest < -64 * math.sqrt(len(cov)) * eps * np.abs(spread.values).max():
        lowest = math.ldexp(spread.lowest, 2 * spread.exponent)
        raise ValueError(
            f"{name} must be positive semidefinite; its smallest eigenvalue is {lowest:.3g}. "
            f"Set negative eigenvalues to 0: w, v = numpy.linalg.eigh({name}); (v * w.clip(0)) @ v.T."
        )
    return spread


@devices.on_device
def _offset(found: GaussianMap) -> Any:
    return found._home.array(found._mean_y - found._matrix @ found._mean_x)


def _affine(points: Any, name: str, matrix: np.ndarray, center: np.ndarray, target: np.ndarray) -> Any:
    """target + matrix (p - center) of each row, in float64; torch differentiates its own operations."""
    read, home = read_queries(points, len(center), name, f"mean_{name}")
    matrix, center, target = (devices.beside(read, part) for part in (matrix, center, target))
    if library_of(points) != "torch":
        return home.array((read - center) @ matrix.T + target)
    linear, start, end = (home.array(part, np.dtype(np.float64)) for part in (matrix, center, target))
    return ((points.to(linear.dtype) - start) @ linear.T + end).to(home.array(np.empty(0)).dtype)
