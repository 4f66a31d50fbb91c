"""2^z and log2(s) as polynomials on the bits of a float: what LLVM turns into vector code, unlike a call of libm.

exp2   2^z = 2^n 2^r, n the whole number nearest to z, |r| <= 1/2; minimax in relative error: degree 5 (7.5e-8) for
       float32, degree 10 (2.1e-16) for float64. With the roundings of Horner's scheme the result is within
       EXP2_ERROR[dtype] of 2^z, relative. Below the normal numbers it stays at the least of them (2^-126, 2^-1022).
log2   s = 2^n v, v in [sqrt(1/2), sqrt(2)): log2 v = 2/ln 2 artanh((v - 1) / (v + 1)), an odd series; 0 is the least
       normal number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic, overload

EXP2_ERROR = {np.dtype(np.float32): 3.0e-7, np.dtype(np.float64): 6.0e-16}
"""Relative error of exp2 at most, for z in the range of normal numbers."""

LOWEST = {np.dtype(np.float32): -126.0, np.dtype(np.float64): -1022.0}
"""z below which exp2 stays where it is."""

# No reassociation: (z + MAGIC) - MAGIC would become z. An operation keeps these flags where it is inlined.
_FLAGS: Any = {"fastmath": {"contract", "nsz"}, "error_model": "numpy"}

_E32 = tuple(
    np.float32(c)
    for c in (
        1.00000007165464164, 0.693146967065264928, 0.24022119723969178, 0.0555071327287539118, 0.00967554133102139115,
        0.00132764721678199433,
    )
)  # fmt: skip
_E64 = (
    1.00000000000000007, 0.693147180559949775, 0.240226506959087678, 0.0555041086644588314, 0.00961812910803459701,
    0.00133335582285617659, 0.000154035299611270757, 0.0000152526581164098545, 1.32156628359592394e-6,
    1.02085379296574044e-7, 7.03727884672690088e-9,
)  # fmt: skip
_L32 = tuple(np.float32(2.0 / np.log(2.0) / k) for k in range(1, 12, 2))
_L64 = tuple(2.0 / np.log(2.0) / k for k in range(1, 24, 2))
_HALF_ROOT = float(np.sqrt(0.5))
_INT = {types.float32: types.int32, types.float64: types.int64}


def _bits_of(typingctx, x):  # pyright: ignore[reportUnusedParameter]
    """The bits of a float as an integer of its size."""
    to = _INT[x]
    return to(x), lambda context, builder, signature, args: builder.bitcast(args[0], ir.IntType(to.bitwidth))


def _float_of(typingctx, bits):  # pyright: ignore[reportUnusedParameter]
    """The float that has these bits."""
    to, llvm = {
        types.int32: (types.float32, ir.FloatType()),
        types.int64: (types.float64, ir.DoubleType()),
    }[bits]
    return to(bits), lambda context, builder, signature, args: builder.bitcast(args[0], llvm)


# Numba gives an intrinsic its context itself: Any, for type checkers that ask for it.
_bits: Any = intrinsic(_bits_of)
_float: Any = intrinsic(_float_of)


def exp2(z):
    """2^z of a float32 or float64, in compiled code."""
    raise NotImplementedError("exp2 is for compiled kernels; call numpy.exp2")


def log2(s):
    """log2 of a float32 or float64 >= 0, in compiled code."""
    raise NotImplementedError("log2 is for compiled kernels; call numpy.log2")


@overload(exp2, jit_options=_FLAGS)
def _exp2(z):
    if z is types.float32:
        low, magic, shift = np.float32(-126.0), np.float32(1.5 * 2.0**23), np.int32(23)
        c0, c1, c2, c3, c4, c5 = _E32

        def exp2_32(z):
            z = max(z, low)
            n = z + magic  # the whole part, in the last bits
            r = z - (n - magic)
            v = c0 + r * (c1 + r * (c2 + r * (c3 + r * (c4 + r * c5))))
            return _float(np.int32(_bits(v) + (_bits(n) << shift)))  # Numba adds int32 as int64

        return exp2_32
    if z is types.float64:
        low, magic, shift = -1022.0, 1.5 * 2.0**52, np.int64(52)
        c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10 = _E64

        def exp2_64(z):
            z = max(z, low)
            n = z + magic
            r = z - (n - magic)
            v = c0 + r * (c1 + r * (c2 + r * (c3 + r * (c4 + r * (
                c5 + r * (c6 + r * (c7 + r * (c8 + r * (c9 + r * c10)))))))))  # fmt: skip
            return _float(_bits(v) + (_bits(n) << shift))

        return exp2_64
    raise TypingError(f"exp2 takes float32 or float64, not {z}")


@overload(log2, jit_options=_FLAGS)
def _log2(s):
    if s is types.float32:
        least, one = np.float32(2.0**-126), np.float32(1.0)
        k0, k1, k2, k3, k4, k5 = _L32
        high, bias, shift, mantissa = np.int32(0x4B000000), np.float32(2.0**23), np.int32(23), np.int32(0x007FFFFF)
        half = np.int32(_root_bits(np.float32(_HALF_ROOT)))

        def log2_32(s):
            bits = np.int32(_bits(max(s, least)) - half)
            # The exponent as the last bits of a float near 2^23: vector units lack the conversion for 64 bits.
            n = _float(np.int32(np.int32((bits >> shift) + np.int32(512)) | high)) - (bias + np.float32(512.0))
            v = _float(np.int32((bits & mantissa) + half))
            t = (v - one) / (v + one)
            q = t * t
            return n + t * (k0 + q * (k1 + q * (k2 + q * (k3 + q * (k4 + q * k5)))))

        return log2_32
    if s is types.float64:
        least = 2.0**-1022
        k0, k1, k2, k3, k4, k5, k6, k7, k8, k9, k10, k11 = _L64
        high, shift, mantissa = np.int64(0x4330000000000000), np.int64(52), np.int64(0x000FFFFFFFFFFFFF)
        half = np.int64(_root_bits(np.float64(_HALF_ROOT)))

        def log2_64(s):
            bits = _bits(max(s, least)) - half
            n = _float(((bits >> shift) + np.int64(4096)) | high) - (2.0**52 + 4096.0)
            v = _float((bits & mantissa) + half)
            t = (v - 1.0) / (v + 1.0)
            q = t * t
            return n + t * (k0 + q * (k1 + q * (k2 + q * (k3 + q * (k4 + q * (
                k5 + q * (k6 + q * (k7 + q * (k8 + q * (k9 + q * (k10 + q * k11)))))))))))  # fmt: skip

        return log2_64
    raise TypingError(f"log2 takes float32 or float64, not {s}")


def _root_bits(value: np.floating) -> int:
    return int(np.array(value).view(np.int32 if value.itemsize == 4 else np.int64)[()])
