"""Optimal transport on the line: sort both sides, then match quantiles (Santambrogio 2015, section 2.2)."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from .order import sort_with
from .pool import run

FAINT = 1e-200  # a mean of powers in units of a length; below it the terms may have lost digits to underflow


def wasserstein_1d(x: np.ndarray, y: np.ndarray, a: np.ndarray | None, b: np.ndarray | None, *, p: float) -> np.ndarray:
    """W_p = (integral over t of |F^-1(t) - G^-1(t)|^p)^(1/p) between the columns of x (n, k) and y (m, k).

    a (n,) and b (m,) are positive float64 weights of one mass; both None is uniform, of mass 1.
    Returns float64 (k,). O(k (n + m) log(n + m)); sums run in float64 in a fixed order.
    """
    n, m = len(x), len(y)
    uniform = a is None
    total = float(n) if uniform and n == m else 1.0
    if uniform and n != m:
        a, b, total = uniform_masses(n, m)
    columns = x.shape[1]
    values = np.empty(columns)

    def column(k: int) -> None:
        sides = [(x[:, k], a), (y[:, k], b)]

        def arrange(side: int) -> None:
            points, weights = sides[side]
            if uniform or weights is None:
                sides[side] = np.sort(points), weights
            else:
                sides[side] = sort_with(points, weights)

        run(arrange, 2, serial=columns > 1)
        (xs, a_sorted), (ys, b_sorted) = sides
        values[k] = p_mean(xs, ys, a_sorted, b_sorted, total, float(p))

    run(column, columns, serial=columns == 1)
    return values


def staircase(
    x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray, *, p: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The monotone plan of x (n,) and y (m,) and dual potentials of |x - y|^p: rows, cols, mass, f (n,), g (m,).

    The plan is the north-west corner rule on the sorted points. |x - y|^p is a Monge cost there, so potentials that
    are tight along a connected staircase are feasible everywhere, up to rounding of about (n + m) eps max c.
    Where both sides are used up together both corners are valid and their mean is taken: x = y gives f = g = 0.
    a (n,) and b (m,) are positive float64 weights of one mass.
    """
    order_x, order_y = np.argsort(x, kind="stable"), np.argsort(y, kind="stable")
    rows, cols, mass, f_sorted, g_sorted = _staircase(
        x[order_x].astype(np.float64), y[order_y].astype(np.float64), a[order_x], b[order_y], float(p)
    )
    f, g = np.empty(len(x)), np.empty(len(y))
    f[order_x], g[order_y] = f_sorted, g_sorted
    carried = mass > 0.0  # a remainder that rounding took below 0, and corners of the staircase, carry nothing
    return order_x[rows[carried]], order_y[cols[carried]], mass[carried], f, g


def c_transform_1d(x: np.ndarray, y: np.ndarray, g: np.ndarray, *, p: float) -> np.ndarray:
    """f_i <= min_j |x_i - y_j|^p - g_j for x (n,), y (m,) and g (m,), in O((n + m) log(n + m)), all float64.

    Between sorted points |x - y|^p is a Monge cost, so the minimising j moves one way with i: the middle row splits the
    columns between the rows above and below it. Where columns tie up to rounding delta, a row loses at most delta a
    split by the columns it never sees, and f is lowered by that: feasible for every pair, short of the exact minimum
    by about log2(n) eps.
    """
    order_x, order_y = np.argsort(x, kind="stable"), np.argsort(y, kind="stable")
    values, largest = _monge_minima(x[order_x], y[order_y], g[order_y], float(p))
    # A tie is between costs of at most largest + 2 max|g|, each off by p + 3 roundings, and two differences with g.
    bound = float(np.abs(g).max())
    delta = 2 * np.finfo(np.float64).eps * ((p + 3) * (largest + 2 * bound) + largest + 3 * bound)
    f = np.empty(len(x))
    f[order_x] = values - delta * (len(x).bit_length() + 1)
    return f


def uniform_masses(n: int, m: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Uniform weights of n and of m points as whole numbers, which split without rounding, and their total."""
    common = math.gcd(n, m)
    return np.full(n, float(m // common)), np.full(m, float(n // common)), float(n * (m // common))


def p_mean(xs: np.ndarray, ys: np.ndarray, a: np.ndarray | None, b: np.ndarray | None, total: float, p: float) -> float:
    """W_p between sorted points with their weights of mass total; both None is one to one, and total their number."""

    def reduce(power: float, scale: float) -> float:
        return _sum_paired(xs, ys, power, scale) if a is None else _sum_segments(xs, ys, a, b, power, scale)

    def mean_power(length: float) -> tuple[float, float]:
        unit = math.ldexp(1.0, max(math.frexp(length)[1] - 1, -1000))
        return unit, reduce(p, 1.0 / unit) / total

    # In units of about the largest displacement no power that matters over- or underflows. No displacement exceeds the
    # two across the whole range; only where all are far smaller is the largest itself worth a pass of its own.
    range_bound = max(abs(float(xs[-1]) - float(ys[0])), abs(float(ys[-1]) - float(xs[0])))
    unit, mean = mean_power(range_bound) if 0.0 < range_bound < np.inf else (1.0, 0.0)
    if mean <= FAINT:
        largest = reduce(np.inf, 1.0)
        if not 0.0 < largest < np.inf:
            return largest
        unit, mean = mean_power(largest)
    return unit * mean ** (1.0 / p)


@njit(nogil=True, cache=True, error_model="numpy")
def _cost(u, p):
    if p == 1.0 or p == np.inf:
        return u
    return u * u if p == 2.0 else u**p


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _sum_paired(xs, ys, p, scale):
    """sum_i |scale (xs_i - ys_i)|^p, or the maximum for p = inf."""
    total = 0.0
    n = len(xs)
    if p == np.inf:
        for i in range(n):
            total = max(total, abs(np.float64(xs[i]) - np.float64(ys[i])))
    elif p == 1.0:
        for i in range(n):
            total += abs(scale * (np.float64(xs[i]) - np.float64(ys[i])))
    elif p == 2.0:
        for i in range(n):
            u = scale * (np.float64(xs[i]) - np.float64(ys[i]))
            total += u * u
    else:
        for i in range(n):
            total += abs(scale * (np.float64(xs[i]) - np.float64(ys[i]))) ** p
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def _sum_segments(xs, ys, a, b, p, scale):
    """sum over the quantile segments of mass * |scale (xs_i - ys_j)|^p, or the maximum for p = inf.

    What is left of each current weight is carried, not cumulated weights: rounding stays relative to one weight.
    """
    n, m = len(xs), len(ys)
    i = j = 0
    left_a, left_b = a[0], b[0]
    total = 0.0
    while i < n and j < m:
        part = 0.0  # sums of 1024 terms, then a sum of those: less rounding than one long sum
        for _ in range(1024):
            c = _cost(scale * abs(np.float64(xs[i]) - np.float64(ys[j])), p)
            if left_a < left_b:
                part = max(part, c) if p == np.inf else part + left_a * c
                left_b -= left_a
                i += 1
                if i == n:
                    break
                left_a = a[i]
            elif left_b < left_a:
                part = max(part, c) if p == np.inf else part + left_b * c
                left_a -= left_b
                j += 1
                if j == m:
                    break
                left_b = b[j]
            else:
                part = max(part, c) if p == np.inf else part + left_a * c
                i += 1
                j += 1
                if i == n or j == m:
                    break
                left_a, left_b = a[i], b[j]
        total = max(total, part) if p == np.inf else total + part
    # Weights whose sums differ by rounding leave a remainder on one side; it belongs to the last point of the other.
    if p != np.inf:
        while i < n:
            total += left_a * _cost(scale * abs(np.float64(xs[i]) - np.float64(ys[m - 1])), p)
            i += 1
            left_a = a[i] if i < n else 0.0
        while j < m:
            total += left_b * _cost(scale * abs(np.float64(xs[n - 1]) - np.float64(ys[j])), p)
            j += 1
            left_b = b[j] if j < m else 0.0
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def _staircase(xs, ys, a, b, p):
    n, m = len(xs), len(ys)
    rows, cols = np.empty(n + m - 1, np.int64), np.empty(n + m - 1, np.int64)
    mass = np.empty(n + m - 1)
    f, g = np.empty(n), np.empty(m)
    f[0] = 0.0
    g[0] = _cost(abs(xs[0] - ys[0]), p)
    i = j = size = 0
    left_a, left_b = a[0], b[0]
    while True:
        last_x, last_y = i == n - 1, j == m - 1
        rows[size], cols[size] = i, j
        mass[size] = left_a if last_y and not last_x else (left_b if last_x else min(left_a, left_b))
        size += 1
        if last_x and last_y:
            break
        if not last_x and not last_y and left_a == left_b:
            across, down = _cost(abs(xs[i + 1] - ys[j]), p), _cost(abs(xs[i] - ys[j + 1]), p)
            corner = _cost(abs(xs[i + 1] - ys[j + 1]), p)
            f[i + 1] = 0.5 * ((across - g[j]) + (corner - (down - f[i])))
            g[j + 1] = 0.5 * ((down - f[i]) + (corner - (across - g[j])))
            i += 1
            j += 1
            left_a, left_b = a[i], b[j]
        elif last_y or (not last_x and left_a < left_b):
            left_b -= left_a
            i += 1
            left_a = a[i]
            f[i] = _cost(abs(xs[i] - ys[j]), p) - g[j]
        else:
            left_a -= left_b
            j += 1
            left_b = b[j]
            g[j] = _cost(abs(xs[i] - ys[j]), p) - f[i]
    return rows[:size], cols[:size], mass[:size], f, g


@njit(nogil=True, cache=True, error_model="numpy")
def _monge_minima(xs, ys, g, p):
    """min_j |xs_i - ys_j|^p - g_j of every row, and the largest cost |xs_i - ys_j|^p that attains one."""
    n = len(xs)
    values = np.empty(n)
    largest = 0.0
    stack = np.empty((128, 4), np.int64)  # halved at every level: never deeper than 2 * 64 entries
    stack[0] = 0, n, 0, len(ys) - 1
    size = 1
    while size > 0:
        size -= 1
        start, stop, low, high = stack[size]
        middle = (start + stop) // 2
        best, at, cost_at = np.inf, low, 0.0
        for j in range(low, high + 1):
            c = _cost(abs(xs[middle] - ys[j]), p)
            if c - g[j] < best:
                best, at, cost_at = c - g[j], j, c
        values[middle] = best
        largest = max(largest, cost_at)
        if middle + 1 < stop:
            stack[size] = middle + 1, stop, at, high
            size += 1
        if start < middle:
            stack[size] = start, middle, low, at
            size += 1
    return values, largest
