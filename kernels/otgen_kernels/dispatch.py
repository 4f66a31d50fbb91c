"""The one place that asks where an array lives: numpy goes to cpu/, cupy to cuda/."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .cpu import pairs, soft
    from .kernel_kinds import KernelSums

TWINNED = {
    "kernel_forms": ("kernel_forms",),
    "kernel_sum": ("kernel_sum",),
    "pairs": ("PairIndex", "c_transform", "smallest_k"),
    "soft": ("SoftMatrix", "SoftPairs", "soft_average", "soft_c_transform"),
    "soft_batch": ("sinkhorn_batch", "sinkhorn_batch_gradient", "plan_mass_batch"),
}
"""Operations with a CPU and a CUDA twin of one signature, by the file that holds both."""

HOST_ONLY = {
    "arcs": (
        "arc_costs",
        "cost_matrix",
        "matrix_smallest_k",
        "matrix_smallest_k_columns",
        "merge_arcs",
        "refine_arcs",
        "ship_leftovers",
    ),
    "cells": ("Cells",),
    "cells_soft": ("Lists",),
    "kernel_forms": ("line_forms",),
    "kernel_sum": ("kernel_profile",),
    "laguerre2d": ("Laguerre2D",),
    "laguerre3d": ("Laguerre3D",),
    "line": (
        "c_transform_1d",
        "staircase",
        "uniform_masses",
        "wasserstein_1d",
    ),
    "line_gradients": ("gradients_1d", "potentials_1d"),
    "multigrid": (
        "Multigrid",
        "facet_weights",
    ),
    "pool": ("blas_single_thread", "run"),
    "quantise": (
        "group_means",
        "group_starts",
        "tree_order",
        "whole_masses",
    ),
    "simplex": ("NetworkSimplex",),
    "small_transport": ("small_transport",),
    "slices": ("Slices", "weighted_gram"),
    "sorted_lines": ("sorted_rows", "wasserstein_sorted"),
}
"""Kernels that only ever run on the host, by their file: the names of `otgen_kernels.host`."""


def PairIndex(x: np.ndarray, y: np.ndarray, *, metric: str, p: float) -> pairs.PairIndex:
    """Prepare x (n, d) and y (m, d) for many c_transform(h) and smallest_k(h, k), and their transposes ending in _t."""
    return _twin("pairs", x, y).PairIndex(x, y, metric=metric, p=p)


def c_transform(
    x: np.ndarray, y: np.ndarray, h: np.ndarray | None, *, metric: str, p: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return v_i = min_j c(x_i, y_j) - h_j (n,) and the lowest j attaining it (n,).

    x (n, d) and y (m, d) are C-contiguous and of one dtype, float32 or float64; h (m,) is float64, None for zeros.
    """
    return _twin("pairs", x, y, h).c_transform(x, y, h, metric=metric, p=p)


def smallest_k(
    x: np.ndarray, y: np.ndarray, h: np.ndarray | None, k: int, *, metric: str, p: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k smallest c(x_i, y_j) - h_j (n, k) of every i, ascending, ties by j, and their j (n, k); k <= m."""
    return _twin("pairs", x, y, h).smallest_k(x, y, h, k, metric=metric, p=p)


def SoftPairs(x: np.ndarray, y: np.ndarray, *, metric: str, p: float) -> soft.SoftPairs:
    """Prepare x (n, d) and y (m, d) for many soft reductions: transform, entropy, average and gradient, both ways."""
    return _twin("soft", x, y).SoftPairs(x, y, metric=metric, p=p)


def SoftMatrix(matrix: np.ndarray) -> soft.SoftMatrix:
    """The same reductions, but the gradient, over the pairs of a cost matrix (n, m)."""
    return _twin("soft", matrix).SoftMatrix(matrix)


def soft_c_transform(
    x: np.ndarray, y: np.ndarray, h: np.ndarray | None, b: np.ndarray | None, *, metric: str, p: float, eps: float
) -> np.ndarray:
    """Return v_i = -eps log sum_j b_j exp((h_j - c(x_i, y_j)) / eps), float64 (n,); inf where no b_j is positive.

    x (n, d) and y (m, d) are C-contiguous and of one dtype, which is the precision of the exponents (the sums are
    float64); h (m,) and weights b (m,) are float64, None for zeros and for ones.
    """
    return _twin("soft", x, y, h, b).soft_c_transform(x, y, h, b, metric=metric, p=p, eps=eps)


def soft_average(
    x: np.ndarray, y: np.ndarray, f: np.ndarray, h: np.ndarray | None, b: np.ndarray | None, values: np.ndarray,
    *, metric: str, p: float, eps: float,
) -> np.ndarray:  # fmt: skip
    """Return sum_j b_j exp((f_i + h_j - c(x_i, y_j)) / eps) values_j, float64 (n, ...), for values (m, ...)."""
    return _twin("soft", x, y, f, h, b, values).soft_average(x, y, f, h, b, values, metric=metric, p=p, eps=eps)


def sinkhorn_batch(
    x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray, *, metric: str, p: float, eps: float, rho_a: float,
    rho_b: float, tol: float, max_iter: int, symmetric: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Solve B small entropic problems: x (B, n, d), y (B, m, d), a (B, n), b (B, m) -> f (B, n), g (B, m), figures.

    figures (B, 9): value, objective, dual value, gap, error, lower and upper bound, sweeps, mass; symmetric says that
    x = y, a = b and rho_a = rho_b.
    """
    return _twin("soft_batch", x, y, a, b).sinkhorn_batch(
        x, y, a, b, metric=metric, p=p, eps=eps, rho_a=rho_a, rho_b=rho_b, tol=tol, max_iter=max_iter,
        symmetric=symmetric,
    )  # fmt: skip


def sinkhorn_batch_gradient(
    x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray, f: np.ndarray, g: np.ndarray,
    *, metric: str, p: float, eps: float,
) -> np.ndarray:  # fmt: skip
    """Return sum_j pi_ij grad c(x_i, y_j) in x_i of every problem, (B, n, d)."""
    return _twin("soft_batch", x, y).sinkhorn_batch_gradient(x, y, a, b, f, g, metric=metric, p=p, eps=eps)


def plan_mass_batch(
    x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray, f: np.ndarray, g: np.ndarray,
    *, metric: str, p: float, eps: float,
) -> np.ndarray:  # fmt: skip
    """Return sum_ij a_i b_j exp((f_i + g_j - c(x_i, y_j)) / eps) of every problem, (B,)."""
    return _twin("soft_batch", x, y).plan_mass_batch(x, y, a, b, f, g, metric=metric, p=p, eps=eps)


def kernel_sum(
    x: np.ndarray, y: np.ndarray | None, a: np.ndarray, b: np.ndarray | None, *, kernel: str, scales: np.ndarray,
    bandwidth: float, sums: bool, by_x: bool, by_y: bool,
) -> KernelSums:  # fmt: skip
    """Return a^T K b of K_ij = k(x_i, y_j), and as asked K b, K^T a and sum_j b_j grad_x k, sum_i a_i grad_y k.

    x (n, d) and y (m, d) are C-contiguous and of one dtype, in which pairs are worked on; a and b are float64 >= 0.
    y and b None stand for x and a: each pair is then taken once.
    """
    return _twin("kernel_sum", x, y, a, b).kernel_sum(
        x, y, a, b, kernel=kernel, scales=scales, bandwidth=bandwidth, sums=sums, by_x=by_x, by_y=by_y
    )


def kernel_forms(x: np.ndarray, marks: np.ndarray, *, kernel: str, scales: np.ndarray, bandwidth: float) -> np.ndarray:
    """Return sum_ij s_i s_j k(x_i, x_j) of every column s of marks (n, P), whose entries are 0 and 1: float64 (P,)."""
    return _twin("kernel_forms", x, marks).kernel_forms(x, marks, kernel=kernel, scales=scales, bandwidth=bandwidth)


def _twin(file: str, *arrays: object) -> Any:
    """The file of that name in cpu/ or in cuda/, by where the arrays live; raises TypeError where they mix."""
    # Imported at the first call: Numba takes a third of a second that `import otgen` should not pay.
    cupy, given = sys.modules.get("cupy"), [array for array in arrays if array is not None]
    on_device = [cupy is not None and isinstance(array, cupy.ndarray) for array in given]
    for array, there in zip(given, on_device):
        if not there and (any(on_device) or not isinstance(array, np.ndarray)):
            raise TypeError(
                f"arrays must all be of NumPy or all of CuPy; got a {type(array).__module__}.{type(array).__name__}. "
                "Move the data explicitly: cupy.asnumpy(...) to the host, cupy.asarray(...) to the device."
            )
    return import_module(f".{'cuda' if any(on_device) else 'cpu'}.{file}", __package__)
