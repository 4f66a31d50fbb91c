"""`otgen distance`: its report, entropic and exact, its warnings and its errors in terms of the command line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import otgen
from otgen import cli, distance, shell
from otgen.distance import Request

runner = CliRunner()


def loaded(clouds: tuple[str, str]) -> tuple[np.ndarray, np.ndarray]:
    return np.load(clouds[0]), np.load(clouds[1])


def report_of(*arguments: str, exit_code: int = 0) -> dict:
    result = runner.invoke(cli.app, ["distance", *arguments, "--json"])
    assert result.exit_code == exit_code, result.output
    return json.loads(result.stdout)


def test_eps_prints_the_cost_the_objective_and_the_bracket_of_the_exact_distance(clouds: tuple[str, str]) -> None:
    result = runner.invoke(cli.app, ["distance", *clouds, "--p", "2", "--eps", "0.1"])
    assert result.exit_code == 0 and result.stderr == "", result.output
    shown = dict(re.split(r" {2,}", line, maxsplit=1) for line in result.stdout.splitlines())
    direct = otgen.sinkhorn(*loaded(clouds), eps=0.1)
    exact = otgen.wasserstein(*loaded(clouds), p=2)
    low, high = map(float, shown["W2"].split(" to "))
    assert low <= exact * (1 + 1e-8) and high >= exact * (1 - 1e-8)
    low, high = map(float, shown["W2^2"].split(" to "))
    assert low <= exact**2 * (1 + 1e-8) and high >= exact**2 * (1 - 1e-8)
    assert float(shown["transport cost"]) == pytest.approx(direct.value, rel=1e-12)
    assert float(shown["objective"]) == pytest.approx(direct.objective, rel=1e-12)
    assert re.fullmatch(r"\d\.\de-\d+ of the mass", shown["marginal error"]) and shown["converged"] == "yes"
    assert shown["eps"] == "0.1" and shown["points"] == "40 x 2, 30 x 2"


def test_with_p_1_the_cost_is_the_distance_and_has_no_line_of_its_own(clouds: tuple[str, str]) -> None:
    shown = runner.invoke(cli.app, ["distance", *clouds, "--eps", "0.1"]).stdout
    assert re.search(r"^W1 .* to ", shown) and "W1^1" not in shown


def test_json_of_entropic_transport_is_in_units_of_distance_and_of_cost(clouds: tuple[str, str]) -> None:
    report = report_of(*clouds, "--p", "3", "--metric", "cityblock", "--eps", "2", "--tol", "1e-9")
    direct = otgen.sinkhorn(*loaded(clouds), eps=2.0, cost=("cityblock", 3), tol=1e-9)
    for name, field in (("", "value"), ("_lower_bound", "lower_bound"), ("_upper_bound", "upper_bound")):
        assert report[f"cost{name}"] == pytest.approx(getattr(direct, field), rel=1e-12)
        assert report[field] ** 3 == pytest.approx(report[f"cost{name}"], rel=1e-12)
    assert report["objective"] == pytest.approx(direct.objective) and report["cost_gap"] >= 0
    assert report["dual_value"] == pytest.approx(direct.dual_value)
    assert report["converged"] and report["marginal_error"] <= 1e-9 * report["scale"] and report["eps"] == 2.0
    assert report["unbalanced"] is None and report["n_iter"] == direct.n_iter


@pytest.mark.parametrize(("rho", "pair"), [("2", (2, 2)), ("1,inf", (1, np.inf)), ("0.5,3", (0.5, 3))])
def test_unbalanced_takes_one_penalty_or_two_and_has_no_bracket(clouds, tmp_path: Path, rho: str, pair: tuple) -> None:
    np.save(tmp_path / "a.npy", np.full(40, 0.05))
    weighted = [*clouds, "--weights-a", str(tmp_path / "a.npy"), "--eps", "0.3"]
    report = report_of(*weighted, "--unbalanced", rho)
    direct = otgen.sinkhorn(*loaded(clouds), np.full(40, 0.05), eps=0.3, cost="euclidean", unbalanced=pair)
    assert report["cost"] == pytest.approx(direct.value) and report["objective"] == pytest.approx(direct.objective)
    assert report["unbalanced"] == list(pair) and report["lower_bound"] is report["cost_upper_bound"] is None
    shown = runner.invoke(cli.app, ["distance", *weighted, "--unbalanced", rho]).stdout
    assert not shown.startswith("W1") and f"eps             0.3, unbalanced {pair[0]:g}, {pair[1]:g}\n" in shown
    result = runner.invoke(cli.app, ["distance", *weighted])
    assert result.exit_code == 1
    assert "--weights-b (uniform): b must sum to" in result.stderr and "Or pass --unbalanced to let" in result.stderr


@pytest.mark.parametrize("more", [[], ["--unbalanced", "1"]])
def test_the_divergence(clouds: tuple[str, str], more: list[str]) -> None:
    report = report_of(*clouds, "--p", "2", "--eps", "0.1", "--divergence", *more)
    direct = otgen.sinkhorn_divergence(*loaded(clouds), eps=0.1, unbalanced=1.0 if more else None)
    assert report["divergence"] == pytest.approx(direct, rel=1e-12) and report["converged"]
    assert "value" not in report and "lower_bound" not in report
    shown = runner.invoke(cli.app, ["distance", *clouds, "--p", "2", "--eps", "0.1", "--divergence", *more]).stdout
    assert f"divergence   {direct:.9g}"[:20] in shown and "converged    yes\n" in shown
    assert report_of(clouds[0], clouds[0], "--eps", "0.1", "--divergence")["divergence"] == 0.0


@pytest.mark.parametrize("more", [[], ["--divergence"]])
def test_what_is_not_converged_is_one_plain_line_and_exit_code_3(clouds: tuple[str, str], more: list[str]) -> None:
    command = [sys.executable, "-m", "otgen", "distance", *clouds, "--eps", "0.003", "--max-iter", "2", *more]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == shell.EXIT_NOT_CONVERGED == 3, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1 if not more else 1 <= len(lines) <= 3
    for line in lines:
        assert re.match(
            r"warning: stopped at marginal error .* after \d+ sweeps\. Raise --max-iter, --eps or --tol$", line
        )
    assert re.search("converged +NO: stopped at marginal error", done.stdout)
    assert report_of(*clouds, "--eps", "0.003", "--max-iter", "2", *more, exit_code=3)["converged"] is False


def test_other_warnings_go_where_they_went(clouds: tuple[str, str], monkeypatch) -> None:
    solve_sample = otgen.solve_sample

    def warned(*arguments, **options):
        warnings.warn("of another kind", stacklevel=1)
        return solve_sample(*arguments, **options)

    monkeypatch.setattr(otgen, "solve_sample", warned)
    with pytest.warns(UserWarning, match="of another kind"):
        report, plan = distance.run(Request(*clouds), None, pytest.fail)
    assert report["converged"] and plan.shape == (40, 30)


def test_an_interrupted_divergence_has_nothing_to_show(clouds: tuple[str, str], monkeypatch) -> None:
    def interrupted(*_, **__):
        warnings.warn(otgen.ConvergenceWarning("interrupted at marginal error 1e-2"), stacklevel=1)
        return 1.0

    monkeypatch.setattr(otgen, "sinkhorn_divergence", interrupted)
    result = runner.invoke(cli.app, ["distance", *clouds, "--eps", "0.1", "--divergence"])
    assert result.exit_code == shell.EXIT_INTERRUPTED and result.stdout == "" and result.stderr == "interrupted\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--divergence"], "--divergence needs --eps: .* Add --eps"),
        (["--unbalanced", "1"], "--unbalanced needs --eps: .* Add --eps"),
        (["--eps", "1", "--plan", "plan.npz"], "--plan does not go with --eps: .* never stored"),
        (["--eps", "1", "--divergence", "--plan", "plan.npz"], "--plan does not go with --eps"),
        (["--eps", "1", "--unbalanced", "x"], "--unbalanced must be RHO or RHO_A,RHO_B.*; got x. Write --unbalanced 1"),
        (["--eps", "1", "--unbalanced", "1,2,3"], "--unbalanced must be RHO or RHO_A,RHO_B.*; got 1,2,3"),
        (["--eps", "1", "--unbalanced", "0"], "--unbalanced must be RHO or RHO_A,RHO_B, numbers above 0.*; got 0"),
        (["--eps", "1", "--unbalanced", "nan,1"], "--unbalanced must be RHO .*; got nan,1"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage_in_one_line(arguments: list[str], message: str) -> None:
    result = runner.invoke(cli.app, ["distance", "absent.npy", "absent.npy", *arguments])
    assert result.exit_code == 2 and result.stdout == "" and result.stderr.count("\n") == 1
    assert re.match(f"error: {message}", result.stderr), result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--eps", "0"], "--eps: eps must be a positive finite number.*, or leave --eps out for exact transport"),
        (["--eps", "nan"], "--eps: eps must be a positive finite number.*got nan"),
        (["--eps", "1", "--tol", "0"], "--tol: tol must be a number >= 1e-13"),
        (["--eps", "1e-6", "--tol", "1e-13"], "--tol: tol must be at least .*Raise --tol or --eps"),
        (["--eps", "1", "--max-iter", "0"], "--max-iter: max_iter must be None"),
        (["--tol", "0"], "--tol: tol must be a positive finite number"),
    ],
)
def test_the_option_at_fault_is_named(clouds: tuple[str, str], arguments: list[str], message: str) -> None:
    result = runner.invoke(cli.app, ["distance", *clouds, *arguments])
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    assert re.match(f"error: {message}", result.stderr), result.stderr


def test_tol_of_the_exact_distance_is_its_gap(clouds: tuple[str, str]) -> None:
    report = report_of(*clouds, "--tol", "0.5")
    assert report["cost_gap"] <= 0.5 * report["scale"] and report["converged"]


def test_progress_lines_of_both_solvers() -> None:
    info = {"level": 1, "levels": 4, "round": 2, "arcs": 12345, "gap": 2e-3, "scale": 2.0, "seconds": 0.51}
    assert distance.progress_line(info) == "level 1/4, round 2, 12,345 arcs, gap 1.0e-03 of scale"
    assert "gap" not in distance.progress_line(info | {"gap": None, "scale": None})
    heard: list[dict] = []
    x = np.random.default_rng(0).normal(size=(100, 2))
    otgen.sinkhorn(x[:50], x[50:], eps=0.1, progress=heard.append)
    line = distance.progress_line(heard[0])
    assert re.fullmatch(
        r"level \d/\d, eps [\d.e-]+, sweep \d+, marginal error \d\.\de[+-]\d\d \(to \de-\d\d\)", line
    ), line
