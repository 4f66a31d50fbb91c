"""What `pairwise` can measure between two clouds, by name and options or a function, as a function of two places."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..options import is_one_of, is_real
from .kernel_choice import Kernel, parse_kernel
from .pair_discrepancy import DiscrepancyPairs
from .pair_exact import ExactPairs
from .pair_frechet import FrechetPairs
from .pair_sliced import SlicedPairs
from .result import ConvergenceError, ConvergenceWarning, strictly

Array = np.ndarray
Clouds = Mapping[int, Array]
Weights = Mapping[int, Array | None]
Pair = Callable[[int, int], float]


def _sinkhorn_divergence(x: Array, y: Array, a: Array | None, b: Array | None, **options: Any) -> float:
    from .divergence import sinkhorn_divergence

    with strictly():
        return sinkhorn_divergence(x, y, a, b, **options)


def _mmd(clouds: Clouds, weights: Weights, kernel: Any = "imq", scales: Any = None, bandwidth: Any = "median") -> Pair:
    return DiscrepancyPairs(clouds, weights, parse_kernel(kernel, scales, bandwidth))


class Named(NamedTuple):
    """A distance by its name: what prepares each cloud once, None where there is nothing to prepare; its options."""

    of_clouds: Callable[..., Pair] | None
    options: tuple[str, ...] = ()
    weights: bool = True


NAMED = {
    "wasserstein": Named(ExactPairs, ("p", "metric")),
    "sinkhorn_divergence": Named(None, ("eps", "cost", "tol", "max_iter")),
    "sliced_wasserstein": Named(SlicedPairs, ("p", "n_projections", "projections", "seed")),
    "energy": Named(partial(DiscrepancyPairs, kernel=Kernel("energy", (), None))),
    "mmd": Named(_mmd, ("kernel", "scales", "bandwidth")),
    "frechet": Named(lambda clouds, weights: FrechetPairs(clouds), weights=False),
}


def check_distance(distance: Any, options: dict[str, Any], *, weighted: bool) -> None:
    """Raise unless distance is one of NAMED or a function, and takes these options and weights where there are any."""
    if callable(distance):
        if options:
            raise TypeError(
                f"a function takes its options with it; got {', '.join(options)}. Pass functools.partial(f, ...)."
            )
        return
    if not isinstance(distance, str) or distance not in NAMED:
        raise ValueError(
            f"distance must be one of {', '.join(NAMED)}, or a function f(x, y, a, b); got {distance!r}. "
            "Pass 'wasserstein', the exact one."
        )
    named = NAMED[distance]
    for option in options:
        if option not in named.options:
            known = ", ".join(named.options) or "none"
            raise TypeError(f"{distance} has no option {option!r}; its options: {known}. Leave it out.")
    if weighted and not named.weights:
        raise ValueError(f"{distance} compares moments of samples and takes no weights; got weights. Leave them out.")
    if distance == "sinkhorn_divergence" and "eps" not in options:
        raise TypeError("sinkhorn_divergence needs eps, the same for all pairs; got none. Pass eps=0.1, say.")
    if distance == "mmd" and not is_one_of(options.get("kernel"), ("polynomial", "energy")):
        if not is_real(options.get("bandwidth")):
            raise ValueError(
                "mmd needs a number as bandwidth, the same for all pairs: with the median of each pair it is no "
                f"distance; got {options.get('bandwidth')!r}. Pass bandwidth=1.0, say."
            )
    if distance == "sliced_wasserstein" and isinstance(options.get("seed"), np.random.Generator):
        raise TypeError("seed must be an int: all pairs share one set of directions; got a Generator. Pass seed=0.")


def pair_function(distance: Any, options: dict[str, Any], clouds: Clouds, weights: Weights) -> Pair:
    """The distance of clouds i and j as a function of (i, j); its errors name the pair."""
    of_clouds = None if callable(distance) else NAMED[distance].of_clouds
    if of_clouds is not None:
        return partial(_checked, of_clouds(clouds, weights, **options))
    function: Any = distance if callable(distance) else _sinkhorn_divergence

    def measure(i: int, j: int) -> Any:
        return function(clouds[i], clouds[j], weights[i], weights[j], **options)

    return partial(_checked, measure)


def _checked(measure: Callable[[int, int], Any], i: int, j: int) -> float:
    where = f"pair ({i}, {j})"
    try:
        value = measure(i, j)
    except ConvergenceWarning as warning:
        raise ConvergenceError(f"{where} did not converge: {warning}", None) from None
    except ConvergenceError as error:
        if error.result is not None and error.result.message == "interrupted":
            raise KeyboardInterrupt from None
        raise ConvergenceError(f"{where} did not converge: {error}", error.result) from None
    except ValueError as error:
        raise ValueError(f"{where}, x = samples[{i}], y = samples[{j}]: {error}") from error
    try:
        value = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"distance must return a number; {where} gave {value!r}. Return a float.") from None
    if not math.isfinite(value):
        raise ValueError(f"distance must be finite; {where} gave {value!r}. Repair the function, or drop a cloud.")
    return value
