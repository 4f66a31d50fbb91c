"""A critic against the exact W1: never above it, equal to it for the best critic, honest for a clipped one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import otgen
from otgen.models import AE, IWGAN, WGAN, critic_score


class Slope(nn.Module):
    """f(x) = factor times the first coordinate."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * x[:, :1]


class Shift(nn.Module):
    """G(z) = z moved along the first axis by `by`."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = nn.Parameter(torch.tensor(by))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return z + self.by * torch.tensor([1.0, 0.0])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("factor", [1.0, 0.01, 40.0])
def test_the_best_critic_of_a_shift_finds_it_whatever_its_scale(factor):
    model = WGAN((2,), 2, generator=Shift(-3.0), critic=Slope(factor))
    z = model.prior(50, generator(1))  # the very points that the generator shifts
    found = critic_score(model, z, generator=generator(1))
    assert found.exact == pytest.approx(3.0, rel=1e-6)
    assert found.difference == pytest.approx(3 * factor, rel=1e-5)
    assert found.slope == pytest.approx(factor, rel=1e-4) and found.estimate == pytest.approx(3.0, rel=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_any_critic_stays_below_the_exact_distance_of_the_batches(seed):
    torch.manual_seed(seed)
    model = WGAN((3,), 2, lipschitz=("clip", "gp", "spectral")[seed % 3], width=8, critic_width=8)
    x = torch.randn(40, 3, generator=generator(seed))
    found = critic_score(model, x, generator=generator(seed))
    fake = model.sample(40, generator=generator(seed)).numpy()
    f, g = model.critic_values(x).numpy(), model.critic_values(torch.from_numpy(fake)).numpy()
    slopes = [[(f[i] - g[j]) / np.linalg.norm(x[i].numpy() - fake[j]) for j in range(40)] for i in range(40)]
    assert found.slope == pytest.approx(max(0.0, np.max(slopes)), rel=1e-3)
    assert found.difference == pytest.approx(float(f.mean() - g.mean()), abs=1e-6)
    assert found.exact == pytest.approx(otgen.wasserstein(x.numpy().astype(float), fake.astype(float)), rel=1e-9)
    assert found.estimate <= found.exact * (1 + 1e-9)


def test_a_critic_that_points_the_wrong_way_proves_nothing_above_zero():
    found = critic_score(
        WGAN((2,), 2, generator=Shift(9.0), critic=Slope(1.0)), torch.zeros(20, 2), generator=generator()
    )
    assert found.difference < 0 and found.slope == 0 and found.estimate == 0 and found.exact > 5


@pytest.mark.parametrize("constant", [0.0, 1e4])
def test_rounding_is_not_taken_for_a_proof(constant):
    class Sum(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.sum(1, keepdim=True) + constant

    model = WGAN((2,), 2, critic=Sum())
    found = critic_score(model, torch.randn(300, 2, generator=generator(5)) + 3, generator=generator(6))
    assert 0 < found.estimate <= found.exact * (1 + 1e-12)


def test_a_model_that_is_not_finite_is_refused():
    with pytest.raises(FloatingPointError, match="the critic gives values that are not finite"):
        critic_score(WGAN((2,), 2, critic=Slope(float("nan"))), torch.zeros(9, 2), generator=generator())
    model = WGAN((2,), 2, generator=Shift(float("inf")), critic=Slope(0.5))
    with pytest.raises(FloatingPointError, match="gives values that are not finite"):
        critic_score(model, torch.zeros(9, 2), generator=generator())


def test_an_interrupted_solver_stops_the_run(monkeypatch):
    from types import SimpleNamespace

    from otgen.transport import exact

    def interrupted(*_):
        raise otgen.ConvergenceError("W_1 is not proven: interrupted", SimpleNamespace(message="interrupted"))

    monkeypatch.setattr(exact, "wasserstein", interrupted)
    with pytest.raises(KeyboardInterrupt):
        critic_score(WGAN((2,), 2, width=4, critic_width=4), torch.zeros(9, 2), generator=generator())


def test_points_that_coincide_have_no_slope():
    model = WGAN((2,), 2, generator=Shift(0.0), critic=Slope(5.0))
    found = critic_score(model, model.prior(30, generator(2)), generator=generator(2))
    assert found.exact == 0 and found.difference == 0 and np.isfinite(found.slope)


def test_that_of_an_iwgan_is_between_reconstructions_and_samples():
    torch.manual_seed(0)
    model = IWGAN((2,), 2, width=8, critic_width=8, bound=4.0)
    x = torch.randn(30, 2, generator=generator(3))
    found = critic_score(model, x, generator=generator(4))
    rebuilt, fake = model.reconstruct(x), model.sample(30, generator=generator(4))
    expected = model.critic_values(rebuilt).mean() - model.critic_values(fake).mean()
    assert found.difference == pytest.approx(float(expected), abs=1e-6)
    assert found.exact == pytest.approx(otgen.wasserstein(rebuilt.double().numpy(), fake.double().numpy()))


def test_what_has_no_critic_is_refused():
    with pytest.raises(TypeError, match="model must be a WGAN or an IWGAN; got AE, which has no critic"):
        critic_score(AE((2,), 2), torch.zeros(3, 2), generator=generator())  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="x must"):
        critic_score(WGAN((2,), 2), torch.zeros(3, 3), generator=generator())
