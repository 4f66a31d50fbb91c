"""Every score of a set of samples in one report, with the space that each was measured in."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..arrays import read_queries
from ..options import check_progress, read_count, read_seed
from . import images, neighbours, scores, toys
from .door import read_images, read_samples
from .features import Extractor, Pixels
from .latent import POINTS, latent_test, read_codes

K, K_DENSITY = 3, 5
BETTER = {
    "fid": "lower", "kid": "lower", "w1": "lower", "energy_distance_squared": "lower", "precision": "higher",
    "recall": "higher", "density": "higher", "coverage": "higher",
    "memorisation_ratio": "1", "memorisation_below": "0.5", "reconstruction_error": "lower",
    "reconstruction_fid": "lower", "latent_energy": "lower", "latent_p_value": "not near 0", "modes_covered": "higher",
    "within_3_sd": "0.9889", "within_4_sd": "0.9997", "between_modes": "0", "spread_ratio": "1",
    "memorisation_of_codes": "1", "critic_difference": "slope x exact W1",
}  # fmt: skip
"""What a score should be: lower, higher or near a number; a row with a "reference" should be that."""


def evaluate(
    samples: Any,
    reference: Any,
    *,
    extractor: Extractor | None = None,
    training: Any = None,
    reconstructed: tuple[Any, Any] | None = None,
    latent: tuple[Any, Any] | None = None,
    toy: str | None = None,
    subsets: int = scores.SUBSETS,
    w1_points: int = 2_000,
    seed: int = 0,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Judge samples (n, *shape) by reference (m, *shape), true samples; images (C, H, W) have values in [0, 1].

    In the features of `extractor` (None: the samples themselves): fid, kid, w1 (of w1_points a side at most),
    energy_distance_squared, precision, recall, density, coverage. On pixels: sharpness of images; with training (l,
    *shape), what the model was trained on and `reference` is not of, memorisation. With reconstructed = (x, what the
    model makes of its codes), reconstruction_error, and reconstruction_fid, of the latter to reference. With latent =
    (codes of true samples, codes that are decoded to new ones), the energy test of whether these have one law. With
    `toy`, the name of a toy set, what its density says. samples None leaves out what is said of them.

    Returns {"samples": n, "reference": m, "extractor": {"name", ...}, "scores": {score: {"value", "extractor", ...}}},
    plain numbers that JSON holds; kid has its "sd" over subsets, sharpness its "reference" value. progress is called
    with {"score", "seconds"} after each. Raises ValueError or TypeError for bad input, before anything is worked out.
    Cost: about n m k for k features, and one transport problem.
    """
    given = _read(samples, reference, training, reconstructed)
    codes = None if latent is None else read_codes(latent)
    extractor = Pixels() if extractor is None else _check_extractor(extractor)
    read_count(subsets, "subsets", "subsets")
    read_count(w1_points, "w1_points")
    read_seed(seed)
    check_progress(progress)
    if toy is not None:
        toys.facts(toy)
        read_queries(given["reference"], 2, "reference", toy)
    report = _Report(progress)
    of_reference = np.asarray(extractor.extract(given["reference"]))
    if "samples" in given:
        features = [np.asarray(extractor.extract(given["samples"])), of_reference]
        _in_features(report, features, extractor.name, subsets=subsets, w1_points=w1_points, seed=seed)
        _on_pixels(report, given)
    if "original" in given:
        error = images.reconstruction_error(given["original"], given["reconstructed"])
        report.add("reconstruction_error", error, "pixels")
        rebuilt = np.asarray(extractor.extract(given["reconstructed"]))
        report.add("reconstruction_fid", scores.fid(rebuilt, of_reference), extractor.name)
    if codes is not None:
        found = latent_test(*codes, seed=seed)
        report.add("latent_energy", found.statistic, "codes", points=min(len(codes[0]), POINTS))
        report.add("latent_p_value", found.p_value, "codes", permutations=found.n_permutations)
    if toy is not None and "samples" in given:
        _of_toy(report, toys.toy_scores(given["samples"], toy))
    facts = {"name": extractor.name, "features": int(of_reference.shape[1]), **getattr(extractor, "facts", {})}
    counts = {name: len(given.get(name, ())) for name in ("samples", "reference")}
    return {**counts, "extractor": facts, "scores": report.found}


def render(report: dict[str, Any]) -> str:
    """The report of `evaluate` as a table of plain text: each score with its deviation and the space it belongs to."""
    facts = report["extractor"]
    accuracy = f", test accuracy {facts['accuracy']:.4f}" if "accuracy" in facts else ""
    lines = [
        f"{report['samples']:,} samples against {report['reference']:,}; extractor {facts['name']} "
        f"({facts['features']} features{accuracy})"
    ]
    rows = [("score", "value", "in", "should be")]
    for name, row in report["scores"].items():
        value = "none" if row["value"] is None else f"{row['value']:.6g}"
        value += f" +- {row['sd']:.2g}" if "sd" in row else f" of {row['of']}" if "of" in row else ""
        aim = f"{row['reference']:.6g}" if "reference" in row else BETTER[name]
        rows.append((name, value, row["extractor"], aim))
    return "\n".join(lines + _columns(rows))


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines of text, a column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


class _Report:
    """Scores in the order that they were found."""

    def __init__(self, progress: Callable[[dict[str, Any]], None] | None) -> None:
        self.found: dict[str, dict[str, Any]] = {}
        self.progress, self.began = progress, time.perf_counter()

    def add(self, name: str, value: float | int | None, extractor: str, **more: Any) -> None:
        self.found[name] = {"value": value, "extractor": extractor, **more}
        if self.progress is not None:
            self.progress({"score": name, "seconds": time.perf_counter() - self.began})


def _in_features(report: _Report, features: list[np.ndarray], name: str, *, subsets: int, w1_points: int, seed: int):
    report.add("fid", scores.fid(*features), name)
    kid = scores.kid(*features, subsets=subsets, seed=seed)
    report.add("kid", kid.mean, name, sd=kid.sd, subsets=subsets)
    points = min(w1_points, max(map(len, features)))
    report.add("w1", scores.exact_w1(*features, points=w1_points, seed=seed), name, points=points)
    report.add("energy_distance_squared", scores.energy(*features), name)
    near = neighbours.neighbour_scores(*features, k=K, k_density=K_DENSITY)
    for score, value in near._asdict().items():
        report.add(score, value, name, k=K if score in ("precision", "recall") else K_DENSITY)


def _on_pixels(report: _Report, given: dict[str, np.ndarray]) -> None:
    x, y = given["samples"], given["reference"]
    if x.ndim == 4 and min(x.shape[2:]) >= 3:
        report.add("sharpness", images.sharpness(x), "pixels", reference=images.sharpness(y))
    if "training" in given:
        flat = (side.reshape(len(side), -1) for side in (x, given["training"], y))
        ratio, below = neighbours.memorisation(*flat)
        report.add("memorisation_ratio", ratio if math.isfinite(ratio) else None, "pixels")
        report.add("memorisation_below", below, "pixels")


def _of_toy(report: _Report, found: toys.ToyScores) -> None:
    report.add("modes_covered", found.covered, "plane", of=found.modes)
    report.add("within_3_sd", found.within_3_sd, "plane")
    report.add("within_4_sd", found.within_4_sd, "plane")
    report.add("between_modes", found.between, "plane")
    report.add("spread_ratio", found.spread, "plane")


def _read(samples: Any, reference: Any, training: Any, pair: Any) -> dict[str, np.ndarray]:
    """The sets that were given, by name, all of one shape of sample."""
    y = read_samples(reference, "reference")
    read = read_images if y.ndim == 4 else read_samples
    given = {"reference": y, "samples": samples, "training": training}
    if pair is not None:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ValueError(
                f"reconstructed must be a pair: samples and what the model makes of their codes; got "
                f"{type(pair).__name__}. Pass (x, model.reconstruct(x))."
            )
        given |= {"original": pair[0], "reconstructed": pair[1]}
    found = {name: read(value, name) for name, value in given.items() if value is not None}
    for name, value in found.items():
        if value.shape[1:] != y.shape[1:]:
            raise ValueError(
                f"{name} must hold samples of shape {y.shape[1:]}, as reference; got {value.shape[1:]}. Match them."
            )
    if pair is not None and len(found["original"]) != len(found["reconstructed"]):
        raise ValueError(
            f"reconstructed must hold two sets of one length; got {len(found['original'])} and "
            f"{len(found['reconstructed'])} samples. Pass the reconstructions of the same samples, in order."
        )
    least_reference = K_DENSITY if "samples" in found else 1
    for name, least in (("samples", K), ("reference", least_reference)):
        if name in found and len(found[name]) <= least:
            raise ValueError(f"{name} must hold more than {least} samples; got {len(found[name])}. Draw more.")
    return found


def _check_extractor(extractor: Any) -> Extractor:
    if not isinstance(getattr(extractor, "name", None), str) or not callable(getattr(extractor, "extract", None)):
        raise TypeError(
            f"extractor must have a name and a method extract; got {type(extractor).__name__}. Pass Pixels(), "
            "LeNet.trained(...), Inception(...), or Network(module, name)."
        )
    return extractor
