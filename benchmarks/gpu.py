"""The benchmark of the CUDA kernels: otgen on one GPU, its peers on the same in the same run, and the roofline.

python benchmarks/gpu.py                     all rows, into benchmarks/results/gpu-DEVICE.json
python benchmarks/gpu.py --only soft         rows whose name holds this word; repeatable
python benchmarks/gpu.py --scale 0.01        clouds a hundredth as large: a test of the script, not a figure

Seconds are the median of repeated calls between two waits for the device, after calls that compile. `roof` is the time
that the busiest unit of the chip would need at its full rate for what the kernel has to do, by the counts beside each
row: exponentials at 16 a cycle and multiprocessor, matrix products at the TF32 rate that torch reaches on this card.
Errors are those of some rows against float64. Peers that are not installed (pykeops, geomloss, flash_sinkhorn, POT)
are named as missing. Tables say what was measured; a target that was missed stays in them.
"""

from __future__ import annotations

import argparse
import gc
import json
import re
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gpu_cases
import machine
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).with_name("results")
BUDGET, MOST = 1.0, 20  # seconds and calls that a figure is the median of, after the first


def timed(call: Callable[[], Any], wait: Callable[[], None]) -> tuple[float, Any]:
    """Median seconds of a call, the first left out where it is short, and what the last one returned."""
    took: list[float] = []
    answer = None
    while len(took) < 2 or (sum(took[1:]) < BUDGET and len(took) <= MOST):
        wait()
        start = time.perf_counter()
        answer = call()
        wait()
        took.append(time.perf_counter() - start)
        if took[0] > 30.0:
            return took[0], answer
    return statistics.median(took[1:]), answer


def measure(case: gpu_cases.Case, chip: gpu_cases.Chip) -> dict[str, Any]:
    """The record of one row: otgen's seconds, error and verdicts, and each peer's seconds or why there are none."""
    record: dict[str, Any] = {"case": case.name, "work": case.work, "roof": case.roof, "runs": {}}
    for name, make in {"otgen": case.otgen, **case.peers}.items():
        try:
            call = make()
            if case.once:
                start = time.perf_counter()
                answer = call()
                chip.wait()
                seconds = time.perf_counter() - start
            else:
                seconds, answer = timed(call, chip.wait)
                seconds = float(answer) if isinstance(answer, gpu_cases.Measured) else seconds
            run = {"seconds": seconds}
            if name == "otgen":
                run |= case.judge(answer)
        except ImportError as error:
            run = {"error": f"not installed: {error.name}"}
        except Exception as error:  # a peer that fails, of memory for one, is a figure too
            if name == "otgen":
                raise
            run = {"error": f"{type(error).__name__}: {str(error)[:200]}"}
        record["runs"][name] = run
        answer = call = None
        gc.collect()
        chip.free()
    record["targets"] = case.verdicts(record["runs"])
    return record


def show(document: dict[str, Any], console: Console) -> None:
    """One line a row and peer."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("case", "otgen s", "of the roof", "error", "peer", "peer s", "ratio", "target"):
        table.add_column(head, no_wrap=head == "case")
    for record in document["records"]:
        own = record["runs"]["otgen"]
        verdicts = "; ".join(f"{v['text']}: {'met' if v['met'] else 'MISSED'}" for v in record["targets"])
        for peer in [name for name in record["runs"] if name != "otgen"] or [""]:
            run = record["runs"].get(peer, {})
            theirs = run.get("seconds")
            share = f"{record['roof'] / own['seconds']:.0%}" if record["roof"] else ""
            table.add_row(
                record["case"], f"{own['seconds']:.4g}", share,
                f"{own['error']:.1e}" if own.get("error") is not None else "", peer,
                f"{theirs:.4g}" if theirs else run.get("error", ""), f"{theirs / own['seconds']:.3g}" if theirs else "",
                verdicts,
            )  # fmt: skip
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="WORD", help="rows whose name holds it")
    parser.add_argument("--scale", type=float, default=1.0, help="of the clouds' sizes")
    parser.add_argument("--out", type=Path, help="the file of the figures")
    given = parser.parse_args()
    chip, console = gpu_cases.Chip.present(), Console()
    records, failed = [], []
    described = machine.describe(("torch", "cupy-cuda13x", "cupy-cuda12x", "pykeops", "geomloss", "flash-sinkhorn"))
    document = {**described, "gpu": chip.facts(), "scale": given.scale, "records": records}
    slug = re.sub(r"[^a-z0-9]+", "-", chip.name.lower()).strip("-")
    out = given.out or RESULTS / f"gpu-{slug}.json"
    for case in gpu_cases.cases(chip, given.scale):
        if given.only and not any(word in case.name for word in given.only):
            continue
        try:
            records.append(measure(case, chip))
        except Exception:  # the rows after it are still worth their device time
            traceback.print_exc()
            failed.append(case.name)
            continue
        out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")  # a run cut short keeps its rows
        console.print(f"{case.name}: {records[-1]['runs']['otgen']}", highlight=False)
    show(document, console)
    if failed:
        sys.exit(f"failed: {'; '.join(failed)}")


if __name__ == "__main__":
    main()
