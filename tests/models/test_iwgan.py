"""The objective of the inferential GAN on hand-made networks, its duality gap where it is known, its quality score."""

from __future__ import annotations

import copy
import math
import statistics
from typing import Any

import pytest
import torch
from torch import nn

from otgen.models import IWGAN, duality
from tolerance import tol


def noise(seed=0):
    return torch.Generator().manual_seed(seed)


def affine(size, shift=0.0, out=None, slope=1.0):
    """x -> slope x + shift in the first `out` coordinates."""
    layer = nn.Linear(size, out or size)
    with torch.no_grad():
        layer.weight.copy_(slope * torch.eye(out or size, size))
        layer.bias.fill_(shift)
    return layer


def pair(shift, *, width=16) -> Any:
    """Q the identity and G a shift of both coordinates, against a critic that is 0 everywhere."""
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(2, width), nn.LeakyReLU(0.2), nn.Linear(width, 1))
    for p in critic[2].parameters():
        p.data.zero_()
    return IWGAN((2,), 2, encoder=affine(2), decoder=affine(2, shift), critic=critic)


def test_the_objective_is_its_formula():
    model: Any = IWGAN(
        (2,),
        1,
        weight=3.0,
        encoder=affine(2, 0.5, out=1).double(),
        decoder=nn.Linear(1, 2).double(),
        critic=affine(2, 0.1, out=1, slope=2.0).double(),
    )
    x = torch.randn((30, 2), generator=noise(1), dtype=torch.float64)
    losses = model.losses(x, generator=noise(2))
    z = model.prior(30, noise(2))
    weight, shift = model.decoder.weight[:, 0].tolist(), model.decoder.bias.tolist()

    def g(code):
        return [w * code + s for w, s in zip(weight, shift)]

    def f(point):
        return 2.0 * point[0] + 0.1

    rebuilt = [g(a + 0.5) for a, _ in x.tolist()]
    reconstruction = sum(math.dist(one, other) for one, other in zip(x.tolist(), rebuilt)) / 30
    difference = sum(f(one) for one in rebuilt) / 30 - sum(f(g(code)) for (code,) in z.tolist()) / 30
    assert losses["autoencoder"].item() == pytest.approx(reconstruction + difference, rel=tol(float))
    assert model.terms["slope"].item() == pytest.approx((2 - 1) ** 2, rel=tol(float))  # |grad f| = 2
    assert losses["critic"].item() == pytest.approx(-difference + 3.0, rel=tol(float))
    assert model.objective(x, z).mean().item() == pytest.approx(reconstruction + difference, rel=tol(float))
    assert model.terms["difference"].item() == pytest.approx(difference, rel=tol(float))


class Square(nn.Module):
    """f(x) = |x|^2 / 2, whose slope at x is |x|."""

    def forward(self, x):
        return 0.5 * x.square().sum(1, keepdim=True)


def test_slopes_are_taken_between_rebuilt_and_generated_samples():
    model: Any = IWGAN((2,), 2, encoder=affine(2, 0.5), decoder=affine(2, -1.0), critic=Square()).double()
    x = 3 + torch.randn((10, 2), generator=noise(1), dtype=torch.float64)
    model.losses(x, generator=noise(2), only="critic")
    generator = noise(2)
    z = model.prior(10, generator)
    share = torch.rand(10, generator=generator, dtype=torch.float64)
    expected = 0.0
    for k in range(10):
        point = [share[k] * (x[k, i] + 0.5 - 1) + (1 - share[k]) * (z[k, i] - 1) for i in range(2)]
        expected += (math.hypot(*point) - 1) ** 2 / 10
    assert model.terms["slope"].item() == pytest.approx(expected, rel=tol(float))


def test_a_perfect_reconstruction_has_gradient_zero_and_no_nan():
    model = pair(0.0)
    model.losses(torch.randn((8, 2), generator=noise(1)), generator=noise(2))["autoencoder"].backward()
    assert all(torch.equal(p.grad, torch.zeros_like(p)) for p in model.encoder.parameters())


def test_the_quality_score_is_its_formula_and_falls_with_bad_reconstruction():
    model: Any = IWGAN((2,), 1, encoder=affine(2, out=1), decoder=nn.Linear(1, 2), critic=affine(2, 0.1, out=1))
    with torch.no_grad():
        model.decoder.weight.copy_(torch.tensor([[0.5], [0.0]]))
        model.decoder.bias.zero_()
    x = torch.tensor([[0.3, 0.0], [0.3, 2.0]])
    found = model.quality_score(x)
    assert found.shape == (2,) and not found.requires_grad
    # G(Q(x)) = (0.15, 0) for both, where f is 0.25
    assert found.tolist() == pytest.approx([math.exp(-0.15 - 0.25), math.exp(-math.hypot(0.15, 2) - 0.25)], rel=1e-6)


def test_the_gap_of_an_optimal_pair_is_zero():
    """X and Z of one law, Q and G the identity: the value of the game is 0 for each side's best answer."""
    x = torch.randn((2_000, 2), generator=noise(1))
    gap = pair(0.0).duality_gap(x, 40, generator=noise(2), batch=128, rate=1e-3)
    assert gap.objective == 0.0
    assert abs(gap.value) < 4 * gap.error + 0.02 and 0 < gap.error < 0.02
    assert gap.value == pytest.approx(gap.upper - gap.lower, abs=1e-6)


def test_the_gap_of_a_shift_is_its_length_and_the_model_is_kept():
    """G(Q(x)) is off by |shift|, G(Q(X)) and G(Z) have one law: sup = |shift|, and G = Q = identity reaches 0."""
    shift = 0.1
    model = pair(shift)
    model.gather = lambda values: values
    x = torch.randn((2_000, 2), generator=noise(1))
    before, flags = copy.deepcopy(model.state_dict()), [p.requires_grad for p in model.parameters()]
    gap = model.duality_gap(x, 120, generator=noise(2), batch=128, rate=2e-3)
    length = shift * math.sqrt(2)
    assert gap.objective == pytest.approx(length, rel=1e-3)
    assert gap.lower < 0.35 * length
    assert 0.6 * length < gap.value < 1.1 * length + 4 * gap.error
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert [p.requires_grad for p in model.parameters()] == flags and model.training
    assert all(p.grad is None for p in model.parameters())


def test_the_gap_is_positive_where_the_laws_differ_and_the_critic_finds_it():
    """G squeezes the prior to a point that Q(x) never meets: f pulls G(Q(X)) and G(Z) apart."""
    torch.manual_seed(0)
    model = pair(0.0, width=32)
    x = 3 + torch.randn((2_000, 2), generator=noise(1))  # G(Q(X)) = X is 3 sqrt(2) away from G(Z) = Z
    gap = model.duality_gap(x, 120, generator=noise(2), batch=128, rate=3e-3)
    assert gap.objective == 0.0 and gap.upper > 2.0
    assert gap.value > 4 * gap.error


def test_both_sides_are_measured_on_samples_that_neither_was_trained_on(monkeypatch):
    answers, seen = {"critic": pair(0.4), "autoencoder": pair(0.1)}, []

    def retrained(model, player, x, *rest):
        seen.append(x)
        return answers[player]

    monkeypatch.setattr(duality, "_retrained", retrained)
    model, x = pair(0.2), torch.randn((50, 2), generator=noise(1))
    for answer, factor in zip(answers.values(), (0.5, 0.9)):
        answer.encoder.weight.data.mul_(factor)
    gap = model.duality_gap(x, 7, generator=noise(2), held_out=0.3)
    generator = noise(2)
    model.prior(15, generator)
    order = torch.randperm(50, generator=generator)
    assert len(seen) == 2 and all(torch.equal(part, x[order[15:]]) for part in seen)
    differences = [
        math.hypot(*(0.5 * v + 0.4 - v for v in row)) - math.hypot(*(0.9 * v + 0.1 - v for v in row))
        for row in x[order[:15]].tolist()
    ]  # the critic is 0: L is the distance to G(Q(x))
    assert gap.value == pytest.approx(statistics.mean(differences), rel=1e-5)
    assert gap.error == pytest.approx(statistics.stdev(differences) / math.sqrt(15), rel=1e-4)


def test_the_gap_is_reproducible_and_needs_no_gradient_mode():
    x = torch.randn((200, 2), generator=noise(1))
    found = pair(0.1).duality_gap(x, 5, generator=noise(2))
    with torch.no_grad():
        assert pair(0.1).duality_gap(x, 5, generator=noise(2)) == found
    assert pair(0.1).duality_gap(x, 5, generator=noise(3)) != found


def test_bad_arguments_of_the_gap_are_refused():
    model, x = pair(0.0), torch.randn((10, 2), generator=noise(1))
    for options, match in (
        ({"budget": 0}, "budget must be an int >= 1; got 0. Pass the number of steps of each side"),
        ({"batch": 0}, "batch must be an int >= 1; got 0"),
        ({"rate": 0.0}, "rate must be a finite number > 0; got 0.0"),
        ({"held_out": 0.1}, "held_out must leave at least 2 samples to measure on .*; 0.1 of 10 is 1. Pass more data"),
        ({"held_out": 1.0}, "held_out must leave .* one to train on; 1.0 of 10 is 10"),
        ({"data": x[:, :1]}, r"data must have shape \(n, 2\)"),
    ):
        with pytest.raises(ValueError, match=match):
            model.duality_gap(**{"data": x, "budget": 1, "generator": noise(0), **options})


def test_bounded_decoders_stay_bounded():
    torch.manual_seed(0)
    model = IWGAN((2,), 2, bound=0.5, sigma=100.0, width=8, critic_width=8)
    found = model.sample(500, generator=noise(1))
    assert found.abs().max() <= 0.5 and found.abs().max() > 0.4
