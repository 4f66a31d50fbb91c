"""Cells of u_h(x) = max_i <x, y_i> + h_i on the GPU: products and the search in one kernel, no matrix of scores.

In low dimension rows are in registers; else tensor cores multiply, by default in three TF32 products that leave the
errors of float32, on request (`fast`) in one, whose products are good to three digits.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from ..constants import LOW, SMALL_DIMS
from . import device, pairs

MOST_KEPT = 16
"""Sites listed of a row in shared memory; more are found, slowly, by pairs.py."""

WAVES = 8
"""Blocks for each multiprocessor at least: with fewer rows than that the sites are split too."""

AHEAD = 4
"""Searches that the host may be ahead of the device: enough that it never idles, few enough to stop in time."""

SMALL_THREADS, SMALL_ROWS, SMALL_TOP_ROWS = 128, 4, 2  # of cells_small.cu
ROWS, SITES, SLICE, STAGES = 256, 128, 16, 4  # of cells.cu
SITE_STAGE, ROW_STAGE = 4 * (SITES * 4 + 8) + SITES, 4 * (ROWS * 4 + 8)  # floats


class Cells:
    """The sites y (n, d), prepared once for many x and h; centre (d,) is about where x lies (None: the origin).

    fast: scores of more than SMALL_DIMS coordinates from plain TF32, off by about 1e-3 |x - centre| |y_i - shift|.
    """

    def __init__(self, y: Any, centre: Any = None, *, fast: bool = False):
        d = y.shape[1]
        with device.home((y,)):
            cupy = device.namespace()
            self.y = cupy.ascontiguousarray(y, np.float64)
            self.centre = cupy.zeros(d) if centre is None else cupy.asarray(centre, np.float64)
            self.shift = self.y.mean(0)
            moved = self.y - self.shift
            self._tilt = moved @ self.centre
        self._small, self._fast = d <= SMALL_DIMS, fast
        self._program = (
            device.Program("cells_small", DIM=d) if self._small else device.Program("cells", PASSES=1 if fast else 3)
        )
        self._fold = device.Program("cells_fold")
        self._points = self._prepared(moved, SITES)
        self._started: deque[Any] = deque()

    def terms(self, h: Any) -> Any:
        """Return what <x - centre, y_i - shift> needs to become <x, y_i> + h_i less a function of x: (n,) float64."""
        return h + self._tilt

    def top(self, x: Any, h: Any, keep: int, reach: float = np.inf) -> tuple[Any, Any]:
        """Return the scores (N, keep) of the highest sites, descending, and their indices (int32).

        A score is <x - centre, y_i - shift> + terms(h)_i - max terms(h) in float32. Only sites within reach of the
        highest are sought; places left over hold LOW and site 0. Beyond MOST_KEPT (or the shared memory of a small
        GPU) all pairs are looked at in float64.
        """
        rows, reach = len(x), float(np.float32(min(reach, 1e30)))
        with device.home((x, h)):
            shared, held = (8 * keep * SMALL_THREADS * SMALL_TOP_ROWS, 0) if self._small else self._shared(keep)
            if keep > MOST_KEPT or shared > device.most_shared():
                return self._top_of_all(x, h, keep, reach)
            cupy, near, term = device.namespace(), self._near(x), self._term(h)
            block = SMALL_THREADS * SMALL_TOP_ROWS if self._small else ROWS
            run, splits = _shares(rows, len(self._points), block)
            parts = splits if self._small else 2 * splits
            part = cupy.empty((parts, rows, keep), np.float32), cupy.empty((parts, rows, keep), np.int32)
            if self._small:
                self._program(
                    "top", (-(-rows // block), splits), (SMALL_THREADS,), near, self._points, term, rows,
                    len(self._points), run, keep, reach, *part, shared=shared,
                )  # fmt: skip
            else:
                self._program(
                    "top", (-(-rows // block), splits), (ROWS,), near, self._points, term, rows, *self._points.shape,
                    run, held, keep, reach, *part, shared=shared,
                )  # fmt: skip
            heads = cupy.zeros((rows, parts), np.int32)
            scores, indices = cupy.empty((rows, keep), np.float32), cupy.empty((rows, keep), np.int32)
            self._fold("top_merge", (-(-rows // 256),), (256,), *part, rows, parts, keep, reach, heads, scores, indices)
            self._keep_pace()
            return scores, indices

    def counts(self, x: Any, h: Any) -> Any:
        """Return how many of the points x each cell holds, (n,) int64."""
        with device.home((x, h)):
            counts = device.namespace().zeros(len(self.y), np.int64)
            self._best(self._near(x), self._points, self._term(h), counts, len(x))
            return counts

    def histogram(self, index: Any) -> Any:
        """Return how many entries of index (N,) each site has, (n,) int64."""
        with device.home((index,)):
            cupy = device.namespace()
            index, counts = cupy.ascontiguousarray(index, np.int32), cupy.zeros(len(self.y), np.int64)
            self._fold("histogram", (-(-len(index) // 256),), (256,), index, len(index), counts)
            return counts

    def shortfall(self, x: Any, highest: Any, terms: Any, sites: Any) -> Any:
        """Return min over x of highest(x) - (<x - centre, y_i - shift> + terms_i) for the sites i."""
        with device.home((x, highest, terms, sites)):
            cupy = device.namespace()
            # The x nearest to being site i's: max over x of <y_i - shift, x - centre> - highest(x), rows and sites
            # having changed places.
            near = self._prepared(x - self.centre, SITES)
            term = cupy.full(len(near), 2.0 * LOW, np.float32)
            term[: len(x)] = -highest
            rows = self._prepared(self.y[sites] - self.shift, ROWS)
            return -(self._best(rows, near, term, None, len(sites))[0].astype(np.float64) + terms[sites])

    def assign(self, x: Any, h: Any, *, exact: bool = False) -> tuple[Any, Any]:
        """Return the highest site of every x and u_h(x); exact decides near-ties in float64, the lowest index first."""
        with device.home((x, h)):
            cupy = device.namespace()
            if exact:
                square = cupy.einsum("ij,ij->i", self.y, self.y)
                x = cupy.ascontiguousarray(x, np.float64)
                index = pairs.c_transform(x, self.y, 2.0 * h + square, metric="euclidean", p=2.0)[1]
            else:
                index = self._best(self._near(x), self._points, self._term(h), None, len(x))[1].astype(np.int64)
            return index, self._values(x, h, index)

    def tally(self, x: Any, h: Any) -> tuple[Any, Any]:
        """Return how many of the points x each cell holds, (n,) int64, and the sum of u_h(x), without a wait for it."""
        with device.home((x, h)):
            counts = device.namespace().zeros(len(self.y), np.int64)
            index = self._best(self._near(x), self._points, self._term(h), counts, len(x))[1]
            return counts, self._values(x, h, index.astype(np.int64)).sum()

    def _best(self, near: Any, points: Any, term: Any, counts: Any, rows: int) -> tuple[Any, Any]:
        cupy = device.namespace()
        block = SMALL_THREADS * SMALL_ROWS if self._small else ROWS
        run, splits = _shares(rows, len(points), block)
        part = cupy.empty((splits, rows), np.float32), cupy.empty((splits, rows), np.int32)
        if self._small:
            self._program(
                "best", (-(-rows // block), splits), (SMALL_THREADS,), near, points, term, rows, len(points), run, *part
            )
        else:
            shared, held = self._shared(0)
            self._program(
                "best", (-(-rows // block), splits), (ROWS,), near, points, term, rows, *points.shape, run, held,
                *part, shared=shared,
            )  # fmt: skip
        found = cupy.empty(rows, np.float32), cupy.empty(rows, np.int32)
        self._fold("best_merge", (-(-rows // 256),), (256,), *part, rows, splits, *found, counts)
        self._keep_pace()
        return found

    def _keep_pace(self) -> None:
        self._started.append(device.namespace().cuda.get_current_stream().record())
        if len(self._started) > AHEAD:
            self._started.popleft().synchronize()

    def _values(self, x: Any, h: Any, index: Any) -> Any:
        cupy = device.namespace()
        x, h = cupy.ascontiguousarray(x, np.float64), cupy.ascontiguousarray(h, np.float64)
        values = cupy.empty(len(x))
        self._fold("values_at", (-(-len(x) // 8),), (256,), x, self.y, h, index, *x.shape, values)
        return values

    def _near(self, x: Any) -> Any:
        return self._prepared(x - self.centre, ROWS)

    def _term(self, h: Any) -> Any:
        term = device.namespace().full(len(self._points), 2.0 * LOW, np.float32)
        exact = self.terms(h)
        term[: len(self.y)] = np.maximum(exact - exact.max(), float(LOW))
        return term

    def _prepared(self, points: Any, multiple: int) -> Any:
        """The points in float32, as the kernel reads them: for tensor cores padded with zeros, and rounded if fast."""
        cupy, (n, d) = device.namespace(), points.shape
        if self._small:
            return cupy.ascontiguousarray(points, np.float32)
        padded = cupy.zeros((-(-max(n, 1) // multiple) * multiple, -(-d // SLICE) * SLICE), np.float32)
        padded[:n, :d] = points
        if self._fast:  # to TF32, ties away from zero: what the tensor cores would cut off
            bits = padded.view(np.uint32)
            bits += np.uint32(0x1000)
            bits &= np.uint32(0xFFFFE000)
        return padded

    def _shared(self, keep: int) -> tuple[int, int]:
        """Bytes of shared memory for lists of `keep`, and whether a block's rows stay there."""
        others, slices = 4 * STAGES * SITE_STAGE + 16 * keep * ROWS, self._points.shape[1] // SLICE
        held = slices <= STAGES or others + 4 * slices * ROW_STAGE <= device.most_shared()
        return others + 4 * (slices if held else STAGES) * ROW_STAGE, int(held)

    def _top_of_all(self, x: Any, h: Any, keep: int, reach: float) -> tuple[Any, Any]:
        # |x - y_i|^2 - (2 h_i + |y_i|^2) = |x|^2 - 2 (<x, y_i> + h_i)
        cupy, x = device.namespace(), device.namespace().ascontiguousarray(x, np.float64)
        offsets = 2.0 * h + cupy.einsum("ij,ij->i", self.y, self.y)
        listed = min(keep, len(self.y))
        values, found = pairs.smallest_k(x, self.y, offsets, listed, metric="euclidean", p=2.0)
        values = 0.5 * (cupy.einsum("ij,ij->i", x, x)[:, None] - values)
        values -= (x @ self.shift + self.terms(h).max())[:, None]
        inside = (values > values[:, :1] - reach) & (values > float(LOW))
        scores, indices = cupy.full((len(x), keep), LOW, np.float32), cupy.zeros((len(x), keep), np.int32)
        scores[:, :listed] = np.where(inside, values, float(LOW))
        indices[:, :listed] = np.where(inside, found, 0)
        return scores, indices


def _shares(rows: int, sites: int, block: int) -> tuple[int, int]:
    """How many sites, whole tiles, a block of rows takes in turn, and by how many blocks a row's sites are shared."""
    tiles, wanted = -(-sites // SITES), -(-WAVES * device.processors() // max(-(-rows // block), 1))
    run = -(-tiles // max(min(tiles, wanted), 1))
    return run * SITES, -(-tiles // run)
