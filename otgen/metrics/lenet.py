"""The offline extractor: a small convolutional network that has learnt the labels of the data set, kept on disk."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..data.download import cache_folder
from ..data.sources import DataSet
from ..doctor import install_command
from ..options import check_progress, read_count, read_path
from .door import read_images
from .features import BLOCK, run

VERSION = 1
"""Raised with every change of the network or its training: weights of another version are other features."""

CHANNELS = (16, 32, 64, 64)
FEATURES = 84  # LeNet-5's
BATCH, RATE = 32, 2e-3
LEAST_STEPS = 1_200  # a small set is seen more often: 2 epochs of 1,500 digits would be 97 steps
WEIGHTS, FACTS = "weights.safetensors", "facts.json"
log = logging.getLogger(__name__)


class LeNet:
    """Features (n, 84) of the last hidden layer of a network that `LeNet.trained` has taught the labels of a data set.

    facts holds the set, the network's accuracy on held-out images, and what it was trained by.
    """

    def __init__(self, network: nn.Sequential, facts: dict[str, Any]) -> None:
        self.network, self.facts, self.name = network, facts, f"lenet:{facts['data']}"

    @property
    def accuracy(self) -> float:
        """The share of the held-out images whose label the network finds."""
        return self.facts["accuracy"]

    def extract(self, images: Any) -> np.ndarray:
        """The features (n, 84), float32, of images (n, C, H, W) in [0, 1]; ValueError for those of another shape."""
        read = read_images(images, "images", tuple(self.facts["shape"]))
        return run(self.network[:-1], read, self.name)

    @classmethod
    def trained(
        cls,
        data: DataSet,
        test: DataSet,
        *,
        epochs: int = 2,
        seed: int = 0,
        folder: Any = None,
        progress: Callable[[dict[str, Any]], None] | None = None,
    ) -> LeNet:
        """The network of data's labels: from `folder` where it was trained before, else trained now and kept there.

        Convolutions 5 x 5, ReLU and halving until a side is below 8 pixels; 84 ReLU units, the features; an output a
        class. Cross entropy, Adam at 2e-3 falling to 0, batches of 32, `epochs` and at least 1,200 steps; the accuracy
        is that on `test`. All follows from seed, up to the rounding of the machine: compare numbers of one file. It is
        named by a hash of both sets and all settings. folder None is the cache of downloads.

        progress is called with {"step", "of", "loss"}. Raises TypeError for what is no DataSet, ValueError for sets
        without labels, of two shapes or below 8 pixels and for damaged files, ModuleNotFoundError without safetensors.
        Source: LeCun et al., Proceedings of the IEEE 86 (1998), the type of network.
        """
        classes = _check(data, test)
        settings = {
            "version": VERSION, "shape": list(data.shape), "classes": classes,
            "epochs": read_count(epochs, "epochs", "epochs"), "seed": _check_seed(seed),
        }  # fmt: skip
        check_progress(progress)
        _safetensors()
        place = (
            cache_folder() / "lenet" if folder is None else read_path(folder, "folder")
        ) / f"lenet-{_digest(settings, data, test)}"
        if place.exists():
            return cls(*_read(place))
        network = _train(data, settings, progress)
        facts = {
            **settings, "data": data.name, "accuracy": _accuracy(network, test), "trained_on": len(data),
            "tested_on": len(test), "torch": torch.__version__,
        }  # fmt: skip
        _write(place, network, facts)
        return cls(network, facts)


def _build(shape: tuple[int, int, int], classes: int) -> nn.Sequential:
    channels, height, width = shape
    layers: list[nn.Module] = []
    for after in CHANNELS:
        if min(height, width) < 8:
            break
        layers += [nn.Conv2d(channels, after, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
        channels, height, width = after, height // 2, width // 2
    features = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * height * width, FEATURES), nn.ReLU())
    network = nn.Sequential(*features, nn.Linear(FEATURES, classes))
    for layer in network:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            # torch's own weights are for another activation: after as many steps they err a third more often.
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
    return network


def _train(data: DataSet, settings: dict[str, Any], progress: Any) -> nn.Sequential:
    each = math.ceil(len(data) / BATCH)
    steps = max(settings["epochs"] * each, LEAST_STEPS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings["seed"])
        network = _build(tuple(settings["shape"]), settings["classes"])
    log.info("training lenet on %d images of %s: %d steps", len(data), data.name, steps)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    rng, order = np.random.default_rng(settings["seed"]), np.empty(0, np.int64)
    for step in range(steps):
        if step % each == 0:
            order = rng.permutation(len(data))
        at = step % each * BATCH
        images, labels = _batch(data, np.sort(order[at : at + BATCH]))
        loss = nn.functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        falling.step()
        if progress is not None:
            progress({"step": step + 1, "of": steps, "loss": loss.item()})
    return network.eval()


def _accuracy(network: nn.Sequential, test: DataSet) -> float:
    right = 0
    with torch.no_grad():
        for low in range(0, len(test), BLOCK):
            images, labels = _batch(test, np.arange(low, min(low + BLOCK, len(test))))
            right += int((network(images).argmax(1) == labels).sum())
    return right / len(test)


def _batch(data: DataSet, index: np.ndarray) -> tuple[Tensor, Tensor]:
    assert data.labels is not None
    return torch.from_numpy(data.x[index]), torch.from_numpy(data.labels[index])


def _check(data: DataSet, test: DataSet) -> int:
    """Return the number of classes, or raise."""
    for name, one in (("data", data), ("test", test)):
        if not isinstance(one, DataSet):
            raise TypeError(f"{name} must be a DataSet; got {type(one).__name__}. Pass otgen.data.load(...).")
        if one.labels is None or len(one) == 0:
            raise ValueError(f"{name} must have labels; {one.name} has none. Pass a module of your own as extractor.")
        if len(one.shape) != 3 or min(one.shape[1:]) < 8:
            raise ValueError(
                f"{name} must hold images (C, H, W) with sides of at least 8 pixels; got shape {one.shape}. Pass "
                "Pixels() as extractor."
            )
    if data.shape != test.shape:
        raise ValueError(f"test must hold images of data's shape {data.shape}; got {test.shape}. Load both alike.")
    assert data.labels is not None and test.labels is not None
    return 1 + int(max(data.labels.max(), test.labels.max()))


def _check_seed(seed: Any) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed must be an int >= 0, as it names the file; got {seed!r}. Pass 0.")
    return seed


def _digest(settings: dict[str, Any], *sets: DataSet) -> str:
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for data in sets:
        assert data.labels is not None
        digest.update(f"{data.name} {len(data)} ".encode() + data.labels.astype("<i8").tobytes())
        for low in range(0, len(data), BLOCK):
            digest.update(data.x[low : low + BLOCK].astype("<f4", copy=False).tobytes())
    return digest.hexdigest()[:24]


def _write(place: Path, network: nn.Sequential, facts: dict[str, Any]) -> None:
    """Keep the network in a folder that is there whole or not at all; another process may have been first."""
    save = _safetensors().save
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    try:
        weights = save(network.state_dict())
        (partial / WEIGHTS).write_bytes(weights)
        whole = facts | {"sha256": hashlib.sha256(weights).hexdigest()}
        (partial / FACTS).write_text(json.dumps(whole, indent=1), encoding="utf-8")
        os.replace(partial, place)
    except OSError:
        if not place.exists():
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _read(place: Path) -> tuple[nn.Sequential, dict[str, Any]]:
    try:
        facts = json.loads((place / FACTS).read_text(encoding="utf-8"))
        weights = (place / WEIGHTS).read_bytes()
        if hashlib.sha256(weights).hexdigest() != facts.pop("sha256"):
            raise ValueError("its weights are not those that were written")
        network = _build(tuple(facts["shape"]), facts["classes"])
        network.load_state_dict(_safetensors().load(weights))
        return network.eval(), facts
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ValueError(
            f"{place} must be a network that otgen has kept; reading it failed: {error}. Delete it: it is then trained "
            "again."
        ) from error


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"lenet keeps its weights by safetensors, which is not installed. Install it: "
            f"{install_command('safetensors')}"
        ) from error
    return safetensors.torch
