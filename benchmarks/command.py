"""The command that every benchmark shares: measure the cases asked for, judge, print, and write the figures."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine
import report
from cases import Case
from rich.console import Console


@dataclass(frozen=True)
class Suite:
    """One benchmark: its cases, how one of them is measured, and where its figures go."""

    what: str  # for --help
    quick: str  # what --quick keeps
    block: report.Block
    results: Path
    cases: Callable[[], list[Case]]
    measure: Callable[[Case], dict[str, Any]]
    packages: tuple[str, ...] = ()  # peers, whose versions are told besides those of machine.PACKAGES
    elsewhere: Callable[[], dict[str, str | None]] = dict  # versions of peers that another interpreter runs


def main(suite: Suite, arguments: list[str] | None = None) -> None:
    """Measure what was asked for, print it, and write it where it belongs; no timing decides the exit code."""
    options = _parser(suite).parse_args(arguments)
    out = options.out or suite.results
    everything = not options.quick and not options.only
    document = load(out) if options.show or options.merge else None
    if options.show and document is None:
        raise SystemExit(f"error: nothing to show, {out} does not exist. Run without --show first.")
    saved = everything or options.merge or options.out
    if not options.show:
        all_cases = suite.cases()
        selected = [case for case in all_cases if (case.quick or not options.quick) and (options.only in case.name)]
        if not selected:
            names = "\n  ".join(case.name for case in all_cases)
            raise SystemExit(f"error: no case has {options.only!r} in its name. The names are:\n  {names}")
        document, complete = run(suite, selected, document)
        if saved and (complete or options.merge or options.out):
            save(out, document)
        else:
            _say("not written: only a part was measured; --merge puts it into the JSON, --out FILE elsewhere")
    assert document is not None
    report.show(document, suite.block, Console(width=None if sys.stdout.isatty() else 200))


def run(suite: Suite, selected: Iterable[Case], previous: dict[str, Any] | None = None) -> tuple[dict[str, Any], bool]:
    """Measure the cases and judge all records, those of `previous` included; False where Ctrl-C cut it short.

    Raises SystemExit where `previous` was measured on another machine or with other versions.
    """
    selected = list(selected)
    document: dict[str, Any] = {**machine.describe(suite.packages), "records": [], "skipped": {}}
    document["versions"] |= suite.elsewhere()
    if previous is not None:
        _check_same(previous, document)
        document["records"] = previous["records"]
    records = {record["case"]: record for record in document["records"]}
    complete = True
    try:
        for count, case in enumerate(selected, start=1):
            _say(f"[{count}/{len(selected)}] {_measure_into(records, suite, case, document['commit'])}")
    except KeyboardInterrupt:
        _say("interrupted: what was measured until now is shown")
        complete = False
    document["records"] = judged(records, [*suite.cases(), *selected])
    document["skipped"] = {case.row: why for case in selected if (why := case.missing()) and case.name not in records}
    return document, complete


def _measure_into(records: dict[str, Any], suite: Suite, case: Case, commit: str) -> str:
    if why := case.missing():
        return f"{case.name}: skipped, {why}"
    start = time.perf_counter()
    records[case.name] = suite.measure(case) | {"commit": commit}
    return f"{report.progress_line(records[case.name])} ({time.perf_counter() - start:.0f} s with set-up)"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def judged(records: dict[str, Any], cases: list[Case]) -> list[dict[str, Any]]:
    """The records in the order of the cases, each with its verdicts; one whose case is gone is dropped."""
    ordered = []
    for case in {case.name: case for case in cases}.values():
        if case.name in records:
            record = _with_differences(records[case.name])
            ordered.append(record | {"targets": [judge(record, records) for judge in case.targets]})
    return ordered


def _with_differences(record: dict[str, Any]) -> dict[str, Any]:
    """Each peer's value minus otgen's, as a part of the scale: they are to have solved the same problem."""
    own = record["runs"]["otgen"]
    for name, run_of_peer in record["runs"].items():
        if name != "otgen" and "value" in own and "value" in run_of_peer:
            scale = own.get("scale") or abs(own["value"]) or 1.0
            run_of_peer["difference"] = (run_of_peer["value"] - own["value"]) / scale
    return record


def load(path: Path) -> dict[str, Any] | None:
    """The figures of an earlier run, None where there are none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def save(path: Path, document: dict[str, Any]) -> None:
    """Write the figures; the file is read by people too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _check_same(previous: dict[str, Any], document: dict[str, Any]) -> None:
    different = machine.differences(previous, document)
    if different:
        raise SystemExit(
            f"error: --merge would mix machines or versions ({'; '.join(different)}). Run all cases without --merge."
        )


def _parser(suite: Suite) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=f"{suite.what} beside its peers")
    parser.add_argument("--quick", action="store_true", help=f"only {suite.quick}")
    parser.add_argument("--only", default="", metavar="SUBSTRING", help="only the cases with this in their name")
    parser.add_argument("--merge", action="store_true", help="update the measured cases in the JSON, keep the others")
    parser.add_argument("--show", action="store_true", help="measure nothing, print the JSON as a table")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write (and merge into, show) this file instead")
    return parser
