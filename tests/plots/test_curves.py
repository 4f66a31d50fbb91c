"""Pictures of training show the values they are given, each under its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.colors import to_hex
from matplotlib.image import imread

from otgen import plots
from otgen.plots import curves
from otgen.plots.style import INK, PALETTE, SOURCE, TARGET
from pixels import share

NOWHERE = Path("no.png")
NAN = np.nan


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures in place of their files."""
    caught: list[Any] = []
    monkeypatch.setattr(curves, "save", lambda figure, path: caught.append(figure))
    return caught


def labels(axes: Any) -> dict[str, tuple[float, float]]:
    """The labels beside the axes and where they stand, in shares of these."""
    return {text.get_text(): text.get_position() for text in axes.texts}


def test_finite_values_are_joined_and_curves_without_any_left_out(figures: list[Any]) -> None:
    told = {
        "loss": np.array([3.0, NAN, 1.0, NAN]),
        "never": np.full(4, NAN),
        "spoilt": np.array([np.inf, 2.0, -np.inf, 5.0]),
    }
    plots.save_curves(NOWHERE, np.array([1, 2, 3, 4]), told, title="of a run")
    (axes,) = figures[0].axes
    drawn = [line.get_xydata().tolist() for line in axes.lines]
    assert drawn == [[[1, 3], [3, 1]], [[2, 2], [4, 5]]]
    assert set(labels(axes)) == {"loss", "spoilt"} and axes.get_title(loc="left") == "of a run"
    assert [line.get_color() for line in axes.lines] == list(PALETTE[:2])
    assert {text.get_text(): text.get_color() for text in axes.texts} == dict(zip(("loss", "spoilt"), PALETTE))
    assert axes.get_yscale() == "linear" and axes.get_xlabel() == "step"


@pytest.mark.parametrize("ends", [np.zeros(6), np.full(6, 9.0), np.array([0, 0, 0.1, 8.9, 9, 9]), np.arange(6.0)])
def test_labels_keep_apart_and_beside_their_axes(figures: list[Any], ends: np.ndarray) -> None:
    told = {f"curve {i}": np.array([0.0, 9.0, end]) for i, end in enumerate(ends)}
    plots.save_curves(NOWHERE, np.arange(3), told)
    places = labels(figures[0].axes[0])
    heights = np.array([places[f"curve {i}"][1] for i in range(6)])
    assert all(place[0] > 1 for place in places.values())
    assert (np.diff(np.sort(heights)) > 0.05).all() and heights.min() >= 0 and heights.max() <= 1
    assert (np.argsort(heights) == np.argsort(ends, kind="stable")).all()  # as the curves end


def test_nothing_is_cut_and_each_colour_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "curves.png"
    told = {f"a curve of a rather long name, {i}": np.linspace(i, 2 * i, 300) for i in range(6)}
    plots.save_curves(path, np.arange(300) * 1000, told, title="Training of iwgan on mnist")
    picture = imread(path)[..., :3]
    assert all(share(path, colour) > 0.001 for colour in PALETTE[:6])
    rim = np.concatenate([picture[:8].ravel(), picture[-8:].ravel(), picture[:, :8].ravel(), picture[:, -8:].ravel()])
    assert (rim == 1).all()


@pytest.mark.filterwarnings("error")
def test_one_step_is_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "one.png"
    plots.save_curves(path, np.array([5]), {"one": np.array([1.0]), "two": np.array([2.0])})
    assert all(share(path, colour) > 1e-4 for colour in (SOURCE, TARGET))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
def test_values_on_both_sides_of_zero_fit_a_symmetric_axis(figures: list[Any], scale: float) -> None:
    falling = scale * np.array([1e4, 1e3, 1e2, 10, 1.0])
    plots.save_curves(NOWHERE, np.arange(5), {"up": falling, "down": -falling}, symlog=True)
    (axes,) = figures[0].axes
    assert axes.get_yscale() == "symlog"
    heights = axes.transScale.transform(np.stack([np.zeros(5), falling], 1))[:, 1] / scale
    steps = -np.diff(heights)
    assert steps[:3] == pytest.approx(steps[0], rel=0.02)  # a power of ten is as high as the next
    plots.save_curves(NOWHERE, np.arange(5), {"nothing": np.zeros(5)}, symlog=True)


def test_the_gap_lies_between_upper_and_lower(figures: list[Any]) -> None:
    steps, lower, value = np.array([10, 20, 30, 40]), np.array([1.0, 2, 3, NAN]), np.array([4.0, 2, -0.5, 1])
    plots.save_gap(NOWHERE, steps, lower + value, lower, value, np.array([0.5, 0.25, 0.5, 0.5]))
    above, below = figures[0].axes
    assert [line.get_xydata().tolist() for line in above.lines] == [
        [[10, 5], [20, 4], [30, 2.5]],
        [[10, 1], [20, 2], [30, 3]],
    ]
    assert set(labels(above)) == {"upper", "lower"} and set(labels(below)) == {"gap"}
    zero, gap = below.lines
    assert list(zero.get_ydata()) == [0, 0] and gap.get_xydata().tolist() == [[10, 4], [20, 2], [30, -0.5]]
    for axes, edges in ((above, [(1, 5), (2, 4), (2.5, 3)]), (below, [(3, 5), (1.5, 2.5), (-1.5, 0.5)])):
        corners = axes.collections[0].get_paths()[0].vertices
        found = [(corners[corners[:, 0] == at, 1].min(), corners[corners[:, 0] == at, 1].max()) for at in (10, 20, 30)]
        assert found == edges
    assert below.get_ylim()[0] < -1.5 and above.get_xlim() == below.get_xlim()


@pytest.mark.filterwarnings("error")
def test_the_band_of_one_gap_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "gap.png"
    one = np.array([1.0])
    plots.save_gap(path, one, 3 * one, one, 2 * one, 0.5 * one)
    picture = imread(path)[..., :3]
    blue = picture[..., 2] - picture[..., 0]
    assert ((0.1 < blue) & (blue < 0.2)).any(axis=1).sum() > 50  # the band, as high as four errors


def test_the_exact_distance_is_drawn_in_ink_over_the_estimates(figures: list[Any]) -> None:
    steps, falling = np.arange(4), np.array([9.0, 3, 2, 1])
    plots.save_critic(NOWHERE, steps, {"raw": 7 * falling, "normalised": 0.9 * falling}, np.array([9.0, NAN, NAN, 1.0]))
    plots.save_critic(NOWHERE, steps, {"raw": falling - 2}, 1.5)
    first, second = (figure.axes[0] for figure in figures)
    assert [to_hex(line.get_color()) for line in first.lines] == [*PALETTE[:2], INK]
    assert first.lines[-1].get_xydata().tolist() == [[0, 9], [3, 1]]
    assert list(second.lines[-1].get_ydata()) == [1.5] * 4
    assert set(labels(first)) == {"raw", "normalised", "exact W1"}
    assert (first.get_yscale(), second.get_yscale()) == ("log", "linear")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("high", [1.0, 1.01, 5.0, 300.0, 1e9])
def test_a_logarithmic_axis_tells_its_values(figures: list[Any], high: float) -> None:
    plots.save_critic(NOWHERE, np.arange(3), {"raw": np.array([1.0, high, high])}, 1.0)
    (axes,) = figures[0].axes
    figures[0].canvas.draw()
    low, top = axes.get_ylim()
    told = [label.get_text() for at, label in zip(axes.get_yticks(), axes.get_yticklabels()) if low <= at <= top]
    assert 2 <= len(told) <= 12 and len(set(told)) == len(told)


def test_curves_that_cannot_be_drawn_are_refused(tmp_path: Path) -> None:
    path, steps, good = tmp_path / "no.png", np.arange(3), np.zeros(3)
    for bad in (np.zeros((3, 1)), np.array([0.0, 2, 1]), np.array([0, NAN, 1]), np.array([])):
        with pytest.raises(ValueError, match=r"steps must be finite numbers \(n,\) that grow; got shape .* Sort them"):
            plots.save_curves(path, bad, {"loss": good})
        with pytest.raises(ValueError, match=r"steps must be finite numbers"):
            plots.save_gap(path, bad, good, good, good, good)
    with pytest.raises(
        ValueError,
        match=r"curves\['loss'\] must have a value for each of the 3 steps; got shape \(2,\). Fill it with NaN",
    ):
        plots.save_curves(path, steps, {"loss": np.zeros(2)})
    with pytest.raises(ValueError, match=r"curves must hold a finite value; a, b holds none. Pass what was told"):
        plots.save_curves(path, steps, {"a": good + NAN, "b": good + np.inf})
    with pytest.raises(ValueError, match=r"curves must hold a finite value; it holds none"):
        plots.save_curves(path, steps, {})
    with pytest.raises(ValueError, match=r"error must have a value for each of the 3 steps; got shape \(4,\)"):
        plots.save_gap(path, steps, good, good, good, np.zeros(4))
    with pytest.raises(
        ValueError, match=r"upper, lower, value and error must be finite together in some step; they are"
    ):
        plots.save_gap(path, steps, good + NAN, good, good, good)
    with pytest.raises(
        ValueError, match=r"estimates must leave the label 'exact W1' to exact; it holds one. Rename it"
    ):
        plots.save_critic(path, steps, {"exact W1": good}, good)
    with pytest.raises(
        ValueError, match=r"exact\['exact W1'\] must have a value for each of the 3 steps; got shape \(2,\)"
    ):
        plots.save_critic(path, steps, {"raw": good}, np.zeros(2))
    with pytest.raises(ValueError, match=r"exact must hold a finite value; exact W1 holds none"):
        plots.save_critic(path, steps, {"raw": good}, NAN)
    assert not path.exists()
