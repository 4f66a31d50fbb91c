"""The one thread pool: runs a function over fixed tiles, in any order, on as many threads as the process may use."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache

from threadpoolctl import ThreadpoolController

_executor: ThreadPoolExecutor | None = None
_executor_size = 0
_lock = threading.Lock()


def num_threads() -> int:
    """Return OTGEN_NUM_THREADS if it is set, else the number of CPUs this process may run on."""
    asked = os.environ.get("OTGEN_NUM_THREADS", "")
    if not asked:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not asked.isdecimal() or int(asked) < 1:
        raise ValueError(f"OTGEN_NUM_THREADS must be a positive integer; got {asked!r}. Unset it to use every CPU.")
    return int(asked)


def run(work: Callable[[int], None], tiles: int, *, serial: bool = False, threads: int | None = None) -> None:
    """Call work(0) ... work(tiles - 1), each once; work must release the GIL to gain from threads (num_threads()).

    The caller's thread works too, so an interrupt is raised there between two tiles; the others then stop at
    their next tile before it reaches the caller.
    """
    helpers = 0 if serial else min(threads or num_threads(), tiles) - 1
    if helpers <= 0:
        for tile in range(tiles):
            work(tile)
        return
    take = itertools.count()  # next() on it is atomic under the GIL, and costs less than a lock
    stop = threading.Event()

    def drain() -> None:
        try:
            while not stop.is_set() and (tile := next(take)) < tiles:
                work(tile)
        except BaseException:
            stop.set()
            raise

    futures = [_get_executor(helpers).submit(drain) for _ in range(helpers)]
    try:
        drain()
    finally:
        # Not on cancelled ones: within a call of `run` the thread that would fetch them may be this one.
        running = [future for future in futures if not future.cancel()]
        wait(running)
    for future in running:
        future.result()


def blas_single_thread():
    """Return a context in which BLAS stays on the thread that calls it, for GEMMs inside `run`."""
    return _controller().limit(limits=1, user_api="blas")


@cache
def _controller() -> ThreadpoolController:
    # It scans every loaded library, so it is made once, not once a call.
    return ThreadpoolController()


def _get_executor(helpers: int) -> ThreadPoolExecutor:
    global _executor, _executor_size
    with _lock:
        if _executor is None or _executor_size < helpers:
            # A smaller executor may still serve another caller: it is left to finish and be collected.
            _executor = ThreadPoolExecutor(helpers, thread_name_prefix="otgen")
            _executor_size = helpers
        return _executor


def _forget() -> None:
    # Threads do not survive a fork: the child starts its own pool at its first call.
    global _executor, _executor_size, _lock
    _executor, _executor_size, _lock = None, 0, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
