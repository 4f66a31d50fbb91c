"""The networks of a model as its players train them: on one device or many, in a precision, one player at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from .options import TrainOptions

# Fused updates are one pass over the weights; RMSprop has none, and is updated tensor list by tensor list.
OPTIMIZERS: dict[str, tuple[Any, dict[str, bool]]] = {
    "adam": (torch.optim.Adam, {"fused": True}),
    "adamw": (torch.optim.AdamW, {"fused": True}),
    "sgd": (torch.optim.SGD, {"fused": True}),
    "rmsprop": (torch.optim.RMSprop, {"foreach": True}),
}


def start(options: TrainOptions) -> Any:
    """Return the launched Fabric of these options: with several devices, as many processes run what follows."""
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.strategies.ddp import DDPStrategy

        from .precision import plugins
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "otgen.training needs lightning-fabric. Run: pip install 'otgen[models]'", name=error.name
        ) from None
    accelerator = options.accelerator
    if accelerator == "auto":
        accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    # Buffers agree at checkpoints (Team.agree): sent at each forward they would change under a pending backward.
    strategy = DDPStrategy(broadcast_buffers=False) if options.devices > 1 else "auto"
    found = plugins(options.precision, accelerator)
    fabric = Fabric(accelerator=accelerator, devices=options.devices, strategy=strategy, plugins=found)
    fabric.launch()
    return fabric


class Team:
    """The players of a model, their networks set up each for itself, and one optimiser each.

    `tensors` are the model's parameters and buffers by their names in its state dict.
    """

    def __init__(self, model: Any, options: TrainOptions, fabric: Any) -> None:
        self._model, self._fabric, self._clip = model, fabric, options.clip_grad
        fabric.to_device(model)
        names = dict.fromkeys(name for owned in model.PLAYERS.values() for name in owned)
        self._own = {name: getattr(model, name) for name in names}
        # On one device in float32 what Fabric wraps around a network does nothing, at some 0.05 ms a call.
        wraps = fabric.world_size > 1 or options.precision != "32-true"
        self._set_up = {
            name: fabric.setup_module(one) if wraps and any(p.requires_grad for p in one.parameters()) else one
            for name, one in self._own.items()
        }
        self.tensors: dict[str, torch.Tensor] = model.state_dict(keep_vars=True)
        # What the user has frozen stays frozen.
        self._weights = {player: [p for p in weights if p.requires_grad] for player, weights in model.players().items()}
        self._gather = vars(model).get("gather")
        self._turn: str | None = None
        self.optimizers = {
            player: optimizer(options.optimizer_of(player), weights) for player, weights in self._weights.items()
        }
        self._rates = {player: options.optimizer_of(player)["lr"] for player in self.optimizers}
        self._wrapped = {player: fabric.setup_optimizers(one) for player, one in self.optimizers.items()}

    @contextmanager
    def playing(self) -> Iterator[None]:
        """Train mode and the networks as set up within; afterwards the model is as it came, but for its weights."""
        modes = [(module, module.training) for module in self._model.modules()]
        self._model.train()
        self._seat(self._set_up)
        try:
            yield
        finally:
            self._seat(self._own)
            for module, training in modes:
                module.training = training
            self._free()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """The model as the user knows it, for a moment of `playing`."""
        self._seat(self._own)
        self._free()
        modes = [(module, module.training) for module in self._model.modules()]
        try:
            yield
        finally:
            for module, training in modes:
                module.training = training
            self._seat(self._set_up)

    def play(self, player: str, batch: torch.Tensor, noise: torch.Generator) -> torch.Tensor:
        """Make one update of a player on a batch, and return its loss, unread."""
        self._give_turn(player)
        with self._others_unsynced(player):
            loss = self._model.losses(batch, generator=noise, only=player)[player]
        self.optimizers[player].zero_grad(set_to_none=True)
        self._fabric.backward(loss)
        if self._clip is not None:
            torch.nn.utils.clip_grad_norm_(self._weights[player], self._clip)
        self._wrapped[player].step()
        self._model.after_step(player)
        return loss

    def set_rates(self, factor: float) -> dict[str, float]:
        """Multiply the learning rates given by a factor and return them by player."""
        rates = {player: rate * factor for player, rate in self._rates.items()}
        for player, one in self.optimizers.items():
            for group in one.param_groups:
                group["lr"] = rates[player]
        return rates

    def agree(self) -> None:
        """Take the buffers of rank 0 on all ranks; parameters agree by their making."""
        if self._fabric.world_size > 1:
            for tensor in self.tensors.values():
                if not isinstance(tensor, torch.nn.Parameter):
                    torch.distributed.broadcast(tensor, 0)

    def check_finite(self, step: int, last_good: Callable[[], str]) -> None:
        """Raise FloatingPointError if a weight is not finite: the next loss would be, too late for a checkpoint."""
        names = [name for name, tensor in self.tensors.items() if tensor.is_floating_point()]
        finite = torch.stack([torch.isfinite(self.tensors[name]).all() for name in names]).tolist()
        if not all(finite):
            raise FloatingPointError(
                f"the weight '{names[finite.index(False)]}' is not finite after step {step}. {last_good()} Lower the "
                "learning rate, or pass clip_grad=."
            )

    def _seat(self, networks: dict[str, torch.nn.Module]) -> None:
        for name, network in networks.items():
            setattr(self._model, name, network)
        if networks is self._set_up and self._fabric.world_size > 1:
            self._model.gather = self._gather_all
        elif self._gather is not None:
            self._model.gather = self._gather
        elif "gather" in vars(self._model):
            del self._model.gather

    def _gather_all(self, codes: torch.Tensor) -> torch.Tensor:
        return self._fabric.all_gather(codes, sync_grads=True).reshape(-1, *codes.shape[1:])

    def _give_turn(self, player: str) -> None:
        # Networks of the others take no gradient: half of a critic's step would go into a generator that is left alone.
        if self._turn != player:
            for weights in self._weights.values():
                for weight in weights:
                    weight.requires_grad_(False)
            for weight in self._weights[player]:
                weight.requires_grad_(True)
            self._turn = player

    def _free(self) -> None:
        for weights in self._weights.values():
            for weight in weights:
                weight.requires_grad_(True)
        self._turn = None

    @contextmanager
    def _others_unsynced(self, player: str) -> Iterator[None]:
        # DDP waits for the gradients of every network that has run, unless it is told that none will come.
        with ExitStack() as stack:
            if self._fabric.world_size > 1:
                for name, network in self._set_up.items():
                    if name not in self._model.PLAYERS[player] and network is not self._own[name]:
                        stack.enter_context(self._fabric.no_backward_sync(network))
            yield


def optimizer(settings: dict[str, Any], weights: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """Return the optimiser of these settings, as TrainOptions has them."""
    settings = dict(settings)
    kind, how = OPTIMIZERS[settings.pop("name")]
    return kind(weights, **settings, **how)


def players_of(model: Any) -> tuple[str, ...]:
    """Return the names of a model's players; raise TypeError for what no loop can train, ValueError for odd plays."""
    lacking = [name for name in ("PLAYERS", "PLAYS", "losses", "players", "after_step") if not hasattr(model, name)]
    if not isinstance(model, torch.nn.Module) or lacking:
        raise TypeError(
            f"model must be an otgen.models.Model, or a torch module that answers as one; got "
            f"{type(model).__name__}, which lacks {', '.join(lacking) or 'torch.nn.Module'}. Derive it from Model."
        )
    players, plays = tuple(model.PLAYERS), tuple(model.PLAYS)  # pyright: ignore[reportArgumentType]
    odd = {player for player, times in plays if times < 1} | {player for player, _ in plays} ^ set(players)
    if odd:
        raise ValueError(
            f"model.PLAYS must let each of {', '.join(players)} play at least once a cycle; got {plays!r}. Correct "
            f"{', '.join(sorted(odd))}."
        )
    return players
