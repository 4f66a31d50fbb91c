"""Small entropic problems solved by blocks of the GPU against those solved on the host."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import naive_entropic
from otgen_kernels.cpu import soft_batch as on_host
from otgen_kernels.cpu.soft_batch import FIGURES
from otgen_kernels.cuda import device, soft_batch

INF = math.inf
MARGINALS = {"balanced": (INF, INF), "soft": (0.5, 2.0), "one side": (INF, 0.7), "other side": (0.7, INF)}
COSTS = [("euclidean", 1.0), ("euclidean", 2.0), ("cityblock", 1.5), ("chebyshev", 1.0), ("cosine", 2.0)]


def problems(rng, count=3, n=7, m=5, d=2, dtype="f8"):
    a, b = rng.random((count, n)) + 0.05, rng.random((count, m)) + 0.05
    x, y = rng.normal(size=(count, n, d)).astype(dtype), (rng.normal(size=(count, m, d)) + 0.3).astype(dtype)
    return x, y, a / a.sum(1, keepdims=True), b / b.sum(1, keepdims=True)


def both(cupy, x, y, a, b, eps, *, metric="euclidean", p=2.0, rho=(INF, INF), accuracy=1e-10, most=10_000,
         symmetric=False):  # fmt: skip
    """f, g and figures of the device and of the host."""
    options: dict[str, Any] = {
        "metric": metric, "p": p, "eps": eps, "rho_a": rho[0], "rho_b": rho[1], "tol": accuracy, "max_iter": most,
        "symmetric": symmetric,
    }  # fmt: skip
    ours = soft_batch.sinkhorn_batch(*(cupy.asarray(v) for v in (x, y, a, b)), **options)
    return [cupy.asnumpy(v) for v in ours], on_host.sinkhorn_batch(x, y, a, b, **options)


def agree(ours, theirs, size, rel):
    """The same figures, sweeps apart, and potentials, to a share of their size."""
    assert all(part.dtype == np.float64 and part.shape == other.shape for part, other in zip(ours, theirs))
    kept = [k for k, name in enumerate(FIGURES) if name not in ("sweeps", "error", "gap")]
    np.testing.assert_allclose(ours[2][:, kept], theirs[2][:, kept], rtol=rel, atol=rel * size)
    for k in (0, 1):
        np.testing.assert_allclose(ours[k], theirs[k], rtol=rel, atol=rel * size)
    sweeps = ours[2][:, FIGURES.index("sweeps")], theirs[2][:, FIGURES.index("sweeps")]
    assert (np.abs(sweeps[0] - sweeps[1]) <= 2 + 0.1 * sweeps[1]).all()


@pytest.mark.parametrize("rho", MARGINALS.values(), ids=MARGINALS)
@pytest.mark.parametrize(("metric", "p"), COSTS)
def test_every_cost_and_marginal_is_solved_as_on_the_host(cupy, rng, metric, p, rho):
    x, y, a, b = problems(rng, 2, d=3)
    a = a * (1.5 if rho != (INF, INF) else 1.0)
    ours, theirs = both(cupy, x, y, a, b, 0.3, metric=metric, p=p, rho=rho)
    agree(ours, theirs, 1.0, 1e-9)
    error, mass, gap = (ours[2][:, FIGURES.index(name)] for name in ("error", "mass", "gap"))
    assert (error <= 1e-10 * mass).all() and (gap >= 0.0).all() and (gap <= 1e-8).all()


@pytest.mark.parametrize(("n", "m", "d"), [(1, 1, 1), (3, 90, 2), (90, 3, 2), (40, 70, 5), (200, 70, 2)])
@pytest.mark.parametrize("share", [1e-2, 1.0])
def test_any_size_and_eps(cupy, rng, n, m, d, share):
    x, y, a, b = problems(rng, 2, n, m, d)
    C = naive_entropic.cost_matrix(x[0, :30], y[0, :30])
    ours, theirs = both(cupy, x, y, a, b, share * float(np.mean(C)), accuracy=1e-8)
    agree(ours, theirs, float(np.max(C)), 1e-6)
    told = dict(zip(FIGURES, ours[2].T, strict=True))
    assert (told["error"] <= 1e-8 * told["mass"]).all() and (told["lower"] <= told["upper"]).all()


@pytest.mark.parametrize("rho", [INF, 0.3])
@pytest.mark.parametrize("share", [1e-3, 0.1, 10.0])
def test_a_cloud_against_itself(cupy, rng, share, rho):
    x, _, a, _ = problems(rng, n=12)
    a[1, 2:4] = 0.0
    ours, theirs = both(cupy, x, x, a, a, share, rho=(rho, rho), symmetric=True)
    agree(ours, theirs, 5.0 + share, 1e-9)
    np.testing.assert_allclose(ours[0][a > 0], ours[1][a > 0], atol=1e-8 * (5.0 + share))


@pytest.mark.parametrize("rho", MARGINALS.values(), ids=MARGINALS)
def test_points_without_weight_take_no_part_and_are_given_the_potentials_of_the_others(cupy, rng, rho):
    x, y, a, b = problems(rng, 3, 40, 35)
    a[0, 3:20], b[0, 1], b[2, ::2] = 0.0, 0.0, 0.0
    b *= a.sum(1, keepdims=True) / b.sum(1, keepdims=True)
    ours, theirs = both(cupy, x, y, a, b, 0.2, rho=rho)
    agree(ours, theirs, 5.0, 1e-9)


@pytest.mark.parametrize("rho", MARGINALS.values(), ids=MARGINALS)
@pytest.mark.parametrize("most", [1, 3, 10])
def test_what_is_not_finished_is_told_as_on_the_host(cupy, rng, most, rho):
    x, y, a, b = problems(rng, 3)
    ours, theirs = both(cupy, x, y, a, b, 1e-3, rho=rho, most=most)
    agree(ours, theirs, 5.0, 1e-8)
    np.testing.assert_allclose(ours[2], theirs[2], rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("rho", [INF, 0.5])
def test_a_tolerance_that_cannot_be_reached_ends_in_noise(cupy, rng, rho, symmetric):
    x, y, a, b = problems(rng, 2)
    y, b = (x, a) if symmetric else (y, b)
    ours, _ = both(cupy, x, y, a, b, 0.1, rho=(rho, rho), accuracy=1e-18, symmetric=symmetric)
    told = dict(zip(FIGURES, ours[2].T, strict=True))
    assert (told["sweeps"] < 5_000).all() and (told["error"] <= 1e-11 * told["mass"]).all()


def test_masses_other_than_one_and_points_that_coincide(cupy, rng):
    x, y, a, b = problems(rng, 4)
    x[3], y[3], b[3] = 1.5, 1.5, 0.2
    totals = np.array([[1e-6], [5.0], [1e6], [1.0]])
    a, b = totals * a, totals * b
    b[3] *= a[3].sum() / b[3].sum()
    ours, theirs = both(cupy, x, y, a, b, 0.3)
    for k, total in enumerate(totals[:, 0]):
        agree([part[k : k + 1] for part in ours], [part[k : k + 1] for part in theirs], max(total, 1.0), 1e-9)
    assert ours[2][3, 0] == 0.0


def test_float32_points_are_those_of_float64(cupy, rng):
    x, y, a, b = problems(rng, dtype="f4")
    ours, theirs = both(cupy, x, y, a, b, 0.2), both(cupy, x.astype("f8"), y.astype("f8"), a, b, 0.2)
    for one, other in zip(ours[0], theirs[0]):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(ours[0][2][:, 0], ours[1][2][:, 0], rtol=1e-8)


def test_launches_of_any_size_and_vectors_in_any_memory_give_the_same_bits(cupy, rng, monkeypatch):
    x, y, a, b = problems(rng, 5, 9, 40)
    whole, _ = both(cupy, x, y, a, b, 0.1)
    alone, _ = both(cupy, x[4:], y[4:], a[4:], b[4:], 0.1)
    monkeypatch.setattr(soft_batch, "COST_BYTES", 2 * 8 * 9 * 40)
    monkeypatch.setattr(device, "most_shared", lambda: 0)
    apart, _ = both(cupy, x, y, a, b, 0.1)
    for one, two, three in zip(whole, apart, alone):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one[4:], three)


@pytest.mark.parametrize(("n", "m", "d"), [(1, 1, 1), (7, 40, 3), (20, 9, 40)])
@pytest.mark.parametrize(("metric", "p"), [*COSTS, ("euclidean", 3.0), ("chebyshev", 2.0)])
def test_gradients_and_masses_of_any_potentials(cupy, rng, metric, p, n, m, d):
    x, y, a, b = problems(rng, 3, n, m, d)
    y[0, 0] = x[0, 0]
    f, g = rng.normal(size=a.shape), rng.normal(size=b.shape)
    if m > 1:
        b[1, 2], g[1, 2] = 0.0, 1e6  # without mass it does not matter
    given, options = (x, y, a, b, f, g), {"metric": metric, "p": p, "eps": 0.7}
    arrays = [cupy.asarray(v) for v in given]
    found = cupy.asnumpy(soft_batch.sinkhorn_batch_gradient(*arrays, **options))
    wanted = on_host.sinkhorn_batch_gradient(*given, **options)
    np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-12 * np.abs(wanted).max() + 1e-15)
    masses = cupy.asnumpy(soft_batch.plan_mass_batch(*arrays, **options))
    np.testing.assert_allclose(masses, on_host.plan_mass_batch(*given, **options), rtol=1e-12)
