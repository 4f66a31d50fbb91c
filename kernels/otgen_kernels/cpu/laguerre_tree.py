"""A tree over the sites of a power diagram: bounds of max_j <x, y_j> + h_j that are tight where its cells lie."""

from __future__ import annotations

import numpy as np
from numba import njit

FAN = 4
"""Children of an inner node: 2 doubled the queue, 8 tests more nodes than it saves levels."""

DEAD = -1e300
"""The height of a site that takes no part: finite, since fastmath may misread an infinity."""

_EPS = float(np.finfo(np.float64).eps)


@njit(nogil=True, cache=True, error_model="numpy")
def _fit_leaf(y, h, lo, hi, cx, cy, low, high, out):
    """Put minus the least-squares slope of h over the sites lo..hi in out: near where the gradient of the max is.

    (x maximises <x, y_j> + h_j at y_j where x = -grad h(y_j).) It is held inside the box low..high of the domain.
    """
    count, sh, sx, sy, sxx, sxy, syy, shx, shy, shift = 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(lo, hi):
        if h[j] > DEAD:
            if count == 0:
                shift = h[j]
            u, v, w = y[j, 0] - cx, y[j, 1] - cy, h[j] - shift
            count += 1
            sh += w
            sx += u
            sy += v
            sxx += u * u
            sxy += u * v
            syy += v * v
            shx += w * u
            shy += w * v
    out[0], out[1] = 0.5 * (low[0] + high[0]), 0.5 * (low[1] + high[1])
    if count < 3:
        return
    sxx -= sx * sx / count
    sxy -= sx * sy / count
    syy -= sy * sy / count
    shx -= sh * sx / count
    shy -= sh * sy / count
    ridge = 1e-9 * (sxx + syy) + 1e-280
    sxx += ridge
    syy += ridge
    det = sxx * syy - sxy * sxy
    if det > 0.0:
        out[0] = min(max((sxy * shy - syy * shx) / det, low[0]), high[0])
        out[1] = min(max((sxy * shx - sxx * shy) / det, low[1]), high[1])


@njit(nogil=True, cache=True, error_model="numpy")
def place_leaves(y, h, leaf, order, mass, first, low, high, nodes, weight):
    """Set the slope point q of every leaf: the centre of its cells at an earlier h if it had any, else a fit of h."""
    n = len(y)
    known = len(mass) > 0
    out = np.empty(2)
    for b in range(len(weight)):
        lo, hi = b * leaf, min(b * leaf + leaf, n)
        total, qx, qy = 0.0, 0.0, 0.0
        if known:
            for j in range(lo, hi):
                total += mass[order[j]]
                qx += first[order[j], 0]
                qy += first[order[j], 1]
        if total > 0.0:
            nodes[b, 4], nodes[b, 5] = qx / total, qy / total
        else:
            _fit_leaf(y, h, lo, hi, nodes[b, 0], nodes[b, 1], low, high, out)
            nodes[b, 4], nodes[b, 5] = out[0], out[1]
        weight[b] = total if known else float(hi - lo)


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def bound_nodes(y, h, leaf, starts, nodes, weight, slack):
    """Set q of the inner nodes (the mean of their children's) and M = max_j h_j + <q, y_j>, raised by slack, of all."""
    n = len(y)
    span = leaf
    for level in range(len(starts) - 1):
        begin, end = starts[level], starts[level + 1]
        for node in range(begin, end):
            if level > 0:
                lo = starts[level - 1] + (node - begin) * FAN
                hi = min(lo + FAN, begin)
                total, qx, qy, mx, my = 0.0, 0.0, 0.0, 0.0, 0.0
                for child in range(lo, hi):
                    total += weight[child]
                    qx += weight[child] * nodes[child, 4]
                    qy += weight[child] * nodes[child, 5]
                    mx += nodes[child, 4]
                    my += nodes[child, 5]
                weight[node] = total
                if total > 0.0:
                    nodes[node, 4], nodes[node, 5] = qx / total, qy / total
                else:
                    nodes[node, 4], nodes[node, 5] = mx / (hi - lo), my / (hi - lo)
            qx, qy = nodes[node, 4], nodes[node, 5]
            top = DEAD
            for j in range((node - begin) * span, min((node - begin + 1) * span, n)):
                top = max(top, h[j] + (qx * y[j, 0] + qy * y[j, 1]))
            nodes[node, 6] = top + slack
        span *= FAN


class LaguerreTree:
    """The sites y (n, 2) in k-d order and the implicit tree of their aligned runs of leaf, FAN leaf, ... sites.

    For every x, max_{j in B} <x, y_j> + h_j <= <x - q_B, c_B> + |x - q_B| . w_B + M_B: one row of `nodes` each holds
    the box (centre c, half widths w), the slope point q, where the cells of its sites are thought to lie, and M.
    """

    def __init__(self, y: np.ndarray, order: np.ndarray, leaf: int):
        n = len(y)
        self.y, self.order, self.leaf = np.ascontiguousarray(y[order]), order, leaf
        self.rank = np.empty(n, np.int64)
        self.rank[order] = np.arange(n)
        low = high = self.y
        span, boxes, starts = leaf, [], [0]
        while True:
            cuts = np.arange(0, len(low), span)
            low, high = np.minimum.reduceat(low, cuts), np.maximum.reduceat(high, cuts)
            centre = 0.5 * low + 0.5 * high
            # Measured from the rounded centre, so that the box holds its sites.
            boxes.append(np.concatenate([centre, np.maximum(high - centre, centre - low)], 1))
            starts.append(starts[-1] + len(cuts))
            span = FAN
            if len(cuts) == 1:
                break
        self.starts = np.array(starts)
        self._boxes = np.concatenate(boxes)
        self._reach = float(np.abs(y).max())

    def bounds(
        self, h: np.ndarray, low: np.ndarray, high: np.ndarray, near_mass: np.ndarray, near_first: np.ndarray
    ) -> tuple[np.ndarray, float]:
        """Return the nodes (N, 8) for the heights h (k-d order) and cells in the box low..high, and the slack.

        near_mass and near_first are of an earlier h (order of y), or empty. slack covers the rounding of a bound.
        """
        nodes = np.empty((len(self._boxes), 8))
        nodes[:, :4] = self._boxes
        weight = np.empty(len(nodes))
        alive = h[h > DEAD]
        extent = float(np.maximum(np.abs(low), np.abs(high)).sum())
        slack = 16.0 * _EPS * (float(np.abs(alive).max(initial=0.0)) + 2.0 * extent * self._reach)
        place_leaves(
            self.y, h, self.leaf, self.order, near_mass, near_first, low, high, nodes, weight[: self.starts[1]]
        )
        bound_nodes(self.y, h, self.leaf, self.starts, nodes, weight, slack)
        return nodes, slack
