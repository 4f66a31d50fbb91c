"""The door of the metrics: samples and images of any library as NumPy arrays, or an error that says the fix."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import check_finite, common_home, host, plain


def read_samples(x: Any, name: str) -> np.ndarray:
    """Return samples (n, *shape), n >= 1 and at least one axis more, C-contiguous and finite, float32 or float64."""
    common_home(**{name: x})
    array = host(x, name)
    if array.ndim < 2 or array.size == 0:
        raise ValueError(
            f"{name} must have shape (n, d), or (n, C, H, W) for images, with n >= 1; got shape {array.shape}. "
            "Give one sample a row."
        )
    check_finite(array, name)
    return plain(array, array.dtype)


def read_images(x: Any, name: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Return images (n, C, H, W) as float32 with values in [0, 1]; `shape` is the (C, H, W) that they must have."""
    array = read_samples(x, name)
    if array.ndim != 4 or (shape is not None and array.shape[1:] != shape):
        wanted = "C, H, W" if shape is None else ", ".join(map(str, shape))
        raise ValueError(f"{name} must have shape (n, {wanted}); got shape {array.shape}. Put the channels first.")
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 1:
        raise ValueError(
            f"{name} must have values in [0, 1]; they lie in [{low!r}, {high!r}]. Divide bytes by 255, map [-1, 1] by "
            "(x + 1) / 2, or clip."
        )
    return plain(array, np.dtype(np.float32))
