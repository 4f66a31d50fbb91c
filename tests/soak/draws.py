"""Random inputs as users have them: dtypes, layouts, weights, scales; what a case knows of them is exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Rng = np.random.Generator
Array = np.ndarray

FLOATS = (np.float64, np.float64, np.float64, np.float32, np.float32, np.float16)
INTEGERS = (np.int8, np.uint8, np.int16, np.int32, np.int64, np.uint32, np.bool_)
DIMENSIONS = (1, 2, 2, 3, 3, 5, 8, 9, 17, 64, 100)
REACH = {np.dtype(np.float64): 450, np.dtype(np.float32): 50, np.dtype(np.float16): 3}  # log2 of the largest scale


@dataclass(frozen=True)
class Cloud:
    """What is passed, and the same points as float64 divided by 2^exponent: a float16 or an int is exact in it."""

    given: Any
    points: Array
    exponent: int

    @property
    def working(self) -> np.dtype:
        """The precision that otgen works in."""
        kind = np.dtype(getattr(np.asarray(self.given), "dtype", np.float64))
        return np.dtype(np.float32 if kind.kind == "f" and kind.itemsize <= 4 else np.float64)

    def __len__(self) -> int:
        return len(self.points)


def pick(rng: Rng, options: Any) -> Any:
    """One of the options."""
    return options[int(rng.integers(len(options)))]


def size(rng: Rng, most: int = 40) -> int:
    """A number of points: often 1, 2 or 3."""
    return int(pick(rng, (1, 2, 3))) if rng.random() < 0.2 else int(rng.integers(2, most + 1))


def shape_of(rng: Rng, n: int, d: int) -> Array:
    """Points (n, d) of unit size: a law, a grid with duplicates, a line, clusters, one point, far away."""
    family = pick(rng, ("normal", "uniform", "grid", "line", "clusters", "one", "far", "heavy"))
    if family == "uniform":
        return rng.random((n, d))
    if family == "grid":
        return rng.integers(-2, 3, size=(n, d)).astype(float)
    if family == "line":
        return rng.normal(size=(n, 1)) * rng.normal(size=(1, d)) + rng.normal(size=(1, d))
    if family == "clusters":
        return rng.normal(size=(3, d))[rng.integers(3, size=n)] * 4 + 1e-3 * rng.normal(size=(n, d))
    if family == "one":
        return np.repeat(rng.normal(size=(1, d)), n, axis=0)
    if family == "far":
        return rng.normal(size=(n, d)) + 500.0
    if family == "heavy":
        return np.clip(rng.standard_cauchy(size=(n, d)), -1e3, 1e3)
    return rng.normal(size=(n, d))


def laid_out(rng: Rng, array: Array) -> Array:
    """The same values with other strides, in another byte order, or read-only."""
    how = pick(rng, ("plain", "plain", "reversed", "fortran", "strided", "columns", "read-only", "swapped", "shifted"))
    if how == "reversed":
        return np.ascontiguousarray(array[::-1])[::-1]
    if how == "fortran":
        return np.asfortranarray(array)
    if how == "strided":
        wide = np.repeat(array, 3, axis=0)
        return wide[1::3]
    if how == "columns" and array.ndim == 2:
        wide = np.zeros((len(array), 2 * array.shape[1] + 1), array.dtype)
        wide[:, 1::2] = array
        return wide[:, 1::2]
    if how == "read-only":
        array = array.copy()
        array.flags.writeable = False
        return array
    if how == "swapped" and array.dtype.itemsize > 1:
        return array.astype(array.dtype.newbyteorder())
    if how == "shifted":  # not aligned
        raw = np.zeros(array.nbytes + 1, np.uint8)[1:]
        moved = raw.view(array.dtype).reshape(array.shape)
        moved[...] = array
        return moved
    return array


def clouds(rng: Rng, n: int, m: int, d: int, *, p: float = 1.0, library: bool = True) -> tuple[Cloud, Cloud]:
    """Two clouds of one scale that p-th powers of distances bear; both tensors, or neither."""
    points = shape_of(rng, n, d), shape_of(rng, m, d)
    if n == m and rng.random() < 0.1:
        points = points[0], points[0][rng.permutation(n)]
    if rng.random() < 0.15:
        dtypes = pick(rng, INTEGERS), pick(rng, INTEGERS)
        exponent = 0
        low = [0 if np.dtype(dtype).kind in "ub" else -100 for dtype in dtypes]
        points = tuple(np.clip(np.round(z * 3), least, 100) for z, least in zip(points, low))
    else:
        dtypes = pick(rng, FLOATS), pick(rng, FLOATS)
        reach = min(REACH[np.dtype(dtype)] for dtype in dtypes)
        exponent = int(rng.integers(-reach, reach + 1) / p) if rng.random() < 0.3 else 0
    arrays = [np.ldexp(z, exponent).astype(dtype) for z, dtype in zip(points, dtypes)]
    exact = [np.ldexp(z.astype(np.float64), -exponent) for z in arrays]
    given: list[Any] = [laid_out(rng, z) for z in arrays]
    if library and rng.random() < 0.2:
        given = [tensor(rng, z) for z in arrays]
    elif rng.random() < 0.1:
        given = [z.tolist() if z.dtype in (np.float64, np.int64) else z for z in given]
    first, second = (Cloud(g, z, exponent) for g, z in zip(given, exact))
    return first, second


def tensor(rng: Rng, array: Array) -> Any:
    """The array as a torch tensor, now and then a transposed or expanded one."""
    import torch

    if array.dtype == np.uint32:
        array = array.astype(np.int64)
    found = torch.from_numpy(np.ascontiguousarray(array))
    return found.T.contiguous().T if array.ndim == 2 and rng.random() < 0.5 else found


def working(*found: Cloud) -> np.dtype:
    """The precision that a result of these clouds has."""
    return np.result_type(*(cloud.working for cloud in found))


def weights(rng: Rng, n: int, *, mass: float = 1.0) -> Array | None:
    """None, or float64 weights of this mass: even, with zeros, tiny ones, or over twelve orders."""
    family = pick(rng, (None, None, "even", "random", "zeros", "tiny", "spread", "one"))
    if family is None:
        return None
    w = rng.random(n) + 0.05
    if family == "even":
        w = np.ones(n)
    elif family == "zeros":
        w = np.where(rng.random(n) < 0.4, 0.0, w)
        w[rng.integers(n)] = 1.0
    elif family == "tiny":
        w = np.where(rng.random(n) < 0.4, 1e-14, w)
    elif family == "spread":
        w = 10.0 ** rng.uniform(-12, 0, size=n)
    elif family == "one":
        w = np.zeros(n)
        w[rng.integers(n)] = 1.0
    return w * (mass / w.sum())


def mass_of(w: Array | None, n: int) -> Array:
    """The weights that None stands for."""
    return np.full(n, 1.0 / n) if w is None else np.asarray(w, np.float64)


def pair_of_weights(rng: Rng, n: int, m: int) -> tuple[Array | None, Array | None]:
    """Weights of one mass, 1 where one of them is None."""
    mass = 1.0 if rng.random() < 0.7 else float(10.0 ** rng.uniform(-8, 8))
    a, b = weights(rng, n, mass=mass), weights(rng, m, mass=mass)
    if a is None and b is not None:
        b = b / b.sum()
    if b is None and a is not None:
        a = a / a.sum()
    return a, b


def beside(cloud: Cloud, w: Array | None, rng: Rng) -> Any:
    """Weights in the library of the points, or as a list, or of other strides."""
    if w is None:
        return None
    if type(cloud.given).__module__.startswith("torch"):
        return tensor(rng, w)
    return w.tolist() if rng.random() < 0.1 else laid_out(rng, w)
