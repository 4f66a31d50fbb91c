"""Soft pair reductions on the GPU: sums of exp((f_i + h_j - c_ij) / eps) over j, for any eps, scale and precision.

Every row keeps a running maximum, so no guess of the answer is needed: a transform is two launches, and nothing waits
for the host. Exponents are float32 or float64, sums float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..constants import SMALL_DIMS
from ..costs import (
    IDENTITY,
    POWER,
    SQUARES,
    Cost,
    coordinate_exponent,
    describe,
    radius,
    row_norms,
    scale_by_power,
    unit_rows,
)
from . import device
from .pairs import TILE, shares
from .soft_products import ProductPairs
from .soft_small import AVERAGE, GRADIENT, SmallPairs, Sums

TOTAL, ENTROPY = 0, 1
"""What is reduced, as in soft.cuh: sum 2^z; and sum 2^z z; or, as in soft_small.py, an average or a gradient."""

MATRIX = 3
"""The form of costs that are read, not computed, as in soft.cu."""

COLUMNS = 16
"""Values or coordinates that one pass over the pairs sums."""

MOST_ROUNDING = 3e-5
"""Relative error of weights in float32 up to which averages and gradients, good to 1e-4, are made of them."""

MOST_BITS = 128.0
"""Size of the largest term in bits, the mean over a row, up to which float32 knows its weights to 6e-5."""

LOG2_E = float(np.log2(np.e))

_HUGE = 40  # a matrix with entries of 2^40 or 2^-40 is scaled, lest float32 end


def soft_c_transform(x: Any, y: Any, h: Any, b: Any, *, metric: str, p: float, eps: float) -> Any:
    """Return v_i = -eps log sum_j b_j exp((h_j - c(x_i, y_j)) / eps)."""
    with device.home((x, y, h, b)):
        keep, offsets = _offsets(len(y), h, b, eps)
        if keep is not None and not keep.any():
            return device.namespace().full(len(x), np.inf)
        pairs = SoftPairs(x, y if keep is None else y[keep], metric=metric, p=p)
        return pairs.transform(0, offsets, eps, single=x.dtype == np.float32)


def soft_average(x: Any, y: Any, f: Any, h: Any, b: Any, values: Any, *, metric: str, p: float, eps: float) -> Any:
    """Return sum_j b_j exp((f_i + h_j - c(x_i, y_j)) / eps) values_j."""
    with device.home((x, y, f, h, b, values)):
        keep, offsets = _offsets(len(y), h, b, eps)
        if keep is not None and not keep.any():
            return device.namespace().zeros((len(x), *values.shape[1:]))
        pairs = SoftPairs(x, y if keep is None else y[keep], metric=metric, p=p)
        columns = (values if keep is None else values[keep]).reshape(pairs.shape[1], -1)
        out = pairs.average(0, f, offsets, eps, columns, single=x.dtype == np.float32)
        return out.reshape(len(x), *values.shape[1:])


def _offsets(m: int, h: Any, b: Any, eps: float) -> tuple[Any, Any]:
    """Which columns have weight (None for all), and h + eps log b of those."""
    h = device.namespace().zeros(m) if h is None else h
    if b is None:
        return None, h
    keep = b > 0
    return keep, h[keep] + eps * np.log(b[keep])


class _Soft:
    """Reductions in both directions: side 0 gives one value for each row by summing over columns, side 1 the other way.

    h holds the offsets of what is summed over, with its weights: h_j = g_j + eps log b_j. single asks for float32
    arithmetic; sums of p log p, averages and gradients take float64 even so where eps is too small for it. near, bits
    and rough, which save the host some work, change nothing here.
    """

    shape: tuple[int, int]
    _given: tuple[Any, ...]  # what is on the device
    _cost: Cost
    _scale = 0.0  # costs are worked on at 2^-scale times their size
    _largest_cost = 1.0  # in those units
    _tile_cost = 1.0  # the same of what float32 sees
    _single: SmallPairs | ProductPairs | None = None  # of transforms in float32, where tiles of all pairs are not best

    def transform(
        self, side: int, h: Any, eps: float, near: Any = None, *, single: bool = False, bits: float | None = None,
        rough: bool = False,
    ) -> Any:  # fmt: skip
        """Return v_i = -eps log sum_j exp((h_j - c_ij) / eps)."""
        with device.home((*self._given, h)):
            n, cupy = self.shape[side], device.namespace()
            if single and self._single is not None:
                peaks, totals = self._single.total(side, _doubles(h), LOG2_E / eps, self._stiffness(eps))
                order = self._single.order(side) if isinstance(self._single, SmallPairs) else None
            else:
                (peaks, totals, _), order = self._reduce(TOTAL, side, h, eps, single), None
            v = cupy.empty(n)
            _merge("merge_total", n, peaks, totals, n, len(peaks), eps / LOG2_E, order, v)
            return v

    def entropy(
        self, side: int, f: Any, h: Any, eps: float, *, single: bool = False, bits: float | None = None
    ) -> tuple[Any, Any]:
        """Return sum_j p_ij and sum_j p_ij log p_ij, p_ij = exp((f_i + h_j - c_ij) / eps)."""
        with device.home((*self._given, f, h)):
            n, cupy = self.shape[side], device.namespace()
            sums = self._reduce(ENTROPY, side, h, eps, single, width=1)
            mass, entropy = cupy.empty(n), cupy.empty(n)
            _merge(
                "merge_entropy", n, *sums, n, len(sums.peaks), _doubles(f), LOG2_E / eps, 1.0 / LOG2_E, mass, entropy
            )
            return mass, entropy

    def average(
        self, side: int, f: Any, h: Any, eps: float, columns: Any, *, single: bool = False, bits: float | None = None
    ) -> Any:
        """Return sum_j exp((f_i + h_j - c_ij) / eps) V_j for columns V (m, v)."""
        with device.home((*self._given, f, h, columns)):
            cupy = device.namespace()
            size = cupy.frexp(np.abs(columns).max(0).astype(np.float64))[1]  # float32 must hold all products
            unit = cupy.ldexp(_doubles(columns), -size)
            return cupy.ldexp(self._columns(AVERAGE, side, f, h, eps, single, columns.shape[1], unit), size)

    def active(self, f: Any, g: Any, b: Any, eps: float, bits: float) -> None:
        """None: all pairs are looked at sooner than a list of them is made."""
        return None

    def rounding(self, eps: float, single: bool) -> float:
        """Return about how far, relatively, the terms of a sum are off by the arithmetic alone."""
        if single:
            return self._rounding(eps, self._tile_cost, np.float32)
        return self._rounding(eps, self._largest_cost, np.float64)

    def _rounding(self, eps: float, cost: float, dtype: Any) -> float:
        return float(np.finfo(dtype).eps) * (16.0 + self._stiffness(eps) * cost)

    def _stiffness(self, eps: float) -> float:
        return LOG2_E / float(scale_by_power(np.asarray(eps), -self._scale))

    def _columns(
        self, mode: int, side: int, f: Any, h: Any, eps: float, single: bool, width: int, values: Any = None,
        mass: Any = None,
    ) -> Any:  # fmt: skip
        """An average or a gradient (n, width) over p_ij = exp((f_i + h_j - c_ij) / eps), or over rows of these masses.

        In low dimension by tiles of neighbours in float32. Rows that meet tiles too large for it are done in float64,
        and gradients too small beside them: the host waits, to know.
        """
        small = self._single
        if not single or not isinstance(small, SmallPairs) or self.rounding(eps, True) > MOST_ROUNDING:
            return _merged(self._reduce(mode, side, h, eps, single, width, values), f, eps, mass)
        given = side, _doubles(h), LOG2_E / eps, self._stiffness(eps)
        sums, terms = small.average(*given, values) if mode == AVERAGE else small.gradient(*given, width)
        cupy, order = device.namespace(), small.order(side)
        out = _merged(sums, f, eps, mass, order)
        if mode == GRADIENT and (least := small.least_gradient(side)) > 0.0:
            totals = sums._replace(extras=sums.totals[:, :, None])
            held = _merged(totals, f, eps, None, order) if mass is None else mass
            if np.abs(out).max() < least * np.abs(held).max():
                return _merged(self._reduce(mode, side, h, eps, False, width), f, eps, mass)
        bits = _merged(sums._replace(extras=terms), None, eps, cupy.ones(len(out)), order)
        poor = cupy.flatnonzero(bits > MOST_BITS)
        if len(poor):
            f, mass = (None if part is None else part[poor] for part in (f, mass))
            out[poor] = _merged(self._reduce(mode, side, h, eps, False, width, values, poor), f, eps, mass)
        return out

    def _reduce(
        self, mode: int, side: int, h: Any, eps: float, single: bool, width: int = 0, values: Any = None,
        rows: Any = None,
    ) -> Sums:  # fmt: skip
        """Sums of a side's rows, or of these, z in bits: one launch; in float64 too where float32 weighs poorly."""
        if single and mode != TOTAL and self._rounding(eps, self._largest_cost, np.float32) > MOST_ROUNDING:
            single = False
        n, m = self.shape[side] if rows is None else len(rows), self.shape[1 - side]
        run, splits = shares(n, m)
        cupy = device.namespace()
        sums = Sums(cupy.empty((splits, n)), cupy.empty((splits, n)), cupy.empty((splits, n, width)))
        program = device.Program("soft", REAL="float" if single else "double", FORM=self._cost.form, MODE=mode)
        program(
            "reduce", (-(-n // TILE), splits, max(-(-width // COLUMNS), 1)), (256,), *self._source(side, rows),
            _doubles(h), LOG2_E / eps, self._stiffness(eps), self._cost.shape, self._cost.q, run, values, width, *sums,
        )  # fmt: skip
        return sums

    def _source(self, side: int, rows: Any) -> tuple[Any, ...]:
        """Where the kernel finds its pairs, of all rows or some: clouds, matrices, strides, sizes and the unit."""
        raise NotImplementedError


class SoftPairs(_Soft):
    """The pairs of x (n, d) and y (m, d) under one cost, prepared once for many h and eps.

    path forces how float32 is worked in: "small" (d <= 8, tiles of neighbours, averages and gradients too), "products"
    (transforms of squared distances, on tensor cores) or "tiles" (as everything else is).
    """

    def __init__(self, x: Any, y: Any, *, metric: str, p: float, path: str | None = None):
        self._cost, self.shape = describe(metric, p), (len(x), len(y))
        self._norms: tuple[Any, Any] | None = None
        with device.home((x, y)):
            cupy = device.namespace()
            x, y = x.astype(np.float64), y.astype(np.float64)
            self._exponent = 0
            if metric == "cosine":
                self._norms = row_norms(x), row_norms(y)
                x, y = unit_rows(x), unit_rows(y)
            else:
                self._exponent = coordinate_exponent(x, y)
                x, y = (cupy.ldexp(z, -self._exponent) for z in (x, y))
            self._clouds = self._given = cupy.ascontiguousarray(x), cupy.ascontiguousarray(y)
            self._largest_cost = self._tile_cost = _largest(self._cost, x, y)
            squares = self._cost.form == SQUARES and self._cost.shape == IDENTITY
            if path == "small" or (path is None and x.shape[1] <= SMALL_DIMS):
                self._single = SmallPairs(x, y, self._cost)
                self._tile_cost = self._single.tile_cost() or self._largest_cost
            elif path == "products" or (path is None and squares):
                self._single = ProductPairs(x, y, self._cost)
                # A tensor core cuts its sums 3 d / 8 times, by half of 2^-23 as a rule; |x| |y| is a quarter of a cost.
                self._tile_cost *= 1.0 + 3.0 * x.shape[1] / 128.0
            if self._cost.shape == POWER:  # float32's logarithms cost it two bits
                self._tile_cost *= 4.0
        self._scale = float(self._exponent * p)

    def gradient(
        self, side: int, f: Any, h: Any, eps: float, mass: Any = None, *, single: bool = False,
        bits: float | None = None,
    ) -> Any:  # fmt: skip
        """Return sum_j p_ij grad c(x_i, y_j) in x_i (in y_j for side 1), p_ij = exp((f_i + h_j - c_ij) / eps): (n, d).

        With mass (n,) the p_ij are first scaled to sum to mass_i, and f is not looked at.
        """
        with device.home((*self._given, f, h, mass)):
            u = self._clouds[side]
            gradient = self._columns(GRADIENT, side, f, h, eps, single, u.shape[1], mass=mass)
            if self._norms is not None:  # through u = x / |x|
                gradient -= u * (u * gradient).sum(1, keepdims=True)
                return gradient / self._norms[side][:, None]
            return scale_by_power(gradient, self._scale - self._exponent)

    def _source(self, side: int, rows: Any) -> tuple[Any, ...]:
        x, y = self._clouds[side] if rows is None else self._clouds[side][rows], self._clouds[1 - side]
        return x, y, None, None, 0, 0, len(x), len(y), x.shape[1], self._cost.unit


class SoftMatrix(_Soft):
    """The pairs of a cost matrix (n, m): float32 and float64 in either order are read where they lie."""

    def __init__(self, matrix: Any):
        self.shape = matrix.shape[0], matrix.shape[1]
        self._cost = describe("cityblock", 1.0)._replace(form=MATRIX)
        with device.home((matrix,)):
            cupy = device.namespace()
            if matrix.dtype != np.float32:
                matrix = matrix.astype(np.float64, copy=False)
            self._transposed = bool(matrix.flags.f_contiguous and not matrix.flags.c_contiguous)
            self._matrix = cupy.ascontiguousarray(matrix.T if self._transposed else matrix)
            self._given = (self._matrix,)
            largest = max(float(matrix.max()), -float(matrix.min()))
        # Worked on as it is, but for sizes that float32 could not hold: eps moves with them.
        exponent = int(np.frexp(largest)[1])
        exponent = exponent if largest > 0.0 and abs(exponent) > _HUGE else 0
        self._scale = float(exponent)
        self._largest_cost = self._tile_cost = float(np.ldexp(largest, -exponent))

    def _source(self, side: int, rows: Any) -> tuple[Any, ...]:
        along = self._matrix.shape[1]
        by_row, by_column = (along, 1) if self._transposed == bool(side) else (1, along)
        given = (self._matrix, None) if self._matrix.dtype == np.float32 else (None, self._matrix)
        n, m = self.shape[side], self.shape[1 - side]
        return None, None, *given, by_row, by_column, n, m, 1, float(np.ldexp(1.0, -round(self._scale)))


def _largest(cost: Cost, x: Any, y: Any) -> float:
    return float(cost.at(np.asarray(radius(x, y, cost) + radius(y, x, cost))))


def _doubles(values: Any) -> Any:
    return device.namespace().ascontiguousarray(values, np.float64)


def _merge(kernel: str, count: int, *arguments: Any) -> None:
    device.Program("soft_merge")(kernel, (-(-count // 256),), (256,), *arguments)


def _merged(sums: Sums, f: Any, eps: float, mass: Any, order: Any = None) -> Any:
    """The extras of all rows (n, width), scaled by 2^(f / eps) or to rows of these masses, from their order."""
    splits, n, width = sums.extras.shape
    out = device.namespace().empty((n, width))
    f, mass = (None if mass is not None else _doubles(f)), (None if mass is None else _doubles(mass))
    _merge("merge_columns", n * width, *sums, n, splits, width, f, LOG2_E / eps, mass, order, out)
    return out
