"""The inputs of the cases, the same ones in every process."""

from __future__ import annotations

import numpy as np
from cases import Problem, dotmark_folder

Inputs = tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]


def inputs(problem: Problem) -> Inputs:
    """Points x (n, d), y (n, d) and weights a (n,), b (n,), None for uniform; on the line x and y are (n,)."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(problem.n, problem.d)), rng.normal(size=(problem.n, problem.d)) + 1
    match problem.recipe:
        case "gaussian":
            return x, y, None, None
        case "gaussian32":  # what a training loop hands over
            return x.astype(np.float32), y.astype(np.float32), None, None
        case "zeros32":  # a third of both clouds weighs nothing
            a, b = (rng.random((2, problem.n)) * (rng.random((2, problem.n)) < 2 / 3)).astype(np.float32)
            return x.astype(np.float32), y.astype(np.float32), a / a.sum(), b / b.sum()
        case "coincident32":  # ten places for all points, five of them of both clouds
            places = rng.normal(size=(15, problem.d))
            own = places[rng.integers(0, 10, problem.n)], places[rng.integers(5, 15, problem.n)]
            return own[0].astype(np.float32), own[1].astype(np.float32), None, None
        case "tiny32" | "huge32":
            scale = 1e-12 if problem.recipe == "tiny32" else 1e12
            return (scale * x).astype(np.float32), (scale * y).astype(np.float32), None, None
        case "identical":
            return x, x.copy(), None, None
        case "permuted":
            return x, x[rng.permutation(problem.n)], None, None
        case "clustered":
            centres = 3 * rng.normal(size=(20, problem.d))
            own = rng.integers(0, 20, size=(2, problem.n))  # drawn apart: the counts of a cluster differ
            return centres[own[0]] + 0.05 * x, centres[own[1]] + 0.05 * y, None, None
        case "grid_whole":
            return grid(problem.n), grid(problem.n) + [1.0, 0.0], None, None
        case "grid_half":
            return grid(problem.n), grid(problem.n) + 0.5, None, None
        case "dotmark":
            images = [np.loadtxt(dotmark_folder() / f"data32_{name}.csv", delimiter=",") for name in (1001, 1002)]
            a, b = (image.ravel() / image.sum() for image in images)
            return grid(a.size), grid(b.size), a, b
        case "line":
            return x[:, 0], y[:, 0], None, None
        case "line_weighted":
            a, b = rng.random((2, problem.n))
            return x[:, 0], y[:, 0], a / a.sum(), b / b.sum()
    raise ValueError(f"unknown recipe {problem.recipe!r}")


def sites(problem: Problem, codes: str | None = None) -> np.ndarray:
    """The targets (n, d) of a semi-discrete map, each of mass 1 / n; codes: the file of those of an autoencoder."""
    rng = np.random.default_rng(0)
    n, d = problem.n, problem.d
    match problem.recipe:
        case "box":
            return rng.random((n, d))
        case "blobs":
            return 0.1 + 0.8 * rng.random((10, d))[rng.integers(0, 10, n)] + 0.01 * rng.normal(size=(n, d))
        case "diagonal":
            return np.repeat(rng.random((n, 1)), d, axis=1)
        case "duplicates":
            return rng.random((max(n // 10, 1), d))[rng.integers(0, max(n // 10, 1), n)]
        case "mixture":
            own = rng.integers(0, 10, n)
            return rng.normal(size=(10, d))[own] + np.linspace(0.2, 0.8, 10)[own, None] * rng.normal(size=(n, d))
        case "codes" if codes is not None:
            return np.load(codes)[:n]
    raise ValueError(f"unknown recipe {problem.recipe!r}")


def domain(y: np.ndarray) -> np.ndarray:
    """The unit box (d, 2) that is the source of the map to y: [0, 1]^d, in high dimension about the targets' mean."""
    d = y.shape[1]
    low = np.zeros(d) if d <= 3 else y.mean(axis=0, dtype=np.float64) - 0.5
    return np.stack([low, low + 1], axis=1)


def grid(n: int) -> np.ndarray:
    """The whole numbers of a square, (side^2, 2): side^2 is the largest square up to n."""
    side = int(np.sqrt(n))
    return np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2).astype(float)


def part(full: Inputs, k: int) -> Inputs:
    """The first k points of both clouds."""
    x, y, a, b = full
    a, b = (None if w is None else w[:k] / w[:k].sum() for w in (a, b))
    return x[:k], y[:k], a, b
