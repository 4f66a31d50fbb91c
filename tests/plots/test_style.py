"""Pictures are replaced whole or not at all, whatever they show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.image import imread

from full_disk import full_disk
from otgen import plots

RNG = np.random.default_rng(0)
CLOUD, IMAGES, PAIRS = RNG.random((50, 2)), RNG.random((4, 1, 8, 8)), RNG.random((4, 5, 1, 8, 8))
SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
STEPS = np.arange(3)
PICTURES: dict[str, Any] = {
    "plot_cells": lambda path: plots.plot_cells(path, [SQUARE], np.zeros(1), domain=SQUARE),
    "plot_singular_set": lambda path: plots.plot_singular_set(
        path, [SQUARE], np.stack(np.meshgrid(*[[0.25, 0.75]] * 2), -1), np.eye(2, dtype=bool), domain=SQUARE, theta=0.1
    ),
    "save_cloud": lambda path: plots.save_cloud(path, {"data": CLOUD}),
    "save_critic": lambda path: plots.save_critic(path, STEPS, {"estimate": STEPS + 1.0}, STEPS + 1.0),
    "save_curves": lambda path: plots.save_curves(path, STEPS, {"loss": STEPS + 1.0}),
    "save_gap": lambda path: plots.save_gap(path, STEPS, STEPS + 2.0, STEPS + 1.0, STEPS + 1.5, STEPS / 9),
    "save_grid": lambda path: plots.save_grid(path, IMAGES),
    "save_interpolation": lambda path: plots.save_interpolation(path, CLOUD, CLOUD + 1.0, (0.0, 1.0)),
    "save_interpolations": lambda path: plots.save_interpolations(path, PAIRS),
    "save_pair_plot": lambda path: plots.save_pair_plot(path, {"codes": CLOUD}),
    "save_pairs": lambda path: plots.save_pairs(path, IMAGES, IMAGES),
    "save_plans": lambda path: plots.save_plans(path, {"W1": (CLOUD, CLOUD, STEPS, STEPS)}),
    "save_ranked": lambda path: plots.save_ranked(path, IMAGES, IMAGES),
    "save_scores": lambda path: plots.save_scores(path, CLOUD, np.full(50, 0.5)),
    "save_timings": lambda path: plots.save_timings(path, {"otgen": [1, 2]}, {"otgen": [0.1, 0.2]}),
}


def test_every_picture_is_here() -> None:
    assert set(PICTURES) == {name for name in dir(plots) if name.startswith(("plot_", "save_"))}


@pytest.mark.parametrize("name", PICTURES)
def test_a_full_disk_leaves_the_picture_that_was_there(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a picture.png"
    PICTURES[name](path)
    whole = path.read_bytes()
    path.write_bytes(before := b"an older picture")
    with full_disk(len(whole) // 2), pytest.raises(OSError, match=r"a picture.png cannot be written: File too large"):
        PICTURES[name](path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    PICTURES[name](path)
    assert path.read_bytes() == whole and imread(path).ndim == 3


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"No such file or directory: '.*/no/cloud.png'"):
        plots.save_cloud(tmp_path / "no" / "cloud.png", {"data": CLOUD})


@pytest.mark.parametrize(("name", "begins"), [("a.pdf", b"%PDF"), ("a.svg", b"<?xml"), ("a", b"\x89PNG")])
def test_the_name_tells_the_format(tmp_path: Path, name: str, begins: bytes) -> None:
    plots.save_cloud(tmp_path / name, {"data": CLOUD})
    assert (tmp_path / name).read_bytes().startswith(begins)


def test_a_format_that_is_not_known_touches_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.nonsense").write_text("mine")
    with pytest.raises(ValueError, match="nonsense"):
        plots.save_cloud(tmp_path / "a.nonsense", {"data": CLOUD})
    assert (tmp_path / "a.nonsense").read_text() == "mine"
