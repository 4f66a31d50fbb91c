"""Optimal transport on many lines at once: sort both sides, then match quantiles, every segment by a thread of its own.

The ends of the weights are running sums of twice the digits of float64, so that the mass of a segment is as good as
what is left of a weight is on the host, where one weight after the other is used up.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from . import device
from .prefix import running_sums

TILE = 2048
"""Ends or pairs of a block, as in line.cu."""

LINE_NUMBERS = 1 << 24
"""Points of both sides that are worked on at a time: up to 60 bytes each, 1 GB."""

ROW_BY_ROW = 1 << 15
"""Points of a row from which it is sorted alone: CuPy sorts a vector by radix, and rows together by merging."""

MANY_PARTS = 8
"""Levels of halving from which a row's columns are few enough for one warp."""


class Ends(NamedTuple):
    """Running sums hi + lo of the weights of each line (L, n); one row, and no lo, where all lines share theirs."""

    hi: Any
    lo: Any

    @property
    def shared(self) -> bool:
        return self.lo is None


def wasserstein_1d(x: Any, y: Any, a: Any, b: Any, *, p: float) -> Any:
    """W_p between the columns of x (n, k) and y (m, k), float64 (k,); a (n,), b (m,) positive of one mass, or None."""
    with device.home((x, y, a, b)):
        cupy, values = device.namespace(), []
        for part in parts(x, y):
            xs, ys = rows_of(x[:, part]), rows_of(y[:, part])
            if a is None or b is None:
                values.append(p_mean(sort_rows(xs), sort_rows(ys), *uniform_ends(len(x), len(y)), p=p))
                continue
            (xs, of_x), (ys, of_y) = arranged(xs), arranged(ys)
            values.append(p_mean(xs, ys, ends_of(a[of_x]), ends_of(b[of_y]), 1.0, p=p))
        return cupy.concatenate(values)


def staircase(x: Any, y: Any, a: Any, b: Any, *, p: float) -> tuple[Any, Any, Any, Any, Any]:
    """The monotone plan of x (n,) and y (m,) and dual potentials of |x - y|^p: rows, cols, mass, f (n,), g (m,)."""
    with device.home((x, y, a, b)):
        cupy, n, m = device.namespace(), len(x), len(y)
        (xs, of_x), (ys, of_y) = (arranged(rows_of(z[:, None], np.float64)) for z in (x, y))
        ends = ends_of(a[of_x]), ends_of(b[of_y])
        f, g = potentials(xs, ys, *ends, p=p)
        rows, cols = cupy.empty(n + m - 1, np.int64), cupy.empty(n + m - 1, np.int64)
        mass = cupy.empty(n + m - 1)
        program = device.Program("line", REAL="double")
        program("plan", (-(-(n + m - 1) // 256),), (256,), *ends[0], *ends[1], n, m, rows, cols, mass)
        carried = mass > 0.0
        rows, cols = of_x[0][rows[carried]], of_y[0][cols[carried]]
        return rows, cols, mass[carried], unsorted(f, of_x)[0], unsorted(g, of_y)[0]


def c_transform_1d(x: Any, y: Any, g: Any, *, p: float) -> Any:
    """f_i <= min_j |x_i - y_j|^p - g_j for x (n,), y (m,) and g (m,), float64: feasible, and short by rounding only."""
    with device.home((x, y, g)):
        return c_transforms(x[None], y[None], g[None], p=p)[0]


def c_transforms(x: Any, y: Any, g: Any, *, p: float) -> Any:
    """The same for each line of x (L, n), y (L, m) and g (L, m), in log2 n steps; see the host's for the bound."""
    cupy, (lines, n), m = device.namespace(), x.shape, y.shape[1]
    (xs, of_x), (ys, of_y) = arranged(cupy.ascontiguousarray(x)), arranged(cupy.ascontiguousarray(y))
    g = cupy.take_along_axis(g, of_y, axis=1)
    at, values, costs = cupy.empty((lines, n), np.int64), cupy.empty((lines, n)), cupy.empty((lines, n))
    program = device.Program("monge")
    for level in range(n.bit_length()):
        threads = 256 if level < MANY_PARTS else 32
        program("monge_level", (lines << level,), (threads,), xs, ys, g, n, m, level, p, at, values, costs)
    largest, bound = costs.max(axis=1), abs(g).max(axis=1)
    delta = 2 * np.finfo(np.float64).eps * ((p + 3) * (largest + 2 * bound) + largest + 3 * bound)
    return unsorted(values - (delta * (n.bit_length() + 1))[:, None], of_x)


def potentials(xs: Any, ys: Any, a: Ends, b: Ends, *, p: float) -> tuple[Any, Any]:
    """Dual potentials (L, n), (L, m) of |x - y|^p on sorted lines of float64, tight along their staircases."""
    found = []
    for one, other, own, its, first in ((xs, ys, a, b, 0.0), (ys, xs, b, a, 1.0)):
        lines, n = one.shape
        gains, blocks = device.namespace().empty((lines, n)), -(-n // 256)
        device.Program("line", REAL="double")(
            "increments", (lines * blocks,), (256,), one, other, *own, *its, n, other.shape[1], blocks, p, first, gains,
        )  # fmt: skip
        found.append(running_sums(gains, low=False)[0])
    return found[0], found[1]


def p_mean(xs: Any, ys: Any, a: Ends | None, b: Ends | None, total: float, *, p: float) -> Any:
    """W_p (L,) of sorted lines xs (L, n), ys (L, m) whose weights have these ends, of mass total; None: one to one."""
    cupy, (lines, n), m = device.namespace(), xs.shape, ys.shape[1]
    paired = a is None or b is None
    blocks = -(-(n if paired else n + m) // TILE)
    program = device.Program("line", REAL="float" if xs.dtype == np.float32 else "double")
    units, values = cupy.empty(lines), cupy.empty(lines)
    sums, largest = cupy.empty(lines * blocks), cupy.empty(lines * blocks)
    program("first_units", (-(-lines // 256),), (256,), xs, ys, lines, n, m, units)
    for again in (0, 1):  # the second time nothing is left to do, but where the mean was faint
        grid, block = (lines * blocks,), (256,)
        if a is None or b is None:
            program("paired_powers", grid, block, xs, ys, n, blocks, p, units, sums, largest)
        else:
            program("powers", grid, block, xs, ys, *a, *b, n, m, a.shared, blocks, p, units, sums, largest)
        program("fold", (lines,), (32,), sums, largest, blocks, total, p, again, units, values)
    return values


def uniform_ends(n: int, m: int) -> tuple[Ends | None, Ends | None, float]:
    """The ends of uniform weights as whole numbers, which are exact, and their total; None for one to one."""
    if n == m:
        return None, None, float(n)
    cupy, common = device.namespace(), math.gcd(n, m)
    ends = (
        Ends(cupy.arange(1, size + 1, dtype=np.float64)[None] * float(step // common), None)
        for size, step in ((n, m), (m, n))
    )
    return next(ends), next(ends), float(n * (m // common))


def ends_of(weights: Any) -> Ends:
    """The ends of float64 weights (L, n) in the order of their points."""
    return Ends(*running_sums(device.namespace().ascontiguousarray(weights)))


def parts(x: Any, y: Any) -> list[slice]:
    """Columns of x (n, k) and y (m, k) that are worked on together."""
    step = max(1, LINE_NUMBERS // (len(x) + len(y)))
    return [slice(start, start + step) for start in range(0, x.shape[1], step)]


def rows_of(columns: Any, dtype: Any = None) -> Any:
    """The columns (n, k) as rows (k, n)."""
    return device.namespace().ascontiguousarray(columns.T, dtype)


def sort_rows(rows: Any) -> Any:
    """Rows (L, n) in ascending order."""
    cupy = device.namespace()
    if not _one_by_one(rows):
        return cupy.sort(rows, axis=1)
    found = cupy.empty_like(rows)
    for k in range(len(rows)):
        found[k] = cupy.sort(rows[k])
    return found


def arranged(rows: Any) -> tuple[Any, Any]:
    """Rows (L, n) in ascending order, ties by place, and the places they come from, int64 (L, n)."""
    cupy = device.namespace()
    if _one_by_one(rows):
        order = cupy.empty(rows.shape, np.int64)
        for k in range(len(rows)):
            order[k] = cupy.argsort(rows[k], kind="stable")
    else:
        order = cupy.argsort(rows, axis=1, kind="stable")
    return cupy.take_along_axis(rows, order, axis=1), order


def unsorted(rows: Any, order: Any) -> Any:
    """Rows (L, n) back at the places that they came from."""
    found = device.namespace().empty_like(rows)
    found[device.namespace().arange(len(rows))[:, None], order] = rows
    return found


def _one_by_one(rows: Any) -> bool:
    return len(rows) == 1 or rows.shape[1] >= ROW_BY_ROW
