"""The free-support barycenter: closed forms, descent, determinism, and the words for bad input."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest

import otgen
from otgen.transport import barycenter as of_the_room
from tolerance import tol

barycenter = otgen.barycenter
module = sys.modules["otgen.transport.barycenter"]


def by_first(points):
    points = np.asarray(points, np.float64)
    return points[np.lexsort(points.T[::-1])]


def gaussians(n, d=2, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(n, d)) * scale + shift for scale, shift in ((1.0, 0.0), (2.0, 3.0), (0.5, -1.0))]


def test_it_is_the_function_in_the_room_and_in_the_api():
    assert of_the_room is barycenter is module.barycenter and callable(barycenter)
    assert otgen.Barycenter is module.Barycenter


@pytest.mark.parametrize("eps", [None, 0.1])
def test_between_two_diracs_it_divides_the_segment_by_the_shares(eps):
    x, y = np.array([[0.0, 1.0]]), np.array([[4.0, -1.0]])
    result = barycenter([x, y], shares=[0.25, 0.75], eps=eps)
    np.testing.assert_allclose(result.points, [[3.0, -0.5]], rtol=tol(float))
    assert result.value == pytest.approx(0.25 * 0.75 * 20.0, rel=tol(float))  # share (1 - share) |x - y|^2
    assert result.converged and result.message.startswith("converged") and result.weights.tolist() == [1.0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_of_translations_of_a_cloud_it_is_the_cloud_translated_by_the_mean(dtype):
    x = np.random.default_rng(1).normal(size=(40, 3)).astype(dtype)
    shifts, shares = np.array([[0, 0, 0], [3, 1, 0], [-1, 2, 5]], dtype), np.array([0.2, 0.3, 0.5])
    result = barycenter([x + shift for shift in shifts], shares=shares, size=40)
    mean = shares @ shifts
    np.testing.assert_allclose(by_first(result.points), by_first(x + mean), atol=5 * tol(dtype))
    expected = shares @ np.square(shifts - mean).sum(axis=1)
    assert result.value == pytest.approx(expected, rel=tol(dtype))
    assert result.points.dtype == dtype and result.n_iter <= 3


def test_on_the_line_it_is_the_mean_of_the_quantiles():
    rng = np.random.default_rng(2)
    clouds, shares = [rng.normal(size=(30, 1)) * s for s in (1, 2, 5)], np.array([0.5, 0.3, 0.2])
    result = barycenter(clouds, shares=shares)
    expected = sum(share * np.sort(cloud[:, 0]) for share, cloud in zip(shares, clouds))
    np.testing.assert_allclose(np.sort(result.points[:, 0]), expected, rtol=tol(float), atol=tol(float))


def test_on_the_line_with_weights_it_is_the_mean_of_the_quantile_cells():
    rng = np.random.default_rng(3)
    clouds, weights = [rng.normal(size=(n, 1)) for n in (7, 12)], [rng.random(n) for n in (7, 12)]
    weights = [w / w.sum() for w in weights]
    own = np.array([0.5, 0.2, 0.3])
    result = barycenter(clouds, weights, support=np.array([[0.0], [1.0], [2.0]]), support_weights=own, tol=1e-9)
    fine = (np.arange(200_000) + 0.5) / 200_000
    expected = np.zeros(3)
    for cloud, w in zip(clouds, weights):
        order = np.argsort(cloud[:, 0])
        quantiles = cloud[order, 0][np.searchsorted(np.cumsum(w[order]), fine).clip(max=len(w) - 1)]
        cells = np.searchsorted(np.cumsum(own), fine)
        expected += 0.5 * np.array([quantiles[cells == k].mean() for k in range(3)])
    np.testing.assert_allclose(result.points[:, 0], expected, atol=1e-4)  # the grid of `fine`
    np.testing.assert_array_equal(result.weights, own)


def test_of_gaussians_it_is_about_the_gaussian_of_the_mean_deviation():
    clouds = gaussians(400)
    result = barycenter(clouds)
    np.testing.assert_allclose(result.points.mean(axis=0), np.mean([c.mean(axis=0) for c in clouds], axis=0), atol=1e-9)
    np.testing.assert_allclose(np.cov(result.points.T), np.eye(2) * (3.5 / 3) ** 2, atol=0.25)


@pytest.mark.parametrize("eps", [None, 0.5])
def test_what_is_minimised_never_rises_and_is_that_of_the_transports(eps):
    rng = np.random.default_rng(4)
    clouds, weights = gaussians(60), [rng.random(60) for _ in range(3)]
    weights[1][::2] = 0
    weights = [w / w.sum() for w in weights]
    result = barycenter(clouds, weights, size=25, eps=eps, shares=[0.2, 0.2, 0.6])
    slack = 0.0 if eps is None else 1e-5  # of Sinkhorn's tol
    assert all(after <= before + (slack + 1e-12) * before for before, after in zip(result.history, result.history[1:]))
    assert result.history[-1] < 0.99 * result.history[0] and len(result.history) == result.n_iter
    assert result.converged and result.value == result.history[-1] and len(result.transports) == 3
    shares = [0.2, 0.2, 0.6]
    assert result.value == pytest.approx(sum(s * t.objective for s, t in zip(shares, result.transports)))
    moved = sum(s * t.map() for s, t in zip(shares, result.transports))
    spread = np.sqrt(np.square(np.concatenate(clouds) - np.concatenate(clouds).mean(axis=0)).sum(axis=1).mean())
    assert np.sqrt(np.square(moved - result.points).sum(axis=1).mean()) <= 2e-4 * spread
    direct = otgen.solve_sample(result.points, clouds[2], result.weights, weights[2], eps=eps)
    assert result.transports[2].value == pytest.approx(direct.value, rel=1e-9 if eps is None else 1e-4)


def test_a_small_eps_tends_to_the_exact_one_and_a_large_eps_to_the_mean_point():
    clouds = gaussians(20)
    start = np.random.default_rng(5).normal(size=(20, 2))
    exact = barycenter(clouds, support=start)
    close = barycenter(clouds, support=exact.points, eps=1e-3)
    np.testing.assert_allclose(close.points, exact.points, atol=0.05)
    mean = np.mean([cloud.mean(axis=0) for cloud in clouds], axis=0)
    far = barycenter(clouds, support=start, eps=1e4)
    np.testing.assert_allclose(far.points, np.broadcast_to(mean, (20, 2)), atol=0.01)


def test_of_one_cloud_it_is_the_cloud_and_of_fewer_points_its_quantisation():
    x = gaussians(30)[1]
    whole = barycenter([x])
    np.testing.assert_allclose(by_first(whole.points), by_first(x), atol=tol(float))
    assert whole.value == pytest.approx(0.0, abs=tol(float)) and whole.converged
    few = barycenter([x], size=5)
    np.testing.assert_allclose(few.points, few.transports[0].map(), atol=1e-3)  # each the mean of its own cell
    np.testing.assert_allclose(few.points.mean(axis=0), x.mean(axis=0), atol=1e-9)
    more = barycenter([x[:3]], size=7)
    assert more.points.shape == (7, 2) and more.converged and len(np.unique(more.points, axis=0)) > 3


def test_of_equal_clouds_it_is_the_cloud():
    x = gaussians(30)[0]
    result = barycenter([x, x.copy(), x[::-1].copy()], size=30)
    np.testing.assert_allclose(by_first(result.points), by_first(x), atol=tol(float))
    same = barycenter([np.ones((5, 2)), np.ones((3, 2))], size=4)
    np.testing.assert_allclose(same.points, np.ones((4, 2)), atol=tol(float))
    assert same.converged and same.value == pytest.approx(0.0, abs=tol(float))


def test_points_without_mass_take_no_part():
    x, y, _ = gaussians(20)
    a = np.full(20, 1 / 10)
    a[::2] = 0
    start, own = np.random.default_rng(6).normal(size=(12, 2)), np.full(12, 1 / 10)
    own[[0, 5]] = 0
    for eps in (None, 0.5):
        with_zeros = barycenter([x, y], [a, None], support=start, support_weights=own, eps=eps)
        without = barycenter([x[a > 0], y], support=start[own > 0], eps=eps)
        np.testing.assert_allclose(with_zeros.points[own > 0], without.points, atol=1e-3)
        assert with_zeros.value == pytest.approx(without.value, rel=1e-6)
        assert np.isfinite(with_zeros.points).all()
    far = x.copy()
    far[::2] += 1e3
    assert np.abs(barycenter([far], [a], size=10).points).max() < 10  # and are not drawn as a start


def test_a_mass_other_than_1_is_kept():
    x, y, _ = gaussians(15)
    result, one = barycenter([x, y], [np.full(15, 2.0)] * 2), barycenter([x, y])
    assert result.weights.sum() == pytest.approx(30.0)
    np.testing.assert_allclose(result.points, one.points, atol=1e-9)
    assert result.value == pytest.approx(30.0 * one.value)


def test_a_seed_repeats_and_another_starts_elsewhere():
    clouds = gaussians(40)

    def found(seed):
        return barycenter(clouds, size=10, seed=seed).points.tolist()

    assert found(0) == found(0) == found(np.random.default_rng(0)) != found(1)


def test_a_cloud_far_from_the_origin_comes_to_rest():
    clouds = [(c + 1e4).astype(np.float32) for c in gaussians(30)]
    result = barycenter(clouds)
    assert result.converged and result.points.dtype == np.float32 and 9_990 < result.points.min() < 10_010


@pytest.mark.parametrize("eps", [None, 0.5])
def test_torch_in_torch_out_without_gradients(eps):
    torch = pytest.importorskip("torch")
    clouds = [torch.tensor(c, dtype=torch.float32, requires_grad=True) for c in gaussians(20)]
    weights = [None, torch.full((20,), 1 / 20, requires_grad=True), None]
    result = barycenter(clouds, weights, size=8, eps=eps)
    assert result.points.dtype == torch.float32 and not result.points.requires_grad
    assert result.weights.dtype == torch.float64 and result.value.ndim == 0 and not result.value.requires_grad
    assert result.transports[0].map().dtype == torch.float32
    plain = barycenter([c.detach().numpy() for c in clouds], size=8, eps=eps)
    np.testing.assert_allclose(result.points, plain.points, atol=1e-3)
    assert "Barycenter of 3 clouds, 8 points" in repr(result)


def test_lists_and_integers_are_taken():
    result = barycenter([[[0], [2]], [[4], [6]]], size=2)
    np.testing.assert_allclose(np.sort(result.points[:, 0]), [2, 4])
    assert result.points.dtype == np.float64


def test_progress_tells_every_step():
    heard = []
    result = barycenter(gaussians(20), progress=heard.append, tol=1e-6)
    assert [info["iteration"] for info in heard] == list(range(1, result.n_iter + 1))
    assert [info["value"] for info in heard] == list(result.history) and heard[-1]["movement"] <= 1e-6
    assert set(heard[0]) == {"iteration", "value", "movement", "tol", "seconds"} and heard[0]["tol"] == 1e-6


def test_too_few_steps_warn_once_and_keep_what_they_have():
    clouds = gaussians(60)
    with pytest.warns(
        otgen.ConvergenceWarning, match="stopped where a step .* above tol=1e-08, after 2 steps"
    ) as heard:
        result = barycenter(clouds, size=20, tol=1e-8, max_iter=2, eps=0.5)
    assert len(heard) == 1 and heard[0].filename == __file__
    assert not result.converged and result.n_iter == 2 and "NOT converged: stopped" in repr(result)
    assert result.history[1] < result.history[0]


def test_a_transport_that_is_not_converged_is_told(monkeypatch):
    monkeypatch.setattr(module, "sinkhorn", stopped(module.sinkhorn, "stopped at 1e-2", after=0))
    with pytest.warns(otgen.ConvergenceWarning, match="the points rest, but a transport is not converged: stopped at"):
        assert not barycenter([np.zeros((1, 2))], eps=1.0).converged


def stopped(solve, message, *, after):
    calls = []

    def wrapped(*arguments, **options):
        calls.append(1)
        result = solve(*arguments, **options)
        return result if len(calls) <= after else dataclasses.replace(result, converged=False, message=message)

    return wrapped


@pytest.mark.parametrize("eps", [None, 0.5])
def test_an_interrupt_ends_with_the_last_complete_step(monkeypatch, eps):
    clouds, name = gaussians(30), "solve_sample" if eps is None else "sinkhorn"
    with pytest.warns(otgen.ConvergenceWarning, match="stopped"):
        expected = barycenter(clouds, eps=eps, max_iter=1)
    solve = getattr(module, name)
    monkeypatch.setattr(module, name, stopped(solve, "interrupted at marginal error 1e-3", after=4))
    with pytest.warns(otgen.ConvergenceWarning, match="^interrupted after 1 steps"):
        result = barycenter(clouds, eps=eps)
    assert not result.converged and result.n_iter == 1
    np.testing.assert_array_equal(result.points, expected.points)
    monkeypatch.setattr(module, name, stopped(solve, "interrupted", after=1))
    with pytest.raises(KeyboardInterrupt):
        barycenter(clouds, eps=eps)


X = np.zeros((3, 2))


@pytest.mark.parametrize(
    ("clouds", "options", "error", "match"),
    [
        (X, {}, TypeError, "clouds must be a list of arrays .*; got ndarray. Pass"),
        ([], {}, TypeError, "clouds must be a list of arrays .*; got an empty one"),
        ([X, np.zeros(3)], {}, ValueError, r"clouds\[1\] must have shape \(n, d\), one point a row; got shape \(3,\)"),
        ([X, np.zeros((3, 1))], {}, ValueError, r"clouds\[1\] must have points of the dimension of clouds\[0\]; got"),
        ([X, np.full((1, 2), np.nan)], {}, ValueError, r"clouds\[1\] must be finite; clouds\[1\]\[0, 0\] is nan"),
        ([X], {"weights": np.ones(3)}, ValueError, "weights must be None or a list of 1.*; got ndarray"),
        ([X, X], {"weights": [None]}, ValueError, "weights must be None or a list of 2.*; got 1 of them"),
        ([X], {"weights": [np.ones(2)]}, ValueError, r"weights\[0\] must have shape \(3,\)"),
        ([X], {"weights": [[1.0, -1.0, 1.0]]}, ValueError, r"weights\[0\] must not be negative"),
        ([X, X], {"weights": [None, np.ones(3)]}, ValueError, r"weights\[1\] must sum to the mass of weights\[0\]"),
        ([X, X], {"shares": [1.0]}, ValueError, r"shares must be 2 positive numbers.*; got \[1.0\]"),
        ([X, X], {"shares": [1.0, 0.0]}, ValueError, "shares must be 2 positive numbers.*Leave out clouds"),
        ([X, X], {"shares": [1.0, 1.0]}, ValueError, "shares must sum to 1; they sum to 2.0. Divide"),
        ([X], {"size": 0}, ValueError, "size must be None or an int >= 1, the number of points; got 0"),
        ([X], {"size": 2, "support": X}, ValueError, r"size must be the length of support \(3\) .*; got 2"),
        ([X], {"size": 2, "support_weights": np.ones(3) / 3}, ValueError, r"size must be the length of support_w"),
        ([X], {"support": np.zeros((3, 1))}, ValueError, r"support must have points of the dimension of clouds\[0\]"),
        ([X], {"support": X, "support_weights": np.ones(2)}, ValueError, r"support_weights must have shape \(3,\)"),
        ([X], {"support_weights": np.ones(3)}, ValueError, r"support_weights must sum to the mass of weights\[0\]"),
        ([X], {"support_weights": 1.0}, ValueError, r"support_weights must have shape \(n,\)"),
        ([X], {"eps": 0.0}, ValueError, "eps must be a positive finite number"),
        ([X], {"tol": 0.0}, ValueError, "tol must be a positive finite number, relative to the spread .*; got 0.0"),
        ([X], {"max_iter": 0}, ValueError, "max_iter must be None .* or an int >= 1; got 0"),
        ([X], {"seed": -1}, ValueError, "seed must be an int >= 0 or a numpy Generator; got -1"),
        ([X], {"progress": 1}, TypeError, "progress must be None or a function of one dict; got int"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(clouds, options, error, match):
    with pytest.raises(error, match=match):
        barycenter(clouds, **options)


def test_libraries_do_not_mix():
    torch = pytest.importorskip("torch")
    with pytest.raises(
        TypeError, match=r"arrays must come from one library; clouds\[0\] is numpy, clouds\[1\] is torch"
    ):
        barycenter([X, torch.zeros(3, 2)])
    with pytest.raises(TypeError, match=r"clouds\[0\] is numpy, .*weights\[0\] is torch"):
        barycenter([X], [torch.ones(3)])
