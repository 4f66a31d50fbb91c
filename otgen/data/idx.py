"""IDX files, the format of MNIST: a magic number, big-endian sizes, then bytes; plain or gzipped.

Source: LeCun, Cortes and Burges, The MNIST database, "File formats".
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

# 0x0000 0x08 (unsigned bytes) and the number of axes.
MAGIC = {"images": 0x0803, "labels": 0x0801}


def read_images(path: Path) -> np.ndarray:
    """Images (n, 1, H, W) of bytes. Raises ValueError for a damaged file or one of another kind."""
    return _read(path, "images")[:, None]


def read_labels(path: Path) -> np.ndarray:
    """Labels (n,) of bytes. Raises ValueError for a damaged file or one of another kind."""
    return _read(path, "labels")


def _read(path: Path, kind: str) -> np.ndarray:
    content = _content(path)
    magic = int.from_bytes(content[:4], "big")
    if len(content) < 4 or magic != MAGIC[kind]:
        raise ValueError(
            f"{path} must be an IDX file of {kind}, magic number {MAGIC[kind]}; {_found(content, magic)}. "
            "Put the file of that name from the set's own site there."
        )
    axes = magic & 0xFF
    start = 4 + 4 * axes
    shape = tuple(int(size) for size in np.frombuffer(content[4:start], ">u4", count=len(content[4:start]) // 4))
    if len(shape) < axes or start + math.prod(shape) != len(content):
        promised = f"shape {shape}, {start + math.prod(shape)} bytes" if len(shape) == axes else f"{axes} sizes"
        raise ValueError(
            f"{path} must hold what its header says, {promised}; it holds {len(content)} bytes. It is damaged or cut "
            "off: fetch it again."
        )
    if 0 in shape:
        raise ValueError(f"{path} must hold at least one sample; its header says shape {shape}. Fetch it again.")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _content(path: Path) -> bytes:
    raw = path.read_bytes()
    if raw[:2] != b"\x1f\x8b" and path.suffix != ".gz":
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path} must be a whole gzip file; unpacking its {len(raw)} bytes failed: {error}. It is damaged or cut "
            "off: fetch it again."
        ) from error


def _found(content: bytes, magic: int) -> str:
    for kind, number in MAGIC.items():
        if magic == number and len(content) >= 4:
            return f"it is one of {kind}, {number}"
    return f"it begins with {content[:4]!r}"
