"""The benchmark of discrepancies on tiny cases, otgen and its peers in this process."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ot")
pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[1]
SIZES = {"mmd": 400, "energy": 2_000, "sliced": 500, "permutations": 300, "frechet": 40, "pairwise": 5}


@pytest.fixture
def module(monkeypatch):
    """Import a file of benchmarks/ as its scripts see each other."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


def cases(module):
    return module("discrepancies_cases").all_cases()


def test_every_case_has_its_peers(module) -> None:
    found = cases(module)
    assert [case.task for case in found] == list(SIZES)[:1] + [
        "energy",
        "sliced",
        "permutations",
        "frechet",
        "pairwise",
    ]
    assert len({case.name for case in found}) == len(found) and any(case.quick for case in found)
    assert set(module("discrepancies_child").TASKS) == set(SIZES)
    assert {peer for case in found for peer in case.peers} == set(module("discrepancies_cases").PACKAGES)


@pytest.mark.parametrize("task", SIZES)
def test_otgen_and_the_peers_answer_the_same_question(module, monkeypatch, task) -> None:
    child, kernels = module("discrepancies_child"), module("discrepancies_kernels")
    monkeypatch.setattr(kernels, "PERMUTATIONS", 40)
    monkeypatch.setattr(kernels, "BLOCKS", (100,))
    monkeypatch.setitem(kernels.PART, "torch autograd", 1)  # all points, so that its gradient can be checked
    (case,) = [case for case in cases(module) if case.task == task]
    n, d = SIZES[task], min(case.problem.d, 12)
    runs = {}
    for solver in ("otgen", *case.peers):
        made = child.TASKS[task](solver, n, d)
        call, facts = made if isinstance(made, tuple) else (made, {})
        answer = call()
        runs[solver] = {"value": answer} if answer is not None else {}
        assert 0 < facts.get("share", 1.0) <= 1.0
        if "check" in facts:
            assert facts["check"](answer) <= 1e-4
    if task in ("frechet", "pairwise"):
        module("discrepancies")._compare(runs)
        (peer,) = case.peers
        assert runs["otgen"]["error_found"] == runs[peer]["difference"] < 1e-5


def test_a_wrong_gradient_is_an_error(module) -> None:
    kernels = module("discrepancies_kernels")
    call, facts = kernels.mmd("otgen", 300, 3)
    right = call()
    assert facts["check"](right) < 1e-4 < facts["check"](1.01 * right)


def test_a_case_is_measured_and_judged(module, monkeypatch) -> None:
    discrepancies = module("discrepancies")
    (case,) = [case for case in cases(module) if case.task == "pairwise"]
    seen = []

    def answer(request, **_):
        seen.append(request["solver"])
        fast = request["solver"] == "otgen"
        return {"seconds": 1.0 if fast else 6.0, "value": [[0.0, 2.0]] if fast else [[0.0, 2.5]], "peak_mb": 1.0}

    monkeypatch.setattr(discrepancies, "in_child", answer)
    discrepancies._fill.cache_clear()
    record = discrepancies.measure(case)
    assert seen == ["otgen", "otgen", "POT"]  # the first fills the kernel cache
    assert record["runs"]["otgen"]["error_found"] == pytest.approx(0.2) and "value" not in record["runs"]["POT"]
    assert [judge(record, {})["met"] for judge in case.targets] == [True, False]
    discrepancies._fill.cache_clear()


def test_a_peer_that_is_not_installed_is_a_line_that_says_so(module, monkeypatch) -> None:
    discrepancies, (case, *_) = module("discrepancies"), cases(module)
    monkeypatch.setattr(discrepancies, "find_spec", lambda _: None)
    monkeypatch.setattr(discrepancies, "in_child", lambda *_, **__: {"seconds": 1.0, "error_found": 1e-7})
    record = discrepancies.measure(replace(case))
    assert record["runs"]["torch autograd"]["error"].startswith("not installed: torch (make bench-discrepancies")
    discrepancies._fill.cache_clear()


def test_added_memory_is_judged(module) -> None:
    judge = module("targets").adding_less_than(50)
    verdicts = [judge({"runs": {"otgen": {"added_mb": added}}}, {}) for added in (49.0, 51.0)]
    assert [verdict["met"] for verdict in verdicts] == [True, False] and verdicts[0]["text"] == "adds < 50 MB"


def test_the_committed_figures_are_numbers(module) -> None:
    figures = module("command").load(module("discrepancies").SUITE.results)
    assert figures is not None
    runs = [run for record in figures["records"] for run in record["runs"].values()]
    assert all(np.isfinite(run["seconds"]) for run in runs if "error" not in run)
