"""Who is neither on the host nor on a device is told so; nothing is copied behind the caller's back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import otgen_kernels


class ForeignArray:
    """Stands for a tensor, a list, or whatever else is not an array of NumPy or CuPy."""


@pytest.mark.parametrize("where", ["x", "y", "h"])
def test_an_array_of_another_library_is_refused(where):
    arrays: dict[str, Any] = {"x": np.zeros((2, 1)), "y": np.zeros((3, 1)), "h": np.zeros(3)} | {where: ForeignArray()}
    for call in (otgen_kernels.c_transform, lambda x, y, h, **cost: otgen_kernels.smallest_k(x, y, h, 1, **cost)):
        with pytest.raises(TypeError, match=r"all be of NumPy or all of CuPy; got a .*ForeignArray.*cupy.asnumpy"):
            call(**arrays, metric="euclidean", p=1)


def test_an_index_over_another_library_is_refused():
    with pytest.raises(TypeError, match="all be of NumPy or all of CuPy"):
        otgen_kernels.PairIndex(ForeignArray(), np.zeros((3, 1)), metric="euclidean", p=1)  # pyright: ignore


def test_arrays_of_host_and_device_do_not_mix(cupy):
    x, y = np.zeros((2, 1)), cupy.zeros((3, 1))
    with pytest.raises(TypeError, match=r"got a numpy.ndarray. Move the data explicitly"):
        otgen_kernels.c_transform(x, y, None, metric="euclidean", p=1)


def test_arrays_of_the_device_are_answered_there(cupy):
    x, y = cupy.zeros((2, 1)), cupy.ones((3, 1))
    for found in otgen_kernels.c_transform(x, y, None, metric="euclidean", p=1):
        assert isinstance(found, cupy.ndarray)
