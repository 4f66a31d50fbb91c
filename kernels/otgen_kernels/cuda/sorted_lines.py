"""Transport along many lines whose points are sorted already: what a cloud needs once, and what each pair needs."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import device
from .line import arranged, ends_of, p_mean, sort_rows, uniform_ends


def sorted_rows(values: Any, weights: Any) -> tuple[Any, Any]:
    """Rows (k, n) of values in ascending order, float64, and weights (n,) in the order of each, (k, n)."""
    with device.home((values, weights)):
        rows = device.namespace().ascontiguousarray(values)
        if weights is None:
            return sort_rows(rows).astype(np.float64, copy=False), None
        rows, order = arranged(rows)
        return rows.astype(np.float64, copy=False), weights[order]


def wasserstein_sorted(x: Any, y: Any, a: Any, b: Any, *, p: float) -> Any:
    """W_p between the rows of x (k, n) and y (k, m), each sorted, float64 (k,); weights as those of wasserstein_1d.

    a (k, n) and b (k, m) are positive, in the order of the points, of mass 1 in each row; both None is uniform.
    """
    with device.home((x, y, a, b)):
        cupy = device.namespace()
        ends = uniform_ends(x.shape[1], y.shape[1]) if a is None or b is None else (ends_of(a), ends_of(b), 1.0)
        return p_mean(cupy.ascontiguousarray(x), cupy.ascontiguousarray(y), *ends, p=p)
