"""The soft reductions of the GPU against those of the host, which tests/naive.py defines."""

from __future__ import annotations

import numpy as np
import pytest

import otgen_kernels
from otgen_kernels.cpu import soft as on_host
from otgen_kernels.cuda import pairs, soft, soft_products, soft_small

COSTS = [("euclidean", 2.0), ("euclidean", 1.0), ("euclidean", 3.0), ("cityblock", 1.0), ("chebyshev", 2.0),
         ("cosine", 1.0)]  # fmt: skip
DIMS = (1, 2, 4, 7)
SIZES = [(1, 1, 1), (5, 7, 2), (70, 130, 3), (65, 200, 20)]


def clouds(rng, n, m, d):
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.5
    y[: min(n, m) // 2] = x[: min(n, m) // 2]  # coincident points
    y[m // 2 + 1 :: 7] = y[m // 2]  # and duplicates
    return x, y


def compare(cupy, ours, theirs, rng, eps, single, gradient=True):
    """All answers on both sides: to 1e-12 in float64, and to what the host says of its own float32 in float32."""
    reach = theirs.rounding(eps, True) if single else max(1e-12, 4 * theirs.rounding(eps, False))
    for side in (0, 1):
        n, m = ours.shape[side], ours.shape[1 - side]
        h = eps * rng.normal(size=m)
        v = theirs.transform(side, h, eps)
        f = v + eps * rng.normal(size=n)
        there, f_there = cupy.asarray(h), cupy.asarray(f)
        found = ours.transform(side, there, eps, cupy.asarray(v), single=single, bits=10.0, rough=True)
        assert isinstance(found, cupy.ndarray) and found.dtype == np.float64
        np.testing.assert_allclose(cupy.asnumpy(found), v, rtol=reach, atol=reach * eps)
        for one, other in zip(ours.entropy(side, f_there, there, eps, single=single), theirs.entropy(side, f, h, eps)):
            np.testing.assert_allclose(cupy.asnumpy(one), other, rtol=20 * reach, atol=20 * reach)
        for width in (1, 19):
            columns = rng.normal(size=(m, width)) * np.logspace(-30, 30, width)
            found = cupy.asnumpy(ours.average(side, f_there, there, eps, cupy.asarray(columns), single=single))
            size = theirs.average(side, f, h, eps, np.abs(columns))
            away = np.abs(found - theirs.average(side, f, h, eps, columns))
            assert found.shape == (n, width) and (away <= 4 * reach * size).all()
        if gradient:
            mass = rng.random(n)
            for given in (None, mass):
                wanted = theirs.gradient(side, f, h, eps, given)
                found = ours.gradient(side, f_there, there, eps, None if given is None else cupy.asarray(given),
                                      single=single)  # fmt: skip
                largest = np.abs(wanted).max(initial=1e-300)
                np.testing.assert_allclose(cupy.asnumpy(found), wanted, atol=20 * reach * largest)


@pytest.mark.parametrize(
    ("metric", "p", "single"), [(*cost, False) for cost in COSTS] + [(*cost, True) for cost in COSTS[:3]]
)
@pytest.mark.parametrize(("n", "m", "d"), SIZES)
def test_every_answer_is_that_of_the_host(cupy, rng, n, m, d, metric, p, single):
    x, y = clouds(rng, n, m, d)
    theirs = on_host.SoftPairs(x, y, metric=metric, p=p)
    ours = soft.SoftPairs(cupy.asarray(x), cupy.asarray(y), metric=metric, p=p)
    assert ours.active(None, None, None, 1.0, 1.0) is None
    for eps in (0.5, 0.01):
        compare(cupy, ours, theirs, rng, eps, single)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_a_cost_matrix_is_read_where_it_lies(cupy, rng, dtype, single):
    for n, m in ((1, 1), (70, 7), (10, 150)):
        matrix = (5.0 * rng.normal(size=(n, m))).astype(dtype)
        for layout in (matrix, np.asfortranarray(matrix), np.repeat(matrix, 2, 1)[:, ::2]):
            ours, theirs = soft.SoftMatrix(cupy.asarray(layout)), on_host.SoftMatrix(layout)
            compare(cupy, ours, theirs, rng, 0.3, single, gradient=False)


@pytest.mark.parametrize(
    ("metric", "p", "d"), [*((*cost, 3) for cost in COSTS), *(("euclidean", 2.0, d) for d in DIMS)]
)
def test_low_dimensions_in_float32(cupy, rng, metric, p, d):
    for n, m in ((3, 1), (130, 300)):
        x, y = clouds(rng, n, m, d)
        theirs = on_host.SoftPairs(x, y, metric=metric, p=p)
        ours = soft.SoftPairs(cupy.asarray(x), cupy.asarray(y), metric=metric, p=p, path="small")
        for side in (0, 1):
            h = rng.normal(size=ours.shape[1 - side]) * 0.1
            for eps in (1.0, 0.01):
                wanted = theirs.transform(side, h, eps)
                found = cupy.asnumpy(ours.transform(side, cupy.asarray(h), eps, single=True))
                assert (np.abs(found - wanted) <= ours.rounding(eps, True) * eps).all()


@pytest.mark.parametrize("p", [2.0, 1.0])
def test_float32_keeps_its_digits_where_eps_is_tiny(cupy, rng, p):
    # Offsets as Sinkhorn leaves them; at 1e-4 of the mean cost 2^z of float32's own costs would be off by 1e-3.
    x, y = rng.random((600, 2)), rng.random((700, 2)) + 5.0
    theirs = on_host.SoftPairs(x, y, metric="euclidean", p=p)
    ours = soft.SoftPairs(cupy.asarray(x), cupy.asarray(y), metric="euclidean", p=p)
    eps = 1e-4 * 50.0 ** (p / 2)
    h = np.zeros(700)
    for _ in range(3):
        f = theirs.transform(0, h - eps * np.log(700), eps)
        h = theirs.transform(1, f - eps * np.log(600), eps)
    wanted = theirs.transform(0, h, eps)
    found = cupy.asnumpy(ours.transform(0, cupy.asarray(h), eps, single=True))
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()
    assert (np.abs(found - wanted) <= ours.rounding(eps, True) * eps).all()
    if p == 2.0:
        assert ours.rounding(eps, True) < 1e-3 and np.abs(found - wanted).max() < 2e-4 * eps


@pytest.mark.parametrize(("d", "path"), [(2, "small"), (12, "products"), (2, "tiles")])
def test_averages_and_gradients_in_float32_are_good_to_1e_4_at_any_eps(cupy, rng, d, path):
    x, y = rng.normal(size=(70, d)), rng.normal(size=(90, d)) + 2.0
    theirs = on_host.SoftPairs(x, y, metric="euclidean", p=2.0)
    ours = soft.SoftPairs(cupy.asarray(x), cupy.asarray(y), metric="euclidean", p=2.0, path=path)
    for eps in (10.0, 1.0, 1e-1, 1e-4):
        h = eps * rng.normal(size=90)
        f = theirs.transform(0, h, eps)
        f_there, there = cupy.asarray(f), cupy.asarray(h)
        wanted = theirs.gradient(0, f, h, eps)
        found = cupy.asnumpy(ours.gradient(0, f_there, there, eps, single=True))
        assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()
        wanted = theirs.average(0, f, h, eps, y)
        found = cupy.asnumpy(ours.average(0, f_there, there, eps, cupy.asarray(y), single=True))
        assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()


@pytest.mark.parametrize("single", [False, True])
def test_few_rows_share_their_columns_out(cupy, rng, single):
    x, y, h = rng.normal(size=(2, 3)), rng.normal(size=(5000, 3)), rng.normal(size=5000)
    theirs = on_host.SoftPairs(x, y, metric="euclidean", p=2.0)
    ours = soft.SoftPairs(cupy.asarray(x), cupy.asarray(y), metric="euclidean", p=2.0)
    for eps in (1.0, 1e-3):
        f = theirs.transform(0, h, eps)
        reach = ours.rounding(eps, single)
        found = cupy.asnumpy(ours.transform(0, cupy.asarray(h), eps, single=single))
        assert (np.abs(found - f) <= eps * reach).all()
        mass, entropy = ours.entropy(0, cupy.asarray(f), cupy.asarray(h), eps, single=single)
        np.testing.assert_allclose(cupy.asnumpy(mass), 1.0, atol=20 * reach)
        np.testing.assert_allclose(cupy.asnumpy(entropy), theirs.entropy(0, f, h, eps)[1], atol=200 * reach)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("size", [1e-150, 1e-12, 1e150])
def test_coordinates_at_any_scale(cupy, rng, size, single):
    x, y, h = size * rng.normal(size=(20, 2)), size * rng.normal(size=(30, 2)), size * rng.normal(size=30)
    theirs = on_host.SoftPairs(x, y, metric="euclidean", p=1.0)
    ours = soft.SoftPairs(cupy.asarray(x), cupy.asarray(y), metric="euclidean", p=1.0)
    eps = 0.1 * size
    v, reach = theirs.transform(0, h, eps), 4 * ours.rounding(eps, single)
    there = cupy.asarray(h)
    np.testing.assert_allclose(cupy.asnumpy(ours.transform(0, there, eps, single=single)), v, atol=eps * reach)
    found = ours.gradient(0, cupy.asarray(v), there, eps, single=single)
    np.testing.assert_allclose(cupy.asnumpy(found), theirs.gradient(0, v, h, eps), atol=40 * reach)
    scaled = soft.SoftMatrix(cupy.asarray(size * rng.random((20, 30))))
    assert np.isfinite(cupy.asnumpy(scaled.transform(1, cupy.asarray(v), eps, single=single))).all()


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("low", [-1e4, -1e25, -1e200])
def test_offsets_far_below_the_others_leave_no_trace(cupy, rng, low, single):
    x, y, h, out = rng.normal(size=(50, 2)), rng.normal(size=(300, 2)), rng.normal(size=300), rng.random(300) < 0.6
    y[:200], out[:150] = y[0], True  # and whole tiles of them
    expected = on_host.SoftPairs(x, y[~out], metric="euclidean", p=2.0).transform(0, h[~out], 0.3)
    ours = soft.SoftPairs(cupy.asarray(x), cupy.asarray(y), metric="euclidean", p=2.0)
    lowered, f = cupy.asarray(np.where(out, low, h)), cupy.asarray(expected)
    reach = ours.rounding(0.3, single)
    np.testing.assert_allclose(cupy.asnumpy(ours.transform(0, lowered, 0.3, single=single)), expected, atol=reach)
    mass, entropy = (cupy.asnumpy(part) for part in ours.entropy(0, f, lowered, 0.3, single=single))
    np.testing.assert_allclose(mass, 1.0, rtol=4 * reach)
    assert np.isfinite(entropy).all() and (entropy < 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights(cupy, rng, dtype):
    x, y = (z.astype(dtype) for z in (rng.normal(size=(40, 2)), rng.normal(size=(70, 2))))
    b = rng.random(70) * (rng.random(70) < 0.5)
    b[3], b[4] = 1e-300, 1e3
    h, values = rng.normal(size=70), rng.normal(size=(70, 2, 3))
    values[b == 0] = np.nan  # without weight: not looked at
    cost = {"metric": "euclidean", "p": 2.0, "eps": 0.3}
    tol = 1e-12 if dtype == np.float64 else 2e-5
    x_there, y_there, h_there, b_there, values_there = (cupy.asarray(z) for z in (x, y, h, b, values))
    for offsets, offsets_there in ((h, h_there), (None, None)):
        v = otgen_kernels.soft_c_transform(x, y, offsets, b, **cost)
        found = otgen_kernels.soft_c_transform(x_there, y_there, offsets_there, b_there, **cost)
        np.testing.assert_allclose(cupy.asnumpy(found), v, rtol=tol, atol=tol)
        average = otgen_kernels.soft_average(x, y, v, offsets, b, values, **cost)
        found = otgen_kernels.soft_average(
            x_there, y_there, cupy.asarray(v), offsets_there, b_there, values_there, **cost
        )
        np.testing.assert_allclose(cupy.asnumpy(found), average, rtol=10 * tol, atol=10 * tol)
    nothing = cupy.zeros(70)
    assert (cupy.asnumpy(otgen_kernels.soft_c_transform(x_there, y_there, None, nothing, **cost)) == np.inf).all()
    found = otgen_kernels.soft_average(x_there, y_there, cupy.zeros(40), None, nothing, values_there, **cost)
    np.testing.assert_array_equal(cupy.asnumpy(found), np.zeros((40, 2, 3)))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize(("n", "m", "d"), [(1, 1, 1), (3, 300, 9), (260, 130, 20), (70, 2, 70), (20, 140, 300)])
def test_products_of_squared_distances_in_float32(cupy, rng, n, m, d, metric):
    x, y = clouds(rng, n, m, d)
    p = 2.0 if metric == "euclidean" else 1.0
    theirs = on_host.SoftPairs(x, y, metric=metric, p=p)
    ours = soft.SoftPairs(cupy.asarray(x), cupy.asarray(y), metric=metric, p=p, path="products")
    for side in (0, 1):
        h = rng.normal(size=ours.shape[1 - side])
        for eps, low in ((1.0, -1e200), (0.01, -1e4)):
            lowered = np.where(rng.random(len(h)) < 0.3, low, h)
            lowered[0] = h[0]
            wanted = theirs.transform(side, lowered, eps)
            found = cupy.asnumpy(ours.transform(side, cupy.asarray(lowered), eps, single=True))
            assert (np.abs(found - wanted) <= ours.rounding(eps, True) * eps).all()


@pytest.mark.parametrize(
    ("path", "single", "p"),
    [("small", True, 2.0), ("small", True, 1.0), ("products", True, 2.0), ("tiles", True, 2.0), ("tiles", False, 2.0)],
)
@pytest.mark.parametrize("slope", [-300.0, 0.0, 300.0])
def test_a_row_goes_through_tiles_that_raise_its_maximum_or_cannot_be_seen(
    cupy, rng, monkeypatch, path, single, p, slope
):
    for module, name in ((pairs, "WAVES"), (soft_small, "BLOCKS"), (soft_products, "WAVES")):
        monkeypatch.setattr(module, name, 1)  # few blocks: each takes many tiles
    x, y = 0.001 * rng.random((70, 2)), np.sort(rng.random((1500, 2)), axis=0)
    theirs = on_host.SoftPairs(x, y, metric="euclidean", p=p)
    ours = soft.SoftPairs(cupy.asarray(x), cupy.asarray(y), metric="euclidean", p=p, path=path)
    for eps in (0.05, 0.002):
        h = slope * eps * y[:, 0]  # hundreds of bits from one end of the columns to the other
        v = theirs.transform(0, h, eps)
        reach = (1e-12 if not single else 3e-6) / min(1.0, 20.0 * eps)
        there = cupy.asarray(h)
        found = cupy.asnumpy(ours.transform(0, there, eps, single=single))
        assert np.abs(found - v).max() <= 4.0 * reach * eps
        if path == "tiles":
            f = cupy.asarray(v)
            for one, other in zip(ours.entropy(0, f, there, eps, single=single), theirs.entropy(0, v, h, eps)):
                np.testing.assert_allclose(cupy.asnumpy(one), other, rtol=40 * reach, atol=40 * reach)
            found = ours.average(0, f, there, eps, cupy.asarray(y), single=single)
            np.testing.assert_allclose(cupy.asnumpy(found), theirs.average(0, v, h, eps, y), rtol=40 * reach)
