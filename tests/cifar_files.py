"""Writes what the Python archive of CIFAR-10 holds: pickles of protocol 2 as Python 2 wrote them."""

from __future__ import annotations

import struct

import numpy as np


def text(value: bytes) -> bytes:
    return b"U" + bytes([len(value)]) + value if len(value) < 256 else b"T" + struct.pack("<i", len(value)) + value


def number(value: int) -> bytes:
    if 0 <= value < 256:
        return b"K" + bytes([value])
    return b"M" + struct.pack("<H", value) if 0 <= value < 65536 else b"J" + struct.pack("<i", value)


def array(values: np.ndarray, *, by_column: bool = False, code: bytes | None = None, raw: bytes | None = None) -> bytes:
    raw = values.tobytes("F" if by_column else "C") if raw is None else raw
    code = values.dtype.str[1:].encode() if code is None else code
    shape = b"(" + b"".join(number(size) for size in values.shape) + b"t"
    return (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85q\x09U\x01b\x87Rq\x0c(K\x01"
        + shape + b"q\x0dcnumpy\ndtype\nq\x0e" + text(code) + b"K\x00K\x01\x87Rq\x11(K\x03U\x01|NNN"
        + b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb" + (b"\x88" if by_column else b"\x89") + text(raw) + b"tb"
    )  # fmt: skip


def batch(values: np.ndarray, labels: list[int], **of_array) -> bytes:
    """The dict of one file: batch_label, labels, data and filenames."""
    return (
        b"\x80\x02}q\x01(" + text(b"batch_label") + b"q\x02" + text(b"training batch 1 of 5") + b"q\x03"
        + text(b"labels") + b"]q\x05(" + b"".join(map(number, labels)) + b"e"
        + text(b"data") + b"q\x06" + array(values, **of_array)
        + text(b"filenames") + b"](" + text(b"leptodactylus_pentadactylus_s_000004.png") + b"h\x03eu."
    )  # fmt: skip
