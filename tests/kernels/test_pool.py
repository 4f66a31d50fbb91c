"""The thread pool: every tile once, on any thread count, through forks, errors and interrupts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import numpy as np
import pytest
from threadpoolctl import threadpool_info

import otgen_kernels
from otgen_kernels.cpu import pool


@pytest.mark.parametrize("threads", ["1", "2", "5"])
@pytest.mark.parametrize("tiles", [0, 1, 2, 97])
def test_every_tile_runs_once(threads, tiles, monkeypatch):
    monkeypatch.setenv("OTGEN_NUM_THREADS", threads)
    seen = []
    pool.run(seen.append, tiles)
    assert sorted(seen) == list(range(tiles))


@pytest.mark.parametrize("value", ["0", "-2", "two", "1.5"])
def test_a_bad_thread_count_is_named(value, monkeypatch):
    monkeypatch.setenv("OTGEN_NUM_THREADS", value)
    with pytest.raises(ValueError, match=r"OTGEN_NUM_THREADS must be a positive integer; got .* Unset it"):
        pool.num_threads()


def test_thread_count_is_what_the_process_may_use(monkeypatch):
    monkeypatch.delenv("OTGEN_NUM_THREADS", raising=False)
    assert pool.num_threads() == (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())


def test_an_error_in_a_tile_reaches_the_caller_and_stops_the_rest(monkeypatch):
    monkeypatch.setenv("OTGEN_NUM_THREADS", "3")
    seen = []

    def work(tile):
        seen.append(tile)
        if tile == 4:
            raise RuntimeError("tile 4")
        time.sleep(0.001)

    with pytest.raises(RuntimeError, match="tile 4"):
        pool.run(work, 10_000)
    assert len(seen) < 100


@pytest.mark.skipif(not hasattr(signal, "raise_signal") or os.name == "nt", reason="needs POSIX signals")
def test_ctrl_c_stops_between_tiles(monkeypatch):
    monkeypatch.setenv("OTGEN_NUM_THREADS", "2")
    done = []

    def work(tile):
        done.append(tile)
        if tile == 5:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.002)

    # a shell's background job starts with SIGINT ignored, and Python then installs no handler of its own
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            pool.run(work, 10_000)
    finally:
        signal.signal(signal.SIGINT, before)
    after = len(done)
    assert after < 100
    time.sleep(0.02)
    assert len(done) == after, "no thread goes on after the interrupt has reached the caller"
    pool.run(done.append, 3)
    assert len(done) == after + 3


def test_callers_on_several_threads_share_the_pool(rng, monkeypatch):
    monkeypatch.setenv("OTGEN_NUM_THREADS", "3")
    x, y = rng.normal(size=(3000, 2)), rng.normal(size=(2000, 2))
    expected = otgen_kernels.c_transform(x, y, None, metric="euclidean", p=1)[0]
    results: list[np.ndarray] = []
    call = lambda: results.append(otgen_kernels.c_transform(x, y, None, metric="euclidean", p=1)[0])  # noqa: E731
    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(results) == 4
    for result in results:
        np.testing.assert_array_equal(result, expected)


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_a_limit_of_blas_that_threads_share_ends_with_the_last_of_them():
    before, entered, leave, found = blas_threads(), threading.Event(), threading.Event(), []

    def other():
        with pool.blas_single_thread():
            entered.set()
            leave.wait()
            found.append(blas_threads())

    thread = threading.Thread(target=other)
    with pool.blas_single_thread():
        thread.start()
        entered.wait()
    leave.set()
    thread.join()
    assert found == [[1] * len(before)] and blas_threads() == before


def test_a_tile_may_call_it_again(monkeypatch):
    monkeypatch.setenv("OTGEN_NUM_THREADS", "2")
    done = []
    pool.run(lambda tile: pool.run(lambda inner: done.append((tile, inner)), 3), 50)
    assert sorted(done) == [(tile, inner) for tile in range(50) for inner in range(3)]


def test_a_number_of_threads_may_be_asked_for(monkeypatch):
    monkeypatch.setenv("OTGEN_NUM_THREADS", "3")
    seen = {1: set(), 2: set()}

    def work(tile: int, threads: int) -> None:
        seen[threads].add(threading.get_ident())
        time.sleep(0.001)

    for threads in seen:
        pool.run(partial(work, threads=threads), 40, threads=threads)
        assert 1 <= len(seen[threads]) <= threads


FORKED = """
import os, numpy as np, otgen_kernels
rng = np.random.default_rng(0)
for d in (2, 16):
    x, y = rng.normal(size=(2000, d)), rng.normal(size=(1500, d))
    expected = otgen_kernels.c_transform(x, y, None, metric="euclidean", p=1)[0]
    child = os.fork()
    if child == 0:
        same = (otgen_kernels.c_transform(x, y, None, metric="euclidean", p=1)[0] == expected).all()
        os._exit(0 if same else 3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (otgen_kernels.c_transform(x, y, None, metric="euclidean", p=1)[0] == expected).all()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kernels_survive_a_fork():
    # In a process of its own: pytest's may hold threads of other libraries, which no fork survives.
    environment = os.environ | {"OTGEN_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", FORKED], env=environment, timeout=50, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
