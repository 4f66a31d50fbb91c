"""The debiased divergence and its gradient in x, by otgen and by GeomLoss.

Each takes float32 points and eps, warms what can be, and returns the call that is timed: no arguments, value and norm
of the gradient in otgen's units. GeomLoss halves the cost, so eps = 2 blur^2 and S = 2 S_geomloss.
"""

# pyright: reportMissingImports=false
# The peers are an extra of their own, which the linters do not install.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Solve = Callable[[], dict[str, Any]]
SCALINGS = (0.5, 0.7, 0.8, 0.9, 0.95)  # from fast to accurate
AGREES = 1e-3  # relative: the first scaling whose value is as near as this to otgen's is the one compared
WARM_POINTS = 1_000


def otgen_divergence(x, y, eps, scaling) -> Solve:
    """`otgen.sinkhorn_divergence` on torch tensors, and backward."""
    import otgen

    return _warmed(x, y, lambda x, y: otgen.sinkhorn_divergence(x, y, eps=eps))


def geomloss_divergence(x, y, eps, scaling, *, backend: str) -> Solve:
    """`geomloss.SamplesLoss` with one backend and scaling, and backward."""
    from geomloss import SamplesLoss

    blur = float(np.sqrt(eps / 2))
    loss = SamplesLoss("sinkhorn", p=2, blur=blur, scaling=scaling, debias=True, backend=backend)
    return _warmed(x, y, lambda x, y: 2 * loss(x, y))


def _warmed(x, y, divergence: Callable[..., Any]) -> Solve:
    import torch

    def solve(n: int | None) -> dict[str, Any]:
        points = torch.from_numpy(x[:n]).requires_grad_()
        value = divergence(points, torch.from_numpy(y[:n]))
        value.backward()
        assert points.grad is not None
        return {"value": value.item(), "gradient_norm": points.grad.norm().item()}

    solve(WARM_POINTS)
    return lambda: solve(None)


SOLVERS: dict[str, Callable[..., Solve]] = {
    "otgen": otgen_divergence,
    "GeomLoss tensorized": lambda *case: geomloss_divergence(*case, backend="tensorized"),
    "GeomLoss online": lambda *case: geomloss_divergence(*case, backend="online"),
    "GeomLoss multiscale": lambda *case: geomloss_divergence(*case, backend="multiscale"),
}
