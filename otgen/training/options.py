"""What a training run is told: its length and batches, its optimisers and their schedule, its devices and its seed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..options import is_one_of, is_real, read_count
from .schedules import read_schedule

PRECISIONS = ("32-true", "bf16-mixed")
ACCELERATORS = ("auto", "cpu", "cuda")
# What each optimiser takes beside lr, with torch's own defaults.
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "adam": {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0},
    "adamw": {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01},
    "rmsprop": {"alpha": 0.99, "eps": 1e-8, "momentum": 0.0, "weight_decay": 0.0},
    "sgd": {"momentum": 0.0, "weight_decay": 0.0},
}
BELOW_ONE = ("alpha", "momentum")
# A resumed run may change these and still give the numbers of a run that was never stopped.
FREE_ON_RESUME = ("steps", "epochs", "checkpoint_every", "log_every")


@dataclass(frozen=True)
class TrainOptions:
    """The options of otgen.training.train, checked when made.

    steps or epochs, one of them: a step is one cycle of the model's plays (5 updates of a critic and 1 of a generator,
    say), an epoch one pass over the data; batch: samples of an update, over all devices together; optimizer: a dict
    {"name": "adam", "lr": 1e-3, ...} for all players, or one such dict a player; names are adam, adamw, rmsprop, sgd;
    schedule: None, {"name": "cosine", "warmup": 0.0, "final": 0.0} or {"name": "step", "at": [...], "factors": [...]},
    places being shares of the run; ema: None, or the decay of an average of the weights, once a step; clip_grad: None,
    or the largest norm of a player's gradient; precision: 32-true or bf16-mixed; accelerator: auto, cpu or
    cuda; devices: processes, one a device; seed; checkpoint_every and log_every, in steps. Raises ValueError or
    TypeError for a bad value.
    """

    steps: int | None = None
    epochs: int | None = None
    batch: int = 128
    optimizer: Mapping[str, Any] = field(default_factory=lambda: {"name": "adam", "lr": 1e-3})
    schedule: Mapping[str, Any] | None = None
    ema: float | None = None
    clip_grad: float | None = None
    precision: str = "32-true"
    accelerator: str = "auto"
    devices: int = 1
    seed: int = 0
    checkpoint_every: int = 1000
    log_every: int = 100

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError(
                f"one of steps and epochs must be given; got steps={self.steps!r}, epochs={self.epochs!r}. "
                "Pass the one that sets the length of the run."
            )
        for name, of in COUNTS.items():
            if getattr(self, name) is not None:
                self._set(name, read_count(getattr(self, name), name, of))
        if self.batch % self.devices:
            raise ValueError(
                f"batch must be a multiple of devices ({self.devices}); got {self.batch}. Each device takes an equal "
                "share of it."
            )
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise ValueError(f"seed must be an int >= 0; got {self.seed!r}. Pass 0.")
        _check_among(self.precision, "precision", PRECISIONS)
        _check_among(self.accelerator, "accelerator", ACCELERATORS)
        if self.ema is not None and not (is_real(self.ema) and 0 <= self.ema < 1):
            raise ValueError(f"ema must be None or a decay in [0, 1); got {self.ema!r}. Pass 0.999, say.")
        if self.clip_grad is not None and not (is_real(self.clip_grad) and 0 < self.clip_grad < math.inf):
            raise ValueError(
                f"clip_grad must be None or a positive finite norm; got {self.clip_grad!r}. Pass 1.0, say."
            )
        self._set("optimizer", _read_optimizers(self.optimizer))
        self._set("schedule", read_schedule(self.schedule))

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def optimizer_of(self, player: str) -> dict[str, Any]:
        """Return the name, lr and further settings of a player's optimiser."""
        return dict(self.optimizer if "name" in self.optimizer else self.optimizer[player])

    def check_players(self, players: Iterable[str]) -> None:
        """Raise unless there is one optimiser a player, or one for all of them."""
        if "name" not in self.optimizer and set(self.optimizer) != set(players):
            raise ValueError(
                f"optimizer must name each player of the model ({', '.join(players)}) or be one dict for all; it names "
                f"{', '.join(self.optimizer)}. Rename its keys."
            )

    def total_steps(self, batches_an_epoch: int, batches_a_step: int) -> int:
        """Return the length of the run in steps; the last epoch is finished by a whole step."""
        if self.epochs is None:
            return self.steps or 0
        return -(-self.epochs * batches_an_epoch // batches_a_step)

    def as_json(self) -> dict[str, Any]:
        """Return the options as JSON types; TrainOptions(**of them) is equal to these."""
        return dataclasses.asdict(self)


COUNTS = {
    "steps": "steps", "epochs": "epochs", "batch": "samples of a batch", "devices": "devices",
    "checkpoint_every": "steps between two checkpoints", "log_every": "steps between two lines of the log",
}  # fmt: skip


def _check_among(value: Any, name: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}; got {value!r}. Pass {choices[0]!r}.")


def _read_optimizers(optimizer: Any) -> dict[str, Any]:
    if not isinstance(optimizer, Mapping) or not optimizer:
        raise TypeError(
            f"optimizer must be a dict of settings, or of one such dict a player; got {optimizer!r}. "
            "Pass {'name': 'adam', 'lr': 1e-3}."
        )
    if "name" in optimizer:
        return _read_optimizer(optimizer, "optimizer")
    return {player: _read_optimizer(settings, f"optimizer[{player!r}]") for player, settings in optimizer.items()}


def _read_optimizer(settings: Any, where: str) -> dict[str, Any]:
    name = settings.get("name") if isinstance(settings, Mapping) else None
    if not is_one_of(name, OPTIMIZERS):
        raise ValueError(
            f"{where} must be a dict whose 'name' is one of {', '.join(OPTIMIZERS)}; got {settings!r}. "
            "Pass {'name': 'adam', 'lr': 1e-3}."
        )
    known = OPTIMIZERS[name]
    unknown = sorted(set(settings) - {"name", "lr", *known})
    if unknown:
        raise ValueError(f"{where}: {name} takes lr, {', '.join(known)}; got {', '.join(unknown)}. Leave them out.")
    found = {"name": name, "lr": 1e-3, **known, **settings}
    for key, value in found.items():
        if key == "betas":
            found[key] = _read_betas(value, where)
        elif key != "name":
            top, rule = (1.0, "in [0, 1)") if key in BELOW_ONE else (math.inf, "finite and not negative")
            if not is_real(value) or not 0 <= value < top:
                raise ValueError(f"{where}[{key!r}] must be {rule}; got {value!r}. Leave it out for torch's own.")
            found[key] = float(value)
    return found


def _read_betas(betas: Any, where: str) -> list[float]:
    if not isinstance(betas, (list, tuple)) or len(betas) != 2 or not all(is_real(b) and 0 <= b < 1 for b in betas):
        raise ValueError(f"{where}['betas'] must be two decays in [0, 1); got {betas!r}. Pass (0.9, 0.999).")
    return [float(b) for b in betas]
