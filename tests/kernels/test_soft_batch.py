"""Problems solved whole in compiled code against Sinkhorn in dense float64: every cost, both precisions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import ot
import pytest

import naive
import naive_entropic
from otgen_kernels.cpu.soft_batch import FIGURES, plan_mass_batch, sinkhorn_batch, sinkhorn_batch_gradient
from tolerance import tol

METRICS = ("euclidean", "cityblock", "chebyshev", "cosine")
INF = math.inf
MARGINALS = {"balanced": (INF, INF), "soft": (0.5, 2.0), "one side": (INF, 0.7), "other side": (0.7, INF)}


def problems(rng, count=3, n=7, m=5, d=2, dtype="f8"):
    a, b = rng.random((count, n)) + 0.05, rng.random((count, m)) + 0.05
    x, y = rng.normal(size=(count, n, d)).astype(dtype), (rng.normal(size=(count, m, d)) + 0.3).astype(dtype)
    return x, y, a / a.sum(1, keepdims=True), b / b.sum(1, keepdims=True)


def solve(x, y, a, b, eps, *, metric="euclidean", p=2.0, rho=(INF, INF), accuracy=1e-10, most=10_000, symmetric=False):
    return sinkhorn_batch(
        x, y, a, b, metric=metric, p=p, eps=eps, rho_a=rho[0], rho_b=rho[1], tol=accuracy, max_iter=most,
        symmetric=symmetric,
    )  # fmt: skip


def check_figures(C, a, b, f, g, figures, eps, rho, rel=1e-9):
    """What is told of one problem, recomputed from its dense plan; returns the figures by name."""
    told = dict(zip(FIGURES, figures, strict=True))
    rows, columns = a > 0, b > 0
    plan = np.zeros(C.shape)
    kept = np.ix_(rows, columns)
    C_kept, a_kept, b_kept, f_kept, g_kept = C[kept], a[rows], b[columns], f[rows], g[columns]
    plan[kept] = naive_entropic.plan(C_kept, a_kept, b_kept, f_kept, g_kept, eps)
    wanted = [w * (np.exp(-h / r) if r < INF else 1.0) for w, h, r in zip((a, b), (f, g), rho)]
    error = np.abs(plan.sum(1) - wanted[0]).sum() + np.abs(plan.sum(0) - wanted[1]).sum()
    mass = 0.5 * (wanted[0].sum() + wanted[1].sum())
    size = np.abs(plan * C).sum() + eps * mass + np.abs(f_kept).max() + np.abs(g_kept).max()
    near = {"rel": rel, "abs": rel * size}
    assert told["mass"] == pytest.approx(mass, rel=rel)
    assert told["error"] == pytest.approx(error, rel=1e-3, abs=rel * mass)
    assert told["value"] == pytest.approx((plan * C).sum(), **near)
    objective = naive_entropic.objective(plan[kept], C_kept, a_kept, b_kept, eps, *rho)
    assert told["objective"] == pytest.approx(objective, **near)
    dual = naive_entropic.dual_value(C_kept, a_kept, b_kept, f_kept, g_kept, eps, *rho)
    assert told["dual_value"] == pytest.approx(dual, **near)
    assert told["gap"] >= 0.0
    if rho == (INF, INF):
        exact = ot.emd2(a / a.sum(), b / b.sum(), C) * a.sum()
        assert told["lower"] <= exact + tol(float) * size and exact <= told["upper"] + tol(float) * size
    else:
        assert np.isnan([told["lower"], told["upper"]]).all()
    return told


@pytest.mark.parametrize("rho", MARGINALS.values(), ids=MARGINALS)
@pytest.mark.parametrize("p", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("metric", METRICS)
def test_every_cost_and_marginal_against_the_plain_loop(metric, p, rho, rng):
    x, y, a, b = problems(rng, 2, d=3)
    a = a * (1.5 if rho != (INF, INF) else 1.0)
    costs = [naive_entropic.cost_matrix(u, v, metric, p) for u, v in zip(x, y)]
    eps = 0.2 * float(np.mean(costs))
    f, g, figures = solve(x, y, a, b, eps, metric=metric, p=p, rho=rho)
    assert f.dtype == g.dtype == figures.dtype == np.float64 and figures.shape == (2, len(FIGURES))
    for k, C in enumerate(costs):
        told = check_figures(C, a[k], b[k], f[k], g[k], figures[k], eps, rho)
        assert told["error"] <= 1e-10 * told["mass"] and told["sweeps"] < 500
        found = naive_entropic.potentials(C, a[k], b[k], eps, *rho)
        shift = f[k, 0] - found[0][0] if rho == (INF, INF) else 0.0
        np.testing.assert_allclose(f[k] - shift, found[0], atol=1e-8 * C.max())
        np.testing.assert_allclose(g[k] + shift, found[1], atol=1e-8 * C.max())


@pytest.mark.parametrize("share", [1e-3, 1e-2, 1.0, 1e6])
@pytest.mark.parametrize(("dtype", "accuracy"), [("f4", 1e-3), ("f4", 1e-6), ("f8", 1e-3), ("f8", 1e-9)])
@pytest.mark.parametrize("rho", MARGINALS.values(), ids=MARGINALS)
def test_any_eps_in_both_precisions(rho, dtype, accuracy, share, rng):
    x, y, a, b = problems(rng, dtype=dtype)
    costs = [naive_entropic.cost_matrix(u.astype(float), v.astype(float)) for u, v in zip(x, y)]
    eps = share * float(np.mean(costs))
    f, g, figures = solve(x, y, a, b, eps, rho=rho, accuracy=accuracy)
    for k, C in enumerate(costs):
        told = check_figures(C, a[k], b[k], f[k], g[k], figures[k], eps, rho, 1e-7)
        assert told["error"] <= accuracy * told["mass"]
        assert told["gap"] <= 20.0 * accuracy * (C.max() + eps)


@pytest.mark.parametrize("rho", [INF, 0.3])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("share", [1e-4, 0.1, 10.0])
def test_a_cloud_against_itself(share, dtype, rho, rng):
    x, _, a, _ = problems(rng, dtype=dtype)
    a[1, 2:4] = 0.0
    costs = [naive_entropic.cost_matrix(u.astype(float), u.astype(float)) for u in x]
    eps, accuracy = share * float(np.mean(costs)), 1e-4 if dtype == "f4" else 1e-9
    f, g, figures = solve(x, x, a, a, eps, rho=(rho, rho), accuracy=accuracy, symmetric=True)
    _, _, other = solve(x, x, a, a, eps, rho=(rho, rho), accuracy=accuracy)
    for k, C in enumerate(costs):
        told = check_figures(C, a[k], a[k], f[k], g[k], figures[k], eps, (rho, rho), 1e-7)
        assert told["error"] <= accuracy * told["mass"] and told["sweeps"] < 80
        np.testing.assert_allclose(f[k, a[k] > 0], g[k, a[k] > 0], atol=10.0 * accuracy * (eps + C.max()))
    dual, gap = FIGURES.index("dual_value"), FIGURES.index("gap")
    assert (
        np.abs(figures - other)[:, dual] <= np.maximum(figures, other)[:, gap] + 1e-12 * (eps + np.max(costs))
    ).all()


@pytest.mark.parametrize("rho", MARGINALS.values(), ids=MARGINALS)
@pytest.mark.parametrize("most", [1, 2, 5, 10_000])
def test_points_without_mass_take_no_part_wherever_they_are(most, rho, rng):
    x, y, a, b = problems(rng)
    a[0, [0, 3]] = b[0, 1] = a[2, 6] = 0.0
    a, b = a / a.sum(1, keepdims=True), b / b.sum(1, keepdims=True)
    x[0, 0], y[0, 1], x[2, 6] = 300.0, -500.0, 1e5  # their powers overflow: exp(c / eps) is never formed
    eps = 1e-2
    f, g, figures = solve(x, y, a, b, eps, rho=rho, accuracy=1e-6, most=most)
    assert np.isfinite(f).all() and np.isfinite(g).all() and np.isfinite(figures[:, [0, 1, 2, 3, 4, 7, 8]]).all()
    assert (figures[:, FIGURES.index("sweeps")] <= most).all()
    for k in range(3):
        rows, columns = a[k] > 0, b[k] > 0
        C = naive_entropic.cost_matrix(x[k], y[k])
        if most > 5:
            told = check_figures(C, a[k], b[k], f[k], g[k], figures[k], eps, rho, 1e-7)
            assert told["error"] <= 1e-6 * told["mass"]
        alone = solve(x[k][None, rows], y[k][None, columns], a[k][None, rows], b[k][None, columns], eps, rho=rho,
                      accuracy=1e-6, most=most)  # fmt: skip
        np.testing.assert_array_equal(alone[0][0], f[k, rows])
        np.testing.assert_array_equal(alone[2][0], figures[k])
        for h, C_, keep, others, other, w, r in (
            (f, C, rows, columns, g, b, rho[0]),
            (g, C.T, columns, rows, f, a, rho[1]),
        ):
            if not keep.all():
                answer = naive_entropic.smooth_min(C_[~keep][:, others] - other[k, others], w[k, others], eps)
                damp = 1.0 if math.isinf(r) else r / (r + eps)
                np.testing.assert_allclose(h[k, ~keep], damp * answer, rtol=1e-9)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 6), (6, 1), (2, 90)])
@pytest.mark.parametrize("share", [1e-3, 1e3])
def test_small_sides(n, m, share, rng):
    x, y, a, b = problems(rng, 2, n, m)
    costs = [naive_entropic.cost_matrix(u, v) for u, v in zip(x, y)]
    eps = share * float(np.mean(costs))
    f, g, figures = solve(x, y, a, b, eps)
    for k, C in enumerate(costs):
        told = check_figures(C, a[k], b[k], f[k], g[k], figures[k], eps, (INF, INF))
        assert told["error"] <= 1e-10


@pytest.mark.parametrize("metric", METRICS)
def test_points_that_coincide(metric, rng):
    x, y, a, b = problems(rng, 2, 6, 4)
    x[0], y[0] = 0.7, 0.7  # all of one problem
    x[1, 1:3], y[1, :2] = x[1, 0], x[1, 0]  # some of the other
    f, g, figures = solve(x, y, a, b, 0.1, metric=metric)
    gradient = sinkhorn_batch_gradient(x, y, a, b, f, g, metric=metric, p=1.0, eps=0.1)
    assert np.isfinite(gradient).all()
    for k in range(2):
        C = naive_entropic.cost_matrix(x[k], y[k], metric)
        assert check_figures(C, a[k], b[k], f[k], g[k], figures[k], 0.1, (INF, INF))["error"] <= 1e-10
    assert figures[0, 0] == 0.0 and (gradient[0] == 0.0).all()


def test_masses_other_than_one(rng):
    x, y, a, b = problems(rng)
    totals = np.array([1e-6, 5.0, 1e6])
    f, g, figures = solve(x, y, totals[:, None] * a, totals[:, None] * b, 0.3)
    for k, total in enumerate(totals):
        C = naive_entropic.cost_matrix(x[k], y[k])
        told = check_figures(C, total * a[k], total * b[k], f[k], g[k], figures[k], 0.3, (INF, INF))
        assert told["error"] <= 1e-10 * total


def test_a_large_rho_is_no_harder_than_none(rng):
    x, y, a, b = problems(rng)
    _, _, held = solve(x, y, a, b, 1e-2)
    _, _, soft = solve(x, y, a, b, 1e-2, rho=(1e7, 1e7))
    np.testing.assert_allclose(soft[:, 0], held[:, 0], rtol=1e-5)
    sweeps = FIGURES.index("sweeps")
    assert (soft[:, sweeps] <= 3 * held[:, sweeps]).all()


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("metric", METRICS)
def test_gradient_is_that_of_the_cost_under_the_plan(metric, p, rng):
    x, y, a, b = problems(rng, d=3)
    b[1, 2] = 0.0
    f, g = rng.normal(size=a.shape), rng.normal(size=b.shape)
    g[1, 2] = 1e6  # without mass it does not matter
    found = sinkhorn_batch_gradient(x, y, a, b, f, g, metric=metric, p=p, eps=0.7)
    step = 1e-6
    for k in range(3):
        pi = naive_entropic.plan(
            naive_entropic.cost_matrix(x[k], y[k], metric, p), a[k], b[k], f[k], g[k] * (b[k] > 0), 0.7
        )
        for i, point in enumerate(x[k]):
            for t in range(3):
                move = step * np.eye(3)[t]
                up, down = (
                    sum(w * naive.cost(point + s * move, other, metric, p) for w, other in zip(pi[i], y[k]))
                    for s in (1, -1)
                )
                assert found[k, i, t] == pytest.approx((up - down) / (2 * step), rel=1e-5, abs=1e-6 * pi[i].sum())


@pytest.mark.parametrize("rho", MARGINALS.values(), ids=MARGINALS)
def test_gradient_is_that_of_the_objective(rho, rng):
    x, y, a, b = problems(rng, 1, 4, 3)
    f, g, _ = solve(x, y, a, b, 0.4, rho=rho, accuracy=1e-12)
    sides: Any = ((x, 0, (x, y, a, b, f, g)), (y, 1, (y, x, b, a, g, f)))
    for points, side, arguments in sides:
        found = sinkhorn_batch_gradient(*arguments, metric="euclidean", p=2.0, eps=0.4)[0]
        for i in range(2):
            values = []
            for move in (1e-4, -1e-4):
                clouds = [x[0].copy(), y[0].copy()]
                clouds[side][i, 0] += move
                values.append(naive_entropic.optimum(naive_entropic.cost_matrix(*clouds), a[0], b[0], 0.4, *rho))
            assert found[i, 0] == pytest.approx((values[0] - values[1]) / 2e-4, rel=1e-5, abs=1e-7)
        assert found.shape == points[0].shape


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_cosine_knows_no_length(scale, rng):
    x, y, a, b = problems(rng, d=3)
    f, g, figures = solve(scale * x, y, a, b, 0.2, metric="cosine")
    np.testing.assert_allclose(figures[:, :7], solve(x, y, a, b, 0.2, metric="cosine")[2][:, :7], rtol=1e-8, atol=1e-12)
    options = {"metric": "cosine", "p": 1.0, "eps": 0.2}
    expected = sinkhorn_batch_gradient(x, y, a, b, f, g, **options)
    found = sinkhorn_batch_gradient(scale * x, y, a, b, f, g, **options)
    np.testing.assert_allclose(found * scale, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_plan_mass_of_any_potentials(metric, rng):
    x, y, a, b = problems(rng)
    a[0, 1] = 0.0
    f, g = rng.normal(size=a.shape), rng.normal(size=b.shape)
    clean, f[0, 1] = f.copy(), 1e6
    found = plan_mass_batch(x, y, a, b, f, g, metric=metric, p=1.5, eps=0.3)
    expected = [
        naive_entropic.plan(naive_entropic.cost_matrix(u, v, metric, 1.5), *one, 0.3).sum()  # pyright: ignore[reportCallIssue]
        for u, v, *one in zip(x, y, a, b, clean, g)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_any_number_of_threads_and_problems_gives_the_same_numbers(rng, monkeypatch):
    x, y, a, b = problems(rng, 9)
    options = {"metric": "euclidean", "p": 2.0, "eps": 0.05}
    found = []
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("OTGEN_NUM_THREADS", threads)
        f, g, figures = solve(x, y, a, b, 0.05)
        found.append((f, g, figures, sinkhorn_batch_gradient(x, y, a, b, f, g, **options)))
    alone = [solve(x[k : k + 1], y[k : k + 1], a[k : k + 1], b[k : k + 1], 0.05) for k in range(9)]
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, two)
    for part, one in zip(zip(*alone), found[0]):
        np.testing.assert_array_equal(np.concatenate(part), one)


def test_float32_sums_over_a_long_side_end_in_float64(rng):
    x, y, a, b = problems(rng, 1, 20_000, 3, dtype="f4")
    for one in ((x, y, a, b), (y, x, b, a)):
        _, _, figures = solve(*one, 0.05, accuracy=3e-6)
        assert figures[0, FIGURES.index("error")] <= 3e-6


def test_most_sweeps_are_shared_by_the_stages(rng):
    x, y, a, b = problems(rng)
    for most in (1, 2, 7):
        f, g, figures = solve(x, y, a, b, 1e-4, most=most)
        assert (figures[:, FIGURES.index("sweeps")] == most).all()
        for k in range(3):
            C = naive_entropic.cost_matrix(x[k], y[k])
            check_figures(C, a[k], b[k], f[k], g[k], figures[k], 1e-4, (INF, INF), 1e-7)


@pytest.mark.parametrize("share", [1.0, 1e-1, 1e-2, 1e-3])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("rho", [(INF, INF), (0.5, 0.5), (INF, 0.7)], ids=str)
def test_a_tolerance_that_cannot_be_reached_ends_in_noise(rho, symmetric, dtype, share, rng):
    x, y, a, b = problems(rng, dtype=dtype)
    if symmetric:
        y, b, rho = x, a, (rho[1], rho[1])
    costs = [naive_entropic.cost_matrix(u.astype(float), v.astype(float)) for u, v in zip(x, y)]
    f, g, figures = solve(x, y, a, b, share, rho=rho, accuracy=1e-18, symmetric=symmetric)
    for k, C in enumerate(costs):
        told = check_figures(C, a[k], b[k], f[k], g[k], figures[k], share, rho, 1e-7)
        assert told["sweeps"] < 5_000
        assert told["error"] <= tol(float) * (1.0 + C.max() / share) * told["mass"]


def test_float32_that_gets_no_nearer_hands_over_to_float64():
    rng = np.random.default_rng(104)
    x, y = rng.normal(size=(1, 20, 1)).astype("f4"), rng.normal(size=(1, 80, 1)).astype("f4")
    a, b = rng.random((1, 20)) + 0.02, rng.random((1, 80)) + 0.02
    a, b = a / a.sum(), b / b.sum()
    eps = 1e-4 * float(np.max((x[0].astype(float) - y[0].T.astype(float)) ** 2))
    _, _, figures = solve(x, y, a, b, eps, accuracy=1.76e-4)  # the least that float32 is tried for here
    told = dict(zip(FIGURES, figures[0], strict=True))
    assert told["error"] <= 1.76e-4 and told["sweeps"] < 10_000


def test_an_unfinished_unbalanced_plan_has_the_mass_that_its_potentials_ask_for(rng):
    x, y, a, b = problems(rng, 5)
    for rho in ((0.01, 0.01), (0.01, 0.1), (INF, 0.01), (0.01, INF)):
        for most in (1, 3, 10):
            f, g, figures = solve(x, y, a, b, 1e-4, rho=rho, most=most)
            for k in range(5):
                C = naive_entropic.cost_matrix(x[k], y[k])
                told = check_figures(C, a[k], b[k], f[k], g[k], figures[k], 1e-4, rho, 1e-7)
                assert naive_entropic.plan(C, a[k], b[k], f[k], g[k], 1e-4).sum() == pytest.approx(
                    told["mass"], rel=0.02
                )
