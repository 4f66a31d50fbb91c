"""The Wasserstein GAN: a generator against a Lipschitz critic, whose difference of means is its estimate of W1."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from ..options import is_one_of, read_count, read_positive
from . import nets
from .protocol import Model

LIPSCHITZ = ("clip", "gp", "spectral")


class WGAN(Model):
    """Wasserstein GAN: the generator minimises the largest difference of means of a Lipschitz critic f.

    min over G, max over f of E f(X) - E f(G(Z)), Z ~ N(0, sigma^2 I). f is held by lipschitz:
    clip: every weight w of f is set to min(max(w, -clip), clip) after each of its steps: K-Lipschitz, K unknown.
    gp: weight E (|grad f(X')| - 1)^2 is added to its loss, X' uniform on the segment from G(Z) to X. The best slope
    along the transport is then 1 + W1 / (2 weight), and the difference of means as much above W1.
    spectral: each linear and convolution kernel, as a matrix, is divided by its largest singular value, followed by one
    power iteration a call of losses; linear layers and 1-Lipschitz activations then make f 1-Lipschitz.

    generator (n, code) -> (n, *shape) and critic (n, *shape) -> (n, 1) may be modules of the user's own (spectral
    changes the layers of that critic in place); a critic has no BatchNorm. critic_steps is the number of critic steps
    to one of the generator. Other arguments as in AE; critic_width and critic_norm are the critic's. decode is G.
    Players "critic" and "generator"; terms difference (E f(X) - E f(G(Z)), which estimates W1 if f is 1-Lipschitz) and
    slope (the penalty without its weight). Raises ValueError or TypeError for bad options.
    Source: Arjovsky et al., arXiv 1701.07875 (clip); Gulrajani et al., arXiv 1704.00028 (gp, weight 10, toys 0.1);
    Miyato et al., arXiv 1802.05957 (spectral).
    """

    NAME = "wgan"
    PLAYERS = {"critic": ("critic",), "generator": ("generator",)}  # noqa: RUF012
    DECODER = "generator"
    critic: nn.Module
    generator: nn.Module

    def __init__(
        self,
        shape: Any,
        code: int,
        *,
        lipschitz: str = "gp",
        weight: float = 10.0,
        clip: float = 0.01,
        critic_steps: int = 5,
        sigma: float = 1.0,
        width: nets.Width = None,
        norm: str | None = None,
        critic_width: nets.Width = None,
        critic_norm: str | None = None,
        generator: nn.Module | None = None,
        critic: nn.Module | None = None,
    ) -> None:
        super().__init__(
            shape, code, sigma, lipschitz=lipschitz, weight=weight, clip=clip, critic_steps=critic_steps, width=width,
            norm=norm, critic_width=critic_width, critic_norm=critic_norm,
        )  # fmt: skip
        if not is_one_of(lipschitz, LIPSCHITZ):
            raise ValueError(f"lipschitz must be one of {', '.join(LIPSCHITZ)}; got {lipschitz!r}. Pass one of them.")
        if lipschitz == "spectral" and not (critic_norm is None or is_one_of(critic_norm, ("none",))):
            raise ValueError(
                f"critic_norm must be None for lipschitz='spectral': no bound on layers holds through a norm; got "
                f"{critic_norm!r}. Leave it out."
            )
        self.lipschitz = lipschitz
        self.weight = read_positive(weight, "weight", "Pass 10.0, or 0.1 for toys in the plane.")
        self.clip = read_positive(clip, "clip", "Pass 0.01, the paper's.")
        self.PLAYS = (("critic", read_count(critic_steps, "critic_steps", "critic steps")), ("generator", 1))
        last = nets.to_range(self.shape)
        self.add("generator", generator, lambda: nets.decoder(self.shape, self.code, width=width, norm=norm, last=last))
        self.add("critic", critic, lambda: nets.critic(self.shape, width=critic_width, norm=critic_norm))
        if lipschitz == "spectral":
            normalise_layers(self.critic)

    def losses(self, batch: Tensor, *, generator: torch.Generator, only: str | None = None) -> dict[str, Tensor]:
        x, wanted = self.read(batch), self.wanted(only)
        z, found = self.prior(len(x), generator), {}
        self.terms = {}
        with parametrize.cached():  # one power iteration a call, whoever's loss it is
            with torch.set_grad_enabled(torch.is_grad_enabled() and "generator" in wanted):
                fake = self._decode(z)
            if "critic" in wanted:
                of_data, of_fake = self._critic(torch.cat([x, fake.detach()])).chunk(2)
                difference = of_data.mean() - of_fake.mean()
                self.terms["difference"] = difference.detach()
                found["critic"] = -difference
                if self.lipschitz == "gp":
                    slope = slope_penalty(self._critic, x, fake, self.noise((len(x),), generator, uniform=True))
                    self.terms["slope"] = slope.detach()
                    found["critic"] = found["critic"] + self.weight * slope
            if "generator" in wanted:
                found["generator"] = -self._critic(fake).mean()
        return found

    def after_step(self, player: str) -> None:
        """Clip the critic's weights after its step, where lipschitz="clip"."""
        if self.lipschitz == "clip" and player == "critic":
            with torch.no_grad():
                for weight in self.critic.parameters():
                    weight.clamp_(-self.clip, self.clip)

    def critic_values(self, x: Tensor) -> Tensor:
        """f(x) (n,) of x (n, *shape), in eval mode and without gradient: a difference of means estimates K W1."""
        return self.evaluate(self._critic, self.read(x, "x"))

    def _critic(self, x: Tensor) -> Tensor:
        return self.through("critic", x, (1,))[:, 0]


def slope_penalty(critic: Any, x: Tensor, y: Tensor, share: Tensor) -> Tensor:
    """E (|grad f(p)| - 1)^2, p = share x + (1 - share) y for x, y (n, *shape) and share (n,); f gives values (n,)."""
    share = share.reshape(-1, *[1] * (x.ndim - 1))
    recorded = torch.is_grad_enabled()
    with torch.enable_grad():
        points = (share * x.detach() + (1 - share) * y.detach()).requires_grad_()
        (slopes,) = torch.autograd.grad(critic(points).sum(), points, create_graph=recorded)
    return (torch.linalg.vector_norm(slopes.flatten(1), dim=1) - 1).square().mean()


def normalise_layers(network: nn.Module) -> None:
    """Divide each linear and convolution kernel of network by its largest singular value from now on, in place."""
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    for layer in list(network.modules()):
        if isinstance(layer, kinds) and not parametrize.is_parametrized(layer, "weight"):
            parametrizations.spectral_norm(layer)
