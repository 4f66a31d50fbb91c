"""Mean and covariance of a stream, in one pass and without the rows that have gone by."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import devices
from ..arrays import read_queries

BLOCK_BYTES = 2**24  # of the float64 rows that are kept until a product over them is worth its call
MOST_ROWS = 4096


class GaussianMoments:
    """Mean and covariance of samples that come in batches.

    update(batch) adds rows, merge(other) what another stream has seen; count, mean (d,) and covariance (d, d), divided
    by count - 1, are float64 NumPy arrays of all so far. The numbers do not depend on how a stream is cut into batches.
    Batches on a GPU are added up there. Memory O(d^2) and a block of rows. Means are kept relative to the first block,
    so that small differences of large numbers keep their digits.
    Source: Chan, Golub and LeVeque, The American Statistician 37 (1983), section 3.
    """

    def __init__(self) -> None:
        self._d = 0
        self._pending = np.empty((0, 0))
        self._waiting = 0
        self._sums: _Sums | None = None
        self._found: _Sums | None = None  # the total, until more comes

    def __repr__(self) -> str:
        return f"GaussianMoments(count={self.count}, d={self._d or None})"

    @property
    def count(self) -> int:
        """How many samples have been seen."""
        return self._waiting + (self._sums.count if self._sums else 0)

    @property
    def dimension(self) -> int:
        """Of the samples; 0 before the first."""
        return self._d

    @property
    def mean(self) -> np.ndarray:
        """The mean (d,) of the samples. Raises ValueError before the first."""
        return devices.fetch(self._moments(1)[0])

    @property
    def covariance(self) -> np.ndarray:
        """The covariance (d, d) of the samples, divided by count - 1.

        Raises ValueError for fewer than two samples, and where it overflows.
        """
        return devices.fetch(self._moments(2)[1])

    @devices.on_device
    def update(self, batch: Any) -> GaussianMoments:
        """Add the rows of batch (n, d), an array or a tensor (of which no gradient is kept), and return self.

        Raises ValueError or TypeError for bad input, and then adds nothing: a stream stays on the device of its first.
        """
        batch, _ = read_queries(batch, self._d or None, "batch", "those before")
        places = [devices.described(devices.place_of(z)) for z in (batch, self._pending)]
        if self._d and places[0] != places[1]:
            raise TypeError(
                f"batch must be where those before are, on {places[1]}; it is on {places[0]}. Move it, or update other "
                "GaussianMoments and merge them."
            )
        if not self._d:
            d = batch.shape[1]
            self._pending = np.empty((min(MOST_ROWS, max(1, BLOCK_BYTES // (8 * d))), d), like=batch)
            self._d = d
        if not devices.is_on_gpu(batch):
            return self._add(batch)
        before = self._sums, self._found, self._waiting, self._pending[: self._waiting].copy()
        try:
            return self._add(batch)
        except BaseException:  # out of memory half-way: what is tried again must not count twice
            self._sums, self._found, self._waiting, self._pending[: len(before[3])] = before
            raise

    def _add(self, batch: np.ndarray) -> GaussianMoments:
        self._found, taken = None, 0
        while taken < len(batch):
            part = batch[taken : taken + len(self._pending) - self._waiting]
            self._pending[self._waiting : self._waiting + len(part)] = part
            self._waiting += len(part)
            taken += len(part)
            if self._waiting == len(self._pending):
                self._sums, self._waiting = self._all(), 0
        return self

    @devices.on_device
    def merge(self, other: GaussianMoments) -> GaussianMoments:
        """Add what another stream has seen, which stays as it is, and return self.

        Raises ValueError where its samples have another dimension, TypeError where it is something else.
        """
        if not isinstance(other, GaussianMoments):
            raise TypeError(f"other must be GaussianMoments; got {type(other).__name__}. Use update for samples.")
        if not other.count:
            return self
        if self._d not in (0, other._d):
            raise ValueError(f"other must hold samples of dimension {self._d}, as this; got {other._d}.")
        if not self._d:
            self._d, self._pending = other._d, np.empty_like(other._pending)
        mine, theirs = self._all(), other._total(1).beside(self._pending)
        self._sums, self._waiting, self._found = mine.joined(theirs) if mine else theirs, 0, None
        return self

    @property
    def _held(self) -> np.ndarray:
        """An array that lies where this is worked on."""
        return self._pending

    @devices.on_device
    def _moments(self, least: int) -> tuple[np.ndarray, np.ndarray]:
        """The mean of `least` samples or more and, of two, their covariance, where they are worked on."""
        sums = self._total(least)
        if least < 2:
            return sums.origin + sums.center, sums.scatter
        covariance = sums.scatter / (sums.count - 1)
        if not np.isfinite(covariance).all():
            raise ValueError("the covariance leaves the range of float64; got inf. Rescale the samples.")
        return sums.origin + sums.center, covariance

    def law(self, like: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The mean (d,) and the covariance (d, d) where `like` is."""
        mean, covariance = self._moments(2)
        return devices.beside(like, mean), devices.beside(like, covariance)

    def _total(self, least: int) -> _Sums:
        """The sums over all rows; those that wait go on waiting, or a look would change what follows."""
        if self.count < least:
            what = "a covariance needs two samples" if least == 2 else "a mean needs one"
            raise ValueError(f"{what}; count is {self.count}. Call update with more.")
        self._found = self._found or self._all()
        assert self._found is not None
        return self._found

    def _all(self) -> _Sums | None:
        if not self._waiting:
            return self._sums
        rows = self._pending[: self._waiting]
        sums = _Sums.of(rows, self._sums.origin if self._sums else None)
        return self._sums.joined(sums) if self._sums else sums


class _Sums:
    """count, the mean origin + center, and scatter (d, d), the sum of squares about the mean."""

    def __init__(self, count: int, origin: np.ndarray, center: np.ndarray, scatter: np.ndarray) -> None:
        self.count, self.origin, self.center, self.scatter = count, origin, center, scatter

    @classmethod
    def of(cls, rows: np.ndarray, origin: np.ndarray | None = None) -> _Sums:
        start = rows.mean(axis=0) if origin is None else origin
        centered = rows - start
        center = centered.mean(axis=0)
        centered -= center
        with np.errstate(over="ignore", invalid="ignore"):
            return cls(len(rows), start, center, centered.T @ centered)

    def beside(self, other: np.ndarray) -> _Sums:
        return _Sums(self.count, *(devices.beside(other, z) for z in (self.origin, self.center, self.scatter)))

    def joined(self, other: _Sums) -> _Sums:
        count, share = self.count + other.count, other.count / (self.count + other.count)
        step = (other.origin - self.origin) + (other.center - self.center)
        with np.errstate(over="ignore", invalid="ignore"):
            scatter = self.scatter + other.scatter
            scaled = step * math.sqrt(self.count * share)
            scatter += np.outer(scaled, scaled)
        return _Sums(count, self.origin, self.center + step * share, scatter)


def blocks(rows: np.ndarray, exponent: int) -> Iterator[np.ndarray]:
    """The rows times 2^-exponent in float64, a block at a time."""
    size = max(1, BLOCK_BYTES // (8 * rows.shape[1]))
    for start in range(0, len(rows), size):
        yield np.ldexp(rows[start : start + size].astype(np.float64), -exponent)
