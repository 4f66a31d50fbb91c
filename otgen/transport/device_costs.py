"""Costs of an entropic problem on a GPU: all pairs there; orders in space and coarser clouds are made on the host."""

from __future__ import annotations

import numpy as np

from .. import devices
from .costs import Cost, paired_costs
from .soft_costs import Array, MatrixSoftCosts, PointSoftCosts

CHUNK = 2**24
"""Entries, 128 MB of float64, of the parts of a matrix that are worked on at once."""


class DevicePointSoftCosts(PointSoftCosts):
    """c_ij = metric(x_i, y_j)**p for clouds x (n, d) and y (m, d) of CuPy, float64."""

    def __init__(self, x: Array, y: Array, cost: Cost) -> None:
        super().__init__(x, y, cost)
        # On unit vectors the cosine's cost is (|u - v|^2 / 2)^p.
        chord = cost.metric == "cosine"
        self._by, self._unit = (Cost("euclidean", 2.0 * cost.p), 0.5**cost.p) if chord else (cost, 1.0)

    def at(self, rows: Array, cols: Array) -> Array:
        x, y = self._plain
        return self._unit * paired_costs(self._by, x[rows], y[cols])

    def cost_rows(self, rows: Array) -> Array:
        x, y = self._plain
        metric, p = self._by
        s = np.zeros((len(rows), len(y)), like=x)
        for k in range(x.shape[1]):  # a coordinate at a time: no array of (rows, m, d)
            u = np.abs(x[rows, k][:, None] - y[:, k])
            if metric == "chebyshev":
                s = np.maximum(s, u)
            else:
                s += u * u if metric == "euclidean" else u
        return self._unit * s ** (0.5 * p if metric == "euclidean" else p)

    def typical_cost(self, a: Array, b: Array) -> float:
        x, y = self._plain
        to_y, to_x = paired_costs(self._by, x, (b @ y)[None]), paired_costs(self._by, y, (a @ x)[None])
        return self._unit * float(a @ to_y + b @ to_x)

    def neighbours(self, rows: Array, cols: Array) -> tuple[Array, Array]:
        x, y = self._plain
        kept = PointSoftCosts(devices.fetch(x[rows]), devices.fetch(y[cols]), self._by)
        order_x, order_y = kept.neighbours(np.arange(len(rows)), np.arange(len(cols)))
        return rows[devices.beside(rows, order_x)], cols[devices.beside(cols, order_y)]

    def coarser(self, a: Array, b: Array) -> tuple[DevicePointSoftCosts, Array, Array, float] | None:
        on_host = PointSoftCosts(devices.fetch(self.x), devices.fetch(self.y), self.cost)
        found = on_host.coarser(devices.fetch(a), devices.fetch(b))
        if found is None:
            return None
        costs, *masses, spread = found
        x, y, mass_a, mass_b = (devices.beside(a, value) for value in (costs.x, costs.y, *masses))
        return DevicePointSoftCosts(x, y, self.cost), mass_a, mass_b, spread


class DeviceMatrixSoftCosts(MatrixSoftCosts):
    """c_ij given as a matrix C (n, m) of CuPy."""

    def hard(self, g: Array) -> Array:
        out, step = np.empty(len(self.matrix), like=g), max(CHUNK // len(g), 1)
        for lo in range(0, len(out), step):
            out[lo : lo + step] = (self.matrix[lo : lo + step] - g).min(axis=1)
        return out
