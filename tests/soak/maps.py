"""Semi-discrete maps, pairs drawn from plans, and barycenters."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

import otgen
from tolerance import tol

from .draws import Rng, beside, clouds, laid_out, mass_of, pick, shape_of, weights, working
from .oracles import costs, expect, near, plain

SAMPLES = 20_000


def newton(rng: Rng) -> None:
    """SemiDiscreteOT by Newton: cells have the masses that were asked for, by its own count and by points of ours."""
    n, d = int(rng.integers(1, 80)), int(pick(rng, (2, 2, 3)))
    y, _ = clouds(rng, n, 1, d, p=2.0)
    b = weights(rng, n)
    if b is not None and b[b > 0].min() < 1e-9:
        b = None  # a mass that the volume of a cell cannot be told to
    low, high = -rng.random(d), 1 + rng.random(d)
    unit = 2.0**y.exponent if rng.random() < 0.5 else 1.0
    domain = np.stack([low, high], axis=1) * unit
    fitted = otgen.SemiDiscreteOT(domain=domain, method="newton").fit(y.given, beside(y, b, rng))
    b = mass_of(b, n)
    expect(fitted.converged_, f"not converged: {fitted.message_}")
    masses = plain(fitted.cell_measures_)
    near(masses.sum(), 1.0, 1e-9, "the cells' masses, together")
    merged = np.unique(y.points, axis=0, return_inverse=True)[1].ravel()
    near(np.bincount(merged, masses), np.bincount(merged, b), 1e-6, "masses of cells")
    _argmax(fitted, rng, y, domain, unit, b, merged)


def _argmax(fitted: Any, rng: Rng, y: Any, domain: Any, unit: float, b: Any, merged: Any) -> None:
    """Whether assign is argmax <x, y_i> + h_i, and cells of drawn points have the masses."""
    x = (domain[:, 0] + rng.random((SAMPLES, len(domain))) * (domain[:, 1] - domain[:, 0])) / unit
    lift = 2.0**y.exponent * unit
    scores = x @ y.points.T + plain(fitted.heights_) / lift
    found = np.asarray(fitted.assign(x * unit))
    behind = scores.max(axis=1) - scores[np.arange(len(x)), found]
    size_ = float(np.abs(y.points).max()) * float(np.abs(x).max()) * len(domain) + 1e-300
    expect(behind.max() <= 1e-9 * size_, f"assign is not the argmax: {behind.max():.3g} behind of {size_:.3g}")
    counts, wanted = np.bincount(merged[found], minlength=merged.max() + 1), np.bincount(merged, b)
    sd = np.sqrt(SAMPLES * wanted * (1 - np.minimum(wanted, 1.0))) + 1.0
    worst = float((np.abs(counts - SAMPLES * wanted) / sd).max())
    expect(worst < 7.0, f"a cell has {worst:.1f} standard deviations more or fewer drawn points than its mass")


def monte_carlo(rng: Rng) -> None:
    """SemiDiscreteOT by Monte Carlo: the error it claims holds on points of ours, and it is the same for a seed."""
    n, d = int(rng.integers(1, 40)), int(pick(rng, (1, 2, 3, 5, 20)))
    y = laid_out(rng, shape_of(rng, n, d).astype(pick(rng, (np.float32, np.float64))))
    source = pick(rng, ("uniform", "ball", "normal"))
    made = otgen.SemiDiscreteOT(source, method="monte_carlo", tol=0.05, max_time=20, seed=int(rng.integers(100)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", otgen.ConvergenceWarning)
        fitted = made.fit(y)
    if not fitted.converged_:
        return  # max_time: a slow machine proves nothing
    distinct, merged = np.unique(np.asarray(y, np.float64), axis=0, return_inverse=True)
    merged = merged.ravel()
    b = np.bincount(merged) / n
    draws = rng.random((SAMPLES, d)) if source == "uniform" else rng.normal(size=(SAMPLES, d))
    if source == "ball":
        draws *= (rng.random(SAMPLES) ** (1 / d) / np.linalg.norm(draws, axis=1))[:, None]
    counts = np.bincount(merged[np.asarray(fitted.assign(draws))], minlength=len(distinct))
    chi2 = float((np.square(counts / SAMPLES - b) / b).sum())
    # tol bounds the chi2 of the true masses; counting adds (k - 1) / SAMPLES in the mean, and its spread.
    noise = (len(distinct) + 6 * np.sqrt(2 * len(distinct)) + 12) / SAMPLES
    expect(chi2 <= 1.5 * 0.05 * 1.2 + noise + 4 * np.sqrt(0.05 / SAMPLES) * 2, f"chi2 {chi2:.3g}, claimed 0.05")


def couple(rng: Rng) -> None:
    """couple: pairs of the plan, each source once where n = m, at the cost of the optimal assignment."""
    n, m, d = int(rng.integers(1, 30)), int(rng.integers(1, 30)), int(pick(rng, (1, 2, 3, 17)))
    if rng.random() < 0.6:
        m = n
    x, y = clouds(rng, n, m, d, p=2.0)
    seed, eps = int(rng.integers(100)), None
    C = costs(x.points, y.points, "euclidean", 2.0)
    largest = max(float(C.max()), 1e-300)
    if rng.random() < 0.4:
        eps = largest * float(10.0 ** rng.uniform(-1, 0.5)) * 4.0**x.exponent
        if not 1e-280 < eps < 1e280:
            return
    i, j = (np.asarray(k) for k in otgen.couple(x.given, y.given, eps=eps, seed=seed))
    again = (np.asarray(k) for k in otgen.couple(x.given, y.given, eps=eps, seed=seed))
    expect(all(np.array_equal(u, v) for u, v in zip((i, j), again)), "the same seed, other pairs")
    expect(i.shape == j.shape == (n,) and i.dtype == j.dtype == np.int64, f"shapes {i.shape}, {j.shape}")
    expect((np.sort(i) == np.arange(n)).all() and 0 <= j.min() and j.max() < m, "a source that does not come up once")
    if eps is None and n == m:
        expect((np.sort(j) == np.arange(n)).all(), "a target that does not come up once")
        from scipy.optimize import linear_sum_assignment

        best = C[linear_sum_assignment(C)].sum()
        near(C[i, j].sum(), best, (tol(working(x, y)) + 1e-8) * largest * n, "the cost of the pairs")


def barycenter(rng: Rng) -> None:
    """barycenter: a value that does not rise and is that of its transports; between two points their mean."""
    k, d = int(rng.integers(1, 4)), int(pick(rng, (1, 2, 3)))
    clouds_ = [laid_out(rng, shape_of(rng, int(rng.integers(1, 12)), d)) for _ in range(k)]
    shares = rng.random(k) + 0.1
    shares = shares / shares.sum()
    size = int(rng.integers(1, 10))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", otgen.ConvergenceWarning)
        found = otgen.barycenter(clouds_, shares=shares, size=size, max_iter=30, seed=int(rng.integers(100)))
    value = float(shares @ np.array([float(part.value) for part in found.transports]))
    size_ = max(float(np.square(z).max()) for z in clouds_) * d + 1e-300
    near(found.value, value, 1e-8 * size_, "the value against its transports")
    history = np.array(found.history)
    expect((np.diff(history) <= 1e-8 * size_).all(), f"the value rises: {history}")
    for part, cloud in zip(found.transports, clouds_):
        direct = otgen.solve_sample(found.points, np.asarray(cloud, np.float64), found.weights, None)
        near(part.value, direct.value, 1e-8 * size_, "a transport against solve_sample")
    if size == 1:
        mean = shares @ np.array([np.asarray(z, np.float64).mean(axis=0) for z in clouds_])
        near(found.points[0], mean, 1e-3 * size_**0.5, "one point is the mean of the means")


KINDS = {"newton": (newton, 4), "monte carlo": (monte_carlo, 2), "couple": (couple, 3), "barycenter": (barycenter, 2)}
