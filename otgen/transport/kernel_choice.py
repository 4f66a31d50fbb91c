"""The kernels of MMD: their names, scales and bandwidth, and the median heuristic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import devices
from ..options import is_real

SCALES: dict[str, tuple[float, ...]] = {
    "gaussian": (1.0,),
    "laplace": (1.0,),
    "imq": (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
    "rational_quadratic": (0.2, 0.5, 1.0, 2.0, 5.0),
    "polynomial": (),
    "energy": (),
}
"""The kernels, and the scales that each is summed over by default."""

MEDIAN_POINTS = 1_000
"""Points whose pairs the median is taken of, at most: its error is then about 1 % of the distances' spread."""


@dataclass(frozen=True)
class Kernel:
    """A kernel by its name, the scales it is summed over, and its bandwidth h: a length, None for the median."""

    name: str
    scales: tuple[float, ...]
    bandwidth: float | None

    def options(self, clouds: Sequence[np.ndarray], weights: Sequence[np.ndarray], rng: Any) -> dict[str, Any]:
        """What the kernel layer takes: the median worked out where it is asked for, of all weighted points."""
        h = self.bandwidth
        if h is None:
            h = median_distance(np.concatenate(clouds), np.concatenate(weights), rng) if self.scales else 1.0
        return {"kernel": self.name, "scales": np.array(self.scales or (1.0,)), "bandwidth": h}


def parse_kernel(kernel: Any, scales: Any, bandwidth: Any) -> Kernel:
    """Return the Kernel that was named; raise where it is unknown or has no such option."""
    if not isinstance(kernel, str) or kernel not in SCALES:
        raise ValueError(f"kernel must be one of {', '.join(SCALES)}; got {kernel!r}. Pass 'imq', the default.")
    if not SCALES[kernel]:
        for name, value, default in (("scales", scales, None), ("bandwidth", bandwidth, "median")):
            if not (value is default or (isinstance(value, str) and value == default)):
                raise ValueError(f"{name} must be left out for kernel='{kernel}', which has none; got {value!r}.")
        return Kernel(kernel, (), None)
    median = isinstance(bandwidth, str) and bandwidth == "median"
    if not median and not (is_real(bandwidth) and 0 < bandwidth < math.inf):  # pyright: ignore[reportOperatorIssue]
        raise ValueError(
            f"bandwidth must be 'median' or a finite length > 0; got {bandwidth!r}. "
            "Pass h, in the units of x, where kernels are written in |x - y|^2 / h^2."
        )
    return Kernel(kernel, _read_scales(kernel, scales), None if median else float(bandwidth))


def _read_scales(kernel: str, scales: Any) -> tuple[float, ...]:
    if scales is None:
        return SCALES[kernel]
    listed = isinstance(scales, (list, tuple)) or (isinstance(scales, np.ndarray) and scales.ndim == 1)
    values = tuple(scales) if listed else ()
    if not values or not all(is_real(value) and 0 < value < math.inf for value in values):
        raise ValueError(
            f"scales must be a list of finite numbers > 0, which the kernel is summed over; got {scales!r}. "
            f"Leave it None for {list(SCALES[kernel])}."
        )
    return tuple(float(value) for value in values)


def median_distance(points: np.ndarray, mass: np.ndarray, rng: np.random.Generator) -> float:
    """Return h, h^2 the median of |z - z'|^2 over pairs of different points, each weighted by both masses.

    Of more than MEDIAN_POINTS points so many are drawn: without replacement where all weigh the same, else by their
    mass, with replacement; these few are compared on the host. Raises ValueError where all that are looked at coincide.
    """
    from scipy.spatial.distance import pdist  # a tenth of a second that `import otgen` should not pay

    if len(points) > MEDIAN_POINTS:
        even = bool((mass == mass[0]).all())
        shares = None if even else devices.fetch(mass / mass.sum())
        chosen = rng.choice(len(points), MEDIAN_POINTS, replace=not even, p=shares)
        points, mass = points[devices.beside(points, chosen)], np.ones(MEDIAN_POINTS)
    points, mass = devices.fetch(points), devices.fetch(mass)
    exponent = int(np.frexp(np.abs(points).max())[1])
    scaled = np.ldexp(points.astype(np.float64), -exponent)
    squares = pdist(scaled - scaled.mean(0), "sqeuclidean")
    apart = squares > 0.0
    if not apart.any():
        raise ValueError(
            "bandwidth='median' needs points that differ; all that it was taken of coincide. "
            "Pass a length, such as bandwidth=1.0."
        )
    if (mass == mass[0]).all():
        return float(np.ldexp(np.sqrt(np.median(squares[apart])), exponent))
    first, second = np.triu_indices(len(points), 1)
    weights = (mass[first] * mass[second])[apart]
    return float(np.ldexp(np.sqrt(_weighted_median(squares[apart], weights)), exponent))


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """The value that half of the weight is below; the mean of two where the half falls between them, to rounding."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order])
    half, slack = 0.5 * below[-1], len(below) * np.finfo(np.float64).eps * below[-1]
    middle = np.searchsorted(below, [half - slack, half + slack])
    return float(values[order[middle]].mean())
