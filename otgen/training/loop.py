"""The training loop: every model of otgen, or the user's own, on one device or many."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..data import DataSet, from_array
from ..options import check_progress
from .average import Average
from .keeper import Keeper, read_out
from .logs import Losses, Metrics
from .options import TrainOptions
from .order import Batches, noise_seed
from .schedules import factor
from .team import Team, players_of, start


class Stop(Exception):
    """What `after_epoch` raises to end a run well before its last step; Stop({name: value}) joins the log first."""


@dataclass(frozen=True)
class History:
    """What a run has told: `rows`, the lines of its log (of earlier parts too, if resumed), and how it ended.

    steps done, seconds they took, ema: the averaged weights by name or None, checkpoint: the folder of the newest one,
    stopped: whether after_epoch ended the run.
    """

    rows: list[dict[str, float]]
    steps: int
    seconds: float
    ema: dict[str, torch.Tensor] | None
    checkpoint: Path | None
    stopped: bool

    def column(self, name: str) -> np.ndarray:
        """Return a column of the log, NaN where a line has no such value; raises KeyError for one that no line has."""
        if not any(name in row for row in self.rows):
            raise KeyError(f"the log has no column {name!r}; it has {sorted({n for row in self.rows for n in row})}.")
        return np.array([row.get(name, np.nan) for row in self.rows])


def train(
    model: Any,
    data: Any,
    options: TrainOptions,
    *,
    out: Any = None,
    resume: bool = False,
    progress: Callable[[dict], None] | None = None,
    after_epoch: Callable[[Any, int], dict[str, float] | None] | None = None,
) -> History:
    """Train a model in place: each player in turn makes its updates w <- w - lr step(grad of its own loss).

    model is an otgen.models.Model or a module that answers as one; data a DataSet or an array that data.from_array
    reads. A seed gives the same weights bit for bit on one machine. out is the folder for metrics.csv and checkpoints;
    resume=True goes on from its newest checkpoint (from the start where there is none) to the weights of a run that was
    never stopped. progress is called with a dict at each line of the log. after_epoch(model, epoch) is called on rank 0
    after each epoch; what it returns joins the log, and raising Stop ends the run. With options.devices > 1 the
    calling script runs once a device.

    Raises ValueError or TypeError for bad input, FloatingPointError for a loss or weight that is NaN or infinite (found
    at the next line of the log), ModuleNotFoundError without lightning-fabric.
    """
    players = players_of(model)
    if not isinstance(options, TrainOptions):
        raise TypeError(f"options must be TrainOptions; got {type(options).__name__}. Pass TrainOptions(epochs=10).")
    options.check_players(players)
    check_progress(progress)
    if after_epoch is not None and not callable(after_epoch):
        raise TypeError(f"after_epoch must be None or a function of a model and an epoch; got {after_epoch!r}.")
    out = read_out(out, resume)
    data = data if isinstance(data, DataSet) else from_array(data, name="data")

    fabric = start(options)
    batches = Batches(data, options.batch, options.seed, fabric.device, fabric.global_rank, fabric.world_size)
    plays = [player for player, times in model.PLAYS for _ in range(times)]
    total = options.total_steps(batches.an_epoch, len(plays))
    noise = torch.Generator(fabric.device).manual_seed(noise_seed(options.seed, fabric.global_rank))
    team = Team(model, options, fabric)
    average = None if options.ema is None else Average(team.tensors, options.ema)
    losses = Losses(lambda values: fabric.all_reduce(values.to(fabric.device), reduce_op="mean"))
    keeper = Keeper(out, fabric, model, data, options, team, average, losses, noise)

    with _own_random_numbers(fabric, options.seed):
        step, before = keeper.restore() if resume else (0, 0.0)
        first, began, told, stopped = step, time.perf_counter(), time.perf_counter(), False
        metrics = Metrics(out if fabric.is_global_zero else None, step)
        last_told = step
        with closing(metrics), team.playing():
            while step < total and not stopped:
                rates = team.set_rates(factor(options.schedule, step, total))
                for k, player in enumerate(plays, step * len(plays)):
                    loss = team.play(player, batches[k], noise)
                    losses.add(step + 1, player, loss, model.terms)
                step += 1
                if average is not None:
                    average.update()

                extra: dict[str, float] = {}
                epoch, ended = divmod(step * len(plays), batches.an_epoch)
                ended = after_epoch is not None and ended < len(plays)
                if ended:
                    losses.settle(keeper.last_good)  # what follows would trip over NaN in words of its own
                    extra, stopped = _after_epoch(after_epoch, model, epoch, team, fabric)
                last = stopped or step == total
                saves = last or step % options.checkpoint_every == 0
                tells = last or ended or step % options.log_every == 0
                if saves or tells:
                    losses.settle(keeper.last_good)
                if tells:
                    now = time.perf_counter()
                    row = {"step": step, "epoch": step * len(plays) / batches.an_epoch, "seconds": before + now - began}
                    means = losses.means()
                    metrics.write(row | means | {f"lr/{p}": rate for p, rate in rates.items()} | extra)
                    if progress is not None and fabric.is_global_zero:
                        pace = (step - last_told) * len(plays) * options.batch / max(now - told, 1e-9)
                        left = (total - step) * (now - began) / (step - first)
                        progress(row | {"of": total, "left": left, "samples_per_second": pace, "losses": means})
                    told, last_told = now, step
                if saves:
                    team.agree()
                    team.check_finite(step, keeper.last_good)
                    metrics.sync()
                    keeper.save(step, before + time.perf_counter() - began)
    seconds = before + time.perf_counter() - began
    return History(metrics.rows, step, seconds, average and average.values, keeper.newest, stopped)


def _after_epoch(function: Any, model: Any, epoch: int, team: Team, fabric: Any) -> tuple[dict[str, float], bool]:
    """Call the user's function on rank 0, its random numbers apart from the run's; return its values and its wish."""
    found: dict[str, float] = {}
    stop = torch.zeros((), device=fabric.device)
    if fabric.is_global_zero:
        with team.resting(), torch.random.fork_rng(_cuda(fabric)):
            try:
                told = function(model, epoch) or {}
            except Stop as reason:
                told = next((value for value in reason.args if isinstance(value, Mapping)), {})
                stop += 1
            found = {name: float(value) for name, value in told.items()}
    return found, bool(fabric.all_reduce(stop, reduce_op="sum").item())


@contextmanager
def _own_random_numbers(fabric: Any, seed: int) -> Iterator[None]:
    """Torch's global generators, which dropout draws from, seeded for the run; afterwards as they were."""
    with torch.random.fork_rng(_cuda(fabric)):
        own = noise_seed(seed, fabric.global_rank)
        torch.default_generator.manual_seed(own)
        if fabric.device.type == "cuda":
            with torch.cuda.device(fabric.device):
                torch.cuda.manual_seed(own)
        yield


def _cuda(fabric: Any) -> list[torch.device]:
    return [fabric.device] if fabric.device.type == "cuda" else []
