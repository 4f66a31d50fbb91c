"""The benchmark of entropic transport: otgen and its peers in one run, each solve in a process of its own.

python benchmarks/entropic.py            all cases: a table, benchmarks/results/entropic.json
python benchmarks/write_report.py       then puts them into benchmarks/REPORT.md and the README

`make bench-entropic` installs the peers first: pip install -e '.[bench]' --constraint constraints.txt. A peer that is
not installed is a line that says so. A peer is cut off after PEER_LIMIT seconds, which then count as its time.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import command
import float64
import numpy as np
from cases import Case
from clouds import inputs
from entropic_cases import all_cases, packages
from entropic_divergence import AGREES, SCALINGS
from measure import LIMIT, in_child
from report import Block

CHILD = Path(__file__).with_name("entropic_child.py")
PEER_LIMIT = 90.0  # seconds of a peer's process: several times what its target needs
CACHE_POINTS = 2_048  # enough for every kernel of a case
# A solve counts where its true error is this part above its tolerance at most: peers round their own in float32.
SLACK = 1.1


def measure(case: Case) -> dict[str, Any]:
    """The record of one case, without verdicts: for otgen and each peer its seconds, memory and facts, or its error."""
    with tempfile.TemporaryDirectory(prefix="otgen-bench-") as folder:
        extra = {"potentials": _potentials(case, Path(folder))} if case.task == "half-step" else {}
        _fill_cache(case)
        runs = {"otgen": _ask(case, "otgen", extra, LIMIT)}
        for peer in case.peers:
            runs[peer] = _peer(case, peer, extra, runs["otgen"])
    for run in runs.values():
        _check_error(case, run)
    record = {"case": case.name, "row": case.row, "task": case.task, **asdict(case.problem), "runs": runs}
    return record | {"date": time.strftime("%Y-%m-%d %H:%M")}


def _peer(case: Case, peer: str, extra: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    absent = [package for package in packages(peer) if find_spec(package) is None]
    if absent:
        return {"error": f"not installed: {', '.join(absent)} (make bench-entropic installs the peers)"}
    if case.task == "divergence":
        return _first_scaling_that_agrees(case, peer, own.get("value"))
    return _ask(case, peer, extra, PEER_LIMIT)


def _first_scaling_that_agrees(case: Case, peer: str, value: float | None) -> dict[str, Any]:
    """GeomLoss's fastest run whose value is otgen's to AGREES."""
    if value is None:
        return {"error": "otgen has no value to agree with"}
    off = {}
    for scaling in SCALINGS:
        run = _ask(case, peer, {"scaling": scaling}, PEER_LIMIT)
        if "error" in run:
            return run
        off[scaling] = run["value"] / value - 1
        if abs(off[scaling]) <= AGREES:
            return run | {"scaling": scaling}
    return {"error": "no scaling agrees: " + ", ".join(f"{k:g} is off by {v:.1e}" for k, v in off.items())}


def _ask(case: Case, solver: str, extra: dict[str, Any], limit: float) -> dict[str, Any]:
    return in_child(case.request(solver) | {"extra": extra}, script=CHILD, limit=limit)


def _check_error(case: Case, run: dict[str, Any]) -> None:
    """A peer that says that it is there and is not has not answered; its seconds are kept for the reader."""
    tol = getattr(case.problem, "tol", None)
    if tol is not None and "error" not in run and not run["error_found"] <= SLACK * tol:
        run["error"] = f"its marginal error is {run['error_found']:.1e}, not {tol:g}, after {run['seconds']:.3g} s"


def _potentials(case: Case, folder: Path) -> str:
    """Potentials of a running loop, the same for all solvers of a case, in a file."""
    x, y, _, _ = inputs(case.problem)
    mean = float64.mean_cost(x, y)
    f, g = float64.annealed_potentials(x, y, getattr(case.problem, "eps") * mean, mean)  # noqa: B009
    path = folder / "potentials.npz"
    np.savez(path, f=f, g=g)
    return str(path)


def _fill_cache(case: Case) -> None:
    """Compile into the kernel cache in a process of its own: the compiler's time and memory are not the solver's."""
    if case.task != "half-step":  # which warms itself
        _fill(case.task, case.problem.recipe, min(case.problem.n, CACHE_POINTS), case.problem.d)


@cache
def _fill(task: str, recipe: str, n: int, d: int) -> None:
    request = {"task": task, "solver": "otgen", "recipe": recipe, "n": n, "d": d, "p": 2, "eps": 0.01}
    in_child(request, script=CHILD)


SUITE = command.Suite(
    what="otgen's entropic transport",
    quick="the cases of 2,000 points",
    block=Block("entropic", proof="error", key="error_found", difference=float("inf")),
    results=Path(__file__).with_name("results") / "entropic.json",
    cases=all_cases,
    measure=measure,
    packages=("torch", "ott-jax", "jax", "pykeops", "geomloss"),
)

if __name__ == "__main__":
    command.main(SUITE)
