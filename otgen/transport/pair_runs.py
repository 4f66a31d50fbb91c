"""Two ways through the pairs of clouds: threads of this process, and blocks that joblib sends where the user says."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from otgen_kernels import host

from .pair_distances import pair_function
from .pair_progress import Tally

Array = np.ndarray

BLOCK = 8  # clouds a side of a block of pairs: 64 pairs of small clouds outweigh the sending of 16


def run_threads(
    distance: Any, options: dict[str, Any], clouds: list[Array], weights: list[Any], todo: list[tuple[int, int]],
    workers: int | None, tally: Tally,
) -> None:  # fmt: skip
    """Measure the pairs of `todo` in threads, one pair after the other in each."""
    pair = pair_function(distance, options, dict(enumerate(clouds)), dict(enumerate(weights)))
    caller = threading.get_ident()

    def work(place: int) -> None:
        i, j = todo[place]
        tally.put(i, j, pair(i, j))
        if threading.get_ident() == caller:  # the user's function and files are for the user's thread
            tally.tell()

    with host.blas_single_thread():  # each pair is small: its threads would wait for one another
        host.run(work, len(todo), threads=workers)


def run_joblib(
    distance: Any, options: dict[str, Any], clouds: list[Array], weights: list[Any], todo: list[tuple[int, int]],
    workers: int | None, tally: Tally,
) -> None:  # fmt: skip
    """Measure the pairs of `todo` in blocks, through joblib."""
    try:
        import joblib
    except ImportError:
        raise ImportError("backend='joblib' needs joblib. Run: pip install 'otgen[parallel]'") from None
    blocks = _blocks(todo, len(clouds))
    tasks = (
        joblib.delayed(measure_block)(
            distance, options, {k: clouds[k] for k in used}, {k: weights[k] for k in used}, pairs
        )
        for pairs in blocks
        for used in [sorted({k for pair in pairs for k in pair})]
    )
    found: Any = joblib.Parallel(n_jobs=-1 if workers is None else workers, return_as="generator")(tasks)
    for pairs, values in zip(blocks, found):
        for (i, j), value in zip(pairs, values):
            tally.put(i, j, value)
        tally.tell()


def measure_block(
    distance: Any, options: dict[str, Any], clouds: Mapping[int, Array], weights: Mapping[int, Any],
    pairs: list[tuple[int, int]],
) -> list[float]:  # fmt: skip
    """The distances of these pairs, with the clouds they need under their places."""
    # joblib hands on large arrays as read-only maps of a file; kernels are compiled for writable ones
    own = {k: np.require(cloud, requirements=["C", "W"]) for k, cloud in clouds.items()}
    pair = pair_function(distance, options, own, weights)
    return [pair(i, j) for i, j in pairs]


def _blocks(todo: list[tuple[int, int]], k: int) -> list[list[tuple[int, int]]]:
    side = max(1, min(BLOCK, k // BLOCK))
    blocks: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for i, j in todo:
        blocks.setdefault((i // side, j // side), []).append((i, j))
    return list(blocks.values())
