"""Sliced transport: the mean over directions of transport on the line."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import autograd, devices
from ..arrays import Home, home_beside, library_of, read_points, read_weights
from ..batches import is_batch, read_batch_weights, read_batches
from ..options import read_seed
from .costs import check_p
from .directions import read_directions
from .sliced_result import SlicedWasserstein
from .slicing import Sliced, slice_batch


@devices.on_device
def sliced_wasserstein(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    p: float = 2,
    n_projections: int = 128,
    projections: Any = "orthogonal",
    seed: Any = 0,
) -> SlicedWasserstein:
    """Sliced Wasserstein-p distance of weighted point clouds, estimated along some directions.

    SW_p = (mean over the unit sphere of W_p^p(<theta, x>, <theta, y>))^(1/p); 0 only for equal measures, and <= W_p.

    x (n, d), y (m, d); a (n,), b (m,) are weights of one mass, None for uniform of mass 1. projections is "orthogonal"
    (blocks of d orthonormal directions, the default), "sobol", "independent", or unit vectors (L, d), which make
    n_projections and seed void; on the line one direction is used. Batches x (B, n, d), y (B, m, d) with a, b (B, n),
    (B, m) or (n,), (m,) give B values along the same directions. Torch tensors give a differentiable value: once, in
    x, y and, at fixed mass, in a, b. Arrays of CuPy and CUDA tensors stay on their GPU; the seed gives the
    same directions anywhere. float32 points are projected and sorted in float32, summed in float64.
    Memory O(n + m) beyond the points, O(n + m) times d with gradients; O(L n (d + log n)) time. Raises ValueError or
    TypeError for bad input.
    Source: Bonneel et al., J. Math. Imaging Vis. 51 (2015); Rowland et al., AISTATS 2019 (orthogonal directions).
    """
    p, rng, batched = check_p(p), read_seed(seed), is_batch(x) or is_batch(y)
    if batched:
        x_host, y_host, home = read_batches(x, y)
        shape = (len(x_host), x_host.shape[1], y_host.shape[1])
        a_host, b_host = read_batch_weights(a, b, shape, unequal=False, x=x, y=y)
        a, b = (w.expand(shape[0], -1) if library_of(w) == "torch" and w.ndim == 1 else w for w in (a, b))
    else:
        x_host, y_host, home = read_points(x, y)
        a_host, b_host = read_weights(a, b, len(x_host), len(y_host), x=x, y=y)
        x_host, y_host = x_host[None], y_host[None]
        a_host, b_host = (None if w is None else w[None] for w in (a_host, b_host))
    home = home_beside(home, a=a, b=b)
    directions = read_directions(projections, n_projections, x_host.shape[2], rng).astype(home.dtype)
    directions = devices.beside(x_host, directions)
    found = slice_batch(
        x_host, y_host, a_host, b_host, directions, p,
        in_points=autograd.wants_gradient(x, y), in_weights=autograd.wants_gradient(a, b),
    )  # fmt: skip
    return _result(found, directions, p, home, (x, y, a, b), batched)


def _result(
    found: Sliced, directions: np.ndarray, p: float, home: Home, inputs: tuple[Any, ...], batched: bool
) -> SlicedWasserstein:
    errors, distances = _standard_error(found, p, directions.shape[1]), found.distances
    if autograd.wants_gradient(*inputs):
        gradients = found.gradients if batched else [None if g is None else g[0] for g in found.gradients]
        pairs = zip(inputs, gradients)
        value = autograd.attach(found.value if batched else found.value[0], home, pairs, batched=batched)
    else:
        value = home.array(found.value) if batched else home.number(found.value[0])
    return SlicedWasserstein(
        value=value,
        standard_error=devices.fetch(errors) if batched else float(errors[0]),
        directions=home.array(directions),
        distances=home.array(distances if batched else distances[0]),
    )


def _standard_error(found: Sliced, p: float, d: int) -> np.ndarray:
    """Of each value (B,): that of the mean of W^p, times the slope of the p-th root there."""
    count = found.distances.shape[1]
    if d == 1:
        return np.zeros_like(found.value)
    if count == 1:
        return np.full_like(found.value, math.nan)
    largest = found.distances.max(axis=1)
    safe = np.where(largest > 0, largest, 1.0)
    powers = (found.distances / safe[:, None]) ** p
    mean = np.where(largest > 0, powers.mean(axis=1), 1.0)
    return found.value * powers.std(axis=1, ddof=1) / (math.sqrt(count) * p * mean)
