"""What wasserstein, solve_sample and solve refuse, and in which words."""

from __future__ import annotations

import numpy as np
import pytest

import otgen
from tolerance import tol

X, Y = np.zeros((3, 2)), np.ones((2, 2))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "match"),
    [
        ((np.full((3, 2), np.nan), Y), {}, ValueError, r"x must be finite; x\[0, 0\] is nan"),
        ((X, np.array([[1, np.inf]])), {}, ValueError, r"y must be finite; y\[0, 1\] is inf"),
        ((X, Y, [0.5, -0.5, 1]), {}, ValueError, r"a must not be negative; a\[1\] is -0.5"),
        ((X, Y, [0.5, np.nan, 1]), {}, ValueError, r"a must be finite; a\[1\] is nan"),
        (
            (X, Y, None, [0.4, 0.4]),
            {},
            ValueError,
            r"b must sum to the mass of a \(1.0\); it sums to 0.8. Normalise it",
        ),
        ((X, Y, [1.0]), {}, ValueError, r"a must have shape \(3,\)"),
        ((X, Y, None, [0, 0]), {}, ValueError, "b must have a positive, finite sum"),
        ((np.zeros(3), Y), {}, ValueError, r"x must have shape \(n, d\).*Reshape"),
        ((X, np.ones((2, 3))), {}, ValueError, r"one dimension d; got shapes \(3, 2\) and \(2, 3\)"),
        ((np.zeros((0, 2)), Y), {}, ValueError, "x must hold at least one point"),
        ((X.astype(object), Y), {}, TypeError, "x must hold real numbers.*object"),
        ((X, Y), {"tol": -1}, ValueError, "tol must be a positive finite number"),
        ((X, Y), {"max_iter": 0}, ValueError, "max_iter must be None"),
        ((X, Y), {"progress": 1}, TypeError, "progress must be None or a function"),
    ],
)
def test_bad_input_is_refused(arguments, options, error, match):
    for function in (otgen.wasserstein, otgen.solve_sample):
        with pytest.raises(error, match=match):
            function(*arguments, **options)


@pytest.mark.parametrize(
    ("cost", "match"),
    [
        (
            "manhattan",
            "cost must be one of sqeuclidean, euclidean, cityblock, chebyshev, cosine, or .*; got 'manhattan'",
        ),
        (("sqeuclidean", 1), r"the metric of cost must be .*; got 'sqeuclidean'. .* write \('euclidean', 2\)"),
        ("manhattan", r"For powers write \('euclidean', 3\)"),
        ((["euclidean"], 1), r"the metric of cost must be .*; got \['euclidean'\]"),
        (7, r"or a pair \(metric, p\); got 7"),
        (("euclidean", 2, 3), r"or a pair \(metric, p\); got \('euclidean', 2, 3\)"),
        (("euclidean", 0.5), "p must be a finite number >= 1; got 0.5. Pass p=1 or p=2"),
    ],
)
def test_unknown_costs_are_refused(cost, match):
    with pytest.raises(ValueError, match=match):
        otgen.solve_sample(X, Y, cost=cost)


def test_unknown_metrics_and_powers_are_refused():
    with pytest.raises(
        ValueError, match="chebyshev, cosine; got 'sqeuclidean'. For squared distances pass metric='euclidean', p=2"
    ):
        otgen.wasserstein(X, Y, metric="sqeuclidean")
    with pytest.raises(ValueError, match="p must be a finite number >= 1; got 0.99"):
        otgen.wasserstein(X, Y, p=0.99)


def test_cosine_of_a_zero_vector_is_refused():
    with pytest.raises(ValueError, match="cosine needs non-zero vectors; row 1 of y is zero"):
        otgen.wasserstein(X + 1, np.array([[1, 1], [0, 0]]), metric="cosine")


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_costs_beyond_float64_are_refused(scale):
    with pytest.raises(ValueError, match="sqeuclidean leaves the range of float64: distances reach .*Rescale"):
        otgen.solve_sample(scale * X, scale * Y)
    assert otgen.wasserstein(scale * X, scale * Y, p=2) == pytest.approx(scale * np.sqrt(2), rel=tol(float))


def test_marginals_that_give_way_need_eps():
    for call, arguments in ((otgen.solve_sample, (X, Y)), (otgen.solve, (np.ones((2, 2)),))):
        with pytest.raises(ValueError, match="unbalanced needs eps: .* got unbalanced=1.0 without eps. Pass eps= too"):
            call(*arguments, unbalanced=1.0)


def test_potentials_to_start_from_need_eps():
    with pytest.raises(ValueError, match="potentials"):
        otgen.solve(np.ones((2, 2)), potentials=(np.zeros(2), np.zeros(2)))
