"""The network of a set's labels: what it learns, what is kept of it, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from otgen.data import DataSet, load
from otgen.data.sources import UNIT, Stored
from otgen.metrics import LeNet, lenet

HERE = Path(os.environ.get("OTGEN_DATA") or "/none")


def stripes(n: int, seed: int, shape=(1, 8, 8)) -> DataSet:
    """Images of two classes: lines across or down, with noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=n)
    images = 0.3 * rng.random((n, *shape))
    images[labels == 0, :, ::2] += 0.6
    images[labels == 1, :, :, ::2] += 0.6
    return DataSet("stripes", Stored(images.astype(np.float32)), UNIT, labels, ("across", "down"))


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(lenet, "LEAST_STEPS", 30)


def test_it_learns_the_labels_and_is_kept(tmp_path):
    data, test, seen = stripes(200, 0), stripes(100, 1), []
    first = LeNet.trained(data, test, folder=tmp_path, progress=seen.append)
    assert first.accuracy == 1.0 and first.name == "lenet:stripes" and len(seen) == seen[-1]["of"] == 30
    (place,) = tmp_path.iterdir()
    facts = json.loads((place / "facts.json").read_text())
    assert facts["accuracy"] == 1.0 and facts["trained_on"] == 200 and facts["seed"] == 0
    again = LeNet.trained(data, test, folder=tmp_path, progress=seen.append)
    assert len(seen) == 30 and again.facts == first.facts
    features = first.extract(test.x[:])
    assert features.shape == (100, 84) and features.dtype == np.float32 and (features >= 0).all()
    np.testing.assert_array_equal(again.extract(test.x[:]), features)


def test_a_seed_reproduces_it_and_every_setting_names_a_file_of_its_own(tmp_path):
    data, test = stripes(80, 0), stripes(20, 1)
    one, other = (LeNet.trained(data, test, folder=tmp_path / name) for name in "ab")
    np.testing.assert_array_equal(one.extract(test.x[:]), other.extract(test.x[:]))
    assert not np.array_equal(
        LeNet.trained(data, test, seed=1, folder=tmp_path / "a").extract(test.x[:]), one.extract(test.x[:])
    )
    LeNet.trained(data, test, epochs=3, folder=tmp_path / "a")
    LeNet.trained(stripes(80, 2), test, folder=tmp_path / "a")
    LeNet.trained(data, stripes(20, 3), folder=tmp_path / "a")
    assert len(list((tmp_path / "a").iterdir())) == 5


@pytest.mark.parametrize("shape", [(3, 8, 9), (1, 15, 31), (3, 32, 32)])
def test_it_reads_its_shape_from_the_data(tmp_path, shape):
    data = stripes(20, 0, shape)
    assert LeNet.trained(data, data, folder=tmp_path).extract(data.x[:]).shape == (20, 84)


def test_a_damaged_file_is_refused(tmp_path):
    data, test = stripes(40, 0), stripes(20, 1)
    LeNet.trained(data, test, folder=tmp_path)
    (place,) = tmp_path.iterdir()
    weights = (place / "weights.safetensors").read_bytes()
    (place / "weights.safetensors").write_bytes(weights[:-4] + b"oops")
    with pytest.raises(
        ValueError, match="must be a network that otgen has kept; .*not those that were written. Delete"
    ):
        LeNet.trained(data, test, folder=tmp_path)
    (place / "weights.safetensors").write_bytes(weights)
    (place / "facts.json").write_text("[")
    with pytest.raises(ValueError, match="must be a network that otgen has kept"):
        LeNet.trained(data, test, folder=tmp_path)
    (place / "facts.json").unlink()
    with pytest.raises(ValueError, match="must be a network that otgen has kept"):
        LeNet.trained(data, test, folder=tmp_path)


def test_bad_input(tmp_path):
    data = stripes(20, 0)
    with pytest.raises(TypeError, match="data must be a DataSet; got ndarray"):
        LeNet.trained(data.x[:], data, folder=tmp_path)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="test must have labels; stripes has none"):
        LeNet.trained(data, DataSet("stripes", data.x, UNIT), folder=tmp_path)
    with pytest.raises(ValueError, match=r"sides of at least 8 pixels; got shape \(1, 8, 7\)"):
        LeNet.trained(stripes(20, 0, (1, 8, 7)), data, folder=tmp_path)
    with pytest.raises(ValueError, match=r"sides of at least 8 pixels; got shape \(2,\)"):
        LeNet.trained(load("ring", n=9), data, folder=tmp_path)
    with pytest.raises(ValueError, match=r"test must hold images of data's shape \(1, 8, 8\); got \(3, 8, 8\)"):
        LeNet.trained(data, stripes(20, 0, (3, 8, 8)), folder=tmp_path)
    with pytest.raises(ValueError, match="epochs must be an int >= 1; got 0"):
        LeNet.trained(data, data, epochs=0, folder=tmp_path)
    with pytest.raises(ValueError, match="seed must be an int >= 0, as it names the file; got -1"):
        LeNet.trained(data, data, seed=-1, folder=tmp_path)
    with pytest.raises(TypeError, match="progress must be None or a function"):
        LeNet.trained(data, data, progress=1, folder=tmp_path)  # pyright: ignore[reportArgumentType]
    assert not list(tmp_path.iterdir())
    extractor = LeNet.trained(data, data, folder=tmp_path)
    with pytest.raises(ValueError, match=r"images must have shape \(n, 1, 8, 8\); got shape \(2, 1, 9, 8\)"):
        extractor.extract(np.ones((2, 1, 9, 8)))


@pytest.mark.skipif(not (HERE / "mnist").is_dir(), reason="OTGEN_DATA names the folder that holds mnist")
def test_a_part_of_mnist_is_enough_for_19_digits_of_20(tmp_path, monkeypatch):
    monkeypatch.setattr(lenet, "LEAST_STEPS", 400)
    parts = []
    for split, n in (("train", 10_000), ("test", 2_000)):
        whole = load("mnist", root=HERE, split=split)
        assert whole.labels is not None
        parts.append(DataSet("mnist", Stored(whole.x[:n]), UNIT, whole.labels[:n]))
    assert LeNet.trained(*parts, epochs=1, folder=tmp_path).accuracy > 0.95
