"""Sums of the points of each group, added in the order of the points."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import device

THREADS = 256


def group_sums(x: Any, group: Any, count: int) -> Any:
    """Return the sum of the rows of x (N, d) that belong to each of `count` groups: float64 (count, d)."""
    with device.home((x, group)):
        cupy, d = device.namespace(), x.shape[1]
        starts = cupy.zeros(count + 1, np.int64)
        starts[1:] = cupy.cumsum(cupy.bincount(group, minlength=count))
        sums = cupy.empty((count, d))
        grid = (-(-32 * count // THREADS), -(-d // 32))
        # CuPy sorts stably: within a group the points keep their order.
        order = cupy.ascontiguousarray(cupy.argsort(group), np.int64)
        x = cupy.ascontiguousarray(x, np.float64)
        device.Program("group_sums")("group_sums", grid, (THREADS,), x, order, starts, count, d, sums)
        return sums
