"""CIFAR-10 from both of its archives, and every way in which their files can be wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import cifar_files
from otgen.data import load

BATCHES = [f"data_batch_{i}" for i in range(1, 6)]
COUNT = 2


def drawn(i: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(i)
    return rng.integers(256, size=(COUNT, 3072)).astype(np.uint8), rng.integers(10, size=COUNT)


def binary(images: np.ndarray, labels: np.ndarray) -> bytes:
    return b"".join(bytes([label]) + image.tobytes() for image, label in zip(images, labels))


def python(images: np.ndarray, labels: np.ndarray) -> bytes:
    return cifar_files.batch(images, labels.tolist())


KINDS = [("cifar-10-batches-bin", ".bin", binary), ("cifar-10-batches-py", "", python)]


def put(folder: Path, suffix: str, pack) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate([*BATCHES, "test_batch"]):
        (folder / f"{name}{suffix}").write_bytes(pack(*drawn(i)))
    return folder


@pytest.mark.parametrize("archive, suffix, pack", KINDS)
@pytest.mark.parametrize("inside", ["cifar10", "cifar10/{}", "{}", ""])
def test_both_archives_give_the_same_images(tmp_path, archive, suffix, pack, inside):
    put(tmp_path / inside.format(archive), suffix, pack)
    data = load("cifar10", root=tmp_path)
    images = np.concatenate([drawn(i)[0] for i in range(5)]).reshape(-1, 3, 32, 32)
    assert len(data) == 5 * COUNT and data.shape == (3, 32, 32) and data.range == (0, 1)
    np.testing.assert_array_equal(data.x[:], images.astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(data.labels, np.concatenate([drawn(i)[1] for i in range(5)]))
    assert data.classes is not None and data.classes[6] == "frog"
    held_out = load("cifar10", root=tmp_path, split="test")
    np.testing.assert_array_equal(held_out.labels, drawn(5)[1])


def test_a_missing_set_says_where_it_is_had(tmp_path, monkeypatch):
    monkeypatch.setenv("OTGEN_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="cifar10 needs data_batch_1.bin or .*OTGEN_DATA is .*kriz/cifar.html"):
        load("cifar10")


def test_a_missing_batch_is_named(tmp_path):
    put(tmp_path, ".bin", binary)
    (tmp_path / "data_batch_3.bin").unlink()
    with pytest.raises(FileNotFoundError, match="data_batch_3.bin is missing beside data_batch_1.bin. Unpack"):
        load("cifar10", root=tmp_path)


@pytest.mark.parametrize("content", [b"", binary(*drawn(0))[:-1], binary(*drawn(0)) + b"\x00", b"\x00" * 3074 * 2])
def test_a_binary_batch_of_another_length_is_refused(tmp_path, content):
    put(tmp_path, ".bin", binary)
    (tmp_path / "data_batch_2.bin").write_bytes(content)
    with pytest.raises(
        ValueError, match=f"data_batch_2.bin must hold records of 3073 bytes.*it holds {len(content)} by"
    ):
        load("cifar10", root=tmp_path)


@pytest.mark.parametrize("archive, suffix, pack", KINDS)
def test_a_batch_cut_off_between_images_is_refused(tmp_path, archive, suffix, pack):
    put(tmp_path, suffix, pack)
    images, labels = drawn(3)
    (tmp_path / f"data_batch_4{suffix}").write_bytes(pack(images[:1], labels[:1]))
    with pytest.raises(ValueError, match=f"data_batch_4{suffix} must hold 2 images, as the other batches; it holds 1"):
        load("cifar10", root=tmp_path)


@pytest.mark.parametrize("archive, suffix, pack", KINDS)
def test_labels_beyond_the_classes_are_refused(tmp_path, archive, suffix, pack):
    put(tmp_path, suffix, pack)
    images, _ = drawn(5)
    (tmp_path / f"test_batch{suffix}").write_bytes(pack(images, np.array([3, 10])))
    with pytest.raises(
        ValueError, match=f"test_batch{suffix} must hold labels of at least 0 and at most 9; it holds 3"
    ):
        load("cifar10", root=tmp_path, split="test")


def test_a_python_batch_of_another_content_is_refused(tmp_path):
    images, labels = drawn(5)
    put(tmp_path, "", python)
    for content, said in [
        (cifar_files.batch(images[:, :-1], labels.tolist()), r"images of shape \(n, 3072\); it holds \(2, 3071\)"),
        (cifar_files.batch(images, [1]), r"must hold 2 labels, one a sample; it holds shape \(1,\)"),
        (
            python(images, labels).replace(b"U\x06labels", b"U\x06coarse"),
            "must hold 'data' and 'labels'; it holds batch_l",
        ),
        (python(images, labels).replace(b"U\x06labels]q\x05(", b"U\x06labels]q\x05(N"), "labels as a list of integers"),
        (b"PK\x03\x04", "must be a pickle of CIFAR-10"),
    ]:
        (tmp_path / "test_batch").write_bytes(content)
        with pytest.raises(ValueError, match="test_batch .*" + said):
            load("cifar10", root=tmp_path, split="test")
