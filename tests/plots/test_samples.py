"""Pictures of samples show every image in its place, and every point."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.colors import to_rgb
from matplotlib.image import imread

from otgen import plots
from otgen.plots import samples
from otgen.plots.style import PALETTE, PEER

ROOM = 56 + 2  # pixels of an image of 8 x 8 and the gap beside it
MARGIN = 12


def levels(n: int, channels: int = 1) -> np.ndarray:
    """n images (channels, 8, 8), each of one grey level of its own, none of them white."""
    return np.broadcast_to((np.arange(n) / (n + 1))[:, None, None, None], (n, channels, 8, 8))


def centres(picture: np.ndarray, top: int, left: int, columns: int, apart: list[int]) -> np.ndarray:
    """The values in the middle of the images of a sheet at (top, left), whose row r is apart[r] pixels lower."""
    y = top + 2 + 28 + ROOM * np.arange(len(apart)) + np.array(apart)
    x = left + 2 + 28 + ROOM * np.arange(columns)
    return picture[y[:, None], x, 0]


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
    for side, drawn in ((32, 64), (40, 40), (100, 100)):
        plots.save_grid(tmp_path / "side.png", np.zeros((1, 1, side, side)))
        assert imread(tmp_path / "side.png").shape[:2] == (drawn + 4, drawn + 4)
    for shape in ((3, 8, 8), (2, 2, 8, 8), (0, 1, 8, 8)):
        with pytest.raises(ValueError, match=r"images must have shape \(n, C, H, W\) with C = 1 or 3; got"):
            plots.save_grid(tmp_path / "no.png", np.zeros(shape))
    with pytest.raises(ValueError, match=r"columns must be an int >= 1; got 0. Pass the number of images in a row"):
        plots.save_grid(tmp_path / "no.png", images, columns=0)


def test_reconstructions_stand_below_their_originals(tmp_path: Path) -> None:
    path = tmp_path / "pairs.png"
    x = levels(30)
    plots.save_pairs(path, x, x - 0.4, columns=8)
    picture = imread(path)[..., :3]
    width, height = 8 * ROOM + 2, 8 * ROOM + 2 + 3 * 8
    top = picture.shape[0] - height - MARGIN
    assert picture.shape[1] == width + 2 * MARGIN and 30 < top < 70
    found = centres(picture, top, MARGIN, 8, [8 * (row // 2) for row in range(8)])
    expected = np.ones((2, 32))
    expected[:, :30] = x[:, 0, 0, 0], np.clip(x[:, 0, 0, 0] - 0.4, 0, 1)
    np.testing.assert_allclose(found[0::2].ravel(), expected[0], atol=1 / 255)
    np.testing.assert_allclose(found[1::2].ravel(), expected[1], atol=1 / 255)
    assert (picture[top + 2 * ROOM : top + 2 * ROOM + 10] == 1).all()  # pairs stand apart
    assert (picture[: top - MARGIN] < 0.5).any() and (picture[top - 6 : top + 2] == 1).all()  # the title stands clear


def test_the_picture_of_pairs_is_nearly_square_and_its_title_whole(tmp_path: Path) -> None:
    for n in (20, 64):
        plots.save_pairs(tmp_path / "pairs.png", levels(n), levels(n))
        high, wide = imread(tmp_path / "pairs.png").shape[:2]
        assert 0.7 < high / wide < 1.5
    plots.save_pairs(tmp_path / "one.png", levels(1), levels(1))
    picture = imread(tmp_path / "one.png")[..., :3]
    assert (picture[:, :6] == 1).all() and (picture[:, -6:] == 1).all()
    assert (picture[-2 * ROOM - MARGIN :] == 0).all(axis=2).sum() == 2 * 56 * 56


def test_interpolations_are_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.png"
    x = 3 * levels(12, 3).reshape(3, 4, 3, 8, 8) - 1
    plots.save_interpolations(path, x)
    picture = imread(path)[..., :3]
    assert picture.shape == (3 * ROOM + 2 + 2 * 8, 4 * ROOM + 2, 3)
    found = centres(picture, 0, 0, 4, [0, 8, 16])
    np.testing.assert_allclose(found, np.clip(x[..., 0, 0, 0], 0, 1), atol=1 / 255)
    for shape in ((4, 1, 8, 8), (3, 4, 2, 8, 8), (0, 4, 1, 8, 8)):
        with pytest.raises(ValueError, match=r"rows must have shape \(k, t, C, H, W\) with C = 1 or 3; got"):
            plots.save_interpolations(tmp_path / "no.png", np.zeros(shape))


def test_the_best_stand_beside_the_worst(tmp_path: Path) -> None:
    path = tmp_path / "ranked.png"
    best, worst = 0.5 + levels(25) / 3, levels(16) / 3
    plots.save_ranked(path, best, worst)
    picture = imread(path)[..., :3]
    top, wide = picture.shape[0] - (5 * ROOM + 2) - MARGIN, 5 * ROOM + 2
    dark = picture[top:, :, 0] < 0.34
    grey = (picture[top:, :, 0] > 0.49) & (picture[top:, :, 0] < 0.9)
    assert grey.sum() == 25 * 56 * 56 and dark.sum() == 16 * 56 * 56
    left = int(np.flatnonzero(grey.any(axis=0))[0]) - 2
    found = centres(picture, top, left, 5, [0] * 5)
    np.testing.assert_allclose(found.ravel(), best[:, 0, 0, 0], atol=1 / 255)
    assert np.flatnonzero(dark.any(axis=0))[0] >= left + wide
    titles = picture[:top, :, 0] < 0.5
    assert titles[:, : left + wide].any() and titles[:, left + wide :].any()


def test_images_of_other_shapes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "no.png"
    with pytest.raises(ValueError, match=r"originals must have shape \(n, C, H, W\) with C = 1 or 3; got \(8, 8\)"):
        plots.save_pairs(path, np.zeros((8, 8)), levels(2))
    with pytest.raises(ValueError, match=r"reconstructions must have shape \(n, C, H, W\) .* got \(8, 8\). Reshape"):
        plots.save_pairs(path, levels(2), np.zeros((8, 8)))
    with pytest.raises(
        ValueError, match=r"reconstructions must have the shape of originals, \(2, .*; got \(3, .*. Pass one for each"
    ):
        plots.save_pairs(path, levels(2), levels(3))
    with pytest.raises(ValueError, match=r"columns must be an int >= 1; got 1.5"):
        plots.save_pairs(path, levels(2), levels(2), columns=1.5)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"best must have shape \(n, C, H, W\)"):
        plots.save_ranked(path, np.zeros((3, 2)), levels(2))
    with pytest.raises(ValueError, match=r"worst must have shape \(n, C, H, W\) .*; got \(0, 1, 8, 8\)"):
        plots.save_ranked(path, levels(2), levels(2)[:0])
    assert not path.exists()


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


def test_each_of_many_clouds_has_a_colour(tmp_path: Path) -> None:
    path = tmp_path / "clouds.png"
    square = np.stack(np.meshgrid(np.linspace(0, 1, 40), np.linspace(0, 1, 40)), -1).reshape(-1, 2)
    plots.save_cloud(path, {str(i): square + [2 * i, 0] for i in range(5)})
    picture = imread(path)[..., :3]
    for colour in (PEER, *PALETTE[:4]):
        once = 1 - 0.7 * (1 - np.array(to_rgb(colour)))
        twice = 1 - (1 - 0.3**2) * (1 - np.array(to_rgb(colour)))
        seen = [(np.abs(picture[:-200] - shade).max(axis=2) < 0.03).mean() for shade in (once, twice)]
        assert sum(seen) > 5e-4, colour


def test_points_are_coloured_by_their_scores_in_ratios(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(samples, "save", lambda figure, path: figures.append(figure))
    points = np.random.default_rng(0).normal(size=(200, 2))
    score = 10.0 ** np.linspace(-8, 0, 200)
    for scores in (score, np.r_[1e-300, score[1:]], np.r_[0.0, 0.0, 0.0, score[3:]], score - 1, np.ones(200)):
        plots.save_scores(tmp_path / "no.png", points, scores)
    drawn = [figure.axes[0].collections[0] for figure in figures]
    for one in drawn[:2]:
        assert one.norm(1e-4) == pytest.approx(0.5, abs=0.02) and one.norm(1.0) == 1  # whatever the outlier
        assert (np.diff(one.get_array()) <= 0).all()  # the worst last, in front
        np.testing.assert_array_equal(np.asarray(one.get_offsets())[0], points[-1])
    assert figures[1].axes[0].get_title() == "200 points, the worst in front"
    for one in drawn[2:4]:
        middle = (one.norm.vmin + one.norm.vmax) / 2
        assert one.norm(middle) == pytest.approx(0.5)  # by differences
    assert all(np.isfinite(one.norm(one.get_array())).all() and len(one.get_array()) == 200 for one in drawn)


def test_the_worst_points_are_dark_and_one_point_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "scores.png"
    points = np.random.default_rng(0).normal(size=(200, 2))
    points[:100] += [20, 0]
    plots.save_scores(path, points, np.repeat([1e-9, 1.0], 100))
    cloud = imread(path)[100:, :, :3][:, : 7 * 160 * 4 // 5]  # without title and colour bar
    dark, bright = cloud[..., 0] < 0.3, (cloud[..., 0] > 0.9) & (cloud[..., 2] < 0.3)
    assert dark.sum() > 200 and bright.sum() > 200
    assert np.flatnonzero(dark.any(axis=0)).min() > np.flatnonzero(bright.any(axis=0)).max()
    plots.save_scores(path, points[:1], np.array([2.0]))
    cloud = imread(path)[100:, :, :3][:, : 7 * 160 * 4 // 5]
    assert 20 < (cloud[..., 1] < 0.6).sum() < 500


def test_scores_that_cannot_be_drawn_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "no.png"
    with pytest.raises(ValueError, match=r"points must have shape \(n, 2\); got \(4, 3\). Pass two columns"):
        plots.save_scores(path, np.zeros((4, 3)), np.zeros(4))
    with pytest.raises(ValueError, match=r"scores must have shape \(4,\); got \(3,\). Pass one for each point"):
        plots.save_scores(path, np.zeros((4, 2)), np.zeros(3))
    with pytest.raises(ValueError, match=r"scores must be finite; 2 of 4 are not. Leave their points out"):
        plots.save_scores(path, np.zeros((4, 2)), np.array([1.0, np.nan, np.inf, 1.0]))
    assert not path.exists()
