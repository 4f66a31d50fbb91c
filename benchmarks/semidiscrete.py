"""The benchmark of semi-discrete transport: otgen and its peers in one run, each solve in a process of its own.

python benchmarks/semidiscrete.py            all cases: a table, benchmarks/results/semidiscrete.json
python benchmarks/write_report.py       then puts them into benchmarks/REPORT.md and the README
python benchmarks/semidiscrete.py --only newton      also: monte_carlo, codes, counts

`make bench-semidiscrete` installs the peers first. sdot needs Python >= 3.12: OTGEN_SDOT_PYTHON names an interpreter
that has it and jax, else that of .venv/sdot is asked. A peer that is not installed is a line that says so. Errors of
masses are found anew from the heights, in float64 and by Qhull; a peer that did not reach the case's tolerance counts
with the seconds it took, as a bound from below.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import command
from cases import Case
from machine import ROOT
from measure import in_child
from report import Block
from semidiscrete_cases import PACKAGES, all_cases

CHILD, CODES = (Path(__file__).with_name(f"semidiscrete_{name}.py") for name in ("child", "codes"))
LIMIT = 1_800.0  # seconds of a process: otgen's own limit is 900, and the check of the largest case takes minutes
PEER_LIMIT = 900.0
CACHE_POINTS = 600  # enough for every kernel of a case
STEPS = (100, 300, 900, 2_700)  # of POT, the fewest that do being the ones compared
SLACK = 1.1  # a peer's tolerance may be of another norm or rounding; otgen's is judged as it stands
CODES_FILE = Path(tempfile.gettempdir()) / "otgen-bench-mnist-codes-v1-{d}.npy"


def measure(case: Case) -> dict[str, Any]:
    """The record of one case, without verdicts: for otgen and each peer its seconds, memory and facts, or its error."""
    extra = {"codes": _codes(case.problem.d)} if case.problem.recipe == "codes" else {}
    _fill(case.task, case.problem.d)
    runs = {"otgen": _ask(case, "otgen", extra, LIMIT)}
    for peer in case.peers:
        runs[peer] = _peer(case, peer, extra)
    record = {"case": case.name, "row": case.row, "task": case.task, **asdict(case.problem), "runs": runs}
    return record | {"date": time.strftime("%Y-%m-%d %H:%M")}


def _peer(case: Case, peer: str, extra: dict[str, Any]) -> dict[str, Any]:
    if peer == "sdot":
        absent = [package for package, version in sdot_versions().items() if version is None]
    else:
        absent = [package for package in PACKAGES[peer] if find_spec(package) is None]
    if absent:
        return {"error": f"not installed: {', '.join(absent)} (make bench-semidiscrete installs the peers)"}
    if peer == "POT tuned":
        return _first_that_reaches(case, peer, extra)
    return _checked(case, _ask(case, peer, extra, PEER_LIMIT, sdot_python() if peer == "sdot" else sys.executable))


def _first_that_reaches(case: Case, peer: str, extra: dict[str, Any]) -> dict[str, Any]:
    """POT's fastest run whose error is the case's, or the longest that it was given."""
    run: dict[str, Any] = {}
    for steps in STEPS:
        if run.get("seconds", 0.0) * STEPS[1] / STEPS[0] > PEER_LIMIT:
            break
        run = _checked(case, _ask(case, peer, extra | {"steps": steps}, PEER_LIMIT))
        if "error" not in run or "error_found" not in run:
            break
    return run


def _checked(case: Case, run: dict[str, Any]) -> dict[str, Any]:
    """A peer that missed the tolerance has an error, and the seconds it took as a bound."""
    tol, found = getattr(case.problem, "tol"), run.get("error_found")  # noqa: B009
    if found is not None and not found <= SLACK * tol:
        run |= {
            "error": f"its error is {found:.2g}, not {tol:g}, after {run['seconds']:.3g} s",
            "limit": run["seconds"],
        }
    return run


def _ask(case: Case, solver: str, extra: dict[str, Any], limit: float, python: str = sys.executable) -> dict[str, Any]:
    return in_child(case.request(solver) | {"extra": extra}, script=CHILD, limit=limit, python=python)


def sdot_python() -> str:
    """The interpreter that has sdot, where there is one."""
    return os.environ.get("OTGEN_SDOT_PYTHON") or str(ROOT / ".venv" / "sdot" / "bin" / "python")


@cache
def sdot_versions() -> dict[str, str | None]:
    """The versions of what the peer sdot imports, None for what its interpreter lacks."""
    return {package: _version(sdot_python(), package) for package in PACKAGES["sdot"]}


def _version(python: str, package: str) -> str | None:
    ask = [python, "-c", f"from importlib.metadata import version; print(version({package!r}))"]
    try:
        done = subprocess.run(ask, capture_output=True, text=True, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


@cache
def _codes(d: int) -> str:
    """The file of the autoencoder's codes, which is trained where there is none."""
    path = Path(str(CODES_FILE).format(d=d))
    if not path.exists():
        answer = in_child({"d": d, "path": str(path)}, script=CODES, limit=LIMIT)
        if "error" in answer:
            raise RuntimeError(f"the autoencoder could not be trained: {answer['error']}")
    return str(path)


@cache
def _fill(task: str, d: int) -> None:
    """Compile into the kernel cache in a process of its own: the compiler's time and memory are not the solver's."""
    tol = 1e-6 if task == "newton" else 0.1
    recipe = "box" if d <= 3 else "mixture"
    in_child(
        {"task": task, "solver": "otgen", "recipe": recipe, "n": CACHE_POINTS, "d": d, "p": 2, "tol": tol}, script=CHILD
    )


SUITE = command.Suite(
    what="otgen's semi-discrete transport",
    quick="the exact cases of up to 10,000 points and the counts",
    block=Block("semidiscrete", proof="error", key="error_found"),
    results=Path(__file__).with_name("results") / "semidiscrete.json",
    cases=all_cases,
    measure=measure,
    packages=("torch",),
    elsewhere=sdot_versions,
)

if __name__ == "__main__":
    command.main(SUITE)
