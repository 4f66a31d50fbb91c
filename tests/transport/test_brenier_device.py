"""Monte Carlo fits whose samples, cells and steps stay on the GPU: they converge, resume exactly, step as the host."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from otgen.devices import fetch
from otgen.transport import brenier
from otgen.transport.brenier_run import Problem
from otgen.transport.cell_error import estimate_chi2
from otgen.transport.sources import Ball, Box, Framed, Image, Normal, Polytope, Sampler, placed
from otgen_kernels import Cells, Lists, random_stream
from otgen_kernels.cpu.cells_soft import Lists as HostLists

SOURCES: dict[str, Any] = {
    "box": Box(np.array([-1.0, 2.0]), np.array([0.5, 2.25])),
    "image": Image(np.array([0.0, -1.0]), np.array([4.0, 1.0]), np.array([[0.0, 1.0, 0.0, 2.0], [5.0, 0.0, 3.0, 0.0]])),
    "triangle": Polytope(np.array([[0.0, 0.0], [3.0, 0.0], [4.0, 1.0]])),
    "ball": Ball(np.array([1.0, -1.0, 0.0]), 2.0),
    "normal": Normal(np.array([1.0, -3.0]), np.array([[2.0, 0.7], [0.7, 0.5]])),
}
SOURCES["framed image"] = Framed(SOURCES["image"], np.array([2.0, 0.0]), 3)


def unit(d) -> Any:
    return Box(np.zeros(d), np.ones(d))


def fit(cupy, y, source, **more):
    nu = np.full(len(y), 1.0 / len(y))
    return brenier.fit_monte_carlo(cupy.asarray(y), cupy.asarray(nu), source, **{"max_time": 60.0, **more})


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_is_sampled_on_the_device_by_the_same_law(cupy, name) -> None:
    source = SOURCES[name]
    there = placed(source, cupy.zeros(1))
    x = there.sample(20_000, random_stream(0, cupy.zeros(1)))
    assert isinstance(x, cupy.ndarray) and isinstance(there.mean, cupy.ndarray) and x.dtype == np.float64
    assert isinstance(source.mean, np.ndarray) and not isinstance(source.mean, cupy.ndarray)
    np.testing.assert_allclose(fetch(there.mean), source.mean, rtol=1e-14)
    x, own = fetch(x), source.sample(20_000, np.random.default_rng(0))
    error = own.std(0) / np.sqrt(20_000)
    assert (np.abs(x.mean(0) - source.mean) < 4.5 * error).all()
    np.testing.assert_allclose(np.cov(x.T), np.cov(own.T), atol=0.05 * own.var(0).max())
    if source.uniforms is not None and name not in ("ball", "normal"):
        u = np.random.default_rng(1).random((50, source.uniforms))
        np.testing.assert_allclose(fetch(there.from_uniform(cupy.asarray(u))), source.from_uniform(u), rtol=1e-14)


@pytest.mark.parametrize(("d", "optimizer", "tol"), [(2, None, 0.2), (10, None, 0.2), (3, "adam", 0.8)])
def test_a_fit_on_the_device_converges_there(cupy, rng, monkeypatch, d, optimizer, tol) -> None:
    monkeypatch.setattr("otgen.transport.brenier_adam.FIRST", 500)
    y = rng.random((40, d))
    run = fit(cupy, y, unit(d), tol=tol, seed=0, optimizer=optimizer)
    assert run.converged, run.message
    assert isinstance(run.h, cupy.ndarray) and run.h.dtype == np.float64
    h, nu, x = fetch(run.h), np.full(40, 1 / 40), np.random.default_rng(99).random((100_000, d))
    assert abs(h.mean()) <= 1e-12 * np.abs(h).max() and run.chi2.high <= tol
    own = estimate_chi2(Cells(y, np.full(d, 0.5)).counts(x, h), nu)
    assert own.value <= tol + 3 * (own.high - own.value)
    assert {"iteration", "samples", "seconds", "chi2", "low", "high"} <= set(run.history[-1])


@pytest.mark.parametrize("optimizer", [None, "adam"])
def test_a_fit_resumed_on_the_device_equals_one_that_was_not_interrupted(cupy, rng, monkeypatch, optimizer) -> None:
    monkeypatch.setattr("otgen.transport.brenier_run.EVERY", 0.0)
    monkeypatch.setattr("otgen.transport.brenier_run.DEVICE_PAIRS", 1)  # chunks of 1024 samples
    monkeypatch.setattr("otgen.transport.brenier_adam.FIRST", 300)
    y, states = rng.normal(size=(30, 4)), []
    problem = {"tol": 0.05 if optimizer is None else 1.0, "seed": 3, "optimizer": optimizer}

    def keep(state):
        arrays = {key: v for key, v in state.items() if isinstance(v, np.ndarray)}
        assert not any(isinstance(v, cupy.ndarray) for v in arrays.values())  # checkpoints are for files
        states.append((json.dumps({key: v for key, v in state.items() if key not in arrays}), arrays))

    whole = fit(cupy, y, unit(4), checkpoint=keep, **problem)
    assert whole.converged and len(states) >= 3
    for text, arrays in (states[0], states[len(states) // 2], states[-1]):
        resumed = fit(cupy, y, unit(4), state={**json.loads(text), **arrays}, **problem)
        np.testing.assert_array_equal(fetch(resumed.h), fetch(whole.h))
        assert resumed.chi2 == whole.chi2 and resumed.samples == whole.samples
    with pytest.raises(ValueError, match="samples came from Philox4x32-10; they came from PCG64. A run on a GPU"):
        host = np.random.default_rng(0).bit_generator.state
        fit(cupy, y, unit(4), state={**json.loads(states[0][0]), **states[0][1], "rng": host}, **problem)


@pytest.fixture
def waits(cupy, monkeypatch) -> list[str]:
    """What the host asked of arrays of the emulated device since: each would wait for a real one."""
    if cupy.__version__ != "emulated":
        pytest.skip("the methods of a real array cannot be watched")
    asked: list[str] = []

    def watch(holder, name, original):
        def watched(*arguments):
            asked.append(name)
            return original(*arguments)

        monkeypatch.setattr(holder, name, watched, raising=False)

    for name in ("__float__", "__int__", "__bool__", "__index__", "item", "tolist"):
        watch(cupy.ndarray, name, getattr(np.ndarray, name))
    watch(cupy.ndarray, "get", cupy.ndarray.get)
    watch(cupy, "asnumpy", cupy.asnumpy)
    return asked


def test_adam_waits_for_the_device_after_every_tenth_step_only(cupy, rng, waits, monkeypatch) -> None:
    monkeypatch.setattr("otgen.transport.brenier_adam.FIRST", 200)
    y, nu = cupy.asarray(rng.normal(size=(30, 3))), cupy.full(30, 1 / 30)
    fit = brenier.AdamFit(Problem(y, nu, unit(3), 1e-3, 0), None)
    fit.phase, fit.rate = "step", 0.01
    waited = []
    for _ in range(31):
        waits.clear()
        assert not fit.step()
        waited.append(len(waits))
    assert [k for k, count in enumerate(waited) if count] == [0, 10, 20, 30] and max(waited) <= 4  # two fetches
    assert [row["iteration"] for row in fit.history] == [1, 11, 21, 31]


def test_steps_of_adam_are_those_of_the_host_on_the_same_samples(cupy, rng, monkeypatch) -> None:
    # The source is a function: both fits draw the same samples on the host.
    y, nu = rng.normal(size=(25, 10)), np.full(25, 1 / 25)
    source: Any = Sampler(lambda n, rng: rng.random((n, 10)), 10, 0)
    monkeypatch.setattr("otgen.transport.brenier_adam.FIRST", 300)
    heights = []
    for place in (np.asarray, cupy.asarray):
        fit = brenier.AdamFit(Problem(place(y), place(nu), source, 1e-3, 0), None)
        fit.phase, fit.rate = "step", 0.01
        for _ in range(11):
            assert not fit.step()
        heights.append(fetch(fit.h))
    np.testing.assert_allclose(*heights, rtol=1e-9, atol=1e-11)


def test_smoothed_masses_and_their_laplacian_are_those_of_the_host(cupy, rng) -> None:
    score, n = rng.normal(size=(700, 6)).astype(np.float32), 50
    index = np.array([rng.choice(40, 6, replace=False) for _ in range(700)], np.int32)  # ten sites are nowhere
    h, v, eps = rng.normal(size=n), rng.normal(size=n), 0.3
    ours = Lists(cupy.asarray(score), cupy.asarray(index), n)
    theirs = HostLists(score.copy(), index, n)
    for mine, other in zip(ours.soften(cupy.asarray(h), eps), theirs.soften(h, eps)):
        np.testing.assert_allclose(fetch(mine), other, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fetch(ours.weights), theirs.weights, atol=1e-6)
    np.testing.assert_allclose(
        fetch(ours.laplacian(cupy.asarray(v), eps)), theirs.laplacian(v, eps), rtol=1e-4, atol=1e-4
    )
    assert not fetch(ours.laplacian(cupy.full(n, 3.0), eps)).any()
    assert not fetch(ours.soften(cupy.asarray(h), eps)[0])[40:].any()


def test_one_target(cupy) -> None:
    run = fit(cupy, np.ones((1, 3)), unit(3), tol=0.1, seed=0)
    assert run.converged and isinstance(run.h, cupy.ndarray) and run.h.tolist() == [0.0]
