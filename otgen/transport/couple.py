"""Index pairs drawn from an optimal plan: minibatch transport for flow matching."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import devices
from ..arrays import home_beside, read_points, read_weights
from ..options import check_most, read_flag, read_seed
from .exact import solve_sample
from .plan import draw
from .result import ConvergenceError


@devices.on_device
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

    E[number of pairs (i, j)] = n_pairs * pi_ij / sum(pi), pi the plan of `solve_sample`: with eps that of `sinkhorn`.

    replace=False draws systematically: every pair comes up floor or ceil of its expected number of times, ordered by i,
    so n = m uniform points with n_pairs=None give each point once: i = 0 .. n-1, j a permutation. With eps this holds
    of every i, and each draws its j from its row of the plan.
    replace=True draws independently, as TorchCFM's OTPlanSampler does: the same mean, more variance.
    n_pairs None is n, the length of x. seed is an int or a numpy Generator. Returns int64 arrays (n_pairs,); torch
    index tensors on the device of the points, or arrays of CuPy. No gradients. Memory O(n + m), and for eps one chunk
    of dense rows. On a GPU the plan is as `solve_sample` makes it; pairs are drawn from it by the host's generator.
    Raises ConvergenceError if interrupted. An entropic plan that did not reach its tol is drawn from all the same, and
    says so with a ConvergenceWarning. Source: Tong et al., arXiv 2302.00482; Pooladian et al., arXiv 2304.14772.
    """
    rng = read_seed(seed)
    if n_pairs is not None and (isinstance(n_pairs, bool) or not isinstance(n_pairs, (int, np.integer)) or n_pairs < 1):
        raise ValueError(
            f"n_pairs must be None (the length of x) or an int >= 1; got {n_pairs!r}. Leave it None for one a point."
        )
    if n_pairs is not None:
        check_most(n_pairs, "n_pairs")
    replace = read_flag(replace, "replace")
    home = home_beside(read_points(x, y)[2], a=a, b=b)  # a batch (B, n, d), which solve_sample takes, is refused here
    result = solve_sample(x, y, a, b, cost=cost, eps=eps)
    if result.message.startswith("interrupted") or (eps is None and not result.converged):
        raise ConvergenceError(f"the plan to draw from is not proven: {result.message}. See .result.", result)
    n, m = result.plan.shape
    if eps is None:
        rows, cols = _drawn(result.plan, n_pairs or n, replace, rng)
    else:
        weights = read_weights(a, b, n, m, entropic=True, x=x, y=y)[0]  # the row sums of the plan, to the last digit
        masses = np.full(n, 1.0 / n) if weights is None else devices.fetch(weights)
        rows = devices.beside(result.plan._held, _places(masses, n_pairs or n, replace, rng))
        cols = draw(result.plan, rows, rng)
    return home.array(rows, np.dtype(np.int64)), home.array(cols, np.dtype(np.int64))


def _drawn(plan: Any, size: int, replace: bool, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    arcs = plan.tocoo()
    rows, cols = arcs.coords
    drawn = _places(arcs.data, size, replace, rng)
    return rows[drawn], cols[drawn]


def _places(masses: np.ndarray, size: int, replace: bool, rng: np.random.Generator) -> np.ndarray:
    """Draw `size` places with chances proportional to their masses: independently, or systematically and in order."""
    if replace:
        return rng.choice(len(masses), size, p=masses / masses.sum())
    if size == len(masses) and (masses == masses[0]).all():
        return np.arange(size)  # each once: rounding of the running sums must not skip one
    ends = np.cumsum(masses)
    marks = (rng.random() + np.arange(size)) * (ends[-1] / size)
    return np.minimum(np.searchsorted(ends, marks, side="right"), np.flatnonzero(masses)[-1])
