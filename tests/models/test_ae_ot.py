"""AE-OT: codes of all data, an exact map to them, samples that drop no mode and mix none; any autoencoder, or none."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import nn

import otgen
from otgen.data import toys
from otgen.models import AE, AEOT, VAE


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Scaled(nn.Module):
    """An autoencoder whose code is half of the point."""

    def forward(self, x):
        return 0.5 * x


class Doubled(nn.Module):
    """Its decoder."""

    def forward(self, z):
        return 2.0 * z


@pytest.mark.parametrize(("name", "modes"), [("25gaussians", 25), ("8gaussians", 8)])
def test_toys_keep_every_mode_and_mix_none(name: str, modes: int) -> None:
    facts = toys.facts(name)
    model = AEOT(theta=0.2).fit_map(toys.sample(name, 1_500, seed=0))
    found = model.sample(4_000, generator=seeded())
    away, nearest = facts.distance(found.numpy())
    assert model.map.converged_ and found.shape == (4_000, 2)
    assert len(np.unique(nearest[away < 4 * facts.sd])) == modes
    assert (away < 4 * facts.sd).mean() >= 0.99 and (away > 10 * facts.sd).mean() < 0.01
    counts = np.bincount(nearest, minlength=modes)
    assert counts.min() > 0.5 * counts.mean()
    true = facts.distance(toys.sample(name, 4_000, seed=1))[0]
    assert np.sqrt((away**2).mean()) > 0.9 * np.sqrt((true**2).mean())  # the spread is not shrunk


def test_samples_are_decoded_codes_of_a_seed_and_no_training_points() -> None:
    x = torch.tensor(toys.sample("moons", 300, seed=0))
    plain = AEOT(quantile=0.9).fit_map(x)
    halved = AEOT(AE((2,), 2, encoder=Scaled(), decoder=Doubled()), quantile=0.9).fit_map(x)
    one, same, other = (halved.sample(50, generator=seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other) and one.dtype == torch.float32
    # The map of codes half as large from the same box is half as large, and so are its mixtures.
    assert torch.allclose(one, plain.sample(50, generator=seeded(1)), atol=1e-4)
    codes = halved.sample_codes(50, generator=seeded(1))
    assert torch.equal(halved.decode(codes), one)
    assert torch.cdist(one, x).min() > 0.0
    assert torch.allclose(halved.reconstruct(x), x)


def test_the_angle_asked_for_is_the_one_used() -> None:
    model = AEOT(theta=0.3).fit_map(toys.sample("8gaussians", 400, seed=0))
    assert model.rejection_rate() == model.map.rejection_rate(theta=0.3)
    assert model.rejection_rate(quantile=0.5) == model.map.rejection_rate(quantile=0.5) > model.rejection_rate()
    model.theta = None
    assert model.rejection_rate() == model.map.rejection_rate(quantile=0.9)


def test_an_autoencoder_keeps_its_weights_and_mode_and_is_read_in_eval_mode() -> None:
    torch.manual_seed(0)
    autoencoder = VAE((1, 8, 8), 3).train()
    before = {name: value.clone() for name, value in autoencoder.state_dict().items()}
    data = np.random.default_rng(0).random((90, 1, 8, 8)).astype(np.float32)
    seen: list = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", otgen.ConvergenceWarning)
        model = AEOT(autoencoder, method="newton").fit_map(data, progress=seen.append)
    assert autoencoder.training
    for name, value in autoencoder.state_dict().items():
        assert torch.equal(value, before[name])
    codes = model.codes(data)
    assert torch.equal(codes, autoencoder.encode(torch.tensor(data))) and codes.shape == (90, 3)
    found = model.sample(7, generator=seeded())
    assert found.shape == (7, 1, 8, 8) and 0.0 <= found.min() and found.max() <= 1.0
    assert seen[0] == {"phase": "codes", "done": 90, "of": 90} and seen[-1]["phase"] == "map"
    assert model.map.progress is None


def test_the_map_alone_is_fitted_again(tmp_path) -> None:
    x = toys.sample("ring", 200, seed=0)
    model = AEOT(tol=1e-3).fit_map(x, resume=tmp_path / "map.npz")
    first = model.map.heights_.copy()
    model.map.set_params(tol=1e-9)
    assert model.fit_map(x) is model
    worst = model.map.error_.max_relative
    assert worst is not None and worst <= 1e-9
    assert np.abs(model.map.heights_ - first).max() < 1e-2


def test_codes_of_more_dimensions_go_by_monte_carlo() -> None:
    rng = np.random.default_rng(0)
    model = AEOT(max_time=20, tol=0.2).fit_map(rng.normal(size=(150, 5)).astype(np.float32))
    assert model.map.method_ == "monte_carlo" and model.sample(20, generator=seeded()).shape == (20, 5)


def test_what_it_refuses() -> None:
    with pytest.raises(TypeError, match=r"autoencoder must have encode, decode and shape; Linear lacks encode, decode"):
        AEOT(nn.Linear(2, 2))
    with pytest.raises(RuntimeError, match=r"this AEOT has no map yet. Call fit_map\(data\) first"):
        AEOT().sample(3, generator=seeded())
    with pytest.raises(TypeError, match=r"data must be a tensor, an array or a DataSet's x.*got int"):
        AEOT().fit_map(3)
    with pytest.raises(ValueError, match=r"data must hold at least one sample"):
        AEOT().fit_map(torch.zeros(0, 2))
    with pytest.raises(ValueError, match=r"wrong is no parameter of SemiDiscreteOT"):
        AEOT(wrong=1)
    model = AEOT().fit_map(toys.sample("ring", 50, seed=0))
    with pytest.raises(ValueError, match=r"n must be an int >= 1; got 0"):
        model.sample(0, generator=seeded())
    with pytest.raises(ValueError, match=r"theta and quantile|theta or quantile|only one"):
        model.sample(3, generator=seeded(), theta=0.1, quantile=0.9)
