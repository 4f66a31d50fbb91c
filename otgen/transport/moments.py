"""Mean and covariance of a stream, in one pass and without the rows that have gone by."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..arrays import read_queries

BLOCK_BYTES = 2**24  # of the float64 rows that are kept until a product over them is worth its call
MOST_ROWS = 4096


class GaussianMoments:
    """Mean and covariance of samples that come in batches.

    update(batch) adds rows, merge(other) what another stream has seen; count, mean (d,) and covariance (d, d), divided
    by count - 1, are float64 NumPy arrays of all so far. The numbers do not depend on how a stream is cut into batches.
    Memory O(d^2) and a block of rows. Means are kept relative to the first block, so that small differences of large
    numbers keep their digits.
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
    def mean(self) -> np.ndarray:
        """The mean (d,) of the samples. Raises ValueError before the first."""
        sums = self._total(1)
        return sums.origin + sums.center

    @property
    def covariance(self) -> np.ndarray:
        """The covariance (d, d) of the samples, divided by count - 1.

        Raises ValueError for fewer than two samples, and where it overflows.
        """
        sums = self._total(2)
        found = sums.scatter / (sums.count - 1)
        if not np.isfinite(found).all():
            raise ValueError("the covariance leaves the range of float64; got inf. Rescale the samples.")
        return found

    def update(self, batch: Any) -> GaussianMoments:
        """Add the rows of batch (n, d), a NumPy array or a tensor (of which no gradient is kept), and return self.

        Raises ValueError or TypeError for bad input, and then adds nothing.
        """
        batch, _ = read_queries(batch, self._d or None, "batch", "those before")
        if not self._d:
            self._d = batch.shape[1]
            self._pending = np.empty((min(MOST_ROWS, max(1, BLOCK_BYTES // (8 * self._d))), self._d))
        self._found, taken = None, 0
        while taken < len(batch):
            part = batch[taken : taken + len(self._pending) - self._waiting]
            self._pending[self._waiting : self._waiting + len(part)] = part
            self._waiting += len(part)
            taken += len(part)
            if self._waiting == len(self._pending):
                self._sums, self._waiting = self._all(), 0
        return self

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
        mine, theirs = self._all(), other._total(1)
        self._sums, self._waiting, self._found = mine.joined(theirs) if mine else theirs, 0, None
        return self

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
