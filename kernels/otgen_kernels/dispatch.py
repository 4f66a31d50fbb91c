"""The one place that asks where an array lives: numpy goes to cpu/, cupy to cuda/."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from .loading import load

if TYPE_CHECKING:
    from .cpu import cells, cells_soft, pairs, slices, soft
    from .kernel_kinds import KernelSums

TWINNED = {
    "cells": ("Cells",),
    "cells_soft": ("Lists",),
    "group_sums": ("group_sums",),
    "kernel_forms": ("kernel_forms",),
    "kernel_sum": ("kernel_sum",),
    "line": ("c_transform_1d", "staircase", "wasserstein_1d"),
    "line_gradients": ("gradients_1d", "potentials_1d"),
    "pairs": ("PairIndex", "c_transform", "smallest_k"),
    "slices": ("Slices", "weighted_gram"),
    "soft": ("SoftMatrix", "SoftPairs", "soft_average", "soft_c_transform"),
    "soft_batch": ("sinkhorn_batch", "sinkhorn_batch_gradient", "plan_mass_batch"),
    "sorted_lines": ("sorted_rows", "wasserstein_sorted"),
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
    "kernel_forms": ("line_forms",),
    "kernel_sum": ("kernel_profile",),
    "laguerre2d": ("Laguerre2D",),
    "laguerre3d": ("Laguerre3D",),
    "line": ("uniform_masses",),
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
}
"""Kernels that only ever run on the host, by their file: the names of `otgen_kernels.host`."""

GPU_ONLY = {"sinkhorn": ("CONVERGED", "START", "Rules", "Sinkhorn", "State")}
"""What only a GPU needs kernels for, by its file in cuda/: the names of `otgen_kernels.gpu`."""


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


def group_sums(x: np.ndarray, group: np.ndarray, count: int) -> np.ndarray:
    """Return the sum of the rows of x (N, d) that belong to each of `count` groups, group (N,): float64 (count, d)."""
    return _twin("group_sums", x, group).group_sums(x, group, count)


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


def wasserstein_1d(x: np.ndarray, y: np.ndarray, a: np.ndarray | None, b: np.ndarray | None, *, p: float) -> np.ndarray:
    """Return W_p between the columns of x (n, k) and y (m, k), float64 (k,).

    a (n,) and b (m,) are positive float64 weights of one mass; both None is uniform, of mass 1.
    """
    return _twin("line", x, y, a, b).wasserstein_1d(x, y, a, b, p=p)


def staircase(
    x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray, *, p: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the monotone plan of x (n,), y (m,) and duals of |x - y|^p: rows, cols, mass, f (n,), g (m,)."""
    return _twin("line", x, y, a, b).staircase(x, y, a, b, p=p)


def c_transform_1d(x: np.ndarray, y: np.ndarray, g: np.ndarray, *, p: float) -> np.ndarray:
    """Return f_i <= min_j |x_i - y_j|^p - g_j, short of it by rounding only; all float64, O((n + m) log(n + m))."""
    return _twin("line", x, y, g).c_transform_1d(x, y, g, p=p)


def gradients_1d(
    x: np.ndarray, y: np.ndarray, a: np.ndarray | None, b: np.ndarray | None, *, p: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return W_p (k,) as wasserstein_1d does, and its gradients in the points, (k, n) and (k, m), in their dtype."""
    return _twin("line_gradients", x, y, a, b).gradients_1d(x, y, a, b, p=p)


def potentials_1d(
    x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray, distances: np.ndarray, *, p: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients of W_p (k,) of columns in weights of mass 1, (k, n) and (k, m), each up to a constant."""
    return _twin("line_gradients", x, y, a, b, distances).potentials_1d(x, y, a, b, distances, p=p)


def sorted_rows(values: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return rows (k, n) in ascending order, float64, and weights (n,) in the order of each, (k, n)."""
    return _twin("sorted_lines", values, weights).sorted_rows(values, weights)


def wasserstein_sorted(
    x: np.ndarray, y: np.ndarray, a: np.ndarray | None, b: np.ndarray | None, *, p: float
) -> np.ndarray:
    """Return W_p between the sorted rows of x (k, n) and y (k, m), (k,); a (k, n), b (k, m) of mass 1, or None."""
    return _twin("sorted_lines", x, y, a, b).wasserstein_sorted(x, y, a, b, p=p)


def Slices(points: np.ndarray, centres: np.ndarray, scales: np.ndarray) -> slices.Slices:
    """Prepare clouds (B, n, d), taken as scale x - centre, for projections on directions and sums over them."""
    return _twin("slices", points, centres, scales).Slices(points, centres, scales)


def weighted_gram(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return sum_i weights_i points_i points_i^T (d, d) of points (n, d) and weights (n,), float64."""
    return _twin("slices", points, weights).weighted_gram(points, weights)


def Cells(y: np.ndarray, centre: np.ndarray | None = None, *, fast: bool = False) -> cells.Cells:
    """Prepare sites y (n, d) for argmax_i <x, y_i> + h_i at many x and h: counts, the highest, the few highest.

    centre (d,) is about where x lies; fast: on a GPU, products good to three digits, in a third of the work.
    """
    return _twin("cells", y).Cells(y, centre, fast=fast)


def Lists(score: np.ndarray, index: np.ndarray, n: int) -> cells_soft.Lists:
    """Prepare listed sites of samples, of n, for smoothed masses and their Laplacian: score (N, k), index (N, k)."""
    return _twin("cells_soft", score, index).Lists(score, index, n)


def random_stream(seed: int | list[int], beside: np.ndarray) -> Any:
    """Return a stream of random numbers made where `beside` lives: a numpy.random.Generator, or the GPU's Philox.

    A seed gives the same numbers on one kind of device, and others on the host.
    """
    cupy = sys.modules.get("cupy")
    if cupy is not None and isinstance(beside, cupy.ndarray):
        return load(".cuda.philox").Philox(seed)
    return np.random.default_rng(seed)


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
    return load(f".{'cuda' if any(on_device) else 'cpu'}.{file}")
