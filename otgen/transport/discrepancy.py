"""Maximum mean discrepancy and energy distance: sums of a kernel over pairs, streamed, with their gradients."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np

from .. import autograd
from ..arrays import home_beside, library_of, read_points, read_weights
from ..batches import is_batch, read_batch_weights, read_batches
from ..devices import on_device
from ..options import is_one_of, read_seed
from .kernel_choice import Kernel, parse_kernel
from .kernel_comparison import Comparison, pair_share

ESTIMATORS = ("unbiased", "biased", "linear")
LEAST_PAIRS = 2.0**-26
"""1 - sum a_i^2 down to which an unbiased estimate keeps half of float64's digits."""
ENERGY = Kernel("energy", (), None)


@on_device
def mmd_squared(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    kernel: str = "imq",
    scales: Any = None,
    bandwidth: Any = "median",
    estimator: str = "unbiased",
    seed: Any = 0,
) -> Any:
    """Squared maximum mean discrepancy of two weighted point clouds under a kernel.

    MMD^2 = W(a) + W(b) - 2 sum_ij a_i b_j k(x_i, y_j), W(a) the mean of k within a cloud: "biased", sum_ij a_i a_j k_ij
    (the squared norm, >= 0); "unbiased", sum over i != j of a_i a_j k_ij / (1 - sum a_i^2) (may be negative); "linear",
    the mean over consecutive pairs of points, O(n), for n = m even and no weights.

    Kernels, C = scale h^2, summed over `scales` (None: those in brackets):
    gaussian exp(-|x - y|^2 / 2C) [1]; laplace exp(-|x - y| / sqrt(C)) [1]; imq C / (C + |x - y|^2)
    [.1 .2 .5 1 2 5 10]; rational_quadratic (1 + |x - y|^2 / (2 scale h^2))^-scale [.2 .5 1 2 5];
    polynomial (<x, y> / d + 1)^3; energy -|x - y|. The last two have neither scales nor bandwidth.
    bandwidth is h, a length, or "median": h^2 the median of |z - z'|^2 over the different points of both clouds, half
    of the mass on each, of 1,000 points drawn by `seed` where there are more; no gradient passes through it. WAE's h
    is sqrt(2 d) sigma.

    x (n, d), y (m, d); a (n,) and b (m,) of one mass, None uniform of mass 1 (of mass M the value is M^2 as large).
    Batches x (B, n, d) and y (B, m, d) give B values, each with a median of its own. Returns a float, or a tensor
    differentiable once in points and, at fixed mass, weights. float32 points are worked on in float32 and summed in
    float64. Memory O(n + m). Raises ValueError or TypeError for bad input.
    Source: Gretton et al., JMLR 13 (2012); Tolstikhin et al., arXiv 1711.01558 (imq); Binkowski et al., arXiv
    1801.01401 (rational_quadratic, polynomial).
    """
    chosen, rng = parse_kernel(kernel, scales, bandwidth), read_seed(seed)
    if not is_one_of(estimator, ESTIMATORS):
        raise ValueError(f"estimator must be one of {', '.join(ESTIMATORS)}; got {estimator!r}. Pass 'unbiased'.")
    return _compare(x, y, a, b, chosen, estimator, rng)


@on_device
def energy_distance_squared(x: Any, y: Any, a: Any = None, b: Any = None) -> Any:
    """Energy distance, squared, of two weighted point clouds.

    D^2 = 2 sum_ij a_i b_j |x_i - y_j| - sum_ij a_i a_j |x_i - x_j| - sum_ij b_i b_j |y_i - y_j| >= 0, and 0 to rounding
    for equal measures; on the line twice the integral of (F - G)^2. scipy.stats.energy_distance is its square root.

    Arguments, result and errors as in `mmd_squared`, of which it is the biased estimate under the kernel -|x - y|.
    Source: Szekely and Rizzo, J. Stat. Plan. Inference 143 (2013).
    """
    return _compare(x, y, a, b, ENERGY, "biased", np.random.default_rng(0))


def _compare(x: Any, y: Any, a: Any, b: Any, kernel: Kernel, estimator: str, rng: np.random.Generator) -> Any:
    batched = is_batch(x) or is_batch(y)
    if batched:
        clouds_x, clouds_y, home = read_batches(x, y)
        shape = len(clouds_x), clouds_x.shape[1], clouds_y.shape[1]
        weights = read_batch_weights(a, b, shape, unequal=False, x=x, y=y)
        a, b = (w.expand(len(clouds_x), -1) if library_of(w) == "torch" and w.ndim == 1 else w for w in (a, b))
    else:
        one_x, one_y, home = read_points(x, y, transport=False)
        read = read_weights(a, b, len(one_x), len(one_y), x=x, y=y)
        clouds_x, clouds_y = one_x[None], one_y[None]
        weights = [
            np.full_like(points, 1.0 / len(points), np.float64, shape=(1, len(points))) if w is None else w[None]
            for w, points in zip(read, (one_x, one_y))
        ]
    _check_estimator(estimator, clouds_x, clouds_y, weights, given=a is not None or b is not None)
    home, inputs = home_beside(home, a=a, b=b), (x, y, a, b)
    wanted = tuple(autograd.wants_gradient(value) for value in inputs)
    # Every problem draws what it would draw alone.
    rngs = [*(deepcopy(rng) for _ in clouds_x[1:]), rng]
    found = [
        Comparison(clouds_x[k], clouds_y[k], weights[0][k], weights[1][k], kernel, estimator, own).answer(wanted)
        for k, own in enumerate(rngs)
    ]
    values = np.array([float(value) for value, _ in found])
    if not np.isfinite(values).all():
        raise ValueError("sums of the kernel over x and y leave the range of float64. Rescale x and y together.")
    if not any(wanted):
        return home.array(values) if batched else home.number(values[0])
    gradients = [None if one[0] is None else np.stack(one) for one in zip(*(given for _, given in found))]
    if batched:
        return autograd.attach(values, home, zip(inputs, gradients), batched=True)
    return autograd.attach(values[0], home, zip(inputs, [None if g is None else g[0] for g in gradients]))


def _check_estimator(estimator: str, x: np.ndarray, y: np.ndarray, weights: Any, *, given: bool) -> None:
    """Raise where clouds (B, n, d) and their weights have no such estimate."""
    if estimator == "linear":
        if given:
            raise ValueError("estimator='linear' takes points in turn and has no weights; got a or b. Leave them out.")
        if x.shape[1] != y.shape[1] or x.shape[1] % 2:
            raise ValueError(
                "estimator='linear' takes pairs of points in turn: n = m, an even number; got "
                f"n = {x.shape[1]} and m = {y.shape[1]}. Drop the last points, or pass estimator='unbiased'."
            )
    if estimator == "unbiased":
        for name, w in zip(("x", "y"), weights):
            if ((w > 0).sum(axis=1) < 2).any():
                raise ValueError(
                    f"{name} must have two points with weight for estimator='unbiased', which leaves a point's pair "
                    "with itself out; got one. Pass estimator='biased'."
                )
            for row in w[w.max(axis=1) > 0.999 * w.sum(axis=1)]:
                if (share := pair_share(row / row.sum())) < LEAST_PAIRS:
                    raise ValueError(
                        f"{name} must have weight in more than one point for estimator='unbiased', which divides by "
                        f"1 - sum a_i^2; it is {share:.1e}, below {LEAST_PAIRS:.1e}. Pass estimator='biased'."
                    )
