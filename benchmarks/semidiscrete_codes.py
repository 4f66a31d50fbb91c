"""The codes of a plain autoencoder of MNIST, trained in a process of its own: the request names the file they go to.

A perceptron 784-512-256-d and back, squared error, Adam: the targets of a map as AE-OT fits it. Few minutes on 2 cores.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import gzip
import json
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from cases import data_folder

WIDTHS = (512, 256)
BATCH, STEP = 256, 1e-3
EPOCHS = 10


def main() -> None:
    """Train, write the codes, and tell the seconds and the mean squared error of a pixel."""
    request = json.load(sys.stdin)
    images = read_images(data_folder() / "mnist" / "train-images-idx3-ubyte.gz")
    start = time.perf_counter()
    codes, error = train(images, request["d"], request.get("epochs", EPOCHS))
    path = Path(request["path"])
    part = path.with_suffix(".part.npy")  # a file that is there is whole
    np.save(part, codes)
    part.replace(path)
    print(json.dumps({"seconds": time.perf_counter() - start, "pixel_error": error}))


def read_images(path: Path) -> np.ndarray:
    """The images of an IDX file as (n, 784) float32 in [0, 1]."""
    raw = gzip.decompress(path.read_bytes())
    kind, count, height, width = np.frombuffer(raw, ">u4", 4)
    if kind != 0x803:
        raise ValueError(f"{path} must be an IDX file of images")
    return np.frombuffer(raw, np.uint8, offset=16).reshape(count, height * width).astype(np.float32) / 255


def train(images: np.ndarray, d: int, epochs: int) -> tuple[np.ndarray, float]:
    """The codes (n, d) float32 of all images after so many epochs, and the mean squared error of a pixel."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    widths = (images.shape[1], *WIDTHS, d)

    def chain(sizes: tuple[int, ...]) -> nn.Sequential:
        layers = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.LeakyReLU(0.1))]
        return nn.Sequential(*layers[:-1])

    encoder, decoder = chain(widths), chain(widths[::-1])
    x = torch.from_numpy(images)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=STEP)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            nn.functional.mse_loss(decoder(encoder(x[rows])), x[rows]).backward()
            optimizer.step()
    with torch.no_grad():
        codes = encoder(x)
        return codes.numpy(), float(nn.functional.mse_loss(decoder(codes), x))


if __name__ == "__main__":
    main()
