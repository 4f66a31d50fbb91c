"""The benchmark of MMD, energy, sliced, Gaussian and pairwise distances: otgen and its peers, each in its own process.

python benchmarks/discrepancies.py            all cases: a table, benchmarks/results/discrepancies.json
python benchmarks/write_report.py       then puts them into benchmarks/REPORT.md and the README
python benchmarks/discrepancies.py --only MMD    also: energy, sliced, permutations, Frechet, pairwise

Peers that would take hours, or more memory than there is, do a part of the work and count with the whole (their row
says so). The error is of otgen's answer: against float64 loops over some rows, or the peer's answer to the same.
"""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import command
import numpy as np
from cases import Case
from discrepancies_cases import PACKAGES, all_cases
from measure import in_child
from report import Block

CHILD = Path(__file__).with_name("discrepancies_child.py")
LIMIT = 1_200.0  # seconds of a process


def measure(case: Case) -> dict[str, Any]:
    """The record of one case, without verdicts: for otgen and each peer its seconds, memory and facts, or its error."""
    _fill(case.task, case.problem.d)
    runs = {"otgen": in_child(case.request("otgen"), script=CHILD, limit=LIMIT)}
    for peer in case.peers:
        absent = [package for package in PACKAGES[peer] if find_spec(package) is None]
        if absent:
            runs[peer] = {"error": f"not installed: {', '.join(absent)} (make bench-discrepancies installs the peers)"}
        else:
            runs[peer] = in_child(case.request(peer), script=CHILD, limit=LIMIT, python=sys.executable)
    _compare(runs)
    record = {"case": case.name, "row": case.row, "task": case.task, **asdict(case.problem), "runs": runs}
    return record | {"date": time.strftime("%Y-%m-%d %H:%M")}


def _compare(runs: dict[str, Any]) -> None:
    """Where a peer answered the same question: how far apart the answers are, of the largest."""
    ours = runs["otgen"].pop("value", None)
    for peer, run in runs.items():
        theirs = run.pop("value", None) if peer != "otgen" else None
        if ours is not None and theirs is not None:
            one, other = np.asarray(ours, float), np.asarray(theirs, float)
            run["difference"] = float(np.abs(one - other).max() / np.abs(other).max())
            runs["otgen"].setdefault("error_found", run["difference"])


@cache
def _fill(task: str, d: int) -> None:
    """Compile into the kernel cache in a process of its own: the compiler's time and memory are not the solver's."""
    in_child(
        {"task": task, "solver": "otgen", "recipe": "", "n": 300 if d < 1_000 else 8, "d": d, "p": 2}, script=CHILD
    )


SUITE = command.Suite(
    what="otgen's MMD, energy, sliced, Gaussian and pairwise distances",
    quick="permutations and pairwise distances",
    block=Block("discrepancies", proof="error", key="error_found"),
    results=Path(__file__).with_name("results") / "discrepancies.json",
    cases=all_cases,
    measure=measure,
    packages=("torch",),
)

if __name__ == "__main__":
    command.main(SUITE)
