"""Folders of images, and every image that does not belong there."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from otgen.data import load

PIL = pytest.importorskip("PIL")
from PIL import Image  # noqa: E402

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(256, size=(4, 5, 7, 3)).astype(np.uint8)
GREY = RNG.integers(256, size=(3, 5, 7)).astype(np.uint8)


def put(folder: Path, images: np.ndarray, ending: str = "png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{i}.{ending}")
    return folder


def test_images_are_read_when_asked_for(tmp_path):
    folder = put(tmp_path / "faces", COLOUR)
    data = load(folder)
    assert data.name == "faces" and len(data) == 4 and data.shape == (3, 5, 7) and data.range == (0, 1)
    assert data.labels is data.classes is None
    (folder / "1.png").unlink()
    batch = data.x[[3, 0, 3]]
    assert batch.dtype == np.float32
    np.testing.assert_array_equal(batch, np.moveaxis(COLOUR[[3, 0, 3]], 3, 1).astype(np.float32) / np.float32(255))
    with pytest.raises(ValueError, match="1.png must be an image; reading it failed: .*No such file"):
        data.x[[1]]
    assert data.x[[]].shape == (0, 3, 5, 7)


def test_grey_images_have_one_channel_and_three_beside_colour(tmp_path):
    folder = put(tmp_path / "grey", GREY, "bmp")
    data = load(str(folder))
    assert data.shape == (1, 5, 7)
    np.testing.assert_array_equal(np.rint(data.x[:] * 255), GREY[:, None])
    Image.fromarray(COLOUR[0]).quantize(16).save(folder / "palette.png")
    assert load(folder).shape == (3, 5, 7)
    np.testing.assert_array_equal(np.rint(load(folder).x[[2]] * 255)[0], np.broadcast_to(GREY[2], (3, 5, 7)))


def test_folders_inside_are_classes_and_splits(tmp_path):
    put(tmp_path / "train/dogs", COLOUR[:1])
    put(tmp_path / "train/cats", COLOUR[1:])
    put(tmp_path / "test/dogs", COLOUR[:2])
    (tmp_path / "train/.hidden").mkdir()
    (tmp_path / "train/notes.txt").write_text("not an image")
    data = load(tmp_path)
    assert data.classes == ("cats", "dogs") and data.labels is not None and data.labels.tolist() == [0, 0, 0, 1]
    np.testing.assert_array_equal(np.rint(data.x[[3]] * 255)[0], np.moveaxis(COLOUR[0], 2, 0))
    assert len(load(tmp_path, split="test")) == 2


def test_a_split_that_is_not_there_is_named(tmp_path):
    folder = put(tmp_path / "flat", COLOUR)
    with pytest.raises(FileNotFoundError, match="flat must hold folders train and test for split='test'.*flat/test"):
        load(folder, split="test")
    put(tmp_path / "half/train", COLOUR)
    with pytest.raises(FileNotFoundError, match="half/test is not a folder. Put the images of split 'test' there"):
        load(tmp_path / "half", split="test")


def test_images_of_several_sizes_need_a_size(tmp_path):
    folder = put(tmp_path, COLOUR)
    Image.fromarray(COLOUR[0, :, :6]).save(folder / "9.png")
    with pytest.raises(ValueError, match="9.png must be of the size of 0.png, 7 x 5; it is 6 x 5. Pass size="):
        load(folder)
    data = load(folder, size=5)
    assert data.shape == (3, 5, 5)
    np.testing.assert_array_equal(np.rint(data.x[[0]] * 255)[0], np.moveaxis(COLOUR[0, :, 1:6], 2, 0))
    assert load(folder, size=2).x[:].shape == (5, 3, 2, 2)


def test_a_resized_image_keeps_its_mean(tmp_path):
    smooth = np.add.outer(np.arange(40), np.arange(40)).astype(np.uint8)
    folder = put(tmp_path, smooth[None])
    assert np.isclose(load(folder, size=8).x[:].mean() * 255, smooth.mean(), atol=0.5)  # a rounding to bytes


@pytest.mark.parametrize(
    "mode, said", [("RGBA", "it is of mode RGBA"), ("CMYK", "it is of mode CMYK"), ("I;16", "it is of mode I;16")]
)
def test_modes_that_would_lose_something_are_refused(tmp_path, mode, said):
    Image.new(mode, (7, 5)).save(tmp_path / f"0.{'tif' if mode != 'RGBA' else 'png'}")
    with pytest.raises(ValueError, match=f"must be grey or RGB with 8 bits a channel; {said}. Convert it"):
        load(tmp_path)


def test_a_see_through_palette_is_refused(tmp_path):
    Image.fromarray(COLOUR[0]).quantize(16).save(tmp_path / "0.png", transparency=3)
    with pytest.raises(ValueError, match="0.png must be grey or RGB .*it is see-through"):
        load(tmp_path)


def test_damaged_images_are_named(tmp_path):
    folder = put(tmp_path, COLOUR)
    whole = (folder / "2.png").read_bytes()
    (folder / "2.png").write_bytes(b"<html>")
    with pytest.raises(ValueError, match="2.png must be an image; reading it failed.*take it out of the folder"):
        load(folder)
    (folder / "2.png").write_bytes(whole[: len(whole) // 2])  # its header is whole
    data = load(folder)
    with pytest.raises(ValueError, match="2.png must be an image; reading it failed"):
        data.x[[0, 2]]


def test_an_image_replaced_after_loading_is_found(tmp_path):
    data = load(put(tmp_path, COLOUR))
    Image.fromarray(COLOUR[0, :4]).save(tmp_path / "3.png")
    with pytest.raises(ValueError, match="3.png must be of size 7 x 5, as when the set was loaded; it is 7 x 4"):
        data.x[[3]]


def test_folders_without_order_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must hold images \(.bmp, .*; it holds none. Check the path"):
        load(tmp_path)
    put(tmp_path, COLOUR)
    put(tmp_path / "cats", COLOUR)
    with pytest.raises(ValueError, match="one a class; it holds 4 images and the folders cats. Move the images"):
        load(tmp_path)


def test_without_pillow_the_command_that_installs_it_is_named(tmp_path, monkeypatch):
    put(tmp_path, COLOUR)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ModuleNotFoundError, match="needs Pillow, which is not installed. Install it: .*pillow>="):
        load(tmp_path)
