"""One solver on one case in a process of its own: a request as JSON on stdin, the figures as last line of stdout."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WARM_POINTS = 1_000  # enough for the coarser levels and the threads: every kernel of the case is loaded
BUDGET = 2.0  # seconds in which a solve is repeated, for the best of its times
REPEATS = 5


def main() -> None:
    """Answer the request; an error of the solver ends the process with its traceback."""
    request = json.load(sys.stdin)
    answer = timed_import() if request["task"] == "import" else timed_solve(request)
    print(json.dumps(answer))


def timed_import() -> dict[str, Any]:
    """Seconds of `import otgen` in this fresh interpreter, which has loaded no package yet."""
    start = time.perf_counter()
    import otgen  # noqa: F401

    return {"seconds": time.perf_counter() - start, "peak_mb": peak_mb()}


def timed_solve(request: dict[str, Any]) -> dict[str, Any]:
    """Best time of the solve, its facts, and the peak memory of the process: in all, and added after the imports."""
    from cases import Problem
    from clouds import inputs, part
    from solvers import SOLVERS

    task = request.pop("task")
    solve = SOLVERS[task, request.pop("solver")](request["p"])
    warm_only = request.pop("warm_only", False)
    baseline = peak_mb()
    full = inputs(Problem(**request))
    first = None
    if task in ("cold", "warm"):
        first = timed(lambda: solve(*full))[0]
    elif warm_only:
        return {"seconds": timed(lambda: solve(*part(full, WARM_POINTS)))[0]}
    else:
        solve(*part(full, WARM_POINTS))
    all_seconds, facts = repeated(lambda: solve(*full))
    answer = {"seconds": min(all_seconds), "all_seconds": all_seconds, **facts}
    if first is not None:
        answer |= {"seconds": first, "steady_seconds": min(all_seconds), "overhead_seconds": first - min(all_seconds)}
    peak = peak_mb()
    return {**answer, "peak_mb": peak, "added_mb": peak - baseline}


def repeated(run: Callable[[], Any], repeats: int = REPEATS) -> tuple[list[float], Any]:
    """Seconds of each run until the budget or the repeats are spent, and the answer of the last."""
    all_seconds: list[float] = []
    answer = None
    while not all_seconds or (len(all_seconds) < repeats and sum(all_seconds) < BUDGET):
        took, answer = timed(run)
        all_seconds.append(took)
    return all_seconds, answer


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of one run and its answer."""
    start = time.perf_counter()
    answer = run()
    return time.perf_counter() - start, answer


def peak_mb() -> float:
    """The most memory this process has held, in 1e6 bytes.

    Linux counts the parent's peak into a child's ru_maxrss (it survives exec), so there VmHWM is read instead.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


if __name__ == "__main__":
    main()
