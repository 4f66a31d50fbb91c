"""Soft pair reductions on the host: sums of exp((f_i + h_j - c_ij) / eps) over j, for any eps, scale and precision."""

from __future__ import annotations

import numpy as np

from ..constants import SERIAL_PAIRS, SMALL_DIMS
from ..costs import Cost, coordinate_exponent, describe, radius, row_norms, scale_by_power, unit_rows
from .decide import IDENTITY, SQUARES
from .soft_active import ActivePairs, collect
from .soft_dense import DensePairs, MatrixTiles, dense_points
from .soft_local import AVERAGE, ENTROPY, GRADIENT, LARGEST, TOTAL, LocalPairs

_LAYOUT = ("C", "W", "A")
_LOG2_E = float(np.log2(np.e))
_SINGLE, _DOUBLE = np.dtype(np.float32), np.dtype(np.float64)
_LEAST, _MOST = 2.0**-4, 2.0**40  # sums within were guessed well enough: neither skipped pairs nor overflow matter
_ROUGH_LEAST = 2.0**-24  # the same for a guess that is said to be rough: fewer pairs are skipped, and fewer sums redone
_HUGE = 40  # a matrix with entries of 2^40 or 2^-40 is scaled, lest float32 end


def soft_c_transform(
    x: np.ndarray, y: np.ndarray, h: np.ndarray | None, b: np.ndarray | None, *, metric: str, p: float, eps: float
) -> np.ndarray:
    """Return v_i = -eps log sum_j b_j exp((h_j - c(x_i, y_j)) / eps)."""
    keep, offsets = _offsets(len(y), h, b, eps)
    if not keep.any():
        return np.full(len(x), np.inf)
    pairs = SoftPairs(x, y[keep], metric=metric, p=p)
    return pairs.transform(0, offsets[keep], eps, single=x.dtype == _SINGLE)


def soft_average(
    x: np.ndarray, y: np.ndarray, f: np.ndarray, h: np.ndarray | None, b: np.ndarray | None, values: np.ndarray,
    *, metric: str, p: float, eps: float,
) -> np.ndarray:  # fmt: skip
    """Return sum_j b_j exp((f_i + h_j - c(x_i, y_j)) / eps) values_j."""
    keep, offsets = _offsets(len(y), h, b, eps)
    if not keep.any():
        return np.zeros((len(x), *values.shape[1:]))
    pairs = SoftPairs(x, y[keep], metric=metric, p=p)
    columns = values[keep].reshape(int(keep.sum()), -1)
    out = pairs.average(0, f, offsets[keep], eps, columns, single=x.dtype == _SINGLE)
    return out.reshape(len(x), *values.shape[1:])


def _offsets(m: int, h: np.ndarray | None, b: np.ndarray | None, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """Which columns have weight, and h + eps log b of all."""
    h = np.zeros(m) if h is None else h
    if b is None:
        return np.ones(m, bool), h
    keep = b > 0
    return keep, h + eps * np.log(np.where(keep, b, 1.0))


class _Soft:
    """Reductions in both directions: side 0 gives one value for each row by summing over columns, side 1 the other way.

    h holds the offsets of what is summed over, with its weights: h_j = g_j + eps log b_j. single asks for float32
    arithmetic, bits for the share of a sum, 2^-bits, that skipped pairs may have together; sums are kept in float64.
    """

    shape: tuple[int, int]
    _pairs: LocalPairs | DensePairs
    _scale = 0.0  # costs are worked on at 2^-scale times their size
    _largest_cost = 1.0  # in those units

    def transform(
        self, side: int, h: np.ndarray, eps: float, near: np.ndarray | None = None, *, single: bool = False,
        bits: float | None = None, rough: bool = False,
    ) -> np.ndarray:  # fmt: skip
        """Return v_i = -eps log sum_j exp((h_j - c_ij) / eps); any `near` gives the same, a close one sooner."""
        guess, sums = self._reduce(TOTAL, 1, side, near, h, eps, single, bits, least=_ROUGH_LEAST if rough else _LEAST)
        return (guess - np.log2(sums[:, 0])) * (eps / _LOG2_E)

    def entropy(
        self, side: int, f: np.ndarray, h: np.ndarray, eps: float, *, single: bool = False, bits: float | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return sum_j p_ij and sum_j p_ij log p_ij, p_ij = exp((f_i + h_j - c_ij) / eps)."""
        guess, sums = self._reduce(ENTROPY, 2, side, f, h, eps, single, bits)
        moved = f * (_LOG2_E / eps) - guess
        scale = np.exp2(moved)
        return scale * sums[:, 0], scale * (sums[:, 1] + moved * sums[:, 0]) / _LOG2_E

    def average(
        self, side: int, f: np.ndarray, h: np.ndarray, eps: float, columns: np.ndarray, *, single: bool = False,
        bits: float | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Return sum_j exp((f_i + h_j - c_ij) / eps) V_j for columns V (m, v)."""
        size = np.frexp(np.abs(columns).max(0, initial=0.0))[1]  # to size 1: products in float32 must not overflow
        unit = np.ldexp(columns.astype(np.float64), -size)
        guess, sums = self._reduce(AVERAGE, 1 + columns.shape[1], side, f, h, eps, single, bits, unit)
        return np.ldexp(sums[:, 1:], size) * np.exp2(f * (_LOG2_E / eps) - guess)[:, None]

    def active(self, f: np.ndarray, g: np.ndarray, b: np.ndarray, eps: float, bits: float) -> ActivePairs | None:
        """Return the pairs that carry all but 2^-bits of the plan of f and g, and more of them where few do.

        None where a list does not pay. A longer list holds for potentials that move further.

        f must answer g, so that rows of exp((f_i + g_j - c_ij) / eps) b_j sum to about 1; a and b have one mass.
        """
        if not isinstance(self._pairs, DensePairs):
            return None
        to_bits, log_b = _LOG2_E / eps, np.log2(b)
        near, h, share = f * to_bits, g * to_bits + log_b, log_b - np.log2(b.sum())
        for most in (4.0 * bits, 2.0 * bits, bits):
            found = collect(self._pairs, near, h, share, self._stiffness(eps), most, self.rounding(eps, True))
            if found is not None:
                return found
        return None

    def rounding(self, eps: float, single: bool) -> float:
        """Return about how far, relatively, the terms of a sum are off by the arithmetic alone."""
        unit = float(np.finfo(np.float32 if single else np.float64).eps)
        return unit * (16.0 + self._largest_term(self._stiffness(eps)))

    def _largest_term(self, k: float) -> float:
        return k * self._largest_cost

    def _stiffness(self, eps: float) -> float:
        return _LOG2_E / float(scale_by_power(np.asarray(eps), -self._scale))

    def _reduce(
        self, mode: int, width: int, side: int, near: np.ndarray | None, h: np.ndarray, eps: float, single: bool,
        bits: float | None, columns: np.ndarray | None = None, least: float = _LEAST,
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """The guess, in bits, that the sums are relative to, and the sums (n, width), within float32's range."""
        k, to_bits = self._stiffness(eps), _LOG2_E / eps
        n, m = self.shape[side], self.shape[1 - side]
        h = np.require(h * to_bits, np.float64, _LAYOUT)
        guess, sums = np.zeros(n), np.zeros((n, width))
        poor: np.ndarray | None = None  # all

        def reduce(dtype: np.dtype, mode: int, near: np.ndarray, out: np.ndarray, **more: np.ndarray | None) -> None:
            share = (bits or np.finfo(dtype).nmant + 1.0) - np.log2(least)  # of the least sum that is accepted
            options = {"dtype": dtype, "bits": share, "serial": n * m < SERIAL_PAIRS}
            self._pairs.reduce(side, near, h, k, mode, out, rows=poor, **more, **options)

        if near is not None:
            guess = np.require(near * to_bits, np.float64, _LAYOUT)
            reduce(_SINGLE if single else _DOUBLE, mode, guess, sums, columns=columns)
            poor = ~((sums[:, 0] >= least) & (sums[:, 0] <= _MOST))
        # In float32 even the largest term may be off by many bits where eps is tiny: such rows are done in float64.
        for dtype in (_SINGLE, _DOUBLE) if single else (_DOUBLE,):
            if poor is None or poor.any():
                peak = np.zeros((n, 1))
                reduce(dtype, LARGEST, np.zeros(n), peak)
                guess = -peak[:, 0] if poor is None else np.where(poor, -peak[:, 0], guess)
                reduce(dtype, mode, guess, sums, columns=columns)
                poor = ~((sums[:, 0] >= least) & (sums[:, 0] <= _MOST))
        return guess, sums


class SoftPairs(_Soft):
    """The pairs of x (n, d) and y (m, d) under one cost, prepared once for many h and eps.

    path forces one of "local" (tiles of neighbours, d <= 8) and "dense" (tiles of all pairs).
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, *, metric: str, p: float, path: str | None = None):
        cost = describe(metric, p)
        self.shape = (len(x), len(y))
        self._norms: tuple[np.ndarray, np.ndarray] | None = None
        if metric == "cosine":
            x, y = x.astype(np.float64), y.astype(np.float64)
            self._norms = row_norms(x), row_norms(y)
            x, y = unit_rows(x), unit_rows(y)
            self._exponent = 0
        else:
            self._exponent = coordinate_exponent(x, y)
            x, y = (np.ldexp(z.astype(np.float64), -self._exponent) for z in (x, y))
        self._units = x, y
        self._scale = float(self._exponent * p)
        self._largest_cost = float(cost.at(np.asarray(radius(x, y, cost) + radius(y, x, cost))))
        self._tile_cost: float | None = None
        if path == "local" or (path is None and x.shape[1] <= SMALL_DIMS):
            self._pairs = pairs = LocalPairs(x, y, cost)
            self._tile_cost = pairs.tile_cost() if _bilinear(cost) else None
        else:
            self._pairs = dense_points(x, y, cost)

    def gradient(
        self, side: int, f: np.ndarray, h: np.ndarray, eps: float, mass: np.ndarray | None = None, *,
        single: bool = False, bits: float | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Return sum_j p_ij grad c(x_i, y_j) in x_i (in y_j for side 1), p_ij = exp((f_i + h_j - c_ij) / eps): (n, d).

        With mass (n,) the p_ij are first scaled to sum to mass_i, and f is no more than a guess.
        """
        d = self._units[0].shape[1]
        guess, sums = self._reduce(GRADIENT, 1 + d, side, f, h, eps, single, bits)
        scale = np.exp2(f * (_LOG2_E / eps) - guess) if mass is None else mass / sums[:, 0]
        gradient = sums[:, 1:] * scale[:, None]
        if self._norms is not None:  # through u = x / |x|
            u = self._units[side]
            gradient -= u * np.einsum("ij,ij->i", u, gradient)[:, None]
            return gradient / self._norms[side][:, None]
        return scale_by_power(gradient, self._scale - self._exponent)

    def _largest_term(self, k: float) -> float:
        return k * (self._largest_cost if self._tile_cost is None else self._tile_cost)


class SoftMatrix(_Soft):
    """The pairs of a cost matrix (n, m), float32 or float64, read where it lies."""

    def __init__(self, matrix: np.ndarray):
        self.shape = (matrix.shape[0], matrix.shape[1])
        largest = max(float(matrix.max()), -float(matrix.min()))
        # Worked on as it is, but for sizes that float32 could not hold: eps moves with them.
        exponent = int(np.frexp(largest)[1])
        exponent = exponent if largest > 0.0 and abs(exponent) > _HUGE else 0
        self._scale = float(exponent)
        self._largest_cost = float(np.ldexp(largest, -exponent))
        self._pairs = DensePairs(MatrixTiles(matrix, exponent), describe("cityblock", 1.0))


def _bilinear(cost: Cost) -> bool:
    return cost.form == SQUARES and cost.shape == IDENTITY
