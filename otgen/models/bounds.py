"""How far the distance of a generator to the law of the data may lie above what its samples show."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..options import read_count, read_positive


@dataclass(frozen=True)
class GeneralisationBound:
    """A bound and its three terms: value = empirical + complexity + deviation."""

    value: float
    empirical: float
    complexity: float
    deviation: float


def generalisation_bound(
    empirical: float, rademacher: float, bound: float, n: int, *, delta: float = 0.05
) -> GeneralisationBound:
    """Bound W1(law of X, law of G(Z)) from n samples of X, with probability at least 1 - delta over their draw.

    W1(P_X, P_G) <= empirical + 2 rademacher + 3 bound sqrt((2 / n) log(2 / delta)).

    empirical is W1 of the samples to the generator's law as the objective shows it (for iWGAN: L at its best critic);
    rademacher is the empirical Rademacher complexity R_n(F) of the functions that are averaged over samples, in the
    units of W1; bound is B with |f| <= B for all of them. Raises ValueError where one is out of range.
    Source: Bartlett and Mendelson, JMLR 3 (2002), theorem 8; Chen, Gao and Wang, JRSS B 84 (2022).
    """
    empirical = read_positive(empirical, "empirical", "Pass a distance.", zero=True)
    rademacher = read_positive(rademacher, "rademacher", "Pass the complexity of the functions.", zero=True)
    bound = read_positive(bound, "bound", "Pass the largest |f| of the functions.")
    n, delta = read_count(n, "n", "samples"), read_positive(delta, "delta", "Pass 0.05.")
    if delta >= 1:
        raise ValueError(f"delta must be below 1, a probability of being wrong; got {delta!r}. Pass 0.05.")
    complexity, deviation = 2 * rademacher, 3 * bound * math.sqrt(2 / n * math.log(2 / delta))
    return GeneralisationBound(empirical + complexity + deviation, empirical, complexity, deviation)
