"""What the parameters of SemiDiscreteOT may be, and the words where they are not."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays import check_finite, host
from ..options import check_progress, is_one_of, is_real
from .sources import Ball, Box, Convex, Image, Normal, Polytope, Sampler, Source

METHODS = ("auto", "newton", "monte_carlo")
SOURCES = ("uniform", "ball", "normal", "polygon", "polyhedron", "image")
OPTIMIZERS = (None, "adam")
LEAST_TOL = {"newton": 1e-13, "monte_carlo": 1e-5}
DEFAULT_TOL = {"newton": 1e-6, "monte_carlo": 0.01}


def read_source(
    source: Any, d: int, *, domain: Any = None, mean: Any = None, cov: Any = None, density: Any = None, seed: int = 0
) -> Source:
    """Return the source on R^d that the parameters name; raise where they do not fit it or one another."""
    given = {"domain": domain, "mean": mean, "cov": cov, "density": density}
    if callable(source):
        _refuse_others("a callable", given, ())
        return Sampler(source, d, seed)
    if not isinstance(source, str) or source not in SOURCES:
        raise ValueError(
            f"source must be a function sampler(n, rng) or one of {', '.join(map(repr, SOURCES))}; got {source!r}. "
            "Pass 'uniform' for the unit box."
        )
    allowed = {"normal": ("mean", "cov"), "image": ("domain", "density")}.get(source, ("domain",))
    _refuse_others(repr(source), given, allowed)
    if source == "uniform":
        return Box(*_read_box(domain, d))
    if source == "ball":
        return _read_ball(domain, d)
    if source == "normal":
        return _read_normal(mean, cov, d)
    if source == "image":
        return _read_image(density, domain, d)
    return _read_polytope(source, domain, d)


def read_method(method: Any, source: Source, optimizer: Any) -> str:
    """Return "newton" or "monte_carlo"; raise where the method cannot take the source or the optimizer."""
    if not is_one_of(method, METHODS):
        raise ValueError(f"method must be one of {', '.join(map(repr, METHODS))}; got {method!r}. Leave it 'auto'.")
    if not (optimizer is None or is_one_of(optimizer, OPTIMIZERS)):
        raise ValueError(f"optimizer must be None (the library's own) or 'adam'; got {optimizer!r}. Leave it None.")
    exact = isinstance(source, Convex) and source.dim in (2, 3)
    if method == "auto":
        return "newton" if exact and optimizer is None else "monte_carlo"
    if method == "newton" and optimizer is not None:
        raise ValueError(f"optimizer is an option of method='monte_carlo'; got {optimizer!r} with 'newton'. Drop it.")
    if method == "newton" and source.dim not in (2, 3):
        raise ValueError(
            f"method='newton' needs targets in 2 or 3 dimensions; y has {source.dim}. Pass method='monte_carlo'."
        )
    if method == "newton" and not exact:
        raise ValueError(
            f"method='newton' needs a box, a polygon, a polyhedron or an image as source; got {source.kind!r}. "
            "Pass method='monte_carlo'."
        )
    return method


def read_tol(tol: Any, method: str) -> float:
    """Return tol, or the default of the method."""
    if tol is None:
        return DEFAULT_TOL[method]
    least = LEAST_TOL[method]
    what = "the largest relative error of a cell's mass" if method == "newton" else "chi2 of the cells' masses"
    if not is_real(tol) or not least <= tol < math.inf:
        raise ValueError(
            f"tol must be a number >= {least:g}, {what}; got {tol!r}. Leave it None for {DEFAULT_TOL[method]:g}."
        )
    return float(tol)


def read_limit(value: Any, name: str, least: float, *, whole: bool) -> float:
    """Return a limit, inf for None."""
    if value is None:
        return math.inf
    counted = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not (counted if whole else is_real(value)) or not value >= least:
        kind = "an int" if whole else "a number"
        raise ValueError(f"{name} must be None or {kind} >= {least:g}; got {value!r}. Leave it None for no limit.")
    return math.inf if value > sys.float_info.max else float(value)


def check_limits(method: str, max_iter: Any, max_samples: Any) -> None:
    """Raise where a limit belongs to the other method."""
    name, value, other = ("max_samples", max_samples, "max_iter")
    if method == "monte_carlo":
        name, value, other = ("max_iter", max_iter, "max_samples")
    if value is not None:
        raise ValueError(
            f"{name} is no limit of method {method!r}; got {name}={value!r}. Pass {other} or max_time instead."
        )


def read_seed(seed: Any) -> int:
    """Return the seed."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"seed must be an int >= 0; got {seed!r}. Pass seed=0.")
    return int(seed)


def read_progress(progress: Any) -> Callable[[dict[str, Any]], Any]:
    """Return the function that is told how a fit goes."""
    check_progress(progress)
    return progress or (lambda row: None)


def _refuse_others(source: str, given: dict[str, Any], allowed: tuple[str, ...]) -> None:
    for name, value in given.items():
        if value is not None and name not in allowed:
            means = " and ".join(allowed) or "no further parameters"
            raise ValueError(f"{name} has no meaning with source {source}, which takes {means}. Drop {name}.")


def _read_array(value: Any, name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    array = host(value, name)
    fits = array.ndim == len(shape) and all(asked in (None, size) for asked, size in zip(shape, array.shape))
    if not fits:
        wanted = ", ".join("k" if size is None else str(size) for size in shape)
        wanted += "," * (len(shape) == 1)
        raise ValueError(f"{name} must have shape ({wanted}); got shape {array.shape}. Reshape it.")
    if array.size == 0:
        raise ValueError(f"{name} must hold at least one number; got shape {array.shape}. Leave it out.")
    array = array.astype(np.float64)
    check_finite(array, name)
    return array


def _read_box(domain: Any, d: int) -> tuple[np.ndarray, np.ndarray]:
    if domain is None:
        return np.zeros(d), np.ones(d)
    sides = _read_array(domain, "domain", (d, 2))
    if not (sides[:, 0] < sides[:, 1]).all():
        worst = int(np.argmin(sides[:, 1] - sides[:, 0]))
        raise ValueError(
            f"domain must have low < high in every row (low, high); got {tuple(sides[worst].tolist())} in row {worst}. "
            "Swap or widen it."
        )
    return sides[:, 0], sides[:, 1]


def _read_ball(domain: Any, d: int) -> Ball:
    if domain is None:
        return Ball(np.zeros(d), 1.0)
    if not isinstance(domain, (tuple, list)) or len(domain) != 2 or not is_real(domain[1]):
        raise ValueError(f"domain of a ball must be (centre, radius); got {domain!r}. Pass (np.zeros({d}), 1.0), say.")
    if not 0.0 < domain[1] < math.inf:
        raise ValueError(f"domain of a ball must have a radius > 0; got {domain[1]!r}. Pass (np.zeros({d}), 1.0), say.")
    return Ball(_read_array(domain[0], "domain[0]", (d,)), float(domain[1]))


def _read_normal(mean: Any, cov: Any, d: int) -> Normal:
    centre = np.zeros(d) if mean is None else _read_array(mean, "mean", (d,))
    spread = np.eye(d) if cov is None else _read_array(cov, "cov", (d, d))
    values = np.linalg.eigvalsh(0.5 * (spread + spread.T))
    if not np.allclose(spread, spread.T, rtol=1e-10, atol=0.0) or not values[0] > 0.0:
        raise ValueError(
            f"cov must be symmetric and positive definite: the source needs a density; got eigenvalues from "
            f"{values[0]:g} to {values[-1]:g}. Add a small multiple of the identity."
        )
    return Normal(centre, 0.5 * (spread + spread.T))


def _read_image(density: Any, domain: Any, d: int) -> Image:
    if d not in (2, 3):
        raise ValueError(f"source 'image' lives in 2 or 3 dimensions; y has {d}. Pass a callable sampler instead.")
    if density is None:
        raise ValueError("density must be given with source 'image': an array of pixels. Pass density=image.")
    pixels = _read_array(density, "density", (None,) * d)
    if not (pixels >= 0.0).all() or not pixels.any():
        raise ValueError(
            f"density must be >= 0 and not all 0; got values from {pixels.min():g} to {pixels.max():g}. Clip it at 0."
        )
    return Image(*_read_box(domain, d), pixels / pixels.max())


def _read_polytope(source: str, domain: Any, d: int) -> Polytope:
    asked = 2 if source == "polygon" else 3
    if d != asked:
        raise ValueError(f"source {source!r} lives in {asked} dimensions; y has {d}. Pass targets (n, {asked}).")
    if domain is None:
        raise ValueError(f"domain must be given with source {source!r}: its corners (k, {d}). Pass domain=corners.")
    corners = _read_array(domain, "domain", (None, d))
    from scipy.spatial import QhullError

    try:
        return Polytope(corners)
    except QhullError as error:
        raise ValueError(
            f"domain must hold corners whose convex hull has an inside; got {len(corners)} corners of no volume. "
            f"Pass at least {d + 1} that span it."
        ) from error
