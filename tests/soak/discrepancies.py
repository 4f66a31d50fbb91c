"""Sliced transport, MMD, energy, Gaussian distances, matrices of distances and tests, against their definitions."""

from __future__ import annotations

from typing import Any

import numpy as np

import naive_gaussian
import naive_kernels
import naive_sliced
import otgen
from tolerance import tol

from .draws import (
    DIMENSIONS,
    Rng,
    beside,
    clouds,
    laid_out,
    mass_of,
    pair_of_weights,
    pick,
    shape_of,
    size,
    weights,
    working,
)
from .oracles import costs, expect, near, plain

KERNELS = ("gaussian", "laplace", "imq", "rational_quadratic", "polynomial", "energy")


def sliced(rng: Rng) -> None:
    """sliced_wasserstein along its own directions, one at a time; max_sliced_wasserstein above all of them."""
    n, m, d, p = size(rng, 25), size(rng, 25), int(pick(rng, DIMENSIONS[:9])), float(pick(rng, (1, 2, 2, 3)))
    x, y = clouds(rng, n, m, d, p=p)
    a, b = pair_of_weights(rng, n, m)
    given = x.given, y.given, beside(x, a, rng), beside(y, b, rng)
    drawn = {
        "n_projections": int(rng.integers(1, 20)),
        "projections": pick(rng, ("orthogonal", "sobol", "independent")),
    }
    seed = int(rng.integers(1000))
    found = otgen.sliced_wasserstein(*given, p=p, seed=seed, **drawn)
    a, b = mass_of(a, n), mass_of(b, m)
    directions, unit = plain(found.directions), 2.0**x.exponent
    near(np.linalg.norm(directions, axis=1), np.ones(len(directions)), tol(working(x, y)), "directions of unit length")
    wide = float(np.abs(x.points).max() + np.abs(y.points).max()) * np.sqrt(d) + 1e-300
    root = float(a.sum()) ** (1 / p) * wide
    wanted = naive_sliced.value(x.points, y.points, a, b, p, directions)
    eps = tol(working(x, y))
    allowed = (eps ** (1 / p) if wanted < 1e-2 * root else 4 * eps) * root
    near(plain(found.value) / unit, wanted, allowed, "the sliced distance")
    near(plain(found.distances).max() / unit, max(naive_sliced.distances(x.points, y.points, a, b, p, directions)),
         eps ** (1 / p) * root, "the largest along a direction")  # fmt: skip
    again = otgen.sliced_wasserstein(*given, p=p, seed=seed, **drawn)
    near(plain(again.value), plain(found.value), 0.0, "the same seed")
    most = otgen.max_sliced_wasserstein(*given, p=p, n_starts=4, max_iter=60)
    if d <= 3 and working(x, y) == np.float64:
        low, high = plain(found.distances).max() / unit, float(most) / unit
        expect(high >= 0.9 * low - allowed, f"max-sliced {high!r} is far below {low!r}, that along a drawn direction")
    if most.upper_bound is not None:
        expect(float(most) <= most.upper_bound * (1 + eps) + allowed * unit, "max-sliced is above its own upper bound")


def pairs_left(w: np.ndarray) -> float:
    """sum over i != j of w_i w_j."""
    return float(sum(w[i] * w[j] for i in range(len(w)) for j in range(len(w)) if i != j))


def mmd(rng: Rng) -> None:
    """mmd_squared under every kernel and estimator, against loops."""
    n, m, d = size(rng, 15), size(rng, 15), int(pick(rng, DIMENSIONS[:9]))
    estimator, kernel = pick(rng, ("unbiased", "biased", "linear")), pick(rng, KERNELS)
    if estimator == "linear":
        n = m = 2 * max(1, n // 2)
    elif estimator == "unbiased":
        n, m = max(n, 2), max(m, 2)
    x, y = clouds(rng, n, m, d)
    if kernel == "polynomial" and x.exponent:
        return
    a, b = (None, None) if estimator == "linear" else pair_of_weights(rng, n, m)
    if estimator == "unbiased" and any(w is not None and (w > 0).sum() < 2 for w in (a, b)):
        a = b = None
    masses = [mass_of(w, k) for w, k in ((a, n), (b, m))]
    mass = float(masses[0].sum())
    # What is left of a cloud without the pairs of a point with itself: too little of it is refused.
    left = [pairs_left(w / w.sum()) if estimator == "unbiased" else 1.0 for w in masses]
    if min(left) < 1e-6:
        return
    h = float(10.0 ** rng.uniform(-1, 1))
    options: dict[str, Any] = {"kernel": kernel, "estimator": estimator}
    scales = (1.0,)
    if kernel not in ("polynomial", "energy"):
        scales = tuple(float(s) for s in 10.0 ** rng.uniform(-1, 1, size=rng.integers(1, 4)))
        options |= {"scales": scales, "bandwidth": h * 2.0**x.exponent}
    value = plain(otgen.mmd_squared(x.given, y.given, beside(x, a, rng), beside(y, b, rng), **options))
    unit = 2.0**x.exponent if kernel == "energy" else 1.0
    wanted = naive_kernels.mmd_squared(
        x.points, y.points, masses[0] / mass, masses[1] / masses[1].sum(), kernel, scales, h, estimator
    )
    pooled = np.concatenate([x.points, y.points])
    largest = np.abs(naive_kernels.matrix(pooled, pooled, kernel, scales, h)).max()
    # A distance r of float32 is off by eps (|x| + |y|), and the kernels by that over h.
    steep = 1.0 + float(np.abs(pooled).max()) / (1.0 if kernel in ("polynomial", "energy") else h * min(scales) ** 0.5)
    allowed = tol(working(x, y)) * (float(largest) * steep + 1e-300) / min(left)
    near(value / mass**2 / unit, wanted, allowed, f"{estimator} MMD^2 under {kernel}")


def energy(rng: Rng) -> None:
    """energy_distance_squared: its definition, symmetry, 0 of a cloud with itself; any median bandwidth."""
    n, m, d = size(rng), size(rng), int(pick(rng, DIMENSIONS))
    x, y = clouds(rng, n, m, d)
    a, b = pair_of_weights(rng, n, m)
    given = x.given, y.given, beside(x, a, rng), beside(y, b, rng)
    found = plain(otgen.energy_distance_squared(*given))
    a, b = mass_of(a, n), mass_of(b, m)
    mass, unit = float(a.sum()), 2.0**x.exponent
    b = b * (mass / b.sum())
    pairs = {k: costs(u, v, "euclidean", 1.0) for k, (u, v) in enumerate(
        ((x.points, y.points), (x.points, x.points), (y.points, y.points)))}  # fmt: skip
    wanted = 2 * a @ pairs[0] @ b - a @ pairs[1] @ a - b @ pairs[2] @ b
    largest = max(float(C.max()) for C in pairs.values()) + float(np.abs(x.points).max()) + 1e-300
    allowed = tol(working(x, y)) * largest * mass**2
    near(found / unit, wanted, allowed, "the energy distance")
    expect(found >= 0, "the energy distance is negative")
    near(plain(otgen.energy_distance_squared(*(given[k] for k in (1, 0, 3, 2)))) / unit, wanted, allowed, "symmetry")
    near(plain(otgen.energy_distance_squared(given[0], given[0], given[2], given[2])) / unit, 0.0, allowed, "identity")
    if n > 1 and m > 1:
        expect(np.isfinite(plain(otgen.mmd_squared(given[0], given[1]))), "MMD with the median bandwidth is no number")


def gaussian(rng: Rng) -> None:
    """gaussian_wasserstein, its map, and frechet_distance of samples, against rotations and exact moments."""
    d = int(rng.integers(1, 6))
    exponent = int(rng.integers(-200, 201)) if rng.random() < 0.3 else 0
    means = [rng.normal(size=d) for _ in range(2)]
    covs = []
    for _ in range(2):
        root = rng.normal(size=(d, d if rng.random() < 0.7 else int(rng.integers(1, d + 1))))
        cov = root @ root.T * float(10.0 ** rng.uniform(-3, 1))
        covs.append(0.5 * (cov + cov.T))
    unit, square = 2.0**exponent, 2.0 ** (2 * exponent)
    laws = (means[0] * unit, laid_out(rng, covs[0] * square), laid_out(rng, means[1] * unit), covs[1] * square)
    found = otgen.gaussian_wasserstein(*laws)
    wanted = naive_gaussian.wasserstein_squared(means[0], covs[0], means[1], covs[1])
    scale = sum(float(np.trace(cov)) for cov in covs) + sum(float(mean @ mean) for mean in means)
    # The root of a singular matrix loses half of the digits.
    near((found / unit) ** 2, wanted, 1e-6 * scale, "the squared distance of two normal laws")
    near(otgen.gaussian_wasserstein(*laws[2:], *laws[:2]) / unit, found / unit, 1e-6 * scale**0.5 + 1e-300, "symmetry")
    near(otgen.gaussian_wasserstein(*laws[:2], *laws[:2]), 0.0, 0.0, "equal laws")
    if min(np.linalg.cond(cov) for cov in covs) < 1e6 and max(np.linalg.cond(cov) for cov in covs) < 1e6:
        A = otgen.gaussian_map(*laws).matrix
        near(A @ covs[0] @ A.T, covs[1], 1e-7 * scale, "the covariance that the map makes")
    n, m = int(rng.integers(2, 12)), int(rng.integers(2, 12))
    x, y = clouds(rng, n, m, d, p=2.0)
    moments = [naive_gaussian.moments(z.points) for z in (x, y)]
    wanted = naive_gaussian.wasserstein_squared(*moments[0], *moments[1])
    size_ = max(float(np.square(z.points).max()) for z in (x, y)) * d + 1e-300
    near(plain(otgen.frechet_distance(x.given, y.given)) / 4.0**x.exponent, wanted,
         (tol(working(x, y)) + 1e-7) * size_, "the Frechet distance")  # fmt: skip


def pairwise(rng: Rng) -> None:
    """pairwise: what a call a pair gives, symmetric, 0 on the diagonal, with and without threads."""
    k, d = int(rng.integers(2, 6)), int(pick(rng, (1, 2, 3, 9)))
    samples = [laid_out(rng, shape_of(rng, int(rng.integers(2, 15)), d)) for _ in range(k)]
    masses = None if rng.random() < 0.5 else [weights(rng, len(z)) for z in samples]
    distance, call, options = pick(rng, (
        ("wasserstein", otgen.wasserstein, {"p": 2.0}),
        ("sliced_wasserstein", otgen.sliced_wasserstein, {"n_projections": 16, "seed": 3}),
        ("energy", lambda *given: np.sqrt(otgen.energy_distance_squared(*given)), {}),
        ("sinkhorn_divergence", otgen.sinkhorn_divergence, {"eps": 1e3}),
    ))  # fmt: skip
    found = otgen.pairwise(samples, masses, distance=distance, workers=pick(rng, (None, 1)), **options)
    expect(np.array_equal(found, found.T) and not np.diag(found).any(), "not symmetric, or a diagonal that is not 0")
    size_ = max(float(np.abs(z).max()) for z in samples) * np.sqrt(d)
    for i in range(k):
        for j in range(i + 1, k):
            weighted = (None, None) if masses is None else (masses[i], masses[j])
            wanted = float(call(samples[i], samples[j], *weighted, **options))
            near(found[i, j], wanted, 1e-6 * size_ + 1e-5 * abs(wanted), f"{distance} of clouds {i} and {j}")


def two_sample(rng: Rng) -> None:
    """two_sample_test: the p-value is that of its own null, the same for a seed, and of x and y changed over."""
    n, m, d = int(rng.integers(4, 20)), int(rng.integers(4, 20)), int(pick(rng, (1, 2, 9)))
    x, y = clouds(rng, n, m, d)
    statistic = pick(rng, ("mmd", "energy", "energy", "sliced", "wasserstein"))
    options = {"statistic": statistic, "n_permutations": int(rng.integers(9, 60)), "seed": int(rng.integers(100))}
    found = otgen.two_sample_test(x.given, y.given, **options)
    count = (found.null >= found.statistic - 1e-9 * np.abs(found.null).max()).sum()
    least = (found.null >= found.statistic).sum()
    share = found.p_value * (1 + found.n_permutations) - 1
    expect(least - 1e-6 <= share <= count + 1e-6, f"p {found.p_value} of {least} to {count} in {found.n_permutations}")
    again = otgen.two_sample_test(x.given, y.given, **options)
    expect(again.p_value == found.p_value and np.array_equal(again.null, found.null), "the same seed, another null")


KINDS = {
    "sliced": (sliced, 3), "mmd": (mmd, 4), "energy": (energy, 4), "gaussian": (gaussian, 4),
    "pairwise": (pairwise, 2), "two samples": (two_sample, 2),
}  # fmt: skip
