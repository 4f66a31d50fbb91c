"""Soft reductions where they could go wrong: tiny and huge eps, scales, poor guesses, float32; and their laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import naive
import otgen_kernels
from otgen_kernels.cpu.soft import SoftMatrix, SoftPairs

PATHS = ("local", "dense")
BOTH = (False, True)


def clouds(rng, n, m, d=2):
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.5


def balanced(soft, eps, sweeps=4):
    """Offsets as Sinkhorn has them, with weights 1 / m, and what they transform to."""
    h = np.zeros(soft.shape[1])
    for _ in range(sweeps):
        f = soft.transform(0, h - eps * np.log(soft.shape[1]), eps)
        h = soft.transform(1, f - eps * np.log(soft.shape[0]), eps)
    h -= eps * np.log(soft.shape[1])
    return soft.transform(0, h, eps), h


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("metric", "p"), [("euclidean", 1), ("euclidean", 1.5), ("euclidean", 2), ("cityblock", 1)])
def test_from_the_product_to_the_hard_transform(metric, p, path, rng):
    x, y = clouds(rng, 60, 300)
    rows = [0, 31, 59]
    costs = naive.costs(x[rows], y, metric, p)
    mean = float(np.mean(costs))
    h = rng.normal(size=300) * 0.3 * mean
    hard = otgen_kernels.c_transform(x, y, h, metric=metric, p=p)[0]
    soft = SoftPairs(x, y, metric=metric, p=p, path=path)
    for share in (1e3, 30.0, 1.0, 1e-1, 1e-3, 1e-5, 1e-8, 1e-10):
        eps = share * mean
        expected = np.array(naive.soft_c_transform(costs, h, np.ones(300), eps))
        for single in BOTH:
            v = soft.transform(0, h, eps, single=single)
            reach = eps * soft.rounding(eps, single) * (8.0 if path == "dense" else 1.0) + 1e-14 * mean
            assert np.isfinite(v).all() and (np.abs(v[rows] - expected) <= reach).all()
            assert (v <= hard + reach).all() and (v >= hard - eps * np.log(300) - reach).all()
            total, entropy = soft.entropy(0, v, h, eps, single=single)
            gradient = soft.gradient(0, v, h, eps, single=single)
            assert all(np.isfinite(z).all() for z in (total, entropy, gradient))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("single", BOTH)
@pytest.mark.parametrize("scale", [1e-150, 1e-12, 1e12, 1e150])
def test_coordinates_at_any_scale(scale, single, path, rng):
    x, y = clouds(rng, 40, 200)
    for metric, p in (("euclidean", 1), ("euclidean", 2), ("cityblock", 1.5), ("cosine", 1)):
        degree = 0.0 if metric == "cosine" else p
        factor = float(np.float64(scale) ** degree)
        h = rng.normal(size=200)
        for eps in (1.0, 1e-2):
            soft = SoftPairs(x, y, metric=metric, p=p, path=path)
            f = soft.transform(0, h, eps)
            reach = 8.0 * soft.rounding(eps, single) + 1e-12 / eps
            scaled = SoftPairs(x * scale, y * scale, metric=metric, p=p, path=path)
            f_scaled, h_scaled, eps_scaled = f * factor, h * factor, eps * factor
            found = scaled.transform(0, h_scaled, eps_scaled, single=single)
            np.testing.assert_allclose(found / factor, f, atol=reach * eps)
            for one, other in zip(
                scaled.entropy(0, f_scaled, h_scaled, eps_scaled, single=single), soft.entropy(0, f, h, eps)
            ):
                np.testing.assert_allclose(one, other, atol=20.0 * reach)
            gradient = scaled.gradient(0, f_scaled, h_scaled, eps_scaled, single=single)
            expected = soft.gradient(0, f, h, eps)
            largest = np.abs(expected).max()
            np.testing.assert_allclose(gradient / (factor / scale), expected, atol=8.0 * reach * largest)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("metric", "p"), [("euclidean", 1), ("euclidean", 2), ("cityblock", 1)])
def test_clouds_far_from_the_origin(metric, p, path, rng):
    x, y = clouds(rng, 50, 300)
    x, y = (np.round(z * 2**20) / 2**20 for z in (x, y))  # so that moving them changes no difference
    h = rng.normal(size=300) * 0.1
    here, there = (SoftPairs(x + t, y + t, metric=metric, p=p, path=path) for t in (0.0, 1e6))
    for eps in (1.0, 1e-2):
        v = here.transform(0, h, eps)
        for single in BOTH:
            reach = 4.0 * here.rounding(eps, single)
            np.testing.assert_allclose(there.transform(0, h, eps, single=single), v, atol=eps * reach)
            gradient = there.gradient(0, v, h, eps, single=single)
            np.testing.assert_allclose(gradient, here.gradient(0, v, h, eps), atol=40.0 * reach)


@pytest.mark.parametrize("single", BOTH)
@pytest.mark.parametrize("path", [*PATHS, "matrix"])
@pytest.mark.filterwarnings("error")
def test_any_guess_gives_the_same(path, single, rng):
    x, y = clouds(rng, 70, 400)
    for p in (1, 2):
        if path == "matrix":
            soft = SoftMatrix(np.array(naive.costs(x, y, "euclidean", p)))
        else:
            soft = SoftPairs(x, y, metric="euclidean", p=p, path=path)
        eps, h = 0.1, rng.normal(size=400) * 0.1
        v = soft.transform(0, h, eps)
        one_bit = eps * np.log(2.0)
        # Powers of 2 wrap around after 512 bits of float32, 4096 of float64: such a guess must not pass for a good one.
        bits = np.concatenate([[0, -3, 39, 60, 130, 255, 256], np.arange(500.0, 525), np.arange(4080.0, 4110), [8192]])
        offs = [*(bits * one_bit), 5 * eps, -5 * eps, 1e4 * eps, -1e4 * eps, 1e12, -1e12, 1e200, -1e200]
        for off in (*offs, rng.normal(size=70), 1e3 * rng.normal(size=70), -v):
            found = soft.transform(0, h, eps, v + off, single=single)
            np.testing.assert_allclose(found, v, atol=eps * soft.rounding(eps, single))


@pytest.mark.parametrize("single", BOTH)
@pytest.mark.parametrize("path", PATHS)
def test_what_is_skipped_is_within_its_share(path, single, rng):
    x, y = clouds(rng, 300, 1000)
    for p in (1, 2, 3):
        soft = SoftPairs(x, y, metric="euclidean", p=p, path=path)
        for eps in (1.0, 0.05):
            v, h = balanced(soft, eps)
            for bits in (1.0, 3.0, 10.0, 18.0):
                for off in (None, 0.0, 2.7, -5.0):  # sums from 2^-4
                    near = None if off is None else v - off * eps
                    found = soft.transform(0, h, eps, near, single=single, bits=bits)
                    reach = 2.0 * soft.rounding(eps, single)
                    assert (found >= v - eps * reach).all()
                    assert (found <= v - eps * np.log1p(-(2.0**-bits)) + eps * reach).all()
                    columns = np.ones((1000, 1))
                    mass = soft.average(0, v if near is None else near, h, eps, columns, single=single, bits=bits)
                    whole = np.exp(0.0 if off is None else -off)
                    np.testing.assert_allclose(mass[:, 0], whole, rtol=2.0**-bits + reach)


@pytest.mark.parametrize(("path", "d"), [("local", 2), ("dense", 12)])
def test_thread_count_changes_nothing(path, d, rng, monkeypatch):
    x, y = clouds(rng, 1100, 1000, d)
    soft = SoftPairs(x, y, metric="euclidean", p=1, path=path)
    h, columns = rng.normal(size=1000) * 0.1, rng.normal(size=(1000, 2))
    answers = []
    for threads in ("1", "2", "3", "7"):
        monkeypatch.setenv("OTGEN_NUM_THREADS", threads)
        for single in BOTH:
            v = soft.transform(0, h, 0.1, single=single)
            rest = soft.gradient(0, v, h, 0.1, single=single), soft.average(0, v, h, 0.1, columns, single=single)
            answers.append(
                (v, soft.transform(1, v, 0.1, single=single), *soft.entropy(0, v, h, 0.1, single=single), *rest)
            )
    for at, answer in enumerate(answers[2:]):
        for one, other in zip(answer, answers[at % 2]):
            np.testing.assert_array_equal(one, other)


def test_float32_tells_exponents_of_neighbours_at_any_eps(rng):
    # Stated: a few 1e-6 at eps = 0.01 of the mean cost, below 1e-3 at 1e-5, for tiles of one size; else rounding().
    points = np.concatenate([rng.random((2500, 2)), rng.random((2000, 2)), rng.normal(size=(4500, 2))])
    for x, y, even in ((points[:2500], points[2500:4500], True), (points[4500:7000], points[7000:], False)):
        soft = SoftPairs(x, y, metric="euclidean", p=2, path="local")
        mean = float(np.mean(naive.costs(x[:30], y[:30], "euclidean", 2)))
        for share, stated in ((1e-2, 5e-6), (1e-5, 1e-3)):
            eps = share * mean
            v, h = balanced(soft, eps)
            error = np.abs(soft.transform(0, h, eps, single=True) - v) / eps
            assert np.median(error) < 0.5 * stated and error.max() < soft.rounding(eps, True)
            most = stated if even else soft.rounding(eps, True)
            assert error.max() < most
            mass, entropy = soft.entropy(0, v, h, eps, single=True)
            assert np.abs(mass - 1.0).max() < most
            assert np.abs(entropy - soft.entropy(0, v, h, eps)[1]).max() < 10.0 * most
            columns = np.stack([1e30 * y[:, 0], 1e-30 * y[:, 1]], 1)
            difference = soft.average(0, v, h, eps, columns, single=True) - soft.average(0, v, h, eps, columns)
            assert (np.abs(difference) < 4.0 * most * np.array([1e30, 1e-30])).all()


SIDE = st.integers(1, 40)
PROBLEM = {
    "seed": st.integers(0, 2**32 - 1), "n": SIDE, "m": SIDE, "path": st.sampled_from(PATHS),
    "p": st.sampled_from([1, 1.5, 2, 3]), "log_eps": st.floats(-4, 3),
}  # fmt: skip


def problem(seed, n, m, path, p, log_eps):
    """Clouds, some points of which coincide, offsets, and an eps."""
    rng = np.random.default_rng(seed)
    x, y = clouds(rng, n, m)
    y[rng.random(m) < 0.3] = x[rng.integers(n)]
    eps = 10.0**log_eps
    return rng, SoftPairs(x, y, metric="euclidean", p=p, path=path), rng.normal(size=m), eps, (x, y)


def slack(eps, *arrays) -> float:
    """What rounding may add to a transform."""
    return 1e-13 * (eps + sum(float(np.abs(z).max()) for z in arrays) + 100.0)


@settings(max_examples=40, deadline=None)
@given(**PROBLEM)
def test_laws_of_the_transform(seed, n, m, path, p, log_eps):
    rng, soft, h, eps, (x, y) = problem(seed, n, m, path, p, log_eps)
    v = soft.transform(0, h, eps)
    small = slack(eps, v, h)
    assert (soft.transform(0, h - rng.random(m), eps) >= v - small).all()  # monotone
    np.testing.assert_allclose(soft.transform(0, h + 3.7, eps), v - 3.7, atol=small)  # translation
    other = rng.normal(size=m)
    average = 0.5 * v + 0.5 * soft.transform(0, other, eps)
    assert (soft.transform(0, 0.5 * h + 0.5 * other, eps) >= average - small).all()  # concave in h
    hard = otgen_kernels.c_transform(x, y, h, metric="euclidean", p=p)[0]
    assert (v <= hard + small).all() and (v >= hard - eps * np.log(m) - small).all()
    assert (soft.transform(0, h, 0.5 * eps) >= v - small).all()  # rises to the hard one as eps falls
    grown = SoftPairs(3.0 * x, 3.0 * y, metric="euclidean", p=p, path=path)
    np.testing.assert_allclose(grown.transform(0, 3.0**p * h, 3.0**p * eps), 3.0**p * v, atol=3.0**p * small)


@settings(max_examples=40, deadline=None)
@given(**PROBLEM)
def test_laws_of_the_average(seed, n, m, path, p, log_eps):
    rng, soft, h, eps, (x, y) = problem(seed, n, m, path, p, log_eps)
    v = soft.transform(0, h, eps)
    small = slack(eps, v, h) / eps
    columns = np.column_stack([np.ones(m), rng.normal(size=m), y])
    found = soft.average(0, v, h, eps, columns)
    np.testing.assert_allclose(found[:, 0], 1.0, atol=small)
    np.testing.assert_allclose(soft.average(0, v + eps, h, eps, columns), np.e * found, rtol=4 * small, atol=30 * small)
    assert (found <= columns.max(0) + 9 * small).all() and (found >= columns.min(0) - 9 * small).all()  # convex hull
    mass, entropy = soft.entropy(0, v, h, eps)
    np.testing.assert_allclose(mass, 1.0, atol=small)
    assert (entropy <= 99 * small).all() and (entropy >= -np.log(m) - 99 * small).all()
    if p == 2:  # the gradient of |x - y|^2
        np.testing.assert_allclose(soft.gradient(0, v, h, eps), 2.0 * (x - found[:, 2:]), atol=99 * small)
