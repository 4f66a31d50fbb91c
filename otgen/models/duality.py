"""The duality gap of a min-max objective: how far each side could still improve against the other as it stands."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..options import read_count, read_positive
from .protocol import BLOCK, evaluating

if TYPE_CHECKING:
    from .iwgan import IWGAN

BATCH, RATE = 256, 2e-4
BETAS = (0.5, 0.999)  # Adam's, with which the authors of iWGAN train both sides
HELD_OUT = 0.2
FEWEST = 2  # held-out samples, for a standard error


@dataclass(frozen=True)
class DualityGap:
    """A duality gap and what it is made of, in the units of the objective.

    value = upper - lower; error is its standard error over the held-out samples, of which no more is known: value is
    zero at a saddle point, positive away from one, and below zero by no more than a few errors unless retraining made
    a side worse. upper, lower and objective are L with the critic retrained, with encoder and decoder retrained, and as
    it stands, on the same samples and noise.
    """

    value: float
    error: float
    upper: float
    lower: float
    objective: float


def duality_gap(
    model: IWGAN,
    data: Tensor,
    budget: int,
    *,
    generator: torch.Generator,
    batch: int = BATCH,
    rate: float = RATE,
    held_out: float = HELD_OUT,
) -> DualityGap:
    """Estimate sup over f of L(G, Q, f) - inf over G, Q of L(G, Q, f), L the objective of `IWGAN`.

    data (n, *shape) is shuffled and split, the share held_out for measuring. A clone of the model trains its critic for
    `budget` steps of Adam (step `rate`, `batch` samples) with encoder and decoder fixed; another its encoder and
    decoder with the critic fixed; L of both is measured on the held-out samples, in eval mode. The search is finite, so
    the value is an estimate from below. The model is not changed. Raises ValueError or TypeError for bad arguments.
    Source: Chen, Gao and Wang, JRSS B 84 (2022); Grnarova et al., arXiv 1811.05512.
    """
    x = model.read(data, "data")
    budget, batch = read_count(budget, "budget", "steps of each side"), read_count(batch, "batch", "samples a step")
    rate, held_out = read_positive(rate, "rate", "Pass 2e-4."), read_positive(held_out, "held_out", "Pass 0.2.")
    kept = round(held_out * len(x))
    if not FEWEST <= kept < len(x):
        raise ValueError(
            f"held_out must leave at least {FEWEST} samples to measure on and one to train on; {held_out} of {len(x)} "
            f"is {kept}. Pass more data, or held_out=0.2."
        )
    z = model.prior(kept, generator)
    order = torch.randperm(len(x), generator=generator, device=generator.device).to(x.device)
    held, rest = x[order[:kept]], x[order[kept:]]
    upper, lower = (
        _measured(_retrained(model, player, rest, budget, batch, rate, generator), held, z)
        for player in ("critic", "autoencoder")
    )
    difference, objective = upper - lower, _measured(model, held, z)
    return DualityGap(
        value=float(difference.mean()),
        error=float(difference.std()) / math.sqrt(kept),
        upper=float(upper.mean()),
        lower=float(lower.mean()),
        objective=float(objective.mean()),
    )


def _retrained(
    model: IWGAN, player: str, x: Tensor, budget: int, batch: int, rate: float, generator: torch.Generator
) -> IWGAN:
    """A clone of the model in which one player has played `budget` steps against the others as they stand."""
    gather = model.gather  # may belong to the launcher of the processes, which is no part of the model
    clone = copy.deepcopy(model, {id(gather): gather}).train()
    for name, parameters in clone.players().items():
        for parameter in parameters:
            parameter.requires_grad_(name == player)
    own = clone.players()[player]
    if not own:
        return clone
    optimiser = torch.optim.Adam(own, lr=rate, betas=BETAS)
    with torch.enable_grad():
        for _ in range(budget):
            rows = torch.randint(len(x), (batch,), generator=generator, device=generator.device).to(x.device)
            optimiser.zero_grad()
            clone.losses(x[rows], generator=generator, only=player)[player].backward()
            optimiser.step()
            clone.after_step(player)
    return clone


def _measured(model: IWGAN, x: Tensor, z: Tensor) -> Tensor:
    """The objective at each held-out sample, in float64."""
    with evaluating(model):
        parts = zip(x.split(BLOCK), z.split(BLOCK), strict=True)
        return torch.cat([model.objective(*part) for part in parts]).double()
