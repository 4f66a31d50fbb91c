"""Sorting values with their weights, against argsort."""

from __future__ import annotations

import numpy as np
import pytest

from otgen_kernels.cpu import order


def clouds(n):
    rng = np.random.default_rng(n)
    yield "normal", rng.normal(size=n)
    yield "signs and zeros", rng.choice([-1.5, -0.0, 0.0, 2.0], n)
    yield "sorted", np.sort(rng.normal(size=n))
    yield "extreme", rng.choice([-1, 1], n) * 10.0 ** rng.uniform(-320, 308, n)
    yield "few doubled bits", 1.0 + rng.integers(0, 50, n) * 2.0**-40 + rng.integers(0, 3, n)
    yield "all within the packed bits", 1.0 + rng.random(n) * 1e-12
    yield "float32", rng.normal(size=n).astype(np.float32)
    yield "strided", rng.normal(size=2 * n)[::2]


@pytest.mark.parametrize("n", [1, 2, order.LEAST - 1, order.LEAST, order.LEAST + 1, 20_000])
def test_sorts_values_and_carries_weights(n):
    for name, values in clouds(n):
        weights = np.random.default_rng(1).random(n)
        found, carried = order.sort_with(values, weights)
        np.testing.assert_array_equal(found, np.sort(values), err_msg=name)
        # whatever the order of ties, every value keeps its own weights
        expected = np.lexsort((weights, values))
        got = np.lexsort((carried, found))
        np.testing.assert_array_equal(carried[got], weights[expected], err_msg=name)


def test_values_too_close_for_the_packed_bits_fall_back_to_argsort():
    values = 1.0 + np.random.default_rng(0).random(20_000) * 1e-12
    bits = (len(values) - 1).bit_length()
    packed = np.sort(order._pack(values.view(np.uint64), bits))
    assert not order._unpack(packed, bits, values, values)[2]
