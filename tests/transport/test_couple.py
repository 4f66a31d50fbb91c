"""Index pairs drawn from a plan."""

from __future__ import annotations

import dataclasses
from importlib import import_module

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

import otgen

couple_file = import_module("otgen.transport.couple")


def problem(n, m, seed=0):
    rng = np.random.default_rng(seed)
    a, b = rng.random(n), rng.random(m)
    return rng.normal(size=(n, 2)), rng.normal(size=(m, 2)), a / a.sum(), b / b.sum()


@pytest.mark.parametrize("d", [1, 2])
def test_a_uniform_batch_is_paired_by_the_optimal_permutation(d):
    x, y, _, _ = problem(64, 64)
    i, j = otgen.couple(x[:, :d], y[:, :d], seed=5)
    assert i.dtype == j.dtype == np.int64
    np.testing.assert_array_equal(i, np.arange(64))
    np.testing.assert_array_equal(j, linear_sum_assignment(cdist(x[:, :d], y[:, :d], "sqeuclidean"))[1])


def counts(i, j, shape):
    return np.bincount(i * shape[1] + j, minlength=shape[0] * shape[1]).reshape(shape)


@pytest.mark.parametrize("n_pairs", [None, 3, 17, 500])
def test_systematic_draws_stay_within_one_of_their_mean(n_pairs):
    x, y, a, b = problem(12, 9)
    expected = otgen.solve_sample(x, y, a, b).plan.toarray() * (n_pairs or 12)
    i, j = otgen.couple(x, y, a, b, n_pairs=n_pairs)
    assert len(i) == len(j) == (n_pairs or 12)
    found = counts(i, j, expected.shape)
    assert (found >= np.floor(expected - 1e-9)).all() and (found <= np.ceil(expected + 1e-9)).all()


@pytest.mark.parametrize("replace", [False, True])
def test_pairs_follow_the_plan_on_average(replace):
    x, y, a, b = problem(6, 5)
    plan = otgen.solve_sample(x, y, a, b).plan.toarray()
    rng = np.random.default_rng(0)
    total = sum(counts(*otgen.couple(x, y, a, b, n_pairs=40, replace=replace, seed=rng), (6, 5)) for _ in range(100))
    np.testing.assert_allclose(total / 4000, plan, atol=5 * np.sqrt(0.25 / 4000))


def test_part_of_a_permutation_is_drawn_without_repeats():
    x, y, _, _ = problem(20, 20)
    i, j = otgen.couple(x, y, n_pairs=8)
    assert len(set(i)) == len(set(j)) == 8


def test_points_without_mass_are_never_drawn():
    x, y, a, b = problem(12, 9)
    a[3] = b[4] = 0
    i, j = otgen.couple(x, y, a / a.sum(), b / b.sum(), n_pairs=1000, replace=True)
    assert 3 not in i and 4 not in j


def test_a_seed_repeats_and_a_generator_moves_on():
    x, y, a, b = problem(12, 9)

    def draw(seed):
        return otgen.couple(x, y, a, b, seed=seed, replace=True)[0].tolist()

    rng = np.random.default_rng(3)
    assert draw(3) == draw(3) == draw(rng) != draw(rng)


def test_another_cost():
    x, y, _, _ = problem(16, 16)
    _, j = otgen.couple(x, y, cost="cityblock")
    np.testing.assert_array_equal(j, linear_sum_assignment(cdist(x, y, "cityblock"))[1])


def test_torch_in_index_tensors_out():
    torch = pytest.importorskip("torch")
    x, y, _, _ = problem(16, 16)
    x = torch.tensor(x, dtype=torch.float32, requires_grad=True)
    y = torch.tensor(y, dtype=torch.float32)
    i, j = otgen.couple(x, y, eps=0.1)
    assert i.dtype == j.dtype == torch.int64 and i.tolist() == list(range(16))
    i, j = otgen.couple(x, y)
    assert i.dtype == j.dtype == torch.int64 and i.device == x.device
    assert x[i].shape == (16, 2) and sorted(j.tolist()) == list(range(16))


@pytest.mark.parametrize("replace", [False, True])
def test_pairs_follow_the_entropic_plan_on_average(replace):
    x, y, a, b = problem(6, 5)
    plan = otgen.sinkhorn(x, y, a, b, eps=0.5).plan.toarray()
    rng = np.random.default_rng(0)
    options = {"eps": 0.5, "n_pairs": 400, "replace": replace, "seed": rng}
    total = sum(counts(*otgen.couple(x, y, a, b, **options), (6, 5)) for _ in range(10))
    expected = 4000 * plan
    # Pearson's chi-square of 29 degrees of freedom passes 58.3 once in a thousand; rows drawn evenly only lower it.
    assert ((total - expected) ** 2 / expected).sum() < 58.3


@pytest.mark.parametrize("n_pairs", [None, 7, 500])
def test_entropic_rows_are_drawn_evenly(n_pairs):
    x, y, a, b = problem(12, 9)
    i, j = otgen.couple(x, y, a, b, eps=0.3, n_pairs=n_pairs)
    assert i.dtype == j.dtype == np.int64 and (np.diff(i) >= 0).all() and j.min() >= 0 and j.max() < 9
    found, expected = np.bincount(i, minlength=12), (n_pairs or 12) * a
    assert (found >= np.floor(expected - 1e-9)).all() and (found <= np.ceil(expected + 1e-9)).all()


def test_a_uniform_entropic_batch_has_each_source_once_and_a_small_eps_is_the_exact_pairing():
    x, y, _, _ = problem(16, 16)
    i, j = otgen.couple(x, y, eps=0.5)
    np.testing.assert_array_equal(i, np.arange(16))
    exact = otgen.couple(x, y)[1]
    np.testing.assert_array_equal(otgen.couple(x, y, eps=1e-3)[1], exact)
    assert (j != exact).any()


def test_entropic_points_without_mass_are_never_drawn():
    x, y, a, b = problem(12, 9)
    a[[0, 11]] = b[[0, 8]] = 0
    for replace in (False, True):
        i, j = otgen.couple(x, y, a / a.sum(), b / b.sum(), eps=1.0, n_pairs=1000, replace=replace)
        assert not {0, 11} & set(i.tolist()) and not {0, 8} & set(j.tolist())


def test_an_interrupt_raises_and_an_unreached_tol_warns(monkeypatch):
    x, y, _, _ = problem(40, 40)
    solve_sample = couple_file.solve_sample
    for eps, fields in ((None, {}), (0.1, {}), (0.1, {"max_iter": 1})):
        said = {"converged": False, "message": "interrupted at marginal error 1e-2"} if not fields else {}

        def stopped(*arguments, fields=fields, said=said, **options):
            return dataclasses.replace(solve_sample(*arguments, **options, **fields), **said)

        monkeypatch.setattr(couple_file, "solve_sample", stopped)
        if said:
            with pytest.raises(otgen.ConvergenceError, match="not proven: interrupted at .*See .result") as raised:
                otgen.couple(x, y, eps=eps)
            assert raised.value.result.value > 0
        else:
            with pytest.warns(otgen.ConvergenceWarning, match="Raise max_iter"):
                assert len(otgen.couple(x, y, eps=0.01)[0]) == 40


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"seed": -1}, ValueError, "seed must be an int >= 0 or a numpy Generator; got -1"),
        ({"seed": None}, ValueError, "seed must be an int >= 0 or a numpy Generator; got None"),
        ({"n_pairs": 0}, ValueError, "n_pairs must be None .* or an int >= 1; got 0"),
        ({"n_pairs": 1.5}, ValueError, "n_pairs must be None .* or an int >= 1; got 1.5"),
        ({"eps": 0.0}, ValueError, "eps must be a positive finite number.*got 0.0"),
        ({"cost": "l2"}, ValueError, "cost must be one of"),
    ],
)
def test_bad_options_are_refused(options, error, match):
    with pytest.raises(error, match=match):
        otgen.couple(np.zeros((2, 2)), np.ones((2, 2)), **options)


def test_a_batch_is_refused():
    with pytest.raises(ValueError, match=r"x must have shape \(n, d\); got shape \(2, 3, 2\)"):
        otgen.couple(np.zeros((2, 3, 2)), np.ones((2, 3, 2)), eps=1.0)
