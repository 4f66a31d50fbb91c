"""Who is not on the host is told so; nothing is copied behind the caller's back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import otgen_kernels


class DeviceArray:
    """Stands for a cupy.ndarray on machines without one."""


@pytest.mark.parametrize("where", ["x", "y", "h"])
def test_an_array_of_another_library_is_refused(where):
    arrays: dict[str, Any] = {"x": np.zeros((2, 1)), "y": np.zeros((3, 1)), "h": np.zeros(3)} | {where: DeviceArray()}
    for call in (otgen_kernels.c_transform, lambda x, y, h, **cost: otgen_kernels.smallest_k(x, y, h, 1, **cost)):
        with pytest.raises(NotImplementedError, match=r"CUDA kernels are not built yet; got a .*DeviceArray.*asnumpy"):
            call(**arrays, metric="euclidean", p=1)


def test_an_index_over_another_library_is_refused():
    with pytest.raises(NotImplementedError, match="CUDA kernels are not built yet"):
        otgen_kernels.PairIndex(DeviceArray(), np.zeros((3, 1)), metric="euclidean", p=1)  # pyright: ignore
