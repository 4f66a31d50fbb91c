"""The pairs of two clouds under one kernel: coordinate differences in low dimension, GEMMs in high dimension."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..constants import KERNEL_COLUMNS, SMALL_DIMS, TILE_ROWS
from ..kernel_kinds import ENERGY, KINDS, LARGE, NEAR, POLYNOMIAL, constants
from .kernel_runs import runs_of_differences, runs_of_products

CLOSE = {np.dtype(np.float32): 2.0**-7, np.dtype(np.float64): 2.0**-20}
"""Share of |x|^2 + |y|^2 below which |x - y|^2 from a GEMM has lost too many digits."""


class Unit(NamedTuple):
    """A block of rows, a block of columns, and whether the mirrored pairs are meant too."""

    lo: int
    hi: int
    first: int
    last: int
    mirrored: bool


class Weights(NamedTuple):
    """Weights in units of the largest, in the precision of the pairs; points: what a GEMM sums gradients with."""

    small: np.ndarray
    most: float
    points: np.ndarray | None


class KernelPairs:
    """The pairs of x (n, d) and y (m, d), None for x itself, under one kernel: scaled to an extent of about 1.

    path forces one of "differences" and "products".
    """

    def __init__(
        self, x: np.ndarray, y: np.ndarray | None, kernel: str, scales: np.ndarray, bandwidth: float,
        path: str | None = None,
    ):  # fmt: skip
        self.kind = KINDS[kernel]
        clouds = (x,) if y is None else (x, y)
        size = max(float(np.abs(z).max()) for z in clouds)
        self.exponent, self.dtype = 0, x.dtype
        if self.kind == POLYNOMIAL:
            if np.frexp(size)[1] > LARGE:
                self.dtype = np.dtype(np.float64)
        else:
            self.exponent = _extent_exponent(clouds)
        clouds = [z.astype(self.dtype, copy=False) for z in clouds]
        if self.exponent:
            clouds = [np.ldexp(z, -self.exponent) for z in clouds]
        h = float(np.ldexp(bandwidth, -self.exponent))
        self.constants = constants(kernel, np.asarray(scales, np.float64), h, x.shape[1], self.dtype)
        self.shape = len(clouds[0]), len(clouds[-1])
        self.by_products = path == "products" or (path is None and x.shape[1] > SMALL_DIMS)
        if not self.by_products:
            at = [np.ascontiguousarray(z.T) for z in clouds]
            self._at = at[0], at[-1]
            return
        self._raw = clouds[0], clouds[-1]
        centre = (
            np.zeros(x.shape[1])
            if self.kind == POLYNOMIAL
            else np.mean([z.mean(0, dtype=np.float64) for z in clouds], 0)
        )
        centred = [(z - centre).astype(self.dtype) for z in clouds]
        norms = [np.einsum("ij,ij->i", z, z, dtype=np.float64).astype(self.dtype) for z in centred]
        self.centred, self._norms = (centred[0], centred[-1]), (norms[0], norms[-1])

    @property
    def value_exponent(self) -> int:
        """Kernels are worked on at 2^-this times their size."""
        return self.exponent if self.kind == ENERGY else 0

    def weights(self, side: int, w: np.ndarray, *, gradient: bool) -> Weights:
        """Return weights (n,) of a side as `add` takes them; gradient: of the other side's points."""
        most = float(w.max())
        small = np.require(w / most, self.dtype, "C")
        if not self.by_products or not gradient:
            return Weights(small, most, None)
        points = self.centred[side]
        return Weights(small, most, np.concatenate([points * small[:, None], small[:, None]], axis=1))

    def add(
        self, unit: Unit, weights: tuple[Weights, Weights], columns: np.ndarray | None, by_x: np.ndarray | None,
        by_y: np.ndarray | None,
    ) -> np.ndarray:  # fmt: skip
        """Return K b of the rows of a unit; add K^T a, and the gradients, of its pairs where there is room for them."""
        rows = np.zeros(unit.hi - unit.lo)
        none, nothing = np.empty(0), np.empty((0, 0))
        slopes, down = by_x is not None or by_y is not None, columns is not None
        out = (
            none if columns is None else columns,
            nothing if by_x is None else by_x,
            nothing if by_y is None else by_y,
        )
        flags = by_x is not None, by_y is not None
        a, b = weights[0].small, weights[1].small
        if not self.by_products:
            runs_of_differences(
                *self._at, unit.lo, unit.hi, unit.first, unit.last, self.kind, self.constants, a, b, slopes, down, rows,
                *out, *flags,
            )  # fmt: skip
            return rows
        for top, left, product in self.tiles(unit):
            width, height = product.shape[1], product.shape[0]
            part = rows[top - unit.lo : top - unit.lo + height]
            self.fold(product, top, left, a, b, slopes, down, part, *out, *flags, False)
            if by_x is not None:
                points = weights[1].points
                assert points is not None
                by_x[top : top + height] += self._gradient(product @ points[left : left + width], 0, top)
            if by_y is not None:
                points = weights[0].points
                assert points is not None
                by_y[left : left + width] += self._gradient(product.T @ points[top : top + height], 1, left)
        return rows

    def tiles(self, unit: Unit) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yield the tiles of a unit: first row, first column, and -2 <x, y> (<x, y> for the polynomial)."""
        x, y = self.centred
        factor = self.dtype.type(1.0 if self.kind == POLYNOMIAL else -2.0)
        room = np.empty(TILE_ROWS * KERNEL_COLUMNS, self.dtype)
        for top in range(unit.lo, unit.hi, TILE_ROWS):
            rows = x[top : min(top + TILE_ROWS, unit.hi)] * factor
            for left in range(unit.first, unit.last, KERNEL_COLUMNS):
                columns = y[left : min(left + KERNEL_COLUMNS, unit.last)]
                product = room[: len(rows) * len(columns)].reshape(len(rows), -1)
                np.matmul(rows, columns.T, out=product)
                yield top, left, product

    def fold(self, product, top, left, a, b, slopes, down, rows, columns, by_x, by_y, wants_x, wants_y, leaves_value):
        """Reduce a tile that `tiles` yields."""
        height, width = product.shape
        near, far = self._norms[0][top : top + height], self._norms[1][left : left + width]
        close = self.dtype.type(CLOSE[self.dtype]) * (near + far.max())
        runs_of_products(
            product, near, far, close, *self._raw, top, left, self.kind, self.constants, a[top : top + height],
            b[left : left + width], slopes, down, rows, columns, by_x, by_y, wants_x, wants_y, leaves_value,
        )  # fmt: skip

    def _gradient(self, sums: np.ndarray, side: int, start: int) -> np.ndarray:
        """sum w (x - y) from sum w y and sum w, the last column; sum w y for the polynomial."""
        if self.kind == POLYNOMIAL:
            return sums[:, :-1]
        points = self.centred[side][start : start + len(sums)]
        return points * sums[:, -1:].astype(np.float64) - sums[:, :-1]


def _extent_exponent(clouds: tuple[np.ndarray, ...]) -> int:
    """Return e such that points times 2^-e differ by about 1 at most; 0 where that is nearly so, or all coincide."""
    low = np.min([z.min(0) for z in clouds], 0).astype(np.float64)
    high = np.max([z.max(0) for z in clouds], 0).astype(np.float64)
    widest = float((0.5 * high - 0.5 * low).max())  # halves: the difference itself may overflow
    e = int(np.frexp(widest)[1]) + 1 if widest > 0.0 else 0
    return e if abs(e) > NEAR else 0
