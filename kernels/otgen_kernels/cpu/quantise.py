"""Coarser versions of a weighted cloud, and masses as whole numbers: what a multiscale exact solver starts from."""

import numpy as np

from .kdtree import kd_order

GROUP = 4  # points merged into one at the next coarser level; 4 was the measured best
MASS_UNITS = 2.0**50  # whole masses add up exactly in float64 below 2**53


def tree_order(x):
    """A permutation of the rows of x (n, d) after which every GROUP**l consecutive rows from a multiple are near."""
    return kd_order(x, GROUP)


def group_starts(n):
    """Where each group of GROUP consecutive rows starts, and n at the end: (ceil(n / GROUP) + 1,)."""
    return np.append(np.arange(0, n, GROUP), n)


def group_means(x, a, starts):
    """Weighted mean and mass of each group: x (n, d), a (n,) -> (N, d), (N,); the plain mean where it has no mass."""
    mass = np.add.reduceat(a, starts[:-1])
    count = np.diff(starts)
    empty = np.repeat(mass == 0.0, count)
    share = np.where(empty, 1.0, a) / np.repeat(np.where(mass == 0.0, count, mass), count)
    return np.add.reduceat(x * share[:, None], starts[:-1]), mass


def whole_masses(a, b):
    """Round the masses a (n,), b (m,), equal in total, to positive whole numbers that are exactly equal in total.

    A mass moves by about a unit of 2**-50 of the total. With whole masses every flow of a transport simplex is exact
    in float64: no mass is lost, and ties are ties.
    """
    total = max(a.sum(), b.sum())
    whole_a, whole_b = (np.maximum(np.rint(masses / total * MASS_UNITS), 1.0) for masses in (a, b))
    missing = whole_a.sum() - whole_b.sum()
    lighter = whole_b if missing > 0.0 else whole_a
    added = np.floor(lighter * (abs(missing) / lighter.sum()))
    odd = int(abs(missing) - added.sum())
    added[np.argsort(-lighter, kind="stable")[:odd]] += 1.0
    lighter += added
    return whole_a, whole_b
