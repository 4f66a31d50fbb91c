"""Ctrl-C while a call is at work: a result that says so or KeyboardInterrupt, and the process as usable as before."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from typing import Any

import numpy as np

import otgen

from .draws import Rng, pick
from .oracles import expect, near

LONGEST = 0.4  # seconds after which the signal comes, at most


def interrupted(rng: Rng) -> None:
    """SIGINT at a random moment of a call that takes about as long."""
    x, y = rng.normal(size=(1500, 2)), rng.normal(size=(1400, 2)) + 0.5
    batch = [rng.normal(size=(120, 2)) for _ in range(12)]
    name, call = pick(rng, (
        ("solve_sample", lambda: otgen.solve_sample(x, y, cost="euclidean")),
        ("wasserstein", lambda: otgen.wasserstein(x, y)),
        ("sinkhorn", lambda: otgen.sinkhorn(x, y, eps=0.01)),
        ("sinkhorn_divergence", lambda: otgen.sinkhorn_divergence(x, y, eps=0.02)),
        ("couple", lambda: otgen.couple(x, y)),
        ("pairwise", lambda: otgen.pairwise(batch)),
        ("barycenter", lambda: otgen.barycenter(batch[:3], max_iter=60)),
        ("two_sample_test", lambda: otgen.two_sample_test(x, y, n_permutations=500)),
        ("sliced_wasserstein", lambda: otgen.sliced_wasserstein(x, y, n_projections=2000)),
        ("max_sliced_wasserstein", lambda: otgen.max_sliced_wasserstein(x, y)),
        ("newton", lambda: otgen.SemiDiscreteOT().fit(rng.random((1500, 2)))),
        ("monte carlo", lambda: otgen.SemiDiscreteOT(method="monte_carlo", tol=0.001).fit(rng.random((400, 2)))),
    ))  # fmt: skip
    found, error = under_signal(call, float(rng.uniform(0.0, LONGEST)))
    if error is not None:
        expect(isinstance(error, KeyboardInterrupt | otgen.ConvergenceError), f"{name}: {error!r}")
    held(name, found if error is None else getattr(error, "result", None), x, y)
    small = np.arange(8.0)[:, None] * [1.0, 0.0]
    near(otgen.wasserstein(small, small + [0.0, 2.0]), 2.0, 1e-9, f"a solve after {name} was interrupted")
    threads = [thread for thread in threading.enumerate() if "otgen" in thread.name and not thread.daemon]
    expect(len(threads) <= 4 * (os.cpu_count() or 1), f"{len(threads)} threads are left after {name}")


def under_signal(call: Any, seconds: float) -> tuple[Any, BaseException | None]:
    """What a call gives, or raises, where SIGINT comes after so many seconds; it may come just after the call."""
    found = error = None
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", otgen.ConvergenceWarning)
                found = call()
        except (Exception, KeyboardInterrupt) as caught:
            error = caught
        timer.cancel()
        timer.join()
        for _ in range(100):
            pass  # a signal that is due is raised between two instructions
    except KeyboardInterrupt as caught:
        error = error or (caught if found is None else None)
    return found, error


def held(name: str, found: Any, x: Any, y: Any) -> None:
    """What an interrupted call hands back is true: bounds hold, and it does not claim to be proven."""
    if isinstance(found, otgen.Transport):
        expect(found.lower_bound <= found.upper_bound * (1 + 1e-12) and found.gap >= 0, f"{name}: the bounds cross")
        expect(found.converged or "interrupt" in found.message, f"{name}: {found.message}")
        if found.eps is None:
            near(found.plan.sum(), 1.0, 1e-9, f"the mass of the interrupted plan of {name}")
    elif isinstance(found, otgen.SemiDiscreteOT):
        expect(found.converged_ or "interrupt" in found.message_, f"{name}: {found.message_}")
        expect(np.isfinite(found.heights_).all(), f"{name}: heights are not finite")


KINDS = {"interrupt": (interrupted, 4)}
