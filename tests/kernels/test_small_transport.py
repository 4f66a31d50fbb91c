"""Small transport problems on all pairs, against POT: the plan, the duals and the value, started or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import ot
import pytest
from scipy.spatial.distance import cdist

from otgen_kernels import host
from tolerance import tol


def problem(rng, n, m):
    x, y = rng.normal(size=(n, 2)), rng.normal(size=(m, 2)) + 0.5
    a, b = rng.random(n) + 0.05, rng.random(m) + 0.05
    return x, y, a / a.sum(), b / b.sum()


def solve(x, y, a, b, p, *, started):
    masses = host.whole_masses(a, b)
    none = np.empty((0, 2))
    above = (x.copy(), y.copy(), *masses) if started else (none, none, *masses)
    return host.small_transport(x, y, (a, b), masses, above, metric="euclidean", p=p)


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("p", [1.0, 2.0])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 7), (40, 30), (25, 60)])
def test_the_value_is_pots_and_the_duals_prove_it(rng, n, m, p, started):
    x, y, a, b = problem(rng, n, m)
    rows, cols, mass, f, g, value = solve(x, y, a, b, p, started=started)
    C = cdist(x, y) ** p
    theirs: Any = ot.emd2(a, b, C)
    assert value == pytest.approx(float(theirs), rel=1e-9)
    assert value == pytest.approx(float((mass * C[rows, cols]).sum()), rel=tol(float))
    assert (f[:, None] + g <= C + tol(float) * C.max()).all() and a @ f + b @ g == pytest.approx(value, rel=1e-9)
    np.testing.assert_allclose(np.bincount(rows, mass, n), a, atol=1e-14)
    np.testing.assert_allclose(np.bincount(cols, mass, m), b, atol=1e-14)
    assert len(mass) <= n + m - 1


def test_ties_and_coincident_points_end(rng):
    x = np.repeat(rng.integers(0, 3, (12, 2)).astype(float), 4, axis=0)
    w = np.full(48, 1 / 48)
    for target, expected in ((x.copy(), 0.0), (x[::-1].copy(), 0.0), (x + [1.0, 0.0], 1.0)):
        *_, value = solve(x, target, w, w, 1.0, started=False)
        assert value == pytest.approx(expected, abs=1e-12)
