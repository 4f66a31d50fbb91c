"""The median heuristic by itself: the bandwidth that `mmd_squared` takes for two clouds."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import read_points, read_weights
from ..devices import on_device
from ..options import read_seed
from .kernel_choice import median_distance


@on_device
def median_bandwidth(x: Any, y: Any, a: Any = None, b: Any = None, *, seed: Any = 0) -> float:
    """The bandwidth h that `mmd_squared(x, y, a, b, bandwidth="median", seed=seed)` takes.

    h^2 = median of |z - z'|^2 over the different points z, z' of both clouds, half of the mass on each.

    x (n, d), y (m, d); a (n,) and b (m,) of one mass, None for uniform. Of more than 1,000 points so many are drawn by
    `seed`. Returns a Python float, in the units of x, for tensors too: no gradient passes through it. Raises ValueError
    where all points looked at coincide, and ValueError or TypeError for bad input.
    Source: Gretton et al., JMLR 13 (2012), section 8.
    """
    rng = read_seed(seed)
    x_host, y_host, _ = read_points(x, y, transport=False, one_pair=True)
    weights = read_weights(a, b, len(x_host), len(y_host), x=x, y=y)
    clouds, shares = [], []
    for points, w in zip((x_host, y_host), weights):
        w = np.full_like(points, 1.0 / len(points), np.float64, shape=(len(points),)) if w is None else w
        keep = w > 0
        clouds.append(points[keep])
        shares.append(w[keep])
    mass = float(shares[0].sum())
    return median_distance(np.concatenate(clouds), np.concatenate([w / mass for w in shares]), rng)
