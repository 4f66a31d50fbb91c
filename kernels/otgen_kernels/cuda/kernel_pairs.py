"""The pairs of two clouds under one kernel on the GPU, scaled to an extent of about 1 without asking the host."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..constants import SMALL_DIMS
from ..kernel_kinds import ENERGY, KINDS, LARGE, POLYNOMIAL, REACH
from . import device

TILE = 64
"""Rows and columns of a tile of pairs in many dimensions, and columns of one in few."""

PRODUCT_DIMS = 16
"""Dimensions beyond which pairs of float32 are products on tensor cores."""

WAVES = 8
"""Blocks for each multiprocessor at least: with fewer rows than that the columns are split too."""

PART_BYTES = 1 << 27
"""Bytes that the parts of gradients may fill where columns are split."""

EXTENT_ROWS = 4096
"""Rows of which one block finds the extent."""

EXTENT_PARTS = 64
"""Such blocks at most: beyond, their rows grow."""

REAL = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}


class Path(NamedTuple):
    """One way through the pairs: its .cu file, its macros besides the kind, and the rows and threads of a block."""

    file: str
    macros: dict[str, int | str]
    rows: int
    threads: int


class KernelPairs:
    """The pairs of x (n, d) and y (m, d), None for x itself, with weights a and b >= 0 (b None for a)."""

    def __init__(self, x: Any, y: Any, a: Any, b: Any, kernel: str, scales: np.ndarray, bandwidth: float) -> None:
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
        self._path = _path(dtype, d)
        self._program = device.Program(self._path.file, KIND=kind, **self._path.macros)
        self._products = self._centred() if self._path.file == "kernel_products" else None

    def sums(self, side: int, *, gradient: bool, once: bool = False) -> tuple[Any, Any]:
        """Return the parts of sum_j b_j k(x_i, y_j), (splits, n), and of its gradients, (splits, n, d) if asked.

        once: of a cloud with itself, parts whose sum with the weights of rows is a^T K a, each pair taken once.
        """
        cupy, (n, m) = device.namespace(), (self.shape[side], self.shape[1 - side])
        rows, points, sizes = self._path.rows, (self.clouds[side], self.clouds[1 - side]), (n, m, self.d)
        run, splits = shares(n, m, rows, PART_BYTES // (8 * n * self.d) if gradient else None)
        part, slopes = cupy.empty((splits, n)), cupy.zeros((splits, n, self.d)) if gradient else None
        if self._products is not None:
            order, (centred, norms, centre) = slice(None, None, -1 if side else 1), self._products
            points, sizes = (*points, *centred[order], *norms[order], centre), (*sizes, centred[0].shape[1])
        name, rest = ("kernel_gradients", (part, slopes)) if gradient else ("kernel_rows", (int(once), part))
        self._program(
            name, (-(-n // rows), splits), (self._path.threads,), *points, self.weights[1 - side], self.constants,
            self.scales, *sizes, run, *rest,
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
        program = device.Program("kernel_tiles", REAL=REAL[self.dtype], KIND=self._kind)
        program(
            "kernel_tile", (-(-width // TILE), -(-height // TILE)), (256,), self.clouds[0], self.constants, self.scales,
            n, self.d, top, left, height, width, tile,
        )  # fmt: skip

    def _centred(self) -> tuple[tuple[Any, Any], tuple[Any, Any], Any]:
        """Both clouds about a common centre, filled up to whole eights of coordinates, their norms, and the centre."""
        cupy, d = device.namespace(), self.d
        centre, pitch = cupy.zeros(d), -(-d // 8) * 8
        for cloud in self.clouds:
            centre += 0.5 * cloud.mean(0, dtype=np.float64)
        points, norms = [], []
        for cloud in self.clouds if self.clouds[0] is not self.clouds[1] else self.clouds[:1]:
            n = len(cloud)
            points.append(cupy.empty((n, pitch), np.float32))
            norms.append(cupy.empty(n, np.float32))
            self._program(
                "centre_rows", (-(-n // 8),), (256,), cloud, centre, n, d, pitch, points[-1], norms[-1]
            )  # fmt: skip
        return (points[0], points[-1]), (norms[0], norms[-1]), centre

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


def _path(dtype: np.dtype, d: int) -> Path:
    if d <= SMALL_DIMS:
        dims = 4 if d <= 4 else SMALL_DIMS
        rows = 1 if dims == SMALL_DIMS and dtype == np.float64 else 2  # of each thread
        return Path("kernel_sum", {"REAL": REAL[dtype], "DIMS": dims}, 128 * rows, 128)
    if d > PRODUCT_DIMS and dtype == np.float32:
        return Path("kernel_products", {}, 128, 128)
    return Path("kernel_tiles", {"REAL": REAL[dtype]}, TILE, 256)


def shares(n: int, m: int, rows: int, most: int | None) -> tuple[int, int]:
    """How many columns, whole tiles, a block takes in turn, and by how many blocks, at most `most`, a row is shared."""
    tiles, wanted = -(-m // TILE), -(-WAVES * device.processors() // -(-n // rows))
    wanted = min(tiles, wanted, wanted if most is None else max(most, 1))
    run = -(-tiles // wanted)
    return run * TILE, -(-tiles // run)
