"""What a run logs of its critic and its duality gap: the numbers of their own functions, and when it stops by them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from otgen import preset_fields, presets, run_watch, runs
from otgen.data import load
from otgen.models import build, critic_score, saved
from otgen.training import Stop, read_metrics

pytest.importorskip("safetensors")
pytest.importorskip("lightning_fabric")

SMALL = [
    "points=64", "batch=16", "width=4", "critic_width=4", "steps=8", "log_every=8", "picture_every=0",
    "critic_steps=5",
]  # fmt: skip


def preset(model: str, *changes: str) -> Any:
    return preset_fields.changed(presets.of(model, (2,)), [*SMALL, *changes])


def test_the_log_holds_the_critics_estimate_beside_the_exact_distance(tmp_path) -> None:
    runs.train("wgan-clip", "ring", tmp_path, changes=[*SMALL, "watch_every=6", "watch_points=20"])
    rows = [row for row in read_metrics(tmp_path / "metrics.csv") if "critic/exact" in row]
    assert [row["epoch"] for row in rows] == [6.0, 12.0]  # six updates a cycle, four an epoch
    assert all(row["critic/estimate"] <= row["critic/exact"] * (1 + 1e-9) for row in rows)
    assert all(row["critic/estimate"] <= 0 or row["critic/difference"] > 0 for row in rows)
    runs.train("wgan-clip", "ring", tmp_path / "none", changes=[*SMALL, "watch_every=0"])
    assert all("critic/exact" not in row for row in read_metrics(tmp_path / "none" / "metrics.csv"))
    left, right = (saved.load(path / "model").state_dict() for path in (tmp_path / "none", tmp_path))
    assert all(torch.equal(left[name], right[name]) for name in left)  # to look changes nothing


def test_it_is_the_score_of_a_fixed_batch_drawn_by_seed_and_epoch() -> None:
    chosen = preset("wgan-gp", "seed=3", "watch_every=2", "watch_points=10")
    data = load("moons", n=64)
    look = run_watch.watcher(chosen, data)
    model: Any = build(chosen.config((2,)))
    assert look is not None and look(model, 1) is None
    found = look(model, 2)
    rows = np.sort(np.random.default_rng(3).permutation(64)[:10])
    score = critic_score(model, torch.from_numpy(data.x[rows]), generator=torch.Generator().manual_seed(5))
    assert found == dict(zip(run_watch.CRITIC, (score.difference, score.estimate, score.exact)))
    assert look(model, 2) == found and look(model, 4) != found


def test_the_duality_gap_joins_the_log_and_ends_a_run(tmp_path) -> None:
    changes = [*SMALL, "watch_every=3", "gap_budget=2"]
    runs.train("iwgan", "moons", tmp_path / "whole", changes=changes)
    rows = [row for row in read_metrics(tmp_path / "whole" / "metrics.csv") if "gap/value" in row]
    assert len(rows) == 4 and all(
        row["gap/upper"] - row["gap/lower"] == pytest.approx(row["gap/value"]) for row in rows
    )
    report = runs.train("iwgan", "moons", tmp_path / "cut", changes=[*changes, "stop_gap=1e9"])
    assert report["phases"]["training"]["steps"] == 2
    last = read_metrics(tmp_path / "cut" / "metrics.csv")[-1]
    assert last["step"] == 2 and last["gap/value"] == rows[0]["gap/value"]
    with pytest.raises(Stop):
        look = run_watch.watcher(preset("iwgan", "gap_budget=1", "stop_gap=1e9"), load("moons", n=64))
        assert look is not None
        look(build(preset("iwgan").config((2,))), 100)


def test_a_run_that_stopped_by_its_gap_goes_on_without_it(tmp_path) -> None:
    changes = [*SMALL, "watch_every=3", "gap_budget=1", "stop_gap=1e9"]
    report = runs.train("iwgan", "moons", tmp_path, changes=changes)
    assert report["phases"]["training"]["stopped"] and "at stop_gap" in runs.told(report)
    assert runs.train("iwgan", "moons", tmp_path, resume=True)["skipped"] == ["training"]
    report = runs.train("iwgan", "moons", tmp_path, changes=["stop_gap=none"], resume=True)
    assert report["skipped"] == [] and report["phases"]["training"]["steps"] == 8


def test_a_loss_that_is_not_finite_is_told_as_one(tmp_path) -> None:
    changes = [*SMALL, "watch_every=1", "lr=1e30"]
    with pytest.raises(FloatingPointError, match="Lower"):
        runs.train("wgan-gp", "ring", tmp_path, changes=changes)
    assert (tmp_path / "run.json").exists()


def test_nothing_is_looked_at_without_a_critic() -> None:
    assert run_watch.watcher(presets.of("vae", (2,)), load("moons", n=64)) is None
    assert run_watch.together(None, None) is None


def test_looks_are_joined() -> None:
    look = run_watch.together(lambda _, epoch: {"a": epoch}, None, lambda *_: None, lambda *_: {"b": 1.0})
    assert look is not None and look(None, 3) == {"a": 3, "b": 1.0}

    def stop(*_: Any) -> None:
        raise Stop({"c": 2.0})

    look = run_watch.together(lambda *_: {"a": 1.0}, stop)
    assert look is not None
    with pytest.raises(Stop) as told:
        look(None, 1)
    assert told.value.args == ({"a": 1.0, "c": 2.0},)


def test_what_is_refused_before_the_run() -> None:
    data = load("moons", n=64)
    for model, change, message in (
        ("wgan-gp", "watch_every=-1", "watch_every must be an int >= 1"),
        ("wgan-gp", "watch_points=0", "watch_points must be an int >= 1"),
        ("iwgan", "gap_budget=-2", "gap_budget must be an int >= 1"),
        ("iwgan", "stop_gap=0.1", "stop_gap needs gap_budget, which is 0; got stop_gap=0.1. Pass --set gap_budget=200"),
        ("iwgan", "stop_gap=-0.1", "stop_gap must be a finite number >= 0; got -0.1"),
    ):
        with pytest.raises(ValueError, match=message):
            run_watch.watcher(preset(model, change, *(["gap_budget=0"] if change == "stop_gap=0.1" else [])), data)
