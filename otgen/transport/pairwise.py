"""The matrix of distances between many clouds, over threads or through joblib, saved as it goes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np

from .. import autograd
from ..arrays import Home, home_beside, host, library_of, read_clouds, read_masses
from ..options import is_one_of, read_workers
from .pair_distances import check_distance
from .pair_progress import PairFile, Tally, progress_bar
from .pair_runs import run_joblib, run_threads

Array = np.ndarray


def pairwise(
    samples: Any,
    weights: Any = None,
    *,
    distance: Any = "wasserstein",
    workers: int | None = None,
    backend: str | None = None,
    path: Any = None,
    progress: Any = None,
    **options: Any,
) -> Any:
    """Distances between every two of k point clouds: a symmetric float64 matrix (k, k) with zero diagonal.

    D_ij = distance(samples_i, samples_j), computed for i < j alone.

    samples is a list of k arrays (n_i, d), or one array (k, n, d); weights a list of k arrays (n_i,) of one mass or
    None, or None for uniform. distance and its options, the same for all pairs: "wasserstein" (p, metric), exact and
    proven; "sinkhorn_divergence" (eps, cost, tol, max_iter); "sliced_wasserstein" (p, n_projections, projections,
    seed), along the same directions; "energy" and "mmd" (kernel, scales, bandwidth), square roots of the biased
    estimates; "frechet", a square root too; or f(x, y, a, b) -> float of NumPy arrays, which must bear threads.

    workers is how many threads share the pairs: None for every CPU the process may use (OTGEN_NUM_THREADS), 1 for none.
    With backend="joblib" the pairs go through joblib.Parallel(n_jobs=workers) in blocks, to processes or machines as
    joblib.parallel_config says. The numbers are the same. path names an .npz file that is replaced every 30 s and at
    the end, an error or Ctrl-C; the same call with it goes on from there, a function being the same by its name and
    what functools.partial gives it. progress is True for a bar on stderr, or a function of a dict (pairs, of, seconds,
    left).

    Torch tensors give a float64 tensor, without gradient. Raises ConvergenceError, naming the pair, where one is not
    proven; ValueError or TypeError for bad input; ImportError where joblib is missing.
    """
    clouds, masses, home = _read(samples, weights)
    check_distance(distance, options, weighted=masses is not None)
    workers = read_workers(workers)
    if not (backend is None or is_one_of(backend, ("joblib",))):
        raise ValueError(f"backend must be None (threads) or 'joblib'; got {backend!r}. Leave it None.")
    if progress is not None and progress is not True and not isinstance(progress, Callable):
        raise TypeError(
            f"progress must be None, True or a function of one dict; got {type(progress).__name__}. Pass True."
        )
    k = len(clouds)
    own = masses if masses is not None else [None] * k
    file = None if path is None else PairFile(path, clouds, own, distance, options)
    distances = np.full((k, k), np.nan) if file is None or file.distances is None else file.distances
    todo = [(int(i), int(j)) for i, j in zip(*np.triu_indices(k, 1)) if np.isnan(distances[i, j])]
    run = run_threads if backend is None else run_joblib
    with progress_bar() if progress is True else nullcontext(progress) as tell:
        tally = Tally(distances, len(todo), tell, file)
        try:
            run(distance, options, clouds, own, todo, workers, tally)
        finally:
            tally.save()
        tally.tell(now=True)
    upper = np.triu(distances, 1)
    return home.array(upper + upper.T, np.dtype(np.float64))


def _read(samples: Any, weights: Any) -> tuple[list[Array], list[Array] | None, Home]:
    found = _listed(samples)
    if weights is not None and (not isinstance(weights, (list, tuple)) or len(weights) != len(found)):
        raise ValueError(
            f"weights must be None or a list of {len(found)} arrays, one a cloud; got "
            f"{_described(weights)}. Pass None in it for a uniform one."
        )
    for name, values in (("samples", found), ("weights", weights or ())):
        if autograd.wants_gradient(*values):
            raise ValueError(
                f"{name} must not require gradients: the matrix has none. Detach them, or call otgen.wasserstein for "
                "the pairs one by one."
            )
    named = {f"samples[{i}]": cloud for i, cloud in enumerate(found)}
    clouds, home = read_clouds(named)
    if weights is None or all(w is None for w in weights):
        return clouds, None, home
    own = {f"weights[{i}]": w for i, w in enumerate(weights)}
    masses = read_masses(own, [len(cloud) for cloud in clouds], **named)
    return clouds, masses, home_beside(home, **own)


def _listed(samples: Any) -> list[Any]:
    """The clouds one by one."""
    if isinstance(samples, (list, tuple)):
        if not samples:
            raise ValueError("samples must hold at least one cloud; got an empty list. Pass one array (n, d) a cloud.")
        return list(samples)
    if library_of(samples) == "numpy":
        samples = host(samples, "samples")
    shape = tuple(getattr(samples, "shape", ()))
    if len(shape) != 3 or 0 in shape:
        raise ValueError(
            f"samples must be a list of arrays (n_i, d), or one array (k, n, d); got {_described(samples)}. "
            "Pass a list."
        )
    return [samples[i] for i in range(shape[0])]


def _described(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"{len(value)} of them"
    return f"shape {tuple(value.shape)}" if hasattr(value, "shape") else type(value).__name__
