"""The entropic benchmark on tiny cases, with otgen alone: no peer need be installed."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import naive

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def module(monkeypatch):
    """Import a file of benchmarks/ as its scripts see each other."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


def tiny(case):
    return replace(case, name=f"tiny {case.name}", problem=replace(case.problem, n=60), peers=())


def test_the_cases_are_those_of_the_targets(module) -> None:
    entropic_cases, clouds = module("entropic_cases"), module("clouds")
    solvers = {
        "half-step": module("entropic_half_step").SOLVERS,
        "sinkhorn": module("entropic_sinkhorn").SOLVERS,
        "robust": module("entropic_sinkhorn").SOLVERS,
        "divergence": module("entropic_divergence").SOLVERS,
    }
    cases = entropic_cases.all_cases()
    assert len({case.name for case in cases}) == len(cases)
    assert all(case.problem.n == 2_000 for case in cases if case.quick)
    for case in cases:
        assert {"otgen", *case.peers} <= set(solvers[case.task])
        assert all(isinstance(entropic_cases.packages(peer), tuple) for peer in case.peers)
        x, y, a, b = clouds.inputs(replace(case.problem, n=64))
        assert x.dtype == y.dtype == np.float32 and (a is None) == (b is None)
    assert entropic_cases.packages("POT on torch") == ("torch", "ot") and entropic_cases.packages("POT log") == ("ot",)


def test_the_checks_are_the_definitions(module, rng) -> None:
    float64 = module("float64")
    x, y, eps = rng.normal(size=(7, 2)), rng.normal(size=(5, 2)) + 1, 0.7
    cost = np.array([[naive.cost(u, v, "euclidean", 2) for v in y] for u in x])
    assert np.isclose(float64.mean_cost(x, y), cost.mean())
    h = rng.normal(size=5)
    wanted = [-eps * np.log(sum(np.exp((h[j] - cost[i, j]) / eps) for j in range(5))) for i in range(7)]
    assert np.allclose(float64.soft_c_transform(x, y, h, eps), wanted)

    f, g = float64.annealed_potentials(x, y, eps, cost.mean())
    plan = np.exp((f[:, None] + g - cost) / eps) / 35
    assert np.allclose(plan.sum(axis=0), 1 / 5)  # g is the newer one
    error = float64.marginal_error(x, y, None, None, f, g, eps)
    assert np.isclose(error, np.abs(plan.sum(axis=1) - 1 / 7).sum()) and 0 < error < 1
    assert np.isnan(float64.marginal_error(x, y, None, None, np.full(7, np.nan), g, eps))
    wide = rng.normal(size=(6, 9))
    (_, blocks), *_ = float64.cost_blocks(wide, wide)
    assert np.allclose(blocks, ((wide[:, None] - wide) ** 2).sum(-1))


def test_a_zero_weight_needs_no_finite_potential(module) -> None:
    x, a, f = np.zeros((3, 1)), np.array([0.5, 0.0, 0.5]), np.array([0.0, -np.inf, 0.0])
    assert module("float64").marginal_error(x, x, a, a, f, f, 1.0) == 0.0


def test_a_half_step_is_measured_and_checked(module) -> None:
    entropic, cases = module("entropic"), module("entropic_cases").all_cases()
    run = entropic.measure(tiny(cases[0]))["runs"]["otgen"]
    assert 0 < run["seconds"] == min(run["all_seconds"])
    assert run["error_found"] < 1e-3 and run["peak_mb"] > run["added_mb"] > 0


def test_the_floor_is_what_it_says(module, rng) -> None:
    x, y = rng.normal(size=(2, 300, 8)).astype(np.float32)
    assert module("entropic_half_step").SOLVERS["SGEMM"](x, y, None, None, 1.0)() is None


@pytest.mark.parametrize("name", ["sinkhorn to 1e-4, 2,000 points, d = 2", "ten distinct points, eps 0.01"])
def test_a_tiny_solve_is_measured_judged_and_written(module, tmp_path, name) -> None:
    entropic, command = module("entropic"), module("command")
    (case,) = [case for case in module("entropic_cases").all_cases() if case.name == name]
    document, complete = command.run(entropic.SUITE, [tiny(case)])
    run, verdicts = document["records"][0]["runs"]["otgen"], document["records"][0]["targets"]
    assert complete and run["converged"] and run["finite"] and run["error_found"] <= 1.5e-4
    assert all(verdict["met"] for verdict in verdicts)
    assert {"torch", "ott-jax", "jax", "pykeops", "geomloss"} <= set(document["versions"])
    command.save(tmp_path / "tiny.json", document)
    assert command.load(tmp_path / "tiny.json") == json.loads(json.dumps(document))


def test_the_divergence_has_a_gradient(module, rng) -> None:
    pytest.importorskip("torch")
    x, y = rng.normal(size=(2, 50, 2)).astype(np.float32)
    found = module("entropic_divergence").SOLVERS["otgen"](x, y, 0.5, None)()
    assert found["value"] > 0 and found["gradient_norm"] > 0


def test_a_peer_that_is_not_installed_is_a_line_that_says_so(module, monkeypatch) -> None:
    entropic = module("entropic")
    case = next(case for case in module("entropic_cases").all_cases() if case.task == "divergence")
    monkeypatch.setattr(entropic, "find_spec", lambda package: None if package == "geomloss" else "there")
    monkeypatch.setattr(entropic, "in_child", lambda *_, **__: {"seconds": 1.0, "value": 2.0, "peak_mb": 1.0})
    record = entropic.measure(case)
    assert record["runs"]["GeomLoss online"] == {
        "error": "not installed: geomloss (make bench-entropic installs the peers)"
    }
    assert [judge(record, {})["met"] for judge in case.targets] == [None]


def test_geomloss_runs_at_the_first_scaling_that_agrees(module, monkeypatch) -> None:
    entropic = module("entropic")
    case = next(case for case in module("entropic_cases").all_cases() if case.task == "divergence")
    monkeypatch.setattr(entropic, "find_spec", lambda _: "there")

    def answer(request, **_):
        scaling = request["extra"].get("scaling")
        return {"seconds": 1.0, "value": {None: 1.0, 0.5: 1.1, 0.7: 1.0005}[scaling]}

    monkeypatch.setattr(entropic, "in_child", answer)
    assert entropic.measure(case)["runs"]["GeomLoss online"]["scaling"] == 0.7
    monkeypatch.setattr(entropic, "SCALINGS", (0.5,))
    assert entropic.measure(case)["runs"]["GeomLoss online"]["error"] == "no scaling agrees: 0.5 is off by 1.0e-01"


def test_who_does_not_reach_the_tolerance_has_no_time(module) -> None:
    entropic, targets = module("entropic"), module("targets")
    (case,) = [c for c in module("entropic_cases").all_cases() if c.name == "sinkhorn to 1e-4, 10,000 points, d = 2"]
    run = {"seconds": 1.0, "error_found": 2e-4}
    entropic._check_error(case, run)
    assert run["error"] == "its marginal error is 2.0e-04, not 0.0001, after 1 s"
    runs = {"otgen": {"seconds": 2.0}, "A": run, "B": {"seconds": 30.0}, "C": {"error": "no answer", "limit": 50.0}}
    verdict = targets.faster_than_each(10, ("A", "B", "C", "D"))({"runs": runs}, {})
    assert (verdict["peer"], verdict["got"], verdict["met"]) == ("B", 15.0, True)
    assert targets.faster_than_each(10, ("A",))({"runs": runs}, {})["met"] is None
    assert targets.within_times(1.6, "B")({"runs": runs}, {})["got"] == 2 / 30


def test_a_robust_answer_is_finite_and_honest(module) -> None:
    judge = module("targets").honest()
    for run, met in (
        ({"finite": True, "honest": True, "error_found": 1e-5}, True),
        ({"finite": True, "honest": False, "error_found": 1e-2}, False),
        ({"finite": False, "honest": True, "error_found": float("nan")}, False),
        ({"error": "RuntimeWarning: overflow"}, False),
    ):
        assert judge({"runs": {"otgen": run}}, {})["met"] is met
