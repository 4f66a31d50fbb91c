"""The one thread pool: runs a function over fixed tiles, in any order, on as many threads as the process may use."""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

_executor: ThreadPoolExecutor | None = None
_executor_size = 0
_lock = threading.Lock()
_limit: Any = None  # the controller, and what it lifts
_limited = 0  # contexts of blas_single_thread that are open


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


@contextmanager
def blas_single_thread() -> Iterator[None]:
    """A context in which BLAS stays on the thread that calls it, for GEMMs inside `run`.

    The limit is the process's: of contexts that overlap in several threads the first sets it and the last lifts it.
    """
    global _limit, _limited
    with _lock:
        if not _limited:
            controller = _controller("scipy.linalg" in sys.modules)
            _limit = controller, controller.limit(limits=1, user_api="blas")
        _limited += 1
    try:
        yield
    finally:
        with _lock:
            _limited -= 1
            if not _limited:
                _lift(*_limit)


def _lift(controller: ThreadpoolController, limit: Any) -> None:
    # In newer versions of threadpoolctl (3.8 is one) the thread that sets a limit of OpenBLAS owns it; any lifts ours.
    disown = [f for lib in controller.lib_controllers if (f := getattr(lib, "clear_controlling_thread", None))]
    for clear in disown:
        clear(force=True)
    limit.restore_original_limits()
    for clear in disown:
        clear(force=True)


@cache
def _controller(scipys: bool) -> ThreadpoolController:
    # It scans every loaded library, so it is made once, not once a call; again where SciPy has brought its own BLAS.
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
    global _executor, _executor_size, _lock, _limited
    _executor, _executor_size, _lock, _limited = None, 0, threading.Lock(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
