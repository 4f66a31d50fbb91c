"""Dual potentials f, g with f_i + g_j <= c_ij: extended to points without mass, and turned into weight gradients."""

from __future__ import annotations

import numpy as np

from otgen_kernels import c_transform

from ..arrays import is_sparse
from .costs import Cost


def extend_over_points(cost: Cost, x, y, keep_x, keep_y, f, g) -> tuple[np.ndarray, np.ndarray]:
    """Potentials of the kept points -> potentials of all points: first g_j = min_i c_ij - f_i, then f_i likewise."""
    f_all, g_all = _scatter(f, keep_x), _scatter(g, keep_y)
    if not keep_y.all():
        g_all[~keep_y] = c_transform(y[~keep_y], x[keep_x], f, metric=cost.metric, p=cost.p)[0]
    if not keep_x.all():
        f_all[~keep_x] = c_transform(x[~keep_x], y, g_all, metric=cost.metric, p=cost.p)[0]
    return f_all, g_all


def extend_over_matrix(C, keep_x, keep_y, f, g) -> tuple[np.ndarray, np.ndarray]:
    """The same for a dense cost matrix, or a sparse one whose unstored pairs bind nothing."""
    f_all, g_all = _scatter(f, keep_x), _scatter(g, keep_y)
    if keep_x.all() and keep_y.all():
        return f_all, g_all
    if not is_sparse(C):
        g_all[~keep_y] = (C[np.ix_(keep_x, ~keep_y)] - f[:, None]).min(axis=0)
        f_all[~keep_x] = (C[~keep_x] - g_all).min(axis=1)
        return f_all, g_all
    stored = C.tocoo()
    rows, cols = stored.coords
    use = keep_x[rows] & ~keep_y[cols]
    _lower(g_all, ~keep_y, cols[use], stored.data[use] - f_all[rows[use]])
    use = ~keep_x[rows]
    _lower(f_all, ~keep_x, rows[use], stored.data[use] - g_all[cols[use]])
    return f_all, g_all


def centred(potential: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Gradient of the cost in the weights at fixed mass: the potential minus its weighted mean.

    Potentials are unique up to a constant only, because the masses of both sides must move together; this choice is the
    gradient of the cost as a function of weights / weights.sum().
    """
    return potential - weights @ potential / weights.sum()


def _scatter(values: np.ndarray, keep: np.ndarray) -> np.ndarray:
    if keep.all():
        return values
    out = np.zeros(len(keep))
    out[keep] = values
    return out


def _lower(potential: np.ndarray, where: np.ndarray, at: np.ndarray, bounds: np.ndarray) -> None:
    potential[where] = np.inf
    np.minimum.at(potential, at, bounds)
    potential[np.isinf(potential)] = 0.0  # no pair of this point is stored: any number is feasible
