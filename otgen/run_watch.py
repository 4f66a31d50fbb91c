"""What is looked at while a run trains: the critic's estimate of W1 beside the exact one, and the duality gap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from .data import DataSet
from .models import critic_score
from .models.duality import FEWEST, HELD_OUT
from .options import read_count, read_positive
from .preset_fields import IWGANPreset, Preset, WGANPreset
from .training import Stop

Look = Callable[[Any, int], dict[str, float] | None]

CRITIC = ("critic/difference", "critic/estimate", "critic/exact")
GAP = ("gap/value", "gap/error", "gap/upper", "gap/lower")
"""The columns of the log that are added."""
GAP_POINTS = 10_000  # samples that the duality gap is estimated from at most


def watcher(preset: Preset, data: DataSet) -> Look | None:
    """What compares a critic with the truth after every watch_every epochs; None where there is nothing to compare.

    It draws from generators of its own, by seed and epoch: a resumed run sees what it would have seen.
    """
    if not isinstance(preset, WGANPreset) or preset.watch_every == 0:
        return None
    every = read_count(preset.watch_every, "watch_every", "epochs between two comparisons, 0 for none")
    points = read_count(preset.watch_points, "watch_points", "samples that the critic is judged by")
    budget, stop = _gap_options(preset)
    order = np.random.default_rng(preset.seed).permutation(len(data))
    batch, shown = (np.sort(order[:count]) for count in (points, GAP_POINTS))
    if budget and not FEWEST <= round(HELD_OUT * len(shown)) < len(shown):
        raise ValueError(
            f"gap_budget needs {FEWEST / HELD_OUT:g} samples, a fifth of them to measure on; {data.name} has "
            f"{len(data)}. Pass --set gap_budget=0."
        )

    def look(model: Any, epoch: int) -> dict[str, float] | None:
        if epoch % every:
            return None
        device = next(model.parameters()).device
        generator = torch.Generator(device).manual_seed(preset.seed + epoch)
        score = critic_score(model, torch.from_numpy(data.x[batch]).to(device), generator=generator)
        found: dict[str, float] = dict(zip(CRITIC, (score.difference, score.estimate, score.exact)))
        if budget:
            gap = model.duality_gap(torch.from_numpy(data.x[shown]).to(device), budget, generator=generator)
            found |= dict(zip(GAP, (gap.value, gap.error, gap.upper, gap.lower)))
            if stop is not None and gap.value <= stop:
                raise Stop(found)
        return found

    return look


def together(*looks: Look | None) -> Look | None:
    """One function of a model and an epoch that calls those given; None for none."""
    held = [look for look in looks if look is not None]

    def look(model: Any, epoch: int) -> dict[str, float]:
        found: dict[str, float] = {}
        for one in held:
            try:
                found |= one(model, epoch) or {}
            except Stop as reason:
                raise Stop(found | dict(*reason.args)) from None
        return found

    return look if held else None


def _gap_options(preset: WGANPreset) -> tuple[int, float | None]:
    if not isinstance(preset, IWGANPreset):
        return 0, None
    stop = preset.stop_gap
    if stop is not None:
        stop = read_positive(stop, "stop_gap", "Pass the duality gap at which to stop, or none.", zero=True)
    budget = preset.gap_budget
    if budget != 0:
        read_count(budget, "gap_budget", "steps that each side is retrained, 0 for no duality gap")
    elif stop is not None:
        raise ValueError(
            f"stop_gap needs gap_budget, which is 0; got stop_gap={stop!r}. Pass --set gap_budget=200 too."
        )
    return budget, stop
