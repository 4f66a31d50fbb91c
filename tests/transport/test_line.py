"""The public closed form on the line."""

from __future__ import annotations

import numpy as np
import ot
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

import naive_line
import otgen
from otgen.transport import line
from tolerance import tol

numbers = st.floats(-1e3, 1e3).map(lambda value: round(value, 6))
clouds = st.lists(numbers, min_size=1, max_size=12).map(np.array)
powers = st.sampled_from([1.0, 1.5, 2.0, 5.0])


def weighted(n, m, seed=0):
    rng = np.random.default_rng(seed)
    a, b = rng.random(n), rng.random(m)
    return rng.normal(size=n), rng.normal(size=m), a / a.sum(), b / b.sum()


@pytest.mark.parametrize("p", [1, 2, 3])
def test_agrees_with_pot_and_scipy(p):
    x, y, a, b = weighted(300, 200)
    assert otgen.wasserstein_1d(x, y, a, b, p=p) ** p == pytest.approx(
        ot.wasserstein_1d(x, y, a, b, p=p), rel=tol(float)
    )
    if p == 1:
        assert otgen.wasserstein_1d(x, y, a, b) == pytest.approx(
            scipy.stats.wasserstein_distance(x, y, a, b), rel=tol(float)
        )


def test_columns_give_an_array_and_a_vector_gives_a_float():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(9, 3)).astype(np.float32), rng.normal(size=(8, 3)).astype(np.float32)
    values = otgen.wasserstein_1d(x, y, p=2)
    assert values.shape == (3,) and values.dtype == np.float32
    alone = otgen.wasserstein_1d(x[:, 1], y[:, 1], p=2)
    assert type(alone) is float and np.float32(alone) == values[1]
    assert otgen.wasserstein_1d(x[:, 0], y[:, 0]) == otgen.wasserstein_1d(x[:, :1].tolist(), y[:, :1].tolist())[0]


def test_points_without_mass_take_no_part():
    x, y, a, b = weighted(6, 5)
    expected = otgen.wasserstein_1d(x, y, a, b, p=2)
    x, a = np.append(x, 1e9), np.append(a, 0.0)
    assert otgen.wasserstein_1d(x, y, a, b, p=2) == pytest.approx(expected, rel=tol(float))


def test_equal_weights_are_the_uniform_ones():
    x, y, _, _ = weighted(6, 4)
    assert otgen.wasserstein_1d(x, y, np.full(6, 1 / 6), np.full(4, 1 / 4)) == pytest.approx(
        otgen.wasserstein_1d(x, y), rel=tol(float)
    )


@pytest.mark.parametrize("p", [1, 2])
def test_mass_enters_as_in_the_definition(p):
    x, y, a, b = weighted(6, 5)
    expected = 3 ** (1 / p) * otgen.wasserstein_1d(x, y, a, b, p=p)
    assert otgen.wasserstein_1d(x, y, 3 * a, 3 * b, p=p) == pytest.approx(expected, rel=tol(float))


@pytest.mark.parametrize("p", [0.5, 0, -1, np.nan, np.inf, "2", None, True])
def test_p_must_be_at_least_one(p):
    with pytest.raises(ValueError, match="p must be a finite number >= 1; got"):
        otgen.wasserstein_1d([0.0], [1.0], p=p)


def test_other_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"x must have shape \(n,\) or \(n, k\)"):
        otgen.wasserstein_1d(np.zeros((2, 2, 2)), np.zeros(2))
    with pytest.raises(ValueError, match=r"y must be finite; y\[1\] is nan"):
        otgen.wasserstein_1d([0.0], [1.0, np.nan])
    with pytest.raises(ValueError, match=r"a must have shape \(1,\)"):
        otgen.wasserstein_1d([0.0], [1.0], [[1.0]])


@pytest.mark.parametrize("p", [1, 1.5, 3])
def test_solve_line_proves_the_monotone_plan(p):
    x, y, a, b = weighted(60, 45)
    rounds = []
    found = line.solve_line(x[:, None], y[:, None], a, b, p=p, tol=1e-9, progress=rounds.append)
    assert found.converged and 0 <= found.gap <= 4 * tol(float) * found.scale and len(found.mass) <= 104
    assert found.value ** (1 / p) == pytest.approx(naive_line.wasserstein_1d(x, y, a, b, p), rel=tol(float))
    assert (np.abs(x[:, None] - y) ** p - found.f[:, None] - found.g).min() >= -tol(float)
    assert rounds[0]["gap"] == found.gap and rounds[0]["arcs"] == len(found.mass)


@settings(max_examples=60, deadline=None)
@given(clouds, clouds, powers)
def test_equals_the_definition(x, y, p):
    expected = naive_line.wasserstein_1d(x, y, naive_line.uniform(len(x)), naive_line.uniform(len(y)), p)
    assert otgen.wasserstein_1d(x, y, p=p) == pytest.approx(expected, rel=tol(float), abs=tol(float))


@settings(max_examples=60, deadline=None)
@given(clouds, clouds, clouds, powers)
def test_is_a_metric(x, y, z, p):
    def distance(u, v):
        return otgen.wasserstein_1d(u, v, p=p)

    assert distance(x, y) == pytest.approx(distance(y, x), rel=tol(float), abs=1e-300)
    assert distance(x, x[::-1]) == 0.0
    assert distance(x, z) <= (distance(x, y) + distance(y, z)) * (1 + tol(float))


@settings(max_examples=60, deadline=None)
@given(clouds, clouds, powers, numbers, st.floats(0.001, 100))
def test_moves_and_scales_with_the_points(x, y, p, shift, scale):
    value = otgen.wasserstein_1d(x, y, p=p)
    assert otgen.wasserstein_1d(x + shift, y + shift, p=p) == pytest.approx(value, rel=1e-9, abs=1e-9)
    assert otgen.wasserstein_1d(-scale * x, -scale * y, p=p) == pytest.approx(scale * value, rel=1e-9, abs=tol(float))
    assert otgen.wasserstein_1d(x, x + shift, p=p) == pytest.approx(abs(shift), rel=1e-9, abs=1e-9)
