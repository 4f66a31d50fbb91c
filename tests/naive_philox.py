"""Philox4x32-10 in whole numbers of Python: the definition that the GPU's stream is held against."""

from __future__ import annotations

import math

MASK = 0xFFFFFFFF


def cipher(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """Four words of ten rounds, as Random123 has them."""
    (c0, c1, c2, c3), (k0, k1) = counter, key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = p1 >> 32 ^ c1 ^ k0, p1 & MASK, p0 >> 32 ^ c3 ^ k1, p0 & MASK
        k0, k1 = k0 + 0x9E3779B9 & MASK, k1 + 0xBB67AE85 & MASK
    return c0, c1, c2, c3


def uniform(place: int, key: tuple[int, int]) -> float:
    """The number of 53 bits at a place of the stream."""
    block = place // 2
    words = cipher((block & MASK, block >> 32, 0, 0), key)
    a, b = words[2 * (place % 2) :][:2]
    return ((a >> 5) * 67108864 + (b >> 6)) / 2**53


def normal(place: int, key: tuple[int, int]) -> float:
    """The normal number at a place: Box and Muller on the two of its block."""
    u, v = uniform(place // 2 * 2, key), uniform(place // 2 * 2 + 1, key)
    angle = 2 * math.pi * v
    return math.sqrt(-2 * math.log(1 - u)) * (math.sin(angle) if place % 2 else math.cos(angle))
