"""Sums by group on the GPU and on the host."""

from __future__ import annotations

import numpy as np
import pytest

import otgen_kernels as kernels


@pytest.mark.parametrize(("n", "d", "count"), [(1, 1, 1), (300, 3, 7), (50, 70, 60)])
def test_sums_are_those_of_a_loop(cupy, rng, n, d, count):
    x, group = rng.normal(size=(n, d)), rng.integers(0, max(count - 1, 1), n)  # the last group is empty, unless alone
    wanted = np.array([x[group == g].sum(0) for g in range(count)])
    np.testing.assert_allclose(kernels.group_sums(x, group, count), wanted, atol=1e-12)
    found = kernels.group_sums(cupy.asarray(x), cupy.asarray(group), count)
    np.testing.assert_allclose(cupy.asnumpy(found), wanted, atol=1e-12)
