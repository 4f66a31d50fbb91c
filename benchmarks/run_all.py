"""Every benchmark, one after the other, and the report; a peer that is not installed is a line that says so.

python benchmarks/run_all.py            hours: all cases into benchmarks/results/, then benchmarks/REPORT.md
python benchmarks/run_all.py --quick    minutes: the small cases into runs/bench/, with a REPORT.md of their own

`make bench` and `make bench QUICK=1`. A benchmark that fails does not keep the others from running; the exit status
is then 1. That of the GPU runs where CuPy finds one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
QUICK = HERE.parent / "runs" / "bench"
SMALL = {
    "training": ("--steps", "20", "--rounds", "2"),
    "models": ("--only", "8gaussians/aeot", "--only", "25gaussians/aeot"),
}
"""The options that make a benchmark without --quick a short one."""


def commands(quick: bool) -> dict[str, list[str]]:
    """The command of each benchmark, by its name."""
    found = {}
    for name in ("exact", "entropic", "semidiscrete", "discrepancies", "training", "models"):
        options = [*SMALL.get(name, ("--quick",)), "--out", str(QUICK / f"{name}.json")] if quick else []
        found[name] = [sys.executable, str(HERE / f"{name}.py"), *options]
    if has_gpu():
        options = ["--scale", "0.01", "--out", str(QUICK / "gpu-quick.json")] if quick else []
        found["gpu"] = [sys.executable, str(HERE / "gpu.py"), *options]
    return found


def has_gpu() -> bool:
    """Whether CuPy is there and finds a device."""
    if find_spec("cupy") is None:
        return False
    import cupy  # pyright: ignore[reportMissingImports]

    try:
        return cupy.cuda.runtime.getDeviceCount() > 0
    except cupy.cuda.runtime.CUDARuntimeError:
        return False


def main(arguments: list[str] | None = None) -> int:
    """Run them; the number of those that failed decides the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the small cases, into runs/bench/")
    quick = parser.parse_args(arguments).quick
    if quick:
        QUICK.mkdir(parents=True, exist_ok=True)
    failed = []
    for name, command in commands(quick).items():
        print(f"== {name}", file=sys.stderr, flush=True)
        if subprocess.run(command).returncode:
            failed.append(name)
    report = [sys.executable, str(HERE / "write_report.py"), *(("--results", str(QUICK)) if quick else ())]
    if subprocess.run(report).returncode:
        failed.append("write_report")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
