"""The median heuristic by itself: what mmd_squared takes, whatever the weights, the scale and the library."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

import naive_kernels as naive
import otgen


@pytest.mark.parametrize("n", [9, 900])
@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_the_bandwidth_that_mmd_squared_takes(rng, n, weighted):
    x, y = rng.normal(size=(n, 2)), rng.normal(size=(n - 2, 2)) + 0.5
    a, b = (rng.integers(0, 3, len(z)) + (np.arange(len(z)) < 2) for z in (x, y)) if weighted else (None, None)
    if a is not None and b is not None:
        b = b * (a.sum() / b.sum())
    h = otgen.median_bandwidth(x, y, a, b, seed=4)
    assert type(h) is float
    assert otgen.mmd_squared(x, y, a, b, bandwidth=h) == otgen.mmd_squared(x, y, a, b, seed=4)
    if n > 500:
        assert h != otgen.median_bandwidth(x, y, a, b, seed=5)


def test_it_is_the_median_of_its_definition(rng):
    x, y = rng.normal(size=(5, 2)), rng.normal(size=(4, 2))
    masses = [Fraction(1, 5)] * 5 + [Fraction(1, 4)] * 4
    expected = naive.weighted_median_distance([*x, *y], masses)
    assert otgen.median_bandwidth(x, y) == pytest.approx(expected, rel=1e-14)
    a, b = [0.0, 1.0, 2.0, 3.0, 4.0], [10.0, 0.0, 0.0, 0.0]
    expected = naive.weighted_median_distance([*x[1:], y[0]], [1, 2, 3, 4, 10])
    assert otgen.median_bandwidth(x, y, a, b) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("unit", [1e-150, 1e150])
def test_it_has_the_units_of_points_of_any_library(rng, unit):
    x, y = rng.normal(size=(9, 2)), rng.normal(size=(7, 2))
    expected = otgen.median_bandwidth(x, y)
    assert otgen.median_bandwidth(unit * x, unit * y) == pytest.approx(unit * expected, rel=1e-12)
    tensors = torch.tensor(x, requires_grad=True), torch.tensor(y)
    assert otgen.median_bandwidth(*tensors) == expected
    single = otgen.median_bandwidth(x.astype(np.float32), y.astype(np.float32))
    assert type(single) is float and single == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("x", "given", "says"),
    [
        (np.zeros((3, 2)), {}, r"bandwidth='median' needs points that differ; all.*coincide. Pass a length"),
        (np.zeros(3), {}, r"x must have shape \(n, d\).*Reshape points on the line to \(n, 1\), a single point"),
        (np.zeros((1, 3, 2)), {}, r"x must have shape \(n, d\); got shape \(1, 3, 2\). For clouds \(B, n, d\) loop"),
        (np.eye(2), {"a": [1.0]}, r"a must have shape \(2,\)"),
        (np.eye(2), {"seed": -1}, r"seed must be an int >= 0"),
    ],
)
def test_what_it_refuses(x, given, says):
    with pytest.raises(ValueError, match=says):
        otgen.median_bandwidth(x, np.zeros((3, 2)), **given)
