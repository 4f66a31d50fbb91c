"""What the semi-discrete benchmark measures: its cases, each with its peers and its targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec

from cases import Case, Problem, data_folder
from targets import Judge, accurate, at_share, below_megabytes, faster, honest, within

# What a peer imports; one that is missing is a line "not installed". sdot has an interpreter of its own.
PACKAGES: dict[str, tuple[str, ...]] = {
    "sdot": ("jax", "sdot"),
    "POT": ("ot",),
    "POT tuned": ("ot",),
    "Adam": (),
    "SGEMM": (),
}
EXACT = 1e-6  # relative, of the worst cell's mass
MASS, CHI2 = "mass error", "chi2"
COUNTED = 20_000  # points whose cells are counted


@dataclass(frozen=True)
class Map(Problem):
    """The input of one case: a recipe of clouds.py and what the error of the cells is to be: of the worst, or chi2.

    The source is uniform on a unit box: [0, 1]^d, or about the targets' mean in high dimension (clouds.domain).
    """

    recipe: str = "box"
    n: int = 10_000
    d: int = 2
    p: int = 2
    tol: float = EXACT


class CodesCase(Case):
    """A case whose targets are the codes of a trained autoencoder."""

    def missing(self) -> str:
        """Why this case cannot run here; empty where it can."""
        if find_spec("torch") is None:
            return "not installed: torch (make bench-semidiscrete installs it)"
        folder = data_folder() / "mnist"
        return "" if folder.is_dir() else f"no folder {folder}; set OTGEN_DATA to the folder that holds mnist"


def all_cases() -> list[Case]:
    """Every case, in the order of the table."""
    return [*exact(), *hard(), *monte_carlo(), *high_dimension(), *codes(), *counting()]


def exact() -> Iterator[Case]:
    """Newton's method on random targets in the unit square and cube."""
    limits: dict[tuple[int, int], tuple[Judge, ...]] = {
        (2, 10_000): (),
        (2, 100_000): (within(3),),
        (3, 10_000): (within(1),),
        (3, 100_000): (within(20),),
    }
    for (d, n), targets in limits.items():
        name = f"newton to 1e-6, {n:,} points, d = {d}"
        yield Case(name, name, "newton", Map(n=n, d=d), ("sdot",), (*targets, accurate(EXACT, MASS)), n < 100_000)


def hard() -> Iterator[Case]:
    """Targets that crowd or coincide: solved to 1e-6, or a message that says why not."""
    rows = {
        ("blobs", 10_000): "ten blobs of sd 0.01, 10,000 points",
        ("diagonal", 1_000): "on a line, 1,000 points",
        ("diagonal", 10_000): "on a line, 10,000 points",
        ("duplicates", 10_000): "10,000 points, 1,000 of them distinct",
    }
    for (recipe, n), row in rows.items():
        name = f"newton to 1e-6, d = 2, {row}"
        yield Case(name, name, "newton", Map(recipe, n), ("sdot",), (honest(),), quick=True)


def monte_carlo() -> Iterator[Case]:
    """Monte Carlo in the plane, where POT answers too."""
    for n, tol, seconds in ((1_000, 0.11, 0.5), (1_000, 0.01, 3), (10_000, 0.01, 30)):
        name = f"monte_carlo to chi2 {tol:g}, {n:,} points, d = 2"
        targets = within(seconds), accurate(tol, CHI2)
        yield Case(name, name, "monte_carlo", Map(n=n, tol=tol), ("POT", "POT tuned"), targets)


def high_dimension() -> Iterator[Case]:
    """A mixture of ten normal distributions of spreads 0.2 to 0.8, beside the plain algorithm of the literature."""
    name, targets = "monte_carlo to chi2 0.01, 10,000 points, d = 64", (within(40), accurate(0.01, CHI2))
    problem = Map("mixture", d=64, tol=0.01)
    yield Case(name, name, "monte_carlo", problem, ("Adam",), (*targets, faster(5, "Adam")))


def codes() -> Iterator[Case]:
    """The codes of an autoencoder of MNIST, trained in set-up."""
    name, targets = "monte_carlo to chi2 0.05, 60,000 MNIST codes, d = 64", (within(900), accurate(0.05, CHI2))
    problem = Map("codes", 60_000, 64, tol=0.05)
    yield CodesCase(name, name, "monte_carlo", problem, (), (*targets, below_megabytes(2_000)))


def counting() -> Iterator[Case]:
    """The inner loop of Monte Carlo: the points in each cell, against the matrix product that it holds."""
    name = f"counts of {COUNTED:,} points in 10,000 cells, d = 64"
    targets = (at_share(0.75, "SGEMM"), accurate(1e-3, "share in a wrong cell"))
    yield Case(name, name, "counts", Map("mixture", d=64), ("SGEMM",), targets, quick=True)
