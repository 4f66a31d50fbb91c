"""The figures of the generative models as tables of Markdown, and what they were to show."""

from __future__ import annotations

import math
from typing import Any

NAMES = {
    "ae": "AE (its reconstructions)", "vae": "VAE", "wae-mmd": "WAE-MMD", "wae-gan": "WAE-GAN", "aeot": "AE-OT",
    "wgan-gp": "WGAN-GP", "iwgan": "iWGAN",
}  # fmt: skip
IMAGE_LIMIT, TOY_LIMITS = 25 * 60, {"aeot": 60.0, "wgan-gp": 15 * 60.0, "iwgan": 15 * 60.0}
Records = list[dict[str, Any]]


def tables(records: Records) -> str:
    """Both tables and the verdicts, as Markdown."""
    toys = [one for one in records if "modes_covered" in one["scores"]]
    parts = [_toys(toys)] if toys else []
    for data in dict.fromkeys(one["data"] for one in records if one not in toys):
        own = [one for one in records if one["data"] == data]
        parts.append("\n".join([_images(data, own), "", *(f"- {line}" for line in verdicts(own))]))
    return "\n\n".join(parts)


def markdown(document: dict[str, Any]) -> str:
    """The tables, and where and on what they were measured."""
    facts = machine_line(document)
    return f"{tables(document['records'])}\n\nFrom `benchmarks/results/models.json`: {facts}"


def machine_line(document: dict[str, Any]) -> str:
    """Where and on what, in one line."""
    device, versions = document["machine"]["device"], document["machine"]["versions"]
    loads = [one["load"] for one in document["records"]]
    commits = ", ".join(sorted({one["commit"] for one in document["records"]}))
    return (
        f"{device['cpu']} ({device['target']}), {device['cores']} cores, {device['sgemm_gflops']:.0f} GFLOP/s SGEMM, "
        f"load {min(loads):g} to {max(loads):g}; python {versions['python']}, otgen {versions['otgen']}, torch "
        f"{versions['torch']}; commit {commits}; {document['machine']['date']}."
    )


def verdicts(own: Records) -> list[str]:
    """What the rows of one set of images were to show, and whether they do."""
    scores = {one["model"]: {name: row["value"] for name, row in one["scores"].items()} for one in own}
    lines = []
    if {"aeot", "vae"} <= set(scores):
        ours, vae = scores["aeot"]["fid"], scores["vae"]["fid"]
        lines.append(_said(f"FID of AE-OT {ours:.2f} <= half of VAE's {vae:.2f}", ours <= vae / 2))
    if {"aeot", "ae"} <= set(scores):
        ours, own_distance = scores["aeot"]["fid"], scores["ae"]["reconstruction_fid"]
        excess = ours - own_distance
        text = f"FID of AE-OT less that of the reconstructions {excess:.2f} <= 1.5 x the latter's {own_distance:.2f}"
        lines.append(_said(text, excess <= 1.5 * own_distance))
    for model in ("wae-mmd", "wae-gan"):
        if {model, "vae"} <= set(scores):
            one, vae = scores[model]["fid"], scores["vae"]["fid"]
            lines.append(_said(f"FID of {NAMES[model]} {one:.2f} < VAE's {vae:.2f}", one < vae))
    samplers = {model: found for model, found in scores.items() if "recall" in found}
    if "aeot" in samplers and len(samplers) > 1:
        for score in ("coverage", "recall"):
            best = max(samplers, key=lambda model: samplers[model][score])
            lines.append(_said(f"{score} is best for {NAMES[best]}; wanted: AE-OT", best == "aeot"))
    longest = max(own, key=_total)
    text = f"longest training, {NAMES[longest['model']]}, {_total(longest) / 60:.1f} <= 25 min"
    return [*lines, _said(text, _total(longest) <= IMAGE_LIMIT)]


def _images(data: str, own: Records) -> str:
    extractor = own[0]["extractor"]
    heads = (
        data, "training s", "codes + map s", "FID", "FID of reconstructions", "KID", "precision", "recall",
        "density", "coverage", "nearest training image, ratio", "nearest training code, ratio", "pixel error",
    )  # fmt: skip
    rows = []
    for one in own:
        s, seconds = {name: row["value"] for name, row in one["scores"].items()}, one["seconds"]
        later = sum(value for phase, value in seconds.items() if phase != "training")
        rows.append(
            (
                NAMES[one["model"]],
                f"{seconds.get('training', 0):.0f}",
                f"{later:.0f}" if later else "",
                _cell(s, "fid"),
                _cell(s, "reconstruction_fid"),
                _cell(s, "kid"),
                *(_cell(s, name) for name in heads[6:10]),
                _cell(s, "memorisation_ratio"),
                _cell(s, "memorisation_of_codes"),
                _cell(s, "reconstruction_error"),
            )
        )
    accuracy = f", test accuracy {extractor['accuracy']:.4f}" if "accuracy" in extractor else ""
    ratios = "Ratios: the distance to the nearest training image or code over that of test images; 0 for copies."
    note = f"In the features of {extractor['name']}{accuracy}; {own[-1]['samples']:,} samples, the test split. {ratios}"
    return f"{_markdown(heads, rows)}\n\n{note}"


def _toys(records: Records) -> str:
    heads = ("toy", "model", "training s", "modes", "within 3 sd", "within 4 sd", "between modes", "spread", "target")
    rows = []
    for one in records:
        s, limit = one["scores"], TOY_LIMITS[one["model"]]
        quick = _total(one) <= limit
        modes = s["modes_covered"]["value"] == s["modes_covered"]["of"]
        if one["model"] == "aeot":
            near = s["within_4_sd"]["value"] >= 0.99 and s["between_modes"]["value"] < 0.01
            aim = "all modes, >= 99 % within 4 sd, < 1 % between, <= 60 s"
        else:
            near, aim = s["within_3_sd"]["value"] >= 0.75, "all modes, >= 75 % within 3 sd, <= 15 min"
        rows.append(
            (
                one["data"],
                NAMES[one["model"]],
                f"{_total(one):.3g}",
                f"{s['modes_covered']['value']} of {s['modes_covered']['of']}",
                f"{s['within_3_sd']['value']:.2%}",
                f"{s['within_4_sd']['value']:.2%}",
                f"{s['between_modes']['value']:.2%}",
                "none" if s["spread_ratio"]["value"] is None else f"{s['spread_ratio']['value']:.3f}",
                _said(aim, quick and modes and near),
            )
        )
    note = "A perfect sampler: 98.89 % within 3 sd, 99.97 % within 4, none between modes (beyond 10 sd), spread 1."
    return f"{_markdown(heads, rows)}\n\n{note}"


def _total(one: dict[str, Any]) -> float:
    return sum(one["seconds"].values())


def _said(text: str, met: bool) -> str:
    return f"{text}: {'met' if met else '**missed**'}"


def _cell(scores: dict[str, Any], name: str) -> str:
    value = scores.get(name)
    return "" if value is None or not math.isfinite(value) else f"{value:.3g}"


def _markdown(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
