"""Pictures of power cells show what they are given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.axes import Axes
from matplotlib.image import imread

from otgen import plots
from otgen.plots.style import TARGET
from pixels import hues, share

SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


def columns(n: int) -> list[np.ndarray]:
    """The unit square cut into n columns."""
    return [SQUARE * [1 / n, 1] + [i / n, 0] for i in range(n)]


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
    plain = Axes.set_title
    monkeypatch.setattr(Axes, "set_title", lambda axes, title, **how: (titles.append(title), plain(axes, title, **how)))
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
        drawn.append(share(path, TARGET))
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
