"""One half-step v_i = -eps log sum_j exp((h_j - c_ij) / eps) of a running Sinkhorn loop, by otgen and its peers.

Each takes float32 points x (n, d), y (m, d), offsets h = g + eps log b (m,), the last result `near` (n,) and eps,
brings them into its own form, which is not timed, and returns the call that is: no arguments, v (n,) as an array.
"""

# pyright: reportMissingImports=false
# The peers are an extra of their own, which the linters do not install.

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import numpy as np

Step = Callable[[], Any]
OTT_BATCH = 64  # the fastest of 64, 128, ..., 2,500 in d = 2, 3 and 64: a row of costs stays in the cache
TORCH_ROWS = 256  # the fastest of whole, 1,024 and 256


def otgen_step(x, y, h, near, eps) -> Step:
    """`otgen_kernels.SoftPairs`, as the solver holds it."""
    import otgen_kernels

    pairs = otgen_kernels.SoftPairs(x, y, metric="euclidean", p=2.0)
    return lambda: pairs.transform(0, h, eps, near, single=True)


def ott_step(x, y, h, near, eps) -> Step:
    """`PointCloud.update_potential` with a batch size: the costs are recomputed, batch by batch."""
    import jax
    import jax.numpy as jnp
    from ott.geometry.pointcloud import PointCloud

    def update(x, y, f, g):
        return PointCloud(x, y, epsilon=eps, batch_size=OTT_BATCH).update_potential(f, g, jnp.zeros(len(f)), axis=1)

    step, arguments = jax.jit(update), [jnp.asarray(v, jnp.float32) for v in (x, y, near, h)]
    return lambda: np.asarray(step(*arguments))


def keops_step(x, y, h, near, eps) -> Step:
    """A LazyTensor's logsumexp; x and y over sqrt(eps) once for all, so that a pair costs no division."""
    import torch
    from pykeops.torch import LazyTensor

    x, y = (torch.from_numpy(np.float32(z / np.sqrt(eps))) for z in (x, y))
    rows, columns = LazyTensor(x[:, None, :]), LazyTensor(y[None, :, :])
    offsets = torch.from_numpy(np.float32(h / eps))[None, :, None]
    return lambda: -eps * (LazyTensor(offsets) - rows.sqdist(columns)).logsumexp(dim=1).ravel().numpy()


def pot_step(x, y, h, near, eps) -> Step:
    """The update of u in `ot.bregman.sinkhorn_log`: NumPy's backend, and the cost matrix given."""
    import ot
    from ot.backend import get_backend

    negative_cost = -ot.dist(x, y) / np.float32(eps)
    offsets, nx = (h / eps).astype(np.float32), get_backend(negative_cost)
    return lambda: -eps * nx.logsumexp(negative_cost + offsets[None, :], 1)


def torch_step(x, y, h, near, eps) -> Step:
    """torch.logsumexp of rows of a given cost matrix."""
    import torch

    x, y = torch.from_numpy(x), torch.from_numpy(y)
    negative_cost = torch.cdist(x, y).square_().div_(-eps).split(TORCH_ROWS)
    offsets = torch.from_numpy(np.float32(h / eps))
    return lambda: -eps * torch.cat([torch.logsumexp(offsets + rows, dim=1) for rows in negative_cost]).numpy()


def torch_from_points(x, y, h, near, eps) -> Step:
    """The same, with the rows of the matrix from a GEMM each time."""
    import torch

    x, y, h = torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(np.float32(h))
    return lambda: torch_transform(x, y, h, eps).numpy()


def torch_transform(x, y, h, eps):
    """The soft c-transform of torch tensors, TORCH_ROWS rows of |x|^2 + |y|^2 - 2 <x, y> at a time."""
    import torch

    offsets, columns = (h - y.square().sum(dim=1)) / eps, y.T
    parts = [torch.logsumexp(torch.addmm(offsets, rows, columns, alpha=2 / eps), dim=1) for rows in x.split(TORCH_ROWS)]
    return x.square().sum(dim=1) - eps * torch.cat(parts)


def sgemm_step(x, y, h, near, eps) -> Step:
    """No half-step but its floor where d is large: the products <x_i, y_j> alone, in tiles that stay in the cache."""
    from threadpoolctl import threadpool_limits

    threads, tile = len(os.sched_getaffinity(0)), (256, 1024)
    tiles = list(product(range(0, len(x), tile[0]), range(0, len(y), tile[1])))
    threadpool_limits(1, user_api="blas")
    pool = ThreadPoolExecutor(threads)
    buffers = [np.empty(tile, np.float32) for _ in range(threads)]

    def share(k: int) -> None:
        for i, j in tiles[k::threads]:
            rows, columns = x[i : i + tile[0]], y[j : j + tile[1]]
            np.matmul(rows, columns.T, out=buffers[k][: len(rows), : len(columns)])

    return lambda: list(pool.map(share, range(threads))) and None


SOLVERS: dict[str, Callable[..., Step]] = {
    "otgen": otgen_step,
    "OTT online": ott_step,
    "KeOps": keops_step,
    "POT log": pot_step,
    "torch": torch_step,
    "torch from points": torch_from_points,
    "SGEMM": sgemm_step,
}
