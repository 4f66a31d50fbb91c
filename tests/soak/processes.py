"""Thread counts that change between calls, and children forked after use."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import otgen

from .draws import Rng, pick
from .oracles import expect

PATIENCE = 60.0  # seconds until a child counts as hung


def problem(rng: Rng) -> tuple[str, Callable[[], bytes]]:
    """A call that is large enough for threads, as the bytes of what it gives."""
    x, y = rng.normal(size=(1300, 3)), rng.normal(size=(1200, 3)) + 0.3
    wide = rng.normal(size=(1100, 64)), rng.normal(size=(1100, 64))
    calls: tuple[tuple[str, Callable[[], Any]], ...] = (
        ("wasserstein", lambda: otgen.wasserstein(x, y)),
        ("wasserstein, d = 64", lambda: otgen.wasserstein(*wide, p=2)),
        ("sinkhorn", lambda: np.concatenate(otgen.sinkhorn(x, y, eps=0.5, max_iter=50).potentials)),
        ("energy", lambda: otgen.energy_distance_squared(x, y)),
        ("mmd, d = 64", lambda: otgen.mmd_squared(*wide)),
        ("sliced", lambda: otgen.sliced_wasserstein(x, y).value),
        ("newton", lambda: otgen.SemiDiscreteOT().fit(rng_free(x)).heights_),
    )
    name, call = pick(rng, calls)
    return name, lambda: np.asarray(call(), np.float64).tobytes()


def rng_free(x: Any) -> Any:
    """Targets in the unit square."""
    return 1 / (1 + np.exp(-x[:800, :2]))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """OTGEN_NUM_THREADS within."""
    before = os.environ.get("OTGEN_NUM_THREADS")
    os.environ["OTGEN_NUM_THREADS"] = str(count)
    try:
        yield
    finally:
        if before is None:
            del os.environ["OTGEN_NUM_THREADS"]
        else:
            os.environ["OTGEN_NUM_THREADS"] = before


def thread_counts(rng: Rng) -> None:
    """The same bits on 1, 2, 3 and 5 threads, in any order."""
    name, call = problem(rng)
    found = {}
    for count in rng.permutation([1, 2, 3, 5])[:3]:
        with threads(int(count)):
            found[int(count)] = call()
    expect(len(set(found.values())) == 1, f"{name} differs by the number of threads: {_shown(found)}")


def _shown(found: dict[int, bytes]) -> dict[int, Any]:
    return {count: np.frombuffer(value)[:3].tolist() for count, value in found.items()}


def forks(rng: Rng) -> None:
    """A child forked after a call gives the same bits, and so does the parent after it."""
    name, call = problem(rng)
    with threads(2):
        before = call()
        child = forked(call)
        expect(child == before, f"{name} in a forked child: {'it died or hung' if child is None else 'another value'}")
        expect(call() == before, f"{name} in the parent after a fork: another value")


def forked(call: Callable[[], bytes], patience: float = PATIENCE) -> bytes | None:
    """What a call gives in a forked child; None where the child fails or hangs."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(reader)
            with os.fdopen(writer, "wb") as out:
                out.write(call())
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    said = b""
    with os.fdopen(reader, "rb", buffering=0) as stream:
        while select.select([stream], [], [], patience)[0]:
            part = stream.read(65536)
            if not part:
                break
            said += part
        else:
            os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    return said if status == 0 else None


KINDS = {"threads": (thread_counts, 2), "fork": (forks, 2)}
