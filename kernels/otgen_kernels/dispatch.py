"""The one place that asks where an array lives: numpy goes to cpu/, cupy to cuda/."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .cpu import pairs

TWINNED = ("PairIndex", "c_transform", "smallest_k")
"""Operations with a CPU and a CUDA twin of one signature."""

HOST_ONLY = (
    "NetworkSimplex",
    "arc_costs",
    "cost_matrix",
    "group_means",
    "group_starts",
    "matrix_smallest_k",
    "matrix_smallest_k_columns",
    "merge_arcs",
    "refine_arcs",
    "ship_leftovers",
    "tree_order",
    "unit_rows",
    "whole_masses",
)
"""Kernels that only ever run on the host: the names of `otgen_kernels.host`."""


def PairIndex(x: np.ndarray, y: np.ndarray, *, metric: str, p: float) -> pairs.PairIndex:
    """Prepare x (n, d) and y (m, d) for many c_transform(h) and smallest_k(h, k), and their transposes ending in _t."""
    return _pairs(x, y).PairIndex(x, y, metric=metric, p=p)


def c_transform(
    x: np.ndarray, y: np.ndarray, h: np.ndarray | None, *, metric: str, p: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return v_i = min_j c(x_i, y_j) - h_j (n,) and the lowest j attaining it (n,).

    x (n, d) and y (m, d) are C-contiguous and of one dtype, float32 or float64; h (m,) is float64, None for zeros.
    """
    return _pairs(x, y, h).c_transform(x, y, h, metric=metric, p=p)


def smallest_k(
    x: np.ndarray, y: np.ndarray, h: np.ndarray | None, k: int, *, metric: str, p: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k smallest c(x_i, y_j) - h_j (n, k) of every i, ascending, ties by j, and their j (n, k); k <= m."""
    return _pairs(x, y, h).smallest_k(x, y, h, k, metric=metric, p=p)


def _pairs(*arrays: object) -> ModuleType:
    for array in arrays:
        if array is not None and not isinstance(array, np.ndarray):
            raise NotImplementedError(
                f"otgen's CUDA kernels are not built yet; got a {type(array).__module__}.{type(array).__name__}. "
                "Move the data to the host explicitly (cupy.asnumpy) and pass numpy arrays."
            )
    # Imported at the first call: Numba takes a third of a second that `import otgen` should not pay.
    from .cpu import pairs

    return pairs
