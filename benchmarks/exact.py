"""The benchmark of the exact solver: otgen and its peers in one run, each solve in a process of its own.

python benchmarks/exact.py            all cases: a table, benchmarks/results/exact.json
python benchmarks/write_report.py       then puts them into benchmarks/REPORT.md and the README
"""

from __future__ import annotations

from pathlib import Path

import command
from cases import all_cases
from measure import measure
from report import Block

SUITE = command.Suite(
    what="otgen's exact solver",
    quick="the cases of about 2,000 points",
    block=Block("exact", proof="gap / scale", key="gap"),
    results=Path(__file__).with_name("results") / "exact.json",
    cases=all_cases,
    measure=measure,
)

if __name__ == "__main__":
    command.main(SUITE)
