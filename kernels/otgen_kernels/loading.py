"""How files of kernels, and Numba with them, are imported: where they are first used, and whole."""

from __future__ import annotations

import signal
import sys
import threading
import warnings
from importlib import import_module
from typing import Any


def load(file: str) -> Any:
    """Import a file of this package, such as ".cpu.pairs", which takes a third of a second where Numba comes with it.

    Ctrl-C is heard after it: Python cannot take up again an import of Numba that was broken off, and every later solve
    of the process would fail.
    """
    if f"{__package__}{file}" in sys.modules:
        return import_module(file, __package__)
    try:
        return _whole(file)
    finally:  # an interrupt is raised when all is imported
        for name, module in list(sys.modules.items()):
            if name.startswith(f"{__package__}.cpu."):
                _outlive_full_disks(module)


def _whole(file: str) -> Any:
    if threading.current_thread() is not threading.main_thread():
        return import_module(file, __package__)
    before, heard = signal.getsignal(signal.SIGINT), []
    if not callable(before):  # nothing is raised then
        return import_module(file, __package__)
    signal.signal(signal.SIGINT, lambda *given: heard.append(given))
    try:
        found = import_module(file, __package__)
    finally:
        signal.signal(signal.SIGINT, before)
    if heard:
        before(*heard[0])
    return found


def _outlive_full_disks(module: Any) -> None:
    """Make kernels of a module work where Numba's cache cannot be written: it raises once they are compiled."""
    for value in list(vars(module).values()):
        cache: Any = getattr(value, "_cache", None)
        if hasattr(cache, "save_overload") and "save_overload" not in vars(cache):
            cache.save_overload = _told_once(cache, cache.save_overload)


def _told_once(cache: Any, save: Any) -> Any:
    def save_overload(*given: Any) -> None:
        global _is_told
        try:
            save(*given)
        except OSError as error:
            if not _is_told:
                _is_told = True
                warnings.warn(
                    f"compiled kernels cannot be kept in {cache.cache_path}: {error.strerror or error}. Each process "
                    "compiles them anew, for some seconds: free some space, or set NUMBA_CACHE_DIR.",
                    RuntimeWarning, stacklevel=2,
                )  # fmt: skip

    return save_overload


_is_told = False
