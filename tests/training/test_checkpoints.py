"""Checkpoints are whole or are not there, and what is broken is said."""

from __future__ import annotations

import json
import os

import pytest
import torch
from torch import nn

from full_disk import full_disk
from otgen.training import checkpoints

STATE = {key: None for key in checkpoints.KEYS if key not in ("step", "sha256")}


def tensors(value=1.0):
    return {
        "model": {"weight": torch.full((2, 3), value), "bias": torch.full((2,), value)},
        "ema": {"weight": torch.full((2, 3), value + 1), "bias": torch.full((2,), value)},
        "optimizers": {"critic/0/step": torch.tensor(value)},
    }


def write(out, step, value=1.0):
    return checkpoints.write(out, step, tensors(value), STATE)


def test_what_is_written_is_read(tmp_path):
    path = write(tmp_path, 12, 3.0)
    found = checkpoints.read(path)
    assert checkpoints.latest(tmp_path) == path == found.path and found.state["step"] == 12
    assert torch.equal(found.model["weight"], torch.full((2, 3), 3.0)) and found.ema is not None
    assert found.optimizers["critic/0/step"] == 3.0


def test_the_last_two_are_kept_in_the_order_of_their_steps(tmp_path):
    for step in (9, 99, 1_000_000_000, 1_000_000_001):
        write(tmp_path, step)
    assert [path.name for path in checkpoints.steps(tmp_path)] == ["step-1000000000", "step-1000000001"]
    assert len(list((tmp_path / checkpoints.FOLDER).iterdir())) == 2


def test_a_step_may_be_written_again(tmp_path):
    write(tmp_path, 5, 1.0)
    assert checkpoints.read(write(tmp_path, 5, 2.0)).model["bias"][0] == 2.0


def test_tied_weights_are_written_twice(tmp_path):
    weight = torch.ones(3)
    path = checkpoints.write(tmp_path, 1, {"model": {"a": weight, "b": weight[:2]}, "optimizers": {}}, STATE)
    assert set(checkpoints.read(path).model) == {"a", "b"}


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.mark.parametrize("count", range(12))
def test_a_write_that_is_cut_off_anywhere_leaves_the_one_before(tmp_path, monkeypatch, count):
    write(tmp_path, 1)
    write(tmp_path, 2)
    left = count

    def counted(function):
        def call(*arguments, **options):
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            return function(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "_sha256", counted(checkpoints._sha256))
        patch.setattr(checkpoints, "_sync", counted(checkpoints._sync))
        patch.setattr(os, "replace", counted(os.replace))
        patch.setattr(checkpoints.shutil, "rmtree", counted(checkpoints.shutil.rmtree))
        try:
            write(tmp_path, 3, 3.0)
        except Killed:
            pass
    steps = [checkpoints.read(path).state["step"] for path in checkpoints.steps(tmp_path)]
    assert steps[-1] == (3 if count >= 9 else 2) and len(steps) in (2, 3)
    write(tmp_path, 4)
    names = sorted(path.name for path in (tmp_path / checkpoints.FOLDER).iterdir())
    assert len(names) == 2 and not any(name.startswith(".") for name in names)


@pytest.mark.parametrize("name", ["model.safetensors", "ema.safetensors", "optimizers.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing"])
def test_a_damaged_file_is_named(tmp_path, name, damage):
    path = write(tmp_path, 5)
    file = path / name
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
    elif damage == "truncated":
        file.write_bytes(content[:-9])
    else:
        file.write_bytes(content[:20] + bytes([content[20] ^ 255]) + content[21:])
    with pytest.raises(
        ValueError, match=f"{name} must be part of a whole checkpoint.*Delete .*step-000000005 to go on"
    ):
        checkpoints.read(path)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"otgen": "map"}, "it is a map"),
        ({"version": 99}, "must be of version 1; it is of version 99. Read it with the otgen that wrote it"),
        ({"sha256": {"../model.safetensors": "0"}}, "it names files outside its folder"),
        ({"sha256": {}}, "it lacks model, optimizers.safetensors"),
    ],
)
def test_another_state_is_refused(tmp_path, change, words):
    path = write(tmp_path, 5)
    state = json.loads((path / "state.json").read_text())
    (path / "state.json").write_text(json.dumps(state | change))
    with pytest.raises(ValueError, match=words):
        checkpoints.read(path)
    del state["random"]
    (path / "state.json").write_text(json.dumps(state))
    with pytest.raises(ValueError, match="it lacks random"):
        checkpoints.read(path)


def test_load_fills_a_model_with_the_average_or_the_last_weights(tmp_path):
    path = write(tmp_path, 5, 1.0)
    assert checkpoints.load(tmp_path, nn.Linear(3, 2)).weight[0, 0] == 2.0
    assert checkpoints.load(path, nn.Linear(3, 2), ema=False).weight[0, 0] == 1.0
    assert not checkpoints.load(path, nn.Linear(3, 2)).training
    bare = checkpoints.write(tmp_path, 6, {name: tensors()[name] for name in ("model", "optimizers")}, STATE)
    assert checkpoints.load(bare, nn.Linear(3, 2)).weight[0, 0] == 1.0
    with pytest.raises(ValueError, match="holds no average of the weights: the run had ema=None"):
        checkpoints.load(bare, nn.Linear(3, 2), ema=True)


def test_load_says_what_does_not_fit(tmp_path):
    with pytest.raises(FileNotFoundError, match="must hold a run with a checkpoint; it holds none"):
        checkpoints.load(tmp_path, nn.Linear(3, 2))
    write(tmp_path, 5)
    with pytest.raises(ValueError, match="holds the weights of another model.*size mismatch"):
        checkpoints.load(tmp_path, nn.Linear(4, 2))
    with pytest.raises(ValueError, match="model must be passed for .*: it has networks of the user's own"):
        checkpoints.load(tmp_path)


def test_a_full_disk_leaves_the_one_before_and_says_so(tmp_path):
    before = write(tmp_path, 1, 3.0)
    large = {"model": {"weight": torch.zeros(5000)}, "optimizers": {}}
    with full_disk(2000), pytest.raises(OSError, match=r"step-000000002 cannot be written: .*too large.*Free some spa"):
        checkpoints.write(tmp_path, 2, large, STATE)
    assert checkpoints.latest(tmp_path) == before and checkpoints.read(before).model["bias"][0] == 3.0
    assert [path.name for path in (tmp_path / checkpoints.FOLDER).iterdir()] == [before.name]
