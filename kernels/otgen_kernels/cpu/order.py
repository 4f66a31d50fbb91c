"""Values in ascending order with their weights, by NumPy's SIMD sort of whole numbers: it outruns its argsort."""

from __future__ import annotations

import numpy as np
from numba import njit

LEAST = 4096  # points below which argsort and two gathers cost as little
MOST_BITS = 28  # of a packed number that may hold the place; 36 are left for the value: sign, exponent, 24 of mantissa
MOVES = 8  # per point: values that agree in all packed bits are put right by insertion, as long as they are few


def sort_with(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values (n,) in ascending order, and the weights (n,), of any dtype, in that order; ties in any order."""
    bits = (len(values) - 1).bit_length()
    if len(values) >= LEAST and bits <= MOST_BITS:
        plain = np.ascontiguousarray(values, np.float64)
        packed = _pack(plain.view(np.uint64), bits)
        packed.sort()
        sorted_values, sorted_weights, done = _unpack(packed, bits, plain, np.ascontiguousarray(weights))
        if done:
            return sorted_values, sorted_weights
    order = np.argsort(values)
    return values[order], weights[order]


@njit(nogil=True, cache=True, error_model="numpy")
def _pack(words, bits):
    """The leading bits of each value, turned so that whole numbers order as the values do, its place below them."""
    packed = np.empty(words.size, np.uint64)
    sign, low = np.uint64(1 << 63), np.uint64((1 << bits) - 1)
    for i in range(words.size):
        word = words[i]
        turned = ~word if word & sign else word | sign
        packed[i] = (turned & ~low) | np.uint64(i)
    return packed


@njit(nogil=True, cache=True, error_model="numpy")
def _unpack(packed, bits, values, weights):
    """Values and weights at the packed places, neighbours put right by insertion; False if that takes too long."""
    n = values.size
    sorted_values, sorted_weights = np.empty(n), np.empty(n, weights.dtype)
    low = np.uint64((1 << bits) - 1)
    moves, most = 0, MOVES * n
    for r in range(n):
        i = np.int64(packed[r] & low)
        value, weight = values[i], weights[i]
        s = r
        while s > 0 and sorted_values[s - 1] > value:
            sorted_values[s], sorted_weights[s] = sorted_values[s - 1], sorted_weights[s - 1]
            s -= 1
        sorted_values[s], sorted_weights[s] = value, weight
        moves += r - s
        if moves > most:
            return sorted_values, sorted_weights, False
    return sorted_values, sorted_weights, True
