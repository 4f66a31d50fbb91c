"""Optimal transport on the line, where sorting solves it."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from otgen_kernels import host

from .. import autograd
from ..arrays import Home, home_beside, read_points, read_weights
from .costs import Cost, check_p
from .potentials import centred, extend_over_points
from .solution import Solution, lower_bound, prove, weighted_median


def wasserstein_1d(x: Any, y: Any, a: Any = None, b: Any = None, *, p: float = 1) -> Any:
    """Wasserstein-p distance on the line, in closed form.

    W_p = (integral_0^1 |F^-1(t) - G^-1(t)|^p dt)^(1/p), F and G the distribution functions of the weighted points.

    x (n,) and y (m,) give a float; x (n, k) and y (m, k) give an array (k,), one distance a column. a (n,) and b (m,)
    are weights of one mass, None for uniform of mass 1. Torch tensors give a differentiable tensor: gradients in x, y
    and, at fixed mass, in a, b. Raises ValueError for bad input. Cost O(n log n) a column, no iteration.
    Source: Santambrogio, Optimal Transport for Applied Mathematicians (2015), section 2.2.
    """
    p = check_p(p)
    x_host, y_host, home = read_points(x, y, columns=True)
    a_host, b_host = read_weights(a, b, len(x_host), len(y_host), x=x, y=y)
    home = home_beside(home, a=a, b=b)
    return distance(x_host, y_host, a_host, b_host, p, home, (x, y, a, b), scalar=x_host.ndim == 1)


def distance(
    x: np.ndarray,
    y: np.ndarray,
    a: np.ndarray | None,
    b: np.ndarray | None,
    p: float,
    home: Home,
    inputs: tuple[Any, Any, Any, Any],
    *,
    scalar: bool,
) -> Any:
    """W_p of validated x (n,) or (n, k) and y, back at home; `inputs` are the user's arrays, for gradients."""
    columns_x, columns_y = x.reshape(len(x), -1), y.reshape(len(y), -1)
    values = _values(columns_x, columns_y, a, b, p)
    if not np.isfinite(values).all():
        raise ValueError("distances between x and y leave the range of float64; got inf. Rescale x and y together.")
    if not autograd.wants_gradient(*inputs):
        return home.number(values[0]) if scalar else home.array(values)
    by_x, by_y, by_a, by_b = _gradients(columns_x, columns_y, a, b, p, in_weights=autograd.wants_gradient(*inputs[2:]))
    if scalar:
        by_a, by_b = by_a[:, 0], by_b[:, 0]
    gradients = by_x.reshape(x.shape), by_y.reshape(y.shape), by_a, by_b
    return autograd.attach(values[0] if scalar else values, home, zip(inputs, gradients))


def solve_line(
    x: np.ndarray,
    y: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    *,
    p: float,
    tol: float,
    progress: Callable[[dict], None] | None,
) -> Solution:
    """The monotone plan of x (n, 1) and y (m, 1), its duals made feasible over all pairs, and the gap between them."""
    began = time.perf_counter()
    rows, cols, mass, _, g = host.staircase(x[:, 0], y[:, 0], a, b, p=p)
    g -= weighted_median(g, b)
    f = host.c_transform_1d(x[:, 0], y[:, 0], g, p=p)
    value = float((mass * np.abs(x[rows, 0] - y[cols, 0]) ** p).sum())
    to_means = a @ np.abs(x[:, 0] - np.average(y[:, 0], weights=b)) ** p
    to_means += b @ np.abs(y[:, 0] - np.average(x[:, 0], weights=a)) ** p
    found = prove(
        (rows, cols, mass), (f, g), value, lower_bound(a, f, b, g), float(to_means), tol=tol, n_iter=1,
        why_not="rounding left the gap above tol; raise tol, or rescale extreme points and weights",
    )  # fmt: skip
    if progress is not None:
        report = {"level": 1, "levels": 1, "round": 1, "arcs": len(mass), "gap": found.gap, "scale": found.scale}
        # the proof is there: an interrupt from the report has nothing left to stop
        with contextlib.suppress(KeyboardInterrupt):
            progress(report | {"seconds": time.perf_counter() - began})
    return found


def _values(x, y, a, b, p):
    if a is None or b is None:
        return host.wasserstein_1d(x, y, None, None, p=p)
    if not (a.all() and b.all()):
        keep_x, keep_y = a > 0, b > 0
        x, y, a, b = x[keep_x], y[keep_y], a[keep_x], b[keep_y]
    mass = float(a.sum())
    if (a == a[0]).all() and (b == b[0]).all():
        return host.wasserstein_1d(x, y, None, None, p=p) * mass ** (1 / p)
    return host.wasserstein_1d(x, y, a / mass, b / mass, p=p) * mass ** (1 / p)


def _gradients(x, y, a, b, p, *, in_weights):
    """Gradients of each column's distance, in x (n, k), y (m, k), a (n, k), b (m, k); the last two 0 unless wanted."""
    n, m = len(x), len(y)
    paired = a is None and n == m and not in_weights  # quantile to quantile: sorting is the whole plan
    if a is None or b is None:
        a, b, mass = host.uniform_masses(n, m)
        a, b = a / mass, b / mass
    keep_x, keep_y = np.flatnonzero(a > 0), np.flatnonzero(b > 0)
    by_x, by_y, by_a, by_b = (np.zeros((x.shape[1], size)) for size in (n, m, n, m))  # a column lies in one piece
    for k in range(x.shape[1]):
        u, v = x[:, k].astype(np.float64), y[:, k].astype(np.float64)
        # A power of two brings the column to unit size without rounding; the distance scales with it.
        exponent = math.frexp(max(np.abs(u).max(), np.abs(v).max()))[1]
        u, v = np.ldexp(u, -exponent), np.ldexp(v, -exponent)
        f = g = np.empty(0)
        if paired:
            rows, cols, mass = np.argsort(u), np.argsort(v), a
        else:
            rows, cols, mass, f, g = host.staircase(u[keep_x], v[keep_y], a[keep_x], b[keep_y], p=p)
        step = u[keep_x[rows]] - v[keep_y[cols]]
        size = np.abs(step)
        power = size ** (p - 1) if p != 2 else size
        total = float((mass * power * size).sum())
        if total == 0.0:
            continue
        outer = total ** (1 / p - 1) / p
        slope = np.copysign(outer * p * mass * power, step) * (size > 0)
        by_x[k] = np.bincount(keep_x[rows], slope, n)
        by_y[k] = -np.bincount(keep_y[cols], slope, m)
        if in_weights:
            f, g = extend_over_points(Cost("euclidean", p), u[:, None], v[:, None], a > 0, b > 0, f, g)
            by_a[k] = np.ldexp(outer * centred(f, a), exponent)
            by_b[k] = np.ldexp(outer * centred(g, b), exponent)
    return by_x.T, by_y.T, by_a.T, by_b.T
