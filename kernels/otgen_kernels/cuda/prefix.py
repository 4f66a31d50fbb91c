"""Running sums along lines, in an order that is fixed and with twice the digits of float64.

cupy.cumsum has neither: CUB's scan of floats adds them up in the order in which its blocks come by.
"""

from __future__ import annotations

from typing import Any

from . import device

CHUNK = 2048
"""Numbers of a block, as in prefix.cu."""


def running_sums(values: Any, *, low: bool = True) -> tuple[Any, Any]:
    """sum_{k <= i} values_lk of values (L, n), float64, as hi + lo, each (L, n); lo is None without `low`."""
    cupy, (lines, n) = device.namespace(), values.shape
    program, chunks = device.Program("prefix"), -(-n // CHUNK)
    carry = None, None
    if chunks > 1:
        carry = cupy.empty((lines, chunks)), cupy.empty((lines, chunks))
        program("chunk_sums", (lines * chunks,), (256,), values, n, chunks, *carry)
        program("carries", (-(-lines // 256),), (256,), lines, chunks, *carry)
    hi, lo = cupy.empty((lines, n)), cupy.empty((lines, n)) if low else None
    program("sums", (lines * chunks,), (256,), values, n, chunks, *carry, hi, lo)
    return hi, lo
