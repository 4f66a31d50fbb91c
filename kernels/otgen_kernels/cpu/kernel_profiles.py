"""Kernels k(x, y) as functions of s = |x - y|^2 (of s = <x, y> for the polynomial), over runs of pairs that lie in L1.

gaussian             sum over scales exp(-s / (2 C)), C = scale h^2
laplace              sum over scales exp(-sqrt(s / C))
imq                  sum over scales C / (C + s)
rational_quadratic   sum over scales (1 + s / (2 scale h^2))^-scale
polynomial           (s / d + 1)^3
energy               -sqrt(s)
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .exp2 import exp2, log2

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

_LOG2_E = float(np.log2(np.e))
_options = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}


def constants(kernel: str, scales: np.ndarray, bandwidth: float, d: int, dtype: np.dtype) -> np.ndarray:
    """What `profile` takes of a kernel, (4, scales), ones in the last row; bandwidth in units of the clouds' extent."""
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


@njit(**_options)
def profile(kind, s, constants, slopes, value, slope):
    """value = k and, where slopes, slope = 2 dk/ds of a run; dk/ds itself for the polynomial, 0 where a root ends."""
    one = constants[3, 0]  # of the runs' own precision, which a literal is not
    zero = one - one
    if kind == ENERGY:
        for t in range(s.size):
            value[t] = -np.sqrt(s[t])
        if slopes:
            for t in range(s.size):
                slope[t] = one / value[t] if value[t] < zero else value[t]
        return
    if kind == POLYNOMIAL:
        share = constants[0, 0]
        three = share + share + share
        for t in range(s.size):
            u = share * s[t] + one
            value[t] = u * u * u
        if slopes:
            for t in range(s.size):
                u = share * s[t] + one
                slope[t] = three * u * u
        return
    for t in range(s.size):
        value[t] = zero
        slope[t] = zero
    for j in range(constants.shape[1]):
        c, q, w = constants[0, j], constants[1, j], constants[2, j]
        if kind == GAUSSIAN:
            for t in range(s.size):
                e = exp2(c * s[t])
                value[t] += e
                slope[t] += q * e
        elif kind == LAPLACE:
            for t in range(s.size):
                e = exp2(c * np.sqrt(s[t]))
                value[t] += e
                slope[t] += q * e
        elif kind == IMQ:
            for t in range(s.size):
                u = one / (c + s[t])
                v = c * u
                value[t] += v
                slope[t] -= (v + v) * u
        else:
            for t in range(s.size):
                base = one + c * s[t]
                v = exp2(q * log2(base))
                value[t] += v
                slope[t] += w * (v / base)
    if kind == LAPLACE and slopes:
        for t in range(s.size):
            slope[t] = slope[t] / np.sqrt(s[t]) if s[t] > zero else s[t]
