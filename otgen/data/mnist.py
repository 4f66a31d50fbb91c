"""MNIST and Fashion-MNIST: 28 x 28 images of ten classes, 60,000 to train on and 10,000 held out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from . import idx
from .download import cache_folder, fetch
from .places import Places
from .sources import UNIT, DataSet, Stored, check_labels


@dataclass(frozen=True)
class Set:
    """Where a set comes from: folders of its mirrors, SHA-256 of its four files, names of its classes."""

    mirrors: tuple[str, ...]
    sha256: dict[str, str]
    classes: tuple[str, ...]


# By MNIST's own names: the images and the labels of each split.
FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
SETS = {
    "mnist": Set(
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        {
            "train-images-idx3-ubyte": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
        tuple("0123456789"),
    ),
    "fashion-mnist": Set(
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        ),
        {
            "train-images-idx3-ubyte": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
        ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
    ),
}


def read(name: str, places: Places, split: str, download: bool) -> DataSet:
    """One split of "mnist" or "fashion-mnist": images (1, 28, 28) in [0, 1] and their labels.

    Raises FileNotFoundError where the files are nowhere and may not be downloaded, ValueError for damaged files,
    OSError where no mirror answers. Source: LeCun et al., Proc. IEEE 86 (1998); Xiao et al., arXiv 1708.07747.
    """
    images_path, labels_path = (_path(name, stem, places, download) for stem in FILES[split])
    images, classes = idx.read_images(images_path), SETS[name].classes
    labels = check_labels(idx.read_labels(labels_path), len(images), len(classes), labels_path)
    return DataSet(name, Stored(images), UNIT, labels, classes)


def _path(name: str, stem: str, places: Places, download: bool) -> Path:
    names = (f"{stem}.gz", stem)
    found = places.find(names)
    if found is not None:
        _check_owner(found, name, stem)
        return found
    if not download or places.root is not None:
        raise places.missing(names)
    mirrors = tuple(f"{mirror}{stem}.gz" for mirror in SETS[name].mirrors)
    return fetch(mirrors, cache_folder() / name, SETS[name].sha256[stem])


def _check_owner(path: Path, name: str, stem: str) -> None:
    # The sets name their files alike and have one shape: only the bytes tell a file in the wrong folder.
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    for other, known in SETS.items():
        for theirs, sha256 in known.sha256.items():
            if digest == sha256 and (other, theirs) != (name, stem):
                raise ValueError(
                    f"{path} must be {stem} of {name}; it is {theirs} of {other}, byte for byte. Put {name}'s "
                    "own there."
                )
