"""The Lipschitz constraints of the critic against their formulas, and its estimate against the exact distance."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

import otgen
from otgen.models import WGAN
from otgen.models.wgan import slope_penalty
from tolerance import tol


def noise(seed=0):
    return torch.Generator().manual_seed(seed)


class Given(nn.Module):
    """A function of the samples, with a weight of its own that it is multiplied by."""

    def __init__(self, function):
        super().__init__()
        self.function, self.scale = function, nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, x):
        return self.scale * self.function(x)


def test_losses_are_the_differences_of_means():
    critic = Given(lambda x: x.square().sum(1, keepdim=True))
    generator = Given(lambda z: torch.cat([z, z[:, :1]], 1))
    model = WGAN((3,), 2, lipschitz="clip", generator=generator, critic=critic)
    x = torch.randn((50, 3), generator=noise(1), dtype=torch.float64)
    losses = model.losses(x, generator=noise(2))
    z = model.prior(50, noise(2))
    real = sum(v * v for row in x.tolist() for v in row) / 50
    fake = sum(a * a + b * b + a * a for a, b in z.tolist()) / 50
    assert losses["critic"].item() == pytest.approx(fake - real, rel=tol(float))
    assert losses["generator"].item() == pytest.approx(-fake, rel=tol(float))
    assert model.terms["difference"].item() == pytest.approx(real - fake, rel=tol(float))
    values = model.critic_values(x)
    assert values.shape == (50,) and torch.allclose(values, x.square().sum(1))


def test_the_slope_penalty_of_a_linear_critic_is_known():
    slope = torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    x, y = torch.randn((2, 9, 2), generator=noise(1), dtype=torch.float64)
    share = torch.rand(9, generator=noise(2), dtype=torch.float64)
    for factor in (0.0, 0.2, 1.0):
        weight = (factor * slope).requires_grad_()
        penalty = slope_penalty(lambda p, w=weight: (p @ w.T)[:, 0], x, y, share)
        assert penalty.item() == pytest.approx((5 * factor - 1) ** 2, abs=tol(float))
        penalty.backward()
        # d/dw (|w| - 1)^2 = 2 (|w| - 1) w / |w|, and 0 at w = 0
        expected = 2 * (5 * factor - 1) * slope / 5 if factor else torch.zeros_like(slope)
        assert weight.grad is not None and torch.allclose(weight.grad, expected, atol=tol(float))


def test_the_slope_penalty_agrees_with_finite_differences_on_images():
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    x, y = torch.rand((2, 5, 1, 2, 2), generator=noise(1), dtype=torch.float64)
    share = torch.rand(5, generator=noise(2), dtype=torch.float64)
    expected, step = 0.0, 1e-6
    for i in range(5):
        point = share[i] * x[i] + (1 - share[i]) * y[i]
        square = 0.0
        for entry in range(4):
            ends = []
            for sign in (1, -1):
                moved = point.flatten().clone()
                moved[entry] += sign * step
                ends.append(critic(moved.reshape(1, 1, 2, 2)).item())
            square += ((ends[0] - ends[1]) / (2 * step)) ** 2
        expected += (math.sqrt(square) - 1) ** 2 / 5
    found = slope_penalty(lambda p: critic(p)[:, 0], x, y, share)
    assert found.item() == pytest.approx(expected, rel=1e-7)
    with torch.no_grad():
        assert slope_penalty(lambda p: critic(p)[:, 0], x, y, share).item() == found.item()


def test_the_penalty_enters_the_critics_loss_with_its_weight():
    options: dict[str, Any] = {"generator": Given(lambda z: z), "critic": Given(lambda x: 2 * x[:, :1])}
    x = torch.randn((20, 2), generator=noise(1), dtype=torch.float64)
    free = WGAN((2,), 2, lipschitz="clip", **options).losses(x, generator=noise(2), only="critic")["critic"]
    model = WGAN((2,), 2, weight=7.0, **options)
    assert model.losses(x, generator=noise(2))["critic"].item() == pytest.approx(free.item() + 7.0, rel=tol(float))
    assert model.terms["slope"].item() == pytest.approx(1.0, rel=tol(float))


def test_slopes_are_taken_between_data_and_generated_samples():
    critic = Given(lambda x: 0.5 * x.square().sum(1, keepdim=True))  # its slope at x is |x|
    model = WGAN((2,), 2, generator=Given(lambda z: z - 1), critic=critic)
    x = 3 + torch.randn((10, 2), generator=noise(1), dtype=torch.float64)
    model.losses(x, generator=noise(2), only="critic")
    generator = noise(2)
    z = model.prior(10, generator)
    share = torch.rand(10, generator=generator, dtype=torch.float64)
    expected = 0.0
    for k in range(10):
        point = [share[k] * x[k, i] + (1 - share[k]) * (z[k, i] - 1) for i in range(2)]
        expected += (math.hypot(*point) - 1) ** 2 / 10
    assert model.terms["slope"].item() == pytest.approx(expected, rel=tol(float))


def test_clipping_holds_every_weight_and_only_after_a_step_of_the_critic():
    torch.manual_seed(0)
    model = WGAN((2,), 2, lipschitz="clip", clip=0.01, width=8, critic_width=8)
    before = [p.clone() for p in model.critic.parameters()]
    model.after_step("generator")
    assert all(torch.equal(p, q) for p, q in zip(model.critic.parameters(), before))
    generator = [p.clone() for p in model.generator.parameters()]
    model.after_step("critic")
    bound = torch.tensor(0.01)
    for p, q in zip(model.critic.parameters(), before):
        assert torch.equal(p, q.clamp(-bound, bound)) and p.abs().max() <= bound
    assert all(torch.equal(p, q) for p, q in zip(model.generator.parameters(), generator))
    other = WGAN((2,), 2, lipschitz="gp", width=8, critic_width=8)
    before = [p.clone() for p in other.critic.parameters()]
    other.after_step("critic")
    assert all(torch.equal(p, q) for p, q in zip(other.critic.parameters(), before))


@pytest.mark.parametrize("shape", [(3,), (1, 8, 8)])
def test_spectral_normalisation_gives_every_layer_the_norm_one(shape):
    torch.manual_seed(0)
    model = WGAN(shape, 2, lipschitz="spectral", width=8, critic_width=8)
    x = torch.rand((4, *shape), generator=noise(1))
    for _ in range(50):  # a power iteration each
        model.losses(x, generator=noise(2), only="critic")
    layers = [layer for layer in model.critic.modules() if isinstance(layer, (nn.Linear, nn.Conv2d))]
    assert len(layers) >= 2
    with torch.no_grad():
        model.eval()
        for layer in layers:
            assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1.0, abs=1e-3)
    if len(shape) == 1:
        points, others = 10 * torch.randn((2, 200, *shape), generator=noise(3))
        rise = (model.critic_values(points) - model.critic_values(others)).abs()
        assert (rise <= 1.003 * (points - others).norm(dim=1)).all() and (rise > 0).all()


def test_one_call_of_losses_is_one_power_iteration():
    torch.manual_seed(0)
    model = WGAN((3,), 2, lipschitz="spectral", width=8, critic_width=8)
    x = torch.rand((4, 3), generator=noise(1))
    kept = {key: value.clone() for key, value in model.state_dict().items()}
    ends = []
    for only in (None, "critic", "generator"):
        model.load_state_dict(kept)
        model.losses(x, generator=noise(2), only=only)
        ends.append({key: value.clone() for key, value in model.state_dict().items()})
    assert any(not torch.equal(ends[0][key], kept[key]) for key in kept)
    assert all(torch.equal(ends[0][key], other[key]) for other in ends[1:] for key in kept)


def test_a_critic_of_the_users_own_is_normalised_in_place_once():
    critic = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.utils.parametrizations.spectral_norm(nn.Linear(4, 1)))
    model = WGAN((3,), 2, lipschitz="spectral", critic=critic, width=8)
    keys = [key for key in model.critic.state_dict() if key.endswith("weight.original")]
    assert keys == ["0.parametrizations.weight.original", "2.parametrizations.weight.original"]


def test_a_trained_critic_estimates_the_exact_distance():
    """Two clouds apart by a shift: the best f rises along it by s a unit, s W1 - weight (s - 1)^2 at its largest."""
    torch.manual_seed(0)
    x = torch.randn((256, 2), generator=noise(1))
    shift = torch.tensor([1.5, -2.0])
    model = WGAN((2,), 2, weight=20.0, generator=Given(lambda z: z + shift).float(), critic_width=32)
    optimiser = torch.optim.Adam(model.critic.parameters(), lr=2e-3, betas=(0.5, 0.9))
    for step in range(150):
        optimiser.zero_grad()
        model.losses(x, generator=noise(step), only="critic")["critic"].backward()
        optimiser.step()
    fake = model.sample(256, generator=noise(9))
    estimate = (model.critic_values(x).mean() - model.critic_values(fake).mean()).item()
    exact = float(otgen.wasserstein(x, fake))
    assert estimate == pytest.approx((1 + exact / (2 * 20.0)) * exact, rel=0.03)
