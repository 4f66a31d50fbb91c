"""A k-d tree packed into leaves of 32 points and groups of 8 nodes, and linear bounds of h over its nodes."""

from __future__ import annotations

import numpy as np

from ..constants import BIG, FAN, LEAF
from ..costs import Cost


class Tree:
    """The points y in k-d order: order (m,), leaves (l, d, 32), and nodes in groups of 8.

    A node's fields: centre (d), half widths (d), slope s of h (d), max of h - <s, y - centre>, max h, rounding of h.
    """

    def __init__(self, y: np.ndarray, order: np.ndarray):
        m, d = y.shape
        self.order = order
        count = -(-m // LEAF)
        filled = y[np.concatenate([order, np.repeat(order[-1:], count * LEAF - m)])]
        self.leaves = np.ascontiguousarray(filled.reshape(count, LEAF, d).transpose(0, 2, 1))
        self.heights = np.full((count, LEAF), -BIG)
        self._levels: list[_Level] = []
        low, high = self.leaves.min(2), self.leaves.max(2)
        counts, starts, total = [], [], 0
        span = 1
        while True:
            counts.append(count)
            starts.append(total)
            total += -(-count // FAN)
            self._levels.append(_Level(low, high, span))
            if count <= FAN:
                break
            cuts = np.arange(0, count, FAN)
            low, high = np.minimum.reduceat(low, cuts), np.maximum.reduceat(high, cuts)
            count, span = len(cuts), span * FAN
        self.counts, self.starts = np.array(counts), np.array(starts)
        self.nodes = np.zeros((total, 3 * d + 3, FAN))
        self.nodes[:, 3 * d : 3 * d + 2] = -BIG  # a lane without a child is never worth a visit
        for start, level in zip(starts, self._levels, strict=True):
            self._write(start, 0, np.concatenate([level.centre, level.width], 1))
        self._offsets = self.leaves - self._levels[0].centre[:, :, None]
        self._weights = np.ones((len(self.leaves), LEAF))
        self._weights.reshape(-1)[m:] = 0.0
        for level in self._levels:
            level.learn(self._offsets, self._weights, self._levels[0].centre)

    def set_heights(self, h: np.ndarray, cost: Cost, slack: float) -> None:
        """Fit h over every node by least squares; slack is the relative rounding that bounds are protected from."""
        m, d = len(self.order), self.leaves.shape[1]
        self.heights.reshape(-1)[:m] = h[self.order]
        above = (self.heights - h.max()) * self._weights
        sums, moments = above.sum(1), np.einsum("lt,ldt->ld", above, self._offsets)
        inside = self._weights > 0
        highest = self.heights.max(1)
        largest = np.maximum(highest, -np.where(inside, self.heights, highest[:, None]).min(1))
        for start, level in zip(self.starts, self._levels, strict=True):
            s = level.slopes(sums, moments)
            each = np.repeat(s, level.span, 0)[: len(self.leaves)]
            rest = self.heights - np.einsum("ld,ldt->lt", each, self._offsets)
            top = level.reduce(np.maximum, rest.max(1) - (each * level.shift).sum(1))
            peak, size = level.reduce(np.maximum, highest), level.reduce(np.maximum, largest)
            size_of_bound = size + (np.abs(s) * level.width).sum(1) + cost.at(level.width.sum(1))
            self._write(
                start, 2 * d, np.column_stack([s, top + slack * size_of_bound, peak + slack * size, slack * size])
            )

    def _write(self, start: int, field: int, rows: np.ndarray) -> None:
        whole = len(rows) // FAN
        self.nodes[start : start + whole, field : field + rows.shape[1]] = (
            rows[: whole * FAN].reshape(whole, FAN, rows.shape[1]).transpose(0, 2, 1)
        )
        if rest := len(rows) % FAN:
            self.nodes[start + whole, field : field + rows.shape[1], :rest] = rows[-rest:].T


class _Level:
    """The nodes of one level, span leaves each: what least squares needs that does not depend on h."""

    def __init__(self, low: np.ndarray, high: np.ndarray, span: int):
        self.span = span
        self.centre = 0.5 * low + 0.5 * high
        # Measured from the rounded centre, so that the box holds its points.
        self.width = np.maximum(high - self.centre, self.centre - low)

    def learn(self, offsets: np.ndarray, weights: np.ndarray, centre: np.ndarray) -> None:
        leaves, d, _ = offsets.shape
        self._cuts = np.arange(0, leaves, self.span)
        self.shift = centre - np.repeat(self.centre, self.span, 0)[:leaves]
        count = weights.sum(1)
        inner = np.einsum("ldt,lt->ld", offsets, weights)
        total = self.reduce(np.add, count)
        self._mean = self.reduce(np.add, inner + count[:, None] * self.shift) / total[:, None]
        second = np.einsum("ldt,let,lt->lde", offsets, offsets, weights) if d > 1 else None
        if second is None:
            second = ((offsets[:, 0] ** 2) * weights).sum(1)[:, None, None]
        cross = inner[:, :, None] * self.shift[:, None, :]
        second = second + cross + cross.transpose(0, 2, 1)
        second += count[:, None, None] * self.shift[:, :, None] * self.shift[:, None, :]
        cov = self.reduce(np.add, second) - total[:, None, None] * self._mean[:, :, None] * self._mean[:, None, :]
        trace = np.trace(cov, axis1=1, axis2=2)
        # A ridge, and the identity where all points coincide: any slope is valid, so it only has to be finite.
        cov += np.where(trace > 1e-280, 1e-9 * trace, 1.0)[:, None, None] * np.eye(d)
        self._inverse = np.linalg.inv(cov)

    def reduce(self, how: np.ufunc, leaves: np.ndarray) -> np.ndarray:
        return leaves if self.span == 1 else how.reduceat(leaves, self._cuts)

    def slopes(self, sums: np.ndarray, moments: np.ndarray) -> np.ndarray:
        moment = self.reduce(np.add, moments + sums[:, None] * self.shift)
        moment = moment - self._mean * self.reduce(np.add, sums)[:, None]
        s = np.einsum("nde,ne->nd", self._inverse, moment)
        return np.where(np.abs(s) < 1e140, s, 0.0)
