"""A wrong launch fails before it starts, and says which kernel, parameter and rule."""

from __future__ import annotations

import numpy as np
import pytest

from otgen_kernels.cuda import device

PROGRAM = device.Program("pairs", REAL="double", FORM=0, SHAPE=0)


def arguments(cupy, **other):
    part = cupy.empty((1, 4)), cupy.empty((1, 4), np.int32)
    values, indices = cupy.empty(4), cupy.empty(4, np.int64)
    given = {"part_values": part[0], "part_indices": part[1], "n": 4, "splits": 1, "values": values, "indices": indices}
    return list((given | other).values())


def launch(cupy, grid=(1,), block=(256,), **other):
    PROGRAM("c_transform_merge", grid, block, *arguments(cupy, **other))


def test_what_fits_is_launched(cupy):
    launch(cupy)
    launch(cupy, grid=(0,))  # no blocks, no work


def test_shared_memory_near_48_kb_is_asked_for(cupy):
    PROGRAM("c_transform_merge", (1,), (256,), *arguments(cupy), shared=40 * 1024)  # static memory counts too


@pytest.mark.parametrize(
    ("other", "error", "match"),
    [
        (
            {"values": np.empty(4)},
            TypeError,
            r"pairs.cu: c_transform_merge: values must be a cupy.ndarray; got a numpy",
        ),
        ({"n": 2**31}, (OverflowError, ValueError), r"2147483648|out of bounds"),
        ({"n": 1.5}, OverflowError, r"n is a int32, which does not hold 1.5"),
    ],
)
def test_what_does_not_fit_is_refused(cupy, other, error, match):
    with pytest.raises(error, match=match):
        launch(cupy, **other)


def test_an_array_of_another_dtype_or_layout_is_refused(cupy):
    with pytest.raises(TypeError, match="part_values must have dtype float64; got float32"):
        launch(cupy, part_values=cupy.empty((1, 4), np.float32))
    with pytest.raises(ValueError, match=r"values must be C-contiguous; got strides"):
        launch(cupy, values=cupy.empty((4, 2))[:, 0])


@pytest.mark.parametrize(("grid", "block"), [((1, 70_000), (256,)), ((1,), (1056,)), ((1,), (100,))])
def test_a_shape_beyond_the_device_is_refused(cupy, grid, block):
    with pytest.raises(ValueError, match="a grid may have|a block has whole warps"):
        launch(cupy, grid=grid, block=block)


def test_a_macro_that_the_source_does_not_list_is_refused():
    with pytest.raises(ValueError, match=r"pairs.cu is compiled for .*'FORM': \(0, 1, 2\).*got .*'FORM': 3"):
        device.Program("pairs", REAL="double", FORM=3, SHAPE=0)


def test_a_missing_argument_is_refused(cupy):
    with pytest.raises(TypeError, match="takes 6 arguments; got 5"):
        PROGRAM("c_transform_merge", (1,), (256,), *arguments(cupy)[:-1])


def test_arrays_of_no_common_device_are_refused(cupy):
    class Elsewhere:
        device = type("Device", (), {"id": 7})

    with pytest.raises(ValueError, match=r"arrays must be on one device; they are on devices \[0, 7\]"):
        device.home((cupy.zeros(1), Elsewhere()))
