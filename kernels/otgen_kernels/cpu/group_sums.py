"""Sums of the points of each group."""

from __future__ import annotations

import numpy as np


def group_sums(x: np.ndarray, group: np.ndarray, count: int) -> np.ndarray:
    """Return the sum of the rows of x (N, d) that belong to each of `count` groups: float64 (count, d)."""
    from scipy.sparse import csr_array  # a tenth of a second that `import otgen` should not pay

    return csr_array((np.ones(len(x)), (group, np.arange(len(x)))), shape=(count, len(x))) @ x
