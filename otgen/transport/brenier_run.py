"""What every Monte Carlo fit of a Brenier potential shares: samples, time, tests, history, checkpoints, the answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from otgen_kernels import Cells, random_stream

from ..devices import beside, fetch, is_on_gpu
from .cell_error import NORMAL, Chi2, estimate_chi2, samples_for
from .sources import placed

PAIRS = 1 << 29  # of a chunk: what is drawn at once; about half a second at d = 64
MOST_ROWS = 1 << 16  # of a chunk
DEVICE_PAIRS = 1 << 37  # of a chunk on a GPU: the same time there
DEVICE_NUMBERS = 1 << 26  # coordinates of one: half a GB
STREAM = 0x6F7467656E  # never the stream of default_rng(seed), which may have drawn the targets themselves
EVERY = 30.0  # seconds between checkpoints
HOPED = 0.75  # of tol: the error a fit aims at, so that tests pass
SURE = 3.0  # standard deviations below tol at which a test passes; the interval of the report then does too


class Source(Protocol):
    """A measure that can be sampled; uniforms is how many numbers in [0, 1) make a point, or None."""

    dim: int
    uniforms: int | None
    radius: float

    @property
    def mean(self) -> np.ndarray: ...

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray: ...

    def from_uniform(self, u: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class MonteCarloRun:
    """The heights h (n,), sum nu h = 0, and the proof: chi2 of their cells on fresh iid samples. h is where y is."""

    h: np.ndarray
    chi2: Chi2
    converged: bool
    message: str
    n_iter: int
    samples: int
    history: list[dict[str, Any]]


@dataclass(frozen=True)
class Problem:
    """Targets y (n, d) with masses nu and the source; tol and the ends of a fit.

    Where y and nu are of CuPy, samples are made on that GPU, by a stream of its own: a seed gives the same numbers on
    every GPU, and others on the host. A source that is a function is drawn on the host.
    """

    y: np.ndarray
    nu: np.ndarray
    source: Source
    tol: float
    seed: int
    max_time: float = np.inf
    max_samples: float = np.inf
    progress: Callable[[dict[str, Any]], None] | None = None
    checkpoint: Callable[[dict[str, Any]], None] | None = None


class OutOfBudget(Exception):
    """max_time or max_samples has been reached."""


@dataclass
class Test:
    """Counts of fresh iid samples at one h, until there are `size`."""

    size: int
    counts: np.ndarray
    done: int = 0


@dataclass
class Fit:
    """The part of a fit that its checkpoints hold; subclasses add theirs in `arrays` and `restore`."""

    problem: Problem
    cells: Any = field(init=False)  # otgen_kernels.Cells
    h: np.ndarray = field(init=False)
    source: Source = field(init=False)
    rng: Any = field(init=False)  # what random_stream returns
    test: Test = field(init=False)
    best: tuple[np.ndarray, Chi2] | None = None
    phase: str = "start"
    samples: int = 0
    iteration: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    _seconds: float = 0.0  # of earlier runs
    _reserve: int = 0

    def __post_init__(self) -> None:
        problem = self.problem
        n = len(problem.nu)
        self.source = placed(problem.source, problem.y)
        self.cells = Cells(problem.y, self.source.mean)
        self.h = np.zeros_like(problem.nu)
        drawn_there = problem.y if problem.source.uniforms is not None else np.zeros(0)
        self.rng = random_stream([problem.seed, STREAM], drawn_there)
        self.begin_test(0)
        self._began = self._saved = time.perf_counter()
        self._reserve = max(n // 2, 1000)
        if is_on_gpu(problem.y):
            self.chunk = int(np.clip(min(DEVICE_PAIRS // n, DEVICE_NUMBERS // problem.source.dim), 1024, 2 * MOST_ROWS))
        else:
            self.chunk = int(np.clip(PAIRS // n, 1024, MOST_ROWS))

    @property
    def seconds(self) -> float:
        return self._seconds + time.perf_counter() - self._began

    @property
    def test_size(self) -> int:
        """Samples of a test that an error of HOPED tol passes."""
        return samples_for(self.problem.tol, len(self.problem.nu), HOPED * self.problem.tol)

    # -- samples -----------------------------------------------------------------------------------------------------

    def draw(self, count: int) -> np.ndarray:
        """Fresh iid samples, unless time or samples have run out."""
        self.spend(count)
        return self._sample(count)

    def _sample(self, count: int) -> np.ndarray:
        return beside(self.problem.y, self.source.sample(count, self.rng))

    def spend(self, count: int) -> None:
        if time.perf_counter() - self._began > self.problem.max_time:  # of this run, not of what it resumes
            raise OutOfBudget(f"max_time ({self.problem.max_time:g} s)")
        if self.samples + count + self._reserve > self.problem.max_samples:
            raise OutOfBudget(f"max_samples ({self.problem.max_samples:g})")
        self.samples += count

    def begin_test(self, size: int) -> None:
        self.test = Test(size, np.zeros_like(self.problem.nu, dtype=np.int64))

    def run_test(self) -> Chi2:
        """Count fresh samples until the test has its size."""
        test = self.test
        while test.done < test.size:
            count = min(self.chunk, test.size - test.done)
            self.count(self.cells.counts(self.draw(count), self.h), count)
            self.save()
        return self.tested()

    def count(self, counts: np.ndarray, samples: int) -> None:
        self.test.counts += counts
        self.test.done += samples

    def tested(self) -> Chi2:
        """What the test says of h; it may be the best so far."""
        chi2 = estimate_chi2(self.test.counts, self.problem.nu)
        if self.best is None or chi2.high < self.best[1].high:
            self.best = self.h.copy(), chi2
        return chi2

    def passes(self, chi2: Chi2) -> bool:
        return chi2.value + SURE / NORMAL * (chi2.high - chi2.value) <= self.problem.tol and chi2.samples > 1

    # -- words -------------------------------------------------------------------------------------------------------

    def tell(self, chi2: Chi2, **more: float) -> None:
        """Add a row to the history and show it."""
        row = {
            "iteration": self.iteration,
            "samples": self.samples,
            "seconds": self.seconds,
            "chi2": chi2.value,
            "low": chi2.low,
            "high": chi2.high,
            "empty": chi2.empty,
            **more,
        }
        self.history.append(row)
        if self.problem.progress is not None:
            self.problem.progress({**row, "tol": self.problem.tol})

    def save(self, now: bool = False) -> None:
        """Hand the state over if it is time to."""
        if self.problem.checkpoint is None or not (now or time.perf_counter() - self._saved >= EVERY):
            return
        self.problem.checkpoint(self.arrays())
        self._saved = time.perf_counter()

    def arrays(self) -> dict[str, Any]:
        """The state as arrays of the host, numbers and what JSON can hold."""
        state: dict[str, Any] = {
            "h": fetch(self.h).copy(),
            "rng": self.rng.bit_generator.state,
            "phase": self.phase,
            "samples": self.samples,
            "iteration": self.iteration,
            "history": [dict(row) for row in self.history],
            "seconds": self.seconds,
            "test_size": self.test.size,
            "test_counts": fetch(self.test.counts).copy(),
        }
        if self.best is not None:
            chi2 = self.best[1]
            state["best_h"] = fetch(self.best[0])
            state["best_chi2"] = [chi2.value, chi2.low, chi2.high, chi2.samples, chi2.empty]
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from the state of `arrays`, whatever JSON and npz have made of its numbers."""
        self.h = self.put(state["h"], np.float64)
        own, given = (found["bit_generator"] for found in (self.rng.bit_generator.state, state["rng"]))
        if own != given:
            raise ValueError(
                f"state must be of a run whose samples came from {own}; they came from {given}. A run on a GPU goes on "
                "on a GPU, one on the host on the host."
            )
        self.rng.bit_generator.state = state["rng"]
        self.phase, self.samples, self.iteration = str(state["phase"]), int(state["samples"]), int(state["iteration"])
        self.history, self._seconds = [dict(row) for row in state["history"]], float(state["seconds"])
        counts = np.array(state["test_counts"], np.int64)
        self.test = Test(int(state["test_size"]), self.put(counts, np.int64), int(counts.sum()))
        if "best_h" in state:
            value, low, high, samples, empty = state["best_chi2"]
            chi2 = Chi2(float(value), float(low), float(high), int(samples), int(empty))
            self.best = self.put(state["best_h"], np.float64), chi2

    def put(self, values: Any, dtype: Any) -> np.ndarray:
        """A copy of a state's array, where y is."""
        return beside(self.problem.y, np.array(values, dtype))

    # -- the end -----------------------------------------------------------------------------------------------------

    def advance(self) -> None:
        """Run until `phase` is "report": h has passed a test."""
        raise NotImplementedError

    def run(self) -> MonteCarloRun:
        try:
            while True:
                if self.phase != "report":
                    self.advance()
                    self.phase = "report"
                    self.begin_test(self.test_size)
                chi2 = self.run_test()
                if chi2.high <= self.problem.tol:
                    return self._answer(self.h, chi2, True, f"chi2 <= {self.problem.tol:g} with 95 % confidence")
                self.tell(chi2)
                self.refuse()
        except OutOfBudget as end:
            # A fit is better than what it started from: h is reported, on the samples that it has had and a few more.
            rest = self._sample(self._reserve)
            self.samples += len(rest)
            self.count(self.cells.counts(rest, self.h), len(rest))
            chi2 = self.tested()
            if chi2.high <= self.problem.tol:
                return self._answer(self.h, chi2, True, f"chi2 <= {self.problem.tol:g} with 95 % confidence")
            return self._unfinished(str(end))
        except KeyboardInterrupt:
            if self.test.done >= self._reserve:
                self.tested()
            return self._unfinished("an interrupt")

    def refuse(self) -> None:
        """The report failed by a hair: fit on."""
        raise NotImplementedError

    def _unfinished(self, end: str) -> MonteCarloRun:
        if self.best is None:
            unknown = Chi2(np.inf, 0.0, np.inf, 0, len(self.problem.nu))
            return self._answer(self.h, unknown, False, f"stopped by {end} before any test of the cells")
        h, chi2 = self.best
        message = (
            f"stopped by {end}: chi2 is {chi2.value:.3g} (95 % interval {chi2.low:.3g} to {chi2.high:.3g}), "
            f"not yet surely <= tol ({self.problem.tol:g}). Allow more, or raise tol."
        )
        return self._answer(h, chi2, False, message)

    def _answer(self, h: np.ndarray, chi2: Chi2, converged: bool, message: str) -> MonteCarloRun:
        self.save(now=True)
        centred = h - self.problem.nu @ h
        return MonteCarloRun(centred, chi2, converged, message, self.iteration, self.samples, self.history)
