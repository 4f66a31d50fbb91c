"""A folder of images, read when a batch asks for them; folders inside it are its classes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from ..doctor import install_command
from .sources import UNIT, DataSet, NoSplit, decoded, rows

ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
GREY, COLOUR = ("1", "L"), ("RGB", "P")
SPLITS = ("train", "test")


def read(root: Path, split: str, size: int | None) -> DataSet:
    """The images of a folder: (1, H, W) if all are grey, else (3, H, W), in [0, 1].

    Folders `train` and `test` in it are its splits; other folders in it, or in those, are classes. With size, each
    image is cropped to its central square and resized; without, all must have one size. The header of every image is
    read here, its pixels when asked for; rotations that a camera noted are not applied. Raises ValueError for an
    unreadable image, one of another size or of a mode other than grey, palette and RGB, FileNotFoundError for a missing
    split.
    """
    folder = _split_folder(root, split)
    paths, labels, classes = _listed(folder)
    shapes = [_header(path) for path in paths]
    channels = 1 if all(mode in GREY for _, mode in shapes) else 3
    if size is None:
        for path, (found, _) in zip(paths, shapes):
            if found != shapes[0][0]:
                raise ValueError(
                    f"{path} must be of the size of {paths[0].name}, {_said(shapes[0][0])}; it is {_said(found)}. Pass "
                    "size= to crop and resize every image to a square."
                )
    width, height = shapes[0][0] if size is None else (size, size)
    pictures = Pictures(paths, (channels, height, width), resize=size is not None)
    return DataSet(root.name or str(root), pictures, UNIT, labels, classes)


class Pictures:
    """Images of one shape (C, H, W) in files, decoded at each request."""

    def __init__(self, paths: list[Path], shape: tuple[int, int, int], *, resize: bool) -> None:
        self.paths, self.shape, self.resize = paths, shape, resize

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> np.ndarray:
        chosen = rows(index, len(self))
        batch = np.empty((len(chosen), *self.shape), np.uint8)
        for image, row in zip(batch, chosen):
            image[...] = self._pixels(self.paths[row])
        return decoded(batch)

    def _pixels(self, path: Path) -> np.ndarray:
        channels, height, width = self.shape
        with _opened(path) as image:
            try:
                image = image.convert("L" if channels == 1 else "RGB")
            except Exception as error:  # Pillow has one for each format, OSError and SyntaxError among them
                raise _unreadable(path, error) from error
            if self.resize:
                image = _square(image, width)
            pixels = np.asarray(image).reshape(image.height, image.width, channels)
        if pixels.shape != (height, width, channels):
            raise ValueError(
                f"{path} must be of size {_said((width, height))}, as when the set was loaded; it is "
                f"{_said((pixels.shape[1], pixels.shape[0]))}. Load the set again."
            )
        return np.moveaxis(pixels, 2, 0)


def _split_folder(root: Path, split: str) -> Path:
    if any((root / name).is_dir() for name in SPLITS):
        if not (root / split).is_dir():
            raise NoSplit(f"{root / split} is not a folder. Put the images of split '{split}' there.")
        return root / split
    if split != "train":
        raise NoSplit(
            f"{root} must hold folders train and test for split='{split}'; it holds neither. Move held-out images into "
            f"{root / 'test'} and the others into {root / 'train'}."
        )
    return root


def _listed(folder: Path) -> tuple[list[Path], np.ndarray | None, tuple[str, ...] | None]:
    inside = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    by_class = {path.name: found for path in inside if (found := _images(path))}
    loose = _images(folder)
    if loose and by_class:
        raise ValueError(
            f"{folder} must hold images or folders of images, one a class; it holds {len(loose)} images and the "
            f"folders {', '.join(by_class)}. Move the images into a folder."
        )
    if not loose and not by_class:
        raise ValueError(f"{folder} must hold images ({', '.join(sorted(ENDINGS))}); it holds none. Check the path.")
    if loose:
        return loose, None, None
    labels = np.repeat(np.arange(len(by_class)), [len(found) for found in by_class.values()])
    return [path for found in by_class.values() for path in found], labels, tuple(by_class)


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and not path.name.startswith("."))


def _header(path: Path) -> tuple[tuple[int, int], str]:
    with _opened(path) as image:
        if image.mode not in (*GREY, *COLOUR) or "transparency" in image.info:
            mode = "see-through" if "transparency" in image.info else f"of mode {image.mode}"
            raise ValueError(
                f"{path} must be grey or RGB with 8 bits a channel; it is {mode}. Convert it: "
                "PIL.Image.open(path).convert('RGB').save(path)."
            )
        return image.size, image.mode


def _opened(path: Path) -> Any:
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        message = f"reading {path} needs Pillow, which is not installed. Install it: {install_command('pillow')}"
        raise ModuleNotFoundError(message) from error
    try:
        return Image.open(path)
    except Exception as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ValueError:
    return ValueError(f"{path} must be an image; reading it failed: {error}. Repair it or take it out of the folder.")


def _square(image: Any, size: int) -> Any:
    resampling = sys.modules["PIL.Image"].Resampling.BICUBIC
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.resize((size, size), resampling, box=(left, top, left + side, top + side))


def _said(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
