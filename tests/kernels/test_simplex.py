"""The network simplex: its tree after every slice of pivots, and its optimum against an assignment solver and HiGHS."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment, linprog
from scipy.sparse import coo_array

from otgen_kernels.host import NetworkSimplex, whole_masses


def problem(n, m, density=1.0, seed=0, ties=False):
    rng = np.random.default_rng(seed)
    rows, cols = np.nonzero(rng.random((n, m)) < density)
    cost = rng.integers(0, 4, len(rows)).astype(float) if ties else rng.random(len(rows))
    a, b = (rng.integers(1, 5, size).astype(float) for size in (n, m))
    return rows.astype(np.int32), cols.astype(np.int32), cost, *whole_masses(a / a.sum(), b / b.sum())


def started(rows, cols, cost, a, b, price=10.0):
    simplex = NetworkSimplex(a, b)
    simplex.add_arcs(rows, cols, cost)
    simplex.start(np.argsort(cost, kind="stable"), price)
    return simplex


def shipping_cost(simplex):
    """Cost of the flow on the tree; the root, last of the nodes, has no arc of its own."""
    return simplex.flow[:-1] @ simplex.cost[simplex.arc[:-1]]


def check_tree(simplex):
    """Every claim of the data structure, from the parents alone."""
    root = simplex.n_nodes - 1
    order = [int(simplex.thread[root])]
    while order[-1] != root:
        order.append(int(simplex.thread[order[-1]]))
    assert sorted(order) == list(range(simplex.n_nodes))
    order = [root, *order[:-1]]
    place = {v: s for s, v in enumerate(order)}
    below = {v: {v} for v in order}
    for v in reversed(order[1:]):
        assert place[int(simplex.parent[v])] < place[v]
        below[int(simplex.parent[v])] |= below[v]
    net = np.concatenate([simplex.masses[: simplex.n], -simplex.masses[simplex.n :], [0.0]])
    for v in order:
        interval = order[place[v] : place[v] + len(below[v])]
        assert below[v] == set(interval) and simplex.size[v] == len(interval) and simplex.last[v] == interval[-1]
        assert simplex.back[simplex.thread[v]] == v
        if v != root:
            arc, up = simplex.arc[v], bool(simplex.up[v])
            ends = (int(simplex.tail[arc]), int(simplex.head[arc]))
            assert ends == ((v, simplex.parent[v]) if up else (simplex.parent[v], v))
            assert simplex.flow[v] > 0 or (simplex.flow[v] == 0 and up), "strongly feasible"
            net[ends[0]] -= simplex.flow[v]
            net[ends[1]] += simplex.flow[v]
            reduced = simplex.cost[arc] - simplex.pi[ends[0]] + simplex.pi[ends[1]]
            assert abs(reduced) < 1e-12
    assert not net.any(), "whole masses balance exactly"


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 6), (6, 1), (7, 7), (23, 17)])
def test_the_tree_is_sound_after_every_slice(n, m, ties):
    simplex = started(*problem(n, m, ties=ties))
    check_tree(simplex)
    optimal = False
    while not optimal:
        _, optimal = simplex.pivot(1e-13, 1)
        check_tree(simplex)
    assert not simplex.leftovers()[0].any()


@pytest.mark.parametrize("seed", range(5))
def test_optimum_of_an_assignment(seed):
    n = 60
    cost = np.random.default_rng(seed).random((n, n))
    rows, cols = np.divmod(np.arange(n * n, dtype=np.int32), np.int32(n))
    simplex = started(rows, cols, cost.ravel(), np.ones(n), np.ones(n))
    assert simplex.pivot(0.0, 10**6)[1]
    found_rows, found_cols, mass = simplex.plan()
    assert (mass == 1).all() and len(mass) == n
    assert cost[found_rows, found_cols].sum() == pytest.approx(cost[linear_sum_assignment(cost)].sum(), rel=1e-14)


@pytest.mark.parametrize("seed", range(5))
def test_optimum_on_sparse_arcs(seed):
    n, m = 30, 20
    rows, cols, cost, a, b = problem(n, m, density=0.6, seed=seed)
    simplex = started(rows, cols, cost, a, b, price=1e4)
    assert simplex.pivot(1e-12, 10**6)[1]
    arcs = np.arange(len(rows))
    balance = coo_array((np.ones(2 * len(rows)), (np.r_[rows, n + cols], np.r_[arcs, arcs]))).tocsr()
    best = linprog(cost, A_eq=balance, b_eq=np.r_[a, b] / a.sum())
    at, to, mass = simplex.plan()
    dense = np.full((n, m), np.inf)
    dense[rows, cols] = cost
    assert (dense[at, to] * mass).sum() / a.sum() == pytest.approx(best.fun, rel=1e-9)  # HiGHS solves vertices exactly
    u, v = simplex.duals()
    assert (cost - u[rows] - v[cols]).min() >= -1e-11


def test_arcs_added_later_are_priced_and_the_basis_continues():
    rows, cols, cost, a, b = problem(20, 20, seed=3)
    half = len(rows) // 2
    simplex = started(rows[::2], cols[::2], cost[::2], a, b)
    simplex.pivot(0.0, 10**6)
    before = shipping_cost(simplex)
    simplex.add_arcs(rows[1::2], cols[1::2], cost[1::2])
    simplex.pivot(0.0, 10**6)
    whole = started(rows, cols, cost, a, b)
    whole.pivot(0.0, 10**6)
    after, straight = shipping_cost(simplex), shipping_cost(whole)
    assert half and after < before and after == pytest.approx(straight, rel=1e-13)
    check_tree(simplex)


def test_what_no_arc_can_carry_is_left_over():
    a, b = np.array([3.0, 1.0]), np.array([1.0, 3.0])
    simplex = started(np.array([0, 1], np.int32), np.array([0, 1], np.int32), np.zeros(2), a, b)
    assert simplex.pivot(0.0, 100)[1]
    left_a, left_b = simplex.leftovers()
    assert left_a.tolist() == [2.0, 0.0] and left_b.tolist() == [0.0, 2.0]


def test_masses_may_be_replaced_by_nearly_the_same():
    rows, cols, cost, a, b = problem(15, 11, seed=1)
    simplex = started(rows, cols, cost, a, b)
    simplex.pivot(0.0, 10**6)
    true_a, true_b = a / a.sum(), b / b.sum()
    simplex.rescale(true_a, true_b)
    at, to, mass = simplex.plan()
    np.testing.assert_allclose(np.bincount(at, mass, 15), true_a, rtol=1e-14)
    np.testing.assert_allclose(np.bincount(to, mass, 11), true_b, rtol=1e-14)
