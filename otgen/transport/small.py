"""Exact transport between small clouds: one compiled call in place of the rounds of column generation."""

from __future__ import annotations

import contextlib
import time

import numpy as np

from otgen_kernels import host

from .multiscale import ALL_ARCS, merged
from .pricing import cost_to_means
from .solution import Progress, Solution, lower_bound, prove, weighted_median

Array = np.ndarray

MOST_POINTS = 256  # a side: all pairs, and the list of arcs the tree is drawn from, stay in the L2 cache of a core


def solve_small(
    x: Array, y: Array, a: Array, b: Array, *, metric: str, p: float, tol: float, progress: Progress | None
) -> Solution:
    """The plan between k-d ordered x (n, d), y (m, d) with positive weights of equal mass, by pivots over all pairs."""
    began = time.perf_counter()
    masses = host.whole_masses(a, b)
    none = np.empty((0, x.shape[1]))
    above = (none, none, *masses)
    if len(x) * len(y) > ALL_ARCS:
        (X, A, _), (Y, B, _) = merged(x, masses[0]), merged(y, masses[1])
        above = (X, Y, A, B)
    rows, cols, mass, f, g, value = host.small_transport(x, y, (a, b), masses, above, metric=metric, p=p)
    shift = weighted_median(g, b)
    f, g = f + shift, g - shift
    total = float(a.sum())
    found = prove(
        (rows, cols, mass), (f, g), value, lower_bound(a, f, b, g),
        total * cost_to_means(x, y, a / total, b / total, metric, p), tol=tol, n_iter=1,
    )  # fmt: skip
    if progress is not None:
        report = {"level": 1, "levels": 1, "round": 1, "arcs": len(x) * len(y), "gap": found.gap, "scale": found.scale}
        # the proof is there: an interrupt from the report has nothing left to stop
        with contextlib.suppress(KeyboardInterrupt):
            progress(report | {"seconds": time.perf_counter() - began})
    return found
