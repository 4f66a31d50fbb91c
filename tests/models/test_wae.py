"""The penalties of the Wasserstein autoencoder against the library's own functions and hand-made adversaries."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import otgen
from otgen.models import WAE
from tolerance import tol


def noise(seed=0):
    return torch.Generator().manual_seed(seed)


def made(penalty, **options) -> Any:
    torch.manual_seed(0)
    return WAE((3,), 2, penalty=penalty, width=8, sigma=1.5, **options).double()


def data(n=40):
    return torch.randn((n, 3), generator=noise(1), dtype=torch.float64)


def imq(x, y):
    """The paper's kernel for d = 2 and sigma = 1.5, summed over scales, in a loop."""
    total, square = 0.0, sum((a - b) ** 2 for a, b in zip(x, y))
    for scale in (0.1, 0.2, 0.5, 1, 2, 5, 10):
        c = scale * 2 * 2 * 1.5**2
        total += c / (c + square)
    return total


def test_mmd_is_the_papers_estimate():
    model, x = made("mmd"), data(12)
    loss = model.losses(x, generator=noise(2))["autoencoder"].item()
    codes, prior = model.encode(x).tolist(), model.prior(12, noise(2)).tolist()
    n = len(codes)
    expected = sum(imq(codes[i], codes[j]) + imq(prior[i], prior[j]) for i in range(n) for j in range(n) if i != j)
    expected = expected / (n * (n - 1)) - 2 * sum(imq(p, q) for p in codes for q in prior) / n**2
    assert model.terms["penalty"].item() == pytest.approx(expected, rel=tol(float), abs=1e-12)
    squares = (x - model.reconstruct(x)).square().sum(1).mean().item()
    assert model.terms["reconstruction"].item() == pytest.approx(squares, rel=tol(float))
    assert loss == pytest.approx(0.05 * squares + 10 * expected, rel=tol(float))


def test_penalties_are_the_librarys_functions():
    x = data()
    for penalty, options in (("mmd", {}), ("sinkhorn", {}), ("sinkhorn", {"eps": 0.7})):
        model = made(penalty, weight=3.0, factor=1.0, **options)
        model.losses(x, generator=noise(2))
        codes, prior = model.encode(x).numpy(), model.prior(len(x), noise(2)).numpy()
        if penalty == "mmd":
            expected = otgen.mmd_squared(codes, prior, bandwidth=math.sqrt(2 * 2) * 1.5)
        else:
            expected = otgen.sinkhorn_divergence(codes, prior, eps=options.get("eps", 0.2 * 2 * 1.5**2))
        assert model.terms["penalty"].item() == pytest.approx(expected, rel=tol(float))


@pytest.mark.parametrize("penalty", ["mmd", "sinkhorn", "gan"])
def test_the_gradient_of_the_penalty_reaches_the_encoder_and_is_right(penalty):
    model, x = made(penalty, factor=1e-300), data()
    weight = model.encoder[0].bias

    def loss():
        return model.losses(x, generator=noise(2), only="autoencoder")["autoencoder"]

    loss().backward()
    assert weight.grad is not None and weight.grad.abs().max() > 0
    assert all(p.grad is None or not p.grad.abs().max() > 1e-200 for p in model.decoder.parameters())
    step, entry = 1e-5, int(weight.grad.abs().argmax())
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            weight[entry] += sign * step
            values.append(loss().item())
            weight[entry] -= sign * step
    # Sinkhorn's values end at a marginal error of 1e-6: their difference over 2e-5 is off by its square over that
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(weight.grad[entry].item(), rel=1e-4)


def test_the_adversary_plays_cross_entropy_and_the_encoder_does_not_saturate():
    adversary = nn.Linear(2, 1).double()
    model, x = made("gan", adversary=adversary, factor=1.0, weight=2.0), data()
    losses = model.losses(x, generator=noise(2))
    codes, prior = model.encode(x), model.prior(len(x), noise(2))
    of_codes, of_prior = adversary(codes)[:, 0].tolist(), adversary(prior)[:, 0].tolist()
    expected = np.mean([-math.log(1 / (1 + math.exp(-a))) for a in of_prior])
    expected += np.mean([-math.log(1 - 1 / (1 + math.exp(-a))) for a in of_codes])
    assert losses["adversary"].item() == pytest.approx(expected, rel=tol(float))
    penalty = np.mean([-math.log(1 / (1 + math.exp(-a))) for a in of_codes])
    assert model.terms["penalty"].item() == pytest.approx(penalty, rel=tol(float))
    squares = (x - model.reconstruct(x)).square().sum(1).mean().item()
    assert losses["autoencoder"].item() == pytest.approx(squares + 2 * penalty, rel=tol(float))
    assert model.PLAYS == (("autoencoder", 1), ("adversary", 1))


def test_the_adversary_loss_of_one_that_knows_nothing_is_two_log_two():
    adversary = nn.Linear(2, 1).double()
    for p in adversary.parameters():
        p.data.zero_()
    loss = made("gan", adversary=adversary).losses(data(), generator=noise(), only="adversary")["adversary"]
    assert loss.item() == pytest.approx(2 * math.log(2), rel=tol(float))


@pytest.mark.parametrize("penalty", ["mmd", "sinkhorn"])
def test_pairs_are_compared_over_all_processes(penalty):
    """A process with the first half of the samples finds the penalty of all, and the gradient in its own codes."""
    model, x = made(penalty), data()
    prior = model.prior(len(x), noise(2))
    codes = model.encode(x).requires_grad_()
    whole = model._penalty(codes, prior)
    whole.backward()
    half, given = codes.detach()[:20].requires_grad_(), []
    others = {0: codes.detach()[20:], 1: prior[20:]}

    def gather(values):
        given.append(values)
        return torch.cat([values, others[len(given) - 1]])

    model.gather = gather
    found = model._penalty(half, prior[:20])
    found.backward()
    assert len(given) == 2 and given[0] is half and torch.equal(given[1], prior[:20])
    assert found.item() == whole.item() and torch.equal(half.grad, codes.grad[:20])


def test_a_penalty_falls_to_zero_where_the_codes_are_the_prior():
    for penalty in ("mmd", "sinkhorn"):
        model = made(penalty)
        near, far = model.prior(400, noise(3)), model.prior(400, noise(3)) + 3
        prior = model.prior(400, noise(4))
        assert abs(model._penalty(near, prior)) < 0.05 * model._penalty(far, prior)


def test_mmd_refuses_a_batch_of_one():
    with pytest.raises(ValueError, match="batch must hold at least 2 samples for penalty='mmd', .*; got 1. Drop"):
        made("mmd").losses(data(1), generator=noise())


def test_float32_stays_float32():
    for penalty in ("mmd", "sinkhorn", "gan"):
        model = made(penalty).float()
        loss = model.losses(data().float(), generator=noise(2))["autoencoder"]
        assert loss.dtype == torch.float32
        expected = made(penalty).losses(data(), generator=noise(2))
        assert loss.isfinite() and expected["autoencoder"].dtype == torch.float64
