"""What a cost (metric, p) means to the kernels, and the coordinates that keep its powers in range.

NumPy's functions serve arrays of NumPy and of CuPy alike, each where it lives.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SQUARES, ABSOLUTES, MAXIMUM = 0, 1, 2  # form: s = unit * sum |x-y|^2, sum |x-y|, max |x-y|
IDENTITY, ROOT, SQUARE, POWER = 0, 1, 2, 3  # shape: c = s, sqrt(s), s^2, s^q


class Cost(NamedTuple):
    """c = (unit * s)^q with s = sum |x-y|^2, sum |x-y| or max |x-y| by form; shape names the cheap powers."""

    form: int
    shape: int
    q: float
    unit: float

    def at(self, distance: np.ndarray) -> np.ndarray:
        """Return the cost where the sum (or maximum) of coordinate differences is this distance, at most."""
        return (self.unit * distance**2) ** self.q if self.form == SQUARES else distance**self.q

    def slack(self, d: int) -> float:
        """Return a relative bound, many times too large, of the rounding of c and of its bounds in dimension d."""
        return 16.0 * (self.q + 1.0) * (d + 4) * np.finfo(np.float64).eps


def describe(metric: str, p: float) -> Cost:
    """Return the Cost of metric(x, y)**p; cosine is half the squared distance of unit vectors."""
    form = {"euclidean": SQUARES, "cosine": SQUARES, "cityblock": ABSOLUTES, "chebyshev": MAXIMUM}[metric]
    q = 0.5 * p if metric == "euclidean" else float(p)
    shape = {0.5: ROOT, 1.0: IDENTITY, 2.0: SQUARE}.get(q, POWER)
    return Cost(form, shape, q, 0.5 if metric == "cosine" else 1.0)


def unit_rows(x: np.ndarray) -> np.ndarray:
    """Return x / |x| by rows in float64; a row of zeros stays zero."""
    x = x.astype(np.float64)
    x /= np.maximum(np.abs(x).max(1, keepdims=True), np.finfo(np.float64).tiny)
    return x / np.maximum(np.sqrt(np.einsum("ij,ij->i", x, x))[:, None], np.finfo(np.float64).tiny)


def exponent(x: np.ndarray, y: np.ndarray, cost: Cost) -> int:
    """Return e such that c is far from over- and underflow on x 2^-e and y 2^-e; 0 wherever that is already so."""
    low = np.minimum(x.min(0), y.min(0)).astype(np.float64)
    high = np.maximum(x.max(0), y.max(0)).astype(np.float64)
    e = int(np.frexp((0.5 * high - 0.5 * low).max())[1]) + 1  # halves: the difference itself may overflow
    degree = 2.0 * max(cost.q, 1.0)
    # A multiple of 16, so that 2^(e p) is exact for the usual fractional p as well.
    return 0 if abs(e) * degree < 200 else 16 * round(e / 16)


def coordinate_exponent(x: np.ndarray, y: np.ndarray) -> int:
    """Return e, a multiple of 4, such that x 2^-e and y 2^-e differ by about 1 at most; 0 where all points coincide."""
    low, high = np.minimum(x.min(0), y.min(0)).astype(np.float64), np.maximum(x.max(0), y.max(0)).astype(np.float64)
    widest = float((0.5 * high - 0.5 * low).max())  # halves: the difference itself may overflow
    return 4 * round((int(np.frexp(widest)[1]) + 1) / 4) if widest > 0.0 else 0


def radius(x: np.ndarray, y: np.ndarray, cost: Cost) -> float:
    """Return the largest distance of a point of x from the centre of both clouds."""
    away = np.abs(x - 0.5 * (x.mean(0) + y.mean(0)))
    if cost.form == SQUARES:
        return float(np.sqrt(np.einsum("ij,ij->i", away, away)).max())
    return float((away.max(1) if cost.form == MAXIMUM else away.sum(1)).max())


def row_norms(x: np.ndarray) -> np.ndarray:
    """Return |x| by rows, at any scale."""
    largest = np.maximum(np.abs(x).max(1), np.finfo(np.float64).tiny)
    return largest * np.sqrt(np.square(x / largest[:, None]).sum(1))


def scale_by_power(values: np.ndarray, e: float) -> np.ndarray:
    """Return values * 2^e: exact for whole e."""
    if e == 0:
        return values
    whole = round(e)
    return np.ldexp(values if whole == e else values * 2.0 ** (e - whole), whole)
