"""`python -m soak`: cases by number, each reproduced by --seed and --case; counts by kind, non-zero on any failure.

The cases run in a child, so that one that crashes or hangs is a failure like any other, and the next goes on.
"""

from __future__ import annotations

import argparse
import json
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
import warnings
from typing import Any

LIMIT = 180.0  # seconds a case may take: one trains a network, another may compile kernels first
SHOWN = 40  # failures printed in full


def main() -> int:
    """Run what the command line says; 1 where anything failed."""
    options = parsed()
    if options.inside is not None:
        inside(options)
        return 0
    started, counts, failures = time.monotonic(), {}, []
    case, last = (0, None) if options.case is None else (options.case, options.case)
    print(f"seed {options.seed}, {options.seconds:g} s", flush=True)
    while time.monotonic() - started < options.seconds and (last is None or case <= last):
        case = watched(options, case, started, counts, failures)
    told(counts, failures, time.monotonic() - started)
    return 1 if failures or not counts else 0


def parsed() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="start no case after this many")
    parser.add_argument("--seed", type=int, default=0, help="of all cases")
    parser.add_argument("--case", type=int, help="run this one only")
    parser.add_argument("--kind", action="append", help="run these kinds only; repeatable")
    parser.add_argument("--inside", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.kind is None:
        return options
    from .kinds import KINDS

    unknown = set(options.kind) - set(KINDS)
    if unknown:
        parser.error(f"--kind must be one of {', '.join(KINDS)}; got {', '.join(sorted(unknown))}")
    return options


def watched(options: argparse.Namespace, case: int, started: float, counts: dict, failures: list) -> int:
    """Run cases from this one on in a child until it ends or has to be ended; the first case that has not run."""
    left = max(1.0, options.seconds - (time.monotonic() - started))
    command = [sys.executable, "-m", "soak", "--inside", str(case), "--seed", str(options.seed), "--seconds", str(left)]
    command += [word for kind in options.kind or () for word in ("--kind", kind)]
    command += [] if options.case is None else ["--case", str(options.case)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    lines: queue.Queue[str | None] = queue.Queue()
    assert child.stdout is not None
    threading.Thread(target=forwarded, args=(child.stdout, lines), daemon=True).start()
    running: dict[str, Any] | None = None
    try:
        while True:
            line = lines.get(timeout=LIMIT)
            if line is None:
                break
            said = json.loads(line)
            if "start" in said:
                running = said
                continue
            running, case = None, said["case"] + 1
            counted(counts, failures, options, **said)
    except queue.Empty:
        child.kill()
    code = child.wait()
    if running is None:
        if code:
            failures.append(f"FAIL the cases could not be run: the child exited with {code}")
            counts.setdefault("start", [1, 1, 0.0])
        return sys.maxsize if code == 0 or not counts else case
    why = f"ran for more than {LIMIT:g} s" if code == -signal.SIGKILL else f"ended the process with {code}"
    counted(counts, failures, options, running["start"], running["kind"], LIMIT, why)
    return running["start"] + 1


def forwarded(stream: Any, lines: queue.Queue[str | None]) -> None:
    """Put every line into the queue, then None."""
    for line in stream:
        lines.put(line)
    lines.put(None)


def counted(
    counts: dict, failures: list, options: argparse.Namespace, case: int, kind: str, seconds: float, failure: str | None
) -> None:
    """Count a case, and print it where it failed."""
    of = counts.setdefault(kind, [0, 0, 0.0])
    of[0], of[1], of[2] = of[0] + 1, of[1] + (failure is not None), of[2] + seconds
    if failure is not None:
        failures.append(f"FAIL {kind}: {failure}\n  again: make soak SEED={options.seed} CASE={case}")
        if len(failures) <= SHOWN:
            print(failures[-1], flush=True)


def told(counts: dict, failures: list, seconds: float) -> None:
    """Print how many cases of each kind ran and failed."""
    print(f"{'kind':<16}{'cases':>8}{'failures':>10}{'seconds':>10}")
    for kind, (cases, failed, spent) in sorted(counts.items()):
        print(f"{kind:<16}{cases:>8}{failed:>10}{spent:>10.1f}")
    total = sum(of[0] for of in counts.values())
    print(f"{total} cases, {len(failures)} failures, {seconds:.0f} s")


def inside(options: argparse.Namespace) -> None:
    """Run cases in this process, telling of each on stdout, which nothing else may write to."""
    import faulthandler
    import os

    import numpy as np

    from .kinds import KINDS, kind_of

    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    os.environ["OTGEN_SOAK"] = "1"
    told_to = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    ends, case = time.monotonic() + options.seconds, options.inside
    while time.monotonic() < ends and (options.case is None or case <= options.case):
        kind = kind_of(options.seed, case)
        if options.case is not None or options.kind is None or kind in options.kind:
            print(json.dumps({"start": case, "kind": kind}), file=told_to)
            start, failure = time.monotonic(), None
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error", RuntimeWarning)  # a NaN on its way
                    KINDS[kind][0](np.random.default_rng([options.seed, case]))
            except BaseException as error:
                where = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-2:]]
                failure = f"{type(error).__name__}: {str(error)[:600]} ({', '.join(where)})"
            done = {"case": case, "kind": kind, "seconds": time.monotonic() - start, "failure": failure}
            print(json.dumps(done), file=told_to)
        case += 1


if __name__ == "__main__":
    sys.exit(main())
