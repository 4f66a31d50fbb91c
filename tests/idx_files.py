"""Writes IDX files, the format of MNIST."""

from __future__ import annotations

import struct

import numpy as np


def packed(values: np.ndarray) -> bytes:
    """Bytes of any number of axes, behind their magic number and sizes."""
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()
