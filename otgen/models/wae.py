"""The Wasserstein autoencoder: reconstruction, and a penalty that makes the codes follow the prior."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..devices import is_on_gpu
from ..options import is_one_of, read_positive
from ..transport.discrepancy import mmd_squared
from ..transport.divergence import sinkhorn_divergence
from . import nets
from .protocol import Autoencoder

PENALTIES = ("mmd", "gan", "sinkhorn")
ADVERSARY = 4 * (512,)  # hidden layers


class WAE(Autoencoder):
    """Wasserstein autoencoder: the cost of transport to the decoded codes, with the codes' law held to the prior.

    min over Q, G of factor E |X - G(Q(X))|^2 + weight D(Q(X), Z), Z ~ N(0, sigma^2 I), squares summed over coordinates.
    mmd: D = otgen.mmd_squared, the multi-scale inverse multiquadric of bandwidth sqrt(2 code) sigma, unbiased.
    gan: D = E log(1 + exp(-A(Q(X)))), the non-saturating loss against an adversary A (logits of "from the prior") that
    minimises E log(1 + exp(-A(Z))) + E log(1 + exp(A(Q(X)))).
    sinkhorn: D = otgen.sinkhorn_divergence with cost |z - z'|^2 and eps; None is 0.2 code sigma^2, a tenth of the mean
    cost between two draws of the prior.

    adversary (n, code) -> (n, 1) may be the user's own; other arguments as in AE. mmd and sinkhorn run where the codes
    (n, code) are, which on an NVIDIA GPU needs CuPy; from any other device they are copied to the host and their
    gradient back. Players "autoencoder" and, for gan,
    "adversary"; terms reconstruction, penalty and adversary. Raises ValueError or TypeError for bad options.
    Source: Tolstikhin et al., arXiv 1711.01558; its code has factor 0.05 and, for MNIST, code 8 and weight 10.
    """

    NAME = "wae"

    def __init__(
        self,
        shape: Any,
        code: int,
        *,
        penalty: str = "mmd",
        weight: float = 10.0,
        factor: float = 0.05,
        eps: float | None = None,
        sigma: float = 1.0,
        width: nets.Width = None,
        norm: str | None = None,
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
        adversary: nn.Module | None = None,
    ) -> None:
        options = {"penalty": penalty, "weight": weight, "factor": factor, "eps": eps, "width": width, "norm": norm}
        super().__init__(shape, code, sigma, **options)
        self.penalty = _check_penalty(penalty, eps, adversary)
        self.weight = read_positive(weight, "weight", "Pass 10.0, the paper's on MNIST.", zero=True)
        self.factor = read_positive(factor, "factor", "Pass 1.0 for the plain squared error.")
        usual = 0.2 * self.code * self.sigma**2
        self.eps = usual if eps is None else read_positive(eps, "eps", "Leave it None for a tenth of the prior's cost.")
        self.add("encoder", encoder, lambda: nets.encoder(self.shape, self.code, width=width, norm=norm))
        last = nets.to_range(self.shape)
        self.add("decoder", decoder, lambda: nets.decoder(self.shape, self.code, width=width, norm=norm, last=last))
        self.PLAYERS = {"autoencoder": ("encoder", "decoder")}
        if penalty == "gan":
            self.add("adversary", adversary, lambda: nets.mlp([self.code, *ADVERSARY, 1]))
            self.PLAYERS["adversary"] = ("adversary",)
        self.PLAYS = tuple((player, 1) for player in self.PLAYERS)

    def losses(self, batch: Tensor, *, generator: torch.Generator, only: str | None = None) -> dict[str, Tensor]:
        x, wanted = self.read(batch), self.wanted(only)
        prior, found = self.prior(len(x), generator), {}
        self.terms = {}
        with torch.set_grad_enabled(torch.is_grad_enabled() and "autoencoder" in wanted):
            codes = self._encode(x)
        if "autoencoder" in wanted:
            reconstruction = (x - self._decode(codes)).square().flatten(1).sum(1).mean()
            penalty = self._penalty(codes, prior)
            self.terms |= {"reconstruction": reconstruction.detach(), "penalty": penalty.detach()}
            found["autoencoder"] = self.factor * reconstruction + self.weight * penalty
        if "adversary" in wanted:
            of_prior, of_codes = self.through("adversary", torch.cat([prior, codes.detach()]), (1,)).chunk(2)
            found["adversary"] = F.softplus(-of_prior).mean() + F.softplus(of_codes).mean()
            self.terms["adversary"] = found["adversary"].detach()
        return found

    def _penalty(self, codes: Tensor, prior: Tensor) -> Tensor:
        """D of codes and draws of the prior, (n, code) each; not a mean over samples, so of all processes together."""
        if self.penalty == "gan":
            return F.softplus(-self.through("adversary", codes, (1,))).mean()
        x, y = self.gather(codes), self.gather(prior)
        if not is_on_gpu(x):
            x, y = x.cpu(), y.cpu()
        if self.penalty == "sinkhorn":
            return sinkhorn_divergence(x, y, eps=self.eps).to(codes.device)
        if len(x) < 2:
            raise ValueError(
                f"batch must hold at least 2 samples for penalty='mmd', which compares pairs; got {len(x)}. Drop a "
                "last batch of one."
            )
        return mmd_squared(x, y, bandwidth=math.sqrt(2 * self.code) * self.sigma).to(codes.device)


def _check_penalty(penalty: Any, eps: Any, adversary: Any) -> str:
    if not is_one_of(penalty, PENALTIES):
        raise ValueError(f"penalty must be one of {', '.join(PENALTIES)}; got {penalty!r}. Pass one of them.")
    for name, value, owner in (("eps", eps, "sinkhorn"), ("adversary", adversary, "gan")):
        if value is not None and penalty != owner:
            raise ValueError(f"{name} belongs to penalty={owner!r}; got penalty={penalty!r}. Leave {name} out.")
    return penalty
