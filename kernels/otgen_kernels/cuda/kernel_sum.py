"""Sums of a kernel over all pairs of two clouds, or of one with itself, and their gradients, on the GPU.

Memory O(n + m): blocks own rows and walk along the columns; what is summed down the columns is summed by the same
kernel with the clouds swapped. Every sum has its order: a device of the same kind finds the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernel_kinds import KernelSums
from . import device
from .kernel_pairs import KernelPairs


def kernel_sum(
    x: Any, y: Any, a: Any, b: Any, *, kernel: str, scales: np.ndarray, bandwidth: float, sums: bool, by_x: bool,
    by_y: bool,
) -> KernelSums:  # fmt: skip
    """Return the sums of k(x_i, y_j) over all pairs; y, b None stand for x, a, and then columns and by_y are None.

    x (n, d) and y (m, d) are of one dtype, in which pairs are worked on; a (n,) and b (m,) >= 0 and sums are float64.
    a^T K b is an array of no dimensions: who needs it on the host waits for it.
    """
    alone = y is None
    with device.home((x, y, a, b)):
        pairs = KernelPairs(x, y, a, b, kernel, scales, bandwidth)
        value, slope = pairs.value_power, pairs.value_power - 1
        # Each pair once saves nothing where the rows' own sums are asked for.
        part, slopes = pairs.sums(0, gradient=by_x, once=alone and not sums and not by_x)
        total = pairs.total(part)
        rows = pairs.merged(0, part, value) if sums else None
        gradient_x = pairs.merged(0, slopes, slope) if by_x else None
        columns = gradient_y = None
        if not alone and (sums or by_y):
            part, slopes = pairs.sums(1, gradient=by_y)
            columns = pairs.merged(1, part, value) if sums else None
            gradient_y = pairs.merged(1, slopes, slope) if by_y else None
    return KernelSums(total, rows, columns, gradient_x, gradient_y)
