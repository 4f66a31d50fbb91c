"""The user's own samples: an array in memory, a .npy file (mapped, not loaded) or a .npz archive."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from .sources import UNBOUNDED, UNIT, DataSet, NoSplit, Stored, check_labels

LARGEST = float(np.finfo(np.float32).max)
BLOCK = 1 << 22  # values looked at together, 32 MB in float64
LAYOUT = "images (n, H, W), (n, C, H, W) or (n, H, W, C) with C = 1 or 3, or vectors (n, d)"
# The names of arrays that one archive may hold, by split: the samples, then the labels.
NAMED = {"train": (("x_train", "y_train"), ("x", "y")), "test": (("x_test", "y_test"),)}


def from_array(x: Any, labels: Any = None, *, name: str = "x") -> DataSet:
    """A set of images or vectors in an array.

    x is images (n, H, W), (n, C, H, W) or (n, H, W, C) with C = 1 or 3, as bytes or in [0, 1], or vectors (n, d) of any
    finite values; labels (n,) are integers >= 0 or None. Every value is looked at once, here; nothing is copied, so a
    memory map stays on disk. Raises ValueError or TypeError for bad input.
    """
    array = x if isinstance(x, np.memmap) else np.asarray(x)
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise TypeError(f"{name} must hold real numbers (float, integer or bool); got dtype {array.dtype}. Convert it.")
    if array.ndim not in (2, 3, 4) or array.size == 0:
        raise ValueError(f"{name} must hold {LAYOUT}; got shape {array.shape}. Reshape it.")
    images = array.ndim > 2
    array = _channels_first(array, name) if images else array
    if not images:
        _check_range(array, name, -LARGEST, LARGEST, "Drop the row or rescale x.")
        # Only images are decoded from bytes: those of vectors are numbers like any others.
        array = array.astype(np.float32) if array.dtype == np.uint8 else array
    elif array.dtype != np.uint8:
        _check_range(array, name, 0.0, 1.0, "Pass uint8 for 0 to 255, or (x + 1) / 2 for -1 to 1.")
    found = None if labels is None else check_labels(np.asarray(labels), len(array), None, f"labels of {name}")
    classes = None if found is None else tuple(str(label) for label in range(int(found.max()) + 1))
    return DataSet(name, Stored(array), UNIT if images else UNBOUNDED, found, classes)


def read(source: str, split: str) -> DataSet:
    """The set in `file.npy`, `file.npz` or `file.npz:KEY`.

    An archive holds one array, or x and y (labels), or x_train, y_train, x_test and y_test. A .npy file is mapped: its
    values are read when asked for, after one look at each here. Raises ValueError for an unreadable file, for one that
    holds pickled objects or no such array, and for a split it does not hold.
    """
    keyed = re.fullmatch(r"(.+\.npz):([^/\\]+)", source)
    path, key = (Path(keyed[1]), keyed[2]) if keyed else (Path(source), None)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file. Check the path.")
    if path.suffix.lower() == ".npz":
        x, labels = _archive(path, key, split)
    else:
        _check_split(path, split)
        x, labels = _mapped(path), None
    return from_array(x, labels, name=source)


def _mapped(path: Path) -> np.ndarray:
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # a damaged header alone has five: of tokenize, ast, struct, NumPy, or no memory for it
        raise ValueError(
            f"{path} must be a whole .npy file of plain numbers; reading it failed: {error}. Save it with numpy.save."
        ) from error


def _archive(path: Path, key: str | None, split: str) -> tuple[np.ndarray, np.ndarray | None]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = list(archive.files)
            samples, labels = _chosen(path, names, key, split)
            return archive[samples], archive[labels] if labels else None
    except (_Wrong, NoSplit):
        raise
    except Exception as error:  # zipfile and NumPy each have their own exceptions here
        raise ValueError(
            f"{path} must be an .npz archive of plain numbers; reading it failed: {error}. Save it with numpy.savez."
        ) from error


class _Wrong(ValueError):
    """An archive in order that does not hold what is asked for."""


def _chosen(path: Path, names: list[str], key: str | None, split: str) -> tuple[str, str | None]:
    if key is None:
        for samples, labels in NAMED[split]:
            if samples in names:
                return samples, labels if labels in names else None
        if len(names) == 1 and split == "train":
            return names[0], None
    elif key in names and split == "train":
        return key, None
    held = ", ".join(names) or "no array"
    if split != "train":
        raise NoSplit(f"{path} must hold x_test for split='test'; it holds {held}. Save the held-out samples under it.")
    wanted = f"an array '{key}'" if key else "one array, or x, or x_train"
    raise _Wrong(f"{path} must hold {wanted}; it holds {held}. Name one: {path}:KEY.")


def _check_split(path: Path, split: str) -> None:
    if split != "train":
        raise NoSplit(
            f"{path} holds one array, which is split 'train'; got split={split!r}. Save x_train and x_test in one .npz."
        )


def _channels_first(array: np.ndarray, name: str) -> np.ndarray:
    if array.ndim == 3:
        return array[:, None]
    if array.shape[1] in (1, 3):
        return array
    if array.shape[3] in (1, 3):
        return np.moveaxis(array, 3, 1)
    raise ValueError(f"{name} must hold {LAYOUT}; got shape {array.shape}. Keep one channel, or three.")


def _check_range(array: np.ndarray, name: str, low: float, high: float, fix: str) -> None:
    step = max(1, BLOCK // max(1, array[0].size))
    for start in range(0, len(array), step):
        block = array[start : start + step]
        # float64 bounds: a float16 array would round them to infinity. NaN is on neither side.
        inside = (block >= np.float64(low)) & (block <= np.float64(high))
        if not inside.all():
            index = tuple(int(i) for i in np.argwhere(~inside)[0])
            place = ", ".join(map(str, (start + index[0], *index[1:])))
            raise ValueError(
                f"{name} must hold finite values in [{low:.6g}, {high:.6g}]; the value at [{place}] is "
                f"{block[index].item()!r}. {fix}"
            )
