"""The mean of W_p^p over given directions with its gradients, in memory O(n) and some projections at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

import otgen_kernels as kernels

from ..devices import is_on_gpu
from .line import UnitMass, at_unit_mass, centred_rows, check_range

Array = np.ndarray

MOST_COLUMNS = 32
"""Directions at a time: a GEMM that BLAS runs well, and columns enough for as many threads."""

LEAST_COLUMNS = 8
"""Directions at a time however large the clouds: two of a million points are 128 MB then."""

PROJECTED = 1 << 22
"""Projections of a cloud held at a time where there are more than LEAST_COLUMNS: 32 MB."""

PROJECTED_ON_GPU = 1 << 24
"""The same on a GPU, where any number of directions fills the chip the better: 128 MB, and ten times that to sort."""


@dataclass(frozen=True)
class Sliced:
    """distances (B, L), value (B,) and its gradients by x (B, n, d), y (B, m, d), a (B, n), b (B, m), where wanted."""

    distances: Array
    value: Array
    gradients: list[Array | None]


def slice_batch(
    x: Array, y: Array, a: Array | None, b: Array | None, directions: Array, p: float,
    *, in_points: bool, in_weights: bool,
) -> Sliced:  # fmt: skip
    """Slice clouds (B, n, d) and (B, m, d) of weights (B, n), (B, m) or None, all along the same directions (L, d)."""
    wanted = {"in_points": in_points, "in_weights": in_weights}
    if a is None or b is None:
        return slice_clouds(x, y, None, None, directions, p, **wanted)
    if all((w == w[0]).all() for w in (a, b)):
        return slice_clouds(x, y, a[0], b[0], directions, p, **wanted)
    parts = [slice_clouds(x[k : k + 1], y[k : k + 1], a[k], b[k], directions, p, **wanted) for k in range(len(x))]
    gradients = [None if found[0] is None else np.concatenate(found) for found in zip(*(s.gradients for s in parts))]
    return Sliced(
        np.concatenate([s.distances for s in parts]), np.concatenate([s.value for s in parts]), gradients
    )  # fmt: skip


def slice_clouds(
    x: Array, y: Array, a: Array | None, b: Array | None, directions: Array, p: float,
    *, in_points: bool, in_weights: bool,
) -> Sliced:  # fmt: skip
    """The same for weights (n,) and (m,) that the clouds share."""
    unit = at_unit_mass(a, b)
    centres, scales = frame(x[:, unit.rows_x], y[:, unit.rows_y])
    distances, sums = _along(x, y, unit, centres, scales, directions, p, in_points)
    largest, value = distances.max(axis=1), mean_of_powers(distances, p)
    factor = unit.mass ** (1 / p)
    gradients: list[Array | None] = [None] * 4
    if in_points:
        outer = factor / len(directions) * _ratio_power(largest, value, p - 1)
        for side, (cloud, rows) in enumerate(((x, unit.rows_x), (y, unit.rows_y))):
            whole = np.zeros(cloud.shape, like=cloud)
            whole[:, rows] = outer[:, None, None] * sums[side]
            gradients[side] = whole
    if in_weights and a is not None and b is not None:
        shares = _ratio_power(distances, value[:, None], p - 1) / len(directions)
        sums = _weight_sums(x, y, a / unit.mass, b / unit.mass, centres, scales, directions, p, distances, shares)
        gradients[2:] = [_unscaled(factor / unit.mass * total, scales) for total in sums]
    distances, value = _unscaled(factor * distances, scales), _unscaled(factor * value, scales)
    check_range(distances)
    return Sliced(distances, value, gradients)


def frame(x: Array, y: Array) -> tuple[Array, Array]:
    """The centres (B, d) of pairs of clouds at about unit size, and the powers of two (B,) that bring them there."""
    low = np.minimum(x.min(axis=1), y.min(axis=1)).astype(np.float64)
    high = np.maximum(x.max(axis=1), y.max(axis=1)).astype(np.float64)
    # A power beyond this would leave the range of the points; what remains is far from where products do.
    most = 100 if x.dtype == np.float32 else 1000
    exponents = np.frexp(np.maximum(np.abs(low), np.abs(high)).max(axis=1))[1]
    scales = np.ldexp(np.ones_like(low, shape=low.shape[:1]), -np.clip(exponents, -most, most))
    return 0.5 * (scales[:, None] * low) + 0.5 * (scales[:, None] * high), scales


def columns_of(projected: Array) -> Array:
    """Projections (k, B, n) as columns (n, k B), each in one piece."""
    return projected.reshape(-1, projected.shape[2]).T


def _along(
    x: Array, y: Array, unit: UnitMass, centres: Array, scales: Array, directions: Array, p: float, in_points: bool
) -> tuple[Array, list[Array]]:
    """W_p at unit mass and scale (B, L), and sum_l (W_l / max W)^(p - 1) slope_l direction_l of both sides."""
    clouds = [np.ascontiguousarray(z[:, rows], like=z) for z, rows in ((x, unit.rows_x), (y, unit.rows_y))]
    sides = [kernels.Slices(cloud, centres, scales) for cloud in clouds]
    distances = np.empty((len(x), len(directions)), like=x)
    sums = [np.zeros(cloud.shape, like=x) for cloud in clouds] if in_points else []
    largest = np.zeros(len(x), like=x)
    for part in _parts(clouds, len(directions)):
        theta = directions[part]
        u, v = (columns_of(side.project(theta)) for side in sides)
        if not in_points:
            distances[:, part] = kernels.wasserstein_1d(u, v, unit.a, unit.b, p=p).reshape(-1, len(x)).T
            continue
        values, *slopes = kernels.gradients_1d(u, v, unit.a, unit.b, p=p)
        values = values.reshape(-1, len(x))
        distances[:, part] = values.T
        before, largest = largest, np.maximum(largest, values.max(axis=0))
        shrink, factors = _ratio_power(before, largest, p - 1), _ratio_power(values, largest, p - 1)
        for side, slope, total in zip(sides, slopes, sums):
            if (shrink < 1.0).any():
                total *= shrink[:, None, None]
            side.spread(slope.reshape(*values.shape, -1), theta, factors, total)
    return distances, sums


def _weight_sums(
    x: Array, y: Array, a: Array, b: Array, centres: Array, scales: Array, directions: Array, p: float,
    distances: Array, shares: Array,
) -> list[Array]:  # fmt: skip
    """sum_l shares_l dW_l of weights a and b of mass 1, which keep it: (B, n) and (B, m)."""
    sides = [kernels.Slices(cloud, centres, scales) for cloud in (x, y)]
    sums = [np.zeros(cloud.shape[:2], like=x) for cloud in (x, y)]
    for part in _parts((x, y), len(directions)):
        u, v = (columns_of(side.project(directions[part])) for side in sides)
        along = distances[:, part].T.ravel()
        for total, by, weights in zip(sums, kernels.potentials_1d(u, v, a, b, along, p=p), (a, b)):
            by = centred_rows(by, weights).reshape(-1, *total.shape)
            total += np.einsum("bk,kbn->bn", shares[:, part], by)
    return sums


def mean_of_powers(distances: Array, p: float) -> Array:
    """(mean over the directions of W^p)^(1/p) of distances (B, L)."""
    largest = distances.max(axis=1)
    return largest * (_ratio_power(distances, largest[:, None], p).mean(axis=1)) ** (1 / p)


def _parts(clouds, count: int) -> Iterator[slice]:
    numbers = max(cloud.shape[0] * cloud.shape[1] for cloud in clouds)
    some = PROJECTED_ON_GPU // numbers if is_on_gpu(clouds[0]) else min(MOST_COLUMNS, PROJECTED // numbers)
    step = max(LEAST_COLUMNS, some)
    return (slice(start, start + step) for start in range(0, count, step))


def _ratio_power(part: Array, whole: Array, power: float) -> Array:
    """(part / whole)^power, 0 / 0 being 0."""
    some = whole > 0
    return np.where(some, part / np.where(some, whole, 1.0), 0.0) ** power


def _unscaled(values: Array, scales: Array) -> Array:
    with np.errstate(over="ignore"):
        return values / scales.reshape(-1, *[1] * (values.ndim - 1))
