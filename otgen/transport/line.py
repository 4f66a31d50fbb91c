"""Optimal transport on the line, where sorting solves it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import otgen_kernels as kernels

from .. import autograd
from ..arrays import Home, home_beside, read_points, read_weights
from ..devices import on_device
from .costs import check_p
from .solution import Solution, lower_bound, prove, weighted_median


@on_device
def wasserstein_1d(x: Any, y: Any, a: Any = None, b: Any = None, *, p: float = 1) -> Any:
    """Wasserstein-p distance on the line, in closed form.

    W_p = (integral_0^1 |F^-1(t) - G^-1(t)|^p dt)^(1/p), F and G the distribution functions of the weighted points.

    x (n,) and y (m,) give a float; x (n, k) and y (m, k) give an array (k,), one distance a column. a (n,) and b (m,)
    are weights of one mass, None for uniform of mass 1. Torch tensors give a differentiable tensor: gradients in x, y
    and, at fixed mass, in a, b. Arrays of CuPy and CUDA tensors are sorted and summed on their GPU. Raises ValueError
    for bad input. Cost O(n log n) a column, no iteration.
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
    values, gradients = _solve(
        x.reshape(len(x), -1), y.reshape(len(y), -1), a, b, p,
        in_points=autograd.wants_gradient(*inputs[:2]), in_weights=autograd.wants_gradient(*inputs[2:]),
    )  # fmt: skip
    check_range(values)
    if not autograd.wants_gradient(*inputs):
        return home.number(values[0]) if scalar else home.array(values)
    # An array of more axes than its input is a Jacobian; one column has none.
    shapes = (x.shape, y.shape, *((size,) if scalar else (size, len(values)) for size in (len(x), len(y))))
    pairs = zip(inputs, (None if g is None else g.T.reshape(shape) for g, shape in zip(gradients, shapes)))
    return autograd.attach(values[0] if scalar else values, home, pairs)


def check_range(values: np.ndarray) -> None:
    """Raise unless every distance is finite."""
    if not np.isfinite(values).all():
        raise ValueError("distances between x and y leave the range of float64; got inf. Rescale x and y together.")


class UnitMass(NamedTuple):
    """Weights of mass 1 of the points that have some; both None: uniform."""

    rows_x: Any
    rows_y: Any
    a: np.ndarray | None
    b: np.ndarray | None
    mass: float


def at_unit_mass(a: np.ndarray | None, b: np.ndarray | None) -> UnitMass:
    """Drop the points without weight and divide by the mass, for kernels that know neither."""
    if a is None or b is None:
        return UnitMass(slice(None), slice(None), None, None, 1.0)
    rows_x, rows_y = (slice(None) if w.all() else np.flatnonzero(w) for w in (a, b))
    a, b = a[rows_x], b[rows_y]
    mass = float(a.sum())
    if (a == a[0]).all() and (b == b[0]).all():
        return UnitMass(rows_x, rows_y, None, None, mass)
    return UnitMass(rows_x, rows_y, a / mass, b / mass, mass)


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
    rows, cols, mass, _, g = kernels.staircase(x[:, 0], y[:, 0], a, b, p=p)
    g -= weighted_median(g, b)
    f = kernels.c_transform_1d(x[:, 0], y[:, 0], g, p=p)
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


def _solve(x, y, a, b, p, *, in_points, in_weights):
    """The distance of each column (k,) and, where wanted, its gradients (k, n), (k, m), (k, n), (k, m)."""
    unit = at_unit_mass(a, b)
    points, factor = (x[unit.rows_x], y[unit.rows_y]), unit.mass ** (1 / p)
    if not in_points:
        values, gradients = kernels.wasserstein_1d(*points, unit.a, unit.b, p=p), [None, None]
    else:
        values, *found = kernels.gradients_1d(*points, unit.a, unit.b, p=p)
        gradients = [np.zeros((x.shape[1], len(cloud)), like=cloud) for cloud in (x, y)]
        gradients[0][:, unit.rows_x], gradients[1][:, unit.rows_y] = (factor * gradient for gradient in found)
    if in_weights:
        weights = a / unit.mass, b / unit.mass
        found = kernels.potentials_1d(x, y, *weights, values, p=p)
        gradients += [factor / unit.mass * centred_rows(f, w) for f, w in zip(found, weights)]
    else:
        gradients += [None, None]
    return factor * values, gradients


def centred_rows(potentials: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """`centred` of each row of (k, n) with weights (n,) of mass 1."""
    return potentials - (potentials @ weights)[:, None]
