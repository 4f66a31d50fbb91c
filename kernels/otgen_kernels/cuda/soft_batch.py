"""Many small entropic problems at once on the GPU: a block solves and proves one, all of it in float64, in one launch.

Each stops by its own error: nothing is asked of the host. The iteration is that of the host's soft_batch_solve.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..costs import describe, unit_rows
from . import device

COST_BYTES = 1 << 29
"""Bytes of costs, each taken once, that lie in memory at a time: batches of more are solved in several launches."""

ROW_VECTORS, COLUMN_VECTORS = 5, 21
"""Vectors of n and of m that a problem works with, as in soft_batch_room.cuh."""

STATIC_SHARED = 8 * 1024
"""Shared memory of the kernel besides its vectors, in bytes, rounded up."""

FIGURES = 9
"""Numbers told of every problem: value, objective, dual value, gap, error, lower and upper bound, sweeps, mass."""


def sinkhorn_batch(
    x: Any, y: Any, a: Any, b: Any, *, metric: str, p: float, eps: float, rho_a: float, rho_b: float, tol: float,
    max_iter: int, symmetric: bool,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Solve B problems: x (B, n, d), y (B, m, d), a (B, n), b (B, m) -> f (B, n), g (B, m), figures (B, 9).

    symmetric says that x = y, a = b and rho_a = rho_b: then f <- (f + T f) / 2, which needs no acceleration.
    """
    with device.home((x, y, a, b)):
        cupy, arrays, cost = device.namespace(), *_prepared(x, y, (a, b), metric, p)
        (count, n, d), m = x.shape, y.shape[1]
        f, g, figures = cupy.empty((count, n)), cupy.empty((count, m)), cupy.empty((count, FIGURES))
        size = ROW_VECTORS * n + COLUMN_VECTORS * m
        held = 8 * size <= device.most_shared() - STATIC_SHARED
        together = max(1, min(count, COST_BYTES // (8 * n * m)))
        costs, places = cupy.empty(together * n * m), cupy.empty(together * (n + m), np.int32)
        vectors = None if held else cupy.empty(together * size)
        for start in range(0, count, together):
            device.Program("soft_batch")(
                "sinkhorn_batch", (min(together, count - start),), (threads(n * m),), *arrays, start, n, m, d, *cost,
                eps, rho_a, rho_b, 0.9 * tol, max_iter, int(symmetric), int(held), costs, vectors, places, f, g,
                figures, shared=8 * size if held else 0,
            )  # fmt: skip
        return f, g, figures


def sinkhorn_batch_gradient(
    x: Any, y: Any, a: Any, b: Any, f: Any, g: Any, *, metric: str, p: float, eps: float
) -> Any:
    """sum_j pi_ij grad c(x_i, y_j) in x_i, for every problem: (B, n, d)."""
    with device.home((x, y, a, b, f, g)):
        cupy, norms = device.namespace(), None
        if metric == "cosine":
            largest = np.abs(x).max(2, keepdims=True).astype(np.float64)
            norms = largest * np.sqrt(np.square(x / largest).sum(2, keepdims=True))
        arrays, cost = _prepared(x, y, (a, b, f, g), metric, p)
        (count, n, d), m = x.shape, y.shape[1]
        out, rows = cupy.empty((count, n, d)), count * n
        device.Program("soft_batch")(
            "sinkhorn_batch_gradient", (-(-rows // 8),), (256,), *arrays, rows, n, m, d, *cost, eps, out
        )  # fmt: skip
        if norms is not None:  # through u = x / |x|
            unit = arrays[0]
            out = (out - unit * (unit * out).sum(2, keepdims=True)) / norms
        return out


def plan_mass_batch(x: Any, y: Any, a: Any, b: Any, f: Any, g: Any, *, metric: str, p: float, eps: float) -> Any:
    """sum_ij a_i b_j exp((f_i + g_j - c_ij) / eps) of every problem, for any potentials: (B,)."""
    with device.home((x, y, a, b, f, g)):
        arrays, cost = _prepared(x, y, (a, b, f, g), metric, p)
        (count, n, d), m = x.shape, y.shape[1]
        out = device.namespace().empty(count)
        device.Program("soft_batch")("plan_mass_batch", (count,), (256,), *arrays, n, m, d, *cost, eps, out)
        return out


def threads(pairs: int) -> int:
    """Threads for a problem: few where there is little to share, so that a multiprocessor holds more problems."""
    return 64 if pairs <= 4096 else 128 if pairs <= 65_536 else 256


def _prepared(x: Any, y: Any, vectors: tuple[Any, ...], metric: str, p: float) -> tuple[Any, Any]:
    """Points in float64, of unit length for the cosine, beside their vectors; and the cost as the kernels take it."""
    cupy, described = device.namespace(), describe(metric, p)
    clouds = [x, y]
    if metric == "cosine":
        clouds = [unit_rows(z.reshape(-1, z.shape[2])).reshape(z.shape) for z in clouds]
    arrays = [cupy.ascontiguousarray(v, np.float64) for v in (*clouds, *vectors)]
    return arrays, (described.form, described.shape, described.q, described.unit)
