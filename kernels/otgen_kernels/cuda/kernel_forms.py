"""Statistics of one pooled sample under many labellings on the GPU: tiles of the kernel, each times the labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import device
from .kernel_pairs import KernelPairs

BLOCK = 2048
"""Rows and columns of a tile of the kernel: 34 MB of float64, and a product large enough to fill the device."""


def kernel_forms(x: Any, marks: Any, *, kernel: str, scales: np.ndarray, bandwidth: float) -> Any:
    """Return sum_ij s_i s_j k(x_i, x_j), float64 (P,), of every column s of marks (n, P), whose entries are 0 and 1.

    2 n^2 P operations at most, halved since k is symmetric; products in the precision of x, their sums in float64.
    """
    with device.home((x, marks)):
        cupy, n = device.namespace(), len(x)
        pairs = KernelPairs(x, None, cupy.ones(n), None, kernel, scales, bandwidth)
        marks = cupy.ascontiguousarray(marks, pairs.dtype)
        found = cupy.zeros(marks.shape[1])
        room = cupy.empty(min(n, BLOCK) ** 2, pairs.dtype)
        for top in range(0, n, BLOCK):
            rows = marks[top : top + BLOCK]
            for left in range(top, n, BLOCK):
                columns = marks[left : left + BLOCK]
                shape = len(rows), len(columns)
                tile = room[: shape[0] * shape[1]].reshape(shape)
                pairs.fill(top, left, tile)
                sums = rows * cupy.matmul(tile, columns)
                found += (1.0 if top == left else 2.0) * sums.sum(0, dtype=np.float64)
        return pairs.merged(0, found[None], pairs.value_power)
