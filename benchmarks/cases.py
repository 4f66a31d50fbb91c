"""What is measured: the cases of the exact solver, each with its peers and its targets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from targets import Judge, below_megabytes, faster, lighter, proven, within, within_or_peer

PROVEN = proven(1e-9)
NO_SLOWER = (faster(1, "POT"), PROVEN)
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
DIMENSIONS = {2: "d = 2", 3: "d = 3", 64: "d = 64"}


@dataclass(frozen=True)
class Problem:
    """The input of one case: the name of a recipe in clouds.py and its sizes; the cost is euclidean^p."""

    recipe: str = "gaussian"
    n: int = 2_000
    d: int = 2
    p: int = 1


@dataclass(frozen=True)
class Case:
    """One row of the benchmark; cases of one `row` share a line of the report, as ranges."""

    name: str
    row: str
    task: str
    problem: Problem = Problem()
    peers: tuple[str, ...] = ()
    targets: tuple[Judge, ...] = ()
    quick: bool = False

    def request(self, solver: str) -> dict[str, Any]:
        """What a child process is asked to do, in JSON types."""
        return {"task": self.task, "solver": solver, **asdict(self.problem)}

    def missing(self) -> str:
        """Why this case cannot run here; empty where it can."""
        if self.problem.recipe != "dotmark" or dotmark_folder().is_dir():
            return ""
        return f"no folder {dotmark_folder()}; set OTGEN_DATA to the folder that holds dotmark32"


def dotmark_folder() -> Path:
    """Where the two DOTmark images are looked for: in OTGEN_DATA, else in shared/data beside the checkout."""
    return data_folder() / "dotmark32"


def data_folder() -> Path:
    """Where data sets are looked for."""
    return Path(os.environ.get("OTGEN_DATA") or SHARED_DATA)


def gaussian_name(n: int, d: int, p: int) -> str:
    """The name of the case of two Gaussian clouds, by which other cases refer to its peer's time."""
    return f"{n:,} points, {DIMENSIONS[d]}, W{p}"


def all_cases() -> list[Case]:
    """Every case, in the order of the table."""
    return [*gaussians(), *degenerate(), *on_the_line(), *minibatches(), *start_up()]


def gaussians() -> Iterator[Case]:
    """Two Gaussian clouds shifted by 1 in every coordinate."""
    for d in DIMENSIONS:
        for p in (1, 2):
            name = gaussian_name(10_000, d, p)
            factor = 6 if (d, p) == (2, 1) else 10
            targets = faster(factor, "POT"), lighter(10, "POT"), PROVEN
            yield Case(name, name, "transport", Problem(n=10_000, d=d, p=p), ("POT",), targets)
    for d in DIMENSIONS:
        for p in (1, 2):
            targets = faster(3, "POT"), PROVEN
            row = "2,000 points, d = 2, 3 and 64, W1 and W2"
            yield Case(gaussian_name(2_000, d, p), row, "transport", Problem(d=d, p=p), ("POT",), targets, quick=True)
    for d in (2, 3):
        for p in (1, 2):
            name, smaller = gaussian_name(100_000, d, p), gaussian_name(10_000, d, p)
            targets = within_or_peer(150, 6, "POT", smaller, "POT at 10,000"), below_megabytes(1000), PROVEN
            yield Case(name, name, "transport", Problem(n=100_000, d=d, p=p), (), targets)


def degenerate() -> Iterator[Case]:
    """Ties, zeros and lumps, in the plane."""
    recipes = {
        "identical": ("identical clouds", "identical clouds"),
        "permuted": ("permuted cloud", "permuted cloud"),
        "clustered": ("clustered clouds", "clustered clouds"),
        "grid_whole": ("grid shifted by a cell", "grid shifted by a cell, by half a cell"),
        "grid_half": ("grid shifted by half a cell", "grid shifted by a cell, by half a cell"),
    }
    for n in (2_500, 10_000):
        for recipe, (name, row) in recipes.items():
            for p in (1, 2):
                row_of_all = f"{row}, 2,500 and 10,000 points"
                problem = Problem(recipe, n, 2, p)
                name_of_one = f"{name}, {n:,} points, W{p}"
                yield Case(name_of_one, row_of_all, "transport", problem, ("POT",), NO_SLOWER, quick=n < 10_000)
    for p in (1, 2):
        name, row = f"DOTmark 32 x 32 pair, W{p}", "DOTmark 32 x 32 pair as weights"
        yield Case(name, row, "transport", Problem("dotmark", 1_024, 2, p), ("POT",), NO_SLOWER, quick=True)


def on_the_line() -> Iterator[Case]:
    """`wasserstein_1d` against SciPy, which knows p = 1 only, and POT."""
    for recipe, weights in (("line", "uniform"), ("line_weighted", "weighted")):
        for p in (1, 2):
            peers = ("scipy", "POT") if p == 1 else ("POT",)
            targets = tuple(faster({"scipy": 10, "POT": 5}[peer], peer) for peer in peers)
            name = f"wasserstein_1d, 1,000,000 points, {weights}, W{p}"
            row = "wasserstein_1d, 1,000,000 points, uniform and weighted"
            yield Case(name, row, "line", Problem(recipe, 1_000_000, 1, p), peers, targets)


def minibatches() -> Iterator[Case]:
    """`couple` against the steps of TorchCFM's OTPlanSampler; no target was set, the ratio is for the reader."""
    for d in (2, 64):
        for batch in (256, 512, 1_024, 2_048, 4_096):
            name, row = f"couple, batch {batch:,}, d = {d}", f"couple, batches of 256 to 4,096, d = {d}"
            yield Case(name, row, "couple", Problem("gaussian32", batch, d, 2), ("TorchCFM",))


def start_up() -> Iterator[Case]:
    """What a fresh process waits for."""
    yield Case("import otgen", "import otgen, median of 5", "import", Problem(), (), (within(0.5),))
    for d in (2, 64):
        problem = Problem(d=d)
        cold, warm = "first solve, cold kernel cache", "first solve, warm kernel cache, over a later one"
        yield Case(f"{cold}, d = {d}", cold, "cold", problem, (), (within(20),))
        yield Case(f"{warm}, d = {d}", warm, "warm", problem, (), (within(0.5),))
