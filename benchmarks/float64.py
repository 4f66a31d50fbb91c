"""The definitions in float64, block by block: what every answer of the entropic benchmark is checked against."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

ROWS = 512  # of a block: 40 MB at 10,000 columns
SAMPLED = 2_048  # rows, and columns, whose error is taken for all where there are over MOST_PAIRS
MOST_PAIRS = 2e9


def mean_cost(x: np.ndarray, y: np.ndarray) -> float:
    """The mean of |x_i - y_j|^2 over all pairs, which is where eps is measured from."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    apart = x.mean(axis=0) - y.mean(axis=0)
    return float(x.var(axis=0).sum() + y.var(axis=0).sum() + apart @ apart)


def cost_blocks(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows of the cost |x_i - y_j|^2, coordinate by coordinate so that coincident points cost 0."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    middle = 0.5 * (x.mean(axis=0) + y.mean(axis=0))
    x, y = x - middle, y - middle
    columns = y.T.copy()
    for start in range(0, len(x), ROWS):
        rows = slice(start, min(start + ROWS, len(x)))
        if x.shape[1] <= 4:
            cost = sum(np.square(x[rows, k, None] - columns[k]) for k in range(x.shape[1]))
        else:
            cost = np.square(x[rows]).sum(axis=1)[:, None] + np.square(columns).sum(axis=0) - 2 * x[rows] @ columns
        yield rows, np.asarray(cost)


def weights(w: np.ndarray | None, n: int) -> np.ndarray:
    """Weights as float64 of sum 1, uniform where there are none."""
    return np.full(n, 1.0 / n) if w is None else w.astype(np.float64) / w.sum(dtype=np.float64)


def marginal_error(x, y, a, b, f: np.ndarray, g: np.ndarray, eps: float) -> float:
    """The larger L1 error of both marginals of pi_ij = a_i b_j exp((f_i + g_j - c_ij) / eps), as a part of the mass.

    NaN where a potential of a point with weight is not finite. Of very large clouds a random part of the rows and of
    the columns is looked at, each in full.
    """
    if len(x) * float(len(y)) > MOST_PAIRS:
        rng = np.random.default_rng(0)
        sides = ((x, y, a, b, f, g), (y, x, b, a, g, f))
        return max(_sampled_error(rng.choice(len(side[0]), SAMPLED, replace=False), *side, eps) for side in sides)
    a, b = weights(a, len(x)), weights(b, len(y))
    # A point without weight sends nothing, whatever its potential: exp of it may overflow, and inf x 0 is no number.
    f, g = (np.where(w > 0, h, -np.inf).astype(np.float64) for w, h in ((a, f), (b, g)))
    columns, error = np.zeros(len(y)), 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for rows, cost in cost_blocks(x, y):
            plan = np.exp((f[rows, None] + g - cost) / eps) * a[rows, None] * b
            error += float(np.abs(plan.sum(axis=1) - a[rows]).sum())
            columns += plan.sum(axis=0)
    return float(np.maximum(error, np.abs(columns - b).sum()))


def _sampled_error(sample: np.ndarray, x, y, a, b, f: np.ndarray, g: np.ndarray, eps: float) -> float:
    """The L1 error of the row sums, from those of a sample."""
    a, b = weights(a, len(x)), weights(b, len(y))
    off = 0.0
    for rows, cost in cost_blocks(x[sample], y):
        taken = sample[rows]
        plan = np.exp((f[taken, None].astype(np.float64) + g - cost) / eps) * a[taken, None] * b
        off += float(np.abs(plan.sum(axis=1) - a[taken]).sum())
    return off * len(x) / len(sample)


def soft_c_transform(x, y, h: np.ndarray, eps: float) -> np.ndarray:
    """v_i = -eps log sum_j exp((h_j - c_ij) / eps): a half-step, h holding the weights as eps log b."""
    v = np.empty(len(x))
    for rows, cost in cost_blocks(x, y):
        terms = (h - cost) / eps
        top = terms.max(axis=1)
        v[rows] = -eps * (top + np.log(np.exp(terms - top[:, None]).sum(axis=1)))
    return v


def annealed_potentials(x: np.ndarray, y: np.ndarray, eps: float, mean: float) -> tuple[np.ndarray, np.ndarray]:
    """Potentials (f, g) as a running Sinkhorn loop holds them: a descent from the mean cost and two steps at eps.

    g is newer than f by half a step; weights are uniform.
    """
    f, g = np.zeros(len(x)), np.zeros(len(y))
    for at in [*np.geomspace(mean, eps, 4)[:-1], eps, eps]:
        f = soft_c_transform(x, y, g - at * np.log(len(y)), at)
        g = soft_c_transform(y, x, f - at * np.log(len(x)), at)
    return f, g
