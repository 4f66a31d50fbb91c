"""The inferential Wasserstein GAN: an autoencoder and a Wasserstein GAN in one objective, with a gap to stop by."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..options import read_count, read_positive
from . import nets
from .duality import BATCH, HELD_OUT, RATE, DualityGap, duality_gap
from .protocol import Autoencoder
from .wgan import slope_penalty


class IWGAN(Autoencoder):
    """Inferential Wasserstein GAN: reconstructions stay near the data, and their law near that of the generator.

    inf over G, Q, sup over f of L = E |X - G(Q(X))| + E f(G(Q(X))) - E f(G(Z)), |.| the Euclidean norm, not squared,
    f 1-Lipschitz, Z ~ N(0, sigma^2 I). By the triangle inequality sup over f of L >= W1(law of X, law of G(Z)).
    The critic f never sees X. Its loss is -(E f(G(Q(X))) - E f(G(Z))) + weight E (|grad f(X')| - 1)^2, X' uniform on
    the segment from G(Z) to G(Q(X)).

    encoder Q (n, *shape) -> (n, code), decoder G (n, code) -> (n, *shape) and critic f (n, *shape) -> (n, 1) may be
    modules of the user's own. bound holds the outputs of the decoder of vectors in [-bound, bound] (tanh): without it
    the infimum over G at a fixed f is -inf, and `duality_gap` grows with its budget. Other arguments as in WGAN.
    Players "critic" and "autoencoder"; terms reconstruction, difference (E f(G(Q(X))) - E f(G(Z))) and slope. Raises
    ValueError or TypeError for bad options.
    Source: Chen, Gao and Wang, Inferential Wasserstein Generative Adversarial Networks, JRSS B 84 (2022).
    """

    NAME = "iwgan"
    PLAYERS = {"critic": ("critic",), "autoencoder": ("encoder", "decoder")}  # noqa: RUF012
    critic: nn.Module

    def __init__(
        self,
        shape: Any,
        code: int,
        *,
        weight: float = 5.0,
        critic_steps: int = 5,
        bound: float | None = None,
        sigma: float = 1.0,
        width: nets.Width = None,
        norm: str | None = None,
        critic_width: nets.Width = None,
        critic_norm: str | None = None,
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
        critic: nn.Module | None = None,
    ) -> None:
        super().__init__(
            shape, code, sigma, weight=weight, critic_steps=critic_steps, bound=bound, width=width, norm=norm,
            critic_width=critic_width, critic_norm=critic_norm,
        )  # fmt: skip
        self.weight = read_positive(weight, "weight", "Pass 5.0, the usual one.")
        self.PLAYS = (("critic", read_count(critic_steps, "critic_steps", "critic steps")), ("autoencoder", 1))
        last = nets.to_range(self.shape)
        if bound is not None:
            if last is not None or decoder is not None:
                raise ValueError(
                    f"bound is for the built-in decoder of vectors; got bound={bound!r} beside "
                    f"{'a decoder' if decoder is not None else f'shape {self.shape}'}. Leave it out."
                )
            last = nets.Bounded(read_positive(bound, "bound", "Pass a number beyond all coordinates of the data."))
        size = {"width": width, "norm": norm}
        self.add("encoder", encoder, lambda: nets.encoder(self.shape, self.code, **size))
        self.add("decoder", decoder, lambda: nets.decoder(self.shape, self.code, **size, last=last))
        self.add("critic", critic, lambda: nets.critic(self.shape, width=critic_width, norm=critic_norm))

    def losses(self, batch: Tensor, *, generator: torch.Generator, only: str | None = None) -> dict[str, Tensor]:
        x, wanted = self.read(batch), self.wanted(only)
        z, found = self.prior(len(x), generator), {}
        self.terms = {}
        with torch.set_grad_enabled(torch.is_grad_enabled() and "autoencoder" in wanted):
            rebuilt, fake = self._decode(torch.cat([self._encode(x), z])).chunk(2)
        if "critic" in wanted:
            found["critic"] = -self._difference(rebuilt.detach(), fake.detach()).mean()
            slope = slope_penalty(self._critic, rebuilt, fake, self.noise((len(x),), generator, uniform=True))
            self.terms |= {"slope": slope.detach(), "difference": -found["critic"].detach()}
            found["critic"] = found["critic"] + self.weight * slope
        if "autoencoder" in wanted:
            reconstruction, difference = distance(x, rebuilt).mean(), self._difference(rebuilt, fake).mean()
            self.terms |= {"reconstruction": reconstruction.detach(), "difference": difference.detach()}
            found["autoencoder"] = reconstruction + difference
        return found

    def objective(self, x: Tensor, z: Tensor) -> Tensor:
        """|x - G(Q(x))| + f(G(Q(x))) - f(G(z)) (n,) of x (n, *shape) and z (n, code): L is its mean."""
        rebuilt = self._decode(self._encode(x))
        return distance(x, rebuilt) + self._difference(rebuilt, self._decode(z))

    def quality_score(self, x: Tensor) -> Tensor:
        """exp(-|x - G(Q(x))| - f(G(Q(x)))) (n,) of x (n, *shape), in eval mode and without gradient.

        Higher for samples that are rebuilt well, where the critic is low. f is free up to a constant: only ratios of
        scores mean something, and where f is large they are 0 or inf. `log_quality` is not.
        """
        return self.log_quality(x).exp()

    def log_quality(self, x: Tensor) -> Tensor:
        """The logarithm (n,) of quality_score: only differences mean something."""

        def score(part: Tensor) -> Tensor:
            rebuilt = self._decode(self._encode(part))
            return -distance(part, rebuilt) - self._critic(rebuilt)

        return self.evaluate(score, self.read(x, "x"))

    def critic_values(self, x: Tensor) -> Tensor:
        """f(x) (n,) of x (n, *shape), in eval mode and without gradient."""
        return self.evaluate(self._critic, self.read(x, "x"))

    def duality_gap(
        self,
        data: Tensor,
        budget: int,
        *,
        generator: torch.Generator,
        batch: int = BATCH,
        rate: float = RATE,
        held_out: float = HELD_OUT,
    ) -> DualityGap:
        """sup over f of L - inf over G, Q of L, as `otgen.models.duality.duality_gap` estimates it."""
        return duality_gap(self, data, budget, generator=generator, batch=batch, rate=rate, held_out=held_out)

    def _difference(self, rebuilt: Tensor, fake: Tensor) -> Tensor:
        of_rebuilt, of_fake = self._critic(torch.cat([rebuilt, fake])).chunk(2)
        return of_rebuilt - of_fake

    def _critic(self, x: Tensor) -> Tensor:
        return self.through("critic", x, (1,))[:, 0]


def distance(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distance (n,) of x, y (n, *shape); its gradient at 0 is 0."""
    return torch.linalg.vector_norm((x - y).flatten(1), dim=1)
