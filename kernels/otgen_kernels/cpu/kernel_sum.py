"""Sums of a kernel over all pairs of two clouds, or of one with itself, and their gradients: O(n + m) memory.

A cloud is cut into blocks, the same for any number of threads; a unit of work is a pair of blocks. Sums down the
columns make one unit write to both its blocks: units run in rounds in which no two share a block, so that every sum
has its order, and the pairs of a cloud with itself are taken once.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from ..constants import KERNEL_BLOCK, KERNEL_BLOCKS, SERIAL_PAIRS
from ..kernel_kinds import KINDS, KernelSums, constants
from . import pool
from .kernel_pairs import KernelPairs, Unit
from .kernel_profiles import profile


def kernel_sum(
    x: np.ndarray, y: np.ndarray | None, a: np.ndarray, b: np.ndarray | None, *, kernel: str, scales: np.ndarray,
    bandwidth: float, sums: bool, by_x: bool, by_y: bool,
) -> KernelSums:  # fmt: skip
    """Return the sums of k(x_i, y_j) over all pairs; y, b None stand for x, a, and then columns and by_y are None.

    x (n, d) and y (m, d) are of one dtype, in which pairs are worked on; a (n,) and b (m,) >= 0 and sums are float64.
    """
    alone, scatter = y is None, sums or by_x or by_y
    pairs = KernelPairs(x, y, kernel, scales, bandwidth)
    weights = (
        pairs.weights(0, a, gradient=by_y or (alone and by_x)),
        pairs.weights(1, a if b is None else b, gradient=by_x),
    )
    n, m = pairs.shape
    rows = np.zeros(n) if sums else None
    columns = rows if alone else (np.zeros(m) if sums else None)
    gradient_x = np.zeros(x.shape) if by_x else None
    gradient_y = gradient_x if alone else (np.zeros((m, x.shape[1])) if by_y else None)
    total = 0.0
    serial = n * m < SERIAL_PAIRS
    with pool.blas_single_thread():
        for units in rounds(n, None if alone else m, scatter):
            totals = np.zeros(len(units))

            def work(k: int, units: list[Unit] = units, totals: np.ndarray = totals) -> None:
                unit = units[k]
                down = columns is not None and (unit.mirrored or not alone)
                wants_y = gradient_y is not None and (unit.mirrored or not alone)
                found = pairs.add(unit, weights, columns if down else None, gradient_x, gradient_y if wants_y else None)
                totals[k] = (1 + unit.mirrored) * (weights[0].small[unit.lo : unit.hi] @ found)
                if rows is not None:
                    rows[unit.lo : unit.hi] += found

            pool.run(work, len(units), serial=serial)
            total += float(totals.sum())
    return _in_units(pairs, weights, total, rows, columns, gradient_x, gradient_y, alone)


def _in_units(pairs, weights, total, rows, columns, by_x, by_y, alone):
    """Undo the scaling of weights and coordinates."""
    (_, most_a, _), (_, most_b, _) = weights
    k_unit = pairs.value_exponent
    asked = (
        (rows, most_b, k_unit), (None if alone else columns, most_a, k_unit),
        (by_x, most_b, k_unit - pairs.exponent), (None if alone else by_y, most_a, k_unit - pairs.exponent),
    )  # fmt: skip
    with np.errstate(over="ignore"):  # a sum beyond float64 is inf, which the caller refuses in words
        for values, weight, power in asked:
            if values is not None:
                values *= weight
                np.ldexp(values, power, out=values)
        total = float(np.ldexp(total * most_a * most_b, k_unit))
    return KernelSums(total, rows, None if alone else columns, by_x, None if alone else by_y)


def rounds(n: int, m: int | None, scatter: bool) -> Iterator[list[Unit]]:
    """Yield lists of units that may run together: all pairs of n x m, or with m None each pair of n points once.

    With scatter no two units of a round share rows, nor columns, nor rows of one with columns of another if m is None.
    """
    rows, columns = _blocks(n), _blocks(n if m is None else m)
    if not scatter:
        pairs = [(i, j) for i in range(len(rows)) for j in range(len(columns)) if m is not None or j >= i]
        yield [Unit(*rows[i], *columns[j], m is None and i != j) for i, j in pairs]
    elif m is not None:
        turns = max(len(rows), len(columns))
        for turn in range(turns):
            pairs = [(i, (i + turn) % turns) for i in range(len(rows))]
            yield [Unit(*rows[i], *columns[j], False) for i, j in pairs if j < len(columns)]
    else:
        yield [Unit(*block, *block, False) for block in rows]
        if len(rows) == 1:
            return
        players = len(rows) + len(rows) % 2  # the circle method of a tournament; an odd one out rests
        for turn in range(players - 1):
            ring = [players - 1, *((turn + k) % (players - 1) for k in range(players - 1))]
            pairs = [(ring[k], ring[players - 1 - k]) for k in range(players // 2)]
            yield [Unit(*rows[min(i, j)], *rows[max(i, j)], True) for i, j in pairs if max(i, j) < len(rows)]


def _blocks(n: int) -> list[tuple[int, int]]:
    count = min(KERNEL_BLOCKS, -(-n // KERNEL_BLOCK))
    edges = [n * k // count for k in range(count + 1)]
    return list(pairwise(edges))


def kernel_profile(
    s: np.ndarray, d: int, *, kernel: str, scales: np.ndarray, bandwidth: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return k and 2 dk/ds at squared distances s (n,), float64; dk/ds at products s for the polynomial of d."""
    value, slope = np.empty(s.shape), np.empty(s.shape)
    given = constants(kernel, np.asarray(scales, np.float64), bandwidth, d, s.dtype)
    profile(KINDS[kernel], s, given, True, value, slope)
    return value, slope
