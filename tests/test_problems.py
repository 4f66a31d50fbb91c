"""The spread of `otgen validate` covers what it claims, and is the same every time."""

from __future__ import annotations

import math

import numpy as np

from otgen.problems import entropic_problems, problems


def test_the_spread_covers_what_it_claims() -> None:
    spread = list(problems(quick=True))
    assert {p.x.shape[1] for p in spread if p.x is not None} >= {1, 2, 3, 16, 64}
    assert {(p.metric, p.p) for p in spread} >= {
        (m, q) for m in ("cityblock", "chebyshev", "cosine") for q in (1, 1.5, 3)
    }
    assert any(p.a is not None and (p.a == 0).any() for p in spread)
    assert any(p.x is not None and p.y is not None and len(p.x) != len(p.y) for p in spread)
    assert any(p.C is not None for p in spread)
    assert all(p.eps is None for p in spread)


def test_the_entropic_spread_covers_what_it_claims() -> None:
    spread = list(entropic_problems(quick=True))
    balanced = [p for p in spread if p.unbalanced is None and not p.divergence]
    shares = {round(float(p.eps / p.cost_matrix().mean()), 6) for p in balanced if p.eps is not None}
    assert shares == {1.0, 0.1, 0.03}
    assert {p.x.shape[1] for p in balanced if p.x is not None} == {1, 2, 3, 16, 64}
    assert {p.metric for p in balanced} == {"euclidean", "cityblock", "chebyshev", "cosine"}
    assert any(p.b is not None and (p.b == 0).any() for p in balanced) and any(p.C is not None for p in balanced)
    unbalanced = [p for p in spread if p.unbalanced is not None and not p.divergence]
    assert {math.inf} <= {rho for p in unbalanced for rho in p.unbalanced or ()}
    assert any(not np.isclose(w[0].sum(), w[1].sum()) for w in (p.weights() for p in unbalanced))
    assert {p.unbalanced is None for p in spread if p.divergence} == {True, False}
    assert all(p.eps is not None for p in spread)


def test_they_are_the_same_every_time() -> None:
    for these in (problems, entropic_problems):
        once, again = list(these(quick=True)), list(these(quick=True))
        assert all(np.array_equal(p.cost_matrix(), q.cost_matrix()) for p, q in zip(once, again, strict=True))
        assert [(p.name, p.label()) for p in once] == [(q.name, q.label()) for q in again]


def test_quick_is_smaller() -> None:
    assert max(p.cost_matrix().size for p in problems(quick=True)) == 150 * 150
    assert max(p.cost_matrix().size for p in problems(quick=False)) == 1500 * 1500
    assert max(p.cost_matrix().size for p in entropic_problems(quick=True)) == 50 * 30
    assert max(p.cost_matrix().size for p in entropic_problems(quick=False)) == 200 * 120


def test_labels_and_uniform_weights() -> None:
    problem = next(p for p in entropic_problems(quick=True) if p.name == "unbalanced" and p.unbalanced == (0.5, 2.0))
    assert problem.label() == f"euclidean^2, eps {problem.eps:.2g}, rho 0.5 2"
    a, b = next(problems(quick=True)).weights()
    assert a.sum() == b.sum() or np.isclose(a.sum(), b.sum())
    assert (a == 1 / len(a)).all()
