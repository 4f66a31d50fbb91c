"""The estimator with the exact method: its contract, its inputs and its refusals."""

from __future__ import annotations

import inspect
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from otgen import ConvergenceWarning
from otgen.transport import semidiscrete_fit
from otgen.transport.semidiscrete import PARAMETERS, SemiDiscreteOT
from tolerance import tol

FITTED = (
    "heights_", "cell_measures_", "cell_centers_", "error_", "value_", "converged_", "message_", "method_", "n_iter_",
    "history_", "merged_", "n_features_in_",
)  # fmt: skip


@pytest.fixture
def y(rng):
    return rng.standard_normal((30, 2)) + [1.0, -2.0]


def fitted(y, b=None, **parameters):
    return SemiDiscreteOT(**parameters).fit(y, b)


def test_attributes_after_fit(y):
    estimator = SemiDiscreteOT(tol=1e-9)
    assert estimator.fit(y) is estimator
    assert all(hasattr(estimator, name) for name in FITTED)
    assert estimator.heights_.shape == (30,) and estimator.heights_.dtype == np.float64
    assert abs(estimator.heights_.mean()) <= tol(np.float64) * np.abs(estimator.heights_).max()
    np.testing.assert_allclose(estimator.cell_measures_, 1 / 30, rtol=1e-9)
    assert estimator.method_ == "newton" and estimator.converged_ and estimator.merged_ == 0
    error = estimator.error_
    assert error.max_relative is not None and error.max_relative <= 1e-9 and error.empty == 0
    relative = np.abs(30 * estimator.cell_measures_ - 1).max()
    assert relative == pytest.approx(error.max_relative, abs=tol(np.float64))
    assert error.chi2 <= 1e-18 and error.low <= 0.0 <= error.high < 0.01 and error.samples >= 20_000
    assert estimator.value_.low == estimator.value_.value == estimator.value_.high
    lengths = {len(column) for column in estimator.history_.values()}
    assert lengths == {estimator.n_iter_ + 1} and estimator.history_["error"][-1] == error.max_relative
    assert "every cell's mass is within" in estimator.message_ and estimator.n_features_in_ == 2
    centres = estimator.cell_centers_
    np.testing.assert_allclose(centres.mean(0), 0.5, atol=1e-9)  # the mean of the source
    np.testing.assert_array_equal(estimator.assign(centres), np.arange(30))  # cells are convex


def test_parameters_are_kept_as_they_are_and_read_in_fit(y):
    names = list(inspect.signature(SemiDiscreteOT).parameters)
    assert tuple(names) == PARAMETERS
    values = {name: object() for name in names}
    estimator = SemiDiscreteOT(**values)  # pyright: ignore[reportArgumentType]
    assert estimator.get_params() == values == {name: getattr(estimator, name) for name in names}
    assert not [name for name in vars(estimator) if name.endswith("_") or name not in names]
    with pytest.raises(ValueError, match="seed must be an int >= 0; got <object"):
        estimator.fit(y)
    assert estimator.set_params(tol=1e-3, seed=5) is estimator
    assert (estimator.tol, estimator.seed) == (1e-3, 5)
    with pytest.raises(ValueError, match="alpha is no parameter of SemiDiscreteOT. Pass one of source, domain"):
        estimator.set_params(alpha=3)


def test_sklearn_style_copies_fit_the_same(y):
    first = fitted(y, tol=1e-9)
    second = SemiDiscreteOT(**first.get_params()).fit(y)
    np.testing.assert_array_equal(first.heights_, second.heights_)
    assert first.error_ == second.error_ and first.value_ == second.value_


def test_refit_forgets_the_first_fit(y, rng):
    estimator = fitted(y)
    other = rng.random((7, 3))
    estimator.fit(other)
    assert estimator.heights_.shape == (7,) and estimator.n_features_in_ == 3
    np.testing.assert_array_equal(estimator.heights_, fitted(other).heights_)


def test_a_refused_refit_keeps_the_first(y):
    estimator = fitted(y)
    before = estimator.heights_.copy()
    with pytest.raises(ValueError, match="y must"):
        estimator.fit(np.full((3, 2), np.nan))
    np.testing.assert_array_equal(estimator.heights_, before)
    assert estimator.assign(np.array([[0.5, 0.5]])).shape == (1,)


@pytest.mark.parametrize("call", [
    lambda e: e.assign(np.zeros((1, 2))), lambda e: e.transform(np.zeros((1, 2))), lambda e: e.save("map"),
    lambda e: e.potential(np.zeros((1, 2))), lambda e: e.cell(0), lambda e: e.sample(3), lambda e: e.cells(),
    lambda e: e.rejection_rate(), lambda e: e.singular(np.zeros((1, 2))), lambda e: e.without_centre_,
])  # fmt: skip
def test_not_fitted(call):
    with pytest.raises(ValueError, match=r"this SemiDiscreteOT is not fitted. Call fit\(y\) first"):
        call(SemiDiscreteOT())


def test_targets_without_mass_take_no_part(y, rng):
    b = np.where(np.arange(30) % 3 == 0, 0.0, 1 / 20)
    estimator, without = fitted(y, b, tol=1e-10), fitted(y[b > 0], tol=1e-10)
    empty = b == 0
    assert (estimator.heights_[empty] == -np.inf).all() and not estimator.cell_measures_[empty].any()
    assert np.isnan(estimator.cell_centers_[empty]).all() and np.isfinite(estimator.cell_centers_[~empty]).all()
    np.testing.assert_array_equal(estimator.heights_[~empty], without.heights_)
    cells = estimator.assign(rng.uniform(-1.0, 2.0, (5000, 2)))
    assert not np.isin(cells, np.flatnonzero(empty)).any()
    assert estimator.cell(0).shape == (0, 2) and estimator.error_.empty == 0 and estimator.merged_ == 0


def test_equal_targets_share_their_cell_in_proportion_to_their_masses(y):
    b = np.arange(1.0, 31.0)
    twice, mass = np.r_[y, y[:10], y[:1]], np.r_[b, 2.0 * b[:10], 0.0]
    estimator = fitted(twice, mass / mass.sum(), tol=1e-10)
    merged = b + np.r_[2.0 * b[:10], np.zeros(20)]
    once = fitted(y, merged / merged.sum(), tol=1e-10)
    assert estimator.merged_ == 10 and once.merged_ == 0
    np.testing.assert_allclose(estimator.cell_measures_, mass / mass.sum(), rtol=1e-9)
    np.testing.assert_allclose(estimator.heights_[:30], once.heights_, atol=1e-9)
    np.testing.assert_array_equal(estimator.heights_[30:40], estimator.heights_[:10])
    assert estimator.heights_[40] == -np.inf
    np.testing.assert_array_equal(estimator.cell_centers_[30:40], estimator.cell_centers_[:10])
    assert estimator.assign(estimator.cell_centers_[:40]).tolist() == [*range(30), *range(10)]
    assert estimator.value_.value == pytest.approx(once.value_.value, rel=1e-9)
    np.testing.assert_array_equal(estimator.cell(33), estimator.cell(3))


def test_cells_one_by_one_are_cut_from_one_tree(y, rng, monkeypatch):
    estimator, made = fitted(y), []

    class Counted(semidiscrete_fit.PowerCells):
        def __init__(self, *arguments):
            made.append(arguments)
            super().__init__(*arguments)

    monkeypatch.setattr(semidiscrete_fit, "PowerCells", Counted)
    together = estimator.cells()
    for i in range(30):
        np.testing.assert_array_equal(estimator.cell(i), together[i])
    with ThreadPoolExecutor(4) as threads:
        for corners, expected in zip(threads.map(estimator.cell, range(30)), together):
            np.testing.assert_array_equal(corners, expected)
    assert len(made) == 1
    other = rng.random((7, 2))
    assert len(estimator.fit(other).cells()) == 7 and len(made) == 2  # those of the new fit
    np.testing.assert_array_equal(estimator.cell(3), fitted(other).cell(3))


@pytest.mark.parametrize("d", [2, 3])
def test_one_target_is_the_constant_map(d):
    estimator = fitted(np.full((1, d), 4.0))
    assert estimator.heights_.tolist() == [0.0] and estimator.converged_ and estimator.n_iter_ == 0
    np.testing.assert_array_equal(estimator.transform(np.random.default_rng(0).random((5, d))), 4.0)
    # E |x - 4|^2 = d (3.5^2 + 1/12)
    assert estimator.value_.value == pytest.approx(d * (3.5**2 + 1 / 12), rel=tol(np.float64))
    np.testing.assert_allclose(estimator.cell_centers_, 0.5, rtol=tol(np.float64))
    assert fitted(np.full((6, d), 4.0)).merged_ == 5


@pytest.mark.parametrize("make", [
    lambda y: y.astype(np.float32), lambda y: np.asfortranarray(y), lambda y: np.repeat(y, 2, axis=0)[::2],
    lambda y: y.tolist(), lambda y: torch.from_numpy(y), lambda y: torch.from_numpy(y).float(),
    lambda y: np.round(5 * y).astype(np.int32), lambda y: torch.from_numpy(y).half(), lambda y: y[::-1],
], ids=["float32", "fortran", "strided", "list", "torch", "torch float32", "int", "half", "reversed"])  # fmt: skip
def test_kinds_of_targets(y, make, rng):
    given = make(y)
    kept = given.clone() if isinstance(given, torch.Tensor) else np.array(given)
    plain = np.asarray(given, dtype=np.float64)
    estimator, expected = fitted(given, tol=1e-9), fitted(np.ascontiguousarray(plain), tol=1e-9)
    tensor = isinstance(given, torch.Tensor)
    for name in ("heights_", "cell_measures_", "cell_centers_"):
        found = getattr(estimator, name)
        assert isinstance(found, torch.Tensor if tensor else np.ndarray)
        np.testing.assert_array_equal(np.asarray(found), getattr(expected, name))
        assert np.asarray(found).dtype == np.float64
    np.testing.assert_array_equal(np.asarray(given), np.asarray(kept))
    x = rng.random((50, 2)).astype(np.float32)
    np.testing.assert_array_equal(estimator.assign(x), expected.assign(x))
    assert estimator.transform(x).dtype == estimator.potential(x).dtype == np.float32
    assert estimator.assign(torch.from_numpy(x)).dtype == torch.int64
    assert estimator.transform(torch.from_numpy(x)).dtype == torch.float32


def test_weights_of_every_kind(y):
    b = np.arange(1.0, 31.0) / np.arange(1.0, 31.0).sum()
    expected = fitted(y, b, tol=1e-9)
    with pytest.raises(TypeError, match="arrays must come from one library; y is numpy, b is torch"):
        fitted(y, torch.from_numpy(b))
    tensors = fitted(torch.from_numpy(y), torch.from_numpy(b), tol=1e-9)
    np.testing.assert_array_equal(tensors.heights_, expected.heights_)
    for given in (b.tolist(), b * (1 + 1e-15), np.repeat(b, 2)[::2]):
        np.testing.assert_allclose(fitted(y, given, tol=1e-9).heights_, expected.heights_, atol=1e-9)
    np.testing.assert_allclose(fitted(y, b.astype(np.float32)).cell_measures_, b, rtol=1e-5)


def test_stops_before_tol_are_warned_of_once(y):
    for limits, why in (({"max_iter": 1}, "stopped at max_iter"), ({"max_time": 0}, "stopped at max_time")):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            estimator = fitted(y, **limits)
        assert [warning.category for warning in caught] == [ConvergenceWarning]
        assert caught[0].filename == __file__
        assert why in str(caught[0].message) and why in estimator.message_ and "tol=1e-06" in estimator.message_
        assert not estimator.converged_ and estimator.error_.empty == 0
        assert np.abs(30 * estimator.cell_measures_ - 1).max() > 1e-6
        assert estimator.n_iter_ == limits.get("max_iter", 0)
        assert np.isfinite(estimator.heights_).all()


def test_progress_is_told_every_step(y):
    rows = []
    estimator = fitted(y, progress=rows.append)
    assert [row["iteration"] for row in rows] == list(range(estimator.n_iter_ + 1))
    assert rows[-1]["error"] == estimator.error_.max_relative and rows[-1]["seconds"] >= 0.0
