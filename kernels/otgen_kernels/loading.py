"""How files of kernels, and Numba with them, are imported: where they are first used, and whole."""

from __future__ import annotations

import signal
import sys
import threading
from importlib import import_module
from typing import Any


def load(file: str) -> Any:
    """Import a file of this package, such as ".cpu.pairs", which takes a third of a second where Numba comes with it.

    Ctrl-C is heard after it: Python cannot take up again an import of Numba that was broken off, and every later solve
    of the process would fail.
    """
    at_hand = f"{__package__}{file}" in sys.modules
    if at_hand or threading.current_thread() is not threading.main_thread():
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
