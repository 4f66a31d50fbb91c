"""Max-sliced transport: the direction along which two clouds differ most."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

import otgen_kernels as kernels
from otgen_kernels import host

from .. import autograd, devices
from ..arrays import home_beside, read_points, read_weights
from ..options import check_options, read_count, read_seed
from .costs import check_p
from .directions import independent
from .line import UnitMass, at_unit_mass
from .sliced_result import MaxSlicedWasserstein
from .slicing import columns_of, frame, slice_clouds

Array = np.ndarray

FEWEST, MOST = 256, 1024
"""Random directions looked at before the ascent: what they cost is that of a few rounds."""

LOOKED_AT = 1 << 22
"""Projections of random directions that are always worth their time: 0.1 s."""

MOMENT_DIMS = 1024
"""Dimensions up to which eigenvectors of moments are starts: beyond, they cost more than the ascent."""

ENOUGH = 1e-4
"""Share of the gain a step promises that it must bring."""

REACH = 0.25
"""Steps of the power method that the first is: whole ones leap over narrow optima."""

LONGEST = 16.0
"""Steps of the power method at a time, at most."""

ROUNDS = 10
"""Rounds after which half as many starts climb on: the best of those under way, in the end the best of all."""

ROWS = 1 << 16
"""Pairs of the plan whose displacements are held at a time."""


@devices.on_device
def max_sliced_wasserstein(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    p: float = 2,
    n_starts: int = 16,
    max_iter: int = 200,
    tol: float = 1e-6,
    seed: Any = 0,
) -> MaxSlicedWasserstein:
    """Wasserstein-p distance of weighted point clouds along the direction where it is largest, by ascent.

    max over unit theta of W_p(<theta, x>, <theta, y>); the maximum is a metric, between SW_p and W_p.

    x (n, d), y (m, d), a (n,), b (m,) as in sliced_wasserstein. Starts are the n_starts best of the difference of the
    means, eigenvectors of the differences of second and fourth moments, and 256 to 1024 random directions. They climb,
    fewer and fewer, until no step promises more than tol of the value, or for max_iter rounds. The value is a lower
    bound of the maximum: where it equals the upper bound (p <= 2) the direction is proven to be the best, else it is
    the best found.
    For any plan pi and p <= 2, W_p <= mass^(1/p - 1/2) lambda_max(sum_ij pi_ij (x_i - y_j)(x_i - y_j)^T)^(1/2).
    Torch tensors give a value that is differentiable once, with the direction held fixed, which at the maximum is its
    gradient (Danskin). Arrays of CuPy and CUDA tensors are projected and sorted on their GPU; the directions are on the
    host. Raises ValueError or TypeError for bad input.
    Source: Deshpande et al., arXiv 1904.05877; bound: Paty and Cuturi, arXiv 1901.08949.
    """
    p, rng, n_starts = check_p(p), read_seed(seed), read_count(n_starts, "n_starts", "directions to ascend from")
    max_iter = read_count(max_iter, "max_iter", "rounds of ascent")
    tol, _ = check_options(tol, None, None)
    x_host, y_host, home = read_points(x, y, one_pair=True)
    a_host, b_host = read_weights(a, b, len(x_host), len(y_host), x=x, y=y)
    home = home_beside(home, a=a, b=b)
    problem = Problem(x_host, y_host, at_unit_mass(a_host, b_host), p)
    found = problem.ascend(problem.starts(rng, n_starts), max_iter, tol)
    inputs = x, y, a, b
    along = slice_clouds(
        x_host[None], y_host[None], a_host, b_host, devices.beside(x_host, found.direction[None]), p,
        in_points=autograd.wants_gradient(x, y), in_weights=autograd.wants_gradient(a, b),
    )  # fmt: skip
    value = float(along.value[0])
    gradients = [None if g is None else g[0] for g in along.gradients]
    attached = autograd.wants_gradient(*inputs)
    return MaxSlicedWasserstein(
        value=autograd.attach(value, home, zip(inputs, gradients)) if attached else home.number(value),
        direction=home.array(found.direction),
        upper_bound=max(value, problem.upper_bound(found.direction)) if p <= 2 else None,
        n_iter=found.n_iter,
        converged=found.converged,
    )


@dataclass(frozen=True)
class Ascent:
    """The best direction (d,) an ascent came to."""

    direction: Array
    n_iter: int
    converged: bool


class Problem:
    """W_p as a function on the sphere, of clouds of mass 1 that are centred and of about unit size.

    The clouds may be on a GPU; directions, their values and gradients in them are on the host, which decides.
    """

    def __init__(self, x: Array, y: Array, unit: UnitMass, p: float) -> None:
        self.unit, self.p = unit, p
        self.x, self.y = (np.ascontiguousarray(z, like=z) for z in (x[unit.rows_x], y[unit.rows_y]))
        self.centres, self.scales = frame(self.x[None], self.y[None])
        self.sides = [kernels.Slices(cloud[None], self.centres, self.scales) for cloud in (self.x, self.y)]

    def values(self, directions: Array) -> Array:
        """W_p along directions (k, d): (k,)."""
        return devices.fetch(kernels.wasserstein_1d(*self._columns(directions), self.unit.a, self.unit.b, p=self.p))

    def slopes(self, directions: Array) -> tuple[Array, Array]:
        """W_p along directions (k, d) and its gradients in them, (k,) and (k, d)."""
        values, *slopes = kernels.gradients_1d(*self._columns(directions), self.unit.a, self.unit.b, p=self.p)
        return devices.fetch(values), devices.fetch(self.sides[0].pull(slopes[0]) + self.sides[1].pull(slopes[1]))

    def _columns(self, directions: Array) -> tuple[Array, Array]:
        theta = devices.beside(self.x, directions.astype(self.x.dtype))
        return columns_of(self.sides[0].project(theta)), columns_of(self.sides[1].project(theta))

    def starts(self, rng: np.random.Generator, count: int) -> Array:
        """The best directions (count, d) among those of the moments and random ones."""
        random = max(FEWEST, min(MOST, LOOKED_AT // (len(self.x) + len(self.y))))
        candidates = np.concatenate([self._of_moments(), independent(random, self.x.shape[1], rng)])
        parts = range(0, len(candidates), 32)
        values = np.concatenate([self.values(candidates[start : start + 32]) for start in parts])
        return candidates[np.argsort(-values, kind="stable")[:count]]

    def ascend(self, theta: Array, max_iter: int, tol: float) -> Ascent:
        """Climb from all of theta (k, d) together, after every ROUNDS with half as many.

        W_p is 1-homogeneous in theta, so <gradient, theta> = W_p, and the angle from theta to its gradient is one step
        of the power method; steps grow while they succeed and halve where they fail. A step that fails across a kink,
        where the plan changes, tells the slope on the other side: the next aims at the point nearest 0 between both,
        which climbs along the kink (Wolfe 1975), or at the slope itself where that promises nothing.
        """
        values, gradients = self.slopes(theta)
        own = _tangent(gradients, theta)
        aims, reach, n_iter = own.copy(), np.full(len(theta), REACH), 0
        while True:
            steep = np.linalg.norm(own, axis=1)
            angles = np.minimum(reach * np.arctan2(steep, values), 0.5 * math.pi)
            unfinished = angles * steep > tol * values
            order, seats = np.argsort(-values, kind="stable"), len(values) >> n_iter // ROUNDS
            order = order if seats > 1 else order[:1]
            active = order[unfinished[order]][: seats or 1]
            if not len(active) or n_iter == max_iter:
                break
            n_iter += 1
            flat = angles[active] * np.linalg.norm(aims[active], axis=1) <= tol * values[active]
            aims[active[flat]] = own[active[flat]]
            slope, turn = np.linalg.norm(aims[active], axis=1), angles[active]
            trial = np.cos(turn)[:, None] * theta[active] + (np.sin(turn) / slope)[:, None] * aims[active]
            trial /= np.linalg.norm(trial, axis=1, keepdims=True)
            found, gradients = self.slopes(trial)
            better = found > values[active] + ENOUGH * turn * slope
            up, down = active[better], active[~better]
            theta[up], values[up] = trial[better], found[better]
            own[up] = aims[up] = _tangent(gradients[better], theta[up])
            aims[down] = _nearest_zero(aims[down], _tangent(gradients[~better], theta[down]))
            reach[up], reach[down] = np.minimum(2.0 * reach[up], LONGEST), 0.5 * reach[down]
        best = int(np.argmax(values))
        return Ascent(theta[best], n_iter, not bool(unfinished[best]))

    def upper_bound(self, direction: Array) -> float:
        """mass^(1/p) lambda_max^(1/2) of the displacements of the plan of mass 1 that sorts along direction (d,)."""
        u, v = (z[:, 0].astype(float) for z in self._columns(direction[None]))
        a, b = self.unit.a, self.unit.b
        if a is None or b is None:
            a, b = (devices.beside(u, w) for w in host.uniform_masses(len(u), len(v))[:2])
        rows, cols, mass, *_ = kernels.staircase(u, v, a, b, p=self.p)
        gram = np.zeros((len(direction), len(direction)), like=u)
        scale = float(self.scales[0])
        for start in range(0, len(rows), ROWS):
            part = slice(start, start + ROWS)
            left, right = self.x[rows[part]].astype(float), self.y[cols[part]].astype(float)
            gram += kernels.weighted_gram(scale * left - scale * right, mass[part])
        largest = float(np.linalg.eigvalsh(gram / mass.sum())[-1])
        return self.unit.mass ** (1 / self.p) * math.sqrt(max(largest, 0.0)) / scale

    def _of_moments(self) -> Array:
        """The difference of the means, and the extreme eigenvectors of those of second and fourth moments."""
        sides = []
        for cloud, weights in ((self.x, self.unit.a), (self.y, self.unit.b)):
            points = float(self.scales[0]) * cloud.astype(float) - self.centres[0]
            if weights is None:
                weights = np.full_like(points, 1.0 / len(points), shape=points.shape[:1])
            sides.append((points, weights))
        (u, a), (v, b) = sides
        apart = devices.fetch(a @ u - b @ v)
        length = float(np.linalg.norm(apart))
        found = [apart / length] if length > 0 else []
        if u.shape[1] <= MOMENT_DIMS:
            for power in (0, 1):
                grams = [kernels.weighted_gram(z, w * np.einsum("ij,ij->i", z, z) ** power) for z, w in sides]
                vectors = devices.fetch(np.linalg.eigh(grams[0] - grams[1])[1])
                found += [vectors[:, 0], vectors[:, -1]]
        return np.array(found).reshape(-1, u.shape[1])


def _tangent(gradients: Array, theta: Array) -> Array:
    """The part of gradients (k, d) that is orthogonal to unit vectors theta (k, d)."""
    return gradients - np.einsum("kd,kd->k", gradients, theta)[:, None] * theta


def _nearest_zero(one: Array, other: Array) -> Array:
    """The point nearest 0 on each segment from one to other, (k, d)."""
    apart = one - other
    square = np.einsum("kd,kd->k", apart, apart)
    share = np.divide(np.einsum("kd,kd->k", one, apart), square, out=np.zeros(len(one)), where=square > 0)
    return one - np.clip(share, 0.0, 1.0)[:, None] * apart
