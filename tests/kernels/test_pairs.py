"""c_transform and smallest_k against their definition, and their paths against each other."""

from __future__ import annotations

import numpy as np
import pytest

import naive
import otgen_kernels
from otgen_kernels.cpu.pairs import PairIndex
from tolerance import tol

METRICS = ("euclidean", "cityblock", "chebyshev", "cosine")
POWERS = (1, 1.5, 2, 3)


def paths(metric: str) -> tuple[str, ...]:
    return ("tree", "loops", "gemm") if metric in ("euclidean", "cosine") else ("tree", "loops")


def clouds(rng, n, m, d, dtype: type = np.float64, shift=0.5):
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + shift
    return x.astype(dtype), y.astype(dtype)


def transport_like(x, y, metric, p):
    """Offsets as optimal transport has them: a c-transform of a c-transform."""
    index = PairIndex(x, y, metric=metric, p=p)
    return index.c_transform(index.c_transform_t(None)[0] * 0.5)[0], index.c_transform_t(index.c_transform(None)[0])[0]


def check(x, y, h, k, metric, p, path=None):
    """The definition holds: right values in order, and indices that attain them, each once."""
    values, indices = PairIndex(x, y, metric=metric, p=p, path=path).smallest_k(h, k)
    offsets = np.zeros(len(y)) if h is None else h
    expected = np.array(naive.smallest_k(x, y, offsets, k, metric, p)[0])
    attained = [[naive.cost(x[i], y[j], metric, p) - offsets[j] for j in row] for i, row in enumerate(indices)]
    scale = np.abs(expected).max() + 2 * np.abs(offsets).max()
    assert values.dtype == np.float64 and indices.dtype == np.int64 and values.shape == indices.shape == (len(x), k)
    np.testing.assert_allclose(values, expected, rtol=tol(np.float64), atol=tol(np.float64) * scale)
    np.testing.assert_allclose(values, attained, rtol=tol(np.float64), atol=tol(np.float64) * scale)
    assert all(len(set(row)) == k for row in indices.tolist())
    assert (np.diff(values, axis=1) >= 0).all()


def same_everywhere(x, y, h, k, metric, p):
    """Every path gives the bits of the plain loops."""
    answers = {path: PairIndex(x, y, metric=metric, p=p, path=path).smallest_k(h, k) for path in paths(metric)}
    for values, indices in answers.values():
        np.testing.assert_array_equal(values, answers["loops"][0])
        np.testing.assert_array_equal(indices, answers["loops"][1])


@pytest.mark.parametrize("d", [1, 2, 3, 8, 16, 64])
@pytest.mark.parametrize("metric", METRICS)
def test_matches_the_definition(metric, d, rng):
    for dtype in (np.float32, np.float64):
        x, y = clouds(rng, 11, 71, d, dtype)
        for p in POWERS:
            h = rng.normal(size=71)
            for path in (None, *paths(metric)):
                check(x, y, h, 5, metric, p, path)
            check(x, y, None, 1, metric, p)


@pytest.mark.parametrize("d", [1, 2, 3, 8, 16, 64])
@pytest.mark.parametrize("metric", METRICS)
def test_paths_give_the_same_bits(metric, d, rng):
    for n, m, k in ((1, 1, 1), (5, 1, 1), (1, 700, 7), (201, 1111, 1), (70, 657, 12), (40, 33, 33)):
        for dtype in (np.float32, np.float64):
            x, y = clouds(rng, n, m, d, dtype)
            for p in POWERS:
                same_everywhere(x, y, rng.normal(size=m) * 0.3, k, metric, p)
                same_everywhere(x, y, transport_like(x, y, metric, p)[1], k, metric, p)


@pytest.mark.parametrize("metric", METRICS)
def test_ties_go_to_the_lowest_index(metric, rng):
    grid = np.stack(np.meshgrid(np.arange(1.0, 13), np.arange(1.0, 13)), -1).reshape(-1, 2)
    y = np.concatenate([grid, grid])[rng.permutation(288)]
    for p in (1, 2):
        values, indices = otgen_kernels.c_transform(grid, y, None, metric=metric, p=p)
        assert (values == 0).all()
        if metric != "cosine":  # equal directions of unequal length are equal only up to the rounding of their norms
            np.testing.assert_array_equal(indices, (grid[:, None] == y).all(2).argmax(1))
        same_everywhere(grid, y, None, 9, metric, p)
        same_everywhere(grid, y, np.round(rng.normal(size=288)), 9, metric, p)


@pytest.mark.parametrize("d", [1, 2, 3, 16])
@pytest.mark.parametrize("metric", METRICS)
def test_a_query_at_the_centre_of_a_node(metric, d, rng):
    # Where the cost is flat to first order only the slope of h can rank the points of the node.
    grid = np.stack(np.meshgrid(*[np.arange(-9.0, 10)] * min(d, 2)), -1).reshape(-1, min(d, 2))
    y = np.concatenate([grid, np.ones((len(grid), d - min(d, 2)))], 1)[rng.permutation(len(grid))]
    y = np.concatenate([y, y]) + (metric == "cosine")
    for p in POWERS:
        for slope in (1.0, 30.0):
            same_everywhere(y, y, slope * np.round(y @ rng.normal(size=d)), 2, metric, p)


@pytest.mark.parametrize("d", [1, 2, 3, 16])
@pytest.mark.parametrize("metric", METRICS)
def test_degenerate_clouds(metric, d, rng):
    same_point = np.full((300, d), 0.7)
    line = np.outer(np.linspace(0.1, 1, 300), np.ones(d))
    clusters = np.repeat(rng.normal(size=(6, d)), 50, 0) + 1e-9 * rng.normal(size=(300, d))
    sets = (same_point, line, clusters, np.concatenate([line[:150], same_point[:150]]))
    for x in sets:
        for y in sets:
            for p in (1, 3):
                same_everywhere(x[::11], y, None, 3, metric, p)
                same_everywhere(x[::11], y, rng.normal(size=300) * 1e-9, 3, metric, p)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("scale", [1e-150, 1e-40, 1e40, 1e150])
def test_coordinates_at_any_scale(metric, scale, rng):
    for d in (2, 16):
        x, y = clouds(rng, 60, 400, d)
        for p in (1, 1.5, 2):
            degree = 0 if metric == "cosine" else p
            h = rng.normal(size=400) * 0.1
            expected = PairIndex(x, y, metric=metric, p=p).smallest_k(h, 3)
            for path in paths(metric):
                index = PairIndex(x * scale, y * scale, metric=metric, p=p, path=path)
                values, indices = index.smallest_k(h * scale**degree, 3)
                np.testing.assert_array_equal(indices, expected[1])
                # At the lower end of float64 the values themselves are rounded to its smallest steps.
                np.testing.assert_allclose(
                    values, expected[0] * scale**degree, rtol=tol(np.float64), atol=tol(np.float64) * scale**degree
                )
            same_everywhere(x * scale, y * scale, h * scale**degree, 3, metric, p)


@pytest.mark.parametrize("metric", METRICS)
def test_far_from_the_origin(metric, rng):
    for d in (2, 16):
        x, y = clouds(rng, 60, 500, d)
        same_everywhere(x + 1e6, y + 1e6, rng.normal(size=500) * 1e-3, 4, metric, 1)
        same_everywhere(x + 1e6, y + 1e6, rng.normal(size=500) * 1e-3, 4, metric, 2)


@pytest.mark.parametrize("metric", METRICS)
def test_offsets_of_any_range(metric, rng):
    for d in (2, 16):
        x, y = clouds(rng, 50, 500, d)
        normal = rng.normal(size=500)
        for h in (normal * 1e9, np.exp(20 * normal), normal + 1e8, -1e12 * (normal > 0), np.full(500, -3e5)):
            for p in POWERS:
                same_everywhere(x, y, h, 4, metric, p)
            check(x, y, h, 4, metric, 1)


@pytest.mark.parametrize("d", [2, 16])
def test_thread_count_changes_nothing(d, rng, monkeypatch):
    x, y = clouds(rng, 2000, 1500, d)
    h = rng.normal(size=1500) * 0.1
    answers = []
    for threads in ("1", "2", "3", "7"):
        monkeypatch.setenv("OTGEN_NUM_THREADS", threads)
        answers.append(otgen_kernels.smallest_k(x, y, h, 4, metric="euclidean", p=1))
    for values, indices in answers[1:]:
        np.testing.assert_array_equal(values, answers[0][0])
        np.testing.assert_array_equal(indices, answers[0][1])


def test_an_index_answers_in_both_directions_for_many_offsets(rng):
    for d in (3, 16):
        x, y = clouds(rng, 300, 400, d)
        index = otgen_kernels.PairIndex(x, y, metric="euclidean", p=1)
        for _ in range(3):
            f, g = rng.normal(size=300), rng.normal(size=400)
            for got, expected in (
                (index.c_transform(g), otgen_kernels.c_transform(x, y, g, metric="euclidean", p=1)),
                (index.c_transform_t(f), otgen_kernels.c_transform(y, x, f, metric="euclidean", p=1)),
                (index.smallest_k(g, 6), otgen_kernels.smallest_k(x, y, g, 6, metric="euclidean", p=1)),
                (index.smallest_k_t(f, 6), otgen_kernels.smallest_k(y, x, f, 6, metric="euclidean", p=1)),
            ):
                np.testing.assert_array_equal(got[0], expected[0])
                np.testing.assert_array_equal(got[1], expected[1])
