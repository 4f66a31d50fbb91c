"""Extractors: shapes, modes and errors of the user's modules, pixels, and Inception from a file."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from otgen.metrics import Inception, Network, Pixels, features


def test_pixels_keep_values_and_precision(rng):
    x = rng.random((5, 2, 3, 4))
    found = Pixels().extract(x)
    assert found.dtype == np.float64 and found.shape == (5, 24)
    np.testing.assert_array_equal(found, x.reshape(5, -1))
    assert Pixels().extract(torch.ones(3, 2)).dtype == np.float32
    with pytest.raises(ValueError, match=r"images must have shape \(n, d\), or \(n, C, H, W\)"):
        Pixels().extract(np.ones(3))


def test_a_module_runs_by_blocks_in_eval_mode_and_is_left_as_it_was(rng, monkeypatch):
    monkeypatch.setattr(features, "BLOCK", 4)
    norm = nn.BatchNorm2d(3)
    module = nn.Sequential(nn.Conv2d(1, 3, 3), norm, nn.Dropout(0.5)).train()
    norm.eval()
    assert norm.running_mean is not None
    before = norm.running_mean.clone()
    x = rng.random((10, 1, 5, 6))
    found = Network(module, "mine").extract(x)
    assert found.shape == (10, 3 * 3 * 4) and found.dtype == np.float32
    assert module.training and module[2].training and not norm.training
    assert torch.equal(norm.running_mean, before)
    with torch.no_grad():
        expected = module.eval()(torch.from_numpy(x).float()).flatten(1)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-6)


def test_a_module_that_raises_is_left_as_it_was():
    module = nn.Sequential(nn.Linear(3, 2)).train()
    with pytest.raises(RuntimeError):
        Network(module, "mine").extract(np.ones((2, 1, 4, 4)))
    assert module.training and module[0].training


def test_modules_that_do_not_fit():
    x = np.ones((2, 1, 4, 4))
    with pytest.raises(TypeError, match="module must be a torch.nn.Module; got function. Put its forward"):
        Network(lambda x: x, "mine")
    with pytest.raises(ValueError, match="name must be a word that stands beside the numbers; got ''"):
        Network(nn.Identity(), "")
    with pytest.raises(ValueError, match=r"extractor mine must give a tensor \(2, ...\) for 2 images; it gave \(32,\)"):
        Network(nn.Flatten(0), "mine").extract(x)
    with pytest.raises(ValueError, match="extractor mine must give finite features; it gave NaN or inf"):
        Network(nn.Threshold(2.0, float("nan")), "mine").extract(x)
    with pytest.raises(ValueError, match=r"images must have values in \[0, 1\]"):
        Network(nn.Identity(), "mine").extract(2 * x)
    with pytest.raises(ValueError, match=r"images must have shape \(n, C, H, W\)"):
        Network(nn.Identity(), "mine").extract(x[:, 0])


@pytest.fixture
def torch_fidelity(monkeypatch):
    """A network of torch-fidelity's signature, which reads its file as that library does."""

    class FeatureExtractorInceptionV3(nn.Module):
        def __init__(self, name, features_list, feature_extractor_weights_path):
            super().__init__()
            assert features_list == ["2048"]
            self.scale = nn.Parameter(torch.zeros(1))
            self.load_state_dict(torch.load(feature_extractor_weights_path, weights_only=False))

        def forward(self, x):
            assert x.dtype == torch.uint8 and x.shape[1] == 3
            return (self.scale * x.float().mean((2, 3)),)

    module = ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    module.FeatureExtractorInceptionV3 = FeatureExtractorInceptionV3  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "torch_fidelity", ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, module.__name__, module)


def test_inception_takes_bytes_of_three_channels(torch_fidelity, tmp_path):
    torch.save({"scale": torch.tensor([2.0])}, tmp_path / "weights.pth")
    extractor = Inception(tmp_path / "weights.pth")
    assert extractor.name == "inception"
    grey = np.array([0.0, 0.5, 1.0]).reshape(3, 1, 1, 1) * np.ones((3, 1, 4, 4))
    np.testing.assert_array_equal(extractor.extract(grey), 2 * np.repeat([[0.0], [128.0], [255.0]], 3, axis=1))
    with pytest.raises(ValueError, match="images must have 1 or 3 channels"):
        extractor.extract(np.ones((2, 2, 4, 4)))


class Unsafe:
    def __reduce__(self):
        return print, ("run",)


def test_inception_runs_nothing_that_its_file_holds(torch_fidelity, tmp_path, capsys):
    torch.save({"scale": torch.ones(1), "more": Unsafe()}, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match="must hold the weights of torch-fidelity's Inception-v3 as tensors"):
        Inception(tmp_path / "weights.pth")
    assert "run" not in capsys.readouterr().out
    torch.save({"other": torch.ones(1)}, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match="reading it failed: .*Fetch weights-inception-2015-12-05-6726825d.pth again"):
        Inception(tmp_path / "weights.pth")
    with pytest.raises(FileNotFoundError, match="weights must be the path of weights-inception.* is no file"):
        Inception(tmp_path / "none.pth")


def test_inception_without_torch_fidelity_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(ModuleNotFoundError, match="torch-fidelity's network.*pip install \"torch-fidelity"):
        Inception("weights.pth")
