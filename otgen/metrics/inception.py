"""The extractor of published FIDs: Inception-v3 with its TensorFlow weights, from a file on this machine."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ..options import read_path
from .door import read_images
from .features import run

INSTALL = "torch-fidelity>=0.3,<0.5"
WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"


class Inception:
    """Features (n, 2048) of the last pooling layer of torch-fidelity's Inception-v3, the network of published FIDs.

    weights is the path of its file of weights (torch-fidelity's release v0.2.0 holds it as
    weights-inception-2015-12-05-6726825d.pth); nothing is downloaded and nothing but tensors is read from it. Raises
    ModuleNotFoundError without torch-fidelity, FileNotFoundError without the file, ValueError where it is no such file.
    """

    name = "inception"

    def __init__(self, weights: Any) -> None:
        network, path = _network(), read_path(weights, "weights")
        if not path.is_file():
            raise FileNotFoundError(
                f"weights must be the path of {WEIGHTS}; {path} is no file. Fetch it from the releases of "
                "torch-fidelity (v0.2.0), or use LeNet."
            )
        try:
            self.module = _as_bytes(network("inception", ["2048"], feature_extractor_weights_path=_tensors_of(path)))
        except Exception as error:  # unpickling, reading and filling the network each raise classes of their own
            raise ValueError(
                f"{path} must hold the weights of torch-fidelity's Inception-v3 as tensors; reading it failed: "
                f"{' '.join(str(error).split())} Fetch {WEIGHTS} again."
            ) from error

    def extract(self, images: Any) -> np.ndarray:
        """The features (n, 2048), float32, of images (n, 1 or 3, H, W) in [0, 1], grey ones as three equal channels."""
        x = read_images(images, "images")
        if x.shape[1] not in (1, 3):
            raise ValueError(f"images must have 1 or 3 channels; got shape {x.shape}. Convert them to RGB.")
        return run(self.module, x, self.name)


def _network() -> Any:
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import (  # pyright: ignore[reportMissingImports]
            FeatureExtractorInceptionV3,
        )
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"the extractor inception is torch-fidelity's network, and {error.name} is not installed. Install it: "
            f'{sys.executable} -m pip install "{INSTALL}"',
            name=error.name,
        ) from error
    return FeatureExtractorInceptionV3


def _tensors_of(path: Path) -> io.BytesIO:
    """The tensors of a file as a file in memory, for torch-fidelity unpickles what it is given whatever it holds."""
    import torch

    memory = io.BytesIO()
    torch.save(torch.load(path, map_location="cpu", weights_only=True), memory)
    memory.seek(0)
    return memory


def _as_bytes(network: Any) -> Any:
    """A module that takes images in [0, 1] to what the network makes of their bytes."""
    import torch
    from torch import nn

    class AsBytes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.network((255 * x).round().to(torch.uint8).expand(-1, 3, -1, -1))[0]

    return AsBytes()
