"""From coarse clouds and a large eps to the user's: where the potentials of Sinkhorn's iteration come from.

eps falls by a factor of four a stage. A stage whose eps is above the mean cost within groups of four neighbours cannot
tell the points of a group apart, so it is solved between the groups' means, recursively; the potentials go down a level
through a soft c-transform. Source: Schmitzer, Stabilized sparse scaling algorithms, arXiv 1610.06519.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import devices
from . import device_iteration
from .iteration import Potentials, Sweeps, iterate, iterate_symmetric
from .regularisation import Regularisation

Array = np.ndarray
Progress = Callable[[dict[str, Any]], None]

INTERRUPTED = "interrupted"
FACTOR = 4.0  # between the eps of two stages
STAGE_TOL, COARSE_TOL = 1e-2, 1e-4  # errors at which a stage ends, on the finest level and on the others
STAGE_SWEEPS, COARSE_SWEEPS = 60, 240
MOST_LEVELS = 6
ACTIVE_FROM = 0.6  # the error from which on pairs are listed
ACTIVE_ROUNDS, ACTIVE_SWEEPS = 6, 200  # lists made at most, and sweeps among each
ACTIVE_BITS, ACTIVE_TOL = 0.0, 0.5  # the list holds all but tol of the plan at worst, and is left at half of tol
LOOSE = 1 / 16  # of the mean cost: the spread of groups that are hardly tighter than the cloud
SINGLE_ERROR = 0.1  # of the rounding that is estimated for float32: the error down to which it is trusted


@dataclass(frozen=True)
class Level:
    """One scale of a problem: costs, masses, and the mean cost within its groups."""

    costs: Any
    a: Array
    b: Array
    spread: float


@dataclass
class Run:
    """What an annealed run ended with; sweeps are those on the finest level."""

    potentials: Potentials
    n_iter: int
    message: str


class Annealing:
    """A problem between points that carry mass, from its coarser versions to itself."""

    def __init__(
        self, costs: Any, a: Array, b: Array, by: Regularisation, *,
        tol: float, max_iter: int, symmetric: bool, progress: Progress | None, proven: bool = True,
    ) -> None:  # fmt: skip
        self._trusting = proven  # a proof over all pairs follows: what was found among listed ones needs no other test
        self.by, self.tol, self.max_iter, self.symmetric = by, tol, max_iter, symmetric
        self.levels = [Level(costs, a, b, 0.0)]
        self._progress, self._began = progress, time.perf_counter()
        self._done = 0  # sweeps on the finest level
        self._latest: tuple[int, Potentials] = 0, Potentials(np.zeros_like(a), np.zeros_like(b))

    def run(self, start: Potentials | None) -> Run:
        """Anneal, or begin from `start` at the user's eps; Ctrl-C ends with what there is."""
        self._latest = 0, start or self._latest[1]
        try:
            if start is None:
                self._descend()
            potentials = self._finish(self._latest[1], given=start is not None)
        except KeyboardInterrupt:
            return self._interrupted()
        return Run(potentials, self._done, "")

    def _descend(self) -> None:
        """All stages but the last, which is on the finest level at the user's eps; leaves where that starts."""
        self._add_levels()
        stages = self._stages()
        at = stages[0][0]
        potentials = self._zeros(at)
        for level, eps in stages[:-1]:
            potentials = self._extended(potentials, at, level, eps)
            at = level
            tol, most = (STAGE_TOL, STAGE_SWEEPS) if level == 0 else (COARSE_TOL, COARSE_SWEEPS)
            potentials = self._iterate(potentials, level, eps, max(self.tol, tol), most)
        self._latest = 0, self._extended(potentials, at, 0, self.by.eps)

    def _interrupted(self) -> Run:
        """What the last complete sweep came to, on the finest level."""
        level, potentials = self._latest
        return Run(self._extended(potentials, level, 0, self.by.eps), self._done, INTERRUPTED)

    def resume(self, potentials: Potentials) -> Run:
        """Go on where the proof found more error than float32, or a list of pairs, saw: all pairs, then float64."""
        self._latest, trusted, self._trusting = (0, potentials), self._trusting, False
        try:
            reach = SINGLE_ERROR * self.levels[0].costs.soft.rounding(self.by.eps, True)
            if trusted and reach < self.tol:
                potentials = self._single(potentials, self.tol)
            else:
                potentials = self._iterate(potentials, 0, self.by.eps, self.tol, self.max_iter, single=False)
        except KeyboardInterrupt:
            return self._interrupted()
        return Run(potentials, self._done, "")

    def _finish(self, potentials: Potentials, given: bool) -> Potentials:
        """The last stage: float32 as far as it reaches, float64 from there."""
        reach = SINGLE_ERROR * self.levels[0].costs.soft.rounding(self.by.eps, True)
        error = math.inf  # what potentials of another eps were left with says nothing
        if given and self.tol < reach:  # they may be better than float32 can see
            potentials = self._iterate(potentials, 0, self.by.eps, self.tol, 1, single=False)
            error = potentials.error
        if reach < 0.1 and error > max(self.tol, reach):
            potentials = self._single(potentials, max(self.tol, reach))
            error = potentials.error
        if error > self.tol:  # or where float32 stalled above what is expected of it
            potentials = self._iterate(potentials, 0, self.by.eps, self.tol, self.max_iter, single=False)
        return potentials

    def _single(self, potentials: Potentials, tol: float) -> Potentials:
        """The last stage in float32: among the pairs that carry the plan where they are few, then tested on all."""
        problem, eps = self.levels[0], self.by.eps
        if self.by.balanced and not self.symmetric:
            # A list made too early may hold no plan with the right marginals at all.
            potentials = self._iterate(potentials, 0, eps, max(tol, ACTIVE_FROM), self.max_iter)
            for _ in range(ACTIVE_ROUNDS):
                if potentials.error <= tol:
                    return potentials
                bits = ACTIVE_BITS - math.log2(tol)
                active = problem.costs.soft.active(potentials.f, potentials.g, problem.b, eps, bits)
                most = min(ACTIVE_SWEEPS, self.max_iter - self._done - 1)  # the last sweep is over all pairs
                if active is None or most < 1:
                    break
                trial = self._iterate(potentials, 0, eps, ACTIVE_TOL * tol, most, soft=active)
                if self._trusting and trial.error <= ACTIVE_TOL * tol:
                    return trial
                trial = self._iterate(trial, 0, eps, tol, 1)
                if not trial.error < 0.5 * potentials.error:
                    break
                potentials = trial
        return self._iterate(potentials, 0, eps, tol, self.max_iter)

    def _iterate(
        self, start: Potentials, level: int, eps: float, tol: float, most: int,
        *, single: bool | None = None, soft: Any = None,
    ) -> Potentials:  # fmt: skip
        problem = self.levels[level]
        by, soft = replace(self.by, eps=eps), soft or problem.costs.soft
        if level == 0:
            most = min(most, self.max_iter - self._done)
        if most <= 0:
            return start
        in_single = SINGLE_ERROR * soft.rounding(eps, True) < max(tol, 1e-3) if single is None else single
        before = self._done

        def report(sweep: int, found: Potentials) -> None:
            self._latest = level, found
            if level == 0:
                self._done = before + sweep
            if self._progress is not None:
                self._progress(
                    {
                        "level": len(self.levels) - level,
                        "levels": len(self.levels),
                        "eps": eps,
                        "iteration": sweep,
                        "error": found.error,
                        "tol": tol,
                        "seconds": time.perf_counter() - self._began,
                    }
                )

        sweeps = Sweeps(tol, most, in_single, report)
        if devices.is_on_gpu(problem.a):
            return device_iteration.iterate(soft, problem.a, problem.b, by, start, sweeps, symmetric=self.symmetric)
        if self.symmetric:
            return iterate_symmetric(soft, problem.a, by, start, sweeps)
        return iterate(soft, problem.a, problem.b, by, start, sweeps)

    def _add_levels(self) -> None:
        while len(self.levels) < MOST_LEVELS:
            last = self.levels[-1]
            coarser = last.costs.coarser(last.a, last.b)
            if coarser is None:
                return
            costs, a, b, spread = coarser
            self.levels.append(Level(costs, a, b, last.spread + spread))

    def _stages(self) -> list[tuple[int, float]]:
        """(level, eps) from first to last: a level serves while eps is above the spread of its groups."""
        finest, eps, level = self.levels[0], self.by.eps, len(self.levels) - 1
        if self.symmetric:
            # Its iteration comes from anywhere, at any eps, in a dozen sweeps: they are made where they cost least.
            useful = [place for place in range(len(self.levels)) if self.levels[place].spread < eps]
            return [(place, eps) for place in reversed(useful)]
        a, b = finest.a / finest.a.sum(), finest.b / finest.b.sum()
        first = max(eps, finest.costs.typical_cost(a, b))  # about the mean cost
        # In high dimension even the smallest groups are loose: then no stage but the last pays on a finer level.
        tight = level == 0 or self.levels[1].spread < LOOSE * first
        count = math.ceil(math.log(first / eps) / math.log(FACTOR)) if first > eps else 0
        stages = []
        for step in range(count + 1):
            now = eps * (first / eps) ** (1.0 - step / count) if step < count else eps
            stages.append((level, now))
            while tight and level and now < self.levels[level].spread:
                level -= 1
                stages.append((level, now))
        stages += [(lower, eps) for lower in range(level - 1, -1, -1)]
        return stages

    def _zeros(self, level: int) -> Potentials:
        problem = self.levels[level]
        return Potentials(np.zeros_like(problem.a), np.zeros_like(problem.b))

    def _extended(self, potentials: Potentials, at: int, level: int, eps: float) -> Potentials:
        """Potentials of a coarser level on a finer one."""
        if at == level:
            return potentials
        above, below = self.levels[at], self.levels[level]
        f = above.costs.extend(0, below.costs, potentials.g, above.b, eps, self.by.rho_a)
        if self.symmetric:
            # What a point far from all others costs itself: its own term alone bounds f + f.
            damp = 1.0 if math.isinf(self.by.rho_a) else self.by.rho_a / (self.by.rho_a + eps)
            f = np.minimum(f, -eps * np.log(below.a) * damp / (1.0 + damp))
            return Potentials(f, f)
        g = above.costs.extend(1, below.costs, potentials.f, above.a, eps, self.by.rho_b)
        return Potentials(f, g)
