"""Index pairs drawn from a plan."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

import otgen


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
    i, j = otgen.couple(x, torch.tensor(y, dtype=torch.float32))
    assert i.dtype == j.dtype == torch.int64 and i.device == x.device
    assert x[i].shape == (16, 2) and sorted(j.tolist()) == list(range(16))


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"seed": -1}, ValueError, "seed must be an int >= 0 or a numpy Generator; got -1"),
        ({"seed": None}, ValueError, "seed must be an int >= 0 or a numpy Generator; got None"),
        ({"n_pairs": 0}, ValueError, "n_pairs must be None .* or an int >= 1; got 0"),
        ({"n_pairs": 1.5}, ValueError, "n_pairs must be None .* or an int >= 1; got 1.5"),
        ({"eps": 1.0}, NotImplementedError, "eps=1.0 asks for the entropic solver"),
        ({"cost": "l2"}, ValueError, "cost must be one of"),
    ],
)
def test_bad_options_are_refused(options, error, match):
    with pytest.raises(error, match=match):
        otgen.couple(np.zeros((2, 2)), np.ones((2, 2)), **options)
