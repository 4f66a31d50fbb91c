"""What the eigenvalues, the factors and the singular values of covariances are trusted with."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from otgen.transport import bures
from tolerance import tol


def covariances(d=60, power=1.0, noise=0.3):
    rng = np.random.default_rng((d, int(10 * power)))
    scales = np.arange(1.0, d + 1) ** (-0.5 * power)
    left = np.linalg.qr(rng.normal(size=(d, d)))[0] * scales
    right = np.linalg.qr(left / scales + noise * rng.normal(size=(d, d)))[0] * scales
    return left, right


@pytest.mark.parametrize("power", [0, 1, 2, 4])
def test_eigenvalues_are_no_further_off_than_the_bound_says(power):
    left, right = covariances(power=power)
    x, y = bures.Spread(left @ left.T), bures.Spread(right @ right.T)
    values = np.linalg.eigvalsh(bures._product(x, y))
    exact = np.linalg.svd(x.factor.T @ y.factor, compute_uv=False).sum()
    assert abs(np.sqrt(values).sum() - exact) <= bures._doubt(values) + len(values) * bures.EPS * exact
    assert bures._doubt(np.array([1e-16, 1.0])) == math.inf


@pytest.mark.parametrize("power", [0.5, 1, 2])
def test_singular_values_give_what_eigenvalues_give(power, monkeypatch):
    left, right = covariances(power=power)
    taken = []
    svd = np.linalg.svd
    monkeypatch.setattr(np.linalg, "svd", lambda *args, **options: taken.append(options) or svd(*args, **options))

    def distance():
        return bures.Pair(bures.Spread(left @ left.T), bures.Spread(right @ right.T)).distance()

    found = distance()
    assert not taken
    monkeypatch.setattr(bures, "DOUBT", -1.0)
    assert distance() == pytest.approx(found, rel=tol(float), abs=0)
    assert taken == [{"compute_uv": False}]


@pytest.mark.parametrize("rank", [1, 5, 9])
def test_a_factor_has_as_many_columns_as_the_rank(rank):
    factor = np.random.default_rng(rank).normal(size=(9, rank))
    spread = bures.Spread(1e-100 * factor @ factor.T)
    assert spread.factor.shape == (9, rank) and spread.rank == rank and spread.triangular == (rank == 9)
    np.testing.assert_allclose(spread.factor @ spread.factor.T, spread.values, rtol=0, atol=tol(float))
    np.testing.assert_allclose(spread.inverse_factor @ spread.factor, np.eye(rank), rtol=0, atol=1e-9)
    assert 0.25 <= abs(spread.values).max() <= 1 and np.ldexp(spread.trace, 2 * spread.exponent) == pytest.approx(
        1e-100 * (factor**2).sum(), rel=tol(float), abs=0
    )


@pytest.mark.parametrize("least", [0.0, 5e-324, 1e-300, 1e-18, -1e-18])
def test_eigenvalues_of_rounding_count_as_zero(least):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        spread = bures.Spread(np.diag([1.0, least, 0.5]))
        assert spread.rank == 3 and spread.factor.shape == (3, 2) and spread.rank == 2
    assert bures.Spread(np.diag([1.0, 1e-12, 0.5])).factor.shape == (3, 3)
    assert bures.Spread(np.diag([1.0, 1e-12, 0.5]), eps=1e-7).factor.shape == (3, 2)
