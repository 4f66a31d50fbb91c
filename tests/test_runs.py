"""Runs: what a folder holds, interrupted runs that end as if they had not been, phases that are skipped."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import otgen
from otgen import runs
from otgen.models import AE, AEOT, WAE, saved
from otgen.run_pictures import picture
from otgen.training import read_metrics
from torch_threads import one_thread as one_thread

pytest.importorskip("safetensors")
pytest.importorskip("lightning_fabric")

SMALL = ["points=64", "batch=16", "width=4", "steps=8", "checkpoint_every=2", "log_every=2", "picture_every=0"]
MAP = ["points=64", "tol=1e-3", "picture_every=0"]


def stop_at(**wanted: Any) -> Any:
    """A progress function that interrupts at a report."""

    def tell(info: dict[str, Any]) -> None:
        if all(info.get(name) == value for name, value in wanted.items()):
            raise KeyboardInterrupt

    return tell


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return saved.load(folder).state_dict()


def test_a_run_leaves_a_model_a_log_and_what_it_was_told(tmp_path) -> None:
    report = runs.train("wae-gan", "8gaussians", tmp_path, changes=[*SMALL, "lr=0.01"])
    model = saved.load(tmp_path / "model")
    assert isinstance(model, WAE) and model.penalty == "gan"
    facts = json.loads((tmp_path / "run.json").read_text())
    assert facts["model"] == "wae-gan" and facts["data"] == "8gaussians" and facts["preset"]["lr"] == 0.01
    assert facts["phases"]["training"]["steps"] == 8 and report["converged"] and report["skipped"] == []
    assert saved.read_notes(tmp_path / "model")["preset"]["lr"] == 0.01
    assert [row["step"] for row in read_metrics(tmp_path / "metrics.csv")] == [2, 4, 6, 8]
    found = runs.sample(tmp_path, 7, seed=3)
    assert found.shape == (7, 2) and found.dtype == np.float32 and not (tmp_path / "samples").exists()
    np.testing.assert_array_equal(found, runs.sample(tmp_path, 7, seed=3))
    assert (found != runs.sample(tmp_path, 7, seed=4)).any()
    assert "training  " in runs.told(report) and "8 steps" in runs.told(report)


def test_the_average_of_the_weights_is_what_is_saved(tmp_path) -> None:
    runs.train("vae", "moons", tmp_path / "last", changes=SMALL)
    runs.train("vae", "moons", tmp_path / "mean", changes=[*SMALL, "ema=0.9"])
    last, mean = weights(tmp_path / "last" / "model"), weights(tmp_path / "mean" / "model")
    assert any(not torch.equal(last[name], mean[name]) for name in last)


def test_an_interrupted_run_ends_as_one_that_was_not(tmp_path) -> None:
    runs.train("wgan-gp", "ring", tmp_path / "whole", changes=[*SMALL, "critic_width=4", "schedule=none"])
    with pytest.raises(KeyboardInterrupt):
        changes = [*SMALL, "critic_width=4", "schedule=none"]  # which would be laid out over the steps
        runs.train("wgan-gp", "ring", tmp_path / "cut", changes=changes, progress=stop_at(step=6))
    with pytest.raises(FileNotFoundError, match="cut holds a run that is not finished. Go on with it"):
        runs.sample(tmp_path / "cut", 3)
    report = runs.train("wgan-gp", "ring", tmp_path / "cut", resume=True)
    whole, cut = weights(tmp_path / "whole" / "model"), weights(tmp_path / "cut" / "model")
    assert report["skipped"] == [] and all(torch.equal(whole[name], cut[name]) for name in whole)
    again = runs.train("wgan-gp", "ring", tmp_path / "cut", resume=True)
    assert again["skipped"] == ["training"] and again["phases"] == report["phases"]
    assert "done before" in runs.told(again)
    longer = runs.train("wgan-gp", "ring", tmp_path / "cut", changes=["steps=10"], resume=True)
    assert longer["skipped"] == [] and longer["phases"]["training"]["steps"] == 10


def test_aeot_of_vectors_is_a_map_alone(tmp_path) -> None:
    report = runs.train("aeot", "8gaussians", tmp_path, changes=MAP)
    assert set(report["phases"]) == {"codes", "map"} and report["converged"]
    model = saved.load(tmp_path / "model")
    assert isinstance(model, AEOT) and model.autoencoder is None and model.theta == 0.2
    codes = np.load(tmp_path / "codes.npy")
    assert codes.shape == (64, 2)
    found = runs.sample(tmp_path, 40, quantile=0.5)
    assert found.shape == (40, 2) and (found != runs.sample(tmp_path, 40)).any()


def test_aeot_goes_on_in_each_phase_and_refits_its_map_alone(tmp_path) -> None:
    changes = [*SMALL, "tol=1e-3", "autoencoder=ae"]
    with pytest.raises(KeyboardInterrupt):
        runs.train("aeot", "moons", tmp_path, changes=changes, progress=stop_at(step=6))
    with pytest.raises(KeyboardInterrupt):
        runs.train("aeot", "moons", tmp_path, resume=True, progress=stop_at(phase="codes"))
    told: list[dict[str, Any]] = []
    report = runs.train("aeot", "moons", tmp_path, resume=True, progress=told.append)
    assert report["skipped"] == ["training"] and {info["phase"] for info in told} == {"codes", "map"}
    assert list(report["phases"]) == ["training", "codes", "map"]
    assert all(found["seconds"] > 0 for found in report["phases"].values())
    lines = [runs.progress_line(info) for info in told]
    assert lines[0] == "codes 64 of 64" and lines[-1].startswith("map: step ")
    again = runs.train("aeot", "moons", tmp_path, resume=True)
    assert again["skipped"] == ["training", "codes", "map"]
    finer = runs.train("aeot", "moons", tmp_path, changes=["tol=1e-8"], resume=True)
    assert finer["skipped"] == ["training", "codes"] and finer["phases"]["map"]["error"]["max_relative"] <= 1e-8
    (tmp_path / "codes.npy").write_bytes(b"short")
    with pytest.raises(ValueError, match=r"codes.npy must hold the codes of this run; reading it failed"):
        runs.train("aeot", "moons", tmp_path, changes=["tol=1e-7"], resume=True)


def test_aeot_takes_the_autoencoder_of_another_run(tmp_path) -> None:
    runs.train("ae", "moons", tmp_path / "ae", changes=SMALL)
    with pytest.raises(ValueError, match="holds an autoencoder, which has no law of codes to sample from. Train aeot"):
        runs.sample(tmp_path / "ae", 3)
    changes = [*MAP, f"autoencoder={tmp_path / 'ae'}"]
    report = runs.train("aeot", "moons", tmp_path / "aeot", changes=changes)
    model = saved.load(tmp_path / "aeot" / "model")
    assert isinstance(model.autoencoder, AE) and set(report["phases"]) == {"codes", "map"}
    before, after = weights(tmp_path / "ae" / "model"), model.autoencoder.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((64, 3)))
    for name, change, message in (
        (
            str(tmp_path / "x.npy"),
            changes[1:],
            r"autoencoder must take the data's shape \(3,\); that of .* takes \(2,\)",
        ),
        ("moons", [*MAP, f"autoencoder={tmp_path / 'no'}"], "no must be the folder of a run; it holds no run.json"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            runs.train("aeot", name, tmp_path / "other", changes=change)
    runs.train("wgan-spectral", "moons", tmp_path / "gan", changes=[*SMALL, "critic_width=4"])
    with pytest.raises(ValueError, match="autoencoder must name a run of an ae, .* holds a wgan without an encoder"):
        runs.train("aeot", "moons", tmp_path / "other", changes=[*MAP, f"autoencoder={tmp_path / 'gan'}"])
    assert not (tmp_path / "other" / "run.json").exists()


def test_a_map_that_stopped_early_is_saved_and_gone_on_with(tmp_path) -> None:
    changes = ["points=64", "picture_every=0", "method=monte_carlo", "tol=0.05", "max_samples=2000"]
    report = runs.train("aeot", "ring", tmp_path, changes=changes)
    assert not report["converged"] and "stopped by max_samples" in runs.told(report)
    assert runs.sample(tmp_path, 5, quantile=0.9).shape == (5, 2)
    report = runs.train("aeot", "ring", tmp_path, changes=["max_samples=none"], resume=True)
    assert report["converged"] and report["skipped"] == ["codes"]


def test_pictures_are_drawn_after_epochs_and_need_matplotlib(tmp_path, monkeypatch) -> None:
    pytest.importorskip("matplotlib")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((32, 1, 8, 8)))
    name, changes = str(tmp_path / "x.npy"), ["epochs=2", "batch=16", "width=4"]
    for model in ("ae", "vae"):
        runs.train(model, name, tmp_path / model, changes=changes)
        drawn = sorted(path.name for path in (tmp_path / model / "samples").iterdir())
        assert drawn == ["epoch-00001.png", "epoch-00002.png"]
    runs.train("vae", "moons", tmp_path / "toy", changes=[*SMALL[:-1], "picture_every=2"])
    assert [path.name for path in (tmp_path / "toy" / "samples").iterdir()] == ["epoch-00002.png"]
    with pytest.raises(ValueError, match=r"only images and points of the plane can be drawn; .* shape \(3,\)"):
        picture(tmp_path / "x.png", np.zeros((4, 3)))
    monkeypatch.setitem(sys.modules, "otgen.plots", None)
    monkeypatch.delattr(otgen, "plots", raising=False)
    warned: list[str] = []
    runs.train("vae", name, tmp_path / "plain", changes=changes, warn=warned.append)
    assert len(warned) == 1 and "no pictures of samples: pictures need matplotlib" in warned[0]
    assert "pip install" in warned[0] and not (tmp_path / "plain" / "samples").exists()


def test_what_a_run_refuses_leaves_no_folder(tmp_path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((32, 1, 8, 8)))
    images, out = str(tmp_path / "x.npy"), tmp_path / "run"
    for arguments, message in (
        (("gan", "moons"), "model must be one of ae, vae"),
        (("ae", "moon"), "name must be one of digits"),
        (("ae", "moons", ["lr=-1"]), r"optimizer\['lr'\] must be finite and not negative"),
        (("ae", "moons", ["batch=16", "points=8"]), "batch must be at most the 8 samples of moons; got 16"),
        (("ae", "moons", ["code=0"]), "code must be an int >= 1"),
        (("ae", "moons", ["steps=1", "epochs=1"]), "one of steps and epochs must be given"),
        (("aeot", "moons", ["source=sphere"]), "source must be a function sampler"),
        (("aeot", images, ["method=newton"]), "method='newton' needs targets in 2 or 3 dimensions; y has 16"),
        (("aeot", images, ["tol=0"]), "tol must be a number >= 1e-05"),
        (("aeot", images, ["autoencoder=none"]), "autoencoder must be ae or the folder of a run for images"),
        (("ae", "moons", ["size=8"]), "size is meant for a folder of images"),
    ):
        model, data, *rest = arguments
        with pytest.raises(ValueError, match=message):
            runs.train(model, data, out, changes=rest[0] if rest else ())
        assert not (out / "run.json").exists()
    with pytest.raises(ValueError, match="out must be a folder; .*x.npy is a file"):
        runs.train("ae", "moons", images, changes=SMALL)


def test_what_a_resumed_run_and_samples_refuse(tmp_path) -> None:
    runs.train("vae", "moons", tmp_path, changes=SMALL)
    before = (tmp_path / "run.json").read_text()
    with pytest.raises(ValueError, match="out must be a folder without a run; .* holds one of vae on moons"):
        runs.train("vae", "moons", tmp_path)
    for model, data, message in (
        ("ae", "moons", "model was vae and is ae"), ("vae", "ring", "data was moons and is ring"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"--resume goes on with a run as it was begun; in .* {message}"):
            runs.train(model, data, tmp_path, resume=True)
    with pytest.raises(ValueError, match="--resume goes on with the preset of the run.*preset='toy' has other fields"):
        runs.train("vae", "moons", tmp_path, resume=True, preset="toy")
    with pytest.raises(ValueError, match="options.batch was 16 and is 32"):
        runs.train("vae", "moons", tmp_path, resume=True, changes=["batch=32"])
    assert (tmp_path / "run.json").read_text() == before
    with pytest.raises(ValueError, match="theta is an angle of the map of an AEOT; .* holds a vae"):
        runs.sample(tmp_path, 3, theta=0.1)
    with pytest.raises(ValueError, match="n must be an int >= 1; got 0"):
        runs.sample(tmp_path, 0)
    with pytest.raises(ValueError, match="seed must be an int >= 0; got -1"):
        runs.sample(tmp_path, 1, seed=-1)
    with pytest.raises(FileNotFoundError, match="must be the folder of a run; it holds no run.json"):
        runs.sample(tmp_path / "samples", 1)
    for text in (before[:50], before.replace("otgen run", "other"), json.dumps({"otgen": "otgen run", "version": 1})):
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(ValueError, match="run.json must describe a run of this otgen; reading it failed"):
            runs.train("vae", "moons", tmp_path, resume=True)
    (tmp_path / "run.json").write_text(before.replace('"lr"', '"rate"'))
    with pytest.raises(ValueError, match="cannot be resumed by this otgen: its preset has other fields than VAEPreset"):
        runs.train("vae", "moons", tmp_path, resume=True)
