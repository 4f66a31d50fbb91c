"""Sums of kernels on the GPU against those of the host, which tests/naive_kernels.py defines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import naive_kernels as naive
from otgen_kernels import kernel_sum as take
from otgen_kernels.cuda import kernel_pairs

KERNELS = ("gaussian", "laplace", "imq", "rational_quadratic", "polynomial", "energy")
DTYPES = (np.float32, np.float64)
VALUES = {np.float32: 1e-5, np.float64: 1e-12}
GRADIENTS = {np.float32: 1e-4, np.float64: 1e-12}


kernel_sum: Any = take  # what was asked for is not None


def options(kernel, h=1.3) -> dict[str, Any]:
    scales = (1.0,) if kernel in ("polynomial", "energy") else (0.3, 1.0, 4.0)
    return {"kernel": kernel, "scales": np.array(scales), "bandwidth": h}


def clouds(rng, n, m, d, dtype):
    x, y = rng.normal(size=(n, d)).astype(dtype), (rng.normal(size=(m, d)) + 0.4).astype(dtype)
    y[: min(n, m) // 3] = x[: min(n, m) // 3]  # pairs that coincide
    x[n // 2 :: 3] = x[n // 2]  # and duplicates
    return x, y, rng.random(n), rng.random(m)


def found(cupy, x, y, a, b, **asked: Any) -> Any:
    arrays = [None if v is None else cupy.asarray(v) for v in (x, y, a, b)]
    return [None if v is None else cupy.asnumpy(v) for v in kernel_sum(*arrays, **asked)]


def agree(ours, theirs, dtype, share=1.0):
    """Each figure to a share of its array's largest."""
    for k, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        assert (one is None) == (other is None)
        if other is None:
            continue
        bound = share * (VALUES if k < 3 else GRADIENTS)[dtype]
        assert one.dtype == np.float64 and one.shape == np.shape(other)
        assert np.abs(one - other).max() <= bound * np.abs(other).max()


@pytest.mark.parametrize(("n", "m", "d"), [(1, 1, 1), (37, 70, 3), (70, 130, 8), (65, 30, 40)])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_sums_and_gradients_are_those_of_the_host(cupy, rng, kernel, dtype, n, m, d):
    x, y, a, b = clouds(rng, n, m, d, dtype)
    asked: Any = options(kernel) | {"sums": True, "by_x": True, "by_y": True}
    wide = x.astype(np.float64), y.astype(np.float64)
    agree(found(cupy, x, y, a, b, **asked), kernel_sum(*wide, a, b, **asked), dtype)
    asked: Any = options(kernel) | {"sums": False, "by_x": False, "by_y": False}
    total, *rest = found(cupy, x, y, a, b, **asked)
    assert total.shape == () and rest == [None] * 4
    agree([total], [kernel_sum(*wide, a, b, **asked).total], dtype)


@pytest.mark.parametrize("d", [2, 11])
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_cloud_with_itself_takes_each_pair_once_and_says_the_same(cupy, rng, kernel, d):
    x, _, a, _ = clouds(rng, 600 if d == 2 else 150, 5, d, np.float64)  # more rows than a block has
    for sums, by_x in ((True, True), (False, False), (False, True)):
        asked: Any = options(kernel) | {"sums": sums, "by_x": by_x, "by_y": False}
        agree(found(cupy, x, None, a, None, **asked), kernel_sum(x, None, a, None, **asked), np.float64)


@pytest.mark.parametrize(("n", "m", "d"), [(5, 300, 17), (140, 290, 70)])
@pytest.mark.parametrize("kernel", ["imq", "polynomial"])
def test_products_keep_the_digits_of_float32_over_many_tiles_and_coordinates(cupy, rng, kernel, n, m, d, monkeypatch):
    monkeypatch.setattr(kernel_pairs, "PART_BYTES", 0)  # columns in one run: gradients are summed over several tiles
    x, y, a, b = clouds(rng, n, m, d, np.float32)
    x, y = x + np.float32(3.0), y + np.float32(3.0)
    wide = x.astype(np.float64), y.astype(np.float64)
    asked: Any = options(kernel, np.sqrt(d)) | {"sums": True, "by_x": True, "by_y": True}
    agree(found(cupy, x, y, a, b, **asked), kernel_sum(*wide, a, b, **asked), np.float32, share=0.1)
    asked = options(kernel, np.sqrt(d)) | {"sums": False, "by_x": False, "by_y": False}
    agree(found(cupy, x, None, a, None, **asked)[:1], [kernel_sum(wide[0], None, a, None, **asked).total], np.float32)


@pytest.mark.parametrize("kernel", ["energy", "laplace", "gaussian"])
def test_pairs_too_close_for_a_product_are_taken_from_the_coordinates(cupy, rng, kernel):
    """Clouds of pairs of near neighbours, whose gradients are those of the near one."""
    x = rng.normal(size=(40, 20)).astype(np.float32)
    y = x + np.float32(1e-4) * rng.normal(size=x.shape).astype(np.float32)
    y[7] = x[7]
    a, b = rng.random(40), rng.random(40)
    asked: Any = options(kernel, 1e-4) | {"sums": True, "by_x": True, "by_y": True}
    wide = x.astype(np.float64), y.astype(np.float64)
    agree(found(cupy, x, y, a, b, **asked), kernel_sum(*wide, a, b, **asked), np.float32)


def test_the_host_is_the_definition(cupy, rng):
    x, y, a, b = clouds(rng, 7, 5, 2, np.float64)
    K = np.array(naive.matrix(x, y, "imq", (0.3, 1.0, 4.0), 1.3))
    total, rows, columns, _, _ = found(cupy, x, y, a, b, **options("imq"), sums=True, by_x=False, by_y=False)
    np.testing.assert_allclose(total, a @ K @ b, rtol=1e-12)
    np.testing.assert_allclose(rows, K @ b, rtol=1e-12)
    np.testing.assert_allclose(columns, K.T @ a, rtol=1e-12)


@pytest.mark.parametrize("asked", [("sums",), ("by_x",), ("by_y",), ("sums", "by_y")])
@pytest.mark.parametrize("d", [2, 11])
def test_what_is_not_asked_for_is_none_and_changes_nothing(cupy, rng, d, asked):
    x, y, a, b = clouds(rng, 20, 30, d, np.float64)
    flags: Any = {name: name in asked for name in ("sums", "by_x", "by_y")}
    agree(
        found(cupy, x, y, a, b, **options("gaussian"), **flags),
        kernel_sum(x, y, a, b, **options("gaussian"), **flags),
        np.float64,
    )


@pytest.mark.parametrize("kernel", ["imq", "laplace", "energy", "gaussian", "rational_quadratic"])
@pytest.mark.parametrize("d", [2, 12, 20])
@pytest.mark.parametrize("dtype, power", [(np.float64, 500), (np.float64, -500), (np.float32, 60), (np.float32, -60)])
def test_powers_of_two_change_nothing_but_the_units(cupy, rng, kernel, dtype, power, d):
    x, y, a, b = clouds(rng, 9, 7, d, dtype)
    flags: Any = {"sums": True, "by_x": True, "by_y": True}
    base = found(cupy, x, y, a, b, **options(kernel), **flags)
    h = float(np.ldexp(1.3, power))
    far = found(cupy, np.ldexp(x, power), np.ldexp(y, power), a, b, **options(kernel, h), **flags)
    unit = power if kernel == "energy" else 0
    for k, (one, other) in enumerate(zip(base, far)):
        wanted = np.ldexp(one, unit - (power if k >= 3 else 0))
        np.testing.assert_allclose(other, wanted, rtol=1e-4 if dtype == np.float32 else 1e-11, atol=0.0)


def test_a_polynomial_of_large_coordinates_is_taken_in_float64(cupy, rng):
    x, y, a, b = clouds(rng, 9, 7, 3, np.float32)
    x, y = np.ldexp(x, 40), np.ldexp(y, 40)
    asked: Any = options("polynomial") | {"sums": True, "by_x": True, "by_y": True}
    agree(found(cupy, x, y, a, b, **asked), kernel_sum(x, y, a, b, **asked), np.float64)


@pytest.mark.parametrize("kernel", KERNELS)
def test_tight_clouds_far_from_each_other_keep_their_digits(cupy, rng, kernel):
    x, _, a, _ = clouds(rng, 20, 15, 24, np.float32)
    x[10:] += 1e4 if kernel != "polynomial" else 0.0
    asked: Any = options(kernel) | {"sums": True, "by_x": True, "by_y": False}
    agree(
        found(cupy, x, None, a, None, **asked), kernel_sum(x.astype(np.float64), None, a, None, **asked), np.float32
    )  # fmt: skip


@pytest.mark.parametrize("kernel", ["gaussian", "laplace", "imq", "rational_quadratic"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("h", [1e-200, 1e200])
def test_a_bandwidth_out_of_all_proportion_is_a_limit_not_a_nan(cupy, rng, kernel, dtype, h):
    x, a = rng.normal(size=(9, 3)).astype(dtype), rng.random(9)
    asked: Any = options(kernel, h) | {"sums": True, "by_x": True, "by_y": False}
    _, rows, _, by_x, _ = found(cupy, x, None, a, None, **asked)
    np.testing.assert_allclose(rows, kernel_sum(x, None, a, None, **asked).rows, rtol=1e-6)
    assert np.isfinite(by_x).all()


def test_weights_of_any_size_and_none_at_all(cupy, rng):
    x, y, a, b = clouds(rng, 9, 7, 3, np.float32)
    flags: Any = {"sums": True, "by_x": True, "by_y": True}
    base = found(cupy, x, y, a, b, **options("imq"), **flags)
    far = found(cupy, x, y, np.ldexp(a, 400), np.ldexp(b, -300), **options("imq"), **flags)
    for one, other, power in zip(base, far, (100, -300, 400, -300, 400)):
        np.testing.assert_array_equal(np.ldexp(one, power), other)
    nothing = found(cupy, x, y, 0.0 * a, b, **options("imq"), **flags)
    assert nothing[0] == 0.0 and not nothing[2].any() and not nothing[4].any()
    np.testing.assert_array_equal(nothing[1], base[1])


@pytest.mark.parametrize("scales", [(0.7,), tuple(np.geomspace(0.01, 100.0, 40))])
def test_a_kernel_may_have_any_number_of_scales(cupy, rng, scales):
    x, y, a, b = clouds(rng, 20, 9, 2, np.float64)
    for kernel in ("imq", "rational_quadratic"):
        asked: Any = options(kernel) | {"scales": np.array(scales), "sums": True, "by_x": True, "by_y": True}
        agree(found(cupy, x, y, a, b, **asked), kernel_sum(x, y, a, b, **asked), np.float64)


@pytest.mark.parametrize("d", [2, 9])
def test_columns_shared_by_blocks_say_the_same_as_columns_that_are_not(cupy, rng, d, monkeypatch):
    x, y, a, b = clouds(rng, 30, 400, d, np.float64)
    asked: Any = options("imq") | {"sums": True, "by_x": True, "by_y": True}
    split = found(cupy, x, y, a, b, **asked)
    monkeypatch.setattr(kernel_pairs, "PART_BYTES", 0)  # no room for parts
    agree(found(cupy, x, y, a, b, **asked), split, np.float64)


def test_blocks_share_columns_in_whole_tiles_as_long_as_parts_have_room(cupy):
    wanted = kernel_pairs.WAVES * kernel_pairs.device.processors()
    assert kernel_pairs.shares(64 * wanted, 10_000, 64, None) == (157 * 64, 1)
    run, splits = kernel_pairs.shares(1, 100_000, 64, None)
    assert run % 64 == 0 and (splits - 1) * run < 100_000 <= splits * run and 1 < splits <= wanted
    assert kernel_pairs.shares(1, 100_000, 64, 3)[1] == min(3, splits)
