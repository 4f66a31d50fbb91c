"""What a generative model answers, so that one loop trains it, one file saves it and one command judges it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..options import read_count, read_positive, read_shape

LARGEST_SIGMA = 1e15
BLOCK = 1_000
"""Samples that encode, decode and sample take at once: at 64 px and width 64 their activations fill about 1 GB."""


class Model(nn.Module):
    """A generative model: its networks, the players who own them, their losses, and samples x = G(z).

    Samples have shape (n, *shape): images (C, H, W) with values in [0, 1], vectors (d,) of any range. Codes z (n, code)
    have the prior N(0, sigma^2 I). NAME is the model's word in `build`. PLAYERS says which attributes are whose
    networks. PLAYS is one cycle of training, (player, steps) in turn, each step on a fresh batch. `terms` holds the
    parts of the losses of the last call, detached. `gather` may be replaced by a function that joins the codes of all
    processes.

    A network of the user's own is any torch.nn.Module that takes and gives the shapes stated by the model.
    """

    NAME: str
    PLAYERS: dict[str, tuple[str, ...]]
    PLAYS: tuple[tuple[str, int], ...]
    DECODER = "decoder"
    HAS_PRIOR = True  # False: sample raises, as the codes have no known law

    def __init__(self, shape: Any, code: Any, sigma: Any, **options: Any) -> None:
        super().__init__()
        self.shape = read_shape(shape)
        self.code = read_count(code, "code", "latent coordinates")
        self.sigma = read_positive(sigma, "sigma", "Pass 1.0 for the standard normal prior.")
        if self.sigma > LARGEST_SIGMA:
            raise ValueError(
                f"sigma must be at most {LARGEST_SIGMA:g}, whose square float32 can hold; got {sigma!r}. "
                "Rescale the codes."
            )
        self.options, self.custom = options, []
        self.terms: dict[str, Tensor] = {}

    def losses(self, batch: Tensor, *, generator: torch.Generator, only: str | None = None) -> dict[str, Tensor]:
        """The loss of every player, or of `only` one, on a batch (n, *shape); each is a scalar to be minimised.

        All noise is drawn from generator, that of several players first, so that `only` changes no number. Raises
        ValueError or TypeError for a batch, generator or player that does not fit.
        """
        raise NotImplementedError

    def players(self) -> dict[str, list[nn.Parameter]]:
        """The parameters that each player owns."""
        return {
            player: [p for network in networks for p in getattr(self, network).parameters()]
            for player, networks in self.PLAYERS.items()
        }

    def after_step(self, player: str) -> None:
        """What follows an optimiser step of a player: nothing, unless the paper clips its weights."""

    def gather(self, values: Tensor) -> Tensor:
        """The values of all processes: of one process, its own."""
        return values

    def sample(self, n: int, *, generator: torch.Generator) -> Tensor:
        """n samples G(z), z from the prior: (n, *shape), in eval mode and without gradient."""
        return self.decode(self.prior(read_count(n, "n", "samples"), generator))

    def decode(self, z: Tensor) -> Tensor:
        """G(z) (n, *shape) of codes z (n, code), in eval mode and without gradient."""
        return self.evaluate(self._decode, read_samples(z, "z", (self.code,)))

    def config(self) -> dict[str, Any]:
        """What `build` makes this model of again, to be kept as JSON; "custom" lists the user's own networks."""
        own = {key: list(value) if isinstance(value, tuple) else value for key, value in self.options.items()}
        prior = {"sigma": self.sigma} if self.HAS_PRIOR else {}
        fixed = {"model": self.NAME, "shape": list(self.shape), "code": self.code}
        return {**fixed, **prior, **own, "custom": list(self.custom)}

    def prior(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw n codes (n, code) from N(0, sigma^2 I)."""
        return self.sigma * self.noise((n, self.code), generator)

    def noise(self, shape: tuple[int, ...], generator: torch.Generator, *, uniform: bool = False) -> Tensor:
        """Draw standard normal numbers, or uniform ones of [0, 1), in the precision and on the device of the model."""
        like = next(self.parameters(), torch.empty(0))
        if not isinstance(generator, torch.Generator):
            raise TypeError(
                f"generator must be a torch.Generator; got {type(generator).__name__}. "
                "Pass torch.Generator().manual_seed(0)."
            )
        if generator.device.type != like.device.type:
            raise ValueError(
                f"generator must be on the model's device ({like.device}); it is on {generator.device}. "
                f"Pass torch.Generator('{like.device}')."
            )
        draw = torch.rand if uniform else torch.randn
        return draw(shape, generator=generator, device=like.device, dtype=like.dtype)

    def wanted(self, only: str | None) -> tuple[str, ...]:
        """The players whose losses are asked for."""
        if only is not None and only not in self.PLAYERS:
            raise ValueError(
                f"only must be None or a player: {', '.join(self.PLAYERS)}; got {only!r}. Leave it None for all losses."
            )
        return tuple(self.PLAYERS) if only is None else (only,)

    def read(self, x: Any, name: str = "batch") -> Tensor:
        """Return samples (n, *shape), or raise."""
        return read_samples(x, name, self.shape)

    def add(self, name: str, own: nn.Module | None, default: Callable[[], nn.Module]) -> None:
        """Set network `name` to the user's own module, or to the default one where that is None."""
        if own is not None and not isinstance(own, nn.Module):
            raise TypeError(
                f"{name} must be a torch.nn.Module or None; got {type(own).__name__}. Put its forward into a module."
            )
        self.custom += [] if own is None else [name]
        setattr(self, name, default() if own is None else own)

    def through(self, network: str, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return what a network gives for x (n, ...), which must have shape (n, *shape): a mean would hide the rest."""
        found = getattr(self, network)(x)
        if found.shape != (len(x), *shape):
            raise ValueError(
                f"{network} must give shape {(len(x), *shape)} for input {tuple(x.shape)}; it gave "
                f"{tuple(found.shape)}. Change its last layer."
            )
        return found

    def evaluate(self, function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """Return function(x), by blocks of samples, in eval mode and without gradient."""
        with evaluating(self):
            return torch.cat([function(part) for part in x.split(BLOCK)])

    def _decode(self, z: Tensor) -> Tensor:
        return self.through(self.DECODER, z, self.shape)


class Autoencoder(Model):
    """A model with codes of the data: `encoder` (n, *shape) -> (n, code) and `decoder` back."""

    encoder: nn.Module
    decoder: nn.Module

    def encode(self, x: Tensor) -> Tensor:
        """Codes (n, code) of x (n, *shape), in eval mode and without gradient."""
        return self.evaluate(self._encode, self.read(x, "x"))

    def reconstruct(self, x: Tensor) -> Tensor:
        """G(Q(x)) of shape (n, *shape), in eval mode and without gradient."""
        return self.evaluate(lambda part: self._decode(self._encode(part)), self.read(x, "x"))

    def _encode(self, x: Tensor) -> Tensor:
        return self.through("encoder", x, (self.code,))


def read_samples(x: Any, name: str, shape: tuple[int, ...]) -> Tensor:
    """Return x (n, *shape), n >= 1, a floating-point tensor, or raise."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} must be a torch tensor; got {type(x).__name__}. Pass torch.from_numpy({name}).")
    if not x.is_floating_point():
        raise TypeError(f"{name} must hold floating-point numbers; got {x.dtype}. Pass {name}.float(), images / 255.")
    if x.shape[1:] != shape or len(x) == 0:
        inner = "".join(f", {size}" for size in shape)
        raise ValueError(f"{name} must have shape (n{inner}) with n >= 1; got {tuple(x.shape)}. Reshape it.")
    return x


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode and no gradients within; afterwards every module is in the mode that it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
