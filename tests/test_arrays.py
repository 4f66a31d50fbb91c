"""The door: what comes in, in which form, and how each refusal reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse

from otgen.arrays import read_costs, read_points, read_weights

GOOD = np.arange(6.0).reshape(3, 2)


def read(x: Any, y: Any = GOOD, **options: Any):
    return read_points(x, y, **options)


@pytest.mark.parametrize(
    ("make", "dtype"),
    [
        (lambda x: x.tolist(), np.float64),
        (lambda x: x.astype(np.int8), np.float64),
        (lambda x: x.astype(np.uint64), np.float64),
        (lambda x: x.astype(np.float16), np.float32),
        (lambda x: x.astype(np.float32), np.float32),
        (lambda x: x.astype(">f8"), np.float64),
        (lambda x: x.astype(">f4"), np.float32),
        (np.asfortranarray, np.float64),
        (lambda x: np.repeat(np.repeat(x, 2, 0), 3, 1)[::2, ::3], np.float64),
        (lambda x: x[::-1, ::-1].copy()[::-1, ::-1], np.float64),
        (lambda x: np.broadcast_to(x, (1, 3, 2))[0], np.float64),
    ],
    ids="list int8 uint64 float16 float32 swapped64 swapped32 fortran strided reversed readonly".split(),
)
def test_any_layout_and_real_dtype_comes_in_plain(make, dtype):
    x, y, home = read(make(GOOD), make(GOOD))
    assert x.dtype == y.dtype == home.dtype == dtype
    for array in (x, y):
        assert array.flags.c_contiguous and array.flags.writeable and array.dtype.isnative
        np.testing.assert_array_equal(array, GOOD)


def test_booleans_are_numbers():
    x, _, home = read(np.array([[True, False]]))
    assert x.tolist() == [[1.0, 0.0]] and home.dtype == np.float64


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [("f4", "f8", "f8"), ("f2", "f4", "f4"), ("f2", "f8", "f8"), ("i4", "f4", "f8"), ("f4", "f4", "f4")],
)
def test_precision_is_promoted_as_in_numpy(left, right, expected):
    x, y, home = read(GOOD.astype(left), GOOD.astype(right))
    assert x.dtype == y.dtype == home.dtype == np.dtype(expected)


def test_contiguous_points_are_not_copied():
    x, y, _ = read(GOOD, GOOD)
    assert np.shares_memory(x, GOOD) and np.shares_memory(y, GOOD)


@pytest.mark.parametrize(
    ("bad", "error", "match"),
    [
        (np.full((3, 2), np.nan), ValueError, r"x must be finite; x\[0, 0\] is nan"),
        ([[0.0, 1.0], [2.0, -np.inf]], ValueError, r"x must be finite; x\[1, 1\] is -inf"),
        (np.zeros((0, 2)), ValueError, r"x must hold at least one point.*\(0, 2\). Leave empty clouds out"),
        (np.zeros((3, 0)), ValueError, r"x must hold at least one point.*\(3, 0\)"),
        (np.zeros(3), ValueError, r"x must have shape \(n, d\).*\(3,\).*Reshape.*\(n, 1\)"),
        (
            np.zeros((3, 2, 1)),
            ValueError,
            r"x must have shape \(n, d\); got shape \(3, 2, 1\). Flatten .* x.reshape\(len\(x\), -1\)",
        ),
        (5.0, ValueError, r"x must have shape \(n, d\); got shape \(\)"),
        (np.zeros((3, 4)), ValueError, r"one dimension d; got shapes \(3, 4\) and \(3, 2\)"),
        (GOOD.astype(object), TypeError, "x must hold real numbers.*object"),
        (GOOD.astype(complex), TypeError, "x must hold real numbers.*complex128"),
        (GOOD.astype(str), TypeError, "x must hold real numbers.*<U"),
        (GOOD.astype("M8[s]"), TypeError, "x must hold real numbers.*datetime64"),
        (None, TypeError, "x must hold real numbers.*object"),
        ([[1.0], [2.0, 3.0]], ValueError, "x must be a rectangular array of numbers"),
        (scipy.sparse.eye_array(3, 2), TypeError, r"x must be a dense array.*toarray\(\)"),
        (np.ma.masked_equal(GOOD, 3), TypeError, "x must not be a masked array"),
    ],
)
def test_bad_points_are_refused(bad, error, match):
    with pytest.raises(error, match=match):
        read(bad)


def test_the_bad_side_is_named():
    with pytest.raises(ValueError, match=r"y must be finite; y\[2, 1\] is nan"):
        read(GOOD, np.where(GOOD == 5, np.nan, GOOD))


def test_long_double_is_refused_rather_than_cut():
    if np.dtype(np.longdouble).itemsize == 8:
        pytest.skip("long double is double here")
    with pytest.raises(TypeError, match="x must hold real numbers.*at most 64 bits"):
        read(GOOD.astype(np.longdouble))


def test_the_line_takes_one_axis_or_columns():
    assert read(np.arange(3), np.arange(4), columns=True)[0].shape == (3,)
    assert read(GOOD, GOOD, columns=True)[0].shape == (3, 2)
    with pytest.raises(ValueError, match=r"\(n,\) or \(n, k\); got shape \(\)"):
        read(1.0, 2.0, columns=True)
    with pytest.raises(ValueError, match="one dimension"):
        read(np.arange(3), GOOD, columns=True)


def test_both_weights_none_stay_none():
    assert read_weights(None, None, 3, 4, x=GOOD, y=GOOD) == (None, None)


def test_one_weight_none_is_uniform_of_mass_one():
    a, b = read_weights(None, [0.5, 0.25, 0.25], 2, 3)
    assert a is not None and b is not None
    assert a.tolist() == [0.5, 0.5] and b.tolist() == [0.5, 0.25, 0.25]


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        ([0.5, 0.5], r"a must have shape \(3,\), one weight a point; got shape \(2,\). Pass 3 weights on one axis"),
        ([[0.5, 0.25, 0.25]], r"a must have shape \(3,\)"),
        ([0.5, -0.25, 0.75], r"a must not be negative; a\[1\] is -0.25. Set it to 0 or drop"),
        ([0.5, np.nan, 0.5], r"a must be finite; a\[1\] is nan"),
        ([0.5, np.inf, 0.5], r"a must be finite; a\[1\] is inf"),
        ([0, 0, 0], "a must have a positive, finite sum; it sums to 0.0"),
        ([1e308, 1e308, 1e308], "a must have a positive, finite sum; it sums to inf"),
    ],
)
def test_bad_weights_are_refused(bad, match):
    with pytest.raises(ValueError, match=match):
        read_weights(bad, None, 3, 3)


def test_unequal_masses_are_refused_in_the_words_of_the_house():
    with pytest.raises(ValueError) as raised:
        read_weights([0.5, 0.5], [0.4, 0.4], 2, 2)
    assert str(raised.value) == "b must sum to the mass of a (1.0); it sums to 0.8. Normalise it: b * (1.0 / b.sum())."
    with pytest.raises(ValueError, match=r"mass of a \(2.0\); it sums to 1.0. b is uniform: pass a / a.sum\(\)"):
        read_weights([1.0, 1.0], None, 2, 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_masses_within_rounding_are_made_equal(dtype):
    n, eps = 100, float(np.finfo(dtype).eps)
    a = np.full(n, 1 / n, dtype)
    for factor, fits in ((1 + 8 * 10 * eps * 0.9, True), (1 + 8 * 10 * eps * 1.5, False)):
        weights = (a.astype(np.float64) * factor).astype(dtype)
        if fits:
            read_a, read_b = read_weights(a, weights, n, n)
            assert read_a is not None and read_b is not None
            assert abs(read_a.sum() - read_b.sum()) <= 2**-52
        else:
            with pytest.raises(ValueError, match="b must sum to the mass of a"):
                read_weights(a, weights, n, n)


def test_integer_weights_are_counts():
    a, b = read_weights(np.array([1, 2]), np.array([3]), 2, 1)
    assert a is not None and b is not None and a.tolist() == [1.0, 2.0] and b.tolist() == [3.0]


@pytest.mark.parametrize(
    ("bad", "error", "match"),
    [
        (
            np.zeros(3),
            ValueError,
            r"C must be a matrix of shape \(n, m\) with n, m >= 1; got shape \(3,\). Pass one row for each source",
        ),
        (np.zeros((0, 3)), ValueError, r"C must be a matrix.*got shape \(0, 3\)"),
        (scipy.sparse.csr_array((0, 3)), ValueError, r"C must be a matrix.*got shape \(0, 3\)"),
        ([[1.0, np.inf]], ValueError, r"C must be finite; C\[0, 1\] is inf. To forbid pairs pass a scipy.sparse"),
        (scipy.sparse.csr_array([[1.0, np.nan]]), ValueError, "C must be finite; a stored entry is NaN"),
        (scipy.sparse.csr_array([[1j, 1]]), TypeError, "C must hold real numbers.*complex128"),
        (np.array([["a"]]), TypeError, "C must hold real numbers"),
    ],
)
def test_bad_costs_are_refused(bad, error, match):
    with pytest.raises(error, match=match):
        read_costs(bad)


def test_sparse_costs_keep_stored_zeros_and_are_copied():
    given = scipy.sparse.coo_matrix(([0.0, 2.0, 3.0], ([0, 1, 1], [0, 1, 1])), shape=(2, 2))
    costs, home = read_costs(given)
    assert costs.nnz == 2 and costs[1, 1] == 5.0 and home.dtype == np.float64
    assert read_costs(scipy.sparse.csr_array(np.eye(2, dtype=np.float32)))[1].dtype == np.float32


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize(
    ("given", "returned"),
    [
        ("float64", "float64"),
        ("float32", "float32"),
        ("float16", "float32"),
        ("bfloat16", "float32"),
        ("int32", "float64"),
        ("bool", "float64"),
    ],
)
def test_tensor_dtypes(torch, given, returned):
    x = torch.tensor([[0, 1], [1, 1]]).to(getattr(torch, given))
    values, _, home = read(x, x)
    assert values.dtype.name == returned and values.tolist() == [[0, 1], [1, 1]]
    number, array = home.number(2.5), home.array(np.ones((2, 3)))
    assert number.dtype == array.dtype == getattr(torch, returned)
    assert number.shape == () and array.shape == (2, 3) and float(number) == 2.5


def test_views_and_tensors_under_grad(torch):
    x = torch.arange(12.0, dtype=torch.float64).reshape(2, 6).T[::2].requires_grad_()
    values, _, _ = read(x, x)
    np.testing.assert_array_equal(values, x.detach().numpy())
    assert values.flags.c_contiguous


def test_libraries_do_not_mix(torch):
    x = torch.zeros(3, 2)
    with pytest.raises(TypeError, match="arrays must come from one library; x is torch, y is numpy"):
        read(x, GOOD)
    with pytest.raises(TypeError, match="one library; x is numpy, a is torch"):
        read_weights(x[:, 0], None, 3, 3, x=GOOD)
    read(x, GOOD.tolist())


def test_tensors_elsewhere_are_not_copied_to_the_host(torch):
    x = torch.zeros(3, 2, device="meta")
    with pytest.raises(NotImplementedError, match=r"x is on 'meta' and this works on the host only. Pass x.cpu\(\)"):
        read(x, x)


def test_sparse_and_complex_tensors_are_refused(torch):
    with pytest.raises(TypeError, match=r"x must be a dense tensor.*to_dense\(\)"):
        read(torch.eye(3, 2).to_sparse(), torch.eye(3, 2))
    with pytest.raises(TypeError, match="x must hold real numbers.*complex64"):
        read(torch.zeros(3, 2, dtype=torch.complex64), torch.zeros(3, 2))
