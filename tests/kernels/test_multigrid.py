from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, laplacian
from scipy.spatial import Delaunay

from otgen_kernels.cpu.multigrid import Multigrid, contract, match_pairs
from tolerance import tol


class Graph:
    """A weighted graph of pairs (k, 2) of its n vertices: CSR, and its Laplacian by scipy."""

    def __init__(self, n, pairs, weights=None):
        pairs = np.asarray(pairs, np.int64).reshape(-1, 2)
        weights = np.ones(len(pairs)) if weights is None else weights
        there, back = pairs.T
        both = np.r_[there, back], np.r_[back, there]
        self.csr: Any = csr_array((np.r_[weights, weights], both), shape=(n, n))
        self.csr.sort_indices()
        self.n = n

    @property
    def arrays(self):
        return self.csr.indptr.astype(np.int64), self.csr.indices.astype(np.int64), self.csr.data

    @property
    def laplacian(self) -> Any:
        return csr_array(laplacian(self.csr))

    def solve(self, r, allowed, most=200):
        return Multigrid(*self.arrays).solve(r, np.broadcast_to(allowed, r.shape).copy(), most)


def path(n):
    return Graph(n, np.c_[np.arange(n - 1), np.arange(1, n)])


def grid(k):
    place = np.arange(k * k).reshape(k, k)
    return Graph(
        k * k, np.r_[np.c_[place[:, :-1].ravel(), place[:, 1:].ravel()], np.c_[place[:-1].ravel(), place[1:].ravel()]]
    )


def star(n):
    return Graph(n, np.c_[np.zeros(n - 1, int), np.arange(1, n)])


def hubs(n):
    """Three hubs, each joined to every third vertex and to the next hub."""
    rest = np.arange(3, n)
    return Graph(n, np.r_[np.c_[rest % 3, rest], [[0, 1], [1, 2]]])


def delaunay(n, seed=0, decades=0.0):
    rng = np.random.default_rng(seed)
    triangles = Delaunay(rng.random((n, 2))).simplices
    pairs = np.unique(np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0)
    return Graph(n, pairs, 10.0 ** rng.uniform(-decades, 0.0, len(pairs)))


def dense(graph, r):
    u = np.linalg.lstsq(graph.laplacian.toarray(), r - r.mean(), rcond=None)[0]
    return u - u.mean()


GRAPHS = {
    "one vertex": Graph(1, np.empty((0, 2))), "one edge": path(2), "forty": path(40), "forty-one": path(41),
    "path": path(250), "grid": grid(14), "star": star(200), "hubs": hubs(200), "planar": delaunay(250),
    "three decades": delaunay(250, 1, 3.0),
}  # fmt: skip


@pytest.mark.parametrize("name", GRAPHS)
def test_solution_is_that_of_a_dense_solve(rng, name):
    graph = GRAPHS[name]
    r = rng.standard_normal(graph.n)
    expected = dense(graph, r)
    scale = np.abs(graph.laplacian).sum(1).max() * np.abs(expected).max() + 1.0
    u, missed, steps = graph.solve(r, tol(np.float64) * scale)
    assert missed <= 1.0 and steps <= 60
    assert abs(u.mean()) <= tol(np.float64) * np.abs(u).max()
    # |u - expected| <= sqrt(n) residual / (least eigenvalue but 0)
    least = np.linalg.eigvalsh(graph.laplacian.toarray())[1:2].sum() or 1.0
    np.testing.assert_allclose(u, expected, rtol=0, atol=2.0 * tol(np.float64) * scale * graph.n**0.5 / least)


@pytest.mark.parametrize("build", [lambda: grid(100), lambda: delaunay(10_000), lambda: path(10_000)])
def test_iterations_do_not_grow_with_the_graph(rng, build):
    graph = build()
    r = rng.standard_normal(graph.n)
    u, missed, steps = graph.solve(r, 1e-6)
    assert missed <= 1.0 and 1 < steps < 60
    assert np.abs(graph.laplacian @ u - (r - r.mean())).max() <= 1.01e-6


def blobs(decades):
    """A planar graph whose weights vary by so many decades, smoothly, as facets of clustered targets do."""
    graph = delaunay(2000, 3)
    place = np.random.default_rng(3).random((2000, 2))
    height = decades * 0.25 * (1.0 + np.sin(9.0 * place[:, 0]) * np.cos(9.0 * place[:, 1]))
    entries = graph.csr.tocoo()
    graph.csr.data[:] = 10.0 ** -(height[entries.row] + height[entries.col])
    return graph


@pytest.mark.parametrize(("graph", "most"), [(delaunay(2000, 3, 4.0), 100), (blobs(12.0), 40)], ids=["4", "smooth 12"])
def test_weights_over_many_decades(rng, graph, most):
    r = graph.laplacian @ rng.standard_normal(graph.n)
    allowed = 1e-5 * graph.laplacian.diagonal()
    u, missed, _ = graph.solve(r, allowed, most)
    assert missed <= 1.0
    rounding = tol(np.float64) * (abs(graph.laplacian) @ np.abs(u)) + abs(r.mean())
    assert (np.abs(graph.laplacian @ u - r) <= allowed + rounding).all()


def test_random_weights_over_twelve_decades_end_and_say_the_error(rng):
    graph = delaunay(2000, 3, 12.0)
    r, allowed = graph.laplacian @ rng.standard_normal(graph.n), 1e-6 * graph.laplacian.diagonal()
    u, missed, steps = graph.solve(r, allowed)
    assert steps <= 200 and (missed <= 1.0 or steps == 200)
    assert missed == pytest.approx((np.abs(graph.laplacian @ u - r) / allowed).max(), rel=1e-4)


def test_every_row_has_its_own_allowance(rng):
    graph = delaunay(3000)
    r, allowed = rng.standard_normal(graph.n), 10.0 ** rng.uniform(-10.0, -1.0, graph.n)
    u, missed, _ = graph.solve(r, allowed)
    left = np.abs(graph.laplacian @ u - (r - r.mean()))
    assert missed == pytest.approx((left / allowed).max(), rel=1e-2, abs=1e-3) and missed <= 1.0
    loose, _, less = graph.solve(r, 0.1)
    assert np.abs(graph.laplacian @ loose - (r - r.mean())).max() > allowed.min()
    assert less < graph.solve(r, allowed)[2]


def test_too_few_iterations_are_said(rng):
    graph = delaunay(3000)
    r = rng.standard_normal(graph.n)
    u, missed, steps = graph.solve(r, 1e-9, most=3)
    assert steps == 3 and missed > 1.0
    assert missed == pytest.approx(np.abs(graph.laplacian @ u - (r - r.mean())).max() / 1e-9, rel=1e-6)


def test_nothing_to_do_takes_no_iteration():
    u, missed, steps = grid(20).solve(np.full(400, 3.0), 1e-9)
    assert steps == 0 and missed <= 1.0 and not u.any()


@pytest.mark.parametrize("graph", [
    Graph(2, np.empty((0, 2))), Graph(300, np.empty((0, 2))),
    Graph(41, np.c_[np.arange(0, 40, 2), np.arange(1, 40, 2)]),
    Graph(800, [(i, i + 1) for i in range(799) if i != 399]),
], ids=["two apart", "no edges", "pairs", "two paths"])  # fmt: skip
def test_unbalanced_pieces_end_and_are_said(rng, graph):
    assert connected_components(graph.csr)[0] > 1
    u, missed, steps = graph.solve(np.r_[1.0, np.zeros(graph.n - 2), -1.0], 1e-9)
    assert missed > 1.0 and steps <= 200 and np.isfinite(missed)
    assert np.isfinite(u).all()


def test_pieces_that_balance_are_solved(rng):
    graph = Graph(800, [(i, i + 1) for i in range(799) if i != 399])
    r = rng.standard_normal(800)
    r[:400] -= r[:400].mean()
    r[400:] -= r[400:].mean()
    u, missed, _ = graph.solve(r, 1e-8)
    assert missed <= 1.0 and np.abs(graph.laplacian @ u - r).max() <= 2e-8


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_answers_scale_with_the_weights(rng, scale):
    graph, r = delaunay(500), rng.standard_normal(500)
    starts, ends, weights = graph.arrays
    u, missed, _ = Multigrid(starts, ends, weights).solve(r, np.full(500, 1e-9), 200)
    v, also, _ = Multigrid(starts, ends, scale * weights).solve(r, np.full(500, 1e-9), 200)
    assert missed <= 1.0 and also <= 1.0
    np.testing.assert_allclose(scale * v, u, rtol=0, atol=1e-6 * np.abs(u).max())


@given(st.integers(2, 60), st.integers(0, 2**32 - 1))
def test_groups_and_coarse_graphs(n, seed):
    rng = np.random.default_rng(seed)
    pairs = np.unique(np.sort(rng.integers(0, n, (3 * n, 2)), axis=1), axis=0)
    graph = Graph(n, pairs[pairs[:, 0] < pairs[:, 1]])
    graph.csr.data[:] = 1.0
    starts, ends, weights = graph.arrays
    group = np.empty(n, np.int64)
    count = match_pairs(starts, ends, weights, group)
    np.testing.assert_array_equal(np.unique(group), np.arange(count))
    alone = np.bincount(group) == 1
    assert all(not graph.csr[[i]].nnz for i in np.flatnonzero(alone[group]))  # only vertices without edges stay alone
    gather = np.zeros((count, n))
    gather[group, np.arange(n)] = 1.0
    expected = gather @ graph.csr.toarray() @ gather.T
    np.fill_diagonal(expected, 0.0)
    new_starts, new_ends, new_weights = contract(starts, ends, weights, group, count)
    found = np.zeros((count, count))
    found[np.repeat(np.arange(count), np.diff(new_starts)), new_ends] = new_weights
    np.testing.assert_array_equal(found, expected)
