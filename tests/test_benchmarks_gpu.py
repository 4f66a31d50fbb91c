"""The benchmark of the GPU runs from end to end on an emulated one: device time is too dear for its mistakes."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def gpu(cupy, cuda_tensors, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import gpu as module  # pyright: ignore[reportMissingImports]

    return module


@pytest.mark.parametrize("cupy", ["forwards"], indirect=True)
def test_every_row_is_measured_and_shown(gpu, monkeypatch, tmp_path):
    chip = gpu.gpu_cases.Chip.present()
    monkeypatch.setattr(gpu, "BUDGET", 0.0)
    for points in ("LEAST", "WARM"):  # an emulated device takes a second for what a real one does in a microsecond
        monkeypatch.setattr(gpu.gpu_cases, points, 12)
    records = [gpu.measure(case, chip) for case in gpu.gpu_cases.cases(chip, 1e-6)]
    names = [record["case"] for record in records]
    assert len(names) == len(set(names)) == 9
    for record in records:
        own = record["runs"]["otgen"]
        assert own["seconds"] > 0 and own["error"] <= 0.05, record["case"]
        assert {v["met"] for v in record["targets"]} <= {True, False, None}
    assert "not installed" in records[1]["runs"]["flash-sinkhorn"]["error"]
    assert json.loads(json.dumps(records)) == records
    console = Console(width=300, record=True, file=io.StringIO())
    gpu.show({"records": records}, console)
    text = console.export_text()
    assert all(name in text for name in names) and "MISSED" in text


def test_a_time_is_the_median_of_repeated_calls(gpu):
    calls = []
    seconds, answer = gpu.timed(lambda: calls.append(1) or len(calls), lambda: None)
    assert answer == len(calls) == gpu.MOST + 1 and 0 < seconds < 1


def test_the_script_names_its_options(gpu, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--help"])
    with pytest.raises(SystemExit):
        gpu.main()
    assert "--only" in capsys.readouterr().out


@pytest.mark.parametrize("cupy", ["forwards"], indirect=True)
def test_a_row_that_fails_does_not_take_the_others_with_it(gpu, monkeypatch, tmp_path, capsys):
    def measured(case, chip):
        if "argmax" in case.name:
            raise RuntimeError("no such luck")
        return {"case": case.name, "roof": 0.0, "runs": {"otgen": {"seconds": 1.0}}, "targets": []}

    monkeypatch.setattr(gpu, "measure", measured)
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--scale", "1e-6", "--out", str(tmp_path / "found.json")])
    with pytest.raises(SystemExit, match="failed: argmax"):
        gpu.main()
    assert "no such luck" in capsys.readouterr().err
    assert len(json.loads((tmp_path / "found.json").read_text())["records"]) == 7
