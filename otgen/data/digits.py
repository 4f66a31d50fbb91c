"""The 8 x 8 digits that scikit-learn carries: real images without a download."""

from __future__ import annotations

import numpy as np

from ..doctor import install_command
from .sources import UNIT, DataSet, Stored

LEVELS = 16  # its grey levels are 0 to 16
# Every seventh image is held out: neighbours share a writer, and the labels repeat with period 10, prime to 7.
HELD_OUT = 7


def read(split: str) -> DataSet:
    """Images (1, 8, 8) in [0, 1] and their labels: 1,541 to train on and 256 held out.

    Raises ModuleNotFoundError without scikit-learn. Source: Alpaydin and Kaynak, Optical Recognition of Handwritten
    Digits, UCI (1998).
    """
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        message = (
            f"digits come with scikit-learn, which is not installed. Install it: {install_command('scikit-learn')}"
        )
        raise ModuleNotFoundError(message) from error
    pixels, labels = load_digits(return_X_y=True)
    held_out = np.arange(len(labels)) % HELD_OUT == HELD_OUT - 1
    chosen = held_out if split == "test" else ~held_out
    images = (pixels[chosen] / LEVELS).astype(np.float32).reshape(-1, 1, 8, 8)
    return DataSet("digits", Stored(images), UNIT, labels[chosen].astype(np.int64), tuple("0123456789"))
