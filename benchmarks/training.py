"""The benchmark of the training loop: otgen.training.train beside a loop written by hand, on MNIST autoencoders.

python benchmarks/training.py            the tables, benchmarks/results/training.json
python benchmarks/training.py --rounds 5 --steps 50    shorter ones
python benchmarks/write_report.py        then puts them into benchmarks/REPORT.md

Both loops train the same otgen.models.AE by the same fused Adam on the same bytes, batch 128, in turn in one process:
rounds of some steps each, so that neighbours on the machine slow both alike. The figure is the median over rounds of
the ratio of two successive rounds, and its quartiles. The first WARM steps and what comes before them are not timed in
either. otgen's loop logs every WARM steps, and writes no checkpoint; the bare one does nothing but update.

The second table is the share of a WAE's step (of the MNIST preset for CPUs, but for its batch and code) that its MMD
penalty takes, forward and backward: one less the ratio of a
step without it to one with it, in rounds as above; the batch is random numbers.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import machine
import numpy as np
import torch
from torch import nn
from training_table import markdown

from otgen import presets
from otgen.data import DataSet, load
from otgen.models import AE, WAE
from otgen.training import TrainOptions, train

RESULT = Path(__file__).with_name("results") / "training.json"
BATCH, RATE, CODE, WARM = 128, 1e-3, 8, 20
TARGET = 1.05
PENALTIES = ((100, 8), (100, 64), (1_000, 8), (1_000, 64))  # batch, code
PENALTY_TARGET = 0.1


def dense(sizes: tuple[int, ...], shape: tuple[int, ...], last: nn.Module) -> nn.Sequential:
    """A perceptron between images and codes."""
    layers = [layer for a, b in itertools.pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(nn.Flatten(), *layers[:-1], last, nn.Unflatten(1, shape))


def models(shape: tuple[int, ...]) -> dict[str, Callable[[], AE]]:
    """Makers of the autoencoders: one whose steps are short, so that a loop can cost much of them, and a usual one."""
    pixels = int(np.prod(shape))
    return {
        "dense 784-256-8": lambda: AE(
            shape,
            CODE,
            encoder=dense((pixels, 256, CODE), (CODE,), nn.Identity()),
            decoder=dense((CODE, 256, pixels), shape, nn.Sigmoid()),
        ),
        "convolutional, width 16": lambda: AE(shape, CODE, width=16),
    }


def bare(model: AE, images: torch.Tensor, steps: int) -> float:
    """Seconds of the steps after the first WARM in the plainest loop."""
    noise = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    order = torch.randperm(len(images))
    model.train()
    start = 0.0
    for step in range(steps + WARM):
        if step == WARM:
            start = time.perf_counter()
        index = order[(step * BATCH) % (len(images) - BATCH) :][:BATCH]
        batch = images[index].float().div_(255)
        loss = model.losses(batch, generator=noise)["autoencoder"]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    loss.item()
    return time.perf_counter() - start


def ours(model: AE, data: DataSet, steps: int) -> float:
    """Seconds of the steps after the first WARM in train()."""
    options = TrainOptions(
        steps=steps + WARM, batch=BATCH, optimizer={"name": "adam", "lr": RATE}, accelerator="cpu", log_every=WARM
    )
    seconds = train(model, data, options).column("seconds")
    return float(seconds[-1] - seconds[0])


def measure(name: str, make: Callable[[], AE], data: DataSet, steps: int, rounds: int) -> dict[str, Any]:
    """The record of one model."""
    images = torch.tensor(data.x.values)  # pyright: ignore[reportAttributeAccessIssue]
    one, other = make(), make()
    bare(one, images, WARM)
    ours(other, data, WARM)
    pairs = []
    for k in range(rounds):
        turns = [lambda: bare(one, images, steps), lambda: ours(other, data, steps)]
        found = [turn() for turn in (turns if k % 2 == 0 else reversed(turns))]
        pairs.append(found if k % 2 == 0 else found[::-1])
    ratios = [ours / bare for bare, ours in pairs]
    low, middle, high = statistics.quantiles(ratios, n=4)
    best = [1e3 * min(seconds) / steps for seconds in zip(*pairs)]
    return {
        "model": name, "steps": steps, "rounds": rounds, "bare_ms": best[0], "otgen_ms": best[1], "ratio": middle,
        "quartiles": [low, high], "target": TARGET,
    }  # fmt: skip


class Plain(WAE):
    """A WAE without its penalty."""

    def losses(self, batch: torch.Tensor, *, generator: torch.Generator, only: str | None = None) -> dict:
        self.prior(len(batch), generator)
        return {
            "autoencoder": self.factor * (batch - self._decode(self._encode(batch))).square().flatten(1).sum(1).mean()
        }


def penalty(shape: tuple[int, ...], batch: int, code: int, steps: int, rounds: int) -> dict[str, Any]:
    """The record of a penalty: medians over rounds of a step with and without it, and its share."""
    width = presets.of("wae-mmd", shape, "cpu").width
    pairs = [_stepper(kind(shape, code, width=width), shape, batch) for kind in (Plain, WAE)]
    for run in pairs:
        run(3)
    found = []
    for k in range(rounds):
        turns = [run(steps) / steps for run in (pairs if k % 2 == 0 else pairs[::-1])]
        found.append(turns if k % 2 == 0 else turns[::-1])
    shares = [1 - without / whole for without, whole in found]
    low, middle, high = statistics.quantiles(shares, n=4)
    without, whole = (1e3 * statistics.median(column) for column in zip(*found))
    return {
        "width": width, "batch": batch, "code": code, "steps": steps, "rounds": rounds,
        "without_ms": without, "step_ms": whole,
        "share": middle, "quartiles": [low, high], "target": PENALTY_TARGET,
    }  # fmt: skip


def _stepper(model: WAE, shape: tuple[int, ...], batch: int) -> Callable[[int], float]:
    """What returns the seconds of so many steps on one batch."""
    noise, x = torch.Generator().manual_seed(0), torch.rand(batch, *shape)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)

    def run(steps: int) -> float:
        start = time.perf_counter()
        for _ in range(steps):
            loss = model.losses(x, generator=noise, only="autoencoder")["autoencoder"]
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        return time.perf_counter() - start

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    data = load("mnist")
    facts = machine.describe(("torch", "lightning-fabric"))
    records = [measure(name, make, data, given.steps, given.rounds) for name, make in models(data.shape).items()]
    penalties = [
        penalty(data.shape, batch, code, max(given.steps * 10 // batch, 5), given.rounds) for batch, code in PENALTIES
    ]
    document = {"machine": facts, "records": records, "penalties": penalties}
    given.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(markdown(document))


if __name__ == "__main__":
    main()
