"""The default Monte Carlo fit: blocks of samples listed once, Newton on all lists that still hold, twice as many again.

A block is drawn, and the few highest sites of each sample are listed at the heights h so far: all that costs O(n d) a
sample. Its counts are an honest test of h, which has not seen it (iid samples; of a source of few coordinates Sobol
points are listed, and h is tested apart). Then h solves the smoothed problem on all lists, and the next block follows:
M samples in all leave chi2 a little below n / M, so the last block decides the error and nothing is drawn in vain.

Why not otherwise. eps is not annealed within a block: the lists do not hold the sites that much smoothing needs. Moves
of h are not clipped in the plane: smooth modes move by hundreds of gaps there. A Newton step that fails has its ridge
raised, and is not shortened: a cell without samples would be lost for good. The plain algorithm of the literature
(`brenier_adam`) draws fresh samples for every step: benchmarks/semidiscrete.py runs it beside this fit.

On a GPU samples, lists and all vectors stay there; a product of the linear solves hands the host two numbers, a block a
few. Sobol points are made on the host.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from otgen_kernels import Lists

from ..devices import beside, fetch
from .brenier_newton import Block, Smoothed, make_block
from .brenier_run import HOPED, STREAM, Fit, OutOfBudget, Problem
from .brenier_start import choose_start

KEEP = 16
KEEP_LOW = 8
"""Sites listed of a sample, and of one of a source of few coordinates, whose cells have few neighbours."""

SOBOL_DIMS = 2
"""Coordinates of a source up to which Sobol points are drawn: beyond, a block of iid samples is its own honest test.

In three dimensions a cell has 15 neighbours and more: lists of KEEP_LOW lose clustered targets.
"""

FIRST = 2
FIRST_SOBOL = 16
"""Samples of the first block for each target."""

FAR = 4.0
"""chi2 above FAR n / M is not noise of M samples: h has not arrived."""

STALLED = 24
"""Tests, the last half of which saw chi2 no tenth lower than the first half did, after which a fit gives up."""

PATIENCE = 6
"""Blocks of one size in a row before it doubles all the same."""


class NewtonFit(Fit):
    """State: the blocks that h was fitted on, the block being listed, and what its size will be."""

    def __init__(self, problem: Problem, start: np.ndarray | None):
        super().__init__(problem)
        n = len(problem.nu)
        uniforms = problem.source.uniforms
        self.sobol = uniforms is not None and uniforms <= SOBOL_DIMS
        self.keep = min(n, KEEP_LOW if self.sobol else KEEP)
        self.blocks: list[Block] = []
        self.parts: list[tuple[np.ndarray, np.ndarray]] = []
        self.last = np.empty((0, problem.source.dim))
        first = FIRST_SOBOL if self.sobol else FIRST
        self.size = 1 << max(10, math.ceil(math.log2(first * n)))
        self.fitted = self.drawn = self.stuck = 0  # samples of the last fit, Sobol points so far, blocks of one size
        if start is not None:
            self.h, self.phase = start.astype(np.float64), "list"

    # -- the loop ----------------------------------------------------------------------------------------------------

    def advance(self) -> None:
        if self.phase == "start":
            count = int(np.clip(len(self.h) // 2, 2000, 10_000))
            self.h = choose_start(self.cells, self.problem.nu, self.draw(count))
            self.phase = "list"
        while True:
            if self.phase == "list":
                self.fill()
                if not self.sobol and self.judge():
                    return
                self.fit()
                self.begin_test(self.trial_size if self.sobol else 0)
                self.phase = "test" if self.sobol else "list"
            if self.phase == "test":
                self.run_test()
                if self.judge():
                    return
                self.phase = "list"

    def refuse(self) -> None:
        self.size = max(self.size, self.fitted)
        self.parts, self.phase = [], "list"
        self.begin_test(0)

    def fill(self) -> None:
        """List the block until it has its size."""
        done = sum(len(part[0]) for part in self.parts)
        while done < self.size:
            count = min(self.chunk, self.size - done)
            if self.sobol:
                self.spend(count)
                x = beside(self.h, self.problem.source.from_uniform(self._sobol_points(count)))
            else:
                x = self.draw(count)
            top, index = self.cells.top(x, self.h, self.keep)
            self.last = x
            self.parts.append((top, index))
            if not self.sobol:
                self.count(self.cells.histogram(index[:, 0]), count)
            done += count
            if done < self.size:  # x of the last chunk is not in the state
                self.save()

    def judge(self) -> bool:
        """Whether the test passes; else choose how many samples come next."""
        chi2, tol, n = self.tested(), self.problem.tol, len(self.h)
        self.iteration += 1
        last = self.history[-1] if self.history and "fitted" in self.history[-1] else None
        if last and self.fitted > 1.4 * last["fitted"] > 0 and chi2.value > 0.75 * last["chi2"]:
            self.sharp = max(0.5 * self.sharp, 1 / 64)  # more samples were no better: what is left is bias
        known = self.fitted + (0 if self.sobol else self.size)
        missing = max(self.fitted * chi2.value / (HOPED * tol) - known, 0.0) + self.test_size
        self.tell(chi2, fitted=self.fitted, eps=self.eps, left=missing * self.seconds / max(self.samples, 1))
        if self.passes(chi2):
            return True
        seen = [row["chi2"] for row in self.history[-STALLED:]]
        if len(seen) == STALLED and min(seen[STALLED // 2 :]) > 0.9 * min(seen[: STALLED // 2]):
            raise OutOfBudget(f"{STALLED // 2} tests without progress")
        arrived = self.fitted > 0 and chi2.value < FAR * n / self.fitted
        self.stuck = 0 if arrived else self.stuck + 1
        if not arrived and self.stuck < PATIENCE:
            return False
        self.stuck = 0
        if self.sobol:
            self.size = max(self.size, self.fitted)
            return False
        # chi2 falls like 1 / M; where the samples known now should do, the next block is only their test.
        needed = self.fitted * chi2.value / (HOPED * tol) if arrived else np.inf
        self.size = int(min(2 * self.size, max(needed - known, self.test_size)))
        return False

    @property
    def trial_size(self) -> int:
        """iid samples to test h by: all that a pass takes once it is near, before then what shows chi2 to a tenth."""
        last = self.history[-1]["chi2"] if self.history else 1.0
        enough = 10.0 * math.sqrt(2.0 * len(self.h)) / max(0.25 * last, self.problem.tol)
        return int(min(self.test_size, max(enough, 2000)))

    # -- the fit -----------------------------------------------------------------------------------------------------

    eps, sharp = 0.0, 1.0

    def fit(self) -> None:
        """Newton on the lists: h is what makes their smoothed masses nu."""
        top, index = (np.concatenate(arrays) for arrays in zip(*self.parts))
        self.parts = []
        newest = make_block(self.cells, top, index, self.h)
        n, count = len(self.h), newest.size
        terms, blocks = newest.terms, [newest]
        for block in reversed(self.blocks):
            if not block.is_stale(terms):
                blocks.insert(0, block)
                count += block.size
        self.eps = self.sharp * smoothing(newest.gap, n / count, self.sobol)
        smoothed = Smoothed(blocks, self.problem.nu, self.eps)
        found, mass, _ = smoothed.solve(terms, 0.5 * newest.depth, 0.02 * n / count, local=self.sobol)
        self.h = self.h + (found - terms)
        self.lift(newest, found, np.flatnonzero(mass < 0.01 * self.problem.nu))
        self.blocks, self.fitted = blocks, count

    def lift(self, block: Block, terms: np.ndarray, lost: np.ndarray) -> None:
        """Raise cells that no sample of the last chunk is near until they touch one."""
        if not len(lost):
            return
        rows = slice(block.size - len(self.last), block.size)
        score, index = block.lists.score[rows], block.lists.index[rows]
        highest = (score + terms.astype(np.float32)[index]).max(1)
        self.h[lost] += self.cells.shortfall(self.last, highest, terms, lost)

    # -- samples and state -------------------------------------------------------------------------------------------

    def _sobol_points(self, count: int) -> np.ndarray:
        from scipy.stats import qmc  # slow to import

        uniforms = self.problem.source.uniforms
        assert uniforms is not None
        engine = qmc.Sobol(uniforms, scramble=True, rng=np.random.default_rng([self.problem.seed, STREAM, 1]))
        if self.drawn:
            engine.fast_forward(self.drawn)
        self.drawn += count
        with warnings.catch_warnings():  # a chunk need not be a power of 2: the blocks are
            warnings.simplefilter("ignore", UserWarning)
            return engine.random(count)

    def arrays(self) -> dict[str, Any]:
        state = super().arrays()
        state.update(
            size=self.size, fitted=self.fitted, drawn=self.drawn, stuck=self.stuck, eps=self.eps, sharp=self.sharp
        )
        state["blocks"] = len(self.blocks)
        for b, block in enumerate(self.blocks):
            state[f"block{b}_score"], state[f"block{b}_index"] = fetch(block.lists.score), fetch(block.lists.index)
            state[f"block{b}_terms"], state[f"block{b}_gaps"] = fetch(block.terms), np.array([block.gap, block.depth])
        if self.parts:
            state["part_score"], state["part_index"] = (fetch(np.concatenate(arrays)) for arrays in zip(*self.parts))
        return state

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        for name in ("size", "fitted", "drawn", "stuck"):
            setattr(self, name, int(state[name]))
        self.eps, self.sharp = float(state["eps"]), float(state["sharp"])
        self.blocks = []
        for b in range(int(state["blocks"])):
            score = self.put(state[f"block{b}_score"], np.float32)
            index = self.put(state[f"block{b}_index"], np.int32)
            gap, depth = (float(v) for v in state[f"block{b}_gaps"])
            terms = self.put(state[f"block{b}_terms"], np.float64)
            self.blocks.append(Block(Lists(score, index, len(self.h)), terms, gap, depth))
        self.parts = []
        if "part_score" in state:
            self.parts = [(self.put(state["part_score"], np.float32), self.put(state["part_index"], np.int32))]
            self.keep = self.parts[0][0].shape[1]


def smoothing(gap: float, noise: float, sobol: bool) -> float:
    """Return eps for samples that leave chi2 about `noise` = n / M; gap: how far the second site lies below the first.

    More smoothing lowers the variance of w, in proportion to eps / gap at first, and adds a bias, by a higher power of
    it: less noise asks for less smoothing.
    """
    if sobol:
        return gap * float(np.clip(1.5 * np.sqrt(noise), 0.05, 0.5))
    return gap * float(np.clip(3.8 * np.sqrt(noise), 0.05, 0.9))
