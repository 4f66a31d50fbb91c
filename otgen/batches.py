"""The door for batches: clouds (B, n, d) and the weights of their problems, each read as arrays.py reads one."""

from __future__ import annotations

from typing import Any

import numpy as np

from .arrays import Home, bring, check_finite, common_home, plain, read_weights


def is_batch(x: Any) -> bool:
    """Return whether x has three axes: many clouds at once."""
    try:
        return (x.ndim if hasattr(x, "ndim") else np.ndim(x)) == 3
    except ValueError:  # a ragged list: read_points has the words
        return False


def read_batches(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray, Home]:
    """Return x (B, n, d) and y (B, m, d) as read_points returns two clouds, and their home."""
    device = common_home(x=x, y=y)
    x, y = bring(x, "x", device), bring(y, "y", device)
    for name, value in (("x", x), ("y", y)):
        if value.ndim != 3 or value.size == 0:
            raise ValueError(
                f"{name} must have shape (B, n, d) with B, n, d >= 1, as the other cloud is a batch; got shape "
                f"{value.shape}. Give both one leading axis of problems."
            )
        check_finite(value, name)
    if x.shape[0] != y.shape[0] or x.shape[2] != y.shape[2]:
        raise ValueError(
            f"x and y must hold as many problems, of one dimension d; got shapes {x.shape} and {y.shape}. "
            "Match their first and last axes."
        )
    dtype = np.promote_types(x.dtype, y.dtype)
    return plain(x, dtype), plain(y, dtype), Home(dtype, device)


def read_batch_weights(a: Any, b: Any, shape: tuple[int, int, int], *, unequal: bool, **like: Any) -> tuple:
    """Return float64 weights a (B, n) and b (B, m) of problems of shape (B, n, m), each as read_weights has them."""
    count, *sizes = shape
    place = common_home(**like, a=a, b=b)
    found = []
    for name, value, size in (("a", a, sizes[0]), ("b", b, sizes[1])):
        array = None if value is None else bring(value, name, place)
        if array is not None and array.shape not in ((size,), (count, size)):
            raise ValueError(
                f"{name} must have shape ({count}, {size}) or ({size},) for a batch of {count}; got shape "
                f"{array.shape}. Pass one row of weights a problem."
            )
        found.append(array if array is None or array.ndim == 1 else list(array))
    rows, own = [], any(isinstance(value, list) for value in found)
    for k in range(count if own else 1):
        pair = (value[k] if isinstance(value, list) else value for value in found)
        try:
            one, other = read_weights(*pair, *sizes, unequal=unequal, entropic=True)
        except ValueError as error:
            raise ValueError(f"in problem {k} of the batch {error}" if own else str(error)) from None
        rows.append([np.full(size, 1.0 / size) if w is None else w for w, size in zip((one, other), sizes)])
    rows = rows if own else rows * count
    return tuple(bring(np.stack([row[side] for row in rows]), name, place) for side, name in enumerate("ab"))
