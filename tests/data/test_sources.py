"""Samples by number: which numbers are taken, and what comes back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otgen.data import sources


def test_every_byte_is_its_share_of_255():
    values = np.arange(256, dtype=np.uint8).reshape(64, 1, 2, 2)
    found = sources.Stored(values)[:]
    assert found.dtype == np.float32 and found.min() == 0 and found.max() == 1
    np.testing.assert_array_equal(found.ravel(), np.array([np.float32(i) / np.float32(255) for i in range(256)]))
    np.testing.assert_array_equal(np.rint(found * 255), values)


@given(st.integers(1, 9), st.data())
def test_rows_are_those_numpy_takes(n, data):
    everything = np.arange(n)
    index = data.draw(
        st.one_of(
            st.slices(n),
            st.lists(st.integers(-n, n - 1), max_size=12),
            st.lists(st.booleans(), min_size=n, max_size=n).map(np.array),
            st.lists(st.integers(0, n - 1), max_size=5).map(lambda found: np.array(found, np.uint8)),
        )
    )
    taken = np.asarray(index, dtype=int) if isinstance(index, list) else index
    np.testing.assert_array_equal(sources.rows(index, n), everything[taken])


@pytest.mark.parametrize("index", [2, np.int64(1), [0.0], [[0]], np.ones(3, bool), "a"])
def test_other_kinds_of_index_are_refused(index):
    with pytest.raises(TypeError, match=r"index must be a slice, integers of shape \(k,\) or a mask of shape \(4,\)"):
        sources.rows(index, 4)


@pytest.mark.parametrize("index", [[4], [0, -5]])
def test_numbers_outside_the_set_are_refused(index):
    with pytest.raises(IndexError, match=r"index must lie in \[0, 4\); got .* Draw it from range"):
        sources.rows(index, 4)


def test_a_batch_is_the_callers_own():
    values = np.zeros((3, 2), np.float32)
    batch = sources.Stored(values)[:]
    batch += 1
    assert not values.any() and batch.flags.c_contiguous


@pytest.mark.parametrize(
    "labels, said",
    [
        (np.zeros(2, int), r"3 labels, one a sample; it holds shape \(2,\)"),
        (np.zeros((3, 1), int), r"holds shape \(3, 1\)"),
        (np.zeros(3), "integer labels; its dtype is float64"),
        (np.array([0, -1, 2]), "at least 0 and at most 4; it holds -1 to 2"),
        (np.array([0, 5, 2]), "at least 0 and at most 4; it holds 0 to 5"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels, said):
    with pytest.raises(ValueError, match="file must hold .*" + said):
        sources.check_labels(labels, 3, 5, "file")
