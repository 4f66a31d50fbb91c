"""Costs by name, the range they need, and their gradients against differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

import naive
from otgen.transport.costs import METRICS, Cost, check_domain, diameter, pair_gradients, parse_cost
from tolerance import tol


def pairs(s=20, d=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(s, d)), rng.normal(size=(s, d))


def test_names_and_pairs():
    assert parse_cost("sqeuclidean") == parse_cost(("euclidean", 2)) == Cost("euclidean", 2.0)
    assert parse_cost("cosine") == Cost("cosine", 1.0)
    assert [str(parse_cost(c)) for c in ("sqeuclidean", "cityblock", ("cosine", 3))] == [
        "sqeuclidean",
        "cityblock",
        "cosine**3",
    ]


def paired(cost, x, y):
    return np.array([naive.cost(u, v, cost.metric, cost.p) for u, v in zip(x, y)])


@pytest.mark.parametrize("p", [1, 1.5, 2, 4])
@pytest.mark.parametrize("metric", METRICS)
def test_gradients(metric, p):
    x, y = pairs()
    cost, step = Cost(metric, p), 1e-6
    by_x, by_y = pair_gradients(cost, x, y)
    for k in range(3):
        move = step * np.eye(3)[k]
        numeric = (paired(cost, x + move, y) - paired(cost, x - move, y)) / (2 * step)
        np.testing.assert_allclose(by_x[:, k], numeric, rtol=1e-6, atol=1e-8)
        numeric = (paired(cost, x, y + move) - paired(cost, x, y - move)) / (2 * step)
        np.testing.assert_allclose(by_y[:, k], numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("p", [1, 1.5, 2])
@pytest.mark.parametrize("metric", METRICS)
def test_gradient_at_coincident_points_is_zero(metric, p):
    x, _ = pairs()
    for gradient in pair_gradients(Cost(metric, p), x, x):
        assert not gradient.any()


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_euclidean_gradients_at_extreme_scales(scale):
    x, y = pairs()
    unit = pair_gradients(Cost("euclidean", 1), x, y)[0]
    np.testing.assert_allclose(pair_gradients(Cost("euclidean", 1), scale * x, scale * y)[0], unit, rtol=tol(float))


@pytest.mark.parametrize("metric", METRICS)
def test_diameter_bounds_every_distance(metric):
    x, y = pairs()
    assert diameter(metric, x, y) >= cdist(x, y, metric).max()


def test_range():
    x, y = pairs()
    check_domain(Cost("euclidean", 300), x, y)
    check_domain(Cost("euclidean", 2), x, x)
    for cost in (Cost("euclidean", 1000), Cost("cityblock", 900)):
        with pytest.raises(ValueError, match="leaves the range of float64"):
            check_domain(cost, x, y)
    with pytest.raises(ValueError, match="cosine needs non-zero vectors; row 2 of x is zero"):
        check_domain(Cost("cosine", 1), np.where(np.arange(20)[:, None] == 2, 0, x), y)
