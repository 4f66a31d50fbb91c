"""Densities in the plane that are known exactly: points or curves with normal noise around them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.spatial import KDTree

from ..arrays import read_queries
from ..options import is_one_of, read_count, read_seed
from .sources import UNBOUNDED, DataSet, Stored

STEPS = 1 << 16  # points that stand in for a curve: at most 2.8e-4 apart, 1/70 of the smallest noise
Curve = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Toy:
    """A density: the law of S + sd Z, Z standard normal in the plane, S uniform on centres or on curves.

    centres (k, 2) are the modes of a mixture, None for curves. A curve takes t (n,) in [0, 1] to its points (n, 2); S
    is curve(t) of one of the curves, t uniform. sd is that of the noise in each coordinate, so a point lies farther
    than r sd from its own S with probability exp(-r^2 / 2): 1.11 % for r = 3, 0.03 % for r = 4.
    """

    name: str
    sd: float
    centres: np.ndarray | None = None
    curves: tuple[Curve, ...] = field(default=(), repr=False)

    @property
    def components(self) -> int:
        """The number of centres, or of curves."""
        return len(self.curves) if self.centres is None else len(self.centres)

    def draw(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return n points (n, 2) in float32 and the component (n,) that each comes from."""
        component, t, noise = rng.integers(self.components, size=n), rng.random(n), rng.standard_normal((n, 2))
        if self.centres is not None:
            clean = self.centres[component]
        else:
            clean = np.select([(component == i)[:, None] for i in range(len(self.curves))], [c(t) for c in self.curves])
        return (clean + self.sd * noise).astype(np.float32), component

    def distance(self, x: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return how far points x (n, 2) are from the nearest centre or curve (n,), and the number of that one (n,).

        Exact for centres. For curves by 65,536 points of each, which is too far by less than 2e-4, and by less than
        1e-6 for points at least 0.02 away. Raises ValueError or TypeError for bad points.
        """
        points, _ = read_queries(x, 2, "x", self.name)
        if self.centres is not None:
            clean, each = self.centres, 1
        else:
            t, each = np.linspace(0.0, 1.0, STEPS), STEPS
            clean = np.concatenate([curve(t) for curve in self.curves])
        distance, nearest = KDTree(clean).query(points)
        return np.asarray(distance), np.asarray(nearest) // each


def facts(name: str) -> Toy:
    """The exact density of a toy set: where its modes or curves are, and the width of the noise.

    Names: 25gaussians, 8gaussians, ring, swissroll, moons, lines. Raises ValueError for another.
    """
    if not is_one_of(name, TOYS):
        raise ValueError(f"name must be one of {', '.join(TOYS)}; got {name!r}. Pass one of them.")
    return TOYS[name]


def sample(name: str, n: int, seed: Any = 0) -> np.ndarray:
    """n independent points (n, 2), float32, of a toy set; seed is an int or a NumPy Generator.

    Raises ValueError for an unknown name, n < 1 or a bad seed.
    """
    return facts(name).draw(read_count(n, "n"), read_seed(seed))[0]


def read(name: str, split: str, n: int, seed: int) -> DataSet:
    """A set of n points in the plane, labelled by component; its splits are independent draws."""
    toy = facts(name)
    stream = np.random.SeedSequence(seed, spawn_key=(("train", "test").index(split),))
    points, component = toy.draw(n, np.random.default_rng(stream))
    kind = "curve" if toy.centres is None else "mode"
    classes = tuple(f"{kind} {i}" for i in range(toy.components))
    return DataSet(name, Stored(points), UNBOUNDED, component.astype(np.int64), classes)


def _grid() -> Toy:
    steps = 2.0 * np.arange(-2, 3)
    centres = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    return Toy("25gaussians", 0.05 / 2.828, centres / 2.828)


def _eight() -> Toy:
    angle = 2 * math.pi * np.arange(8) / 8
    return Toy("8gaussians", 0.02, 2.0 * np.stack([np.cos(angle), np.sin(angle)], axis=-1))


def _circle(t: np.ndarray, radius: float = 2.0) -> np.ndarray:
    return radius * np.stack([np.cos(2 * math.pi * t), np.sin(2 * math.pi * t)], axis=-1)


def _spiral(t: np.ndarray) -> np.ndarray:
    angle = 1.5 * math.pi * (1 + 2 * t)
    return angle[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1) / 7.5


def _upper_moon(t: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(math.pi * t), np.sin(math.pi * t)], axis=-1)


def _lower_moon(t: np.ndarray) -> np.ndarray:
    return np.array([1.0, 0.5]) - _upper_moon(t)


def _line(place: float) -> Curve:
    return lambda t: np.stack([np.full_like(t, place), t], axis=-1)


# Gulrajani et al., arXiv 1704.00028 (25gaussians, swissroll); Metz et al., arXiv 1611.02163 (8gaussians);
# scikit-learn's make_moons with noise 0.05; Arjovsky et al., arXiv 1701.07875, example 1, with noise (lines).
TOYS = {
    toy.name: toy
    for toy in (
        _grid(),
        _eight(),
        Toy("ring", 0.05, curves=(_circle,)),
        Toy("swissroll", 0.25 / 7.5, curves=(_spiral,)),
        Toy("moons", 0.05, curves=(_upper_moon, _lower_moon)),
        Toy("lines", 0.02, curves=(_line(0.0), _line(1.0))),
    )
}
