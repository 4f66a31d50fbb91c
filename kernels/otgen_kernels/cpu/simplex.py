"""The network simplex on a growing list of arcs: it continues from its basis when arcs are added."""

import numpy as np

from .pivots import greedy_basis, pivot, potentials, tree_flows

BLOCK = 0.25  # arcs priced before the best is entered, in square roots of the number of arcs
SLICE = 20_000  # pivots between two looks at Ctrl-C
PATIENCE = 50  # pivots per node after which the pivots are taken to chase rounding, and the tolerance grows tenfold
SHORTEST_BLOCK = 20  # arcs; below it a pivot's other work dominates


class NetworkSimplex:
    """A transport problem between masses a (n,) and b (m,) on a growing list of arcs, and its current basis.

    Whole masses (`quantise.whole_masses`) make every flow exact. Artificial arcs cost `price` each way; as long as
    there are `leftovers` the plan is not feasible: add arcs, or raise the price.
    """

    def __init__(self, a, b):
        self.n, self.m = len(a), len(b)
        self.n_nodes = self.n + self.m + 1
        self.masses = np.concatenate([a, b])
        root = self.n_nodes - 1
        nodes = np.arange(root, dtype=np.int32)
        is_source = nodes < self.n
        self.n_arcs = root
        self.tail = np.where(is_source, nodes, np.int32(root))
        self.head = np.where(is_source, np.int32(root), nodes)
        self.cost = np.zeros(root)
        self.parent, self.thread, self.back, self.last, self.size, self.arc = (
            np.empty(self.n_nodes, np.int32) for _ in range(6)
        )
        self.up = np.zeros(self.n_nodes, np.bool_)
        self.flow, self.pi = np.zeros(self.n_nodes), np.zeros(self.n_nodes)
        self._tree = (
            self.parent, self.thread, self.back, self.last, self.size, self.arc, self.up, self.flow, self.pi,
        )  # fmt: skip
        self.next_arc = root

    def add_arcs(self, rows, cols, cost):
        """Append arcs (rows[e], cols[e]); the next pivots price them first."""
        stop = self.n_arcs + len(rows)
        if stop > len(self.tail):
            self.tail, self.head, self.cost = (
                np.concatenate([array[: self.n_arcs], np.empty(2 * stop - self.n_arcs - len(rows), array.dtype)])
                for array in (self.tail, self.head, self.cost)
            )
        self.tail[self.n_arcs : stop] = rows
        np.add(cols, self.n, out=self.head[self.n_arcs : stop], casting="unsafe")
        self.cost[self.n_arcs : stop] = cost
        self.next_arc = self.n_arcs
        self.n_arcs = stop

    def real_arcs(self):
        """Rows and columns of all arcs that were added, in order."""
        real = slice(self.n_nodes - 1, self.n_arcs)
        return self.tail[real], self.head[real] - np.int32(self.n)

    @property
    def _arcs(self):
        return self.tail, self.head, self.cost

    def start(self, order, price):
        """Begin with a basis that ships greedily along the arcs in `order` (positions in the order they were added)."""
        self.cost[: self.n_nodes - 1] = price
        greedy_basis(self.n, order + (self.n_nodes - 1), self._arcs, self.masses.copy(), self._tree)
        self.next_arc = self.n_nodes - 1
        self.refresh()

    def set_price(self, price):
        """Change what a unit of mass pays for each artificial arc."""
        self.cost[: self.n_nodes - 1] = price
        self.refresh()

    def set_costs(self, cost, price):
        """Replace the costs of all real arcs, in the order they were added, and the price of the artificial ones."""
        self.cost[self.n_nodes - 1 : self.n_arcs] = cost
        self.set_price(price)

    def refresh(self):
        """Recompute the potentials from the tree, free of what many small shifts have added up to."""
        potentials(self._arcs, self._tree)

    def pivot(self, tol, max_pivots):
        """Pivot until every arc's reduced cost is at least -tol, or max_pivots; returns (pivots, optimal)."""
        block = max(int(BLOCK * (self.n_arcs - self.n_nodes) ** 0.5), SHORTEST_BLOCK)
        pivots, self.next_arc, optimal = pivot(
            self._arcs, self.n_arcs, self._tree, tol, block, self.next_arc, max_pivots
        )
        return pivots, optimal

    def optimise(self, tol):
        """Pivot until every arc's reduced cost is at least -tol, up to rounding; returns the number of pivots."""
        total, patience = 0, PATIENCE * self.n_nodes
        while True:
            pivots, optimal = self.pivot(tol, SLICE)
            if optimal and pivots == 0:
                return total
            # optimal only once it is so with fresh potentials: shifts from huge to small ones have lost digits
            self.refresh()
            total += pivots
            if total > patience:
                tol = max(10 * tol, np.finfo(np.float64).eps * float(np.abs(self.pi).max()))
                patience += total

    def duals(self):
        """u (n,), v (m,) with cost = u + v on the tree's arcs and cost >= u + v - tol on all once optimal."""
        return self.pi[: self.n].copy(), -self.pi[self.n : -1]

    def leftovers(self):
        """Mass that the artificial arcs still carry, of every source and every sink."""
        artificial = self.arc[:-1] < self.n_nodes - 1
        left = np.where(artificial, self.flow[:-1], 0.0)
        return left[: self.n], left[self.n :]

    def plan(self):
        """The real arcs of the basis that carry flow: rows, columns, mass; a forest."""
        used = np.flatnonzero((self.arc[:-1] >= self.n_nodes - 1) & (self.flow[:-1] > 0.0))
        arcs = self.arc[used]
        return self.tail[arcs].astype(np.int64), self.head[arcs].astype(np.int64) - self.n, self.flow[used]

    def rescale(self, a, b):
        """Replace the masses by nearly the same ones and recompute the flows on the tree; rounding below 0 is 0."""
        self.masses = np.concatenate([a, b])
        net = np.concatenate([a, -b, [0.0]])
        tree_flows(net, self._tree)
        np.maximum(self.flow, 0.0, out=self.flow)
