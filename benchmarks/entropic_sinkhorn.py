"""Sinkhorn from points to potentials whose marginals are off by tol in L1, by otgen and its peers at their best.

Each takes points, weights (None for uniform; peers take nothing else), eps and tol, compiles or warms what can be, and
returns the call that is timed: no arguments, `{"f": , "g": , ...}` with pi_ij = a_i b_j exp((f_i + g_j - c_ij) / eps).
"""

# pyright: reportMissingImports=false
# The peers are an extra of their own, which the linters do not install.

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from clouds import part
from entropic_half_step import OTT_BATCH, torch_transform

Solve = Callable[[], dict[str, Any]]
MANY = 20_000  # iterations: the time limit ends a solve, not their number
WARM_POINTS = 1_000
# POT stops on the L2 error. Where the L1 error is 1e-4 it is sqrt(n) L2 times at most this;
# at 2,000 points 0.82 in d = 2, and from 0.14 in d = 64. No distribution of the error exceeds 1.
L1_OF_L2 = {2: 1.0, 64: 0.16}
ANNEALING = 0.25  # of eps a step: GeomLoss's default scaling of 0.5 for the blur


def otgen_sinkhorn(x, y, a, b, eps, tol) -> Solve:
    """`otgen.sinkhorn`."""
    import otgen

    def solve(*points) -> dict[str, Any]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = otgen.sinkhorn(*points, eps=eps, tol=tol)
        f, g = found.potentials
        told = {"marginal_error": found.marginal_error, "converged": found.converged, "n_iter": found.n_iter}
        bounds = {"lower_bound": found.lower_bound, "upper_bound": found.upper_bound, "gap": found.gap}
        warned = "; ".join(str(warning.message) for warning in caught)
        return {"f": f, "g": g, "value": found.value, **told, **bounds, "warning": warned}

    solve(*part((x, y, a, b), WARM_POINTS))
    return lambda: solve(x, y, a, b)


def ott_sinkhorn(x, y, a, b, eps, tol, *, online: bool = True) -> Solve:
    """OTT's Sinkhorn in log mode, whose error is the L1 one, by the acceleration that was fastest.

    Its kernel mode does not converge in float32 at this eps, and its initialisers save a tenth of the iterations.
    """
    import jax
    from ott.geometry.geometry import Geometry
    from ott.geometry.pointcloud import PointCloud
    from ott.problems.linear.linear_problem import LinearProblem
    from ott.solvers.linear.acceleration import AndersonAcceleration
    from ott.solvers.linear.sinkhorn import Sinkhorn

    anderson = AndersonAcceleration(memory=5, ridge_identity=1e-4)  # its own ridge of 1e-2 takes twice as long
    solver = Sinkhorn(threshold=tol, max_iterations=MANY, inner_iterations=5, anderson=anderson)

    def potentials(x, y):
        if online:
            geometry = PointCloud(x, y, epsilon=eps, batch_size=OTT_BATCH)
        else:
            geometry = Geometry(PointCloud(x, y).cost_matrix, epsilon=eps)
        found = solver(LinearProblem(geometry))
        return found.f, found.g, found.n_iters

    compiled = jax.jit(potentials).lower(x, y).compile()

    def solve() -> dict[str, Any]:
        f, g, iterations = (np.asarray(v, np.float64) for v in compiled(x, y))
        return {"f": f + eps * np.log(len(x)), "g": g + eps * np.log(len(y)), "n_iter": int(iterations)}

    return solve


def pot_sinkhorn(x, y, a, b, eps, tol, *, method: str = "sinkhorn", on_torch: bool = False) -> Solve:
    """`ot.sinkhorn` on `ot.dist`, on NumPy or torch; in float64 where it multiplies: in float32 its products are 0."""
    os.environ.pop("POT_BACKEND_DISABLE_PYTORCH", None)
    import ot

    dtype = np.float32 if method == "sinkhorn_log" else np.float64
    convert = np.asarray
    if on_torch:
        import torch

        convert = torch.from_numpy
    uniform = [convert(np.full(len(z), 1 / len(z), dtype)) for z in (x, y)]
    x, y = (convert(z.astype(dtype)) for z in (x, y))
    threshold = tol / (np.sqrt(len(y)) * L1_OF_L2[x.shape[1]])
    sinkhorn: Callable[..., Any] = ot.sinkhorn

    def solve() -> dict[str, Any]:
        cost = ot.dist(x, y)
        _, log = sinkhorn(*uniform, cost, eps, method=method, numItermax=MANY, stopThr=threshold, log=True)
        u, v = (np.asarray(log[name], np.float64) for name in ("u", "v"))
        return {"f": eps * np.log(u * len(x)), "g": eps * np.log(v * len(y)), "n_iter": log["niter"]}

    return solve


def keops_annealed(x, y, a, b, eps, tol) -> Solve:
    """GeomLoss has no tolerance: its KeOps formula in its own loop, then plain steps until the error is reached."""
    import torch
    from pykeops.torch import LazyTensor

    def transform(x, y, h, eps):
        rows, columns = LazyTensor(x[:, None, :]), LazyTensor(y[None, :, :])
        scaled = LazyTensor((h / eps)[None, :, None]) - rows.sqdist(columns) * (1 / eps)
        return -eps * scaled.logsumexp(dim=1).ravel()

    points = torch.from_numpy(x), torch.from_numpy(y)
    transform(points[0][:10], points[1][:10], torch.zeros(10), eps)  # compiles
    return lambda: _annealed(*points, eps, tol, transform)


def torch_annealed(x, y, a, b, eps, tol) -> Solve:
    """The same loop on torch.logsumexp of rows of costs."""
    import torch

    return lambda: _annealed(torch.from_numpy(x), torch.from_numpy(y), eps, tol, torch_transform)


def _annealed(x, y, eps, tol, transform) -> dict[str, Any]:
    """GeomLoss's descent in eps by averaged steps, then alternate ones.

    A step tells the error of the potentials before it at no cost: their rows are off by a factor exp((f - new) / eps).
    """
    log_n, log_m = float(np.log(len(x))), float(np.log(len(y)))
    at = float(((x.amax(0).maximum(y.amax(0)) - x.amin(0).minimum(y.amin(0))) ** 2).sum())
    f, g, count = x.new_zeros(len(x)), x.new_zeros(len(y)), 0
    while at > eps:
        new = transform(x, y, g - at * log_m, at), transform(y, x, f - at * log_n, at)
        f, g, at, count = (f + new[0]) / 2, (g + new[1]) / 2, max(ANNEALING * at, eps), count + 1
    while count < MANY:
        g = transform(y, x, f - eps * log_n, eps)
        new = transform(x, y, g - eps * log_m, eps)
        count += 1
        if float(((f - new) / eps).expm1().abs().mean()) <= tol:
            break
        f = new
    return {"f": f.numpy(), "g": g.numpy(), "n_iter": count}


SOLVERS: dict[str, Callable[..., Solve]] = {
    "otgen": otgen_sinkhorn,
    "OTT online": ott_sinkhorn,
    "OTT dense": lambda *case: ott_sinkhorn(*case, online=False),
    "POT": pot_sinkhorn,
    "POT on torch": lambda *case: pot_sinkhorn(*case, on_torch=True),
    "POT log": lambda *case: pot_sinkhorn(*case, method="sinkhorn_log"),
    "KeOps annealed": keops_annealed,
    "torch annealed": torch_annealed,
}
