"""What a critic says of W1 against the truth: its estimate, what that is worth, and the exact distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.spatial.distance import cdist
from torch import Tensor

from ..transport.exact import uninterrupted_wasserstein

if TYPE_CHECKING:
    from .iwgan import IWGAN
    from .wgan import WGAN

ROWS = 256  # of the distances that are held at once
ROUNDING = 4 * float(np.finfo(np.float32).eps)  # of values of f in float32, relative to the largest


@dataclass(frozen=True)
class CriticScore:
    """A critic f on two batches x_i, y_j of one size: W1 as it says, as it proves, and as it is.

    difference: mean f(x_i) - mean f(y_j), what the GAN trains on. slope: K = max over i, j of (f(x_i) - f(y_j) - r) /
    |x_i - y_j|, f's Lipschitz constant from one batch to the other, r the rounding of f in float32. estimate:
    (difference - r) / K, where K > 0: as f(x_i) - f(y_j) - r <= K |x_i - y_j|, it is a value of the dual of the
    batches, so estimate <= exact, and estimate / exact is how good a critic f is. exact: W1 of the batches, by
    `otgen.wasserstein`.
    """

    difference: float
    slope: float
    estimate: float
    exact: float


def critic_score(model: WGAN | IWGAN, x: Tensor, *, generator: torch.Generator) -> CriticScore:
    """The critic of a WGAN on x (n, *shape) and as many samples G(z), of an IWGAN on G(Q(x)) and G(z).

    By Kantorovich and Rubinstein W1 = max over 1-Lipschitz f of mean f(x_i) - mean f(y_j). In eval mode; the model is
    not changed. Raises TypeError for a model without a critic, ValueError or TypeError for bad x, FloatingPointError
    for a model that gives NaN or infinity. Cost: n^2 distances and one transport problem; both sides are subject to the
    chance of n points, which lifts W1 by about n^(-1/d).
    Source: Arjovsky et al., arXiv 1701.07875, section 3; Stanczuk et al., arXiv 2103.01678 (critics do not find W1).
    """
    if not hasattr(model, "critic_values"):
        raise TypeError(f"model must be a WGAN or an IWGAN; got {type(model).__name__}, which has no critic. Pass one.")
    x = model.read(x, "x")
    rebuild = getattr(model, "reconstruct", None)
    true = x if rebuild is None else rebuild(x)
    fake = model.sample(len(x), generator=generator)
    values = [model.critic_values(side).double().cpu().numpy() for side in (true, fake)]
    points = [side.flatten(1).double().cpu().numpy() for side in (true, fake)]
    for name, found in (("critic", values), ("generator", points)):
        if not all(np.isfinite(side).all() for side in found):
            raise FloatingPointError(f"the {name} gives values that are not finite. Lower its learning rate.")
    rounding = ROUNDING * float(max(np.abs(side).max() for side in values))
    difference = float(values[0].mean() - values[1].mean())
    slope = _slope(values[0], values[1], points[0], points[1], rounding)
    estimate = (difference - rounding) / slope if slope > 0 else 0.0
    return CriticScore(difference, slope, estimate, float(uninterrupted_wasserstein(*points)))


def _slope(f: np.ndarray, g: np.ndarray, x: np.ndarray, y: np.ndarray, rounding: float) -> float:
    """max over i, j of (f_i - g_j - rounding) / |x_i - y_j|, and 0 at least; points that coincide have no slope."""
    steepest = 0.0
    for low in range(0, len(x), ROWS):
        away, rise = cdist(x[low : low + ROWS], y), f[low : low + ROWS, None] - g - rounding
        steepest = max(steepest, float(np.divide(rise, away, out=np.zeros_like(rise), where=away > 0).max()))
    return steepest
