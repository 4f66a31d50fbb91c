"""Samples that are decoded by the batch: bytes stay bytes in memory, and what is mapped stays on disk."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

UNIT = (0.0, 1.0)
UNBOUNDED = (-math.inf, math.inf)


class NoSplit(FileNotFoundError, ValueError):
    """A set that holds its training samples only."""


class Source(Protocol):
    """Samples by number: x[index] of an index array (k,) is a float32 array (k, *shape)."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any) -> np.ndarray: ...


@dataclass(frozen=True)
class DataSet:
    """Samples with what a model must know of them.

    x[index] (k, *shape) is float32 with values in `range`: (0, 1) for images (C, H, W), unbounded for vectors (d,).
    labels (n,) are int64, classes[label] is a name; both are None where a set has none.
    """

    name: str
    x: Source
    range: tuple[float, float]
    labels: np.ndarray | None = None
    classes: tuple[str, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.x.shape

    def __len__(self) -> int:
        return len(self.x)


class Stored:
    """Samples (n, *shape) in an array, which may be a memory map; bytes b are decoded to b / 255."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape[1:]

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Any) -> np.ndarray:
        return decoded(self.values[rows(index, len(self))])


def decoded(values: np.ndarray) -> np.ndarray:
    """Return values as C-contiguous float32, bytes divided by 255."""
    if values.dtype == np.uint8:
        return np.divide(values, np.float32(255), dtype=np.float32, order="C")
    return np.array(values, dtype=np.float32, order="C")


def rows(index: Any, n: int) -> np.ndarray:
    """Return a slice, a mask (n,) or integers (k,) as row numbers in [0, n)."""
    if isinstance(index, slice):
        return np.arange(n)[index]
    given = np.asarray(index)
    if given.dtype == bool and given.shape == (n,):
        return np.flatnonzero(given)
    if given.ndim != 1 or (given.dtype.kind not in "iu" and given.size):
        raise TypeError(
            f"index must be a slice, integers of shape (k,) or a mask of shape ({n},); got shape {given.shape} of "
            f"dtype {given.dtype}. Pass [i] for sample i."
        )
    given = given.astype(np.int64)
    if given.size and not -n <= given.min() <= given.max() < n:
        raise IndexError(f"index must lie in [0, {n}); got {given.min()} to {given.max()}. Draw it from range(len(x)).")
    return np.where(given < 0, given + n, given)


def check_labels(labels: np.ndarray, n: int, classes: int | None, path: Any) -> np.ndarray:
    """Return labels (n,) as int64, or raise: one a sample, each the number of a class."""
    if labels.shape != (n,):
        raise ValueError(
            f"{path} must hold {n} labels, one a sample; it holds shape {labels.shape}. Pair it with its own images."
        )
    if labels.dtype.kind not in "iu":
        raise ValueError(f"{path} must hold integer labels; its dtype is {labels.dtype}. Number the classes from 0.")
    low, high = (int(labels.min()), int(labels.max())) if n else (0, 0)
    if low < 0 or (classes is not None and high >= classes):
        top = "" if classes is None else f" and at most {classes - 1}"
        raise ValueError(
            f"{path} must hold labels of at least 0{top}; it holds {low} to {high}. It is damaged or of another set."
        )
    return labels.astype(np.int64)
