"""Exact semi-discrete transport in the plane and in space: damped Newton on the areas of a power diagram.

The concave dual E(h) has gradient nu - w(h) and minus its Hessian is the Laplacian L of the graph of the cells that
share a facet, with weights mu(facet_ij) / |y_i - y_j|. To the method of Kitagawa, Merigot and Thibert (arXiv
1603.05579), which halves steps that leave a cell too small, two things are added. A step aims at masses that a cell can
reach: its own times 1/4 to 4, scaled to sum to 1, because a cell near vanishing grows like a power of its height and
not linearly, and the steps that halving leaves would be tiny. And a linear solve is accurate for every cell relative to
its own mass, not in the mean: a small cell would be sent the wrong way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from otgen_kernels import host

from .frame import Frame, frame_of
from .power_start import first_heights, spread_points
from .sources import Convex

Array = np.ndarray

GROWTH = 4.0  # by what a cell may grow or shrink in one step: beyond, its mass is far from linear in the heights
SOLVE = 0.1  # error of a linear solve, relative to a cell's mass, at most
LEAST_STEP = 1e-4  # below it the arithmetic of the heights, not the method, is at its end
PLACED = 8 * np.finfo(np.float64).eps  # of the domain: where a wall or a corner of a diagram is known to be
MOST_SOLVE = 200  # iterations of a linear solve
SHARPEST = 0.5  # of a pixel, and of a cell: the width of the last blur of an image before the image itself
MOST_PIXELS = 1 << 22  # of a blurred image, refined where cells are narrower than pixels
BACKGROUND = 0.5  # of the mean density: what is added to the first blur of an image with black parts, then half, ...
CONTRAST = 1e-3  # of the mean: a density below it counts as black
BLURRED_TOL = 0.3  # relative errors of masses at which the next image follows


@dataclass
class NewtonRun:
    """Heights, the diagram they have, its largest relative error of a mass, and how it ended."""

    heights: Array
    diagram: Any
    error: float
    message: str = ""
    history: list[dict[str, float]] = field(default_factory=list)


class Near(NamedTuple):
    """What the next diagram is found by: cells of heights that are near, in the order of the tree."""

    mass: Array
    first: Array
    starts: Array
    neighbours: Array


class Reached(NamedTuple):
    """Where a fit stands, all that its next step depends on: heights, and the stage that they belong to.

    near is what their diagram was measured beside. That is only the faster for it, but the order in which walls are
    cut, and so the last digit of a mass, is near's: a fit that goes on without it ends a rounding elsewhere.
    """

    heights: Array
    stage: int
    near: Near | None = None


class PowerCells:
    """Power diagrams of targets y on a convex source in the coordinates of a frame, the source's mass being 1."""

    def __init__(self, y: Array, source: Convex, frame: Frame, density: Array | None) -> None:
        kernel: Any = host.Laguerre2D if source.dim == 2 else host.Laguerre3D
        domain = frame.x(source.corners) if source.dim == 2 else frame.walls(source)
        self._kernel = kernel(frame.y(y), domain, density)
        self._total = kernel(np.zeros((1, source.dim)), domain, density).measure(np.zeros(1)).mass[0]

    def measure(self, heights: Array, near: Any = None) -> Any:
        """mass, first, second, starts, neighbours, facets of the cells."""
        found = self._kernel.measure(heights, near=near)
        return found._replace(
            **{name: getattr(found, name) / self._total for name in ("mass", "first", "second", "facets")}
        )

    def outlines(self, heights: Array, rows: Array) -> list[Array]:
        """The corners of the cells `rows`."""
        kernel = self._kernel
        return kernel.polygons(heights, rows) if hasattr(kernel, "polygons") else kernel.polyhedra(heights, rows)


def fit_newton(
    y: Array, nu: Array, source: Convex, *, start: Reached | None, tol: float, max_iter: int,
    report: Callable[[dict[str, Any], Reached], None], deadline: float = np.inf,
) -> tuple[NewtonRun, Frame]:  # fmt: skip
    """The exact map of a convex source to targets y (n, d), d = 2 or 3, of masses nu.

    The run, and what report is told at every step, are heights in the frame's coordinates; the graph of the run's
    diagram, and all of near, are left in another order. An image is approached in stages, each a sharper one. A start
    is what report was told: the steps from there on are bit for bit those of the fit that told it.
    """
    frame = frame_of(y, source)
    order = host.tree_order(frame.y(y))  # neighbours near in memory
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    y, nu = y[order], nu[order]
    sites = frame.y(y)
    pixels = None if source.density is None else source.density / source.density.mean()
    images = [pixels] if pixels is None else [*softened(pixels, len(y), len(y) * float(nu.min())), pixels]
    if start is None:

        def masses(rows: Array, found: Array) -> Array:
            return PowerCells(y[rows], source, frame, images[0]).measure(found).mass

        heights = first_heights(sites, nu, frame.x(spread_points(source)), frame.walls(source), masses)
        start = Reached(heights, 0)
    else:
        heights = start.heights[order]
    history: list[dict[str, Any]] = []
    near, message = start.near, ""
    for stage in range(min(start.stage, len(images) - 1), len(images)):
        last, done = stage == len(images) - 1, history[-1]["iteration"] if history else 0

        def told(row: dict[str, Any], found: Array, beside: Any, done: int = done, stage: int = stage) -> None:
            history.append({**row, "iteration": done + row["iteration"], "stage": stage})
            near = None if beside is None else Near(*(getattr(beside, name) for name in Near._fields))
            report(history[-1], Reached(found[back], stage, near))

        run = newton(
            PowerCells(y, source, frame, images[stage]), sites, nu, heights, tol=tol if last else BLURRED_TOL,
            max_iter=max_iter - done, report=told, deadline=deadline, near=near,
        )  # fmt: skip
        heights, near, message = run.heights, run.diagram, run.message
        if message and not last:  # what was reached is told of the image itself
            run = newton(
                PowerCells(y, source, frame, pixels), sites, nu, heights, tol=tol, max_iter=0,
                report=lambda row, found, beside: None, near=near,
            )  # fmt: skip
        if message:
            break
    found = run.diagram
    run.diagram = found._replace(mass=found.mass[back], first=found.first[back], second=found.second[back])
    run.heights, run.message, run.history = run.heights[back], message, history
    return run, frame


def softened(pixels: Array, cells: int, least: float = 1.0) -> Iterator[Array]:
    """The density, of mean 1, ever less blurred, and ever less above a background where it has black parts.

    Mass that leaves a bright part moves as much faster in the dark one as that is darker, and a linear step cannot
    tell: across an edge it moves cells by about one width of theirs. Blurred, the edge is wider than cells; so blurs
    narrower than a pixel are needed where cells are, and the pixels are divided for them. least is the least mass of a
    cell as a part of their mean: the less it is, the fainter a background can hold a whole cell in a black part.
    """
    from scipy.ndimage import gaussian_filter

    width, background = max(pixels.shape) / 4.0, BACKGROUND
    black = pixels.min() < CONTRAST
    lit = pixels.sum() ** 2 / (pixels**2).sum()  # pixels that hold the mass
    sharpest = SHARPEST * min(1.0, (lit / cells) ** (1.0 / pixels.ndim))
    while width >= sharpest:
        parts = 2 ** max(0, int(np.ceil(-1.0 - np.log2(width))))  # the width is half a part at least
        if pixels.size * parts**pixels.ndim > MOST_PIXELS:
            break
        blurred = gaussian_filter(np.kron(pixels, np.ones((parts,) * pixels.ndim)), parts * width, mode="reflect")
        yield (1.0 - background) * blurred + background if black else blurred
        width, background = 0.5 * width, 0.5 * background
    share, faintest = background, 0.1 * background * least
    while black:
        yield (1.0 - share) * pixels + share
        if share <= 1.001 * faintest:
            break
        share = max(0.1 * share, faintest)


def newton(
    cells: PowerCells, y: Array, nu: Array, heights: Array, *, tol: float, max_iter: int,
    report: Callable[[dict[str, Any], Array, Any], None], deadline: float = np.inf, near: Any = None,
) -> NewtonRun:  # fmt: skip
    """Move heights until every cell's mass is within tol nu_i of nu_i.

    report is told every step, its heights, and the diagram that theirs was measured beside (near, at first).
    """
    began = time.perf_counter()
    diagram = cells.measure(heights, near=near)
    if not (diagram.mass > 0.0).all():
        return NewtonRun(heights, diagram, np.inf, _hidden(diagram))
    history: list[dict[str, float]] = []
    step, inner = 1.0, 0
    while True:
        mass = diagram.mass
        error = float((np.abs(mass - nu) / nu).max())
        row = {
            "iteration": len(history), "error": error, "chi2": float(((mass - nu) ** 2 / nu).sum()), "step": step,
            "solve_iterations": inner, "seconds": time.perf_counter() - began,
        }  # fmt: skip
        history.append(row)
        report(row, heights, near)
        near = None  # a diagram of a large cloud is not held for longer than it is needed
        run = NewtonRun(heights, diagram, error, "", history)
        if error <= tol:
            return run
        if len(history) > max_iter:
            run.message = "stopped at max_iter"
            return run
        if time.perf_counter() > deadline:
            run.message = "stopped at max_time"
            return run
        target = reachable(mass, nu)
        least = np.minimum(mass, target)
        weights = _weights(y, diagram)
        solver = host.Multigrid(diagram.starts, diagram.neighbours, weights)
        allowed = least * max(min(SOLVE, 0.3 * error**2), 0.3 * tol)
        missing = target - mass
        missing -= missing.sum() * target  # of rounding: an even part of it would be much to a small cell
        change, missed, inner = solver.solve(missing, allowed, MOST_SOLVE)
        if not missed < np.inf or not np.isfinite(change).all():
            run.message = "the linear solve broke down"
            return run
        distance = float(((mass - target) ** 2 / target).sum())
        step, tried = 1.0, None
        while step >= LEAST_STEP:
            trial = heights + step * change
            tried = cells.measure(trial, near=diagram)
            left = float(((tried.mass - target) ** 2 / target).sum())
            if (tried.mass > 0.05 * least).all() and left <= (1.0 - 0.3 * step) ** 2 * distance:
                heights, near, diagram = trial, diagram, tried
                break
            step *= 0.5
        else:
            run.message = _exhausted(y, nu, heights, diagram, error)
            return run


def reachable(mass: Array, nu: Array) -> Array:
    """The masses clip(k nu, mass / 4, 4 mass), with the k for which they sum to 1."""
    low, high = mass / GROWTH, mass * GROWTH
    if (nu >= low).all() and (nu <= high).all():
        return nu
    # The sum is piecewise linear and grows in k: k is between two of its kinks.
    kinks = np.sort(np.concatenate([low / nu, high / nu]))
    least, most = 0, len(kinks) - 1
    while most - least > 1:
        middle = (least + most) // 2
        if np.clip(kinks[middle] * nu, low, high).sum() < 1.0:
            least = middle
        else:
            most = middle
    ends = [float(np.clip(kinks[place] * nu, low, high).sum()) for place in (least, most)]
    share = (1.0 - ends[0]) / (ends[1] - ends[0]) if ends[1] > ends[0] else 0.0
    return np.clip((kinks[least] + share * (kinks[most] - kinks[least])) * nu, low, high)


def _weights(y: Array, diagram: Any) -> Array:
    weights = host.facet_weights(diagram.starts, diagram.neighbours, diagram.facets, y)
    # Facets in a black part of an image carry nothing: a trace of weight keeps the graph in one piece.
    return np.maximum(weights, 1e-12 * weights.mean())


def _resolution(y: Array, nu: Array, heights: Array, diagram: Any) -> tuple[float, int, int]:
    """What rounding of heights and of walls alone does to a relative mass, at worst, and the two cells where."""
    rows = np.repeat(np.arange(len(y)), np.diff(diagram.starts))
    moved = _weights(y, diagram) * np.spacing(np.abs(heights).max()) + diagram.facets * PLACED
    each = np.bincount(rows, moved, len(y)) / nu
    worst = int(each.argmax())
    mine = slice(diagram.starts[worst], diagram.starts[worst + 1])
    return float(each[worst]), worst, int(diagram.neighbours[mine][moved[mine].argmax()])


def _exhausted(y: Array, nu: Array, heights: Array, diagram: Any, error: float) -> str:
    reach, i, j = _resolution(y, nu, heights, diagram)
    masses = f"masses are from {nu.min():.1e} to {nu.max():.1e}"
    if 100.0 * reach > error:
        return (
            f"float64 heights are at their end: two targets are {np.linalg.norm(y[i] - y[j]):.1e} of their width "
            f"apart, of masses {nu[i]:.1e} and {nu[j]:.1e}, where {masses}: a rounding moves the first one's mass by "
            f"{reach:.0e} of itself. Merge such targets, raise the least masses, or raise tol"
        )
    return f"no step lowered the error, where {masses}. Raise the least masses, or raise tol"


def _hidden(diagram: Any) -> str:
    empty = int((diagram.mass <= 0.0).sum())
    return (
        f"{empty} cells have no mass at the start: rounding hides them, or the source has none where they begin. "
        "Merge targets that are nearer than 1e-8 of their width, or use method='monte_carlo'"
    )
