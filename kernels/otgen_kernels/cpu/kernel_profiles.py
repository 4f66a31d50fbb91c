"""The kernels of kernel_kinds.py and their slopes over runs of pairs that lie in L1."""

from __future__ import annotations

import numpy as np
from numba import njit

from ..kernel_kinds import ENERGY, GAUSSIAN, IMQ, LAPLACE, POLYNOMIAL
from .exp2 import exp2, log2

_options = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}


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
