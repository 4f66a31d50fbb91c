"""Permutation tests: their statistics are the public ones, and their p-values hold their level."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

import naive_kernels as naive
import otgen
from otgen.transport.kernel_choice import parse_kernel
from otgen.transport.two_sample import STATISTICS, _Kernels, _Lines


def samples(n=30, m=20, d=2, shift=0.0, seed=0, dtype: Any = np.float64):
    rng = np.random.default_rng((seed, n, m, d))
    return rng.normal(size=(n, d)).astype(dtype), (rng.normal(size=(m, d)) + shift).astype(dtype)


def public(statistic, x, y):
    return {
        "mmd": lambda: otgen.mmd_squared(x, y, bandwidth=naive.median_distance([*x, *y])),  # whatever the labels
        "energy": lambda: otgen.energy_distance_squared(x, y),
        "wasserstein": lambda: otgen.wasserstein(x, y),
    }[statistic]()


@pytest.mark.parametrize("d", [1, 3, 10])
@pytest.mark.parametrize("statistic", ["mmd", "energy", "wasserstein"])
def test_the_statistic_is_the_public_discrepancy(statistic, d):
    x, y = samples(d=d, shift=0.5)
    found = otgen.two_sample_test(x, y, statistic=statistic, n_permutations=5)
    assert found.statistic == pytest.approx(public(statistic, x, y), rel=1e-9) and found.n_permutations == 5
    assert found.p_value in {k / 6 for k in range(1, 7)} and found.name == statistic
    assert repr(found).startswith(f"TwoSampleTest: {statistic} ")


def test_the_sliced_statistic_is_that_along_its_lines(rng):
    x, y = samples(d=3, shift=0.5)
    values, marks = np.concatenate([x, y]) @ rng.normal(size=(3, 4)), (np.arange(50) < 30)[:, None]
    expected = np.mean([otgen.wasserstein_1d(values[:30, k], values[30:, k], p=2) ** 2 for k in range(4)]) ** 0.5
    assert _Lines(values, 2.0)(marks)[0] == pytest.approx(expected, rel=1e-12)
    for p in (1, 2):  # a seed draws the same directions
        found = otgen.two_sample_test(x, y, statistic="sliced", n_permutations=9, n_projections=30, p=p, seed=5)
        along = otgen.sliced_wasserstein(x, y, p=p, n_projections=30, seed=5)
        assert found.statistic == pytest.approx(along.value, rel=1e-12)


def test_the_bandwidth_used_is_told_and_repeats_the_test():
    x, y = samples(700, 500, shift=0.1)  # more points than the median is taken of
    found = otgen.two_sample_test(x, y, n_permutations=9, seed=2)
    again = otgen.two_sample_test(x, y, n_permutations=9, seed=2, bandwidth=found.bandwidth)
    np.testing.assert_array_equal(found.null, again.null)
    assert again.p_value == found.p_value and again.bandwidth == found.bandwidth
    x, y = samples()
    assert otgen.two_sample_test(x, y, n_permutations=1).bandwidth == pytest.approx(naive.median_distance([*x, *y]))
    without: list[dict[str, Any]] = [{"kernel": "polynomial"}, {"statistic": "energy"}, {"statistic": "sliced"}]
    for given in without:
        assert otgen.two_sample_test(x, y, n_permutations=1, **given).bandwidth is None


@pytest.mark.parametrize("kernel", ["imq", "polynomial", "energy"])
@pytest.mark.parametrize("unbiased", [True, False])
def test_each_permutation_has_the_value_of_its_own_clouds(rng, kernel, unbiased):
    x, y = samples(12, 9, 2)
    pooled = np.concatenate([x, y])
    given = "median" if kernel != "imq" else 0.8
    discrepancy = _Kernels(pooled, 12, parse_kernel(kernel, None, given), rng, unbiased=unbiased)
    marks = rng.permuted(np.broadcast_to(np.arange(21) < 12, (7, 21)), axis=1).T
    estimator = "unbiased" if unbiased else "biased"
    expected = [
        otgen.mmd_squared(pooled[s], pooled[~s], kernel=kernel, bandwidth=given, estimator=estimator) for s in marks.T
    ]
    assert np.abs(discrepancy(marks) - expected).max() <= discrepancy.rounding


def test_the_p_value_is_that_of_all_labellings():
    """4 + 3 points have 35 labellings: sampled p-values tend to the share of those that reach the statistic."""
    x, y = samples(4, 3, 1, shift=1.0)
    pooled = np.concatenate([x, y])
    values = []
    for chosen in itertools.combinations(range(7), 4):
        rest = [k for k in range(7) if k not in chosen]
        values.append(otgen.energy_distance_squared(pooled[list(chosen)], pooled[rest]))
    share = np.mean(np.array(values) >= otgen.energy_distance_squared(x, y) - 1e-12)
    found = otgen.two_sample_test(x, y, statistic="energy", n_permutations=20_000)
    assert found.p_value == pytest.approx(share, abs=4.0 * np.sqrt(share * (1 - share) / 20_000) + 1e-4)


@pytest.mark.parametrize("statistic", ["mmd", "energy", "sliced"])
def test_the_level_holds_where_the_distributions_are_one(statistic):
    p_values = [
        otgen.two_sample_test(*samples(9, 7, seed=k), statistic=statistic, n_permutations=19, seed=k).p_value
        for k in range(300)
    ]
    for alpha in (0.05, 0.1, 0.5):
        assert np.mean(np.array(p_values) <= alpha) <= alpha + 4.0 * np.sqrt(alpha * (1 - alpha) / 300)
    assert np.mean(p_values) == pytest.approx(0.525, abs=0.08)  # uniform on 1/20 ... 1


@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_shift_is_found_and_a_seed_repeats_it(statistic):
    x, y = samples(40, 30, shift=2.0, dtype=np.float32)
    found = otgen.two_sample_test(torch.tensor(x), torch.tensor(y), statistic=statistic, n_permutations=49, seed=3)
    double = otgen.two_sample_test(x.astype(float), y.astype(float), statistic=statistic, n_permutations=49, seed=3)
    np.testing.assert_array_equal(found.null, double.null)
    assert found.p_value == 1 / 50 and found.statistic > found.null_quantiles[0.99] >= found.null_quantiles[0.5]
    assert found.null_quantiles[0.9] == pytest.approx(np.quantile(found.null, 0.9))
    again = otgen.two_sample_test(x, y, statistic=statistic, n_permutations=49, seed=3)
    np.testing.assert_array_equal(found.null, again.null)
    other = otgen.two_sample_test(x, y, statistic=statistic, n_permutations=49, seed=4)
    assert (other.null != found.null).any()


@pytest.mark.parametrize("statistic", STATISTICS)
def test_labels_that_change_nothing_count_as_equal(statistic):
    x = np.zeros((6, 2))
    given: dict[str, Any] = {"bandwidth": 1.0} if statistic == "mmd" else {}
    assert otgen.two_sample_test(x, x[:4], statistic=statistic, n_permutations=19, **given).p_value == 1.0
    # Two places, one for each sample: of the 20 labellings 2 reach what is observed, and rounding must not part them.
    y = np.ones((3, 3)) / 3
    found = otgen.two_sample_test(0.1 * y, 0.7 * y, statistic=statistic, n_permutations=199)
    assert found.p_value == (1 + int(np.isclose(found.null, found.statistic, rtol=1e-6).sum())) / 200
    assert 0.02 < found.p_value < 0.25


@pytest.mark.parametrize(("n", "m"), [(20, 20), (90, 4), (4, 90)])
@pytest.mark.parametrize("kernel", ["laplace", "energy"])
def test_labellings_of_samples_with_few_values_are_equal_where_their_counts_are(rng, kernel, n, m):
    places = rng.normal(size=(3, 2)) + 7.0
    of = rng.integers(0, 3, n + m)
    chosen = parse_kernel(kernel, None, "median")
    discrepancy = _Kernels(places[of], n, chosen, rng, unbiased=kernel != "energy")
    marks = rng.permuted(np.broadcast_to(np.arange(n + m) < n, (200, n + m)), axis=1).T
    values = discrepancy(marks)
    counts = np.stack([(marks & (of == k)[:, None]).sum(axis=0) for k in range(3)])
    _, group = np.unique(counts, axis=1, return_inverse=True)
    groups = [values[group.ravel() == k] for k in range(group.max() + 1)]
    assert max(len(one) for one in groups) > 1
    assert max(float(np.ptp(one)) for one in groups) <= discrepancy.rounding
    assert discrepancy.rounding < 1e-6 * np.ptp(values)


@pytest.mark.parametrize("statistic", ["mmd", "energy", "wasserstein", "sliced"])
def test_scales_and_a_common_shift_change_no_p_value(statistic):
    x, y = samples(12, 9, 1 if statistic == "wasserstein" else 2, shift=0.7)
    given: dict[str, Any] = {"statistic": statistic, "n_permutations": 49}
    given |= {"p": 60.0} if statistic in ("wasserstein", "sliced") else {}
    found = otgen.two_sample_test(x, y, **given)
    assert 1 / 50 < found.p_value < 1.0 and (found.null > 0.0).any()
    for unit, moved in ((1e-150, 0.0), (1e150, 0.0), (1.0, 1e6)):
        again = otgen.two_sample_test(unit * x + moved, unit * y + moved, **given)
        assert again.p_value == found.p_value
        size = 1.0 if statistic == "mmd" else unit
        assert again.statistic == pytest.approx(size * found.statistic, rel=1e-7)


def test_it_reports_and_can_be_interrupted():
    x, y = samples()
    seen = []
    otgen.two_sample_test(x, y, n_permutations=600, progress=seen.append)
    assert [info["permutations"] for info in seen] == [255, 511, 600] and seen[0]["of"] == 600

    def stop(info):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        otgen.two_sample_test(x, y, progress=stop)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"statistic": "ks"}, r"statistic must be one of mmd, energy, wasserstein, sliced; got 'ks'"),
        ({"n_permutations": 0}, r"n_permutations must be an int >= 1; got 0"),
        ({"n_permutations": 9.0}, r"n_permutations must be an int >= 1; got 9.0"),
        ({"statistic": ["mmd"]}, r"statistic must be one of mmd, energy, wasserstein, sliced; got \['mmd'\]"),
        ({"statistic": "sliced", "n_projections": 0}, r"n_projections must be an int >= 1; got 0"),
        ({"seed": "x"}, r"seed must be an int >= 0"),
        ({"statistic": "sliced", "p": 0.5}, r"p must be a finite number >= 1; got 0.5"),
        ({"kernel": "rbf"}, r"kernel must be one of"),
        ({"bandwidth": "mean"}, r"bandwidth must be 'median' or a finite length > 0; got 'mean'"),
        ({"p": 2}, r"p must be left out for statistic='mmd', whose options are: kernel, scales, bandwidth; got 2"),
        ({"n_projections": 9}, r"n_projections must be left out for statistic='mmd'.*; got 9"),
        ({"statistic": "energy", "bandwidth": 1.0}, r"bandwidth must be left out for .*'energy'.*are: none; got 1.0"),
        ({"statistic": "energy", "kernel": "imq"}, r"kernel must be left out for statistic='energy'.*; got 'imq'"),
        ({"statistic": "sliced", "scales": [1.0]}, r"scales must be left out for statistic='sliced'.*p, n_projections"),
        ({"statistic": "wasserstein", "n_projections": 9}, r"n_projections must be left out for .*are: p; got 9"),
    ],
)
def test_what_it_refuses(given, says):
    with pytest.raises(ValueError, match=says):
        otgen.two_sample_test(*samples(), **given)


def test_what_it_refuses_of_samples():
    x, y = samples()
    with pytest.raises(ValueError, match=r"x and y must have two points each for statistic='mmd'; got 1 and 20"):
        otgen.two_sample_test(x[:1], y)
    assert otgen.two_sample_test(x[:1], y, statistic="energy", n_permutations=9).p_value > 0
    with pytest.raises(TypeError, match=r"progress must be None or a function"):
        otgen.two_sample_test(x, y, progress=3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"got shape \(30,\). Reshape points on the line to \(n, 1\), a single point"):
        otgen.two_sample_test(x[:, 0], y[:, 0], statistic="wasserstein")
    with pytest.raises(
        ValueError, match=r"For clouds \(B, n, d\) loop over x\[k\] and y\[k\]; .* x.reshape\(len\(x\), -1"
    ):
        otgen.two_sample_test(x[None], y[None])
    with pytest.raises(ValueError, match=r"y must be finite"):
        otgen.two_sample_test(x, np.full((3, 2), np.nan))
