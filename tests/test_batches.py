"""Batches at the door: shapes, homes and weights, problem by problem, and how each refusal reads."""

from __future__ import annotations

import numpy as np
import pytest

from otgen.arrays import read_weights
from otgen.batches import is_batch, read_batch_weights, read_batches

X, Y = np.arange(12.0).reshape(2, 3, 2), np.arange(8.0).reshape(2, 2, 2)


def test_three_axes_are_a_batch_in_any_library():
    torch = pytest.importorskip("torch")
    assert is_batch(X) and is_batch(X.tolist()) and is_batch(torch.zeros(1, 2, 3))
    assert not any(is_batch(x) for x in (X[0], X[None], [[1.0], [2.0]], [[1.0], [2.0, 3.0]], 5.0, None))


def test_clouds_come_in_plain_and_of_one_precision():
    x, y, home = read_batches(np.asfortranarray(X.astype("f4")), Y[:, ::-1])
    assert x.dtype == y.dtype == home.dtype == np.float64 and x.flags.c_contiguous and y.flags.c_contiguous
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, Y[:, ::-1])
    assert read_batches(X.astype("f2"), Y.astype("f4"))[2].dtype == np.float32
    assert read_batches(X.tolist(), Y)[0].shape == (2, 3, 2) and np.shares_memory(read_batches(X, Y)[0], X)


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        (X[0], r"x must have shape \(B, n, d\) with B, n, d >= 1, as the other .* got shape \(3, 2\). Give both one"),
        (X[:, :0], r"x must have shape \(B, n, d\) .* got shape \(2, 0, 2\)"),
        (X[:1], r"as many problems, of one dimension d; got shapes \(1, 3, 2\) and \(2, 2, 2\). Match their first"),
        (X[..., :1], r"of one dimension d; got shapes \(2, 3, 1\) and \(2, 2, 2\)"),
        (np.where(X == 5, np.inf, X), r"x must be finite; x\[0, 2, 1\] is inf"),
    ],
)
def test_bad_clouds_are_refused(bad, match):
    with pytest.raises(ValueError, match=match):
        read_batches(bad, Y)


def test_weights_of_each_problem_are_those_of_the_problem_alone():
    a, b = np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 1.0]]), np.array([[2.0, 4.0], [2.0, 0.0]])
    found = read_batch_weights(a, b, (2, 3, 2), unequal=False)
    for k in range(2):
        for one, alone in zip(found, read_weights(a[k], b[k], 3, 2)):
            np.testing.assert_array_equal(one[k], alone)
    for shared in ((None, None), (a[0] / 6, None), (a[0], b[0])):
        one, other = read_batch_weights(*shared, (2, 3, 2), unequal=False)
        assert one.shape == (2, 3) and other.shape == (2, 2) and one.flags.c_contiguous
        np.testing.assert_array_equal(one[0], one[1])
        assert one.sum() == pytest.approx(other.sum())
    assert read_batch_weights(a, 5 * b, (2, 3, 2), unequal=True)[1].sum() == 40.0


@pytest.mark.parametrize(
    ("a", "b", "match"),
    [
        (
            np.ones((3, 3)),
            None,
            r"a must have shape \(2, 3\) or \(3,\) for a batch of 2; got shape \(3, 3\). Pass one row",
        ),
        (None, np.ones(3), r"b must have shape \(2, 2\) or \(2,\) for a batch of 2; got shape \(3,\)"),
        ([[1, 0, 0], [1, 1, 0]], [[1, 0], [1, 0]], r"in problem 1 of the batch b must sum to the mass of a \(2.0\)"),
        ([1, 1, 0], [1, 0], r"^b must sum to the mass of a \(2.0\); it sums to 1.0. .* Or pass unbalanced="),
        ([[1, 0, 0], [1, -1, 1]], None, r"in problem 1 of the batch a must not be negative; a\[1\] is -1.0"),
    ],
)
def test_bad_weights_are_refused(a, b, match):
    with pytest.raises(ValueError, match=match):
        read_batch_weights(a, b, (2, 3, 2), unequal=False)
