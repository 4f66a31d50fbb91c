"""How far a matrix of distances is: told to the user, and kept in a file from which the same call goes on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import CodeType
from typing import Any

import numpy as np

from .map_files import Checkpoint, fingerprint

Array = np.ndarray

EVERY = 30.0  # seconds between two writes
PAUSE = 0.1  # seconds between two reports, at least
VERSION = 1  # of the file


class PairFile(Checkpoint):
    """The matrix in a file, NaN where a distance is not yet there, for the call it belongs to."""

    KIND = "pairwise distances"
    ARGUMENT = "path"
    OTHER = "the distances of other clouds, weights or options"

    def __init__(self, path: Any, clouds: list[Array], weights: list[Any], distance: Any, options: dict) -> None:
        name = distance if isinstance(distance, str) else _name(distance)
        given = {option: _plain(options[option]) for option in sorted(options)}
        self._header = {
            "version": VERSION, "sizes": [list(cloud.shape) for cloud in clouds], "distance": name,
            "options": {option: repr(value) for option, value in given.items()},
        }  # fmt: skip
        parts = [part for item in given.items() for part in item]
        if not isinstance(distance, str):
            parts += _content(distance)
        super().__init__(path, fingerprint(VERSION, name, *parts, *clouds, *weights))
        self.distances: Array | None = None
        if self.state is not None:
            found, shape = self.state.get("distances"), (len(clouds), len(clouds))
            self.distances = found if isinstance(found, np.ndarray) else None
            if self.distances is None or self.distances.shape != shape or self.distances.dtype != np.float64:
                raise ValueError(f"{path} must hold a matrix of shape {shape}; it does not. Delete it.")

    @property
    def every(self) -> float:
        """Seconds between two writes."""
        return EVERY

    def put(self, distances: Array, *, now: bool = False) -> None:
        """Write what is there, every 30 s at most unless now."""
        self.write({**self._header, "distances": distances.copy()}, now=now)


def _content(function: Any) -> list[Any]:
    """What tells functions of one name apart, in any process: what partial gives them, and a lambda's instructions."""
    if isinstance(function, partial):
        given = [*function.args, *(part for item in sorted(function.keywords.items()) for part in item)]
        return [_plain(value) for value in given] + _content(function.func)
    return _instructions(function.__code__) if getattr(function, "__name__", "") == "<lambda>" else []


def _instructions(code: CodeType) -> list[Any]:
    inner = [part for one in code.co_consts if isinstance(one, CodeType) for part in _instructions(one)]
    return [code.co_code, code.co_names, [one for one in code.co_consts if not isinstance(one, CodeType)], *inner]


def _name(function: Any) -> str:
    """What a function is called."""
    inner = getattr(function, "func", function)  # of functools.partial
    return f"{getattr(inner, '__module__', '')}.{getattr(inner, '__qualname__', type(inner).__name__)}"


def _plain(value: Any) -> Any:
    return np.asarray(value) if hasattr(value, "shape") else value


class Tally:
    """The distances as they come in, above the diagonal, and who is to hear of them."""

    def __init__(self, distances: Array, todo: int, tell: Callable[[dict], None] | None, file: PairFile | None) -> None:
        self._distances, self._todo, self._tell, self._file = distances, todo, tell, file
        k = len(distances)
        self._of = k * (k - 1) // 2
        self._began = time.perf_counter()
        self._told = -math.inf

    def put(self, i: int, j: int, value: float) -> None:
        """Keep the distance of clouds i < j."""
        self._distances[i, j] = value

    def tell(self, *, now: bool = False) -> None:
        """Write and report, as often as is due."""
        if self._file is not None:
            self._file.put(self._distances)
        seconds = time.perf_counter() - self._began
        if self._tell is None or not (now or seconds - self._told >= PAUSE):
            return
        self._told = seconds
        pairs = int(np.isfinite(self._distances[np.triu_indices(len(self._distances), 1)]).sum())
        done = pairs - (self._of - self._todo)
        left = seconds / done * (self._of - pairs) if done else None
        self._tell({"pairs": pairs, "of": self._of, "seconds": seconds, "left": left})

    def save(self) -> None:
        """Write what there is."""
        if self._file is not None:
            self._file.put(self._distances, now=True)


@contextmanager
def progress_bar() -> Iterator[Callable[[dict], None]]:
    """A bar on stderr, and the function that moves it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("pairs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("pairs", total=None)
        yield lambda report: bar.update(task, completed=report["pairs"], total=report["of"])
