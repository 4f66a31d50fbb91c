"""Pictures of power cells show what they are given; those of the demo are looked at in test_demo.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.colors import to_rgb
from matplotlib.image import imread

from otgen import plots

SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


def columns(n: int) -> list[np.ndarray]:
    """The unit square cut into n columns."""
    return [SQUARE * [1 / n, 1] + [i / n, 0] for i in range(n)]


def share(path: Path, colour: str) -> float:
    """The share of the picture that is of a colour, to a hundredth in each channel."""
    return float((np.abs(imread(path)[..., :3] - to_rgb(colour)).max(axis=2) < 0.01).mean())


def hues(path: Path) -> tuple[float, float]:
    """The shares of the picture that are decidedly red and decidedly blue."""
    red, _, blue = np.moveaxis(imread(path)[..., :3], 2, 0)
    return float((red - blue > 0.2).mean()), float((blue - red > 0.2).mean())


def test_cells_are_coloured_by_the_sign_and_the_size_of_their_error(tmp_path: Path) -> None:
    path = tmp_path / "cells.png"
    found = []
    for errors in ([1.0, 1.0, 1.0, -1.0], [1e-7, -1e-7, -1e-7, -1e-7], [0.01, 0.01, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]):
        plots.plot_cells(path, columns(4), np.array(errors), domain=SQUARE)
        found.append(hues(path))
    (red, blue), (few, more), (one, _), (none, nor) = found
    assert red > 2 * blue > 0.2 and more > 2 * few > 0.2  # whatever the scale
    assert 0.3 * red < one < 0.5 * red  # an error of 0.01 beside one of 1 is nearly white
    assert none < 0.03 and nor < 0.03  # the colour bar alone


def test_empty_cells_are_counted_and_unknown_errors_left_white(tmp_path: Path, monkeypatch) -> None:
    titles: list[str] = []
    plain = plots.Axes.set_title
    monkeypatch.setattr(
        plots.Axes, "set_title", lambda axes, title, **how: (titles.append(title), plain(axes, title, **how))
    )
    empty = np.empty((0, 2))
    plots.plot_cells(tmp_path / "some.png", [*columns(3), empty, empty], np.array([0.5, np.nan, -0.5, -1.0, -1.0]))
    plots.plot_cells(tmp_path / "all.png", columns(3), np.array([0.5, 0.5, -0.5]))
    plots.plot_cells(tmp_path / "none.png", [empty], np.array([np.nan]))
    assert titles == ["3 cells, 2 empty", "3 cells", "0 cells, 1 empty"]
    assert sum(hues(tmp_path / "some.png")) < sum(hues(tmp_path / "all.png"))


def test_targets_are_drawn_beside_the_cells(tmp_path: Path) -> None:
    alone, beside = tmp_path / "alone.png", tmp_path / "beside.png"
    targets, errors = 50 + 9 * SQUARE, np.array([1.0, -1.0, 1.0, -1.0])
    plots.plot_cells(alone, columns(4), errors)
    plots.plot_cells(beside, columns(4), errors, targets=targets)
    assert imread(beside).shape[1] > 1.5 * imread(alone).shape[1]
    picture = imread(beside)[..., :3]
    right = picture[:, picture.shape[1] * 45 // 100 : picture.shape[1] * 91 // 100]  # without cells and colour bar
    assert (right[..., 0] - right[..., 2] > 0.2).any() and (right[..., 2] - right[..., 0] > 0.2).any()


@pytest.mark.parametrize("wide, high", [(40, 40), (80, 20)])
def test_singular_points_fill_their_squares_of_the_grid(tmp_path: Path, wide: int, high: int) -> None:
    path = tmp_path / "singular.png"
    across, up = (np.arange(wide) + 0.5) / wide, (np.arange(high) + 0.5) / high
    points = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)
    drawn = []
    for limit in (0.0, 0.25, 1.0):
        plots.plot_singular_set(path, columns(3), points, points[:, 0] < limit, domain=SQUARE, theta=0.3)
        drawn.append(share(path, plots.TARGET))
    assert drawn[0] == 0 and drawn[2] > 0.6
    assert drawn[1] == pytest.approx(drawn[2] / 4, rel=0.03)


def test_lengths_that_differ_are_named(tmp_path: Path) -> None:
    path = tmp_path / "no.png"
    with pytest.raises(ValueError, match=r"errors must have a row for each of the 3 drawn; got 2. Pass them all"):
        plots.plot_cells(path, columns(3), np.zeros(2))
    with pytest.raises(ValueError, match=r"targets must have a row for each of the 3 drawn; got 4"):
        plots.plot_cells(path, columns(3), np.zeros(3), targets=SQUARE)
    with pytest.raises(ValueError, match=r"singular must have a row for each of the 4 drawn; got 1"):
        plots.plot_singular_set(path, columns(3), SQUARE, np.array([True]))
    assert not path.exists()


def test_a_grid_shows_every_pixel_of_every_image_in_its_place(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.random((5, 1, 8, 28))
    plots.save_grid(tmp_path / "grid.png", images, columns=2)
    sheet = imread(tmp_path / "grid.png")[..., :3]
    assert sheet.shape == (3 * 58 + 2, 2 * 198 + 2, 3)  # each pixel is 7 x 7, with 2 between images
    for i, image in enumerate(images):
        top, left = 2 + i // 2 * 58, 2 + i % 2 * 198
        np.testing.assert_allclose(sheet[top : top + 56 : 7, left : left + 196 : 7, 0], image[0], atol=1 / 255)
        np.testing.assert_allclose(sheet[top + 6 : top + 56 : 7, left + 6 : left + 196 : 7, 2], image[0], atol=1 / 255)
    assert (sheet[2 * 58 + 2 :, 200:] == 1).all() and (sheet[:2] == 1).all()
    colours = np.zeros((1, 3, 64, 64))
    colours[0, 2] = 1.0
    plots.save_grid(tmp_path / "blue.png", colours)
    assert (imread(tmp_path / "blue.png")[2:-2, 2:-2, :3] == [0, 0, 1]).all()
    for shape in ((3, 8, 8), (2, 2, 8, 8), (0, 1, 8, 8)):
        with pytest.raises(ValueError, match=r"images must have shape \(n, C, H, W\) with C = 1 or 3; got"):
            plots.save_grid(tmp_path / "no.png", np.zeros(shape))


def test_clouds_are_drawn_over_each_other(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    left, right = rng.random((200, 2)), rng.random((200, 2)) + [3, 0]
    plots.save_cloud(tmp_path / "one.png", {"samples": left})
    plots.save_cloud(tmp_path / "two.png", {"data": right, "samples": left})
    for name in ("one", "two"):
        picture = imread(tmp_path / f"{name}.png")[:-200, :, :3]
        blue = picture[..., 2] - picture[..., 0] > 0.2
        columns_of = np.flatnonzero(blue.any(axis=0)) / picture.shape[1]
        assert columns_of.size and (columns_of.max() > 0.6) == (name == "one")
    with pytest.raises(ValueError, match=r"clouds must hold points \(n, 2\); data has shape \(3,\)"):
        plots.save_cloud(tmp_path / "no.png", {"data": np.zeros(3)})
