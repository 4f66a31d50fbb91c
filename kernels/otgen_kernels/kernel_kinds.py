"""The kernels k(x, y) that sums are taken of, as functions of s = |x - y|^2 (of s = <x, y> for the polynomial).

gaussian             sum over scales exp(-s / (2 C)), C = scale h^2
laplace              sum over scales exp(-sqrt(s / C))
imq                  sum over scales C / (C + s)
rational_quadratic   sum over scales (1 + s / (2 scale h^2))^-scale
polynomial           (s / d + 1)^3
energy               -sqrt(s)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

GAUSSIAN, LAPLACE, IMQ, RATIONAL_QUADRATIC, POLYNOMIAL, ENERGY = range(6)
KINDS = {
    "gaussian": GAUSSIAN,
    "laplace": LAPLACE,
    "imq": IMQ,
    "rational_quadratic": RATIONAL_QUADRATIC,
    "polynomial": POLYNOMIAL,
    "energy": ENERGY,
}
REACH = {np.dtype(np.float32): 1e15, np.dtype(np.float64): 1e60}
"""C is held between this and its inverse, in units of the clouds' extent squared: beyond, k is 0 or 1 to all digits."""
NEAR = 8
"""Clouds of an extent between 2^-8 and 2^8 are worked on as they are."""
LARGE = 10
"""A polynomial of coordinates beyond 2^10 leaves the range of float32 in a few dimensions: float64 takes it."""

_LOG2_E = float(np.log2(np.e))


class KernelSums(NamedTuple):
    """a^T K b, and as asked K b (n,), K^T a (m,), sum_j b_j grad_x k(x_i, y_j) (n, d), sum_i a_i grad_y k(x_i, y_j).

    All is float64 and lives where the clouds do: a^T K b of arrays of a device is an array of no dimensions.
    """

    total: float
    rows: np.ndarray | None
    columns: np.ndarray | None
    by_x: np.ndarray | None
    by_y: np.ndarray | None


def constants(kernel: str, scales: np.ndarray, bandwidth: float, d: int, dtype: np.dtype) -> np.ndarray:
    """What a kernel is worked out from, (4, scales), ones in the last row; bandwidth in units of the clouds' extent."""
    kind, most = KINDS[kernel], REACH[dtype]
    if kind in (ENERGY, POLYNOMIAL):
        return np.array([[1.0 / d], [0.0], [0.0], [1.0]], dtype)
    root = np.clip(np.sqrt(scales) * bandwidth, most**-0.5, most**0.5)
    C, zero = root * root, np.zeros(len(scales))
    if kind == GAUSSIAN:
        rows = [-0.5 * _LOG2_E / C, -1.0 / C, zero]
    elif kind == LAPLACE:
        rows = [-_LOG2_E / root, -1.0 / root, zero]
    elif kind == IMQ:
        rows = [C, zero, zero]
    else:
        h = np.clip(bandwidth, 1.0 / most, most) * np.ones(len(scales))  # its tail is heavier
        rows = [0.5 / (scales * h * h), -scales, -1.0 / (h * h)]
    return np.array([*rows, np.ones(len(scales))], dtype)
