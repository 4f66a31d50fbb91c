"""The evidence lower bound against integrals, sums and torch.distributions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch import distributions, nn

from otgen.models import VAE
from tolerance import tol


class Affine(nn.Module):
    """x -> x @ slope + shift, in float64."""

    def __init__(self, slope, shift):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope, dtype=torch.float64))
        self.shift = nn.Parameter(torch.tensor(shift, dtype=torch.float64))

    def forward(self, x):
        return x @ self.slope + self.shift


def noise(seed=0):
    return torch.Generator().manual_seed(seed)


def line(variance=0.3, sigma=1.5):
    """x = 0.8 z + 0.4 + noise, q(z|x) = N(0.6 x - 0.1, exp(0.2 x - 1))."""
    return VAE(
        (1,), 1, variance=variance, sigma=sigma,
        encoder=Affine([[0.6, 0.2]], [-0.1, -1.0]), decoder=Affine([[0.8]], [0.4]),
    )  # fmt: skip


def bound_by_integration(x, variance, sigma):
    """E_q(log p(x|z) + log p(z) - log q(z|x)) for `line`."""
    q: Any = stats.norm(0.6 * x - 0.1, math.exp(0.5 * (0.2 * x - 1.0)))
    prior: Any = stats.norm(0, sigma)
    noise_law: Any = stats.norm(0, math.sqrt(variance))

    def integrand(z):
        return q.pdf(z) * (noise_law.logpdf(x - 0.8 * z - 0.4) + prior.logpdf(z) - q.logpdf(z))

    ends = q.mean() + np.array([-12, 12]) * q.std()
    return integrate.quad(integrand, *ends, epsabs=1e-12)[0]


@pytest.mark.parametrize("x", [-1.0, 0.3, 2.0])
def test_gaussian_bound_agrees_with_numerical_integration(x):
    draws = 200_000
    model = line()
    values = model.elbo(torch.full((draws, 1), x, dtype=torch.float64), generator=noise())
    error = float(values.std()) / math.sqrt(draws)
    expected = bound_by_integration(x, 0.3, 1.5)
    assert error < 0.01 and abs(float(values.mean()) - expected) < 4 * error
    evidence = stats.norm.logpdf(x, 0.4, math.sqrt(0.8**2 * 1.5**2 + 0.3))
    assert expected < evidence


def test_the_bound_is_the_evidence_where_q_is_the_posterior():
    """Averaged over z it is then log p(x) for every x."""
    variance, sigma, slope = 0.3, 1.5, 0.8
    precision = 1 / sigma**2 + slope**2 / variance
    gain = slope / variance / precision
    model = VAE(
        (1,), 1, variance=variance, sigma=sigma,
        encoder=Affine([[gain, 0.0]], [-0.4 * gain, -math.log(precision)]), decoder=Affine([[slope]], [0.4]),
    )  # fmt: skip
    x = torch.tensor([[-1.0], [0.5], [3.0]], dtype=torch.float64)
    draws = 40_000
    found = model.elbo(x.repeat_interleave(draws // 10, 0), generator=noise(), draws=10).reshape(3, -1).mean(1)
    evidence = stats.norm.logpdf(x[:, 0].numpy(), 0.4, math.sqrt(slope**2 * sigma**2 + variance))
    # log p(x|z) = const - (r - slope s eps)^2 / (2 variance), s the posterior's deviation, r the residual of its mean
    s = precision**-0.5
    r = (x[:, 0] - 0.4 - slope * gain * (x[:, 0] - 0.4)).numpy()
    spread = np.sqrt((2 * r * slope * s) ** 2 + 2 * (slope * s) ** 4) / (2 * variance)
    assert (np.abs(found.numpy() - evidence) < 4 * spread / math.sqrt(draws)).all()


def test_bernoulli_likelihood_is_the_explicit_sum():
    encoder, decoder = Affine(np.full((4, 6), 0.1).tolist(), [0.1] * 6), Affine([[0.5, -1, 2, 0]] * 3, [0.3] * 4)
    model = VAE((2, 2), 3, likelihood="bernoulli", encoder=nn.Sequential(nn.Flatten(), encoder),
                decoder=nn.Sequential(decoder, nn.Unflatten(1, (2, 2))))  # fmt: skip
    x = torch.tensor([[[0.0, 1.0], [1.0, 0.25]], [[1.0, 0.0], [0.5, 1.0]]], dtype=torch.float64)
    draws = torch.randn((2, 3), generator=noise(7), dtype=torch.float64).numpy()
    for k in range(2):
        code = encoder(x[k].reshape(1, 4)).detach().numpy()[0]
        mean, log_variance = code[:3], code[3:]
        z = mean + np.exp(0.5 * log_variance) * draws[k]
        logits = z @ decoder.slope.detach().numpy() + decoder.shift.detach().numpy()
        likelihood = 0.0
        for pixel, logit in zip(x[k].flatten().tolist(), logits):
            g = 1 / (1 + math.exp(-logit))
            likelihood += pixel * math.log(g) + (1 - pixel) * math.log(1 - g)
        divergence = sum(0.5 * (math.exp(v) + m * m - 1 - v) for m, v in zip(mean, log_variance))
        found = model.elbo(x, generator=noise(7))[k]
        assert float(found) == pytest.approx(likelihood - divergence, rel=tol(float))
    assert torch.equal(
        model.decode(torch.zeros(1, 3, dtype=torch.float64)), torch.full((1, 2, 2), 0.3, dtype=torch.float64).sigmoid()
    )
    binary = torch.tensor(np.array(np.meshgrid(*[[0.0, 1.0]] * 4)).reshape(4, -1).T).reshape(-1, 2, 2)
    # with one and the same code for all images the probabilities of all 16 of them sum to 1
    encoder.slope.data.zero_()
    likelihoods = model._parts(binary, torch.zeros(16, 3, dtype=torch.float64))[0]
    assert likelihoods.exp().sum().item() == pytest.approx(1.0, rel=tol(float))


@pytest.mark.parametrize("sigma", [1.0, 2.5])
def test_divergence_is_that_of_torch_distributions(sigma):
    model = VAE((5,), 3, sigma=sigma, width=8).double()
    x = torch.randn((7, 5), generator=noise(1), dtype=torch.float64)
    mean, log_variance = model.posterior(x)
    q = distributions.Normal(mean, (0.5 * log_variance).exp())
    expected = distributions.kl_divergence(q, distributions.Normal(0.0, sigma)).sum(1)
    found = model._parts(x, torch.zeros(7, 3, dtype=torch.float64))[1]
    assert torch.allclose(found, expected, rtol=tol(float))
    assert (found > 0).all()


def test_the_loss_is_minus_the_mean_bound_and_the_terms_are_its_parts():
    model = VAE((4,), 2, width=8, variance=0.5)
    x = torch.randn((9, 4), generator=noise(2))
    loss = model.losses(x, generator=noise(3))["autoencoder"]
    assert loss.item() == pytest.approx(-model.elbo(x, generator=noise(3)).mean().item(), rel=tol(np.float32))
    assert loss.item() == pytest.approx((model.terms["divergence"] - model.terms["likelihood"]).item(), rel=1e-6)
    distribution = distributions.Normal(torch.zeros(4), math.sqrt(0.5))
    model.decoder = nn.Sequential(nn.Linear(2, 4))
    for p in model.decoder.parameters():
        p.data.zero_()
    assert torch.allclose(model._parts(x, torch.zeros(9, 2))[0], distribution.log_prob(x).sum(1), rtol=1e-5)


def test_encode_is_the_mean_of_the_posterior():
    model = line()
    x = torch.tensor([[2.0]], dtype=torch.float64)
    assert model.encode(x).item() == pytest.approx(1.1)
    assert model.reconstruct(x).item() == pytest.approx(0.8 * 1.1 + 0.4)


def test_bernoulli_needs_data_between_0_and_1():
    model = VAE((4,), 2, width=8, likelihood="bernoulli")
    x = torch.tensor([[0.0, 1.0, 0.5, 1.5]])
    with pytest.raises(
        ValueError, match=r"batch must lie in \[0, 1\] for likelihood='bernoulli'; it lies in \[0, 1.5\]"
    ):
        model.losses(x, generator=noise())
    with pytest.raises(ValueError, match=r"x must lie in \[0, 1\] for likelihood='bernoulli'"):
        model.elbo(-x, generator=noise())
    with pytest.raises(ValueError, match="draws must be an int >= 1; got 0"):
        model.elbo(x / 2, generator=noise(), draws=0)
