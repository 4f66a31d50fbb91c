"""A training run in a process of its own: `python training_run.py '{"kind": ..., "out": ..., ...}'`.

kind is a class of training_models; options go to TrainOptions. kill_update ends the process by SIGKILL in the midst of
that update, kill_sync at that file that a checkpoint puts on the disk.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

import torch

import training_models
from otgen.training import History, TrainOptions, checkpoints, train


def run(kind: str, out: str, options: dict[str, Any], resume: bool = False) -> tuple[Any, History]:
    """Train a model of training_models, its first weights and its data those of a seed."""
    model = training_models.seeded(getattr(training_models, kind))
    history = train(model, training_models.points().numpy(), TrainOptions(**options), out=out, resume=resume)
    return model, history


def die_at(count: int | None, function: Any) -> Any:
    """The function, at whose call number `count` the process is killed."""
    calls = 0

    def call(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)

    return call


def main(
    kind: str, out: str, options: dict[str, Any], kill_update: int | None = None, kill_sync: int | None = None
) -> None:
    torch.set_num_threads(1)
    torch.optim.Optimizer.zero_grad = die_at(kill_update, torch.optim.Optimizer.zero_grad)
    checkpoints._sync = die_at(kill_sync, checkpoints._sync)
    run(kind, out, options)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
