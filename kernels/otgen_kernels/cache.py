"""Where Numba may keep compiled kernels: decided once, before a kernel is declared."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

REQUESTED = os.environ.get("NUMBA_CACHE_DIR") or None
"""The folder the user asked for, None where Numba is to choose."""


def settle() -> str | None:
    """Give Numba a temporary folder where it would find none it can write; return that folder, else None.

    Numba tries NUMBA_CACHE_DIR, __pycache__ beside the kernels, then the user's cache folder. Where none can be written
    `njit(cache=True)` raises as a module is imported; a folder of this process alone is the next best thing.
    """
    loaded = sys.modules.get("numba")
    asked = loaded.config.CACHE_DIR if loaded is not None else REQUESTED
    beside = str(Path(__file__).parent / "cpu" / "__pycache__")
    if any(folder and _writable(folder) for folder in (asked, beside, user_folder())):
        return None
    made = tempfile.mkdtemp(prefix="otgen-kernels-")
    atexit.register(_remove, made, os.getpid())
    os.environ["NUMBA_CACHE_DIR"] = made
    if loaded is not None:
        loaded.config.CACHE_DIR = made
    return made


def user_folder() -> str:
    """Numba's cache folder of this user, as its own appdirs has it, without the cost of importing Numba."""
    if sys.platform == "win32":
        return os.path.join(os.environ.get("LOCALAPPDATA", os.path.expanduser("~")), "numba", "Cache")
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Caches/numba")
    return os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "numba")


def _writable(folder: str) -> bool:
    # As Numba itself finds out: permission bits do not tell of a read-only file system, or to root.
    try:
        os.makedirs(folder, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # a forked child must not take it from its parent
        shutil.rmtree(folder, ignore_errors=True)


TEMPORARY = settle()
"""The folder made here and removed at exit; None where Numba has one that lasts."""
