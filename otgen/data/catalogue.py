"""Data sets by name, or from the user's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..options import is_one_of, read_count
from . import arrays_file, cifar, digits, folder, mnist, toys
from .places import Places
from .sources import DataSet

NAMES = ("digits", *mnist.SETS, "cifar10", *toys.TOYS)
SPLITS = ("train", "test")
POINTS = 10_000


def load(
    name: Any,
    *,
    root: Any = None,
    split: str = "train",
    download: bool = True,
    n: int | None = None,
    seed: int = 0,
    size: int | None = None,
) -> DataSet:
    """A data set: samples that are decoded by the batch, in a stated range, with their labels.

    data = load("mnist"); data.x[index] (k, 1, 28, 28) is float32 in data.range = (0, 1); data.labels (60000,).

    name is one of digits, mnist, fashion-mnist, cifar10, of the toys 25gaussians, 8gaussians, ring, swissroll, moons,
    lines (n points, 10,000 if None, drawn with seed), or the path of a folder of images (size=, if given, crops and
    resizes each to a square), of a .npy file or of a .npz archive (`file.npz:KEY` names one array). root is the folder
    that holds the set; None searches OTGEN_DATA, then the cache of downloads, and fetches MNIST and Fashion-MNIST once
    if download is True. split is "train" or "test". Raises ValueError for a bad argument or a damaged file,
    FileNotFoundError for a missing one, OSError where a download fails, ModuleNotFoundError where a library is wanting.
    """
    if not is_one_of(split, SPLITS):
        raise ValueError(f"split must be 'train' or 'test'; got {split!r}. Pass one of them.")
    if not isinstance(download, bool):
        raise TypeError(f"download must be True or False; got {download!r}. Pass one of them.")
    kind, text = _kind(name), str(name)
    _check_meant(text, kind, n=n, size=size, root=root)
    if kind == "toy":
        return toys.read(text, split, POINTS if n is None else read_count(n, "n"), _seed(seed))
    if kind == "arrays":
        return arrays_file.read(text, split)
    if kind == "folder":
        return folder.read(Path(text), split, None if size is None else read_count(size, "size", "pixels of a side"))
    if text == "digits":
        return digits.read(split)
    places = Places(text, root)
    return cifar.read(places, split) if text == "cifar10" else mnist.read(text, places, split, download)


def _kind(name: Any) -> str:
    text = str(name)
    if text in NAMES:
        return "toy" if text in toys.TOYS else "named"
    if text.lower().endswith((".npy", ".npz")) or ".npz:" in text:
        return "arrays"
    if Path(text).is_dir():
        return "folder"
    raise ValueError(
        f"name must be one of {', '.join(NAMES)}, a folder of images, a .npy or a .npz file; got {text!r}, which is "
        "none of them. Check the spelling or the path."
    )


def _check_meant(name: str, kind: str, **options: Any) -> None:
    readers = {"n": ("toy",), "size": ("folder",), "root": ("named",)}
    for option, value in options.items():
        if value is not None and (kind not in readers[option] or (option == "root" and name == "digits")):
            of = {"n": "a toy set", "size": "a folder of images", "root": "mnist, fashion-mnist or cifar10"}[option]
            raise ValueError(f"{option} is meant for {of}; got {option}={value!r} with {name!r}. Leave it None.")


def _seed(seed: Any) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed must be an int >= 0; got {seed!r}. The splits are drawn from it independently.")
    return seed
