"""What a semi-discrete map starts from: measures that can be sampled, by numbers in [0, 1) or one by one.

The exact method also needs a convex domain, with Lebesgue measure or a piecewise constant density on it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from ..devices import beside, is_on_gpu

S = TypeVar("S")

Array = np.ndarray
Rng = np.random.Generator


class Source:
    """A probability measure on R^dim.

    `uniforms` is how many independent numbers in [0, 1) make a point (None: it can only be sampled as it comes),
    `radius` its typical half width.
    """

    kind: str
    dim: int
    uniforms: int | None
    radius: float

    @property
    def mean(self) -> Array:
        """E x (dim,)."""
        raise NotImplementedError

    def from_uniform(self, u: Array) -> Array:
        """The points of independent numbers u (n, uniforms) in [0, 1)."""
        raise NotImplementedError

    def sample(self, n: int, rng: Rng) -> Array:
        """n independent points (n, dim), float64; rng may be a GPU's, for a source that is `placed` there."""
        assert self.uniforms is not None
        return self.from_uniform(rng.random((n, self.uniforms)))

    def parameters(self) -> dict[str, Array]:
        """What makes the source anew: arguments of its class."""
        raise NotImplementedError

    def identity(self) -> list[Array]:
        """Arrays that differ where sources do."""
        return [*self.parameters().values()]


class Convex(Source):
    """A measure on a convex polytope in the plane or in space, with a density that is constant or given by pixels."""

    density: Array | None = None
    corners: Array

    @cached_property
    def halfspaces(self) -> Array:
        """Rows (a, b), <a, x> <= b on the polytope, |a| = 1."""
        from scipy.spatial import ConvexHull

        inside, centre, exponent = _unit(self.corners)
        equations = np.unique(ConvexHull(inside).equations.round(14), axis=0)
        normals = equations[:, :-1]
        return np.column_stack([normals, normals @ centre - np.ldexp(equations[:, -1], exponent)])


class Box(Convex):
    """Lebesgue measure on a box, low and high (dim,), of any dimension."""

    kind = "uniform"

    def __init__(self, low: Array, high: Array) -> None:
        self.low, self.high = np.asarray(low, np.float64), np.asarray(high, np.float64)
        self.dim = self.uniforms = len(self.low)
        self.radius = float(0.5 * (self.high - self.low).max())

    @property
    def mean(self) -> Array:
        return 0.5 * self.low + 0.5 * self.high

    @property
    def corners(self) -> Array:  # pyright: ignore[reportIncompatibleVariableOverride]
        if self.dim == 2:  # counter-clockwise
            (x0, y0), (x1, y1) = self.low, self.high
            return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
        places = np.stack(np.meshgrid(*[[0, 1]] * self.dim, indexing="ij"), -1).reshape(-1, self.dim)
        return np.where(places == 0, self.low, self.high)

    @cached_property
    def halfspaces(self) -> Array:
        unit = np.eye(self.dim)
        return np.column_stack([np.vstack([-unit, unit]), np.r_[-self.low, self.high]])

    def from_uniform(self, u: Array) -> Array:
        return self.low + u * (self.high - self.low)

    def parameters(self) -> dict[str, Array]:
        return {"low": self.low, "high": self.high}


class Image(Box):
    """A piecewise constant density on a box in the plane or in space: density >= 0, first axis along the first
    coordinate in space; in the plane rows run along the second coordinate, as images do.
    """

    kind = "image"
    density: Array

    def __init__(self, low: Array, high: Array, density: Array) -> None:
        super().__init__(low, high)
        self.density = np.asarray(density, np.float64)
        self._cumulative = np.cumsum(self.density.ravel())
        self.uniforms = self.dim + 1

    @cached_property
    def _cells(self) -> tuple[Array, Array, Array]:
        # corner and size of every pixel, and its mass
        shape = self.density.shape
        places = np.stack(np.unravel_index(np.arange(self.density.size), shape), -1).astype(np.float64)
        counts = np.array(shape, np.float64)
        if self.dim == 2:
            places, counts = places[:, ::-1], counts[::-1]
        size = (self.high - self.low) / counts
        return self.low + places * size, size, self.density.ravel() / self._cumulative[-1]

    @property
    def mean(self) -> Array:
        corner, size, mass = self._cells
        return mass @ (corner + 0.5 * size)

    def from_uniform(self, u: Array) -> Array:
        corner, size, _ = self._cells
        pixel = np.searchsorted(self._cumulative, u[:, 0] * self._cumulative[-1], side="right")
        # The last pixel with mass: u * total may round up to the total.
        pixel = np.minimum(pixel, np.searchsorted(self._cumulative, self._cumulative[-1]))
        return corner[pixel] + u[:, 1:] * size

    def parameters(self) -> dict[str, Array]:
        assert self.density is not None
        return {**super().parameters(), "density": self.density}


class Polytope(Convex):
    """Lebesgue measure on the convex hull of corners (k, 2) or (k, 3)."""

    kind = "polytope"

    def __init__(self, corners: Array) -> None:
        from scipy.spatial import ConvexHull, Delaunay

        given = np.asarray(corners, np.float64)
        self.dim = given.shape[1]
        inside, _, _ = _unit(given)
        hull = ConvexHull(inside).vertices  # in the plane counter-clockwise
        self.corners, inside = given[hull], inside[hull]
        simplices = Delaunay(inside).simplices
        volume = np.abs(np.linalg.det(inside[simplices[:, 1:]] - inside[simplices[:, :1]]))
        self._simplices, self._cumulative = self.corners[simplices], np.cumsum(volume)
        self._mass = volume / volume.sum()
        self.uniforms = self.dim + 1
        self.radius = float(0.5 * (self.corners.max(0) - self.corners.min(0)).max())

    @property
    def mean(self) -> Array:
        return self._mass @ self._simplices.mean(1)

    def from_uniform(self, u: Array) -> Array:
        place = np.searchsorted(self._cumulative, u[:, 0] * self._cumulative[-1], side="right")
        place = np.minimum(place, len(self._cumulative) - 1)
        # Gaps of sorted numbers are uniform barycentric coordinates.
        cuts = np.sort(u[:, 1:], axis=1)
        padded = np.column_stack([np.zeros_like(u[:, 0]), cuts, np.ones_like(u[:, 0])])
        return np.einsum("nk,nkd->nd", np.diff(padded, axis=1), self._simplices[place])

    def parameters(self) -> dict[str, Array]:
        return {"corners": self.corners}


class Ball(Source):
    """Lebesgue measure on a ball."""

    kind = "ball"

    def __init__(self, centre: Array, radius: Array | float) -> None:
        self.centre, self.radius = np.asarray(centre, np.float64), float(radius)
        self.dim = len(self.centre)
        self.uniforms = self.dim + 1

    @property
    def mean(self) -> Array:
        return self.centre

    def from_uniform(self, u: Array) -> Array:
        return self._along(_normal(u[:, 1:]), u[:, 0])

    def sample(self, n: int, rng: Rng) -> Array:
        if isinstance(rng, np.random.Generator):
            return super().sample(n, rng)
        return self._along(rng.standard_normal((n, self.dim)), rng.random(n))

    def _along(self, direction: Array, share: Array) -> Array:
        length = np.sqrt((direction**2).sum(1))
        length[length == 0.0] = 1.0
        return self.centre + direction * (self.radius * share ** (1.0 / self.dim) / length)[:, None]

    def parameters(self) -> dict[str, Array]:
        return {"centre": self.centre, "radius": np.array(self.radius)}


class Normal(Source):
    """The normal distribution of a mean (dim,) and a covariance (dim, dim)."""

    kind = "normal"

    def __init__(self, mean: Array, cov: Array) -> None:
        self._mean, self.cov = np.asarray(mean, np.float64), np.asarray(cov, np.float64)
        self.dim = self.uniforms = len(self._mean)
        values, vectors = np.linalg.eigh(self.cov)
        self._root = vectors * np.sqrt(np.maximum(values, 0.0))
        self.radius = float(2.0 * np.sqrt(max(values.max(), 0.0)))

    @property
    def mean(self) -> Array:
        return self._mean

    def from_uniform(self, u: Array) -> Array:
        return self._mean + _normal(u) @ self._root.T

    def sample(self, n: int, rng: Rng) -> Array:
        if isinstance(rng, np.random.Generator):
            return super().sample(n, rng)
        return self._mean + rng.standard_normal((n, self.dim)) @ self._root.T

    def parameters(self) -> dict[str, Array]:
        return {"mean": self._mean, "cov": self.cov}


class Sampler(Source):
    """What a function sampler(n, rng) -> (n, dim) draws."""

    kind = "callable"
    uniforms = None
    PILOT = 4096  # points from which its mean and its width are estimated

    def __init__(self, sampler: Callable[[int, Rng], Any], dim: int, seed: int) -> None:
        self._sampler, self.dim = sampler, dim
        self._pilot = self.sample(self.PILOT, np.random.default_rng([seed, 0x9E3779B9]))
        self.radius = float(np.sqrt(3.0) * self._pilot.std(0).max())

    @property
    def mean(self) -> Array:
        return self._pilot.mean(0)

    def sample(self, n: int, rng: Rng) -> Array:
        found = self._sampler(n, rng)
        points = np.asarray(found.detach().cpu() if hasattr(found, "detach") else found)
        if points.shape != (n, self.dim) or points.dtype.kind not in "fiu":
            raise ValueError(
                f"source(n, rng) must return real points of shape (n, {self.dim}), the dimension of y; for n = {n} it "
                f"returned {points.dtype} of shape {points.shape}. Return rng.normal(size=(n, {self.dim})), say."
            )
        points = points.astype(np.float64)
        if not np.isfinite(points).all():
            raise ValueError(
                "source(n, rng) must return finite points; it returned NaN or inf. Draw from a proper distribution."
            )
        return points

    def parameters(self) -> dict[str, Array]:
        return {}

    def identity(self) -> list[Array]:
        return [self._pilot]


class Framed(Source):
    """A source in coordinates of size 1: (x - centre) / 2^exponent."""

    def __init__(self, source: Source, centre: Array, exponent: int) -> None:
        self.kind, self.dim, self.uniforms = source.kind, source.dim, source.uniforms
        self.radius = float(np.ldexp(source.radius, -exponent))
        self._source, self._centre, self._exponent = source, centre, exponent

    def _inside(self, points: Array) -> Array:
        return np.ldexp(points - self._centre, -self._exponent)

    @property
    def mean(self) -> Array:
        return self._inside(self._source.mean)

    def from_uniform(self, u: Array) -> Array:
        return self._inside(self._source.from_uniform(u))

    def sample(self, n: int, rng: Rng) -> Array:
        return self._inside(self._source.sample(n, rng))


CLASSES: dict[str, Any] = {cls.kind: cls for cls in (Box, Image, Polytope, Ball, Normal)}
"""Sources that parameters make anew, by their kind."""


def placed(source: S, other: Any) -> S:
    """The source with its arrays where `other` is, so that it is sampled there; one without uniforms stays.

    Inverse normal distribution functions are for the host: on a GPU `sample` draws normal numbers themselves.
    """
    if not is_on_gpu(other) or getattr(source, "uniforms", None) is None:
        return source
    if isinstance(source, Image):
        _ = source._cells  # made here, before its parts are there
    moved = copy.copy(source)
    for name, value in vars(source).items():
        if isinstance(value, np.ndarray):
            vars(moved)[name] = beside(other, value)
        elif isinstance(value, tuple):
            vars(moved)[name] = tuple(beside(other, part) for part in value)
        elif isinstance(value, Source):
            vars(moved)[name] = placed(value, other)
    return moved


def _unit(points: Array) -> tuple[Array, Array, int]:
    """(points - centre) / 2^exponent, of size 1, in which Qhull may judge what is flat; the centre and the exponent."""
    low, high = points.min(0), points.max(0)
    centre, exponent = 0.5 * low + 0.5 * high, int(np.frexp((0.5 * high - 0.5 * low).max())[1])
    return np.ldexp(points - centre, -exponent), centre, exponent


def _normal(u: Array) -> Array:
    from scipy.special import ndtri  # `import otgen` should not pay for it

    # 2^-54: half of the least step of rng.random(), so that 0 gives a number.
    return ndtri(np.clip(u, 2.0**-54, 1.0 - 2.0**-53))
