"""The one tolerance of the tests."""

from __future__ import annotations

import numpy as np


def tol(dtype: object) -> float:
    """Return the relative error that a short computation in dtype may show: 2^11 roundings."""
    return 2.0**11 * float(np.finfo(np.dtype(dtype)).eps)  # pyright: ignore[reportArgumentType, reportCallIssue]
