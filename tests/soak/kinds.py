"""Every kind of case, and which of them a case number is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import discrepancies, disks, interrupts, kills, maps, processes, refusals, transports

KINDS: dict[str, tuple[Callable[[np.random.Generator], None], float]] = {
    name: entry
    for module in (transports, discrepancies, maps, refusals, interrupts, kills, disks, processes)
    for name, entry in module.KINDS.items()
}


def kind_of(seed: int, case: int) -> str:
    """The kind of a case: the shares of the kinds, in an order of its own for every seed."""
    shares = np.array([share for _, share in KINDS.values()], np.float64)
    rng = np.random.default_rng([seed, case, 1])
    return list(KINDS)[int(rng.choice(len(shares), p=shares / shares.sum()))]
