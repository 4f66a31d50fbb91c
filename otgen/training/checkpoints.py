"""Checkpoints: folders of safetensors and JSON, whole or not at all whenever a process is killed. No pickles."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..folders import read_description, worded
from ..folders import remove as _remove
from ..folders import sha256 as _sha256
from ..folders import sync as _sync

FOLDER = "checkpoints"
KIND = "otgen training checkpoint"
VERSION = 1
KEPT = 2  # a run that was spoilt by its last steps can still go back one
STATE = "state.json"
KEYS = ("step", "sha256", "options", "model", "data", "device", "seconds", "losses", "random", "versions")
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """What a folder holds: the weights, their average or None, the optimisers' tensors, and all that is no tensor."""

    path: Path
    model: Tensors
    ema: Tensors | None
    optimizers: Tensors
    state: dict[str, Any]


def write(out: Path, step: int, tensors: Mapping[str, Tensors], state: Mapping[str, Any]) -> Path:
    """Write the checkpoint of a step under out/checkpoints and return its folder; keep that and the one before it.

    tensors are named by file: model, ema, optimizers. Files go to a hidden folder, then to the disk itself, then under
    their name by one rename; what a killed process left is removed.
    """
    from safetensors.torch import save_file

    root = out / FOLDER
    root.mkdir(parents=True, exist_ok=True)
    for left in root.glob(".step-*"):
        shutil.rmtree(left)
    target = root / f"step-{step:09d}"
    partial = root / f".{target.name}.partial"
    sums = {}
    with worded(target):
        try:
            partial.mkdir()
            for name, values in tensors.items():
                path = partial / f"{name}.safetensors"
                # A copy each: safetensors refuses tensors that share memory, as tied weights do.
                save_file(
                    {key: value.detach().to("cpu", copy=True).contiguous() for key, value in values.items()}, path
                )
                sums[path.name] = _sha256(path)
            text = json.dumps({"otgen": KIND, "version": VERSION, "step": step, "sha256": sums, **state}, indent=1)
            (partial / STATE).write_text(text, encoding="utf-8")
            for path in (*partial.iterdir(), partial):
                _sync(path)
            if target.exists():
                _remove(target)
            os.replace(partial, target)
            _sync(root)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    for old in steps(out)[:-KEPT]:
        _remove(old)
    return target


def steps(out: Path) -> list[Path]:
    """Return the folders of the checkpoints under out, oldest first."""
    root = out / FOLDER
    named = [path for path in root.iterdir() if re.fullmatch(r"step-\d{9,}", path.name)] if root.is_dir() else []
    return sorted(named, key=lambda path: int(path.name[5:]))


def latest(out: Any) -> Path:
    """Return the newest checkpoint of the run in folder out; raise FileNotFoundError where there is none."""
    found = steps(Path(out))
    if not found:
        raise FileNotFoundError(
            f"{out} must hold a run with a checkpoint; it holds none. Train with out={str(out)!r} first."
        )
    return found[-1]


def read(path: Any) -> Checkpoint:
    """Return the checkpoint in a folder; raise ValueError for one that is damaged, incomplete or not otgen's."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(path)
    state, tensors = _read_state(path), {}
    for name, known in state["sha256"].items():
        file = path / name
        try:
            if _sha256(file) != known:
                raise ValueError("its bytes are not those that were written")
            tensors[file.stem] = load_file(file)
        except (OSError, ValueError, SafetensorError) as error:
            raise _damaged(file, error) from error
    missing = {"model", "optimizers"} - set(tensors)
    if missing:
        raise _damaged(path, f"it lacks {', '.join(sorted(missing))}.safetensors")
    return Checkpoint(path, tensors["model"], tensors.get("ema"), tensors["optimizers"], state)


def _read_state(path: Path) -> dict[str, Any]:
    file = path / STATE
    state = read_description(file, KIND, VERSION, KEYS, _damaged)
    if any(Path(name).name != name for name in state.get("sha256", {})):
        raise _damaged(file, "it names files outside its folder")
    return state


def load_weights(model: torch.nn.Module, checkpoint: Checkpoint, *, ema: bool = False) -> None:
    """Put the weights, or their average, into a model; raise ValueError where they do not fit it."""
    values = checkpoint.ema if ema else checkpoint.model
    if values is None:
        raise ValueError(f"{checkpoint.path} holds no average of the weights: the run had ema=None. Pass ema=False.")
    try:
        model.load_state_dict(values)
    except RuntimeError as error:
        raise ValueError(
            f"{checkpoint.path} holds the weights of another model. Build the one of its config "
            f"{checkpoint.state.get('model')}. torch says: {' '.join(str(error).split())}"
        ) from error


def load(path: Any, model: torch.nn.Module | None = None, *, ema: bool | None = None) -> Any:
    """The model of a run, with the weights of its newest checkpoint, in eval mode.

    path is the run's folder, or that of one checkpoint. model is the module to fill; None builds the one that the
    checkpoint describes. ema is True for the average of the weights, False for the last ones, None for the average
    where there is one. Raises FileNotFoundError where there is no checkpoint, ValueError for a damaged one or
    for one of another model.
    """
    path = Path(path)
    checkpoint = read(path if (path / STATE).exists() else latest(path))
    if model is None:
        model = _build(checkpoint)
    load_weights(model, checkpoint, ema=checkpoint.ema is not None if ema is None else ema)
    return model.eval()


def _build(checkpoint: Checkpoint) -> torch.nn.Module:
    config = checkpoint.state["model"]
    if config is None or config.get("custom"):
        raise ValueError(
            f"model must be passed for {checkpoint.path}: it has networks of the user's own, which no file holds. Make "
            "the model as it was made for the run."
        )
    from ..models import build

    return build(config)


def _damaged(path: Path, error: Any) -> ValueError:
    folder = path if path.name.startswith("step-") else path.parent
    return ValueError(
        f"{path} must be part of a whole checkpoint of otgen; reading it failed: {error}. Delete {folder} to go on "
        "from the checkpoint before it."
    )
