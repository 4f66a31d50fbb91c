"""Tiny models for the tests of the training loop: they answer as otgen.models.Model does, and import nothing of it."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn


class Toy(nn.Module):
    """What all of them share."""

    PLAYERS: ClassVar[dict[str, tuple[str, ...]]]

    def __init__(self) -> None:
        super().__init__()
        self.terms: dict[str, torch.Tensor] = {}
        self.updates: list[str] = []

    def players(self) -> dict[str, list[nn.Parameter]]:
        return {
            player: [p for name in names for p in getattr(self, name).parameters()]
            for player, names in self.PLAYERS.items()
        }

    def after_step(self, player: str) -> None:
        self.updates.append(player)

    def gather(self, values: torch.Tensor) -> torch.Tensor:
        return values

    def config(self) -> dict:
        return {"model": type(self).__name__, "shape": (6,), "code": 2, "custom": ["encoder"]}


class Autoencoder(Toy):
    """A denoising autoencoder of vectors (6,), with dropout and batch norm: global noise, own noise and buffers."""

    PLAYERS: ClassVar = {"autoencoder": ("encoder", "decoder")}
    PLAYS = (("autoencoder", 1),)

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 2))
        self.decoder = nn.Linear(2, 6)

    def losses(self, batch, *, generator, only=None):
        noisy = batch + 0.1 * torch.randn(batch.shape, generator=generator, dtype=batch.dtype)
        loss = (self.decoder(self.encoder(noisy)) - batch).square().sum(1).mean()
        self.terms = {"error": loss.detach().sqrt()}
        return {"autoencoder": loss}


class Gan(Toy):
    """A WGAN-GP of vectors (6,): two players, a penalty that is differentiated twice, three critic updates a cycle."""

    PLAYERS: ClassVar = {"critic": ("critic",), "generator": ("generator",)}
    PLAYS = (("critic", 3), ("generator", 1))

    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 6))
        self.critic = nn.Sequential(nn.Linear(6, 8), nn.Softplus(), nn.Linear(8, 1))

    def noise(self, n: int, generator: torch.Generator) -> torch.Tensor:
        return torch.randn(n, 2, generator=generator)

    def losses(self, batch, *, generator, only=None):
        z = self.noise(len(batch), generator)
        fake = self.generator(z)
        if only == "generator":
            self.terms = {}
            return {"generator": -self.critic(fake).mean()}
        between = (0.5 * (batch + fake)).detach().requires_grad_()
        (slope,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
        penalty = (slope.norm(dim=1) - 1).square().mean()
        gap = self.critic(batch).mean() - self.critic(fake.detach()).mean()
        self.terms = {"penalty": penalty.detach()}
        return {"critic": penalty - gap}


class Gathered(Gan):
    """A GAN whose noise is a function of the batch, and whose generator pays for the spread of all codes together.

    What it computes from a batch is then the same however the batch is dealt out, to rounding.
    """

    def losses(self, batch, *, generator, only=None):
        self._noise = torch.stack([batch.sum(1), batch.square().sum(1)], dim=1)
        found = super().losses(batch, generator=generator, only=only)
        if "generator" in found:
            codes = self.gather(self.generator(self._noise))
            spread = (codes.T @ codes / len(codes) - torch.eye(6)).square().sum()
            return {"generator": found["generator"] + spread}
        return found

    def noise(self, n, generator):
        return self._noise


def points(n: int = 96) -> torch.Tensor:
    """Vectors (n, 6)."""
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(1))


def seeded(kind: type[Toy], seed: int = 0) -> Any:
    """A model whose first weights are those of a seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return kind()
