"""How wrong the masses of cells are, from counts of samples that the fit has never seen.

chi2 = sum_i (w_i - nu_i)^2 / nu_i, whose root is the RMS relative error of a cell's mass. N iid samples put
n_i ~ multinomial(N, w) in the cells, and E n_i (n_i - 1) = N (N - 1) w_i^2, so that

    X = sum_i n_i (n_i - 1) / (N (N - 1) nu_i) - 1

is unbiased (sum w_i = sum nu_i = 1). It is the mean over pairs of samples of k(s, t) = [s and t in one cell i] / nu_i,
less 1: a U-statistic, of variance (Hoeffding)

    Var X = 4 (N - 2) / (N (N - 1)) A + 2 / (N (N - 1)) B,
    A = Var E[k(s, t) | s] = sum_i w_i^3 / nu_i^2 - S^2,   B = Var k = sum_i w_i^2 / nu_i^2 - S^2,
    S = sum_i w_i^2 / nu_i.

At w = nu: A = 0 and Var X = 2 (n - 1) / (N (N - 1)), the noise below which no error can be seen. The sums are estimated
without bias too, from falling factorials of the counts. Both parts are nearly normal where many cells share them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..devices import fetch

NORMAL = 1.959963984540054
"""Standard deviations that hold 95 % of a normal distribution."""

CLEAR = 3.5
"""Standard deviations that a test must leave between the error hoped for and tol."""


@dataclass(frozen=True)
class Chi2:
    """An estimate of sum_i (w_i - nu_i)^2 / nu_i with its 95 % interval, from `samples` iid samples.

    value is unbiased and may be negative near 0; empty counts the cells that no sample fell in.
    """

    value: float
    low: float
    high: float
    samples: int
    empty: int


def estimate_chi2(counts: np.ndarray, nu: np.ndarray) -> Chi2:
    """Return the error of cells that hold counts (n,) of iid samples and should have the masses nu (n,) > 0.

    Both are of NumPy, or of CuPy: there is one wait for the device.
    """
    count = counts.astype(np.float64)
    twos = count * (count - 1.0)
    sums = (
        count.sum(),
        (count == 0.0).sum(),
        (twos / nu).sum(),
        (twos * (count - 2.0) / nu**2).sum(),
        (twos / nu**2).sum(),
    )
    total, none, pair_sum, cubes, squares = fetch(np.stack(sums)).tolist()
    samples, empty = int(total), int(none)
    if samples < 2:
        return Chi2(math.inf, 0.0, math.inf, samples, empty)
    pairs = samples * (samples - 1.0)
    value = pair_sum / pairs - 1.0
    spread = math.sqrt(_variance(cubes, squares, len(nu), samples, value))
    # chi2 >= 0 is known beforehand; it may only shorten the interval.
    low, high = max(value - NORMAL * spread, 0.0), max(value + NORMAL * spread, 0.0)
    return Chi2(value, low, high, samples, empty)


def _variance(cubes: float, squares: float, n: int, samples: int, value: float) -> float:
    pairs = samples * (samples - 1.0)
    square = (1.0 + value) ** 2
    cubes, squares = cubes / (pairs * max(samples - 2.0, 1.0)), squares / pairs
    # The noise at w = nu is never less, and the estimates of the sums may be.
    least = 2.0 * (n - 1.0) / pairs if value < 1.0 else 0.0
    return max(4.0 * (samples - 2.0) / pairs * max(cubes - square, 0.0) + 2.0 / pairs * (squares - square), least)


def samples_for(tol: float, n: int, error: float = 0.0) -> int:
    """Return how many samples make a test of n cells whose error is `error` < tol pass clearly.

    CLEAR standard deviations must fit between error and tol: 4 N A and 2 B with A = error, B = n at most near tol.
    """
    room = (tol - error) / CLEAR
    if room <= 0.0:
        raise ValueError(f"error must be below tol ({tol}); got {error}. Fit on more samples first.")
    linear, constant = 4.0 * (error / room), 2.0 * max(n - 1.0, 1.0)
    # room N^2 - linear N - constant / room = 0, where no square of a tol can leave float64
    root = (linear + math.sqrt(linear * linear + 4.0 * constant)) / (2.0 * room)
    return max(math.ceil(root), 100)
