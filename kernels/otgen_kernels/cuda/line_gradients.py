"""Derivatives of transport on many lines at once: W_p of columns, its gradients in the points and in the weights."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from . import device
from .line import Ends, arranged, c_transforms, ends_of, p_mean, parts, potentials, rows_of, uniform_ends, unsorted


def gradients_1d(x: Any, y: Any, a: Any, b: Any, *, p: float) -> tuple[Any, Any, Any]:
    """W_p (k,) of the columns of x (n, k) and y (m, k), its gradients in them (k, n) and (k, m); 0 where W_p = 0.

    dW_p / dx_i = sum_j pi_ij sign(x_i - y_j) (|x_i - y_j| / W_p)^(p - 1), pi the monotone plan.
    a, b and W_p are as in wasserstein_1d; the gradients have the dtype of the points.
    """
    with device.home((x, y, a, b)):
        found = [_gradients(x[:, part], y[:, part], a, b, p) for part in parts(x, y)]
        return tuple(map(device.namespace().concatenate, zip(*found)))  # pyright: ignore[reportReturnType]


def potentials_1d(x: Any, y: Any, a: Any, b: Any, distances: Any, *, p: float) -> tuple[Any, Any]:
    """Gradients (k, n) in a and (k, m) in b of W_p between the columns of x (n, k) and y (m, k), each up to a constant.

    dW_p / da = f W_p^(1 - p) / p, f and g optimal duals of |x - y|^p: those of the monotone plan, and at points without
    weight the c-transforms of the others. a (n,), b (m,) are float64 weights of mass 1, distances (k,) the W_p.
    """
    with device.home((x, y, a, b, distances)):
        of_x, of_y = _split(a), _split(b)
        found = [_potentials(x[:, part], y[:, part], a, b, distances[part], of_x, of_y, p) for part in parts(x, y)]
        return tuple(map(device.namespace().concatenate, zip(*found)))  # pyright: ignore[reportReturnType]


def _gradients(x: Any, y: Any, a: Any, b: Any, p: float) -> tuple[Any, Any, Any]:
    cupy, n, m = device.namespace(), len(x), len(y)
    (xs, of_x), (ys, of_y) = arranged(rows_of(x)), arranged(rows_of(y))
    if a is None or b is None:
        a, b, total = uniform_ends(n, m)
    else:
        a, b, total = ends_of(a[of_x]), ends_of(b[of_y]), 1.0
    values = p_mean(xs, ys, a, b, total, p=p)
    program = device.Program("line_gradients", REAL="float" if x.dtype == np.float32 else "double")
    by_x, by_y = cupy.empty_like(xs), cupy.empty_like(ys)
    if a is None or b is None:
        blocks = -(-n // 256)
        grid = (len(xs) * blocks,)
        program("paired_slopes", grid, (256,), xs, ys, n, blocks, p, values, of_x, of_y, by_x, by_y)
        return values, by_x, by_y
    for one, other, own, its, order, out in ((xs, ys, a, b, of_x, by_x), (ys, xs, b, a, of_y, by_y)):
        size, blocks = one.shape[1], -(-one.shape[1] // 256)
        program(
            "slopes", (len(one) * blocks,), (256,), one, other, *own, *its, size, other.shape[1], a.shared, blocks, p,
            total, values, order, out,
        )  # fmt: skip
    return values, by_x, by_y


class _Split(NamedTuple):
    """The places of points with weight and without."""

    kept: Any
    left: Any


def _split(weights: Any) -> _Split | None:
    """None where all have weight; looking waits for the device."""
    cupy, kept = device.namespace(), weights > 0
    return None if bool(kept.all()) else _Split(cupy.flatnonzero(kept), cupy.flatnonzero(~kept))


def _potentials(
    x: Any, y: Any, a: Any, b: Any, distances: Any, of_x: _Split | None, of_y: _Split | None, p: float
) -> tuple[Any, Any]:
    u, v = rows_of(x, np.float64), rows_of(y, np.float64)
    # A power of two brings each line to unit size without rounding; its distance scales with it.
    exponents = np.frexp(np.maximum(abs(u).max(axis=1), abs(v).max(axis=1)))[1]
    u, v = np.ldexp(u, -exponents[:, None]), np.ldexp(v, -exponents[:, None])
    one, other = ((z, w) if s is None else (z[:, s.kept], w[s.kept]) for z, w, s in ((u, a, of_x), (v, b, of_y)))
    f, g = _on_the_staircase(one, other, p)
    if of_y is not None:
        g = _joined(of_y, g, c_transforms(v[:, of_y.left], one[0], f, p=p))
    if of_x is not None:
        f = _joined(of_x, f, c_transforms(u[:, of_x.left], v, g, p=p))
    some = distances > 0
    lengths = np.where(some, np.ldexp(distances, -exponents), 1.0)
    outer = np.where(some, lengths ** (1.0 - p) / p, 0.0)[:, None]
    return np.ldexp(outer * f, exponents[:, None]), np.ldexp(outer * g, exponents[:, None])


def _joined(split: _Split, kept: Any, left: Any) -> Any:
    found = device.namespace().empty((len(kept), kept.shape[1] + left.shape[1]))
    found[:, split.kept], found[:, split.left] = kept, left
    return found


def _on_the_staircase(one: tuple[Any, Any], other: tuple[Any, Any], p: float) -> tuple[Any, Any]:
    (x, a), (y, b) = one, other
    cupy = device.namespace()
    (xs, of_x), (ys, of_y) = (arranged(cupy.ascontiguousarray(z)) for z in (x, y))
    ends: tuple[Ends, Ends] = ends_of(a[of_x]), ends_of(b[of_y])
    f, g = potentials(xs, ys, *ends, p=p)
    return unsorted(f, of_x), unsorted(g, of_y)
