"""What every model answers, run through one contract: losses, a seeded step, files, samples, codes."""

from __future__ import annotations

import copy
import json
import subprocess
import sys

import pytest
import torch
from torch import nn

from otgen.models import AE, IWGAN, MODELS, VAE, WAE, WGAN, Autoencoder, Model, build

CASES = {
    "ae": lambda: AE((3,), 2, width=16),
    "ae image": lambda: AE((2, 8, 12), 3, width=4),
    "vae": lambda: VAE([3], 2, width=[16, 8], variance=0.1, sigma=2.0),
    "vae bernoulli": lambda: VAE((1, 8, 8), 2, width=4, likelihood="bernoulli"),
    "wae mmd": lambda: WAE((1, 16, 16), 2, width=4, norm="layer"),
    "wae gan": lambda: WAE((3,), 2, width=16, penalty="gan"),
    "wae sinkhorn": lambda: WAE((3,), 2, width=16, penalty="sinkhorn", sigma=2.0),
    "wgan clip": lambda: WGAN((3,), 2, width=16, critic_width=16, lipschitz="clip"),
    "wgan gp": lambda: WGAN((1, 8, 8), 2, width=4, critic_width=4, critic_norm="layer", critic_steps=2),
    "wgan spectral": lambda: WGAN((1, 8, 8), 2, width=4, critic_width=4, lipschitz="spectral"),
    "iwgan": lambda: IWGAN((3,), 2, width=16, critic_width=[16, 16], bound=3.0),
    "iwgan image": lambda: IWGAN((1, 8, 8), 2, width=4, critic_width=4),
}
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def noise(seed, device="cpu"):
    return torch.Generator(device).manual_seed(seed)


def made(case, device="cpu"):
    torch.manual_seed(0)
    return CASES[case]().to(device)


def batch_for(model, n=6, seed=1):
    like = next(model.parameters())
    return torch.rand((n, *model.shape), generator=noise(seed)).to(like)


def play(model, cycles=2):
    """Train by the model's own schedule, as a loop would; return the losses."""
    like, losses = next(model.parameters()), []
    generator = noise(2, like.device)
    optimisers = {player: torch.optim.Adam(own, lr=1e-3) for player, own in model.players().items()}
    for cycle in range(cycles):
        for player, steps in model.PLAYS:
            for step in range(steps):
                for name, own in model.players().items():
                    for parameter in own:
                        parameter.requires_grad_(name == player)
                optimisers[player].zero_grad()
                batch = batch_for(model, seed=10 * cycle + step)
                loss = model.losses(batch, generator=generator, only=player)[player]
                loss.backward()
                optimisers[player].step()
                model.after_step(player)
                losses.append(loss.item())
    return losses


every_case = pytest.mark.parametrize("case", CASES)
every_device = pytest.mark.parametrize("device", DEVICES)


def test_every_model_is_run():
    assert {type(make()) for make in CASES.values()} == set(MODELS.values())
    assert all(MODELS[name].NAME == name for name in MODELS)


@every_case
@every_device
def test_losses_are_the_players_and_only_changes_no_number(case, device):
    model = made(case, device)
    batch = batch_for(model)
    kept = copy.deepcopy(model.state_dict())
    together = model.losses(batch, generator=noise(3, device))
    assert set(together) == set(model.PLAYERS) == set(model.players()) == {player for player, _ in model.PLAYS}
    assert model.terms and not any(term.requires_grad for term in model.terms.values())
    for player, loss in together.items():
        assert loss.shape == () and torch.isfinite(loss) and loss.requires_grad
        model.load_state_dict(kept)  # losses move the statistics of BatchNorm and the vectors of spectral norms
        alone = model.losses(batch, generator=noise(3, device), only=player)
        assert set(alone) == {player} and torch.equal(alone[player], loss)


@every_case
def test_a_loss_reaches_all_of_its_players_networks_and_no_other(case):
    model = made(case)
    for player in model.PLAYERS:
        for name, own in model.players().items():
            for parameter in own:
                parameter.requires_grad_(name == player)
                parameter.grad = None
        model.losses(batch_for(model), generator=noise(3), only=player)[player].backward()
        for name, networks in model.PLAYERS.items():
            for network in networks:
                norms = [0 if p.grad is None else p.grad.norm() for p in getattr(model, network).parameters()]
                assert any(norms) == (name == player), f"{player}'s loss in {network}"
    every = {id(p) for own in model.players().values() for p in own}
    assert every == {id(p) for p in model.parameters()}


@pytest.mark.parametrize("case", [case for case in CASES if {"critic", "adversary"} & set(made(case).PLAYERS)])
def test_what_a_critic_sees_sends_no_gradient_back_even_among_all_losses(case):
    model = made(case)
    losses = model.losses(batch_for(model), generator=noise(3))
    player = ({"critic", "adversary"} & set(model.PLAYERS)).pop()
    others = [p for name, own in model.players().items() if name != player for p in own]
    assert others and torch.autograd.grad(losses[player], others, allow_unused=True) == (None,) * len(others)


@every_case
@every_device
def test_a_seed_gives_the_same_steps_bit_for_bit(case, device):
    runs = []
    for _ in range(2):
        model = made(case, device)
        before = copy.deepcopy(model.state_dict())
        losses = play(model)
        assert any(not torch.equal(before[key], value) for key, value in model.state_dict().items())
        runs.append((losses, model.state_dict()))
    assert runs[0][0] == runs[1][0]
    assert all(torch.equal(value, runs[1][1][key]) for key, value in runs[0][1].items())


@every_case
def test_a_file_and_the_config_bring_a_model_back(case, tmp_path):
    from safetensors.torch import load_file, save_file

    model = made(case)
    play(model, cycles=1)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    again = build(json.loads(json.dumps(model.config())))
    assert type(again) is type(model) and again.config() == model.config() and again.PLAYS == model.PLAYS
    again.load_state_dict(load_file(tmp_path / "model.safetensors"))
    batch = batch_for(model)
    # eval() alike: a spectral norm that is read in training mode makes a power iteration
    found, expected = (one.eval().losses(batch, generator=noise(4)) for one in (again, model))
    assert all(torch.equal(found[player], expected[player]) for player in model.PLAYERS)


@every_case
@every_device
def test_samples_have_the_shape_and_the_range_of_the_data(case, device):
    model = made(case, device)
    if not model.HAS_PRIOR:
        with pytest.raises(
            NotImplementedError, match="AE has no law of codes to sample from. Pass it to otgen.models.AEOT"
        ):
            model.sample(2, generator=noise(0, device))
        return
    generator = noise(5, device)
    state = generator.get_state()
    found = model.sample(1_001, generator=generator)
    assert found.shape == (1_001, *model.shape) and found.dtype == torch.float32 and not found.requires_grad
    assert found.flatten(1).std(0).min() > 0 and found.device.type == device
    if len(model.shape) == 3:
        assert 0 <= found.min() and found.max() <= 1
    generator.set_state(state)
    assert torch.equal(model.sample(1_001, generator=generator), found)
    assert not torch.equal(model.sample(1_001, generator=generator), found)
    codes = model.prior(4_000, generator)
    assert codes.shape == (4_000, model.code)
    assert codes.std() == pytest.approx(model.sigma, rel=0.06) and abs(codes.mean()) < 0.06 * model.sigma


@every_case
def test_codes_are_of_eval_mode_and_leave_every_module_in_its_own(case):
    model = made(case)
    play(model, cycles=1)
    x, z = batch_for(model, 5), model.prior(5, noise(0))
    evaluated = copy.deepcopy(model).eval()
    assert model.training and torch.equal(model.decode(z), evaluated.decode(z))
    if isinstance(model, Autoencoder):
        assert torch.equal(model.encode(x), evaluated.encode(x))
        assert torch.equal(model.reconstruct(x), evaluated.reconstruct(x))
    first = next(iter(model.children()))
    first.eval()  # a network that its user has frozen
    modes = [module.training for module in model.modules()]
    assert model.training and not first.training
    images = model.decode(z)
    assert images.shape == (5, *model.shape) and not images.requires_grad
    if isinstance(model, Autoencoder):
        codes, rebuilt = model.encode(x), model.reconstruct(x)
        assert codes.shape == (5, model.code) and rebuilt.shape == x.shape
        assert not codes.requires_grad and not rebuilt.requires_grad
        assert torch.allclose(model.decode(codes), rebuilt, atol=1e-6)
        assert torch.allclose(model.encode(x[:1]), codes[:1], atol=1e-5)  # BatchNorm of one sample, by running moments
    assert [module.training for module in model.modules()] == modes
    with pytest.raises(ValueError, match=r"z must have shape \(n, "):
        model.decode(z[:, :1])
    assert [module.training for module in model.modules()] == modes


@every_case
def test_a_batch_that_does_not_fit_is_refused(case):
    model = made(case)
    batch, generator = batch_for(model), noise(0)
    inner = ", ".join(map(str, model.shape))
    for bad in (batch[0], batch[:0], batch[..., :-1], batch[:, None]):
        with pytest.raises(ValueError, match=rf"batch must have shape \(n, {inner}\) with n >= 1; got"):
            model.losses(bad, generator=generator)
    with pytest.raises(TypeError, match="batch must hold floating-point numbers; got torch.uint8. Pass batch.float"):
        model.losses(batch.to(torch.uint8), generator=generator)
    with pytest.raises(TypeError, match=r"batch must be a torch tensor; got ndarray. Pass torch.from_numpy\(batch\)"):
        model.losses(batch.numpy(), generator=generator)
    players = ", ".join(model.PLAYERS)
    with pytest.raises(ValueError, match=f"only must be None or a player: {players}; got 'nobody'"):
        model.losses(batch, generator=generator, only="nobody")
    with pytest.raises(ValueError, match="n must be an int >= 1; got 0. Pass the number of samples"):
        Model.sample(model, 0, generator=generator)
    with pytest.raises(TypeError, match="generator must be a torch.Generator; got int. Pass torch.Generator"):
        model.prior(3, 0)


OWN = {
    "ae": {"encoder": (3, 2), "decoder": (2, 3)},
    "vae": {"encoder": (3, 4), "decoder": (2, 3)},
    "wae": {"encoder": (3, 2), "decoder": (2, 3), "adversary": (2, 1)},
    "wgan": {"generator": (2, 3), "critic": (3, 1)},
    "iwgan": {"encoder": (3, 2), "decoder": (2, 3), "critic": (3, 1)},
}


@pytest.mark.parametrize("name", MODELS)
def test_modules_of_the_users_own_are_taken_everywhere(name):
    networks = {network: nn.Linear(*sizes) for network, sizes in OWN[name].items()}
    options = {"penalty": "gan"} if name == "wae" else {}
    model = MODELS[name]((3,), 2, **options, **networks)
    assert all(getattr(model, network) is own for network, own in networks.items())
    play(model, cycles=1)
    config = model.config()
    assert set(config["custom"]) == set(networks)
    fresh = {network: nn.Linear(*sizes) for network, sizes in OWN[name].items()}
    build(config, **fresh).load_state_dict(model.state_dict())
    missing = next(iter(fresh))
    with pytest.raises(
        ValueError, match=rf"build takes the networks that were the user's own: \[.*{missing}.*; got \[\]"
    ):
        build(config)
    for network, (before, after) in OWN[name].items():
        wrong = MODELS[name]((3,), 2, **options, **{network: nn.Linear(before, after + 1)})
        with pytest.raises(ValueError, match=rf"{network} must give shape \(\d+, {after}\) for input .* last layer"):
            wrong.losses(torch.rand(6, 3), generator=noise(0))
        with pytest.raises(TypeError, match=f"{network} must be a torch.nn.Module or None; got function"):
            MODELS[name]((3,), 2, **options, **{network: lambda x: x})


def test_an_empty_module_is_the_identity_and_no_missing_one():
    model = AE((2,), 2, encoder=nn.Sequential(), decoder=nn.Sequential())
    assert model.config()["custom"] == ["encoder", "decoder"]
    assert torch.equal(model.reconstruct(torch.ones(4, 2)), torch.ones(4, 2))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: AE((3,), 0), "code must be an int >= 1; got 0. Pass the number of latent coordinates"),
        (lambda: AE((3,), 2, l1=-1.0), "l1 must be a finite number >= 0; got -1.0. Pass 0.0"),
        (lambda: AE(3, 2), r"shape must list the sizes of one sample, each an int >= 1; got 3. Pass \(d,\)"),
        (lambda: VAE((3,), 2, sigma=0), "sigma must be a finite number > 0; got 0. Pass 1.0"),
        (lambda: VAE((3,), 2, variance=-1), "variance must be a finite number > 0; got -1"),
        (lambda: VAE((3,), 2, likelihood="poisson"), "likelihood must be one of gaussian, bernoulli; got 'poisson'"),
        (lambda: WAE((3,), 2, penalty="kl"), "penalty must be one of mmd, gan, sinkhorn; got 'kl'"),
        (lambda: WAE((3,), 2, eps=1.0), "eps belongs to penalty='sinkhorn'; got penalty='mmd'. Leave eps out"),
        (lambda: WAE((3,), 2, adversary=nn.Linear(2, 1)), "adversary belongs to penalty='gan'; got penalty='mmd'"),
        (lambda: WAE((3,), 2, penalty="sinkhorn", eps=0.0), "eps must be a finite number > 0; got 0.0"),
        (lambda: WAE((3,), 2, weight=float("nan")), "weight must be a finite number >= 0; got nan. Pass 10.0"),
        (lambda: WAE((3,), 2, factor=0), "factor must be a finite number > 0; got 0"),
        (lambda: WGAN((3,), 2, lipschitz="none"), "lipschitz must be one of clip, gp, spectral; got 'none'"),
        (lambda: WGAN((3,), 2, clip=float("inf")), "clip must be a finite number > 0; got inf. Pass 0.01"),
        (lambda: WGAN((3,), 2, critic_steps=0), "critic_steps must be an int >= 1; got 0"),
        (lambda: WGAN((3,), 2, critic_norm="batch"), "norm must be 'layer' or 'none' in a critic, .*; got 'batch'"),
        (
            lambda: WGAN((3,), 2, lipschitz="spectral", critic_norm="layer"),
            "critic_norm must be None for .*; got 'layer'",
        ),
        (lambda: IWGAN((3,), 2, bound=0), "bound must be a finite number > 0; got 0. Pass a number beyond all"),
        (lambda: IWGAN((1, 8, 8), 2, bound=1.0), r"bound is for the built-in decoder of vectors; .* shape \(1, 8, 8\)"),
        (lambda: IWGAN((3,), 2, bound=1.0, decoder=nn.Linear(2, 3)), "bound is for the built-in .* beside a decoder"),
        (lambda: build({"model": "gan"}), r"config\['model'\] must be one of ae, vae, wae, wgan, iwgan; got 'gan'"),
        (lambda: build({"model": "ae", "shape": [3]}), "config must hold the options of ae; .*'code'"),
        (lambda: build({"model": "ae", "shape": [3], "code": 2, "l2": 1}), "config must hold the options .*'l2'"),
        (
            lambda: build(AE((3,), 2).config(), encoder=nn.Linear(3, 2)),
            r"own: \[\]; got \['encoder'\]. Pass config alone",
        ),
    ],
)
def test_bad_options_are_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_models_without_torch_name_what_to_install():
    code = "import sys; sys.modules['torch'] = None\nimport otgen\nimport otgen.models"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode and "otgen.models needs torch. Run: pip install 'otgen[models]'" in done.stderr
