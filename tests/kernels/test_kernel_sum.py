"""Sums of kernels over pairs against loops: every kernel, both paths, both precisions, any size, scale and block."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import naive_kernels as naive
from otgen_kernels import host, kernel_forms, kernel_sum, wasserstein_1d
from otgen_kernels.cpu import kernel_forms as forms_file
from otgen_kernels.cpu import kernel_sum as sums_file
from otgen_kernels.cpu.kernel_pairs import KernelPairs
from tolerance import tol

KERNELS = ("gaussian", "laplace", "imq", "rational_quadratic", "polynomial", "energy")
SCALES = (0.3, 1.0, 4.0)
DTYPES = (np.float32, np.float64)


def scales_of(kernel):
    return (1.0,) if kernel in ("polynomial", "energy") else SCALES


def options(kernel, h=1.3) -> dict[str, Any]:
    return {"kernel": kernel, "scales": np.array(scales_of(kernel)), "bandwidth": h}


def clouds(rng, n, m, d, dtype):
    x, y = rng.normal(size=(n, d)).astype(dtype), (rng.normal(size=(m, d)) + 0.4).astype(dtype)
    x[1] = y[2]  # pairs that coincide
    return x, y, rng.random(n), rng.random(m)


def expected(x, y, a, b, kernel, h=1.3):
    """a^T K b, K b, K^T a and both gradients, by loops."""
    scales = scales_of(kernel)
    K = np.array(naive.matrix(x, y, kernel, scales, h))
    by_x = [[naive.gradient(u, v, kernel, scales, h) for v in y] for u in x]
    by_y = [[naive.gradient(v, u, kernel, scales, h) for v in y] for u in x]
    by_x, by_y = np.einsum("ijk,j->ik", by_x, b), np.einsum("ijk,i->jk", by_y, a)
    return a @ K @ b, K @ b, K.T @ a, by_x, by_y


def agree(found, wanted, dtype, share=1.0):
    """Each figure to a few roundings of its array's largest."""
    for one, other in zip(found, wanted, strict=True):
        assert np.abs(one - other).max() <= share * tol(dtype) * np.abs(other).max()


@pytest.mark.parametrize("d", [1, 2, 5, 12])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_agrees_with_the_definition(rng, kernel, dtype, d):
    x, y, a, b = clouds(rng, 23, 17, d, dtype)
    wanted = expected(x, y, a, b, kernel)
    found = kernel_sum(x, y, a, b, **options(kernel), sums=True, by_x=True, by_y=True)
    assert all(np.asarray(array).dtype == np.float64 for array in found[1:])
    agree(found, wanted, dtype)
    only = kernel_sum(x, y, a, b, **options(kernel), sums=False, by_x=False, by_y=False)
    agree(only[:1], wanted[:1], dtype)
    assert only[1:] == (None, None, None, None)


@pytest.mark.parametrize("d", [2, 12])
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_cloud_with_itself_takes_each_pair_once_and_says_the_same(rng, kernel, d, monkeypatch):
    monkeypatch.setattr(sums_file, "KERNEL_BLOCK", 5)  # many blocks, one of them at rest in every round
    x, _, a, _ = clouds(rng, 23, 17, d, np.float64)
    total, rows, _, by_x, _ = expected(x, x, a, a, kernel)
    found = kernel_sum(x, None, a, None, **options(kernel), sums=True, by_x=True, by_y=False)
    agree((found.total, found.rows, found.by_x), (total, rows, by_x), np.float64)
    assert found.columns is None and found.by_y is None
    bare = kernel_sum(x, None, a, None, **options(kernel), sums=False, by_x=False, by_y=False)
    agree(bare[:1], (total,), np.float64)


@pytest.mark.parametrize(("n", "m"), [(700, 3), (3, 700), (1, 1), (257, 513)])
@pytest.mark.parametrize("d", [2, 12])
def test_blocks_of_any_number_meet(rng, monkeypatch, n, m, d):
    monkeypatch.setattr(sums_file, "KERNEL_BLOCK", 100)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d))
    a, b = rng.random(n), rng.random(m)
    squares = ((x[:, None] - y) ** 2).sum(-1)
    K = np.sum([s / (s + squares) for s in SCALES], axis=0)
    slopes = -2.0 * np.sum([s / (s + squares) ** 2 for s in SCALES], axis=0)
    by_x = np.einsum("ij,ijk,j->ik", slopes, x[:, None] - y, b)
    by_y = np.einsum("ij,ijk,i->jk", slopes, y - x[:, None], a)
    found = kernel_sum(x, y, a, b, **options("imq", 1.0), sums=True, by_x=True, by_y=True)
    agree(found, (a @ K @ b, K @ b, K.T @ a, by_x, by_y), np.float64)


@pytest.mark.parametrize("players", [1, 2, 3, 8, 9])
def test_no_two_units_of_a_round_share_a_block_and_every_pair_meets_once(monkeypatch, players):
    monkeypatch.setattr(sums_file, "KERNEL_BLOCK", 10)
    n = 10 * players
    seen = np.zeros((n, n), int)
    for units in sums_file.rounds(n, None, scatter=True):
        busy = np.zeros(n, int)
        for unit in units:
            rows, columns = slice(unit.lo, unit.hi), slice(unit.first, unit.last)
            seen[rows, columns] += 1
            if unit.mirrored:
                seen[columns, rows] += 1
            busy[rows] += 1
            busy[columns] += unit.mirrored
        assert busy.max() == 1
    assert (seen == 1).all()


@pytest.mark.parametrize("kernel", ["imq", "laplace", "energy", "gaussian"])
@pytest.mark.parametrize("d", [2, 12])
@pytest.mark.parametrize("dtype, power", [(np.float64, 500), (np.float64, -500), (np.float32, 60), (np.float32, -60)])
def test_powers_of_two_change_nothing_but_the_units(rng, kernel, dtype, power, d):
    x, y, a, b = clouds(rng, 9, 7, d, dtype)
    base = kernel_sum(x, y, a, b, **options(kernel), sums=True, by_x=True, by_y=True)
    far = kernel_sum(
        np.ldexp(x, power), np.ldexp(y, power), a, b, **options(kernel, float(np.ldexp(1.3, power))),
        sums=True, by_x=True, by_y=True,
    )  # fmt: skip
    unit = power if kernel == "energy" else 0
    for k, (one, other) in enumerate(zip(base, far)):
        np.testing.assert_array_equal(np.ldexp(np.asarray(one), unit - (power if k >= 3 else 0)), np.asarray(other))


@pytest.mark.parametrize("kernel", KERNELS)
def test_tight_clouds_far_from_each_other_keep_their_digits(rng, kernel):
    """Where the clouds' extent is 1e4 times a cloud's, products of float32 have no digits left for its distances."""
    x, _, a, _ = clouds(rng, 20, 15, 16, np.float32)
    x[10:] += 1e4 if kernel != "polynomial" else 0.0
    found = kernel_sum(x, None, a, None, **options(kernel), sums=True, by_x=True, by_y=False)
    total, rows, _, by_x, _ = expected(x, x, a, a, kernel)
    agree((found.total, found.rows), (total, rows), np.float32)
    agree((found.by_x,), (by_x,), np.float32)


@pytest.mark.parametrize("kernel", ["gaussian", "laplace", "imq", "rational_quadratic"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("h", [1e-200, 1e200])
def test_a_bandwidth_out_of_all_proportion_is_a_limit_not_a_nan(rng, kernel, dtype, h):
    x, _, a, _ = clouds(rng, 9, 7, 3, dtype)
    found = kernel_sum(x, None, a, None, **options(kernel, h), sums=True, by_x=True, by_y=False)
    limit = len(SCALES) * (a if h < 1 else np.full(9, a.sum()))
    np.testing.assert_allclose(
        np.asarray(found.rows), limit, rtol=1e-6
    )  # rational_quadratic falls as h^0.6 here, until h = 1e-15
    assert np.isfinite(np.asarray(found.by_x)).all()


@pytest.mark.parametrize("d", [2, 12])
def test_bits_are_the_same_on_any_number_of_threads(rng, monkeypatch, d):
    x, y, a, b = clouds(rng, 1500, 1100, d, np.float32)
    found = []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("OTGEN_NUM_THREADS", threads)
        whole = kernel_sum(x, y, a, b, **options("imq"), sums=True, by_x=True, by_y=True)
        alone = kernel_sum(x, None, a, None, **options("imq"), sums=True, by_x=True, by_y=False)
        found.append([whole.total, *whole[1:], alone.total, alone.rows, alone.by_x])
    for other in found[1:]:
        for one, two in zip(found[0], other):
            np.testing.assert_array_equal(one, two)


def test_both_paths_agree(rng):
    x, y, a, b = clouds(rng, 60, 50, 6, np.float64)
    for kernel in KERNELS:
        sums = []
        for path in ("differences", "products"):
            pairs = KernelPairs(x, y, **options(kernel), path=path)
            unit = sums_file.Unit(0, 60, 0, 50, False)
            weights = pairs.weights(0, a, gradient=True), pairs.weights(1, b, gradient=True)
            columns, by_x, by_y = np.zeros(50), np.zeros(x.shape), np.zeros(y.shape)
            sums.append((pairs.add(unit, weights, columns, by_x, by_y), columns, by_x, by_y))
        agree(sums[0], sums[1], np.float64)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_profile_is_the_kernel_and_its_slope(rng, kernel, dtype):
    h, d = 1.3, 3
    x, y = rng.normal(size=(20, d)), rng.normal(size=(20, d))
    y[0] = x[0]
    s = np.einsum("ij,ij->i", x, y) if kernel == "polynomial" else ((x - y) ** 2).sum(1)
    k, slope = host.kernel_profile(s, d, **options(kernel, h))
    scales = scales_of(kernel)
    np.testing.assert_allclose(k, [naive.kernel(u, v, kernel, scales, h) for u, v in zip(x, y)], rtol=tol(np.float64))
    arm = y if kernel == "polynomial" else x - y
    gradients = np.array([naive.gradient(u, v, kernel, scales, h) for u, v in zip(x, y)])
    np.testing.assert_allclose(slope[:, None] * arm, gradients, rtol=tol(np.float64), atol=tol(np.float64))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("d", [1, 12])
def test_forms_of_labels_agree_with_the_definition(rng, monkeypatch, kernel, dtype, d):
    monkeypatch.setattr(sums_file, "KERNEL_BLOCK", 9)
    x, _, _, _ = clouds(rng, 31, 17, d, dtype)
    marks = rng.random((31, 6)) < 0.4
    marks[:, 0], marks[:, 1] = True, False
    K = np.array(naive.matrix(x, x, kernel, scales_of(kernel), 1.3))
    found = kernel_forms(x, marks, **options(kernel))
    wanted = np.einsum("ip,ij,jp->p", marks, K, marks)
    assert np.abs(found - wanted).max() <= tol(dtype) * np.abs(K).sum()


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0, 60.0])
@pytest.mark.parametrize("unit", [1.0, 1e150, 1e-150])
def test_forms_on_lines_are_the_distances_of_the_labelled_points(rng, p, unit):
    values = unit * (rng.normal(size=(25, 3)) + 3.0)
    values[4] = values[7]  # ties
    marks = np.zeros((25, 5), bool)
    for k in range(5):
        marks[rng.permutation(25)[:9], k] = True
    found = host.line_forms(values, marks, p=p)
    for k in range(5):
        one, other = values[marks[:, k]], values[~marks[:, k]]
        wanted = unit * ((wasserstein_1d(one, other, None, None, p=p) / unit) ** p).mean() ** (1.0 / p)
        assert found[k] == pytest.approx(wanted, rel=1e-12, abs=0.0)


def test_forms_do_not_depend_on_threads(rng, monkeypatch):
    x, values = rng.normal(size=(1200, 3)), rng.normal(size=(300, 40))
    marks, labels = rng.random((1200, 8)) < 0.5, rng.permuted(np.arange(300)[:, None] < np.full(9, 100), axis=0)
    found = []
    for threads in ("1", "3"):
        monkeypatch.setenv("OTGEN_NUM_THREADS", threads)
        found.append((kernel_forms(x, marks, **options("imq")), forms_file.line_forms(values, labels, p=2.0)))
    for one, two in zip(*found):
        np.testing.assert_array_equal(one, two)
