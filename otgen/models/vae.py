"""The variational autoencoder: a decoder with a likelihood, and an encoder that gives the law of a sample's code."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..options import is_one_of, read_count, read_positive
from . import nets
from .protocol import Autoencoder

LIKELIHOODS = ("gaussian", "bernoulli")


class VAE(Autoencoder):
    """Variational autoencoder, trained on minus the evidence lower bound, in nats.

    ELBO(x) = E_q(z|x) log p(x|z) - KL(q(z|x) | N(0, sigma^2 I)) <= log p(x), q(z|x) = N(m, diag(exp l)), one draw of z.
    gaussian: log p(x|z) = -|x - G(z)|^2 / (2 variance) - d/2 log(2 pi variance), d the number of coordinates.
    bernoulli: log p(x|z) = sum x log g + (1 - x) log(1 - g), g = sigmoid(G(z)); x in [0, 1], and where x is not 0 or 1
    this is a loss, not the logarithm of a density.
    KL = 1/2 sum_k (exp(l_k) + m_k^2) / sigma^2 - 1 - l_k + log sigma^2.

    encoder (n, *shape) -> (n, 2 code), the means m beside the log variances l; decoder (n, code) -> (n, *shape), logits
    where bernoulli. Other arguments as in AE. encode gives m; decode the mean of p(x|z). One player, "autoencoder";
    terms likelihood and divergence (ELBO = their difference). Raises ValueError or TypeError for bad options.
    Source: Kingma and Welling, arXiv 1312.6114.
    """

    NAME = "vae"
    PLAYERS = {"autoencoder": ("encoder", "decoder")}  # noqa: RUF012
    PLAYS = (("autoencoder", 1),)

    def __init__(
        self,
        shape: Any,
        code: int,
        *,
        likelihood: str = "gaussian",
        variance: float = 1.0,
        sigma: float = 1.0,
        width: nets.Width = None,
        norm: str | None = None,
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
    ) -> None:
        super().__init__(shape, code, sigma, likelihood=likelihood, variance=variance, width=width, norm=norm)
        if not is_one_of(likelihood, LIKELIHOODS):
            raise ValueError(
                f"likelihood must be one of {', '.join(LIKELIHOODS)}; got {likelihood!r}. Pass one of them."
            )
        self.likelihood = likelihood
        self.variance = read_positive(variance, "variance", "Pass that of the noise on one coordinate.")
        self.add("encoder", encoder, lambda: nets.encoder(self.shape, 2 * self.code, width=width, norm=norm))
        last = None if likelihood == "bernoulli" else nets.to_range(self.shape)
        self.add("decoder", decoder, lambda: nets.decoder(self.shape, self.code, width=width, norm=norm, last=last))
        self._in_range = likelihood == "gaussian"

    def losses(self, batch: Tensor, *, generator: torch.Generator, only: str | None = None) -> dict[str, Tensor]:
        x = self.read(batch)
        self.wanted(only)
        if not self._in_range:  # of the first batch alone: the test waits for the device
            self._check_range(x, "batch")
            self._in_range = True
        likelihood, divergence = (part.mean() for part in self._parts(x, self.noise((len(x), self.code), generator)))
        self.terms = {"likelihood": likelihood.detach(), "divergence": divergence.detach()}
        return {"autoencoder": divergence - likelihood}

    def elbo(self, x: Tensor, *, generator: torch.Generator, draws: int = 1) -> Tensor:
        """ELBO (n,) of each sample x (n, *shape) in nats, the mean over draws of z; in eval mode, without gradient."""
        x, draws = self.read(x, "x"), read_count(draws, "draws", "draws of z a sample")
        if self.likelihood == "bernoulli":
            self._check_range(x, "x")

        def bound(part: Tensor) -> Tensor:
            found = [self._parts(part, self.noise((len(part), self.code), generator)) for _ in range(draws)]
            return torch.stack([likelihood - divergence for likelihood, divergence in found]).mean(0)

        return self.evaluate(bound, x)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Means m and log variances l, (n, code) each, of q(z|x) for x (n, *shape)."""
        mean, log_variance = self.through("encoder", x, (2 * self.code,)).chunk(2, dim=1)
        return mean, log_variance

    def draw_codes(self, x: Tensor, *, generator: torch.Generator) -> Tensor:
        """Codes (n, code) of x (n, *shape), one drawn from each q(z|x); in eval mode, without gradient."""

        def draw(part: Tensor) -> Tensor:
            mean, log_variance = self.posterior(part)
            return mean + (0.5 * log_variance).exp() * self.noise(mean.shape, generator)

        return self.evaluate(draw, self.read(x, "x"))

    def _parts(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """log p(x|z) (n,), z = m + exp(l / 2) noise, and KL(q(z|x) | prior) (n,)."""
        mean, log_variance = self.posterior(x)
        found = self.through("decoder", mean + (0.5 * log_variance).exp() * noise, self.shape)
        if self.likelihood == "bernoulli":
            likelihood = -F.binary_cross_entropy_with_logits(found, x, reduction="none").flatten(1).sum(1)
        else:
            squares = (x - found).square().flatten(1).sum(1)
            constant = 0.5 * math.prod(self.shape) * math.log(2 * math.pi * self.variance)
            likelihood = -0.5 / self.variance * squares - constant
        spread = (log_variance.exp() + mean.square()) / self.sigma**2
        return likelihood, 0.5 * (spread - 1 - log_variance + 2 * math.log(self.sigma)).sum(1)

    def _encode(self, x: Tensor) -> Tensor:
        return self.posterior(x)[0]

    def _decode(self, z: Tensor) -> Tensor:
        found = super()._decode(z)
        return found.sigmoid() if self.likelihood == "bernoulli" else found

    def _check_range(self, x: Tensor, name: str) -> None:
        low, high = float(x.min()), float(x.max())
        if not 0 <= low <= high <= 1:
            raise ValueError(
                f"{name} must lie in [0, 1] for likelihood='bernoulli'; it lies in [{low:g}, {high:g}]. Rescale it, or "
                "pass likelihood='gaussian'."
            )
