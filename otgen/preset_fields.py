"""The fields of a run's hyper-parameters, a dataclass a model, each read from text or JSON by its type."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

Width = int | tuple[int, ...] | None
Betas = tuple[float, float] | None
P = TypeVar("P", bound="Preset")

TRAINING = (
    "steps", "epochs", "batch", "schedule", "ema", "clip_grad", "precision", "accelerator", "seed", "checkpoint_every",
    "log_every",
)  # fmt: skip
OPTIMIZER = ("optimizer", "lr", "betas")
DATA = ("points", "size")
MAP = ("source", "method", "tol", "max_time", "max_samples")
ANGLE = ("theta", "quantile")
OTHERS = ("least_steps", "picture_every", "autoencoder", "watch_every", "watch_points", "gap_budget", "stop_gap")
EITHER = (("steps", "epochs"), ANGLE)  # to set the one is to leave the other out


@dataclass(frozen=True)
class Preset:
    """What every model has.

    code, width, norm: of its networks, as in `otgen.models.nets`; steps to log_every: as in TrainOptions; optimizer,
    lr and betas (adam, adamw): of all players, but where PLAYER_lr differs; least_steps: batches seen of a small set,
    whose epochs would be fewer, by all players together; points: drawn of a toy set; size: pixels of a side, of a
    folder of images; picture_every: epochs between two pictures of samples, 0 for none.
    """

    MODEL: ClassVar[str] = ""
    FIXED: ClassVar[Mapping[str, Any]] = {}
    PLAYERS: ClassVar[tuple[str, ...]] = ("autoencoder",)

    code: int = 8
    width: Width = None
    norm: str | None = None
    steps: int | None = None
    epochs: int | None = None
    least_steps: int = 0
    batch: int = 128
    optimizer: str = "adam"
    lr: float = 1e-3
    betas: Betas = None
    schedule: dict[str, Any] | None = None
    ema: float | None = None
    clip_grad: float | None = None
    precision: str = "32-true"
    accelerator: str = "auto"
    seed: int = 0
    checkpoint_every: int = 1000
    log_every: int = 100
    points: int | None = None
    size: int | None = None
    picture_every: int = 1

    def config(self, shape: Sequence[int]) -> dict[str, Any]:
        """What `otgen.models.build` takes, for samples of a shape."""
        rates = tuple(f"{player}_lr" for player in self.PLAYERS)
        outside = {*TRAINING, *OPTIMIZER, *DATA, *MAP, *ANGLE, *OTHERS, *rates}
        own = {name: value for name, value in dataclasses.asdict(self).items() if name not in outside}
        return {"model": self.MODEL, "shape": list(shape), **self.FIXED, **own}

    def training(self, n: int) -> dict[str, Any]:
        """What TrainOptions takes, for n samples."""
        usual: dict[str, Any] = {"name": self.optimizer, "lr": self.lr}
        if self.betas is not None:
            usual["betas"] = list(self.betas)
        rates = {player: getattr(self, f"{player}_lr", None) for player in self.PLAYERS}
        each = {player: usual if rate is None else usual | {"lr": rate} for player, rate in rates.items()}
        same = all(settings == usual for settings in each.values())
        settings = {name: getattr(self, name) for name in TRAINING} | {"optimizer": usual if same else each}
        if self.epochs is not None:
            fewest = -(-self.least_steps // max(n // self.batch, 1))
            settings["epochs"] = max(self.epochs, fewest)
        return settings

    def data(self) -> dict[str, Any]:
        """What `otgen.data.load` takes beside a name."""
        return {"n": self.points, "size": self.size}


@dataclass(frozen=True)
class AEPreset(Preset):
    """An autoencoder. l1: weight of |z|_1 beside the squared error averaged over coordinates."""

    MODEL = "ae"

    l1: float = 1e-5

    def config(self, shape: Sequence[int]) -> dict[str, Any]:
        # The model sums its squared error over the coordinates.
        return super().config(shape) | {"l1": self.l1 * math.prod(shape)}


@dataclass(frozen=True)
class AEOTPreset(AEPreset):
    """AE-OT: an autoencoder, and the map of noise to its codes.

    autoencoder: ae (trained here), the folder of a run whose autoencoder is taken as it is, or none for vectors that
    are their own codes; source, method, tol, max_time, max_samples: of SemiDiscreteOT; theta or quantile: the angle at
    which samples are refused, the quantile 0.9 without.
    """

    autoencoder: str | None = "ae"
    source: str = "uniform"
    method: str = "auto"
    tol: float | None = None
    max_time: float | None = None
    max_samples: int | None = None
    theta: float | None = None
    quantile: float | None = None

    def map(self) -> dict[str, Any]:
        """What SemiDiscreteOT takes."""
        return {name: getattr(self, name) for name in MAP} | {"seed": self.seed}


@dataclass(frozen=True)
class VAEPreset(Preset):
    """A variational autoencoder. likelihood: gaussian (with its variance) or bernoulli; sigma: of the prior."""

    MODEL = "vae"

    likelihood: str = "gaussian"
    variance: float = 1.0
    sigma: float = 1.0


@dataclass(frozen=True)
class WAEMMDPreset(Preset):
    """A Wasserstein autoencoder. weight: of the penalty; factor: of the squared error; sigma: of the prior."""

    MODEL = "wae"
    FIXED = types.MappingProxyType({"penalty": "mmd"})

    weight: float = 10.0
    factor: float = 0.05
    sigma: float = 1.0


@dataclass(frozen=True)
class WAESinkhornPreset(WAEMMDPreset):
    """With a Sinkhorn divergence. eps: its regularisation, in squared units of the codes."""

    FIXED = types.MappingProxyType({"penalty": "sinkhorn"})

    eps: float | None = None


@dataclass(frozen=True)
class WAEGANPreset(WAEMMDPreset):
    """With an adversary, whose learning rate is adversary_lr."""

    FIXED = types.MappingProxyType({"penalty": "gan"})
    PLAYERS = ("autoencoder", "adversary")

    adversary_lr: float | None = None


@dataclass(frozen=True)
class WGANPreset(Preset):
    """A Wasserstein GAN with spectral norms. critic_steps to one of the generator; critic_*: of the critic.

    watch_every: epochs between two comparisons of the critic's estimate of W1 with the exact one of the same
    watch_points samples, which join the log; 0 for none.
    """

    MODEL = "wgan"
    FIXED = types.MappingProxyType({"lipschitz": "spectral"})
    PLAYERS = ("critic", "generator")

    critic_steps: int = 5
    critic_width: Width = None
    critic_norm: str | None = None
    critic_lr: float | None = None
    sigma: float = 1.0
    watch_every: int = 1
    watch_points: int = 500


@dataclass(frozen=True)
class WGANClipPreset(WGANPreset):
    """A Wasserstein GAN whose critic's weights are held in [-clip, clip]."""

    FIXED = types.MappingProxyType({"lipschitz": "clip"})

    clip: float = 0.01


@dataclass(frozen=True)
class WGANGPPreset(WGANPreset):
    """A Wasserstein GAN with a gradient penalty of this weight."""

    FIXED = types.MappingProxyType({"lipschitz": "gp"})

    weight: float = 10.0


@dataclass(frozen=True)
class IWGANPreset(WGANPreset):
    """An inferential Wasserstein GAN. weight: of the gradient penalty; bound: of the decoder's outputs, for vectors.

    gap_budget: steps that each side is retrained for the duality gap, which joins the log when the critic is compared,
    0 for none; stop_gap: the run ends at the first gap that is not above it.
    """

    MODEL = "iwgan"
    FIXED = types.MappingProxyType({})
    PLAYERS = ("critic", "autoencoder")

    weight: float = 5.0
    bound: float | None = None
    gap_budget: int = 0
    stop_gap: float | None = None


def changed(preset: P, assignments: Iterable[str]) -> P:
    """The preset with fields set as "field=value", each read by the type of its field; none is None.

    Tuples are numbers with commas between them, dicts JSON. Epochs that are asked for have no least_steps. Raises
    ValueError for an unknown field or another type.
    """
    hints, values = hints_of(type(preset)), {}
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals or name not in hints:
            raise ValueError(
                f"--set must be FIELD=VALUE, FIELD one of {', '.join(hints)}; got {text!r}. Correct the name."
            )
        values[name] = _value(name, value, hints[name])
    for one, other in (*EITHER, *(pair[::-1] for pair in EITHER)):
        if values.get(one) is not None and other in hints:
            values.setdefault(other, None)
    if "epochs" in values:
        values.setdefault("least_steps", 0)
    return dataclasses.replace(preset, **values)


def read(kind: type[P], values: Mapping[str, Any]) -> P:
    """The fields that were written as JSON, of an older otgen those it had; raises ValueError for unknown ones."""
    odd = sorted(set(values) - set(hints_of(kind)))
    if odd:
        raise ValueError(f"its preset has other fields than {kind.__name__}: {', '.join(odd)}")
    fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    return kind(**fields)


def told(value: Any) -> str:
    """A value as `changed` reads it."""
    if isinstance(value, tuple):
        return ",".join(map(told, value))
    if isinstance(value, dict):
        return json.dumps(value)
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def hints_of(kind: type[Preset]) -> dict[str, Any]:
    """The type of each field, by name."""
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _value(name: str, text: str, hint: Any) -> Any:
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if type(None) in kinds and text.lower() == "none":
        return None
    for kind in kinds:
        if kind is not type(None):
            try:
                return _read(text, kind)
            except ValueError:
                continue
    words = " or ".join(WORDS[typing.get_origin(kind) or kind] for kind in kinds)
    raise ValueError(f"{name} must be {words}; got {text!r}. Pass --set {name}=VALUE of that type.")


WORDS = {
    int: "a whole number", float: "a number", str: "a word", tuple: "numbers with commas between them",
    dict: "a JSON object", type(None): "none",
}  # fmt: skip


def _read(text: str, kind: Any) -> Any:
    origin = typing.get_origin(kind)
    if origin is tuple:
        parts, kinds = text.split(","), typing.get_args(kind)
        if kinds[-1] is not Ellipsis and len(parts) != len(kinds):
            raise ValueError
        return tuple(_read(part, kinds[0]) for part in parts)
    if origin is dict:
        found = json.loads(text)
        if not isinstance(found, dict):
            raise ValueError
        return found
    if kind is str and not text:
        raise ValueError
    return kind(text)
