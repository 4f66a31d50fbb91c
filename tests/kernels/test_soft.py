"""Soft reductions against their definition: every cost, both paths, both sides, both precisions, matrices, any size."""

from __future__ import annotations

import numpy as np
import pytest

import naive
import otgen_kernels
from otgen_kernels.cpu.soft import SoftMatrix, SoftPairs
from tolerance import tol

POWERS = (1, 1.5, 2, 3)
EPS = float(np.finfo(np.float64).eps)
BOTH = (False, True)
# Each d, form of a cost and precision of the local path is compiled anew: these cover them.
LOCAL = (
    ("euclidean", 1, (False,)), ("euclidean", 2, BOTH), ("euclidean", 8, (True,)), ("cosine", 2, BOTH),
    ("cityblock", 2, BOTH), ("chebyshev", 3, (True,)),
)  # fmt: skip
DENSE = tuple((metric, d, BOTH) for metric in ("euclidean", "cityblock", "chebyshev", "cosine") for d in (3, 12, 65))
CASES = [(metric, d, "local", precisions) for metric, d, precisions in LOCAL] + [
    (metric, d, "dense", precisions) for metric, d, precisions in DENSE
]


def clouds(rng, n, m, d, shift=0.5):
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + shift


def accuracy(soft, eps, single, path="", metric="", p=2):
    """What a term may be off by, relatively; the root of a GEMM's square is worse where that has almost cancelled."""
    rooted = path == "dense" and metric == "euclidean" and p < 2
    return soft.rounding(eps, single) * ((8.0 if single else 512.0) if rooted else 1.0)


def check(soft, side, chosen, costs, h, eps, single, reach, gradients=None):
    """All reductions agree with the loops on the chosen rows, whose costs and gradients are given."""
    b = np.ones(len(h))
    expected = np.array(naive.soft_c_transform(costs, h, b, eps))
    v = soft.transform(side, h, eps, single=single)
    assert v.dtype == np.float64 and v.shape == (soft.shape[side],)
    assert (np.abs(v[chosen] - expected) <= eps * reach + tol(np.float64) * np.abs(expected)).all()
    # From here on with potentials that are not quite the answer: sums of any size around 1.
    f = v + eps * np.resize([0.0, 0.3, -2.0, 9.0], len(v))
    plan = naive.plan(costs, f[chosen], h, b, eps)
    mass = np.array([sum(row) for row in plan])
    # The loops have exponents of (|f| + |h|) / eps, and float32 rounds those of h as well.
    unit = float(np.finfo(np.float32 if single else np.float64).eps)
    reach = 2.0 * reach + (2.0 * unit + 8.0 * EPS) * (np.abs(f).max() + np.abs(h).max()) / eps
    total, entropy = soft.entropy(side, f, h, eps, single=single)
    np.testing.assert_allclose(total[chosen], mass, rtol=reach)
    size = [sum(p * abs(np.log(p)) + p for p in row if p > 0) for row in plan]
    assert (np.abs(entropy[chosen] - naive.plan_entropy(plan)) <= reach * np.array(size)).all()
    values = np.column_stack([np.ones(len(h)), np.sin(np.arange(len(h))), 1e30 * np.cos(np.arange(len(h)))])
    values = np.column_stack([values, 1e-30 * values[:, 1], np.zeros(len(h))])
    found = soft.average(side, f, h, eps, values, single=single)
    size = naive.soft_average(plan, np.abs(values)) + 4.0 * unit * mass[:, None] * np.abs(values).max(0)
    assert (np.abs(found[chosen] - naive.soft_average(plan, values)) <= reach * size + 1e-38 * size.max(0)).all()
    if gradients is not None:
        found = soft.gradient(side, f, h, eps, single=single)
        largest = max(np.abs(gradients).max(), 1.0)
        difference = np.abs(found[chosen] - naive.gradient_average(plan, gradients)).max(1)
        assert (difference <= 4.0 * reach * mass * largest).all()


def check_pairs(x, y, metric, p, path, precisions, shares, rng, chosen=(slice(None), slice(None))):
    """`check` on both sides, at these shares of the mean cost; only the chosen rows are compared."""
    soft = SoftPairs(x, y, metric=metric, p=p, path=path)
    for side, (u, v) in enumerate(((x[chosen[0]], y), (y[chosen[1]], x))):
        costs, gradients = naive.costs(u, v, metric, p), naive.cost_gradients(u, v, metric, p)
        mean = float(np.mean(costs))
        h = rng.normal(size=len(v)) * 0.3 * mean
        for share in shares:
            eps = share * (mean if mean > 1e-12 else 1.0)  # there is rounding alone below
            for single in precisions:
                reach = accuracy(soft, eps, single, path, metric, p)
                check(soft, side, chosen[side], costs, h, eps, single, reach, gradients)


@pytest.mark.parametrize(("metric", "d", "path", "precisions"), CASES)
def test_every_cost_matches_the_loops(metric, d, path, precisions, rng):
    for p in POWERS:
        x, y = clouds(rng, 9, 141, d)
        y[-1] = x[4]  # a pair that coincides
        check_pairs(x, y, metric, p, path, precisions, (1.0, 0.02), rng, (slice(None), slice(135, 141)))


@pytest.mark.parametrize("path", ["local", "dense"])
@pytest.mark.parametrize(
    ("n", "m"),
    [(1, 1), (1, 63), (31, 64), (32, 65), (33, 127), (255, 128), (256, 129), (257, 511), (300, 513), (2, 512)],
)
def test_sizes_around_the_tiles(path, n, m, rng):
    x, y = clouds(rng, n, m, 2)
    chosen = tuple(np.unique([0, size // 2, size - 1]) for size in (n, m))
    for p in (1, 2):
        check_pairs(x, y, "euclidean", p, path, BOTH, (0.1,), rng, chosen)


@pytest.mark.parametrize("path", ["local", "dense"])
@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "chebyshev", "cosine"])
def test_degenerate_clouds(metric, path, rng):
    d, precisions = (3, (True,)) if metric == "chebyshev" else (2, BOTH)
    same = np.full((140, d), 0.7)
    line = np.outer(np.arange(1, 141) / 128, np.ones(d))  # exact: its ties with the grid are ties
    grid = np.stack([np.arange(140) % (2 + k) + 1.0 for k in range(d)], 1)
    for x, y in ((same, same), (line, line), (same, line), (grid, grid), (line, grid)):
        for p in (1, 3):
            check_pairs(x, y, metric, p, path, precisions, (0.3,), rng, (slice(0, 140, 35), slice(0, 140, 35)))


@pytest.mark.parametrize("path", ["local", "dense"])
@pytest.mark.parametrize("p", [1, 1.5])
def test_the_gradient_next_to_a_point_keeps_its_digits(path, p, rng):
    # The cost has a cone there: its slope must come from the difference of the two, not from that of large sums.
    for gap in (1e-3, 1e-5, 1e-9, 1e-14):
        y = np.concatenate([rng.normal(size=(200, 2)), [[1.5, 0.0]]])
        x = np.array([[1.5, gap], [-1.0, 2.0]])
        soft = SoftPairs(x, y, metric="euclidean", p=p, path=path)
        h = np.where(np.arange(201) == 200, 0.2, 0.0)
        f = soft.transform(0, h, 0.5)
        plan = naive.plan(naive.costs(x, y, "euclidean", p), f, h, np.ones(201), 0.5)
        expected = naive.gradient_average(plan, naive.cost_gradients(x, y, "euclidean", p))
        np.testing.assert_allclose(soft.gradient(0, f, h, 0.5), expected, atol=1e-12)
        found = soft.gradient(0, f, h, 0.5, single=True)
        if gap >= 1e-5:
            np.testing.assert_allclose(found, expected, atol=0.02 * plan[0][200] if gap < 1e-4 else 1e-4)
        assert (np.abs(found) < 3.0 * p).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_a_cost_matrix_matches_the_loops(dtype, rng):
    for n, m in ((1, 1), (5, 1), (1, 70), (300, 7), (9, 64), (10, 513)):
        matrix = rng.normal(size=(n, m)) * (5 if dtype == np.int64 else 1) - 0.3  # also negative
        matrix = np.ascontiguousarray(matrix.astype(dtype))
        for layout in (matrix, np.asfortranarray(matrix), np.repeat(matrix, 2, 1)[:, ::2]):
            soft = SoftMatrix(layout)
            for side, costs in enumerate((matrix, matrix.T)):
                chosen = np.unique([0, len(costs) // 2, len(costs) - 1])
                h = rng.normal(size=costs.shape[1])
                for single in BOTH:
                    for eps in (2.0, 0.05):
                        reach = accuracy(soft, eps, single)
                        check(soft, side, chosen, costs[chosen].astype(np.float64).tolist(), h, eps, single, reach)


@pytest.mark.parametrize("scale", [0.0, 1e-300, 1e-40, 1e-12, 1e12, 1e37, 1e150])
def test_a_cost_matrix_at_any_scale(scale, rng):
    matrix = rng.random((20, 30)) * scale
    h = rng.random(30) * scale
    eps = 0.1 * scale or 1.0
    for layout in (matrix, matrix.astype(np.float32)) if 1e-30 <= scale < 1e38 else (matrix,):
        for single in BOTH:
            soft, costs = SoftMatrix(layout), layout.T.astype(np.float64).tolist()
            check(soft, 1, slice(None), costs, h[:20], eps, single, accuracy(soft, eps, single))


def test_a_cost_matrix_knows_no_gradient(rng):
    with pytest.raises(AttributeError):
        SoftMatrix(rng.random((3, 3))).gradient  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("metric", "d"), [("euclidean", 2), ("cityblock", 12)])
def test_weights(metric, d, dtype, rng):
    x, y = (z.astype(dtype) for z in clouds(rng, 40, 70, d))
    b = rng.random(70) * (rng.random(70) < 0.5)
    b[3], b[4] = 1e-300, 1e3
    values = rng.normal(size=(70, 2, 3))
    costs = naive.costs(x, y, metric, 2)
    eps = 0.1 * float(np.mean(costs))
    reach = 40.0 * np.finfo(dtype).eps * (16 + 2 * np.max(costs) / eps)
    for h in (None, rng.normal(size=70)):
        offsets = np.zeros(70) if h is None else h
        v = otgen_kernels.soft_c_transform(x, y, h, b, metric=metric, p=2, eps=eps)
        expected = np.array(naive.soft_c_transform(costs, offsets, b, eps))
        assert v.dtype == np.float64 and (np.abs(v - expected) < eps * reach).all()
        # A value without weight is not looked at.
        loud = np.where(b[:, None, None] > 0, values, np.nan)
        found = otgen_kernels.soft_average(x, y, v, h, b, loud, metric=metric, p=2, eps=eps)
        plan = naive.plan(costs, v, offsets, b, eps)
        assert found.dtype == np.float64 and found.shape == (40, 2, 3)
        average = np.array(naive.soft_average(plan, values.reshape(70, 6))).reshape(40, 2, 3)
        np.testing.assert_allclose(found, average, atol=4 * reach)
        assert otgen_kernels.soft_average(x, y, v, h, b, values[:, 0, 0], metric=metric, p=2, eps=eps).shape == (40,)
        ones = otgen_kernels.soft_c_transform(x, y, h, None, metric=metric, p=2, eps=eps)
        same = otgen_kernels.soft_c_transform(x, y, h, np.ones(70), metric=metric, p=2, eps=eps)
        np.testing.assert_array_equal(ones, same)


def test_no_weight_at_all(rng):
    x, y = clouds(rng, 3, 5, 2)
    cost = {"metric": "euclidean", "p": 2, "eps": 0.1}
    assert (otgen_kernels.soft_c_transform(x, y, None, np.zeros(5), **cost) == np.inf).all()
    average = otgen_kernels.soft_average(x, y, np.zeros(3), None, np.zeros(5), np.ones((5, 2)), **cost)
    np.testing.assert_array_equal(average, np.zeros((3, 2)))


@pytest.mark.parametrize("path", ["local", "dense"])
@pytest.mark.parametrize("single", BOTH)
@pytest.mark.filterwarnings("error")
def test_offsets_far_below_the_others_leave_no_trace(path, single, rng):
    x, y = clouds(rng, 50, 300, 2)
    h, out = rng.normal(size=300), rng.random(300) < 0.6
    y[:200], out[:150] = y[0], True  # and whole blocks of them
    for p in (1, 2):
        expected = SoftPairs(x, y[~out], metric="euclidean", p=p, path=path).transform(0, h[~out], 0.3)
        for low in (-1e4, -1e12, -1e25, -1e200):
            soft = SoftPairs(x, y, metric="euclidean", p=p, path=path)
            lowered = np.where(out, low, h)
            for near in (None, expected + 1.0):
                found = soft.transform(0, lowered, 0.3, near, single=single)
                np.testing.assert_allclose(found, expected, atol=0.3 * soft.rounding(0.3, single))
            mass, entropy = soft.entropy(0, expected, lowered, 0.3, single=single)
            np.testing.assert_allclose(mass, 1.0, rtol=4 * soft.rounding(0.3, single))
            assert np.isfinite(entropy).all() and (entropy < 0).all()
            assert np.isfinite(soft.gradient(0, expected, lowered, 0.3, single=single)).all()
