"""Derivatives of transport on the line: W_p of many columns with its gradients in the points and in the weights."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from .line import c_transform_1d, p_mean, staircase, uniform_masses
from .order import sort_with
from .pool import run


def gradients_1d(
    x: np.ndarray, y: np.ndarray, a: np.ndarray | None, b: np.ndarray | None, *, p: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """W_p (k,) of the columns of x (n, k) and y (m, k), its gradients in them (k, n) and (k, m); 0 where W_p = 0.

    dW_p / dx_i = sum_j pi_ij sign(x_i - y_j) (|x_i - y_j| / W_p)^(p - 1), pi the monotone plan: no power of a length.
    a, b and W_p are as in wasserstein_1d; the gradients have the dtype of the points.
    """
    n, m = len(x), len(y)
    paired, total = a is None and n == m, 1.0
    if paired:
        total = float(n)
    elif a is None or b is None:
        a, b, total = uniform_masses(n, m)
    p, columns = float(p), x.shape[1]
    values = np.empty(columns)
    by_x, by_y = np.empty((columns, n), x.dtype), np.empty((columns, m), y.dtype)
    places_x, places_y = np.arange(n), np.arange(m)

    def column(k: int) -> None:
        xs, rows = sort_with(np.ascontiguousarray(x[:, k], np.float64), places_x)
        ys, cols = sort_with(np.ascontiguousarray(y[:, k], np.float64), places_y)
        if a is None or b is None:
            values[k] = p_mean(xs, ys, None, None, total, p)
            slopes = _slopes_paired(xs, ys, values[k], p)
        else:
            a_sorted, b_sorted = a[rows], b[cols]
            values[k] = p_mean(xs, ys, a_sorted, b_sorted, total, p)
            slopes = _slopes(xs, ys, a_sorted, b_sorted, total, values[k], p)
        by_x[k, rows], by_y[k, cols] = (slope.astype(x.dtype, copy=False) for slope in slopes)

    run(column, columns, serial=columns == 1)
    return values, by_x, by_y


def potentials_1d(
    x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray, distances: np.ndarray, *, p: float
) -> tuple[np.ndarray, np.ndarray]:
    """Gradients (k, n) in a and (k, m) in b of W_p between the columns of x (n, k) and y (m, k), each up to a constant.

    dW_p / da = f W_p^(1 - p) / p, f and g optimal duals of |x - y|^p: those of the monotone plan, and at points without
    weight the c-transforms of the others. a (n,), b (m,) are float64 weights of mass 1, distances (k,) the W_p.
    """
    columns = x.shape[1]
    by_a, by_b = np.zeros((columns, len(x))), np.zeros((columns, len(y)))
    keep_x, keep_y = a > 0, b > 0

    def column(k: int) -> None:
        if distances[k] == 0.0:
            return
        u, v = x[:, k].astype(np.float64), y[:, k].astype(np.float64)
        # A power of two brings the column to unit size without rounding; the distance scales with it.
        exponent = math.frexp(max(np.abs(u).max(), np.abs(v).max()))[1]
        u, v = np.ldexp(u, -exponent), np.ldexp(v, -exponent)
        f, g = np.empty(len(u)), np.empty(len(v))
        *_, f[keep_x], g[keep_y] = staircase(u[keep_x], v[keep_y], a[keep_x], b[keep_y], p=p)
        if not keep_y.all():
            g[~keep_y] = c_transform_1d(v[~keep_y], u[keep_x], f[keep_x], p=p)
        if not keep_x.all():
            f[~keep_x] = c_transform_1d(u[~keep_x], v, g, p=p)
        outer = math.ldexp(distances[k], -exponent) ** (1.0 - p) / p
        by_a[k], by_b[k] = np.ldexp(outer * f, exponent), np.ldexp(outer * g, exponent)

    run(column, columns, serial=columns == 1)
    return by_a, by_b


@njit(nogil=True, cache=True, error_model="numpy")
def _slope(step, length, p):
    """sign(step) (|step| / length)^(p - 1), 0 where step is 0."""
    if step == 0.0:
        return 0.0
    if p == 1.0:
        return 1.0 if step > 0.0 else -1.0
    if p == 2.0:
        return step / length
    size = (abs(step) / length) ** (p - 1.0)
    return size if step > 0.0 else -size


@njit(nogil=True, cache=True, error_model="numpy")
def _slopes_paired(xs, ys, length, p):
    n = len(xs)
    by_x, by_y = np.zeros(n), np.zeros(n)
    if length > 0.0:
        for i in range(n):
            by_x[i] = _slope(xs[i] - ys[i], length, p) / n
            by_y[i] = -by_x[i]
    return by_x, by_y


@njit(nogil=True, cache=True, error_model="numpy")
def _slopes(xs, ys, a, b, total, length, p):
    """The same along the staircase of weights a, b of mass total; what rounding leaves over goes to the last point."""
    n, m = len(xs), len(ys)
    by_x, by_y = np.zeros(n), np.zeros(m)
    i = j = 0
    left_a, left_b = a[0], b[0]
    while length > 0.0:
        last_x, last_y = i == n - 1, j == m - 1
        mass = left_a if last_y and not last_x else (left_b if last_x else min(left_a, left_b))
        flow = max(mass, 0.0) / total * _slope(xs[i] - ys[j], length, p)
        by_x[i] += flow
        by_y[j] -= flow
        if last_x and last_y:
            break
        both = left_a == left_b and not last_x and not last_y
        right = last_y or (not last_x and left_a <= left_b)
        left_a, left_b = left_a - mass, left_b - mass
        if right:
            i += 1
            left_a = a[i]
        if both or not right:
            j += 1
            left_b = b[j]
    return by_x, by_y
