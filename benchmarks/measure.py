"""Measure one case: every solver in child processes of its own, so that neither memory nor caches leak between them."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

from cases import Case

CHILD = Path(__file__).with_name("child.py")
LIMIT = 1200.0  # seconds a child may take
# POT imports every array library it finds; the memory of those it does not use here is not charged to it.
WITHOUT_BACKENDS = {f"POT_BACKEND_DISABLE_{name}": "1" for name in ("PYTORCH", "JAX", "CUPY", "TENSORFLOW")}


def measure(case: Case) -> dict[str, Any]:
    """The record of one case, without verdicts: for otgen and each peer its seconds, memory and facts, or its error."""
    run = {"import": _import, "cold": _cold, "warm": _warm}.get(case.task, _solve)
    runs = {"otgen": run(case)}
    for peer in case.peers:
        runs[peer] = in_child(case.request(peer))
    record = {"case": case.name, "row": case.row, "task": case.task, **_problem(case), "runs": runs}
    return record | {"date": time.strftime("%Y-%m-%d %H:%M")}


def in_child(
    request: dict[str, Any], cache_folder: str | None = None, *, script: Path = CHILD, limit: float = LIMIT,
    python: str = sys.executable,
) -> dict[str, Any]:  # fmt: skip
    """Answer of one child process; where it fails or takes too long, `{"error": why}`."""
    environment = os.environ | WITHOUT_BACKENDS
    if cache_folder is not None:
        environment["NUMBA_CACHE_DIR"] = cache_folder
    try:
        done = subprocess.run(
            [python, str(script)],
            input=json.dumps(request), env=environment, capture_output=True, text=True, timeout=limit, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"error": f"no answer within {limit:.0f} s", "limit": limit}
    if done.returncode:
        said = done.stderr.strip().splitlines()
        return {"error": said[-1] if said else f"exit status {done.returncode}"}
    return json.loads(done.stdout.splitlines()[-1])


def _problem(case: Case) -> dict[str, Any]:
    request = case.request("")
    return {} if case.task == "import" else {key: request[key] for key in ("recipe", "n", "d", "p")}


def _solve(case: Case) -> dict[str, Any]:
    request = case.request("otgen")
    _fill_cache(request["task"], request["recipe"], request["d"], request["p"])
    return in_child(request)


@cache
def _fill_cache(task: str, recipe: str, d: int, p: int) -> None:
    """Compile into the kernel cache in a process of its own: the compiler's memory is not the solver's."""
    in_child(
        {"task": task, "solver": "otgen", "recipe": recipe, "n": 1_024, "d": d, "p": p, "warm_only": True},
    )


def _import(case: Case) -> dict[str, Any]:
    return _median([in_child(case.request("otgen")) for _ in range(5)], "seconds")


def _cold(case: Case) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="otgen-bench-") as folder:
        return in_child(case.request("otgen"), folder)


def _warm(case: Case) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="otgen-bench-") as folder:
        in_child(case.request("otgen"), folder)
        return _median([in_child(case.request("otgen"), folder) for _ in range(3)], "overhead_seconds")


def _median(answers: list[dict[str, Any]], key: str) -> dict[str, Any]:
    for answer in answers:
        if "error" in answer:
            return answer
    all_seconds = [answer[key] for answer in answers]
    return {**answers[0], "seconds": statistics.median(all_seconds), "all_seconds": all_seconds}
