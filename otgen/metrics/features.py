"""What the distances between sets of images are measured in: features of a named extractor."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from .door import read_images, read_samples

BLOCK = 500
"""Images that a network takes at once: the activations of 64 px at 64 channels then fill about 0.5 GB."""


class Extractor(Protocol):
    """Features of samples: extract of (n, *shape), images (C, H, W) in [0, 1], is an array (n, k) of floats.

    `name` stands beside every number that is measured in these features.
    """

    name: str

    def extract(self, images: Any) -> np.ndarray: ...


class Pixels:
    """The samples themselves, flattened to (n, k): for vectors, and for images without a network."""

    name = "pixels"

    def extract(self, images: Any) -> np.ndarray:
        """The samples (n, ...) as (n, k), their precision kept. Raises ValueError or TypeError for bad input."""
        samples = read_samples(images, "images")
        return samples.reshape(len(samples), -1)


class Network:
    """The outputs of a module of the user's own, flattened to (n, k), in eval mode and without gradient.

    The module takes float32 images (n, C, H, W) on the device of its parameters. Raises TypeError for what is no
    module.
    """

    def __init__(self, module: Any, name: str) -> None:
        from torch import nn

        if not isinstance(module, nn.Module):
            raise TypeError(
                f"module must be a torch.nn.Module; got {type(module).__name__}. Put its forward into a module."
            )
        if not isinstance(name, str) or not name:
            raise ValueError(f"name must be a word that stands beside the numbers; got {name!r}. Pass name='resnet18'.")
        self.module, self.name = module, name

    def extract(self, images: Any) -> np.ndarray:
        """The features (n, k), float32, of images (n, C, H, W) in [0, 1].

        Raises ValueError or TypeError for bad images, and ValueError where the module gives no finite row an image.
        """
        return run(self.module, read_images(images, "images"), self.name)


def run(module: Any, images: np.ndarray, name: str) -> np.ndarray:
    """Return module(images), by blocks, as float32 (n, k); afterwards every submodule is in the mode it was in."""
    import torch

    first = next(module.parameters(), torch.empty(0))
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            found = [
                _rows(module(torch.from_numpy(images[low : low + BLOCK]).to(first.device)), len(images) - low, name)
                for low in range(0, len(images), BLOCK)
            ]
    finally:
        for part, training in modes:
            part.training = training
    features = np.concatenate(found)
    if not np.isfinite(features).all():
        raise ValueError(f"extractor {name} must give finite features; it gave NaN or inf. Check its weights.")
    return features


def _rows(output: Any, left: int, name: str) -> np.ndarray:
    import torch

    n = min(left, BLOCK)
    if not isinstance(output, torch.Tensor) or output.ndim < 2 or len(output) != n:
        got = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise ValueError(
            f"extractor {name} must give a tensor ({n}, ...) for {n} images; it gave {got}. Return one row an image."
        )
    return output.flatten(1).float().cpu().numpy()
