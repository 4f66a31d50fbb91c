"""Matrices of distances: against loops over the distances, and their door."""

from __future__ import annotations

import math
import pickle
from functools import partial
from typing import Any

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import otgen
from otgen.transport import pair_discrepancy, pair_sliced
from pairwise_clouds import check, clouds, loop, masses, mean_distance
from tolerance import tol


def bandwidth(name: str) -> dict[str, Any]:
    """What mmd needs and the others do not have."""
    return {"bandwidth": 1.0} if name == "mmd" else {}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("p", "metric"), [(1, "euclidean"), (2, "euclidean"), (1.5, "cityblock"), (1, "cosine")])
def test_agrees_with_a_loop_over_wasserstein(p, metric, weighted):
    samples, weights = clouds(), masses() if weighted else None
    found = otgen.pairwise(samples, weights, p=p, metric=metric)
    check(found, loop(partial(otgen.wasserstein, p=p, metric=metric), samples, weights))


def test_agrees_with_pot():
    samples, weights = clouds(d=3), masses()
    check(
        otgen.pairwise(samples, weights),
        loop(lambda x, y, a, b: ot.emd2(a, b, ot.dist(x, y, "euclidean")), samples, weights),
        1e-9,
    )


@pytest.mark.parametrize(
    ("name", "options", "function"),
    [
        ("sinkhorn_divergence", {"eps": 0.5}, partial(otgen.sinkhorn_divergence, eps=0.5)),
        ("energy", {}, lambda *four: math.sqrt(otgen.energy_distance_squared(*four))),
        ("mmd", {"bandwidth": 2}, lambda *four: math.sqrt(otgen.mmd_squared(*four, bandwidth=2, estimator="biased"))),
    ],
)
def test_other_distances_agree_with_loops_over_them(name, options, function):
    samples, weights = clouds(), masses()
    check(otgen.pairwise(samples, weights, distance=name, **options), loop(function, samples, weights))


def test_sliced_distances_share_their_directions():
    from otgen.transport.sliced import sliced_wasserstein

    samples = clouds()
    options: dict = {"p": 1, "n_projections": 20, "seed": 3}
    found = otgen.pairwise(samples, distance="sliced_wasserstein", **options)
    check(found, loop(lambda *four: sliced_wasserstein(*four, **options).value, samples))


def sliced(x, y, a, b, **options):
    return otgen.sliced_wasserstein(x, y, a, b, **options).value


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("p", "d"), [(1, 1), (2, 2), (3.5, 20), (1, 300)])
def test_sliced_distances_of_clouds_that_are_sorted_once(monkeypatch, p, d, weighted):
    samples, weights = clouds(d=d), masses() if weighted else None
    if weights is not None:
        weights[2] = np.full(25, 1 / 25)  # uniform beside others that are not
        weights[3][:30] = 0.0
        weights = [a * (1.5 / a.sum()) for a in weights]
    options: dict = {"p": p, "n_projections": 40, "seed": 3}
    found = otgen.pairwise(samples, weights, distance="sliced_wasserstein", **options)
    check(found, loop(partial(sliced, **options), samples, weights))
    for room in (0, 8 * 40 * 60):  # what does not fit is sorted for every pair, to the same bits
        monkeypatch.setattr(pair_sliced, "KEPT", room)
        assert (otgen.pairwise(samples, weights, distance="sliced_wasserstein", **options) == found).all()


@pytest.mark.parametrize("name", ["sliced_wasserstein", "energy", "mmd"])
def test_what_belongs_to_a_cloud_is_worked_out_once(monkeypatch, name):
    samples, calls = clouds(), []
    kind = pair_sliced.SlicedPairs if name == "sliced_wasserstein" else pair_discrepancy.DiscrepancyPairs
    work = "_sort_all" if name == "sliced_wasserstein" else "_prepare"
    whole = getattr(kind, work)
    monkeypatch.setattr(kind, work, lambda self, i, *more: calls.append(i) or whole(self, i, *more))
    otgen.pairwise(samples, distance=name, workers=1, **bandwidth(name))
    assert sorted(calls) == list(range(len(samples)))


@pytest.mark.parametrize("name", ["sliced_wasserstein", "energy"])
def test_extreme_scales_of_other_distances(name):
    samples, weights = clouds((20, 30, 1)), masses((20, 30, 1))
    expected = otgen.pairwise(samples, weights, distance=name)
    power = 0.5 if name == "energy" else 1.0  # the root of a distance
    for scale in (1e-150, 1e150):
        found = otgen.pairwise([scale * x for x in samples], weights, distance=name)
        check(found / scale**power, expected)
    mixed = otgen.pairwise([1e-150 * samples[0], 1e-150 * samples[1], 1e150 * samples[1]], distance=name)
    first = otgen.pairwise(samples[:2], distance=name)[0, 1]
    assert mixed[0, 1] == pytest.approx(1e-150**power * first, rel=tol(float))
    with pytest.raises(ValueError, match=r"pair \(0, 1\).*leave the range of float64.*Rescale x and y together"):
        otgen.pairwise([1.7e308 * np.eye(4), -1.7e308 * np.ones((3, 4))], distance=name)


def test_sliced_distances_of_float32_clouds_far_from_the_origin_or_from_each_other():
    far = [(2.0**12 + np.round(64 * x) / 64).astype(np.float32) for x in clouds((20, 30, 9))]
    near = [x.astype(float) - 2.0**12 for x in far]  # exactly
    measure = partial(otgen.pairwise, distance="sliced_wasserstein")
    check(measure(far), measure(near), tol(np.float32))
    apart = [np.float32(scale) * x for scale, x in zip((1e-30, 1e-30, 1e30), far)]
    assert measure(apart)[0, 1] == pytest.approx(measure([x.astype(float) for x in apart])[0, 1], rel=tol(np.float32))


@pytest.mark.parametrize("name", ["sliced_wasserstein", "energy", "mmd"])
def test_equal_clouds_are_at_no_distance_but_for_rounding(name):
    (x,) = clouds((30,))
    found = otgen.pairwise([x, x.copy()], distance=name, **bandwidth(name))
    assert found[0, 1] <= (1e-7 if name != "sliced_wasserstein" else 0.0)  # the root of a rounding


@pytest.mark.parametrize("d", [2, 40])
def test_frechet_distances(d):
    samples = clouds((30, 25, 70), d=d)
    found = otgen.pairwise(samples, distance="frechet")
    check(found, loop(lambda x, y, a, b: math.sqrt(otgen.frechet_distance(x, y)), samples))
    check(otgen.pairwise([1e-200 * x for x in samples], distance="frechet") / 1e-200, found)


def test_a_function_measures_too():
    samples = clouds()
    check(otgen.pairwise(samples, distance=mean_distance), loop(mean_distance, samples))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 2]), st.floats(0.01, 100), st.floats(-10, 10))
def test_is_a_metric_that_moves_with_the_points(seed, p, scale, shift):
    rng = np.random.default_rng(seed)
    samples = [np.round(rng.normal(size=(int(n), 2)), 1) for n in rng.integers(1, 12, 4)]
    found = otgen.pairwise(samples, p=p)
    assert all(
        found[i, k] <= (found[i, j] + found[j, k]) * (1 + tol(float)) + tol(float)
        for i in range(4)
        for j in range(4)
        for k in range(4)
    )
    moved = otgen.pairwise([scale * x + shift for x in samples], p=p)
    np.testing.assert_allclose(moved, scale * found, rtol=1e-9, atol=1e-9 * scale)
    order = rng.permutation(4)
    np.testing.assert_allclose(
        otgen.pairwise([samples[i] for i in order], p=p), found[np.ix_(order, order)], rtol=1e-12, atol=1e-12
    )


def test_one_cloud_two_clouds_and_equal_ones():
    x, y = clouds((20, 30))
    assert otgen.pairwise([x]).tolist() == [[0.0]]
    value = otgen.pairwise([x, y])
    assert value[0, 1] == value[1, 0] == pytest.approx(otgen.wasserstein(x, y), rel=tol(float))
    assert (otgen.pairwise([x, x[::-1], x]) == 0).all()
    assert otgen.pairwise(np.stack([x, x + [3.0, 4.0]]))[0, 1] == pytest.approx(5.0, rel=tol(float))


def test_points_without_mass_take_no_part():
    samples, weights = clouds((20, 30, 10)), masses((20, 30, 10))
    more = [np.vstack([x, [[1e6, -1e6]]]) for x in samples]
    check(otgen.pairwise(more, [np.append(a, 0.0) for a in weights]), otgen.pairwise(samples, weights))


def test_weights_may_be_left_out_for_some_clouds():
    samples, weights = clouds((20, 30)), [None, masses((30,))[0]]
    expected = otgen.wasserstein(samples[0], samples[1], None, weights[1])
    assert otgen.pairwise(samples, weights)[0, 1] == pytest.approx(expected, rel=tol(float))


@pytest.mark.parametrize("scale", [1e-150, 1e150])
@pytest.mark.parametrize("p", [1, 2])
def test_extreme_scales(scale, p):
    samples = clouds((20, 30, 1))
    check(otgen.pairwise([scale * x for x in samples], p=p) / scale, otgen.pairwise(samples, p=p))
    mixed = otgen.pairwise([1e-150 * samples[0], 1e-150 * samples[1], 1e100 * samples[1]], p=p)
    assert mixed[0, 1] == pytest.approx(1e-150 * otgen.wasserstein(samples[0], samples[1], p=p), rel=tol(float))


def test_hard_clouds_agree_with_wasserstein():
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.arange(8.0), np.arange(8.0)), -1).reshape(-1, 2)
    line = rng.random((80, 1)) * [1.0, 2.0]
    samples = [
        grid,
        grid + 0.5,
        line,
        np.zeros((50, 2)),
        grid[rng.integers(5, size=90)],
        1e6 + grid,
        rng.standard_cauchy((99, 2)),
    ]
    check(otgen.pairwise(samples), loop(otgen.wasserstein, samples))


def test_clouds_too_large_for_one_call_and_on_the_line():
    samples = clouds((300, 20, 280))
    check(otgen.pairwise(samples), loop(otgen.wasserstein, samples))
    samples = clouds((50, 20, 30), d=1)
    check(otgen.pairwise(samples, p=2), loop(partial(otgen.wasserstein, p=2), samples))


def test_a_small_pair_needs_no_second_solver(monkeypatch):
    monkeypatch.setattr("otgen.transport.pair_exact.wasserstein", None)
    samples, weights = clouds((200, 150, 90, 2)), masses((200, 150, 90, 2))
    assert (otgen.pairwise(samples, weights) == otgen.pairwise(samples, weights, workers=1)).all()
    otgen.pairwise(samples, p=2)


def test_other_arrays_are_read_as_everywhere():
    samples = clouds((20, 30, 10))
    single = [x.astype(np.float32) for x in samples]
    found = otgen.pairwise(single)
    check(found, loop(otgen.wasserstein, [x.astype(float) for x in single]), tol(np.float32))
    check(otgen.pairwise([x.tolist() for x in samples]), otgen.pairwise(samples))
    check(otgen.pairwise([np.asfortranarray(x)[::-1] for x in samples]), otgen.pairwise(samples))
    whole = [np.round(4 * x).astype(int) for x in samples]
    check(otgen.pairwise(whole), otgen.pairwise([x.astype(float) for x in whole]))


def test_tensors_give_a_tensor_without_gradient():
    samples = clouds((20, 20))
    found = otgen.pairwise([torch.from_numpy(x).float() for x in samples])
    assert isinstance(found, torch.Tensor) and found.dtype == torch.float64 and not found.requires_grad
    stacked = otgen.pairwise(torch.from_numpy(np.stack(samples)), [torch.full((20,), 0.05), None])
    np.testing.assert_allclose(stacked.numpy(), otgen.pairwise(samples), rtol=1e-6)
    with pytest.raises(ValueError, match="samples must not require gradients.*Detach them, or call otgen.wasserstein"):
        otgen.pairwise([torch.from_numpy(x).requires_grad_() for x in samples])


X = np.zeros((3, 2))


@pytest.mark.parametrize(
    ("samples", "options", "kind", "message"),
    [
        ([X, np.zeros((3, 3))], {}, ValueError, r"samples\[1\] must have points of the dimension of samples\[0\]"),
        ([X, X, [[0.0, math.nan]]], {}, ValueError, r"samples\[2\] must be finite; samples\[2\]\[0, 1\] is nan"),
        ([X, np.zeros(3)], {}, ValueError, r"samples\[1\] must have shape \(n, d\)"),
        ([], {}, ValueError, "samples must hold at least one cloud; got an empty list"),
        (X, {}, ValueError, r"samples must be a list of arrays .* got shape \(3, 2\)"),
        (7, {}, ValueError, "samples must be a list of arrays .* got int"),
        ([X, torch.zeros(3, 2)], {}, TypeError, "arrays must come from one library"),
        ([X, X], {"weights": [np.ones(3)]}, ValueError, "weights must be None or a list of 2 arrays.* got 1 of them"),
        ([X, X], {"weights": [np.ones(3), np.ones(2)]}, ValueError, r"weights\[1\] must have shape \(3,\)"),
        ([X, X], {"weights": [np.ones(3), 2 * np.ones(3)]}, ValueError, r"weights\[1\] must sum to the mass of"),
        ([X, X], {"workers": 0}, ValueError, "workers must be None .* or an int >= 1; got 0"),
        ([X, X], {"workers": True}, ValueError, "workers must be None .* or an int >= 1; got True"),
        ([X, X], {"backend": "dask"}, ValueError, "backend must be None .threads. or 'joblib'; got 'dask'"),
        ([X, X], {"progress": 3}, TypeError, "progress must be None, True or a function of one dict; got int"),
        ([X, X], {"distance": "hausdorff"}, ValueError, "distance must be one of wasserstein, .*; got 'hausdorff'"),
        ([X, X], {"eps": 1.0}, TypeError, "wasserstein has no option 'eps'; its options: p, metric"),
        ([X, X], {"distance": "energy", "p": 1}, TypeError, "energy has no option 'p'; its options: none"),
        ([X, X], {"distance": mean_distance, "p": 1}, TypeError, "a function takes its options with it; got p"),
        ([X, X], {"distance": "sinkhorn_divergence"}, TypeError, "sinkhorn_divergence needs eps"),
        ([X, X], {"distance": "mmd", "bandwidth": "median"}, ValueError, "mmd needs a number as.* got 'median'"),
        ([X[:1], X], {"distance": "frechet"}, ValueError, r"samples\[0\] must hold two samples.*got 1. Draw more"),
        ([X, X], {"distance": "mmd", "bandwidth": 1.0, "kernel": "rbf"}, ValueError, "kernel must be one of"),
        ([X, X], {"distance": "sliced_wasserstein", "p": 0.5}, ValueError, "p must be a finite number >= 1; got 0.5"),
        ([X, X], {"distance": "sliced_wasserstein", "projections": "all"}, ValueError, "projections must be one of"),
        ([X, X], {"distance": "frechet", "weights": [np.ones(3)] * 2}, ValueError, "frechet .* takes no weights"),
        ([X, X], {"distance": "sliced_wasserstein", "seed": np.random.default_rng()}, TypeError, "seed must be an int"),
        ([X, X], {"metric": "cosine"}, ValueError, r"pair \(0, 1\), x = samples\[0\], y = samples\[1\]: cosine needs"),
        ([X, X], {"p": 0.5}, ValueError, "p must be a finite number >= 1; got 0.5"),
        ([X], {"p": 0.5}, ValueError, "p must be a finite number >= 1; got 0.5"),
        ([X, X], {"distance": lambda x, y, a, b: math.nan}, ValueError, r"must be finite; pair \(0, 1\) gave nan"),
        ([X, X], {"distance": lambda x, y, a, b: "far"}, TypeError, r"must return a number; pair \(0, 1\) gave 'far'"),
        ([X, X], {"path": "no/such/folder.npz"}, ValueError, "path must name a file in a folder that exists"),
    ],
)  # fmt: skip
def test_refusals(samples, options, kind, message):
    with pytest.raises(kind, match=message):
        otgen.pairwise(samples, **options)


def test_a_pair_that_does_not_converge_is_named():
    options: dict = {"distance": "sinkhorn_divergence", "eps": 1e-3, "max_iter": 1}
    for workers in (1, 2):
        with pytest.raises(
            otgen.ConvergenceError, match=r"pair \(\d, \d\) did not converge: .*Raise max_iter"
        ) as raised:
            otgen.pairwise(clouds((30, 30, 30)), workers=workers, **options)
    assert raised.value.result is None
    again = pickle.loads(pickle.dumps(raised.value))
    assert type(again) is otgen.ConvergenceError and str(again) == str(raised.value)
    with pytest.warns(otgen.ConvergenceWarning):
        otgen.sinkhorn_divergence(*clouds((30, 30)), eps=1e-3, max_iter=1)


def test_an_exact_pair_that_is_not_proven_is_named(monkeypatch):
    def fail(*args, **options):
        raise otgen.ConvergenceError("W_1 is not proven: too hard.", None)

    monkeypatch.setattr("otgen.transport.pair_exact.wasserstein", fail)
    with pytest.raises(otgen.ConvergenceError, match=r"pair \(0, 1\) did not converge: W_1 is not proven: too hard"):
        otgen.pairwise(clouds((300, 20)))
