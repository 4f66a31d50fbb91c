"""The benchmark of the generative models: its tables say what its records hold, and its verdicts can fail."""

from __future__ import annotations

import copy
import importlib
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("lightning_fabric")

ROOT = Path(__file__).resolve().parents[1]
DEVICE = {"cpu": "a chip", "target": "core", "cores": 2, "sgemm_gflops": 100.0}
VERSIONS = {"python": "3", "otgen": "0", "torch": "2"}


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a file of benchmarks/ as its scripts see each other."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


def image_record(model: str, **values: float) -> dict[str, Any]:
    scores = {"fid": 10.0, "recall": 0.5, "coverage": 0.5, "reconstruction_fid": 4.0} | values
    return {
        "data": "mnist", "model": model, "seconds": {"training": 60.0}, "samples": 100, "load": 0.5, "commit": "abc",
        "extractor": {"name": "lenet:mnist", "accuracy": 0.99},
        "scores": {name: {"value": value} for name, value in scores.items()},
    }  # fmt: skip


def good() -> list[dict[str, Any]]:
    ae = image_record("ae")
    ae["scores"] = {"reconstruction_fid": {"value": 4.0}, "reconstruction_error": {"value": 0.01}}
    return [
        ae, image_record("vae", fid=20.0), image_record("wae-mmd", fid=15.0), image_record("wae-gan", fid=14.0),
        image_record("aeot", fid=9.0, recall=0.7, coverage=0.8),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "change", "line"),
    [
        ("aeot", {"fid": 10.1}, "half of VAE's"),
        ("aeot", {"fid": 10.01}, "less that of the reconstructions"),
        ("wae-mmd", {"fid": 20.0}, "FID of WAE-MMD"),
        ("wae-gan", {"fid": 21.0}, "FID of WAE-GAN"),
        ("vae", {"recall": 0.71}, "recall is best for VAE; wanted: AE-OT"),
        ("wae-gan", {"coverage": 0.81}, "coverage is best for WAE-GAN; wanted: AE-OT"),
        ("vae", {"seconds": 1501.0}, "longest training, VAE, 25.0 <= 25 min"),
    ],
)
def test_each_verdict_is_met_and_can_fail(module, model, change, line) -> None:
    table, records = module("models_table"), good()
    assert all(text.endswith(": met") for text in table.verdicts(records)) and len(table.verdicts(records)) == 7
    (one,) = [record for record in records if record["model"] == model]
    for name, value in change.items():
        if name == "seconds":
            one["seconds"] = {"training": value}
        else:
            one["scores"][name]["value"] = value
    missed = [text for text in table.verdicts(records) if text.endswith("**missed**")]
    assert any(line in text for text in missed)


def test_toys_are_held_to_their_targets(module) -> None:
    table = module("models_table")
    scores = {"modes_covered": 25, "within_3_sd": 0.98, "within_4_sd": 0.999, "between_modes": 0.0, "spread_ratio": 1.0}
    one = {"data": "25gaussians", "model": "aeot", "seconds": {"codes": 0.1, "map": 2.0}, "load": 1, "commit": "abc"}
    one["scores"] = {name: {"value": value, "of": 25} for name, value in scores.items()}
    assert table.tables([one]).count(": met") == 1
    for name, value in (("modes_covered", 24), ("within_4_sd", 0.98), ("between_modes", 0.02)):
        worse = copy.deepcopy(one)
        worse["scores"][name]["value"] = value
        assert "**missed**" in table.tables([worse])
    assert "**missed**" in table.tables([one | {"seconds": {"map": 61.0}}])
    gan = one | {"model": "wgan-gp", "seconds": {"training": 800.0}}
    assert ": met" in table.tables([gan])
    gan["scores"] = gan["scores"] | {"within_3_sd": {"value": 0.74}}
    assert "**missed**" in table.tables([gan])


def test_the_committed_file_holds_its_rows_in_order(module) -> None:
    document = json.loads((ROOT / "benchmarks" / "results" / "models.json").read_text())
    names = [f"{one['data']}/{one['model']}" for one in document["records"]]
    assert names == [name for name in module("models").ROWS if name in names] and len(set(names)) == len(names)


def test_the_committed_file_of_training_holds_every_penalty(module) -> None:
    training = module("training")
    document = json.loads(training.RESULT.read_text())
    assert {(one["batch"], one["code"]) for one in document["penalties"]} == set(training.PENALTIES)


def test_the_loop_and_the_penalty_are_timed_and_can_miss_their_targets(module) -> None:
    training = module("training")
    one = training.penalty((1, 8, 8), 20, 2, 2, 3)
    assert 0 < one["without_ms"] and 0 < one["step_ms"] and one["quartiles"][0] <= one["share"] <= one["quartiles"][1]
    record = {"model": "m", "bare_ms": 1.0, "otgen_ms": 1.0, "ratio": 1.0, "quartiles": [1.0, 1.0], "target": 1.05}
    facts = {"device": DEVICE | {"load_average": 0.1}, "versions": VERSIONS, "commit": "abc", "date": "today"}
    document = {"machine": facts, "records": [record], "penalties": [one | {"share": 0.05}]}
    assert training.markdown(document).count(": met") == 2
    document = {"machine": facts, "records": [record | {"ratio": 1.06}], "penalties": [one | {"share": 0.2}]}
    assert training.markdown(document).count("**missed**") == 2


def test_a_row_is_trained_judged_and_drawn_and_then_only_judged(module, tmp_path: Path, monkeypatch) -> None:
    models, table = module("models"), module("models_table")
    small = {"batch": 16, "width": 4, "steps": 2, "points": 64, "critic_width": 4, "picture_every": 0, "ema": None}
    plain = models.runs.train

    def train(model: str, data: str, out: Path, *, changes: Any, resume: bool, progress: Any) -> Any:
        small_changes = [
            f"{name}={value}" for name, value in small.items() if not (model == "aeot" and "c" in name[:1])
        ]
        return plain(model, data, out, changes=[] if resume else [*changes, *small_changes], resume=resume)

    monkeypatch.setattr(models.runs, "train", train)
    monkeypatch.setattr(models, "TOY_SAMPLES", 40)
    first = models.record("25gaussians/wgan-gp", tmp_path)
    again = models.record("25gaussians/wgan-gp", tmp_path)
    assert first["seconds"] == again["seconds"] and first["scores"] == again["scores"] and first["samples"] == 40
    assert (
        first["preset"]["steps"] == 2 and (tmp_path / "25gaussians" / "wgan-gp" / "evaluation" / "samples.png").exists()
    )
    ours = models.record("8gaussians/aeot", tmp_path)
    assert ours["map"]["converged"] and 0 <= ours["rejected"] < 1 and set(ours["seconds"]) == {"codes", "map"}
    document = {"machine": {"device": DEVICE, "versions": VERSIONS, "date": "today"}, "records": [first, ours]}
    text = table.markdown(json.loads(json.dumps(document)))
    assert "| 8gaussians | AE-OT |" in text and "| 25gaussians | WGAN-GP |" in text
