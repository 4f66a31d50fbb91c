"""What a picture holds, in shares of its pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.image import imread


def share(path: Path, colour: str) -> float:
    """The share of the picture that is of a colour, to a hundredth in each channel."""
    return float((np.abs(imread(path)[..., :3] - to_rgb(colour)).max(axis=2) < 0.01).mean())


def hues(path: Path) -> tuple[float, float]:
    """The shares of the picture that are decidedly red and decidedly blue."""
    red, _, blue = np.moveaxis(imread(path)[..., :3], 2, 0)
    return float((red - blue > 0.2).mean()), float((blue - red > 0.2).mean())
