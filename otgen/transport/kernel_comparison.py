"""One pair of weighted clouds under one kernel: the estimates of MMD^2 and their gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from otgen_kernels import host, kernel_sum

from .. import devices
from .kernel_choice import Kernel
from .potentials import centred

Gradients = tuple[np.ndarray | None, ...]


@dataclass
class Comparison:
    """Two clouds (n, d) and (m, d) with weights of one mass, a kernel, and an estimator of `mmd_squared`."""

    x: np.ndarray
    y: np.ndarray
    a: np.ndarray
    b: np.ndarray
    kernel: Kernel
    estimator: str
    rng: np.random.Generator

    def answer(self, wanted: tuple[bool, ...]) -> tuple[float, Gradients]:
        """The value, and its gradients in x, y, a and b where they are wanted."""
        keep = self.a > 0, self.b > 0
        x, y, a, b = self.x[keep[0]], self.y[keep[1]], self.a[keep[0]], self.b[keep[1]]
        mass = float(a.sum())
        points, weights = (x, y), (a / mass, b / mass)
        options = self.kernel.options(points, weights, self.rng)
        if self.estimator == "linear":
            return _linear(*points, options, wanted)
        sums = any(wanted[2:])
        across = kernel_sum(*points, *weights, **options, sums=sums, by_x=wanted[0], by_y=wanted[1])
        value, of_points, of_weights = -2.0 * across.total, [], []
        for side, crossed, row_sums in ((0, across.by_x, across.rows), (1, across.by_y, across.columns)):
            z, w = points[side], weights[side]
            own = kernel_sum(z, None, w, None, **options, sums=sums, by_x=wanted[side], by_y=False)
            same, slope, rest = self._left_out(z, w)
            within = (own.total - w @ (w * same)) / rest
            value += within
            of_points.append(None)
            if wanted[side]:
                inner = 2.0 * w[:, None] * ((own.by_x - w[:, None] * slope) / rest - crossed)
                of_points[side] = mass**2 * _spread(inner, keep[side])
            of_weights.append(None)
            if wanted[2 + side]:
                shrink = within * w if self.estimator == "unbiased" else 0.0
                ours, theirs = (own.rows - w * same + shrink) / rest, row_sums
                if not keep[side].all():
                    dropped = (self.x, self.y)[side][~keep[side]]
                    ours = _beside(ours, keep[side], self._sums(dropped, z, w, options) / rest)
                    other = self._sums(dropped, points[1 - side], weights[1 - side], options)
                    theirs = _beside(theirs, keep[side], other)
                of_weights[side] = mass * centred(2.0 * (ours - theirs), _spread(w, keep[side]))
        value = max(value, 0.0) if self.estimator == "biased" else value  # a squared norm, but for rounding
        return mass**2 * value, (*of_points, *of_weights)

    def _left_out(self, z: np.ndarray, w: np.ndarray) -> tuple[Any, Any, float]:
        """k(z_i, z_i), its gradient in one of its arguments, and the mass of the other pairs; 0, 0, 1 where biased."""
        if self.estimator == "biased":
            return 0.0, 0.0, 1.0
        rest = pair_share(w)
        if self.kernel.name != "polynomial":
            return float(len(self.kernel.scales)), 0.0, rest
        z = z.astype(np.float64)
        base = np.einsum("ij,ij->i", z, z) / z.shape[1] + 1.0
        with np.errstate(over="ignore"):  # an infinite sum is refused where it is used
            return base**3, (3.0 / z.shape[1]) * base[:, None] ** 2 * z, rest

    @staticmethod
    def _sums(z: np.ndarray, points: np.ndarray, weights: np.ndarray, options: dict[str, Any]) -> np.ndarray:
        """sum_j w_j k(z_i, p_j) of points z that have no weight of their own."""
        found = kernel_sum(
            z, points, np.ones_like(weights, shape=(len(z),)), weights, **options, sums=True, by_x=False, by_y=False
        )
        assert found.rows is not None
        return found.rows


def pair_share(w: np.ndarray) -> float:
    """sum over i != j of w_i w_j for weights of mass 1: 1 - sum w_i^2, with its digits where one has nearly all."""
    rest = 1.0 - float(w @ w)
    if rest > 0.125:  # nothing to lose: what is divided by it is rounded alike
        return rest
    others = w.copy()
    top = int(w.argmax())
    others[top] = 0.0
    rest = float(others.sum())
    return 2.0 * float(w[top]) * rest + (rest**2 - float(others @ others))


def _linear(x: np.ndarray, y: np.ndarray, options: dict[str, Any], wanted: tuple[bool, ...]) -> tuple[float, Gradients]:
    """The mean of k(x, x') + k(y, y') - k(x, y') - k(x', y) over consecutive pairs, all of one weight."""
    clouds = [z.astype(np.float64) for z in (x, y)]
    halves = [z[part::2] for z in clouds for part in (0, 1)]  # x, x', y, y'
    count = len(halves[0])
    gradients, value = [np.zeros_like(z) for z in clouds], 0.0
    for i, j, sign in ((0, 1, 1.0), (2, 3, 1.0), (0, 3, -1.0), (1, 2, -1.0)):
        k, slope = _pair_kernel(halves[i], halves[j], options)
        value += sign * float(k.sum())
        for one, other in ((i, j), (j, i)):
            arm = halves[other] if options["kernel"] == "polynomial" else halves[one] - halves[other]
            gradients[one // 2][one % 2 :: 2] += sign * slope[:, None] * arm
    given = [g / count if want else None for g, want in zip(gradients, wanted)]
    return value / count, (*given, None, None)


def _pair_kernel(x: np.ndarray, y: np.ndarray, options: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """k(x_i, y_i), and its slope: what multiplies x - y (y for the polynomial) in the gradient in x."""
    d = x.shape[1]
    if options["kernel"] == "polynomial":
        return _profile(np.einsum("ij,ij->i", x, y), d, options)
    apart = x - y
    size = float(np.abs(apart).max())
    e = int(np.frexp(size)[1]) if size > 0.0 else 0
    apart = np.ldexp(apart, -e)
    scaled: dict[str, Any] = options | {"bandwidth": float(np.ldexp(options["bandwidth"], -e))}
    k, slope = _profile(np.einsum("ij,ij->i", apart, apart), d, scaled)
    unit = e if options["kernel"] == "energy" else 0
    return np.ldexp(k, unit), np.ldexp(slope, unit - 2 * e)


def _profile(s: np.ndarray, d: int, options: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """k and its slope at n numbers: on the host, wherever these are."""
    k, slope = host.kernel_profile(devices.fetch(s), d, **options)
    return devices.beside(s, k), devices.beside(s, slope)


def _spread(values: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Values of the kept points at all points, 0 at the others."""
    return _beside(values, keep, 0.0)


def _beside(values: Any, keep: np.ndarray, others: Any) -> np.ndarray:
    if keep.all():
        return values
    out = np.zeros((len(keep), *values.shape[1:]), like=values)
    out[np.flatnonzero(keep)], out[np.flatnonzero(~keep)] = values, others
    return out
