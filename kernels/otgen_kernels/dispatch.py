"""The one place that asks where an array lives: numpy goes to cpu/, cupy to cuda/."""

from __future__ import annotations

import numpy as np

TWINNED = ("c_transform", "smallest_k")
"""Operations that have, or will have, a CPU and a CUDA twin of one signature."""

HOST_ONLY = ()
"""Kernels that only ever run on the host."""


def _on_host(*arrays: np.ndarray | None) -> None:
    for array in arrays:
        if array is not None and not isinstance(array, np.ndarray):
            kind = f"{type(array).__module__}.{type(array).__name__}"
            raise NotImplementedError(
                f"otgen_kernels has no CUDA kernels yet; got {kind}. "
                "Move the data to the host yourself (cupy.asnumpy) and pass numpy arrays."
            )


def c_transform(x: np.ndarray, y: np.ndarray, h: np.ndarray | None, *, metric: str, p: float):
    """Return v_i = min_j metric(x_i, y_j)**p - h_j and the lowest j attaining it."""
    from .cpu import pairs

    _on_host(x, y, h)
    return pairs.c_transform(x, y, h, metric=metric, p=p)


def smallest_k(x: np.ndarray, y: np.ndarray, h: np.ndarray | None, k: int, *, metric: str, p: float):
    """Return the k smallest metric(x_i, y_j)**p - h_j of every row i, ascending, and their j."""
    from .cpu import pairs

    _on_host(x, y, h)
    return pairs.smallest_k(x, y, h, k, metric=metric, p=p)
