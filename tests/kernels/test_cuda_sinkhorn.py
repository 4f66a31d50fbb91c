"""Sinkhorn's iteration on the device against the host's, sweep by sweep."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import otgen_kernels as kernels
from otgen.transport import device_iteration
from otgen.transport.iteration import MEMORY, Potentials, Sweeps, iterate, iterate_symmetric
from otgen.transport.regularisation import Regularisation
from otgen_kernels.cuda import sinkhorn, source

INF = np.inf


class Run:
    """A problem on the host and on the device, and what each sweep of either reported."""

    def __init__(self, cupy: Any, n: int, m: int, d: int, *, eps: float, rho: tuple[float, float], same: bool) -> None:
        rng = np.random.default_rng(n + 10 * m)
        x, a = rng.normal(size=(n, d)), rng.uniform(0.2, 1.0, n)
        y, b = (x, a) if same else (rng.normal(size=(m, d)) + 0.5, rng.uniform(0.2, 1.0, m))
        if rho == (INF, INF):
            a, b = a / a.sum(), b / b.sum()
        self.same, self.by, self.host = same, Regularisation(eps, *rho), (x, y, a, b)
        self.device = [cupy.asarray(v) for v in self.host]

    def __call__(self, on_device: bool, *, tol: float = 1e-12, most: int = 9, single: bool = False) -> tuple[Any, list]:
        x, y, a, b = self.device if on_device else self.host
        soft = kernels.SoftPairs(x, y, metric="euclidean", p=2.0)
        heard: list[tuple[int, float, float]] = []

        def report(sweep: int, found: Potentials) -> None:
            heard.append((sweep, found.error, found.value))

        start, sweeps = Potentials(np.zeros_like(a), np.zeros_like(b)), Sweeps(tol, most, single, report)
        if on_device:
            found = device_iteration.iterate(soft, a, b, self.by, start, sweeps, symmetric=self.same)
        elif self.same:
            found = iterate_symmetric(soft, a, self.by, start, sweeps)
        else:
            found = iterate(soft, a, b, self.by, start, sweeps)
        return found, heard


def compare(cupy: Any, run: Run, *, far: float = 1e-7, **options: Any) -> list:
    (wanted, told), (found, heard) = run(False, **options), run(True, **options)
    assert [row[0] for row in heard] == [row[0] for row in told]
    np.testing.assert_allclose(heard, told, rtol=far, atol=1e-12)
    for one, other in ((found.f, wanted.f), (found.g, wanted.g)):
        np.testing.assert_allclose(cupy.asnumpy(one), other, rtol=far, atol=far)
    assert found.error == pytest.approx(wanted.error, rel=far, abs=1e-12)
    return heard


@pytest.mark.parametrize("rho", [(INF, INF), (0.7, 0.7), (0.5, INF), (INF, 2.0), (1e6, 1e6)])
@pytest.mark.parametrize("same", [False, True])
def test_every_sweep_is_that_of_the_host(cupy, rho, same):
    if same and rho[0] != rho[1]:
        rho = rho[0], rho[0]
    heard = compare(cupy, Run(cupy, 70, 70 if same else 40, 2, eps=0.1, rho=rho, same=same))
    assert len(heard) > 3


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 5), (5, 1), (2, 2), (700, 30), (3, 600)])
@pytest.mark.parametrize("rho", [(INF, INF), (0.7, 1.5)])
def test_any_sizes(cupy, n, m, rho):
    compare(cupy, Run(cupy, n, m, 3, eps=0.5, rho=rho, same=False), most=5)


@pytest.mark.parametrize(("eps", "tol", "same"), [(0.003, 1e-9, False), (0.003, 1e-9, True), (0.1, 1e-6, False)])
def test_a_whole_run_ends_where_the_hosts_does(cupy, eps, tol, same):
    """Long runs part in their roundings, and come to the same end by about as many sweeps."""
    run = Run(cupy, 30, 30, 2, eps=eps, rho=(0.8, 0.8), same=same)
    (wanted, told), (found, heard) = (run(on_device, tol=tol, most=400) for on_device in (False, True))
    assert found.error <= tol and wanted.error <= tol
    assert len(heard) <= 2 * len(told) + 3
    np.testing.assert_allclose(cupy.asnumpy(found.f), wanted.f, atol=1e3 * tol)
    np.testing.assert_allclose(cupy.asnumpy(found.g), wanted.g, atol=1e3 * tol)


def test_points_that_lower_the_dual_are_rejected_on_both(cupy):
    """Where acceleration goes too far: the sweep is not reported, and the plain point is gone on from."""
    for seed_n in range(20, 60):
        run = Run(cupy, seed_n, 30, 2, eps=0.004, rho=(INF, INF), same=False)
        told = run(False, most=30)[1]
        skipped = sorted(set(range(1, told[-1][0])) - {row[0] for row in told})
        if skipped and skipped[0] <= 12:
            compare(cupy, run, far=1e-4, most=skipped[0] + 2)
            return
    raise AssertionError("no problem of these rejects a point: the test tests nothing")


@pytest.mark.parametrize("same", [False, True])
def test_more_entries_than_threads(cupy, monkeypatch, same):
    monkeypatch.setattr(sinkhorn, "THREADS", 32)
    monkeypatch.setattr(sinkhorn, "MOST_PARTS", 3)
    compare(cupy, Run(cupy, 250, 250 if same else 120, 2, eps=0.2, rho=(0.7, 0.7), same=same))


def test_dependent_pairs_make_the_oldest_go(cupy):
    """Between two points and two the residuals lie on a line: from the second pair on, each is explained in full."""
    heard = compare(cupy, Run(cupy, 2, 2, 1, eps=0.05, rho=(3.0, 3.0), same=False), most=12, far=1e-6)
    assert len(heard) >= 4


def test_a_stalled_run_ends(cupy):
    """float32 at an error that it cannot reach: neither goes on for ever."""
    run = Run(cupy, 60, 50, 2, eps=0.05, rho=(INF, INF), same=False)
    found, heard = run(True, tol=1e-30, most=2000, single=True)
    assert len(heard) < 1000 and found.error < 1e-3


def test_what_is_started_after_the_end_changes_nothing(cupy):
    """A sweep is started before the last one is known: the answer is the same as if it were not."""
    run = Run(cupy, 50, 40, 2, eps=0.3, rho=(INF, INF), same=False)
    answers = []
    for small in (2**30, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(device_iteration, "SMALL", small)
            answers.append(run(True, tol=1e-6, most=100))
    (one, heard), (other, told) = answers
    assert heard == told and one.error <= 1e-6
    assert (cupy.asnumpy(one.f) == cupy.asnumpy(other.f)).all() and (cupy.asnumpy(one.g) == cupy.asnumpy(other.g)).all()


def test_an_interrupt_between_sweeps_leaves_potentials(cupy):
    x, y, a, b = Run(cupy, 50, 40, 2, eps=0.01, rho=(INF, INF), same=False).device
    soft, kept = kernels.SoftPairs(x, y, metric="euclidean", p=2.0), []

    def report(sweep: int, found: Potentials) -> None:
        kept.append(found)
        if sweep == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        device_iteration.iterate(
            soft, a, b, Regularisation(0.01), Potentials(np.zeros_like(a), np.zeros_like(b)),
            Sweeps(1e-9, 50, False, report), symmetric=False,
        )  # fmt: skip
    assert np.isfinite(cupy.asnumpy(kept[-1].f)).all() and np.isfinite(cupy.asnumpy(kept[-1].g)).all()


def test_numbers_that_stand_in_two_places_are_the_same():
    text = source.text("sinkhorn")
    fields = re.search(r"struct State \{(.*?)\};", text, re.DOTALL)
    assert fields and tuple(re.findall(r"double (\w+);", fields[1])) == sinkhorn.State._fields
    numbers = {
        name: float(value) for name, value in re.findall(r"#define (\w+) +([\d.]+) *(?://.*)?$", text, re.MULTILINE)
    }
    assert numbers["MEMORY"] == sinkhorn.MEMORY == MEMORY
    assert numbers["CONVERGED"] == sinkhorn.CONVERGED
    assert numbers["SUMS"] + 8 == sinkhorn.SUMS
