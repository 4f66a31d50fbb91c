"""The autoencoder: codes from which the data can be rebuilt, and no law of the codes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..options import read_positive
from . import nets
from .protocol import Autoencoder


class AE(Autoencoder):
    """Autoencoder with an L1 penalty on its codes, the first phase of AE-OT.

    min over Q, G of E |X - G(Q(X))|^2 + l1 E |Q(X)|_1, squares summed over coordinates; Q the encoder, G the decoder.

    shape is that of a sample, (d,) or (C, H, W), and code the number of latent coordinates. width, norm: see `nets`.
    encoder (n, *shape) -> (n, code) and decoder (n, code) -> (n, *shape) may be modules of the user's own. One player,
    "autoencoder"; terms reconstruction and sparsity. Raises ValueError or TypeError for bad options.
    Source: An et al., AE-OT, ICLR 2020 (l1 = 1e-5, on a squared error that is averaged over pixels).
    """

    NAME = "ae"
    PLAYERS = {"autoencoder": ("encoder", "decoder")}  # noqa: RUF012
    PLAYS = (("autoencoder", 1),)
    HAS_PRIOR = False

    def __init__(
        self,
        shape: Any,
        code: int,
        *,
        l1: float = 1e-5,
        width: nets.Width = None,
        norm: str | None = None,
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
    ) -> None:
        super().__init__(shape, code, 1.0, l1=l1, width=width, norm=norm)
        self.l1 = read_positive(l1, "l1", "Pass 0.0 for no penalty on the codes.", zero=True)
        self.add("encoder", encoder, lambda: nets.encoder(self.shape, self.code, width=width, norm=norm))
        last = nets.to_range(self.shape)
        self.add("decoder", decoder, lambda: nets.decoder(self.shape, self.code, width=width, norm=norm, last=last))

    def losses(self, batch: Tensor, *, generator: torch.Generator, only: str | None = None) -> dict[str, Tensor]:
        x = self.read(batch)
        self.wanted(only)
        codes = self._encode(x)
        reconstruction = (x - self._decode(codes)).square().flatten(1).sum(1).mean()
        sparsity = codes.abs().sum(1).mean()
        self.terms = {"reconstruction": reconstruction.detach(), "sparsity": sparsity.detach()}
        return {"autoencoder": reconstruction + self.l1 * sparsity}

    def sample(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Raises NotImplementedError: an autoencoder does not know the law of its codes."""
        raise NotImplementedError(
            "AE has no law of codes to sample from. Pass it to otgen.models.AEOT, which transports noise to its codes, "
            "or train a VAE or a WAE."
        )
