"""What sliced transport hands back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class SlicedWasserstein:
    """A mean over directions, and how far it may be from the mean over all of them.

    value           (mean over directions of W_p^p)^(1/p): float, or a 0-d tensor, differentiable in the tensors given;
                    (B,) for a batch
    standard_error  of value, from the spread of W_p^p over the directions as if they were drawn independently: float,
                    or a NumPy array (B,). Orthogonal and Sobol directions are off by less, as a rule. 0 on the line,
                    NaN for one direction of several dimensions
    directions      (L, d) unit vectors, the same for every problem of a batch
    distances       (L,) or (B, L): W_p along each
    """

    value: Any
    standard_error: Any
    directions: Any
    distances: Any

    def __float__(self) -> float:
        return float(self.value)


@dataclass(frozen=True, eq=False)
class MaxSlicedWasserstein:
    """The largest W_p along one direction that was found, and a bound of the largest there is.

    value        W_p along direction: float, or a 0-d tensor, differentiable in the tensors given with direction fixed
    direction    (d,) unit vector
    upper_bound  of W_p along every direction, from the plan that sorts along `direction`: float; None for p > 2.
                 Where it equals value, direction is proven to be the best
    n_iter       rounds of ascent
    converged    whether no step along the sphere promised more than tol of the value; a local optimum, unless proven
    """

    value: Any
    direction: Any
    upper_bound: float | None
    n_iter: int
    converged: bool

    def __float__(self) -> float:
        return float(self.value)
