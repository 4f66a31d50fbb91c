"""The pair plot shows each pair of the coordinates that vary most, a colour a label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.colors import to_rgb
from matplotlib.image import imread

from otgen import plots
from otgen.plots import codes
from otgen.plots.style import PALETTE


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures in place of their files."""
    caught: list[Any] = []
    monkeypatch.setattr(codes, "save", lambda figure, path: caught.append(figure))
    return caught


def test_each_pair_of_coordinates_has_a_panel_below_the_diagonal(rng, figures: list[Any]) -> None:
    x, y = rng.normal(size=(50, 3)), 5 + rng.normal(size=(20, 3))
    plots.save_pair_plot(Path("no.png"), {"codes": x, "prior": y}, names=["a", "b", "c"])
    axes = figures[0].axes
    assert len(axes) == 6 and figures[0].get_suptitle() == ""
    assert [(one.get_xlabel(), one.get_ylabel()) for one in axes] == [
        ("", ""), ("", "b"), ("", ""), ("a", "c"), ("b", ""), ("c", ""),
    ]  # fmt: skip
    for at, (i, j) in {1: (1, 0), 3: (2, 0), 4: (2, 1)}.items():
        (drawn,) = axes[at].collections
        points = np.asarray(drawn.get_offsets())
        for cloud, colour in ((x, PALETTE[0]), (y, PALETTE[1])):
            own = points[(np.abs(drawn.get_facecolors()[:, :3] - to_rgb(colour)) < 0.01).all(axis=1)]
            np.testing.assert_array_equal(own[np.argsort(own[:, 0])], cloud[:, [j, i]][np.argsort(cloud[:, j])])
        assert (points > [axes[at].get_xlim()[0], axes[at].get_ylim()[0]]).all()
        assert (points < [axes[at].get_xlim()[1], axes[at].get_ylim()[1]]).all()
    (legend,) = figures[0].legends
    assert [text.get_text() for text in legend.get_texts()] == ["codes (50)", "prior (20)"]


def test_histograms_on_the_diagonal_are_densities(rng, figures: list[Any]) -> None:
    x, y = rng.normal(size=(400, 2)), rng.normal(size=(100, 2))
    plots.save_pair_plot(Path("no.png"), {"codes": x, "prior": y})
    for at, j in ((0, 0), (2, 1)):
        filled = figures[0].axes[at].patches[0::2]
        for cloud, polygon in zip((x, y), filled, strict=True):
            outline = polygon.get_path().vertices
            turned = np.roll(outline, -1, axis=0)
            area = 0.5 * abs((outline[:, 0] * turned[:, 1] - outline[:, 1] * turned[:, 0]).sum())
            assert area == pytest.approx(1)
            assert outline[:, 0].min() <= cloud[:, j].min() and cloud[:, j].max() <= outline[:, 0].max()


def test_of_many_coordinates_those_that_vary_most_in_the_first_cloud_are_shown(rng, figures: list[Any]) -> None:
    scales = np.array([9, 0, 8, 1, 7, 6, 0.5, 5, 4.0])
    clouds = {"data": rng.normal(size=(3000, 9)) * scales, "prior": rng.normal(size=(6000, 9)) / (1 + scales)}
    plots.save_pair_plot(Path("no.png"), clouds)
    title = figures[0].get_suptitle()
    assert title == "6 of 9 coordinates, those of largest variance in data:\nz0, z2, z4, z5, z7, z8"
    assert len(figures[0].axes) == 21
    texts = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert texts == ["data (3,000)", "prior (5,000 of 6,000)"]
    plots.save_pair_plot(Path("no.png"), clouds, names=list("abcdefghi"))
    assert figures[1].get_suptitle().endswith("a, c, e, f, h, i")


def test_no_cloud_hides_another_and_nothing_is_cut(tmp_path: Path, rng) -> None:
    path = tmp_path / "pairs.png"
    x = rng.normal(size=(2000, 2))
    plots.save_pair_plot(path, {"codes": x, "prior": rng.normal(size=(2000, 2))})
    picture = imread(path)[..., :3]
    panel = picture[picture.shape[0] // 2 : picture.shape[0] * 5 // 6, : picture.shape[1] // 2]
    blue, red = ((panel[..., 2] - panel[..., 0]) * sign > 0.2 for sign in (1, -1))
    assert 0.4 < blue.mean() / red.mean() < 2.5 and red.mean() > 0.02
    rim = np.concatenate([picture[:5].ravel(), picture[-5:].ravel(), picture[:, :5].ravel(), picture[:, -5:].ravel()])
    assert (rim == 1).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (300, 1)])
@pytest.mark.filterwarnings("error")
def test_one_code_and_one_coordinate_are_drawn(tmp_path: Path, rng, shape: tuple[int, int]) -> None:
    path = tmp_path / "one.png"
    plots.save_pair_plot(path, {"codes": rng.normal(size=shape)})
    picture = imread(path)[..., :3]
    assert (picture[..., 2] - picture[..., 0] > 0.1).sum() > 500


def test_ten_labels_have_ten_colours(figures: list[Any], rng) -> None:
    for n in (10, 14):
        plots.save_pair_plot(Path("no.png"), {str(i): rng.normal(size=(5, 2)) for i in range(n)})
        assert len(np.unique(figures[-1].axes[1].collections[0].get_facecolors(), axis=0)) == n


def test_codes_that_cannot_be_drawn_are_refused(tmp_path: Path) -> None:
    path, x = tmp_path / "no.png", np.zeros((4, 3))
    with pytest.raises(ValueError, match=r"clouds must hold codes; it is empty. Pass \{label: codes \(n, d\)\}"):
        plots.save_pair_plot(path, {})
    for bad in (np.zeros(3), np.zeros((4, 2)), np.zeros((0, 3))):
        with pytest.raises(
            ValueError, match=r"clouds must hold codes \(n, d\) of one d; prior has shape .* one length"
        ):
            plots.save_pair_plot(path, {"codes": x, "prior": bad})
    with pytest.raises(ValueError, match=r"clouds must be finite; 1 of 4 codes of codes are not. Leave them out"):
        plots.save_pair_plot(path, {"codes": np.where(np.eye(4, 3, 3), np.nan, x) + np.diag([np.nan, 0, 0, 0])[:, :3]})
    with pytest.raises(ValueError, match=r"names must hold one for each of the 3 coordinates; got 2. Pass them all"):
        plots.save_pair_plot(path, {"codes": x}, names=["a", "b"])
    assert not path.exists()
