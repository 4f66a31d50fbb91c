"""Index pairs drawn from an optimal plan: minibatch transport for flow matching."""

from __future__ import annotations

from typing import Any

import numpy as np

from .exact import solve_sample
from .result import ConvergenceError


def couple(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    eps: float | None = None,
    seed: int | np.random.Generator = 0,
    cost: Any = "sqeuclidean",
    n_pairs: int | None = None,
    replace: bool = False,
) -> tuple[Any, Any]:
    """Draw index pairs (i, j) from the optimal plan between x and y: train on (x[i], y[j]).

    E[number of pairs (i, j)] = n_pairs * pi_ij / sum(pi), pi the plan of `solve_sample`.

    replace=False draws systematically: every pair comes up floor or ceil of its expected number of times, ordered by i,
    so n = m uniform points with n_pairs=None give each point once: i = 0 .. n-1, j a permutation.
    replace=True draws independently, as TorchCFM's OTPlanSampler does: the same mean, more variance.
    n_pairs None is n, the length of x. seed is an int or a numpy Generator. Returns int64 arrays (n_pairs,); torch
    index tensors on the device of the points. No gradients. Raises ConvergenceError if interrupted before the proof.
    Source: Tong et al., arXiv 2302.00482; Pooladian et al., arXiv 2304.14772.
    """
    rng = _generator(seed)
    if n_pairs is not None and (isinstance(n_pairs, bool) or not isinstance(n_pairs, (int, np.integer)) or n_pairs < 1):
        raise ValueError(f"n_pairs must be None (the length of x) or an int >= 1; got {n_pairs!r}.")
    result = solve_sample(x, y, a, b, cost=cost, eps=eps)
    if not result.converged:
        raise ConvergenceError(f"the plan to draw from is not proven: {result.message}. See .result.", result)
    assert result._points is not None
    rows, cols = _draw(result.plan, n_pairs or len(result._points.x), bool(replace), rng)
    home = result._points.home
    return home.array(rows, np.dtype(np.int64)), home.array(cols, np.dtype(np.int64))


def _draw(plan: Any, size: int, replace: bool, rng: np.random.Generator):
    arcs = plan.tocoo()
    rows, cols = arcs.coords
    if replace:
        drawn = rng.choice(len(arcs.data), size, p=arcs.data / arcs.data.sum())
        return rows[drawn], cols[drawn]
    if size == len(arcs.data) and (arcs.data == arcs.data[0]).all():
        return rows, cols  # a permutation: rounding of the running sums must not skip a pair
    ends = np.cumsum(arcs.data)
    marks = (rng.random() + np.arange(size)) * (ends[-1] / size)
    drawn = np.minimum(np.searchsorted(ends, marks, side="right"), len(ends) - 1)
    return rows[drawn], cols[drawn]


def _generator(seed: Any) -> np.random.Generator:
    if isinstance(seed, np.random.Generator):
        return seed
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"seed must be an int >= 0 or a numpy Generator; got {seed!r}.")
    return np.random.default_rng(seed)
