"""One solver on one case of the discrepancies' benchmark, in a process of its own: JSON on stdin, JSON as last line."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from child import peak_mb, repeated
from discrepancies_gaussian import frechet
from discrepancies_kernels import energy, mmd, permutations
from discrepancies_pairwise import pairwise
from discrepancies_sliced import sliced

# task -> the call to time, and the share of the work that it does
TASKS: dict[str, Any] = {
    "mmd": mmd,
    "energy": energy,
    "permutations": permutations,
    "sliced": sliced,
    "frechet": frechet,
    "pairwise": pairwise,
}
REPEATS = 3


def main() -> None:
    """Answer the request; an error of the solver ends the process with its traceback."""
    request = json.load(sys.stdin)
    made = TASKS[request["task"]](request["solver"], request["n"], request["d"])
    call, facts = made if isinstance(made, tuple) else (made, {})
    share, check = facts.pop("share", 1.0), facts.pop("check", None)
    baseline = peak_mb()  # the inputs, the library, and what a small problem of the kind took
    all_seconds, answer = repeated(call, REPEATS)
    all_seconds = [seconds / share for seconds in all_seconds]
    peak = peak_mb()
    facts |= {"seconds": min(all_seconds), "all_seconds": all_seconds, "peak_mb": peak, "added_mb": peak - baseline}
    if check is not None:
        facts["error_found"] = check(answer)
    elif answer is not None:
        facts["value"] = np.asarray(answer, float).tolist()
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
