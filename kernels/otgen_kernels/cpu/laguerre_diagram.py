"""What a power diagram is known by, in the plane and in space."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Diagram(NamedTuple):
    """Measures of the cells W_i, mu being the measure on the domain, and the graph of those that share a facet.

    Cell i has the neighbours neighbours[starts[i] : starts[i + 1]], ascending; facets are the integrals of the density
    over the common facets (lengths and areas for Lebesgue), equal for (i, j) and (j, i).
    """

    mass: np.ndarray
    """(n,), mu(W_i)."""
    first: np.ndarray
    """(n, d), ∫_{W_i} x dmu."""
    second: np.ndarray
    """(n,), ∫_{W_i} |x|^2 dmu."""
    starts: np.ndarray
    """(n + 1,), int64."""
    neighbours: np.ndarray
    """(k,), int64."""
    facets: np.ndarray
    """(k,)."""
