"""What `otgen distance --method` and `otgen test` do: discrepancies that are not transport, and permutation tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import otgen

from .distance import UsageError, in_columns, in_terms_of
from .readers import read_points, read_weights
from .transport.kernel_choice import SCALES

__all__ = ["METHODS", "Request", "check", "distance", "progress_line", "test", "told_distance", "told_test"]

# The options that each method, or each statistic of a test, has of its own.
METHODS: dict[str, tuple[str, ...]] = {
    "mmd": ("kernel", "scales", "bandwidth", "estimator", "seed", "weights_a", "weights_b"),
    "energy": ("weights_a", "weights_b"),
    "sliced": ("p", "projections", "seed", "weights_a", "weights_b"),
    "gaussian": (),
}
STATISTICS: dict[str, tuple[str, ...]] = {
    "mmd": ("kernel", "scales", "bandwidth"),
    "energy": (),
    "wasserstein": ("p",),
    "sliced": ("p", "projections"),
}
PARAMETERS = ("p", "kernel", "scales", "bandwidth", "estimator", "n_projections", "seed", "n_permutations")


@dataclass(frozen=True)
class Request:
    """Two files and the options as they were written, None for what was left out."""

    a: str
    b: str
    method: str
    p: float | None = None
    kernel: str | None = None
    scales: str | None = None
    bandwidth: str | None = None
    estimator: str | None = None
    projections: int | None = None
    seed: int | None = None
    weights_a: str | None = None
    weights_b: str | None = None

    def options(self) -> dict[str, Any]:
        """The given options in the API's terms."""
        given = {
            "p": self.p,
            "kernel": self.kernel,
            "scales": self.scale_numbers(),
            "bandwidth": None if self.bandwidth is None else _number_or_word(self.bandwidth),
            "estimator": self.estimator,
            "n_projections": self.projections,
            "seed": self.seed,
        }
        return {name: value for name, value in given.items() if value is not None}

    def scale_numbers(self) -> list[float] | None:
        """--scales as numbers."""
        if self.scales is None:
            return None
        try:
            return [float(part) for part in self.scales.split(",")]
        except ValueError:
            raise UsageError(
                f"--scales must be numbers with commas between; got {self.scales}. Write --scales 0.5,1,2."
            ) from None


def _number_or_word(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def check(request: Request, known: dict[str, tuple[str, ...]], word: str, others: dict[str, Any]) -> None:
    """Refuse a method that there is not, and options that it does not have; `others` are those of transport alone."""
    if request.method not in known:
        names = ", ".join(known)
        raise UsageError(f"--{word} must be one of {names}; got {request.method}. See otgen --help.")
    own = ("p", "kernel", "scales", "bandwidth", "estimator", "projections", "seed", "weights_a", "weights_b")
    given = {name: getattr(request, name) for name in own} | others
    allowed = (*known[request.method], *(("seed",) if word == "statistic" else ()))
    for name, value in given.items():
        if value is not None and value is not False and name not in allowed:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option} does not go with --{word} {request.method}. Leave it out.")
    request.scale_numbers()


def distance(request: Request) -> dict[str, Any]:
    """The report of one discrepancy of two files."""
    x, y = read_points(request.a), read_points(request.b)
    weights = [None if name is None else read_weights(name) for name in (request.weights_a, request.weights_b)]
    options, method = request.options(), request.method
    start = time.perf_counter()
    with in_terms_of(request, PARAMETERS):
        if method == "mmd":
            found = _mmd(x, y, weights, options)
        elif method == "energy":
            squared = otgen.energy_distance_squared(x, y, *weights)
            found = {"energy_distance": float(np.sqrt(squared)), "energy_distance_squared": squared}
        elif method == "sliced":
            sliced = otgen.sliced_wasserstein(x, y, *weights, **options)
            found = {"sliced_wasserstein": float(sliced.value), "standard_error": float(sliced.standard_error)}
            found |= {"p": options.get("p", 2.0), "n_projections": len(sliced.directions)}
        else:
            squared = otgen.frechet_distance(x, y)
            found = {"gaussian_wasserstein": float(np.sqrt(squared)), "frechet_distance": squared}
    shape = {"n": len(x), "m": len(y), "d": x.shape[1]}
    return {"method": method} | found | shape | {"seconds": time.perf_counter() - start}


def _mmd(x: np.ndarray, y: np.ndarray, weights: list[Any], options: dict[str, Any]) -> dict[str, Any]:
    """MMD^2, and all that it takes to repeat it: the bandwidth as the number it is, None where there is none."""
    kernel, width = options.get("kernel", "imq"), options.get("bandwidth", "median")
    scales = options.get("scales", list(SCALES.get(kernel, ())))
    if width == "median" and SCALES.get(kernel):
        options["bandwidth"] = width = otgen.median_bandwidth(x, y, *weights, seed=options.get("seed", 0))
    value = otgen.mmd_squared(x, y, *weights, **options)
    return {
        "mmd_squared": value,
        "kernel": kernel,
        "scales": scales or None,
        "bandwidth": width if scales else None,
        "estimator": options.get("estimator", "unbiased"),
    }


def test(request: Request, permutations: int, progress: Callable[[dict[str, Any]], None] | None) -> dict[str, Any]:
    """The report of a permutation test of two files."""
    x, y = read_points(request.a), read_points(request.b)
    start = time.perf_counter()
    with in_terms_of(request, PARAMETERS):
        found = otgen.two_sample_test(
            x, y, statistic=request.method, n_permutations=permutations, progress=progress, **request.options()
        )
    return {
        "statistic": request.method,
        "value": found.statistic,
        "p_value": found.p_value,
        "bandwidth": found.bandwidth,
        "n_permutations": found.n_permutations,
        "null_quantiles": {f"{q:g}": value for q, value in found.null_quantiles.items()},
        "n": len(x),
        "m": len(y),
        "d": x.shape[1],
        "seconds": time.perf_counter() - start,
    }


WORDS = {
    "mmd_squared": "MMD^2",
    "energy_distance": "energy distance",
    "energy_distance_squared": "its square",
    "sliced_wasserstein": "sliced",
    "standard_error": "standard error",
    "gaussian_wasserstein": "W2 of normals",
    "frechet_distance": "Frechet (W2^2)",
    "n_projections": "directions",
}


def told_distance(report: dict[str, Any]) -> str:
    """The report in a few lines."""
    lines = []
    for name, value in report.items():
        if name not in ("method", "n", "m", "d", "seconds") and value is not None:
            lines.append((WORDS.get(name, name), _shown(name, value)))
    return in_columns([*lines, *_sizes(report)])


def _shown(name: str, value: Any) -> str:
    """Figures to the digits they have; what was asked for, and the bandwidth, as it can be written again."""
    if isinstance(value, list):
        return ",".join(f"{part!r}".removesuffix(".0") for part in value)
    if name == "bandwidth" or not isinstance(value, float):
        return str(value)
    return format(value, ".2g" if name == "standard_error" else ".15g")


def told_test(report: dict[str, Any]) -> str:
    """The report in a few lines."""
    null = ", ".join(f"{value:.6g} ({float(q):.0%})" for q, value in report["null_quantiles"].items())
    lines = [
        ("statistic", f"{report['value']:.9g} ({report['statistic']})"),
        ("p-value", f"{report['p_value']:.6g}"),
        ("permuted", f"{null} of {report['n_permutations']:,}"),
    ]
    if report["bandwidth"] is not None:
        lines.append(("bandwidth", repr(report["bandwidth"])))
    return in_columns([*lines, *_sizes(report)])


def _sizes(report: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("points", f"{report['n']} x {report['d']}, {report['m']} x {report['d']}"),
        ("time", f"{report['seconds']:.2f} s"),
    ]


def progress_line(info: dict[str, Any]) -> str:
    """One line for a share of the permutations."""
    return f"{info['permutations']:,} of {info['of']:,} permutations"
