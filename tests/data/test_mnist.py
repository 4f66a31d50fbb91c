"""MNIST and its kin: which folders are searched, what a wrong file says, and the sets themselves where they lie."""

from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from idx_files import packed
from otgen.data import load, mnist

HERE = Path(os.environ.get("OTGEN_DATA") or "/none")
SHAPES = (6, 4, 5)


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """Neither a set nor a network: what a test finds, it wrote."""
    monkeypatch.delenv("OTGEN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, known in mnist.SETS.items():
        mirrors = ((tmp_path / f"mirror-{name}").as_uri() + "/", (tmp_path / "mirror-2").as_uri() + "/")
        monkeypatch.setitem(mnist.SETS, name, mnist.Set(mirrors, known.sha256, known.classes))


def content(seed: int = 0) -> dict[str, bytes]:
    rng = np.random.default_rng(seed)
    arrays = {
        "train-images-idx3-ubyte": rng.integers(256, size=SHAPES),
        "train-labels-idx1-ubyte": np.arange(6),
        "t10k-images-idx3-ubyte": rng.integers(256, size=(2, 4, 5)),
        "t10k-labels-idx1-ubyte": np.array([9, 0]),
    }
    return {stem: gzip.compress(packed(array.astype(np.uint8))) for stem, array in arrays.items()}


def put(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for stem, data in files.items():
        (folder / f"{stem}.gz").write_bytes(data)
    return folder


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize("inside", [True, False])
def test_root_is_the_folder_of_the_set_or_holds_it(tmp_path, name, inside):
    put(tmp_path / "data" / name if inside else tmp_path / "data", content())
    data = load(name, root=tmp_path / "data")
    assert data.name == name and len(data) == len(data.x) == 6 and data.shape == (1, 4, 5) and data.range == (0, 1)
    assert data.labels is not None and data.labels.dtype == np.int64 and data.labels.tolist() == list(range(6))
    assert data.classes is not None and len(data.classes) == 10
    expected = np.random.default_rng(0).integers(256, size=SHAPES)
    batch = data.x[np.array([4, 0])]
    assert batch.dtype == np.float32 and batch.flags.c_contiguous
    np.testing.assert_array_equal(batch, expected[[4, 0], None].astype(np.float32) / np.float32(255))
    held_out = load(name, root=str(tmp_path / "data"), split="test")
    assert held_out.labels is not None and held_out.labels.tolist() == [9, 0]


def test_otgen_data_is_searched_then_the_cache(tmp_path, monkeypatch):
    put(tmp_path / "cache/otgen/mnist", content(1))
    cached = load("mnist", download=False).x[:]
    put(tmp_path / "data/mnist", content(2))
    monkeypatch.setenv("OTGEN_DATA", str(tmp_path / "data"))
    assert not np.array_equal(load("mnist", download=False).x[:], cached)


def test_a_set_that_is_nowhere_names_the_folders_the_variable_and_the_switch(tmp_path, monkeypatch):
    with pytest.raises(
        FileNotFoundError, match="mnist needs train-images-idx3-ubyte.gz or .*OTGEN_DATA is not set"
    ) as e:
        load("mnist", download=False)
    assert str(tmp_path / "cache/otgen/mnist") in str(e.value) and "download=False" in str(e.value)
    monkeypatch.setenv("OTGEN_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=f"looked in {tmp_path}/mnist, .*OTGEN_DATA is '{tmp_path}'"):
        load("mnist", download=False)
    with pytest.raises(FileNotFoundError, match=f"looked in {tmp_path}/mnist, {tmp_path} .*Pass as root the folder"):
        load("mnist", root=tmp_path)


def test_root_alone_is_searched_and_never_filled(tmp_path):
    put(tmp_path / "cache/otgen/mnist", content())
    with pytest.raises(FileNotFoundError, match="mnist needs"):
        load("mnist", root=tmp_path / "empty")
    assert not (tmp_path / "empty").exists()


def test_download_checks_and_keeps_the_files(tmp_path, monkeypatch):
    files = content(3)
    put(tmp_path / "mirror-2", files)  # the first mirror has nothing
    known = mnist.SETS["mnist"]
    sums = {stem: hashlib.sha256(data).hexdigest() for stem, data in files.items()}
    monkeypatch.setitem(mnist.SETS, "mnist", mnist.Set(known.mirrors, sums, known.classes))
    first = load("mnist").x[:]
    assert sorted(path.name for path in (tmp_path / "cache/otgen/mnist").iterdir()) == [
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
    ]
    for data in (tmp_path / "mirror-2").iterdir():
        data.unlink()
    np.testing.assert_array_equal(load("mnist").x[:], first)


def test_labels_must_pair_with_the_images(tmp_path):
    files = content()
    put(tmp_path, {**files, "train-labels-idx1-ubyte": files["t10k-labels-idx1-ubyte"]})
    with pytest.raises(ValueError, match=r"train-labels-idx1-ubyte.gz must hold 6 labels.*holds shape \(2,\)"):
        load("mnist", root=tmp_path)
    put(tmp_path, {**files, "train-labels-idx1-ubyte": files["train-images-idx3-ubyte"]})
    with pytest.raises(
        ValueError, match="train-labels-idx1-ubyte.gz must be an IDX file of labels.*it is one of images"
    ):
        load("mnist", root=tmp_path)
    ten = gzip.compress(packed(np.array([0, 1, 2, 3, 4, 10], np.uint8)))
    put(tmp_path, {**files, "train-labels-idx1-ubyte": ten})
    with pytest.raises(ValueError, match="at least 0 and at most 9; it holds 0 to 10. It is damaged or of another set"):
        load("mnist", root=tmp_path)


def test_a_file_of_the_other_set_or_split_is_known_by_its_bytes(tmp_path, monkeypatch):
    files = content(4)
    known = mnist.SETS["mnist"]
    sums = {stem: hashlib.sha256(data).hexdigest() for stem, data in files.items()}
    monkeypatch.setitem(mnist.SETS, "mnist", mnist.Set(known.mirrors, sums, known.classes))
    put(tmp_path, files)
    with pytest.raises(ValueError, match="must be train-images-idx3-ubyte of fashion-mnist; it is train-.* of mnist"):
        load("fashion-mnist", root=tmp_path)
    put(tmp_path, {"train-images-idx3-ubyte": files["t10k-images-idx3-ubyte"]})
    with pytest.raises(ValueError, match="must be train-images-.* of mnist; it is t10k-images-idx3-ubyte of mnist"):
        load("mnist", root=tmp_path)


@pytest.mark.skipif(not (HERE / "mnist").is_dir(), reason="OTGEN_DATA names the folder that holds mnist")
def test_mnist_itself():
    data = load("mnist", root=HERE)
    assert len(data) == 60_000 and data.shape == (1, 28, 28) and data.labels is not None and data.labels[0] == 5
    # The mean pixel and its deviation that the field normalises by, to their four digits.
    blocks = [data.x[start : start + 10_000].astype(np.float64) for start in range(0, 60_000, 10_000)]
    mean = np.mean([block.mean() for block in blocks])
    assert round(mean, 4) == 0.1307
    assert round(np.sqrt(np.mean([((block - mean) ** 2).mean() for block in blocks])), 4) == 0.3081
    assert np.bincount(data.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert len(load("mnist", root=HERE, split="test")) == 10_000


@pytest.mark.skipif(not (HERE / "mnist").is_dir(), reason="OTGEN_DATA names the folder that holds the sets")
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_checksums_are_those_of_the_official_files(name):
    for stem, sha256 in mnist.SETS[name].sha256.items():
        assert hashlib.sha256((HERE / name / f"{stem}.gz").read_bytes()).hexdigest() == sha256
