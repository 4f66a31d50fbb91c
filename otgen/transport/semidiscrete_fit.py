"""Fits of a semi-discrete map: the distinct targets, one method or the other, and what is measured at the end."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

import otgen_kernels as kernels
from otgen_kernels import Cells
from otgen_kernels.constants import TREE_DIMS

from .. import devices
from ..arrays import plain
from .brenier import fit_monte_carlo
from .brenier_run import STREAM, random_stream
from .cell_error import Chi2, estimate_chi2
from .frame import Frame, frame_of
from .map_files import Checkpoint
from .power_newton import Near, PowerCells, Reached, fit_newton
from .sources import Convex, Framed, Source, placed

Array = np.ndarray

MAX_STEPS = 1000  # of Newton's method where the user sets no max_iter
CENTRE_SAMPLES, FEW_SAMPLES = 10, 50_000  # for each cell, and in all at least, from which Monte Carlo takes centres
LEAST_SAMPLES, MOST_SAMPLES = 20_000, 200_000  # that test an exact fit
FAR = 20  # powers of two, of the domain, beyond which points are far away
MOST_PRODUCTS = 1 << 22  # held at once for such points
BLOCK = 1 << 26  # bytes of a block of samples


@dataclass(frozen=True)
class CellError:
    """How far the cells' masses w are from b: chi2 = sum (w - b)^2 / b; its root is the RMS relative error of a mass.

    low and high hold chi2 with 95 % confidence, from `samples` points that the fit has not seen; `empty` cells had none
    of them. Where the method is exact, chi2 is exact too, `empty` counts cells without mass, and max_relative is
    max |w - b| / b over all cells; it is None otherwise.
    """

    chi2: float
    low: float
    high: float
    samples: int
    empty: int
    max_relative: float | None


@dataclass(frozen=True)
class Value:
    """A lower bound of W2^2, E |x|^2 + sum b |y|^2 + 2 (<h, b> - E u_h), which is W2^2 where the cells' masses are b.

    low and high hold the bound with 95 % confidence; both are the bound itself where it is exact.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Limits:
    """When a fit ends: at tol, or before."""

    tol: float
    max_iter: float
    max_time: float
    max_samples: float
    progress: Callable[[dict[str, Any]], Any]


class Targets:
    """The targets y (n, d) that are distinct and carry mass b (n,), in the order of their first appearance.

    Distinct as numbers of the size of the cloud: 1e-300 and 2e-300 are one place beside 1.
    """

    def __init__(self, y: Array, b: Array) -> None:
        self._carrying = np.flatnonzero(b > 0)
        carrying = y[self._carrying]
        low, high = carrying.min(0), carrying.max(0)
        _, first, inverse = np.unique(
            carrying - (0.5 * low + 0.5 * high), axis=0, return_index=True, return_inverse=True
        )
        order = np.argsort(first, kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        self._which = rank[inverse.reshape(-1)]
        self.rows = self._carrying[first[order]]
        self.points, self.masses = np.ascontiguousarray(y[self.rows]), np.bincount(self._which, b[self._carrying])
        self.count, self._share = len(y), b[self._carrying] / self.masses[self._which]
        self.merged = len(self._carrying) - len(self.rows)

    def spread(self, values: Array, empty: float, *, shared: bool = False) -> Array:
        """Values of the distinct targets as those of all; shared divides them between equal targets by their masses."""
        out = np.full((self.count, *values.shape[1:]), empty)
        out[self._carrying] = values[self._which] * self._share if shared else values[self._which]
        return out


@dataclass(frozen=True)
class Fit:
    """Heights of the distinct targets in a frame's coordinates, and what is known of their cells."""

    frame: Frame
    heights: Array
    masses: Array
    centres: Array
    error: CellError
    value: Value
    converged: bool
    message: str
    n_iter: int
    history: list[dict[str, Any]]


class Locator:
    """Finds the cell of points, in a frame's coordinates and decided in float64."""

    def __init__(self, y: Array, heights: Array, frame: Frame) -> None:
        self.frame, self.sites, self.heights = frame, frame.y(y), heights
        # <x, y> + h is half of |x|^2 less |x - y|^2 - g; about the sites' own mean, lest far offsets cost digits.
        self._offsets = 2.0 * self.heights + np.einsum("ij,ij->i", self.sites, self.sites)
        self._given = y

    def beside(self, other: Any) -> Locator:
        """One for points that lie where `other` does."""
        if devices.is_on_gpu(other) == devices.is_on_gpu(self.sites):
            return self
        place = functools.partial(devices.beside, other)
        return Locator(place(self._given), place(self.heights), self.frame.beside(other))

    def __call__(self, x: Array) -> Array:
        """The site of every x (k, d) in the user's coordinates: the first that attains the potential."""
        away = x - self.frame.at_x
        size = np.frexp(np.abs(away).max(1))[1] - self.frame.log_x
        far = size > FAR
        out = np.empty(len(x), np.int64, like=x)
        if not far.all():
            inside = plain(np.ldexp(away[~far], -self.frame.log_x), np.dtype(np.float64))
            out[np.flatnonzero(~far)] = kernels.c_transform(
                inside, self.sites, self._offsets, metric="euclidean", p=2.0
            )[1]
        rows = np.flatnonzero(far)
        for part in np.array_split(rows, -(-len(rows) * len(self.sites) // MOST_PRODUCTS) or 1):
            # There |x - y| has lost y: the products themselves, for x of size 1.
            unit = np.ldexp(away[part], -(size[part] + self.frame.log_x)[:, None])
            scores = unit @ self.sites.T + np.ldexp(self.heights, -size[part][:, None])
            out[part] = scores.argmax(1)
        return out


class Outlines:
    """Finds the corners of cells: what they are cut by is made at the first call, and kept."""

    def __init__(self, targets: Targets, source: Source | None, heights: Array, frame: Frame) -> None:
        self._targets, self._source, self._heights, self._frame = targets, source, heights, frame

    def __call__(self, rows: Array) -> list[Array]:
        """The corners of the cells of the targets `rows`, in the user's coordinates; none where there is no cell."""
        targets = self._targets
        place = targets.spread(np.arange(len(targets.points), dtype=np.float64), -1.0).astype(int)[rows]
        found = iter(self._power.outlines(self._heights, place[place >= 0]))
        return [
            self._frame.x_out(next(found)) if where >= 0 else np.empty((0, len(self._frame.at_x))) for where in place
        ]

    @cached_property
    def _power(self) -> PowerCells:
        assert isinstance(self._source, Convex)
        return PowerCells(self._targets.points, self._source, self._frame, None)


def fit_exact(targets: Targets, source: Convex, limits: Limits, seed: int, saved: Checkpoint | None) -> Fit:
    """By Newton's method; an interrupt keeps the last step."""
    y, nu = targets.points, targets.masses
    latest: list[Reached] = []
    rows: list[dict[str, Any]] = []
    if saved is not None and saved.state is not None:
        latest = [_from_state(saved.state)]

    def report(row: dict[str, Any], reached: Reached) -> None:
        latest[:] = [reached if saved is not None else reached._replace(near=None)]
        rows.append(row)
        limits.progress(row)
        keep()

    def keep(now: bool = False) -> None:
        if saved is not None and latest:
            saved.write(_to_state(latest[0]), now=now)

    def run(most: float, told: Callable[[dict[str, Any], Reached], None]) -> tuple[Any, Frame]:
        return fit_newton(
            y, nu, source, start=latest[0] if latest else None, tol=limits.tol, report=told,
            max_iter=MAX_STEPS if most == np.inf else int(most), deadline=time.perf_counter() + limits.max_time,
        )  # fmt: skip

    try:
        found, frame = run(limits.max_iter, report)
    except KeyboardInterrupt:
        if not latest:
            raise
        found, frame = run(0, lambda row, heights: None)
        found.message, found.history = "interrupted", rows
    keep(now=True)
    diagram, mass = found.diagram, found.diagram.mass
    converged = found.error <= limits.tol
    message = f"every cell's mass is within {found.error:.1e} of its target, relatively"
    if not converged:
        message = f"{found.message}; a cell's mass is still off by {found.error:.1e} of itself, tol={limits.tol:g}"
    full = mass > 0.0
    centres = np.full(diagram.first.shape, np.nan)
    centres[full] = frame.x_out(diagram.first[full] / mass[full, None])
    chi2 = float(((mass - nu) ** 2 / nu).sum())
    samples = int(np.clip(len(y), LEAST_SAMPLES, MOST_SAMPLES))
    drawn = _measure(targets, source, Locator(y, found.heights, frame), samples, seed)
    error = CellError(chi2, drawn.chi2.low, drawn.chi2.high, samples, int((~full).sum()), found.error)
    bound = frame.value(diagram, found.heights, y, nu)
    value = Value(bound, bound, bound)
    return Fit(
        frame,
        found.heights,
        mass,
        centres,
        error,
        value,
        converged,
        message,
        found.history[-1]["iteration"] if found.history else 0,
        found.history,
    )


def _to_state(reached: Reached) -> dict[str, Any]:
    near = {} if reached.near is None else reached.near._asdict()
    return {
        "heights": reached.heights, "stage": reached.stage, **{f"near_{name}": value for name, value in near.items()},
    }  # fmt: skip


def _from_state(state: dict[str, Any]) -> Reached:
    has_near = "near_mass" in state
    near = Near(*(np.asarray(state[f"near_{name}"]) for name in Near._fields)) if has_near else None
    return Reached(np.asarray(state["heights"]), int(state["stage"]), near)


def fit_sampled(
    targets: Targets, source: Source, limits: Limits, seed: int, saved: Checkpoint | None, optimizer: str | None,
    like: Array,
) -> Fit:  # fmt: skip
    """By Monte Carlo, where `like` is; an interrupt keeps the best so far."""
    y, nu = targets.points, targets.masses
    frame, place = frame_of(y, source), functools.partial(devices.beside, like)

    def keep(state: dict[str, Any]) -> None:
        assert saved is not None
        saved.write(state, now=True)  # as often as the fit offers it

    most = None if limits.max_samples == np.inf else int(limits.max_samples)
    run = fit_monte_carlo(
        place(frame.y(y)), place(nu), Framed(source, frame.at_x, frame.log_x), optimizer=optimizer,
        tol=limits.tol, seed=seed, max_time=limits.max_time, max_samples=most, progress=limits.progress,
        checkpoint=None if saved is None else keep, state=None if saved is None else saved.state,
    )  # fmt: skip
    samples = max(CENTRE_SAMPLES * len(y), FEW_SAMPLES)
    h = devices.fetch(run.h)
    drawn = _measure(targets, source, Locator(y, h, frame).beside(like), samples, seed)
    # A fit that converged has been judged on samples of its own, more of them, that it had not seen either.
    chi2 = run.chi2 if run.converged else drawn.chi2
    error = CellError(chi2.value, chi2.low, chi2.high, chi2.samples, chi2.empty, None)
    return Fit(
        frame, h, drawn.counts / samples, drawn.centres, error, drawn.value, run.converged, run.message, run.n_iter,
        run.history,
    )  # fmt: skip


@dataclass(frozen=True)
class _Drawn:
    chi2: Chi2
    counts: Array
    centres: Array
    value: Value


def _measure(targets: Targets, source: Source, locate: Locator, samples: int, seed: int) -> _Drawn:
    """Masses, centres and the dual value from fresh independent samples, where the sites of `locate` are."""
    place = functools.partial(devices.beside, locate.sites)
    y, nu, frame, source = place(targets.points), place(targets.masses), locate.frame, placed(source, locate.sites)
    # A stream that neither the fit nor the user, who may have drawn the targets from this seed, has seen.
    rng = random_stream([seed, STREAM, 2], locate.sites if source.uniforms is not None else np.zeros(0))
    counts, sums = np.zeros_like(nu, dtype=np.int64), np.zeros_like(y)
    away = y - frame.at_x
    # |x|^2 - 2 u(x) = |x - y|^2 - (|y|^2 + 2 h) at the y of x's cell, about the middle of the source.
    offsets = np.einsum("ij,ij->i", away, away) + np.ldexp(2.0 * locate.heights, frame.log_x + frame.log_y)
    offsets -= nu @ offsets
    size, total, square = None, 0.0, 0.0
    block = max(BLOCK // (8 * source.dim), 1)
    rough = Cells(locate.sites)
    for first in range(0, samples, block):
        x = place(source.sample(min(block, samples - first), rng))
        # Beyond the tree's reach near ties are left to float32: they are a matter of counting.
        cell = locate(x) if source.dim <= TREE_DIMS else rough.assign(frame.x(x), locate.heights)[0]
        counts += np.bincount(cell, minlength=len(y))
        inside = frame.x(x)
        sums += kernels.group_sums(inside, cell, len(y))
        terms = ((x - y[cell]) ** 2).sum(1) - offsets[cell]
        size = int(np.frexp(np.abs(terms).max())[1]) if size is None else size  # lest squares leave float64
        terms = np.ldexp(terms, -size)
        total, square = total + float(terms.sum()), square + float((terms**2).sum())
    mean = total / samples
    value = float(np.ldexp(mean, size or 0))
    half = float(np.ldexp(1.96 * np.sqrt(max(square / samples - mean**2, 0.0) / samples), size or 0))
    with np.errstate(invalid="ignore"):  # 0 / 0 is the centre of a cell that no sample fell in
        centres = devices.fetch(frame.x_out(sums / counts[:, None]))
    chi2 = estimate_chi2(counts, nu)
    return _Drawn(chi2, devices.fetch(counts), centres, Value(value, value - half, value + half))
