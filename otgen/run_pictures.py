"""Pictures of samples: of those asked for, and of those a model makes after an epoch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .data import DataSet
from .doctor import install_command
from .options import read_count

FOLDER = "samples"
IMAGES, POINTS = 64, 1000  # in the picture of an epoch


def picture(path: Path, samples: np.ndarray, *, behind: np.ndarray | None = None) -> None:
    """Draw samples: a grid of images, or points of the plane, with those of the data behind them.

    Raises ValueError for vectors of other dimensions, ModuleNotFoundError without matplotlib.
    """
    plots = load_plots()
    if samples.ndim == 4:
        plots.save_grid(path, samples)
    elif samples.shape[1:] == (2,):
        plots.save_cloud(path, ({} if behind is None else {"data": behind}) | {"samples": samples})
    else:
        raise ValueError(
            f"only images and points of the plane can be drawn; these samples have shape {samples.shape[1:]}. Save "
            "them as .npy."
        )


def painter(out: Path, every: int, seed: int, data: DataSet, warn: Callable[[str], None]) -> Any:
    """What draws samples after epochs, or reconstructions where there is no prior; None for nothing to draw."""
    if every == 0 or (len(data.shape) == 1 and data.shape != (2,)):
        return None
    read_count(every, "picture_every", "epochs between two pictures, 0 for none")
    try:
        load_plots()
    except ModuleNotFoundError as error:
        warn(f"no pictures of samples: {error}")
        return None
    known = data.x[np.arange(min(len(data), POINTS if len(data.shape) == 1 else IMAGES))]

    def paint(model: Any, epoch: int) -> None:
        if epoch % every:
            return
        device = next(model.parameters()).device
        if model.HAS_PRIOR:
            found = model.sample(len(known), generator=torch.Generator(device).manual_seed(seed))
        else:
            found = model.reconstruct(torch.from_numpy(known).to(device))
        folder = out / FOLDER
        folder.mkdir(exist_ok=True)
        picture(folder / f"epoch-{epoch:05d}.png", found.cpu().numpy(), behind=known)

    return paint


def load_plots() -> Any:
    """Return otgen.plots; raise ModuleNotFoundError with the command that installs matplotlib."""
    try:
        from . import plots
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"pictures need matplotlib, which is not installed: {install_command('matplotlib')}", name="matplotlib"
        ) from error
    return plots
