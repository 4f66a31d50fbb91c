"""A run that was killed goes on to the losses and weights of one that never was."""

from __future__ import annotations

import json
import pickle
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import training_run
from otgen.training import TrainOptions, checkpoints, read_metrics, train
from training_models import Autoencoder, Gan, points, seeded

SCRIPT = Path(training_run.__file__)
OPTIONS: dict[str, Any] = {
    "steps": 40, "batch": 16, "log_every": 4, "checkpoint_every": 7, "accelerator": "cpu", "ema": 0.9, "seed": 5,
    "clip_grad": 1.0, "schedule": {"name": "cosine", "warmup": 0.1}, "optimizer": {"name": "adam", "lr": 0.01},
}  # fmt: skip


def killed(kind, out, **how):
    print(how)  # pytest shows it if the test fails
    command = [sys.executable, str(SCRIPT), json.dumps({"kind": kind, "out": str(out), "options": OPTIONS, **how})]
    done = subprocess.run(command, capture_output=True, text=True, cwd=SCRIPT.parents[1])
    assert done.returncode == -signal.SIGKILL, done.stderr


def without_time(rows):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def assert_same_run(one, other):
    """The last checkpoints of two folders hold the same bits, and their logs the same numbers."""
    found, expected = (checkpoints.read(checkpoints.latest(out)) for out in (one, other))
    for name in ("model", "ema", "optimizers"):
        mine, theirs = getattr(found, name), getattr(expected, name)
        assert mine.keys() == theirs.keys() and mine
        assert all(torch.equal(mine[key], theirs[key]) for key in mine), name
    assert found.state["random"] == expected.state["random"] and found.state["step"] == expected.state["step"]
    logs = [without_time(read_metrics(out / "metrics.csv")) for out in (one, other)]
    assert logs[0] == logs[1] and len(logs[0]) == 10


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folders of runs that were never stopped."""
    out = tmp_path_factory.mktemp("whole")
    for kind in ("Autoencoder", "Gan"):
        training_run.run(kind, str(out / kind), OPTIONS)
    return out


def test_a_kill_in_the_midst_of_an_update(tmp_path, whole):
    killed("Autoencoder", tmp_path, kill_update=random.randrange(8, 40))
    assert read_metrics(tmp_path / "metrics.csv")
    training_run.run("Autoencoder", str(tmp_path), OPTIONS, resume=True)
    assert_same_run(tmp_path, whole / "Autoencoder")


def test_a_kill_in_the_midst_of_a_checkpoint_and_another_of_an_update(tmp_path, whole):
    killed("Gan", tmp_path, kill_sync=random.randrange(8, 6 * 6))
    training_run.run("Gan", str(tmp_path), OPTIONS, resume=True)
    assert_same_run(tmp_path, whole / "Gan")


def test_an_exception_at_any_update_is_resumed_from(tmp_path, whole):
    class Broken(Gan):
        def losses(self, batch, *, generator, only=None):
            if len(self.updates) == self.last:
                raise KeyboardInterrupt
            return super().losses(batch, generator=generator, only=only)

        def config(self):
            return super().config() | {"model": "Gan"}

    for last in (3, 30, 61, 17):
        model = seeded(Broken)
        model.last = last
        with pytest.raises(KeyboardInterrupt):
            train(model, points().numpy(), TrainOptions(**OPTIONS), out=tmp_path, resume=True)
        assert type(model.critic) is torch.nn.Sequential and all(w.requires_grad for w in model.parameters())
    training_run.run("Gan", str(tmp_path), OPTIONS, resume=True)
    assert_same_run(tmp_path, whole / "Gan")


@pytest.mark.parametrize("name", ["adamw", "rmsprop", "sgd"])
def test_every_optimiser_is_resumed(tmp_path, name):
    settings = {"name": name, "lr": 0.01} | ({} if name == "adamw" else {"momentum": 0.9})
    options = OPTIONS | {"optimizer": settings, "schedule": None, "steps": 9}
    _, history = training_run.run("Gan", str(tmp_path / "whole"), options)
    training_run.run("Gan", str(tmp_path / "parts"), options | {"steps": 7})
    _, resumed = training_run.run("Gan", str(tmp_path / "parts"), options, resume=True)
    assert resumed.checkpoint is not None and history.checkpoint is not None
    one, other = (load_file(path / "model.safetensors") for path in (resumed.checkpoint, history.checkpoint))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert without_time(resumed.rows)[-1] == without_time(history.rows)[-1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_run_on_a_gpu_is_resumed(tmp_path):
    class Gpu(Autoencoder):
        """With noise on the device of its generator."""

        def losses(self, batch, *, generator, only=None):
            assert batch.is_cuda and generator.device.type == "cuda"
            shifted = batch + 0.1 * torch.randn(batch.shape, generator=generator, device=batch.device)
            loss = (self.decoder(self.encoder(shifted)) - batch).square().sum(1).mean()
            return {"autoencoder": loss}

    options: dict[str, Any] = {**OPTIONS, "accelerator": "cuda", "schedule": None}
    for out, parts in (("whole", [21]), ("parts", [7, 21])):
        for steps in parts:
            settings = TrainOptions(**{**options, "steps": steps})
            train(seeded(Gpu), points().numpy(), settings, out=tmp_path / out, resume=steps != parts[0])
    one, other = (checkpoints.read(checkpoints.latest(tmp_path / out)) for out in ("whole", "parts"))
    for name in ("model", "ema", "optimizers"):
        mine, theirs = getattr(one, name), getattr(other, name)
        assert all(torch.equal(mine[key], theirs[key]) for key in mine), name
    assert one.state["random"] == other.state["random"] and "cuda" in one.state["random"]


def test_a_run_that_is_over_is_left_as_it_is(tmp_path):
    options = OPTIONS | {"steps": 7}
    model, history = training_run.run("Autoencoder", str(tmp_path), options)
    before = (history.checkpoint / "state.json").read_bytes() if history.checkpoint else b""
    again, same = training_run.run("Autoencoder", str(tmp_path), options, resume=True)
    assert same.rows == history.rows and same.steps == 7 and same.checkpoint == history.checkpoint
    assert (same.checkpoint / "state.json").read_bytes() == before if same.checkpoint else False
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), model.state_dict().values()))
    assert same.ema is not None and history.ema is not None and same.ema.keys() == history.ema.keys()
    assert all(torch.equal(same.ema[name], history.ema[name]) for name in same.ema)


def test_resume_starts_a_run_where_there_is_none(tmp_path):
    (tmp_path / "metrics.csv").write_text("step,loss/autoencoder\n4,1.0\n")  # killed before its first checkpoint
    _, history = training_run.run("Autoencoder", str(tmp_path), OPTIONS | {"steps": 4}, resume=True)
    assert history.steps == 4 and len(history.rows) == 1 and history.rows[0]["loss/autoencoder"] != 1.0


def test_a_run_in_the_folder_is_not_overwritten(tmp_path):
    training_run.run("Autoencoder", str(tmp_path), OPTIONS | {"steps": 4})
    with pytest.raises(
        ValueError, match=r"out must be a folder without a run; .* up to step-000000004. Pass resume=True"
    ):
        training_run.run("Autoencoder", str(tmp_path), OPTIONS | {"steps": 4})


def test_a_run_goes_on_as_it_was_begun(tmp_path):
    constant = OPTIONS | {"steps": 4, "schedule": None}
    training_run.run("Autoencoder", str(tmp_path), constant)
    for changes, words in [
        ({"batch": 8}, "options.batch was 16 and is 8"),
        ({"ema": None}, "options.ema was 0.9 and is None"),
        ({"seed": 6}, "options.seed was 5 and is 6"),
        ({"schedule": {"name": "cosine"}}, "options.schedule was None and is {'name': 'cosine'"),
    ]:
        with pytest.raises(ValueError, match=f"resume goes on with the run in .* as it was begun; {words}"):
            training_run.run("Autoencoder", str(tmp_path), constant | changes, resume=True)
    options = TrainOptions(**constant)
    with pytest.raises(ValueError, match="model.model was 'Autoencoder' and is 'Gan'. Pass the former, or another out"):
        train(seeded(Gan), points().numpy(), options, out=tmp_path, resume=True)
    with pytest.raises(ValueError, match="data.n was 96 and is 95"):
        train(seeded(Autoencoder), points(95).numpy(), options, out=tmp_path, resume=True)
    with pytest.raises(ValueError, match="data.samples was .* and is .*"):
        train(seeded(Autoencoder), -points().numpy(), options, out=tmp_path, resume=True)
    training_run.run("Autoencoder", str(tmp_path), constant | {"steps": 6, "log_every": 1}, resume=True)


def test_the_length_of_a_run_with_a_schedule_is_fixed(tmp_path):
    training_run.run("Autoencoder", str(tmp_path), OPTIONS | {"steps": 4})
    with pytest.raises(ValueError, match="options.steps was 4 and is 5"):
        training_run.run("Autoencoder", str(tmp_path), OPTIONS | {"steps": 5}, resume=True)


def test_a_damaged_checkpoint_is_not_resumed_from(tmp_path):
    training_run.run("Autoencoder", str(tmp_path), OPTIONS | {"steps": 9})
    newest = checkpoints.latest(tmp_path)
    (newest / "optimizers.safetensors").write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"optimizers.safetensors must be part of a whole checkpoint.*Delete .*step-000000009"
    ):
        training_run.run("Autoencoder", str(tmp_path), OPTIONS | {"steps": 9}, resume=True)
    for file in newest.iterdir():
        file.unlink()
    newest.rmdir()
    _, history = training_run.run("Autoencoder", str(tmp_path), OPTIONS | {"steps": 9}, resume=True)
    assert history.steps == 9


def test_nothing_is_unpickled(tmp_path, monkeypatch):
    training_run.run("Gan", str(tmp_path), OPTIONS | {"steps": 7})

    def refuse(*_, **__):
        raise AssertionError("unpickled")

    for owner, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load")):
        monkeypatch.setattr(owner, name, refuse)
    _, history = training_run.run("Gan", str(tmp_path), OPTIONS | {"steps": 7}, resume=True)
    checkpoints.load(tmp_path, seeded(Gan))
    assert history.steps == 7
