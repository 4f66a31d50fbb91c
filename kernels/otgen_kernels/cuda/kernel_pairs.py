"""The pairs of two clouds under one kernel on the GPU: scaled to an extent of about 1 without a word to the host."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..constants import SMALL_DIMS
from ..kernel_kinds import ENERGY, KINDS, LARGE, POLYNOMIAL, REACH
from . import device

THREADS = 128, 256
"""Threads of a block: in few dimensions, where each has two rows or, for eight of float64, one; in many."""

TILE = 64
"""Rows and columns of a tile of pairs in many dimensions, and columns of one in few."""

WAVES = 8
"""Blocks for each multiprocessor at least: with fewer rows than that the columns are split too."""

PART_BYTES = 1 << 27
"""Bytes that the parts of gradients may fill where columns are split."""

EXTENT_ROWS = 4096
"""Rows of which one block finds the extent."""

EXTENT_PARTS = 64
"""Such blocks at most: beyond, their rows grow."""

REAL = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}


class KernelPairs:
    """The pairs of x (n, d) and y (m, d), None for x itself, with weights a and b >= 0 (b None for a)."""

    def __init__(
        self, x: Any, y: Any, a: Any, b: Any, kernel: str, scales: np.ndarray, bandwidth: float
    ) -> None:  # fmt: skip
        cupy, kind = device.namespace(), KINDS[kernel]
        clouds = [x] if y is None else [x, y]
        weights = [a] if y is None else [a, a if b is None else b]
        if kind == POLYNOMIAL and x.dtype == np.float32:
            size = float(max(np.abs(z).max() for z in clouds))  # the one number that the host waits for
            if np.frexp(size)[1] > LARGE:
                clouds = [z.astype(np.float64) for z in clouds]
        clouds = [cupy.ascontiguousarray(z) for z in clouds]
        weights = [cupy.ascontiguousarray(w, np.float64) for w in weights]
        dtype, d = clouds[0].dtype, x.shape[1]
        self.shape, self.d, self.value_power = (len(clouds[0]), len(clouds[-1])), d, int(kind == ENERGY)
        self.dtype, self.scales, self._kind = dtype, len(scales), kind
        self._in_units = device.Program("kernel_units", REAL=REAL[dtype])
        self.units, self.constants = cupy.empty(3), cupy.empty((3, len(scales)), dtype)
        self._settle(clouds, weights, kind, cupy.asarray(np.asarray(scales, np.float64)), bandwidth)
        sides = [self._rescale(k, *side) for k, side in enumerate(zip(clouds, weights))]
        self.clouds, self.weights = zip(sides[0], sides[-1])
        self.in_registers = d <= SMALL_DIMS
        self._rows = TILE
        if self.in_registers:
            dims = 4 if d <= 4 else SMALL_DIMS
            self._rows = THREADS[0] * (1 if dims == SMALL_DIMS and dtype == np.float64 else 2)
            self._program = device.Program("kernel_sum", REAL=REAL[dtype], KIND=kind, DIMS=dims)
        else:
            self._program = self._in_tiles()

    def sums(self, side: int, *, gradient: bool, once: bool = False) -> tuple[Any, Any]:
        """Return the parts of sum_j b_j k(x_i, y_j), (splits, n), and of its gradients, (splits, n, d) if asked.

        once: of a cloud with itself, parts whose sum with the weights of rows is a^T K a, each pair taken once.
        """
        cupy, (n, m) = device.namespace(), (self.shape[side], self.shape[1 - side])
        run, splits = shares(n, m, self._rows, PART_BYTES // (8 * n * self.d) if gradient else None)
        part, slopes = cupy.empty((splits, n)), cupy.empty((splits, n, self.d)) if gradient else None
        name, rest = ("kernel_gradients", (part, slopes)) if gradient else ("kernel_rows", (int(once), part))
        self._program(
            name, (-(-n // self._rows), splits), (THREADS[not self.in_registers],), self.clouds[side],
            self.clouds[1 - side], self.weights[1 - side], self.constants, self.scales, n, m, self.d, run, *rest,
        )  # fmt: skip
        return part, slopes

    def merged(self, side: int, part: Any, power: int) -> Any:
        """Return the sum of parts (splits, ...) of a side's rows times 2^(power e), in the user's units of weights."""
        out = device.namespace().empty(part.shape[1:])
        self._in_units(
            "merge", (-(-out.size // 256),), (256,), part, len(part), out.size, 1 - side, power, self.units, out
        )
        return out

    def total(self, part: Any) -> Any:
        """Return a^T K b, an array of no dimensions, from the parts of K b."""
        out, n = device.namespace().empty(()), self.shape[0]
        self._in_units(
            "total", (1,), (512,), part, len(part), n, self.weights[0], self.value_power, self.units, out
        )  # fmt: skip
        return out

    def fill(self, top: int, left: int, tile: Any) -> None:
        """Write k(x_i, x_j) of the rows from `top` and the columns from `left` of a cloud with itself to a tile."""
        (height, width), (n, _) = tile.shape, self.shape
        self._in_tiles()(
            "kernel_tile", (-(-width // TILE), -(-height // TILE)), (256,), self.clouds[0], self.constants, self.scales,
            n, self.d, top, left, height, width, tile,
        )  # fmt: skip

    def _in_tiles(self) -> device.Program:
        return device.Program("kernel_tiles", REAL=REAL[self.dtype], KIND=self._kind)

    def _settle(self, clouds: list[Any], weights: list[Any], kind: int, scales: Any, bandwidth: float) -> None:
        cupy, (n, m), d = device.namespace(), self.shape, self.d
        parts = min(-(-max(n, m) // EXTENT_ROWS), EXTENT_PARTS)
        sides = len(clouds)
        low, high, most = cupy.empty((sides, parts, d)), cupy.empty((sides, parts, d)), cupy.empty((sides, parts))
        self._in_units(
            "extent", (-(-d // 32), parts, sides), (256,), clouds[0], clouds[-1], weights[0], weights[-1], n, m, d, low,
            high, most,
        )  # fmt: skip
        self._in_units(
            "settle", (1,), (256,), low, high, most, parts, sides, d, kind, scales, len(scales), bandwidth,
            REACH[self.dtype], self.units, self.constants,
        )  # fmt: skip

    def _rescale(self, side: int, points: Any, weights: Any) -> tuple[Any, Any]:
        cupy, (n, d) = device.namespace(), points.shape
        scaled, small = cupy.empty((n, d), self.dtype), cupy.empty(n, self.dtype)
        self._in_units(
            "rescale", (-(-n * d // 256),), (256,), points, weights, n, d, side, self.units, scaled, small
        )  # fmt: skip
        return scaled, small


def shares(n: int, m: int, rows: int, most: int | None) -> tuple[int, int]:
    """How many columns, whole tiles, a block takes in turn, and by how many blocks, at most `most`, a row is shared."""
    tiles, wanted = -(-m // TILE), -(-WAVES * device.processors() // -(-n // rows))
    wanted = min(tiles, wanted, wanted if most is None else max(most, 1))
    run = -(-tiles // wanted)
    return run * TILE, -(-tiles // run)
