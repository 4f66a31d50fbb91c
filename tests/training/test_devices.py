"""Two gloo processes on the CPU against one: the numbers of a run do not depend on how its batches are dealt out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import training_devices
import training_run
from otgen.training import checkpoints, read_metrics

SCRIPT = Path(training_devices.__file__)
OPTIONS: dict[str, Any] = {
    "steps": 12, "batch": 16, "log_every": 3, "checkpoint_every": 6, "accelerator": "cpu", "ema": 0.9, "clip_grad": 5.0,
    "optimizer": {"name": "sgd", "lr": 0.02, "momentum": 0.5},
}  # fmt: skip
# Sums of 16 terms in another order, over 48 updates in float32; measured 9e-8.
AGREE = 1e-6


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The folder of runs in two processes."""
    out = tmp_path_factory.mktemp("two")
    command = [sys.executable, str(SCRIPT), str(out), json.dumps(OPTIONS | {"devices": 2})]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return out


def test_two_processes_are_one_to_rounding(two, tmp_path):
    """Two players, a gradient penalty, and a penalty on all codes together, which is no sum over samples."""
    model, history = training_run.run("Gathered", str(tmp_path), OPTIONS)
    found = checkpoints.read(checkpoints.latest(two / "Gathered"))
    for name, value in model.state_dict().items():
        assert found.model[name].numpy() == pytest.approx(value.numpy(), rel=AGREE, abs=AGREE), name
    rows = read_metrics(two / "Gathered" / "metrics.csv")
    for column in ("loss/critic", "loss/generator", "penalty"):
        assert [row[column] for row in rows] == pytest.approx(history.column(column), rel=AGREE, abs=AGREE)


@pytest.mark.parametrize("kind", training_devices.KINDS)
def test_the_ranks_end_with_one_model(two, kind):
    saved = checkpoints.read(checkpoints.latest(two / kind)).model
    for rank in range(2):
        mine = load_file(two / kind / f"rank-{rank}.safetensors")
        assert mine.keys() == saved.keys() and all(torch.equal(mine[name], saved[name]) for name in saved)


@pytest.mark.parametrize("kind", training_devices.KINDS)
def test_two_processes_resume_bit_for_bit(two, kind):
    """The autoencoder's noise, dropout and batch statistics are each rank's own."""
    one, other = (checkpoints.read(checkpoints.latest(two / name)) for name in (kind, f"{kind}-parts"))
    for name in ("model", "ema", "optimizers"):
        mine, theirs = getattr(one, name), getattr(other, name)
        assert mine.keys() == theirs.keys() and all(torch.equal(mine[key], theirs[key]) for key in mine), name
    assert one.state["random"] == other.state["random"]
    noise = one.state["random"]["noise"]
    assert len(noise) == 2 and noise[0] != noise[1]
