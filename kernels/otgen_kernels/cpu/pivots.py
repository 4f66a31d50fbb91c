"""The steps of a primal network simplex for uncapacitated transport: a starting tree, pivots, potentials, flows.

    min sum_e cost_e flow_e   over flows from tail to head that ship supply a_i from source i and b_j to sink j

Nodes are sources 0..n-1, sinks n..n+m-1 and a root n+m. Arc v < n+m is the artificial arc between node v and the root
(source -> root, root -> sink); real arcs follow. `arcs` is (tail, head, cost).

`tree` is (parent, thread, back, last, size, arc, up, flow, pi), an entry a node. The basis is a spanning tree held as a
preorder list (`thread`, with `back` its inverse), so that the subtree of v is the interval v..last[v] of size[v] nodes.
Every node carries the arc to its parent (`arc`, `up` when that arc points to the parent) with its `flow`, and its
potential pi; an arc's reduced cost is cost - pi[tail] + pi[head]. The tree is strongly feasible (a tree arc without
flow points to the root), which makes the simplex finite on degenerate problems.

Source: Ahuja, Magnanti, Orlin, Network Flows (1993), chapter 11; preorder lists as in Barr, Glover, Klingman (1979).
"""

import numpy as np
from numba import njit

# An arc whose cost is not a number is never entered, so the simplex needs no NaN handling of its own.
NOISE = 2.0**-47  # relative: 32 roundings, of a potential shifted many times between two refreshes

_options = {"nogil": True, "cache": True, "error_model": "numpy"}


@njit(**_options)
def potentials(arcs, tree):
    """Recompute every potential along the tree, so that tree arcs have reduced cost zero.

    They are counted from a node in the middle, not from the root: where a huge arc hangs most of the tree on the root,
    its cost would take the digits of them all.
    """
    cost = arcs[2]
    parent, thread, _, _, _, arc, up, _, pi = tree
    root = parent.size - 1
    for turn in range(2):
        anchor = root if turn == 0 else np.argmin(np.abs(pi - np.median(pi)))
        on_path = np.zeros(parent.size, np.bool_)
        on_path[anchor] = True
        pi[anchor] = 0.0
        v = anchor
        while v != root:
            w = parent[v]
            pi[w] = pi[v] - cost[arc[v]] if up[v] else pi[v] + cost[arc[v]]
            on_path[w] = True
            v = w
        v = thread[root]
        while v != root:
            if not on_path[v]:
                w = parent[v]
                pi[v] = pi[w] + cost[arc[v]] if up[v] else pi[w] - cost[arc[v]]
            v = thread[v]


@njit(**_options)
def greedy_basis(n, order, arcs, excess, tree):
    """Build a strongly feasible tree by shipping all that fits along the arcs of `order`, the rest over the root.

    `excess` enters as (a, b) and is used up. Every arc that ships empties one of its ends, so the arcs form a forest
    in which a component has at most one node with mass left; that node (or else any source) hangs on the root.
    """
    tail, head, _ = arcs
    parent, thread, back, last, size, arc, up, flow, _ = tree
    n_nodes = parent.size
    root = n_nodes - 1
    # adjacency of the forest, as linked lists of half-edges
    first = np.full(n_nodes, -1, np.int64)
    chain = np.empty(2 * n_nodes, np.int64)
    edge_arc = np.empty(n_nodes, np.int64)
    edge_flow = np.empty(n_nodes, np.float64)
    n_edges = 0
    for e in order:
        i, j = tail[e], head[e]
        if excess[i] > 0.0 and excess[j] > 0.0:
            shipped = min(excess[i], excess[j])
            excess[i] -= shipped
            excess[j] -= shipped
            edge_arc[n_edges] = e
            edge_flow[n_edges] = shipped
            chain[2 * n_edges] = first[i]
            first[i] = 2 * n_edges
            chain[2 * n_edges + 1] = first[j]
            first[j] = 2 * n_edges + 1
            n_edges += 1
    for v in range(n_nodes):
        parent[v] = -1
        size[v] = 1
    parent[root] = root
    arc[root] = -1
    flow[root] = 0.0
    stack = np.empty(n_nodes, np.int32)
    previous = root
    # nodes with mass left first, then sources, so that each component hangs where its remainder is
    for turn in range(2):
        for start in range(n_nodes - 1):
            if parent[start] != -1 or (turn == 0 and excess[start] <= 0.0) or (turn == 1 and start >= n):
                continue
            parent[start] = root
            arc[start] = start
            up[start] = start < n
            flow[start] = excess[start]
            stack[0] = start
            depth = 1
            while depth > 0:
                depth -= 1
                v = stack[depth]
                thread[previous] = v
                back[v] = previous
                previous = v
                half = first[v]
                while half != -1:
                    e = edge_arc[half >> 1]
                    w = head[e] if half & 1 == 0 else tail[e]
                    if parent[w] == -1:
                        parent[w] = v
                        arc[w] = e
                        up[w] = w < n
                        flow[w] = edge_flow[half >> 1]
                        stack[depth] = w
                        depth += 1
                    half = chain[half]
    thread[previous] = root
    back[root] = previous
    # sizes and last successors, children before parents
    for v in range(n_nodes):
        last[v] = v
    v = back[root]
    while v != root:
        w = parent[v]
        size[w] += size[v]
        if last[w] == w:
            last[w] = last[v]
        v = back[v]


@njit(**_options)
def pivot(arcs, n_arcs, tree, tol, block, start, max_pivots):
    """Pivot until no arc has reduced cost below -tol, or its own rounding; returns (pivots, next start, optimal).

    Pricing looks at blocks of `block` arcs in a fixed cyclic order and enters the most negative of the first block
    that holds one.
    """
    tail, head, cost = arcs
    pi = tree[8]
    n_nodes = pi.size
    n_real = n_arcs - (n_nodes - 1)
    pivots = 0
    e = start
    while pivots < max_pivots:
        # --- pricing
        best = -tol
        entering = -1
        scanned = 0
        while scanned < n_real:
            stop = min(e + min(block, n_real - scanned), n_arcs)
            for k in range(e, stop):
                reduced = cost[k] - pi[tail[k]] + pi[head[k]]
                # what rounding alone can make of this arc's potentials is no reason to enter it
                if reduced < best and reduced < -NOISE * (abs(cost[k]) + abs(pi[tail[k]]) + abs(pi[head[k]])):
                    best = reduced
                    entering = k
            scanned += stop - e
            e = stop if stop < n_arcs else n_nodes - 1
            if entering >= 0:
                break
        if entering < 0:
            return pivots, e, True
        pivots += 1
        enter(entering, tail[entering], head[entering], best, tree)
    return pivots, e, False


@njit(**_options)
def enter(entering, first, second, reduced, tree):
    """One pivot: the arc `entering` from `first` to `second`, of this reduced cost, takes the place of a tree arc."""
    parent, thread, back, last, size, arc, up, flow, pi = tree
    n_nodes = parent.size
    # --- the cycle: up from both ends to their common ancestor; the arc that runs dry first leaves
    u, v = first, second
    delta = np.inf
    leaving = -1
    from_tail = False
    while u != v:
        if size[u] < size[v]:
            if up[u] and flow[u] < delta:
                delta = flow[u]
                leaving = u
                from_tail = True
            u = parent[u]
        else:
            v = parent[v]
    join = u
    v = second
    while v != join:
        if not up[v] and flow[v] <= delta:
            delta = flow[v]
            leaving = v
            from_tail = False
        v = parent[v]
    # --- flows
    if delta > 0.0:
        u = first
        while u != join:
            flow[u] += -delta if up[u] else delta
            u = parent[u]
        v = second
        while v != join:
            flow[v] += delta if up[v] else -delta
            v = parent[v]
    # --- the tree: the subtree of `leaving` is cut, turned to hang by `inner`, and hung under `outer`
    if from_tail:
        inner, outer = first, second
    else:
        inner, outer = second, first
    moved = size[leaving]
    tail_end = last[leaving]
    before = back[leaving]
    after = thread[tail_end]
    thread[before] = after
    back[after] = before
    w = parent[leaving]
    while w != join:
        size[w] -= moved
        w = parent[w]
    w = parent[leaving]
    while last[w] == tail_end:
        last[w] = before
        if w == parent[w]:
            break
        w = parent[w]
    # turn: concatenate what remains of each stem node's interval once its stem child's interval is taken out
    end = last[inner]
    child = inner
    child_last = last[inner]
    child_size = size[inner]
    child_before = back[inner]
    child_after = thread[child_last]
    link_arc, link_up, link_flow = arc[inner], up[inner], flow[inner]
    node = parent[inner]
    parent[inner] = outer
    arc[inner] = entering
    up[inner] = from_tail
    flow[inner] = delta
    size[inner] = moved
    while child != leaving:
        node_last = last[node]
        node_size = size[node]
        node_before = back[node]
        above = parent[node]
        if node_last == child_last:
            node_after = child_after
            node_end = child_before
        else:
            node_after = thread[node_last]
            node_end = node_last
            thread[child_before] = child_after
            back[child_after] = child_before
        thread[end] = node
        back[node] = end
        end = node_end
        size[node] = moved - child_size
        parent[node] = child
        a, s, fl = arc[node], up[node], flow[node]
        arc[node], up[node], flow[node] = link_arc, not link_up, link_flow
        link_arc, link_up, link_flow = a, s, fl
        child, child_last, child_size = node, node_last, node_size
        child_before, child_after = node_before, node_after
        node = above
    node = leaving
    while True:
        last[node] = end
        if node == inner:
            break
        node = parent[node]
    # hang under outer
    after = thread[outer]
    thread[outer] = inner
    back[inner] = outer
    thread[end] = after
    back[after] = end
    w = outer
    while w != join:
        size[w] += moved
        w = parent[w]
    w = outer
    while last[w] == outer:
        last[w] = end
        if w == parent[w]:
            break
        w = parent[w]
    # --- potentials: shift the smaller side
    shift = reduced if from_tail else -reduced
    if 2 * moved <= n_nodes:
        node = inner
        for _ in range(moved):
            pi[node] += shift
            node = thread[node]
    else:
        node = thread[end]
        for _ in range(n_nodes - moved):
            pi[node] -= shift
            node = thread[node]


@njit(**_options)
def tree_flows(net, tree):
    """Flow on every tree arc from the nodes' net supplies, leaves first; `net` is used up."""
    parent, _, back, _, _, _, up, flow, _ = tree
    root = parent.size - 1
    v = back[root]
    while v != root:
        flow[v] = net[v] if up[v] else -net[v]
        net[parent[v]] += net[v]
        v = back[v]
