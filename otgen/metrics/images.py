"""What is measured on the pixels themselves: sharpness, and the error of a reconstruction."""

from __future__ import annotations

from typing import Any

import numpy as np

from .door import read_images, read_samples

BLOCK = 1_000


def sharpness(images: Any) -> float:
    """Variance of the Laplacian over the inner pixels of an image, mean over images (n, C, H, W) in [0, 1].

    L = I(y - 1, x) + I(y + 1, x) + I(y, x - 1) + I(y, x + 1) - 4 I(y, x), I the mean of the channels. Compare with that
    of real images: blur lowers it, noise raises it. Raises ValueError for sides below 3 pixels, ValueError or TypeError
    for other bad input. Source: Tolstikhin et al., arXiv 1711.01558, section 4.
    """
    x = read_images(images, "images")
    if min(x.shape[2:]) < 3:
        raise ValueError(f"images must have sides of at least 3 pixels; got shape {x.shape}. Use larger images.")
    total = 0.0
    for low in range(0, len(x), BLOCK):
        grey = x[low : low + BLOCK].mean(axis=1, dtype=np.float64)
        around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
        total += float((around - 4 * grey[:, 1:-1, 1:-1]).var(axis=(1, 2)).sum())
    return total / len(x)


def reconstruction_error(x: Any, reconstructed: Any) -> float:
    """Mean squared difference a pixel, or a coordinate, of samples (n, ...) and what a model makes of their codes.

    Raises ValueError for arrays of two shapes, ValueError or TypeError for other bad input.
    """
    x, reconstructed = read_samples(x, "x"), read_samples(reconstructed, "reconstructed")
    if x.shape != reconstructed.shape:
        raise ValueError(
            f"reconstructed must have the shape of x, {x.shape}; got shape {reconstructed.shape}. Pass the "
            "reconstructions of the same samples, in order."
        )
    total = 0.0
    for low in range(0, len(x), BLOCK):
        rows = slice(low, low + BLOCK)
        total += float(np.square(x[rows].astype(np.float64) - reconstructed[rows]).sum())
    return total / x.size
