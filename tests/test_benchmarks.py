"""The benchmark's machinery on tiny cases."""

from __future__ import annotations

import importlib
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

pytest.importorskip("ot")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def module(monkeypatch):
    """Import a file of benchmarks/ as its scripts see each other."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


def tiny(case):
    return replace(case, name=f"tiny {case.name}", problem=replace(case.problem, n=50))


def test_a_tiny_run_measures_judges_and_writes(module, tmp_path) -> None:
    exact, command, cases = module("exact"), module("command"), module("cases")
    wanted = ("10,000 points, d = 3, W1", "wasserstein_1d, 1,000,000 points, weighted, W1", "couple, batch 256, d = 2")
    selected = [tiny(case) for case in cases.all_cases() if case.name in wanted]
    document, complete = command.run(exact.SUITE, selected)
    assert complete and len(document["records"]) == len(wanted)
    assert set(document) == {"device", "versions", "commit", "date", "records", "skipped"}
    assert document["device"]["sgemm_gflops"] > 0 and document["versions"]["POT"]
    for record, case in zip(document["records"], selected):
        assert set(record["runs"]) == {"otgen", *case.peers}
        for run in record["runs"].values():
            assert "error" not in run
            assert 0 < run["seconds"] == min(run["all_seconds"])
            assert run["peak_mb"] > run["added_mb"] >= 0  # a tiny solve may find room in what was there
            assert abs(run.get("difference", 0)) < 1e-9
        assert len(record["targets"]) == len(case.targets)
    clouds = document["records"][0]
    assert clouds["runs"]["otgen"]["converged"] and clouds["runs"]["POT"]["warning"] is None
    assert [v["met"] for v in clouds["targets"] if v["text"].startswith("gap")] == [True]

    command.save(tmp_path / "tiny.json", document)
    assert command.load(tmp_path / "tiny.json") == json.loads(json.dumps(document))
    report, console = module("report"), Console(width=220, record=True, file=io.StringIO())
    report.show(document, exact.SUITE.block, console)
    shown = console.export_text()
    assert all(case.name in shown for case in selected)


def test_the_import_is_timed_in_fresh_processes(module) -> None:
    case = next(case for case in module("cases").all_cases() if case.task == "import")
    run = module("measure").measure(case)["runs"]["otgen"]
    assert len(run["all_seconds"]) == 5 and run["seconds"] == sorted(run["all_seconds"])[2]


def test_the_cases_are_those_of_the_targets(module) -> None:
    cases = module("cases").all_cases()
    names = [case.name for case in cases]
    assert len(set(names)) == len(names)
    assert all(case.problem.n <= 2_500 and case.task == "transport" for case in cases if case.quick)
    solvers, clouds = module("solvers").SOLVERS, module("clouds")
    for case in cases:
        for solver in ("otgen", *case.peers):
            assert case.task == "import" or (case.task, solver) in solvers
        if not case.missing():
            x, y, a, b = clouds.inputs(replace(case.problem, n=64))
            assert x.shape == y.shape and (a is None) == (b is None)


def test_a_solver_that_fails_is_a_missed_target(module) -> None:
    cases = module("cases")
    answer = module("measure").in_child(
        {"task": "transport", "solver": "otgen", **vars(cases.Problem("no such recipe"))}
    )
    assert answer["error"] == "ValueError: unknown recipe 'no such recipe'"
    record = {"runs": {"otgen": answer, "POT": {"seconds": 1.0, "peak_mb": 1.0}}}
    assert {judge(record, {})["met"] for judge in cases.all_cases()[0].targets} == {False}


def test_targets_compare_with_the_peer(module) -> None:
    targets = module("targets")
    record = {
        "runs": {"otgen": {"seconds": 2.0, "peak_mb": 5.0, "gap": 2e-9}, "POT": {"seconds": 8.0, "peak_mb": 50.0}}
    }
    assert targets.faster(4, "POT")(record, {}) == {"text": ">= 4 x faster", "peer": "POT", "got": 4.0, "met": True}
    assert targets.faster(5, "POT")(record, {})["met"] is False
    assert targets.faster(5, "scipy")(record, {})["met"] is None
    assert targets.lighter(10, "POT")(record, {})["met"] is True
    assert targets.proven(1e-9)(record, {})["met"] is False
    later = targets.within_or_peer(1, 0.5, "POT", "other", "POT at another size")
    assert later(record, {"other": record})["met"] is True and later(record, {})["met"] is False
    cut = {"runs": {"otgen": {"seconds": 2.0}, "POT": {"error": "no answer within 1200 s", "limit": 1200.0}}}
    assert targets.faster(4, "POT")(cut, {})["got"] == 600.0


def test_figures_of_another_machine_are_not_mixed(module) -> None:
    exact, command, machine = module("exact"), module("command"), module("machine")
    here = machine.describe()
    other = here | {"device": here["device"] | {"cores": 999}, "records": []}
    with pytest.raises(SystemExit, match=r"--merge would mix machines or versions \(cores: 999 and"):
        command.run(exact.SUITE, [], other)


def test_the_options(module, capsys, tmp_path) -> None:
    exact, command = module("exact"), module("command")
    with pytest.raises(SystemExit, match="no case has 'nothing of this name' in its name(?s:.*)\n  import otgen\n"):
        command.main(exact.SUITE, ["--only", "nothing of this name"])
    with pytest.raises(SystemExit, match="nothing to show"):
        command.main(exact.SUITE, ["--show", "--out", str(tmp_path / "none.json")])


FIGURES = {
    "device": {"cpu": "a CPU", "target": "znver4", "cores": 2, "sgemm_gflops": 250.0, "load_average": 0.1},
    "versions": {"POT": "0.9"},
    "commit": "abc",
    "date": "2026-01-01",
    "records": [],
    "skipped": {"DOTmark pair": "no folder data/dotmark32"},
}


def test_what_cannot_be_measured_here_is_said(module, tmp_path, monkeypatch) -> None:
    exact, command, cases, report = module("exact"), module("command"), module("cases"), module("report")
    assert "Not measured: DOTmark pair (no folder data/dotmark32)." in report.markdown(FIGURES, exact.SUITE.block)
    dotmark = [case for case in cases.all_cases() if case.problem.recipe == "dotmark"]
    monkeypatch.setenv("OTGEN_DATA", str(tmp_path))
    document, _ = command.run(exact.SUITE, dotmark)
    assert list(document["skipped"]) == [dotmark[0].row] and document["records"] == []
    (tmp_path / "dotmark32").mkdir()
    monkeypatch.delenv("OTGEN_DATA")
    monkeypatch.setattr(cases, "SHARED_DATA", tmp_path)
    assert not dotmark[0].missing()
