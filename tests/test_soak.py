"""The soak runs, counts, and tells a failure so that it can be had again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import otgen
from soak import kinds, oracles, transports

TESTS = Path(__file__).resolve().parent
QUICK = ("points", "matrix", "entropic", "line", "energy", "gaussian", "refusal", "couple", "full disk", "fork")


def soak(*options: object, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "soak", *map(str, options)]
    return subprocess.run(command, env=os.environ | {"PYTHONPATH": path} | environment, capture_output=True, text=True)


def test_some_seconds_of_it_find_nothing() -> None:
    done = soak("--seconds", 3, "--seed", 5, *(word for kind in QUICK for word in ("--kind", kind)))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout and ", 0 failures, " in done.stdout.splitlines()[-1]


def test_a_case_is_the_same_again() -> None:
    assert [kinds.kind_of(3, case) for case in range(50)] == [kinds.kind_of(3, case) for case in range(50)]
    case = next(case for case in range(1000) if kinds.kind_of(3, case) == "refusal")
    done = soak("--seed", 3, "--case", case)
    assert done.returncode == 0 and done.stdout.splitlines()[-1].startswith("1 cases, 0 failures")
    assert "refusal" in done.stdout


def test_a_failure_and_a_crash_are_told_with_what_reproduces_them(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, otgen\n"
        "if 'SOAK_WRONG' in os.environ: otgen.energy_distance_squared = lambda *_: -1.0\n"
        "if 'SOAK_CRASH' in os.environ: otgen.energy_distance_squared = lambda *_: os._exit(7)\n"
    )
    case = next(case for case in range(1000) if kinds.kind_of(0, case) == "energy")
    for name, why in (
        ("SOAK_WRONG", "Wrong: the energy distance: -"),  # less than nothing, in the units of the case
        ("SOAK_CRASH", "ended the process with 7"),
    ):
        path = os.pathsep.join([str(tmp_path), str(TESTS)])
        done = soak("--case", case, PYTHONPATH=path, **{name: "1"})
        assert done.returncode == 1, done.stdout + done.stderr
        assert f"FAIL energy: {why}" in done.stdout and f"again: make soak SEED=0 CASE={case}" in done.stdout


def test_an_unknown_kind_is_refused() -> None:
    done = soak("--kind", "nothing")
    assert done.returncode == 2 and "--kind must be one of points, matrix" in done.stderr


def test_a_wrong_certificate_is_seen(rng: np.random.Generator) -> None:
    x, y = rng.random((6, 2)), rng.random((5, 2))
    C, a, b = oracles.costs(x, y, "euclidean", 2.0), np.full(6, 1 / 6), np.full(5, 0.2)
    result = otgen.solve_sample(x, y)
    oracles.certificate(result, C, a, b, 1.0, np.dtype(np.float64))
    with pytest.raises(oracles.Wrong, match="value against the plan's cost"):
        oracles.certificate(result, C + 0.5 * (C == C.min()) + 0.1, a, b, 1.0, np.dtype(np.float64))
    other = otgen.solve(C.max() - C)  # optimal, for another problem
    with pytest.raises(oracles.Wrong):
        oracles.certificate(other, C, a, b, 1.0, np.dtype(np.float64))
    near = oracles.linear_program(C, a, b)
    assert near is not None and abs(near - result.value) < 1e-9
    with pytest.raises(oracles.Wrong, match="not refused"):
        transports.refused(lambda: 1, "anything")
