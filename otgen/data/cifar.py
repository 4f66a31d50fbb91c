"""CIFAR-10: 32 x 32 colour images of ten classes, from its binary or its Python archive, unpacked.

Source: Krizhevsky, Learning Multiple Layers of Features from Tiny Images (2009).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .pickled import byte_array, read_dict
from .places import Places
from .sources import UNIT, DataSet, Stored, check_labels

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHAPE = (3, 32, 32)
PIXELS = 3072
RECORD = 1 + PIXELS  # bytes: a label, then the red, the green and the blue image, row by row
FILES = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)}
FOLDERS = ("cifar-10-batches-bin", "cifar-10-batches-py")
BY_HAND = (
    "fetch cifar-10-binary.tar.gz or cifar-10-python.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html and "
    "unpack it there; otgen does not download it, with download=False or without"
)


def read(places: Places, split: str) -> DataSet:
    """One split of CIFAR-10: images (3, 32, 32) in [0, 1] and their labels.

    Raises FileNotFoundError where a file is missing, ValueError for damaged files.
    """
    parts = [_read_batch(path) for path in _paths(places, split)]
    counts = [len(labels) for _, labels, _ in parts]
    if len(set(counts)) > 1:
        short = parts[int(np.argmin(counts))][2]
        raise ValueError(
            f"{short} must hold {max(counts)} images, as the other batches; it holds {min(counts)}. It is cut off: "
            "fetch it again."
        )
    images = np.concatenate([images for images, _, _ in parts]).reshape(-1, *SHAPE)
    return DataSet("cifar10", Stored(images), UNIT, np.concatenate([labels for _, labels, _ in parts]), CLASSES)


def _paths(places: Places, split: str) -> list[Path]:
    first = FILES[split][0]
    candidates = tuple(
        f"{folder}{name}" for folder in ("", *(f"{folder}/" for folder in FOLDERS)) for name in (f"{first}.bin", first)
    )
    found = places.find(candidates)
    if found is None:
        raise places.missing(candidates, BY_HAND)
    paths = [found.with_name(name + found.suffix) for name in FILES[split]]
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing beside {found.name}. Unpack the whole archive again.")
    return paths


def _read_batch(path: Path) -> tuple[np.ndarray, np.ndarray, Path]:
    images, labels = _binary(path) if path.suffix == ".bin" else _python(path)
    return images, check_labels(labels, len(images), len(CLASSES), path), path


def _binary(path: Path) -> tuple[np.ndarray, np.ndarray]:
    content = np.fromfile(path, np.uint8)
    if content.size == 0 or content.size % RECORD:
        raise ValueError(
            f"{path} must hold records of {RECORD} bytes, a label and an image of 3 x 32 x 32; it holds {content.size} "
            "bytes. It is damaged, cut off or of another set (CIFAR-100's records have two labels): fetch it again."
        )
    records = content.reshape(-1, RECORD)
    return records[:, 1:], records[:, 0]


def _python(path: Path) -> tuple[np.ndarray, np.ndarray]:
    content = read_dict(path)
    for key in ("data", "labels"):
        if key not in content:
            raise ValueError(
                f"{path} must hold 'data' and 'labels'; it holds {', '.join(sorted(content)) or 'nothing'}. It is of "
                "another set: fetch CIFAR-10."
            )
    images = byte_array(content["data"], path)
    if images.ndim != 2 or images.shape[1] != PIXELS or len(images) == 0:
        raise ValueError(f"{path} must hold images of shape (n, {PIXELS}); it holds {images.shape}. Fetch it again.")
    labels = content["labels"]
    if not isinstance(labels, list) or not all(isinstance(label, int) and abs(label) < 1 << 31 for label in labels):
        raise ValueError(f"{path} must hold its labels as a list of integers; it does not. Fetch it again.")
    return images, np.array(labels, dtype=np.int64)
