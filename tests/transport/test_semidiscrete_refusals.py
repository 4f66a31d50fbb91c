"""What SemiDiscreteOT refuses, in the words it does."""

from __future__ import annotations

import numpy as np
import pytest

from otgen.transport.semidiscrete import SemiDiscreteOT

Y = np.random.default_rng(0).standard_normal((12, 2))
Y3 = np.random.default_rng(0).standard_normal((12, 3))
NAN = np.where(np.arange(12)[:, None] == 3, np.nan, Y)


@pytest.mark.parametrize(("y", "b", "match"), [
    (NAN, None, "y must.*finite|y .*NaN"),
    (np.where(np.isnan(NAN), np.inf, Y), None, "y must.*finite|y .*inf"),
    (Y[:, 0], None, r"y must have shape \(n, d\), one point a row; got shape \(12,\)"),
    (np.empty((0, 2)), None, r"y must hold at least one point and one coordinate; got shape \(0, 2\)"),
    (np.empty((3, 0)), None, r"y must hold at least one point and one coordinate; got shape \(3, 0\)"),
    (Y[None], None, r"y must have shape \(n, d\); got shape \(1, 12, 2\)"),
    (Y * 1j, None, "y must"), (np.full((2, 2), "a"), None, "y must"), (None, None, "y must"),
    (Y, np.full(12, 0.1), "b must sum to 1, the mass of the source; it sums to 1.2.*Pass b / b.sum"),
    (Y, np.zeros(12), "b must"),
    (Y, np.r_[-0.5, np.full(11, 1.5 / 11)], "b must.*-0.5"),
    (Y, np.r_[np.nan, np.full(11, 1 / 11)], "b must.*finite|b .*NaN"),
    (Y, np.full(11, 1 / 11), r"b must have shape \(12,\)"),
    (Y, np.full((12, 1), 1 / 12), r"b must have shape \(12,\)"),
])  # fmt: skip
def test_targets_and_masses(y, b, match):
    with pytest.raises((ValueError, TypeError), match=match):
        SemiDiscreteOT().fit(y, b)


@pytest.mark.parametrize(("parameters", "y", "match"), [
    ({"method": "newton"}, np.eye(4), "method='newton' needs targets in 2 or 3 dimensions; y has 4. Pass method='mon"),
    ({"method": "newton"}, np.eye(1), "method='newton' needs targets in 2 or 3 dimensions; y has 1"),
    ({"method": "newton", "source": "ball"}, Y, "method='newton' needs a box, a polygon.*got 'ball'. Pass method='mo"),
    ({"method": "newton", "source": "normal"}, Y, "needs a box.*got 'normal'"),
    ({"method": "newton", "source": lambda n, rng: rng.random((n, 2))}, Y, "needs a box.*got 'callable'"),
    ({"method": "newton", "optimizer": "adam"}, Y, "optimizer is an option of method='monte_carlo'; got 'adam'"),
    ({"method": "exact"}, Y, "method must be one of 'auto', 'newton', 'monte_carlo'; got 'exact'"),
    ({"optimizer": "sgd"}, Y, "optimizer must be None .* or 'adam'; got 'sgd'"),
    ({"source": "gaussian"}, Y, r"source must be a function sampler\(n, rng\) or one of 'uniform', .*got 'gaussian'"),
    ({"source": 3}, Y, "source must be a function.*got 3"),
    ({"source": "uniform", "mean": [0.0, 0.0]}, Y, "mean has no meaning with source 'uniform', which takes domain"),
    ({"source": "normal", "domain": [[0, 1]] * 2}, Y, "domain has no meaning with source 'normal', which takes mean a"),
    ({"source": lambda n, rng: rng.random((n, 2)), "domain": [[0, 1]] * 2}, Y, "domain has no meaning with source a c"),
    ({"density": np.ones((2, 2))}, Y, "density has no meaning with source 'uniform'"),
    ({"source": lambda n, rng: rng.random((n, 3))}, Y, r"must return real points of shape \(n, 2\)"),
    ({"domain": [0, 1]}, Y, r"domain must have shape \(2, 2\); got shape \(2,\)"),
    ({"domain": [[0, 1]] * 3}, Y, r"domain must have shape \(2, 2\); got shape \(3, 2\)"),
    ({"domain": [[0, 1], [2, 2]]}, Y, r"domain must have low < high in every row.*got \(2.0, 2.0\) in row 1"),
    ({"domain": [[0, 1], [np.nan, 2]]}, Y, "domain"),
    ({"source": "polygon"}, Y, r"domain must be given with source 'polygon': its corners \(k, 2\)"),
    ({"source": "polygon", "domain": [[0, 0], [1, 0], [0, 1]]}, Y3, "source 'polygon' lives in 2 dimensions; y has 3"),
    ({"source": "polyhedron", "domain": np.eye(3)}, Y, "source 'polyhedron' lives in 3 dimensions; y has 2"),
    ({"source": "polyhedron", "domain": np.eye(3)}, Y3, "convex hull has an inside; got 3 corners of no volume"),
    ({"source": "polygon", "domain": [[0, 0], [1, 1], [2, 2]]}, Y, "domain must hold corners whose.*at least 3"),
    ({"source": "polygon", "domain": np.empty((0, 2))}, Y, r"domain must hold at least one number; got shape \(0, 2\)"),
    ({"source": "polygon", "domain": np.ones((5, 2))}, Y, "domain must hold corners whose.*got 5 corners"),
    ({"source": "image"}, Y, "density must be given with source 'image'"),
    ({"source": "image", "density": np.ones((2, 2))}, np.eye(4), "source 'image' lives in 2 or 3 dimensions; y has 4"),
    ({"source": "image", "density": np.ones(4)}, Y, r"density must have shape \(k, k\)"),
    ({"source": "image", "density": np.zeros((2, 2))}, Y, "density must be >= 0 and not all 0"),
    ({"source": "image", "density": np.array([[1.0, -1.0]])}, Y, "density must be >= 0 and not all 0; got.*-1"),
    ({"source": "image", "density": np.array([[1.0, np.nan]])}, Y, "density"),
    ({"source": "image", "density": np.empty((0, 2))}, Y, "density must hold at least one number"),
    ({"source": "ball", "domain": 3.0}, Y, r"domain of a ball must be \(centre, radius\); got 3.0"),
    ({"source": "ball", "domain": (np.zeros(2), 0.0)}, Y, "domain of a ball must have a radius > 0; got 0.0"),
    ({"source": "ball", "domain": (np.zeros(3), 1.0)}, Y, r"domain\[0\] must have shape \(2,\)"),
    ({"source": "normal", "mean": [0.0]}, Y, r"mean must have shape \(2,\); got shape \(1,\)"),
    ({"source": "normal", "cov": np.eye(3)}, Y, r"cov must have shape \(2, 2\)"),
    ({"source": "normal", "cov": np.diag([1.0, 0.0])}, Y, "cov must be symmetric and positive definite"),
    ({"source": "normal", "cov": np.array([[1.0, 0.5], [0.0, 1.0]])}, Y, "cov must be symmetric"),
    ({"tol": 0}, Y, "tol must be a number >= 1e-13, the largest relative error of a cell's mass; got 0"),
    ({"tol": np.nan}, Y, "tol must be a number"), ({"tol": "small"}, Y, "tol must be a number.*got 'small'"),
    ({"tol": True}, Y, "tol must be a number"), ({"tol": np.inf}, Y, "tol must be a number"),
    ({"max_iter": 0}, Y, "max_iter must be None or an int >= 1; got 0"), ({"max_iter": 2.5}, Y, "max_iter must be"),
    ({"max_iter": True}, Y, "max_iter must be None or an int"),
    ({"max_time": -1.0}, Y, "max_time must be None or a number >= 0; got -1.0"),
    ({"max_time": np.nan}, Y, "max_time must be"), ({"max_samples": 0}, Y, "max_samples must be None or an int >= 1"),
    ({"max_samples": 99}, Y, "max_samples is no limit of method 'newton'; got max_samples=99. Pass max_iter or max_t"),
    ({"max_iter": 9, "method": "monte_carlo"}, Y, "max_iter is no limit of method 'monte_carlo'; got max_iter=9"),
    ({"seed": -1}, Y, "seed must be an int >= 0; got -1"), ({"seed": None}, Y, "seed must be an int >= 0; got None"),
    ({"seed": 1.0}, Y, "seed must be"),
    ({"progress": 3}, Y, "progress must be None or a function of one dict; got int"),
])  # fmt: skip
def test_parameters(parameters, y, match):
    estimator = SemiDiscreteOT(**parameters)
    with pytest.raises((ValueError, TypeError), match=match):
        estimator.fit(y)
    assert not [name for name in vars(estimator) if name.endswith("_")]


@pytest.fixture(scope="module")
def estimator():
    return SemiDiscreteOT().fit(Y)


@pytest.mark.parametrize("name", ["assign", "transform", "potential"])
@pytest.mark.parametrize(("x", "match"), [
    (np.zeros((4, 3)), r"x must have shape \(k, 2\), as y; got shape \(4, 3\)"),
    (np.zeros(2), r"x must have shape \(n, d\)"), (np.full((1, 2), np.nan), "x must|x .*NaN"),
    (np.empty((0, 2)), "x must hold at least one point"),
])  # fmt: skip
def test_points(estimator, name, x, match):
    with pytest.raises(ValueError, match=match):
        getattr(estimator, name)(x)


@pytest.mark.parametrize("i", [-1, 12, 0.5, [3, 12]])
def test_cells_that_are_none(estimator, i):
    with pytest.raises(ValueError, match="i must be an int from 0 to 11"):
        estimator.cells(i if isinstance(i, list) else [i])


@pytest.mark.parametrize("i", [-1, 12, 0.5, None, "a", [0, 1]])
def test_a_cell_that_is_none(estimator, i):
    with pytest.raises(ValueError, match="i must be an int from 0 to 11"):
        estimator.cell(i)
