"""Trained models in folders: weights as safetensors, an AEOT's map as npz, all else as JSON; nothing is unpickled."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .. import folders
from ..options import read_path
from ..transport.semidiscrete import SemiDiscreteOT
from .ae_ot import AEOT
from .catalogue import build
from .protocol import Model

DESCRIPTION, WEIGHTS, MAP = "model.json", "weights.safetensors", "map.npz"
KIND, VERSION = "otgen model", 1
KEYS = ("model", "dtype", "sha256", "notes", "versions")
INSTALL = "saved models need safetensors. Run: pip install 'otgen[models]'"


def save(model: Model | AEOT, folder: Any, *, notes: Mapping[str, Any] | None = None) -> Path:
    """Write a model to a folder, which is replaced at once or not at all, and return its path.

    notes are JSON values to keep beside it (preset, data), which `read_notes` returns. Raises TypeError for what is no
    model of otgen, ValueError for a folder that holds something else, RuntimeError for an AEOT without a map,
    ModuleNotFoundError without safetensors.
    """
    folder = read_path(folder, "folder")
    if not isinstance(model, (Model, AEOT)):
        raise TypeError(f"model must be a model of otgen.models; got {type(model).__name__}. Pass one of them.")
    if folder.exists() and not (folder.is_dir() and (not any(folder.iterdir()) or (folder / DESCRIPTION).exists())):
        raise ValueError(f"folder must be new, empty or hold a saved model; {folder} does not. Pass another folder.")
    network = _network(model)
    with folders.written(folder) as partial:
        if network is not None:
            _save_weights(network, partial / WEIGHTS)
        if isinstance(model, AEOT):
            model.check_fitted()
            model.map.save(partial / MAP)
        description = {
            "otgen": KIND, "version": VERSION, "model": _config(model), "dtype": _dtype(network),
            "sha256": {path.name: folders.sha256(path) for path in partial.iterdir()}, "notes": dict(notes or {}),
            "versions": {name: str(sys.modules[name].__version__) for name in ("otgen", "torch")},
        }  # fmt: skip
        (partial / DESCRIPTION).write_text(json.dumps(description, indent=1), encoding="utf-8")
    return folder


def load(folder: Any, **networks: Any) -> Any:
    """The model in a folder, on the CPU and in eval mode.

    networks are the user's own modules by the names that the model was made with, which no file holds: their weights
    are read into them. For an AEOT they are those of its autoencoder; one that is no model of otgen is passed whole,
    autoencoder=. Raises FileNotFoundError where there is no model, ValueError for a damaged one or for networks that do
    not fit.
    """
    folder = read_path(folder, "folder")
    found = _read(folder)
    config = dict(found["model"])
    if config.get("model") != "aeot":
        return _filled(folder, found, _build(folder, config, networks))
    autoencoder = networks.get("autoencoder")
    if config["autoencoder"] is not None:
        autoencoder = _filled(folder, found, _build(folder, config["autoencoder"], networks))
    elif set(networks) != set(config["custom"]):
        raise ValueError(
            f"load takes the networks that were the user's own: {config['custom']}; got {sorted(networks)}. Pass "
            f"{', '.join(f'{name}=' for name in config['custom']) or 'the folder alone'}."
        )
    elif isinstance(autoencoder, nn.Module):
        autoencoder = _filled(folder, found, autoencoder)
    model = AEOT(autoencoder, theta=config["theta"], quantile=config["quantile"])
    return model.use_map(SemiDiscreteOT.load(folder / MAP))


def read_notes(folder: Any) -> dict[str, Any]:
    """What `save` was given as notes; raises as `load` does."""
    return _read(read_path(folder, "folder"))["notes"]


def _read(folder: Path) -> dict[str, Any]:
    """The description, once all files of the folder are found to be those that were written."""
    file = folder / DESCRIPTION
    if not file.exists():
        raise FileNotFoundError(f"{folder} must hold a model that otgen saved; it has no {DESCRIPTION}. Pass another.")
    found = folders.read_description(file, KIND, VERSION, KEYS, _damaged)
    for name, known in found["sha256"].items():
        if name not in (WEIGHTS, MAP):
            raise _damaged(file, f"it names {name!r}")
        try:
            same = folders.sha256(folder / name) == known
        except OSError as error:
            raise _damaged(folder / name, error) from error
        if not same:
            raise _damaged(folder / name, "its bytes are not those that were written")
    return found


def _network(model: Model | AEOT) -> nn.Module | None:
    """What has weights to save."""
    network = model.autoencoder if isinstance(model, AEOT) else model
    return network if isinstance(network, nn.Module) else None


def _config(model: Model | AEOT) -> dict[str, Any]:
    if isinstance(model, Model):
        return model.config()
    own = model.autoencoder
    config = own.config() if isinstance(own, Model) else None
    custom = ["autoencoder"] if own is not None and config is None else []
    angle = {"theta": model.theta, "quantile": model.quantile}
    return {"model": "aeot", **angle, "autoencoder": config, "custom": custom}


def _build(folder: Path, config: dict[str, Any], networks: Mapping[str, Any]) -> Model:
    try:
        return build(config, **networks)
    except TypeError as error:  # an option of a wrong kind; networks have errors of their own words
        if networks:
            raise
        raise _damaged(folder / DESCRIPTION, error) from error


def _dtype(network: nn.Module | None) -> str:
    like = next(network.parameters(), torch.empty(0)) if network is not None else torch.empty(0)
    return str(like.dtype).removeprefix("torch.")


def _save_weights(network: nn.Module, path: Path) -> None:
    try:
        from safetensors.torch import save_file
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(INSTALL, name=error.name) from None
    # A copy each: safetensors refuses tensors that share memory, as tied weights do.
    values = {name: value.detach().to("cpu", copy=True).contiguous() for name, value in network.state_dict().items()}
    save_file(values, path)


def _filled(folder: Path, found: dict[str, Any], network: Any) -> Any:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(INSTALL, name=error.name) from None
    dtype = getattr(torch, str(found["dtype"]), None)
    if not isinstance(dtype, torch.dtype):
        raise _damaged(folder / DESCRIPTION, f"its dtype is {found['dtype']!r}")
    try:
        values = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise _damaged(folder / WEIGHTS, error) from error
    try:
        network.to(dtype).load_state_dict(values)
    except RuntimeError as error:
        raise ValueError(
            f"{folder} holds the weights of other networks than those given. Pass those it was saved with. torch says: "
            f"{' '.join(str(error).split())}"
        ) from error
    return network.eval()


def _damaged(path: Path, error: Any) -> ValueError:
    return ValueError(f"{path} must be part of a whole saved model; reading it failed: {error}. Save the model anew.")
