"""What the entropic solver refuses, and in which words."""

from __future__ import annotations

import math

import numpy as np
import pytest

import otgen
from otgen.transport.regularisation import Regularisation, read_potentials, read_regularisation, read_stopping

X, Y = np.zeros((3, 2)), np.ones((2, 2))
DOUBLE, SINGLE = np.dtype(np.float64), np.dtype(np.float32)


@pytest.mark.parametrize("eps", [0, -1.0, math.nan, math.inf, True, "0.1", [0.1], None])
def test_eps(eps):
    match = r"eps must be a positive finite number, on the scale of the cost; got .*0.01 times a typical cost"
    for call in (otgen.sinkhorn, otgen.sinkhorn_divergence):
        with pytest.raises(ValueError, match=match):
            call(X, Y, eps=eps)
    if eps is not None:
        with pytest.raises(ValueError, match=match):
            otgen.solve_sample(X, Y, eps=eps)
        with pytest.raises(ValueError, match=match):
            otgen.solve(np.ones((2, 2)), eps=eps)


@pytest.mark.parametrize("rho", [0, -1, math.nan, "1", True, (1,), (1, 2, 3), (1, 0), (1, None), (math.nan, 1), []])
def test_unbalanced(rho):
    match = r"unbalanced must be None, rho or \(rho_a, rho_b\), positive, .*; got .*math.inf keeps a side exact"
    for call in (otgen.sinkhorn, otgen.sinkhorn_divergence):
        with pytest.raises(ValueError, match=match):
            call(X, Y, eps=1.0, unbalanced=rho)


def test_what_is_read():
    assert read_regularisation(np.float32(0.5), None) == Regularisation(0.5, math.inf, math.inf)
    assert read_regularisation(1, 2) == Regularisation(1.0, 2.0, 2.0) and not read_regularisation(1, 2).balanced
    assert read_regularisation(1, [2, math.inf]) == Regularisation(1.0, 2.0, math.inf)
    assert read_regularisation(1, math.inf).balanced
    assert read_stopping(None, None, None, SINGLE)[0] == 1e-4 and read_stopping(None, None, None, DOUBLE)[0] == 1e-6
    assert read_stopping(1e-3, np.int64(7), print, DOUBLE) == (1e-3, 7)
    assert read_potentials(None, 2, 3) is None


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"tol": 0}, ValueError, "tol must be a number >= 1e-13, the marginal error that float64 can reach; got 0"),
        ({"tol": 1e-14}, ValueError, "tol must be a number >= 1e-13, .* got 1e-14. Raise it"),
        ({"tol": math.nan}, ValueError, "tol must be a number >= 1e-13, .* got nan"),
        ({"tol": True}, ValueError, "tol must be a number >= 1e-13, .* got True"),
        ({"tol": "x"}, ValueError, "tol must be a number >= 1e-13, .* got 'x'"),
        ({"max_iter": 0}, ValueError, r"max_iter must be None \(at most 10000\) or an int >= 1; got 0"),
        ({"max_iter": 1.5}, ValueError, "max_iter must be None .*; got 1.5"),
        ({"max_iter": True}, ValueError, "max_iter must be None .*; got True"),
        ({"progress": 1}, TypeError, "progress must be None or a function of one dict; got int. Pass print"),
    ],
)
def test_stopping(options, error, match):
    for call in (otgen.sinkhorn, otgen.sinkhorn_divergence, otgen.solve_sample):
        with pytest.raises(error, match=match):
            call(X, Y, eps=1.0, **options)


@pytest.mark.parametrize(
    ("potentials", "error", "match"),
    [
        (5, TypeError, r"potentials must be a pair \(f, g\), as Transport.potentials; got int. Pass result.potentials"),
        ((np.zeros(3),), TypeError, "potentials must be a pair"),
        (np.zeros((2, 3)), TypeError, "potentials must be a pair .* got ndarray"),
        ((np.zeros(2), np.zeros(2)), ValueError, r"potentials\[0\] must have shape \(3,\), .* got shape \(2,\)"),
        ((np.zeros(3), np.zeros(3)), ValueError, r"potentials\[1\] must have shape \(2,\), .* the same points"),
        (
            (np.zeros(3), np.array([0, np.nan])),
            ValueError,
            r"potentials\[1\] must be finite; potentials\[1\]\[1\] is nan",
        ),
        ((np.zeros((3, 1)), np.zeros(2)), ValueError, r"potentials\[0\] must have shape \(n,\)"),
        ((np.array(["a"] * 3), np.zeros(2)), TypeError, r"potentials\[0\] must hold real numbers"),
    ],
)
def test_potentials(potentials, error, match):
    with pytest.raises(error, match=match):
        otgen.sinkhorn(X, Y, eps=1.0, potentials=potentials)
    with pytest.raises(error, match=match):
        otgen.solve(np.ones((3, 2)), eps=1.0, potentials=potentials)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ((np.full((3, 2), np.nan), Y), ValueError, r"x must be finite; x\[0, 0\] is nan"),
        ((X, np.ones((2, 3))), ValueError, "one dimension d"),
        ((X, Y, [0.5, -0.5, 1]), ValueError, r"a must not be negative; a\[1\] is -0.5"),
        ((X, Y, [0, 0, 0]), ValueError, "a must have a positive, finite sum"),
        ((X.astype(object), Y), TypeError, "x must hold real numbers.*object"),
    ],
)
def test_points_and_weights(arguments, error, match):
    for call in (otgen.sinkhorn, otgen.sinkhorn_divergence):
        with pytest.raises(error, match=match):
            call(*arguments, eps=1.0)


def test_costs():
    with pytest.raises(ValueError, match="cost must be one of sqeuclidean"):
        otgen.sinkhorn(X, Y, eps=1.0, cost="manhattan")
    with pytest.raises(ValueError, match="cosine needs non-zero vectors; row 0 of x is zero"):
        otgen.sinkhorn(X, Y, eps=1.0, cost="cosine")
