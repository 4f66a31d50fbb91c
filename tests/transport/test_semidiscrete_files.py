"""Maps on disk, and fits that are interrupted and go on."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pytest
import torch

from otgen import ConvergenceWarning
from otgen.transport import map_files
from otgen.transport.semidiscrete import KIND, SemiDiscreteOT

Y = np.random.default_rng(0).standard_normal((200, 2))
TRIANGLE = np.array([[0.0, 0.0], [2.0, 0.5], [0.5, 1.5]])
PIXELS = np.zeros((6, 8))
PIXELS[1:3, 1:4], PIXELS[4:, 5:] = 1.0, 2.0
SOURCES: dict[str, dict[str, Any]] = {
    "box": {"domain": [[-1.0, 1.0], [0.0, 3.0]]}, "polygon": {"source": "polygon", "domain": TRIANGLE},
    "image": {"source": "image", "density": PIXELS}, "cube": {},
    "polyhedron": {"source": "polyhedron", "domain": np.random.default_rng(1).standard_normal((9, 3))},
}  # fmt: skip


def same(found, expected):
    for name in ("heights_", "cell_measures_", "cell_centers_"):
        np.testing.assert_array_equal(np.asarray(getattr(found, name)), np.asarray(getattr(expected, name)))
    for name in ("error_", "value_", "converged_", "message_", "method_", "n_iter_", "history_", "merged_"):
        assert getattr(found, name) == getattr(expected, name), name


@pytest.mark.parametrize("name", SOURCES)
def test_a_map_comes_back_as_it_was(tmp_path, rng, name):
    d = 3 if name in ("cube", "polyhedron") else 2
    y, b = rng.standard_normal((40, d)), np.r_[0.0, 0.0, np.full(40, 1 / 40)]
    estimator = SemiDiscreteOT(**SOURCES[name]).fit(np.r_[y[:2], y[:39], y[:1]], b)
    estimator.save(tmp_path / "map.npz")
    loaded = SemiDiscreteOT.load(tmp_path / "map.npz")
    same(loaded, estimator)
    assert loaded.without_centre_ == estimator.without_centre_ and loaded.n_features_in_ == d
    x = rng.standard_normal((300, d))
    for call in ("assign", "transform", "potential"):
        np.testing.assert_array_equal(getattr(loaded, call)(x), getattr(estimator, call)(x))
    np.testing.assert_array_equal(loaded.sample(50, quantile=0.9, seed=3), estimator.sample(50, quantile=0.9, seed=3))
    assert loaded.rejection_rate(quantile=0.5, n=500) == estimator.rejection_rate(quantile=0.5, n=500)
    for mine, other in zip(loaded.cells(), estimator.cells()):
        np.testing.assert_array_equal(mine, other)
    loaded.save(str(tmp_path / "again"))
    same(SemiDiscreteOT.load(str(tmp_path / "again")), estimator)


def test_what_did_not_converge_comes_back_so(tmp_path):
    with pytest.warns(ConvergenceWarning):
        estimator = SemiDiscreteOT(max_iter=1).fit(Y)
    estimator.save(tmp_path / "map")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = SemiDiscreteOT.load(tmp_path / "map")
    same(loaded, estimator)
    assert not loaded.converged_ and loaded.get_params()["max_iter"] == 1


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_precision_is_kept(tmp_path, kind):
    estimator = SemiDiscreteOT().fit(Y.astype(kind))
    estimator.save(tmp_path / "map")
    loaded = SemiDiscreteOT.load(tmp_path / "map")
    assert (
        loaded.sample(5, quantile=0.9).dtype == estimator.sample(5, quantile=0.9).dtype == kind
        and loaded.heights_.dtype == np.float64
    )


def test_a_map_of_tensors_comes_back_as_arrays(tmp_path):
    estimator = SemiDiscreteOT().fit(torch.from_numpy(Y))
    estimator.save(tmp_path / "map")
    loaded = SemiDiscreteOT.load(tmp_path / "map")
    same(loaded, estimator)
    assert isinstance(loaded.heights_, np.ndarray) and isinstance(loaded.sample(3, quantile=0.9), np.ndarray)
    assert isinstance(loaded.transform(torch.from_numpy(Y)), torch.Tensor)


def test_wrong_files_are_refused(tmp_path):
    path = tmp_path / "map"
    with pytest.raises(FileNotFoundError):
        SemiDiscreteOT.load(path)
    estimator = SemiDiscreteOT().fit(Y)
    estimator.save(path)
    whole = path.read_bytes()
    for share in (0.1, 0.5, 0.999):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(
            ValueError, match="map must be a file of otgen's semi-discrete map; it is not, or it is trun"
        ):
            SemiDiscreteOT.load(path)
    path.write_text("junk")
    with pytest.raises(ValueError, match=r"truncated \(it is no .npz archive\)"):  # and no word of unpickling it
        SemiDiscreteOT.load(path)
    np.savez(tmp_path / "other.npz", y=Y)
    with pytest.raises(ValueError, match="must be a file of otgen's semi-discrete map; it is not"):
        SemiDiscreteOT.load(tmp_path / "other.npz")
    map_files.write(path, "checkpoint", {})
    with pytest.raises(ValueError, match="it holds a checkpoint. Pass another"):
        SemiDiscreteOT.load(path)


def test_files_of_another_otgen_are_refused(tmp_path):
    path, amiss = tmp_path / "map", "map must be a semi-discrete map of this otgen; something in it is missing or wrong"
    SemiDiscreteOT().fit(Y).save(path)
    content = map_files.read(path, KIND)
    for name in content:
        map_files.write(path, KIND, {key: value for key, value in content.items() if key != name})
        with pytest.raises(ValueError, match=amiss):
            SemiDiscreteOT.load(path)
    for name, wrong in (
        ("error", {"chi": 1.0}), ("value", None), ("dtype", "nonsense"), ("y", Y[:7]), ("y", Y[:, 0]),
        ("heights", np.zeros(7)), ("masses", np.zeros(7)), ("b", np.zeros(200)), ("log_x", "a"),
    ):  # fmt: skip
        map_files.write(path, KIND, {**content, name: wrong})
        with pytest.raises(ValueError, match=amiss):
            SemiDiscreteOT.load(path)


class Stop:
    """Interrupts a fit at a step, as Ctrl-C does."""

    def __init__(self, step):
        self.step, self.rows = step, []

    def __call__(self, row):
        self.rows.append(row)
        if row["iteration"] == self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("parameters", [{}, SOURCES["polygon"], SOURCES["image"]], ids=["box", "polygon", "image"])
@pytest.mark.parametrize("step", [0, 2])
def test_an_interrupt_keeps_the_last_step(step, parameters):
    with pytest.warns(ConvergenceWarning, match="interrupted; a cell's mass is still off by") as caught:
        estimator = SemiDiscreteOT(progress=Stop(step), **parameters).fit(Y)
    assert len(caught) == 1 and not estimator.converged_ and estimator.message_.startswith("interrupted")
    with pytest.warns(ConvergenceWarning):
        expected = SemiDiscreteOT(**{**parameters, **({"max_iter": step} if step else {"max_time": 0})}).fit(Y)
    np.testing.assert_array_equal(estimator.heights_, expected.heights_)
    np.testing.assert_allclose(estimator.cell_measures_, expected.cell_measures_, atol=1e-12)
    assert estimator.n_iter_ == step and estimator.history_["error"] == expected.history_["error"]
    assert estimator.transform(Y).shape == Y.shape


def test_an_interrupt_before_the_first_step_is_raised(monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("otgen.transport.semidiscrete_fit.fit_newton", interrupted)
    estimator = SemiDiscreteOT()
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(Y)
    assert not hasattr(estimator, "heights_")


def test_other_errors_of_progress_are_raised():
    def fail(row):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        SemiDiscreteOT(progress=fail).fit(Y)


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("left", ["all", 3, 1])
def test_a_fit_that_goes_on_is_the_one_that_was_not_interrupted(tmp_path, name, left):
    parameters = {**SOURCES[name], "tol": 1e-11}
    y = Y if name in ("box", "polygon", "image") else np.random.default_rng(2).standard_normal((200, 3))
    whole = SemiDiscreteOT(**parameters).fit(y)
    left = whole.n_iter_ if left == "all" else left
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        SemiDiscreteOT(**parameters, progress=Stop(whole.n_iter_ - left)).fit(y, resume=tmp_path / "state")
    again = SemiDiscreteOT(**parameters).fit(y, resume=tmp_path / "state")
    assert again.converged_ and again.n_iter_ == left
    rows = len(again.history_["error"])
    for key in ("error", "stage", "chi2"):
        assert again.history_[key] == whole.history_[key][-rows:], key
    for key in ("heights_", "cell_measures_", "cell_centers_"):
        np.testing.assert_array_equal(getattr(again, key), getattr(whole, key))
    assert (again.error_, again.value_) == (whole.error_, whole.value_)


def test_a_killed_fit_goes_on(tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(row):
        if row["iteration"] == 4:
            raise Killed

    monkeypatch.setattr(map_files, "EVERY", 0.0)
    with pytest.raises(Killed):
        SemiDiscreteOT(progress=kill).fit(Y, resume=tmp_path / "state")
    whole = SemiDiscreteOT().fit(Y)
    again = SemiDiscreteOT().fit(Y, resume=tmp_path / "state")
    assert again.converged_ and again.history_["error"] == whole.history_["error"][3:]  # from the last one written
    np.testing.assert_array_equal(again.heights_, whole.heights_)


def test_a_state_of_heights_alone_goes_on_too(tmp_path):
    whole = SemiDiscreteOT().fit(Y)
    with pytest.warns(ConvergenceWarning, match="stopped at max_iter"):
        SemiDiscreteOT(max_iter=3).fit(Y, resume=tmp_path / "state")
    state = map_files.read(tmp_path / "state", map_files.Checkpoint.KIND)
    kept = {key: value for key, value in state.items() if not key.startswith("near_")}
    assert len(kept) < len(state)
    map_files.write(tmp_path / "state", map_files.Checkpoint.KIND, kept)
    again = SemiDiscreteOT().fit(Y, resume=tmp_path / "state")
    assert again.converged_ and again.history_["error"][0] == pytest.approx(whole.history_["error"][3], rel=1e-6)
    np.testing.assert_allclose(again.heights_, whole.heights_, atol=1e-9)


def test_fits_that_end_early_go_on(tmp_path):
    expected = SemiDiscreteOT().fit(Y)
    for _ in range(expected.n_iter_ - 1):
        with pytest.warns(ConvergenceWarning, match="stopped at max_iter"):
            assert SemiDiscreteOT(max_iter=1).fit(Y, resume=tmp_path / "state").n_iter_ == 1
    last = SemiDiscreteOT(max_iter=1).fit(Y, resume=tmp_path / "state")
    np.testing.assert_array_equal(last.heights_, expected.heights_)


def test_a_state_is_of_one_fit(tmp_path):
    SemiDiscreteOT().fit(Y, resume=tmp_path / "state")
    others: list[tuple[dict[str, Any], Any, Any]] = [
        ({}, Y + 1.0, None), ({}, Y, np.r_[0.0, np.full(199, 1 / 199)]), ({"seed": 1}, Y, None),
        ({"domain": [[0, 2], [0, 1]]}, Y, None), (SOURCES["polygon"], Y, None),
    ]  # fmt: skip
    for parameters, y, b in others:
        with pytest.raises(ValueError, match="resume names .*state, the state of another fit: its targets, masses or"):
            SemiDiscreteOT(**parameters).fit(y, b, resume=tmp_path / "state")
    assert SemiDiscreteOT(tol=1e-12).fit(Y, resume=tmp_path / "state").n_iter_ <= 2  # a lower tol goes on


def test_files_to_resume_from_that_are_none(tmp_path):
    with pytest.raises(ValueError, match="resume must name a file in a folder that exists"):
        SemiDiscreteOT().fit(Y, resume=tmp_path / "no" / "state")
    (tmp_path / "state").write_text("no state")
    with pytest.raises(ValueError, match="must be a file of otgen's checkpoint"):
        SemiDiscreteOT().fit(Y, resume=tmp_path / "state")
    assert (tmp_path / "state").read_text() == "no state"
    map_files.write(tmp_path / "state", "checkpoint", json.loads("{}"))
    with pytest.raises(ValueError, match="the state of another fit"):
        SemiDiscreteOT().fit(Y, resume=tmp_path / "state")
