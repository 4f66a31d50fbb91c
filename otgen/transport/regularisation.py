"""What eps, unbalanced, tol, max_iter and potentials of entropic transport may be, and the words where they are not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import common_home, read_vector
from ..options import MOST, check_progress, is_real

MAX_ITER = 10_000
"""Iterations after which a run that was given no max_iter stops with a warning."""

DEFAULT_TOL = {np.dtype(np.float32): 1e-4, np.dtype(np.float64): 1e-6}
"""Marginal error, of the total mass, that is asked for where no tol is given."""

DIVERGENCE_TOL = {np.dtype(np.float32): 1e-3, np.dtype(np.float64): 1e-6}
"""The same for a divergence: its value is off by the square of it, its gradient (measured) by twice as much."""

LEAST_TOL = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-13}
"""What sums in this precision can be told to, at any eps."""

MOST_RHO = 1e10
"""Penalty on a marginal, in units of eps: its rounding alone adds 1e-16 of it to the dual, and so 1e-6 eps."""

COARSEST = 0.01
"""Marginal error that float64 must be able to reach at an eps: about 3e-15 times the largest cost."""


@dataclass(frozen=True)
class Regularisation:
    """eps of the entropy and rho_a, rho_b of the KL penalties on the marginals; inf holds a marginal exactly."""

    eps: float
    rho_a: float = math.inf
    rho_b: float = math.inf

    @property
    def balanced(self) -> bool:
        return math.isinf(self.rho_a) and math.isinf(self.rho_b)

    def weight_gradient(self, potential: np.ndarray, rho: float, other_mass: Any) -> np.ndarray:
        """Gradient of the objective in the weights of a side, both masses free: its potential, or what rho makes of it.

        f + eps (m(b) - 1), or rho (1 - s) + eps (m(b) - s) with s = exp(-f / rho).
        """
        share = asked(potential, rho)
        return (potential if math.isinf(rho) else rho * (1.0 - share)) + self.eps * (other_mass - share)


def asked(potential: np.ndarray, rho: float) -> np.ndarray:
    """The share of its weight that a point is asked to ship: 1, or exp(-potential / rho) under a penalty."""
    return np.ones_like(potential) if math.isinf(rho) else np.exp(np.minimum(-potential / rho, 50.0))


def read_regularisation(eps: Any, unbalanced: Any) -> Regularisation:
    """Return what eps and unbalanced say; raise where one is no positive number."""
    if not is_real(eps) or not 0 < eps < math.inf:
        raise ValueError(
            f"eps must be a positive finite number, on the scale of the cost; got {eps!r}. "
            "Pass about 0.01 times a typical cost, or eps=None in solve_sample for exact transport."
        )
    if unbalanced is None:
        return Regularisation(float(eps))
    most = MOST_RHO * float(eps)
    pair = unbalanced if isinstance(unbalanced, (tuple, list)) else (unbalanced, unbalanced)
    if len(pair) != 2 or not all(is_real(rho) and rho > 0 for rho in pair):
        raise ValueError(
            f"unbalanced must be None, rho or (rho_a, rho_b), positive, on the scale of the cost; got {unbalanced!r}. "
            "math.inf keeps a side exact."
        )
    if any(most < rho < math.inf for rho in pair):
        raise ValueError(
            f"unbalanced must be at most {MOST_RHO:g} times eps, or math.inf: float64 rounds a heavier penalty away; "
            f"got {unbalanced!r} with eps={eps!r}. Pass math.inf, which keeps a side exact."
        )
    return Regularisation(float(eps), float(pair[0]), float(pair[1]))


def read_stopping(
    tol: Any, max_iter: Any, progress: Any, dtype: np.dtype, default: dict[np.dtype, float] = DEFAULT_TOL
) -> tuple[float, int]:
    """Return tol, relative to the mass, and max_iter, with the defaults of dtype."""
    least = LEAST_TOL[dtype]
    if tol is None:
        tol = default[dtype]
    elif not is_real(tol) or not least <= tol < math.inf:
        raise ValueError(
            f"tol must be a number >= {least:g}, the marginal error that {dtype} can reach; got {tol!r}. "
            + ("Pass float64 points for less." if dtype == np.float32 and is_real(tol) and tol > 0 else "Raise it.")
        )
    return float(tol), read_max_iter(max_iter, MAX_ITER, progress)


def read_max_iter(max_iter: Any, most: int, progress: Any) -> int:
    """Return max_iter, `most` where none is given; raise unless it is a count, and progress a function or None."""
    if max_iter is None:
        max_iter = most
    elif isinstance(max_iter, bool) or not isinstance(max_iter, (int, np.integer)) or max_iter < 1:
        raise ValueError(f"max_iter must be None (at most {most}) or an int >= 1; got {max_iter!r}. Leave it None.")
    check_progress(progress)
    return min(int(max_iter), MOST)


def check_reach(tol: float, reach: float, eps: float) -> None:
    """Raise where the arithmetic of the exponents, at this eps, is coarser than tol, or than any use."""
    if not reach <= COARSEST:
        raise ValueError(
            f"eps must be on the scale of the costs: at {eps:g} their ratio leaves the precision of float64. "
            "Pass an eps nearer to a typical cost, or eps=None in solve_sample for exact transport."
        )
    if tol < reach:
        raise ValueError(
            f"tol must be at least {reach:.1e}, what float64 can reach at eps={eps:g} with costs of this size; "
            f"got {tol:g}. Raise tol or eps."
        )


def check_alone(**given: Any) -> None:
    """Raise where an option that belongs to one problem is given for a batch."""
    for name, value in given.items():
        if value is not None:
            raise ValueError(
                f"{name} belongs to one problem, and x holds a batch (B, n, d); got {type(value).__name__}. "
                f"Leave {name} None, or solve the problems one by one."
            )


def read_potentials(potentials: Any, n: int, m: int, **like: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the potentials f (n,) and g (m,) to start from as float64, or None; they live where `like` does."""
    if potentials is None:
        return None
    if not isinstance(potentials, (tuple, list)) or len(potentials) != 2:
        raise TypeError(
            f"potentials must be a pair (f, g), as Transport.potentials; got {type(potentials).__name__}. "
            "Pass result.potentials."
        )
    common_home(**like, **{f"potentials[{k}]": value for k, value in enumerate(potentials)})
    f, g = (read_vector(value, f"potentials[{k}]") for k, value in enumerate(potentials))
    for k, (vector, size) in enumerate(((f, n), (g, m))):
        if vector.shape != (size,):
            raise ValueError(
                f"potentials[{k}] must have shape ({size},), one number a point; got shape {vector.shape}. "
                "Pass the potentials of a problem with the same points."
            )
    return f, g
