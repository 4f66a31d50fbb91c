"""The door for numbers: seeds, sizes, and the options of the exact solver, each refused in words that say the fix.

Imports nothing of otgen. The options of entropic transport are read in transport/regularisation.py.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

MAX_INT32 = 2**31 - 1
MOST = 2**40  # of anything that is counted: more would leave int64 as soon as it is multiplied by a size


def read_seed(seed: Any) -> np.random.Generator:
    """Return the generator given, or that of an int."""
    if isinstance(seed, np.random.Generator):
        return seed
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"seed must be an int >= 0 or a numpy Generator; got {seed!r}.")
    return np.random.default_rng(seed)


def check_options(tol: Any, max_iter: Any, progress: Any, unbalanced: Any = None) -> tuple[float, Any]:
    """Return tol (default 1e-9, relative to the problem's scale) and max_iter (None: until proven)."""
    if unbalanced is not None:
        raise ValueError(
            f"unbalanced needs eps: exact transport holds both marginals; got unbalanced={unbalanced!r} without eps. "
            "Pass eps= too."
        )
    if tol is None:
        tol = 1e-9
    elif not is_real(tol) or not 0 < tol < math.inf:
        raise ValueError(
            f"tol must be a positive finite number, relative to the problem's scale; got {tol!r}. "
            "Leave it None for 1e-9."
        )
    if max_iter is not None and (
        isinstance(max_iter, bool) or not isinstance(max_iter, (int, np.integer)) or max_iter < 1
    ):
        raise ValueError(
            f"max_iter must be None (until proven) or an int >= 1; got {max_iter!r}. Leave it None for a proven result."
        )
    check_progress(progress)
    return float(tol), None if max_iter is None else int(max_iter)


def check_progress(progress: Any) -> None:
    """Raise unless progress is a function, or None."""
    if progress is not None and not isinstance(progress, Callable):
        raise TypeError(f"progress must be None or a function of one dict; got {type(progress).__name__}. Pass print.")


def read_count(n: Any, name: str, of: str = "points") -> int:
    """Return a number of points to draw, or of what `of` says."""
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise ValueError(f"{name} must be an int >= 1; got {n!r}. Pass the number of {of}.")
    check_most(n, name)
    return int(n)


def check_most(n: Any, name: str) -> None:
    """Raise where a count is one that nothing has room or time for."""
    if n > MOST:
        raise ValueError(f"{name} must be at most {MOST}; got {n!r}. Pass less: there is no room or time for so many.")


def read_flag(value: Any, name: str) -> bool:
    """Return a bool, Python's or NumPy's: a string such as 'no' would be true."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False; got {value!r}. Pass one of them.")
    return bool(value)


def is_one_of(value: Any, names: Container[str]) -> TypeGuard[str]:
    """Return whether value is one of these strings: `in` by itself compares arrays, which have no one truth."""
    return isinstance(value, str) and value in names


def read_path(path: Any, name: str) -> Path:
    """Return the path of a file or folder, which need not be there."""
    try:
        found = Path(path)
        if b"\0" not in os.fsencode(found):
            return found
        reason = "it holds a null character"
    except (TypeError, ValueError) as error:  # other types, bytes; characters that no file system has
        reason = str(error)
    raise TypeError(f"{name} must be a path, a str or a pathlib.Path; got {path!r} ({reason}). Pass the file's name.")


def read_positive(value: Any, name: str, fix: str, *, zero: bool = False) -> float:
    """Return a finite real number > 0, or >= 0 with zero=True."""
    if not is_real(value) or not (0 <= value if zero else 0 < value) or value == math.inf:
        raise ValueError(f"{name} must be a finite number {'>= 0' if zero else '> 0'}; got {value!r}. {fix}")
    return float(value)


def read_shape(shape: Any) -> tuple[int, ...]:
    """Return the shape of one sample: at least one axis, none of them empty."""
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else ()
    if not sizes or any(isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1 for k in sizes):
        raise ValueError(
            f"shape must list the sizes of one sample, each an int >= 1; got {shape!r}. Pass (d,), or (C, H, W) for "
            "images."
        )
    return tuple(int(k) for k in sizes)


def read_workers(workers: Any) -> int | None:
    """Return a number of workers; None for as many as the process may use."""
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, (int, np.integer)) or workers < 1):
        raise ValueError(
            f"workers must be None (every CPU this process may use) or an int >= 1; got {workers!r}. Leave it None."
        )
    return None if workers is None else int(workers)


def is_real(value: Any) -> bool:
    """Return whether value is a Python or NumPy real number that a float can hold, not a bool."""
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) <= sys.float_info.max
    return isinstance(value, (float, np.integer, np.floating))


def check_size(n: int, m: int, arcs: int = 0) -> None:
    """Raise unless nodes (with a root) and arcs (with one to the root each) fit int32, as the simplex numbers them."""
    for what, count in (("points in x and y together", n + m + 1), ("arcs (pairs it looks at)", n + m + arcs)):
        if count > MAX_INT32:
            raise ValueError(
                f"the exact solver numbers {what} in int32: at most {MAX_INT32}; got {count}. Subsample first."
            )
