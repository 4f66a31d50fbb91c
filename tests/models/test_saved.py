"""Saved models come back with every weight, the user's networks too; damaged folders are errors that name the file."""

from __future__ import annotations

import json
import sys

import pytest
import torch
from torch import nn

from otgen.data import toys
from otgen.models import AE, AEOT, IWGAN, VAE, WAE, WGAN, saved

pytest.importorskip("safetensors")

MADE = {
    "ae": lambda: AE((1, 8, 8), 3, width=4),
    "vae": lambda: VAE((2,), 2, width=4, likelihood="gaussian"),
    "wae": lambda: WAE((2,), 2, width=4, penalty="gan"),
    "wgan": lambda: WGAN((2,), 2, width=4, critic_width=4, lipschitz="spectral"),
    "iwgan": lambda: IWGAN((2,), 2, width=(6, 4), critic_width=4, bound=2.0),
}


def noise() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("name", MADE)
def test_a_model_comes_back_with_its_weights_and_notes(name: str, tmp_path) -> None:
    model = MADE[name]()
    folder = saved.save(model, tmp_path / "run" / "model", notes={"data": "digits"})
    torch.manual_seed(99)
    found = saved.load(folder)
    assert type(found) is type(model) and found.config() == model.config() and not found.training
    for key, value in model.state_dict().items():
        assert torch.equal(found.state_dict()[key], value)
    if model.HAS_PRIOR:
        assert torch.equal(found.sample(5, generator=noise()), model.sample(5, generator=noise()))
    assert saved.read_notes(folder) == {"data": "digits"}
    assert sorted(path.name for path in folder.parent.iterdir()) == ["model"]


def test_the_precision_is_kept_and_a_folder_is_replaced(tmp_path) -> None:
    first, second = AE((2,), 2, width=4), VAE((2,), 2, width=4).double()
    saved.save(first, tmp_path / "model")
    saved.save(second, tmp_path / "model")
    found = saved.load(tmp_path / "model")
    assert isinstance(found, VAE) and next(found.parameters()).dtype == torch.float64
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_users_networks_are_passed_again(tmp_path) -> None:
    trained = nn.Linear(2, 2)
    model = AE((2,), 2, width=4, encoder=trained)
    saved.save(model, tmp_path / "model")
    own = nn.Linear(2, 2)
    found = saved.load(tmp_path / "model", encoder=own)
    assert found.encoder is own and torch.equal(own.weight, trained.weight)
    with pytest.raises(ValueError, match=r"build takes the networks that were the user's own: \['encoder'\]; got \[\]"):
        saved.load(tmp_path / "model")
    with pytest.raises(ValueError, match="holds the weights of other networks than those given"):
        saved.load(tmp_path / "model", encoder=nn.Linear(2, 2, bias=False))


class Halves(nn.Module):
    """An autoencoder that is no model of otgen."""

    shape = (2,)

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def encode(self, x):
        return (self.factor * x).detach()

    def decode(self, z):
        return (z / self.factor).detach()


@pytest.mark.parametrize("kind", ["none", "ae", "own"])
def test_an_aeot_comes_back_with_its_map(kind: str, tmp_path) -> None:
    autoencoder = {"none": lambda: None, "ae": lambda: AE((2,), 2, width=4), "own": lambda: Halves(0.5)}[kind]()
    model = AEOT(autoencoder, theta=0.4, tol=1e-3).fit_map(toys.sample("ring", 60, seed=0))
    saved.save(model, tmp_path / "model")
    networks = {"autoencoder": Halves(1.0)} if kind == "own" else {}
    found = saved.load(tmp_path / "model", **networks)
    assert torch.equal(found.sample(20, generator=noise()), model.sample(20, generator=noise()))
    assert found.theta == 0.4 and found.quantile is None
    if kind == "own":
        with pytest.raises(ValueError, match=r"networks that were the user's own: \['autoencoder'\]; got \[\]"):
            saved.load(tmp_path / "model")
    if kind == "none":
        with pytest.raises(ValueError, match=r"the user's own: \[\]; got \['encoder'\]. Pass the folder alone"):
            saved.load(tmp_path / "model", encoder=nn.Linear(2, 2))
        assert not (tmp_path / "model" / "weights.safetensors").exists()


def test_what_save_refuses_leaves_everything_as_it_was(tmp_path) -> None:
    with pytest.raises(TypeError, match="model must be a model of otgen.models; got Linear"):
        saved.save(nn.Linear(2, 2), tmp_path / "model")  # type: ignore[arg-type]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years")
    with pytest.raises(ValueError, match="folder must be new, empty or hold a saved model; .*mine does not"):
        saved.save(AE((2,), 2, width=4), tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years"
    saved.save(AE((2,), 2, width=4), tmp_path / "model")
    with pytest.raises(RuntimeError, match="this AEOT has no map yet"):
        saved.save(AEOT(), tmp_path / "model")
    assert isinstance(saved.load(tmp_path / "model"), AE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "model"]


def test_damaged_folders(tmp_path) -> None:
    folder = saved.save(AE((2,), 2, width=4), tmp_path / "model")
    weights, text = (folder / saved.WEIGHTS).read_bytes(), (folder / saved.DESCRIPTION).read_text()
    with pytest.raises(FileNotFoundError, match="must hold a model that otgen saved; it has no model.json"):
        saved.load(tmp_path)
    (folder / saved.WEIGHTS).write_bytes(weights[:-1])
    with pytest.raises(
        ValueError, match="weights.safetensors must be part of a whole saved model.*bytes are not those"
    ):
        saved.load(folder)
    (folder / saved.WEIGHTS).unlink()
    with pytest.raises(ValueError, match="weights.safetensors must be part of a whole saved model.*No such file"):
        saved.load(folder)
    (folder / saved.WEIGHTS).write_bytes(weights)
    good = json.loads(text)
    for change, message in (
        ({"otgen": "semi-discrete map"}, "it is a semi-discrete map"),
        ({"version": 2}, "must be of version 1; it is of version 2. Read it with the otgen that wrote it"),
        ({"dtype": "load"}, "its dtype is 'load'"),
        ({"sha256": {"../x": "0"}}, r"it names '../x'"),
        ({"model": good["model"] | {"code": "2"}}, "code must be an int >= 1"),
        ({"model": good["model"] | {"model": "gan"}}, r"config\['model'\] must be one of ae"),
        ({"notes": None, "model": good["model"] | {"code": 3}}, "holds the weights of other networks"),
    ):
        (folder / saved.DESCRIPTION).write_text(json.dumps(good | change))
        with pytest.raises(ValueError, match=message):
            saved.load(folder)
    (folder / saved.DESCRIPTION).write_text(json.dumps({key: good[key] for key in ("otgen", "version", "sha256")}))
    with pytest.raises(ValueError, match="it lacks model, dtype, notes, versions"):
        saved.load(folder)
    (folder / saved.DESCRIPTION).write_text(text[:40])
    with pytest.raises(ValueError, match="model.json must be part of a whole saved model; reading it failed"):
        saved.load(folder)


def test_without_safetensors_the_command_is_named(tmp_path, monkeypatch) -> None:
    model = AE((2,), 2, width=4)
    folder = saved.save(model, tmp_path / "model")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    for call in (lambda: saved.save(model, tmp_path / "other"), lambda: saved.load(folder)):
        with pytest.raises(
            ModuleNotFoundError, match=r"saved models need safetensors. Run: pip install 'otgen\[models\]'"
        ):
            call()
    assert not (tmp_path / "other").exists()
