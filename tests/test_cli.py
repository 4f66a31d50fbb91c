"""The shell command: what it prints, what it saves, and its exit codes."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from scipy import sparse
from typer.testing import CliRunner

import otgen
from otgen import cli, demo, doctor, validate

runner = CliRunner()


@pytest.fixture
def clouds(tmp_path: Path) -> tuple[str, str]:
    rng = np.random.default_rng(3)
    np.save(tmp_path / "x.npy", rng.normal(size=(40, 2)))
    np.save(tmp_path / "y.npy", rng.normal(size=(30, 2)) + 1)
    return str(tmp_path / "x.npy"), str(tmp_path / "y.npy")


def test_distance_prints_the_value_of_the_api_with_its_proof(clouds: tuple[str, str]) -> None:
    result = runner.invoke(cli.app, ["distance", *clouds])
    assert result.exit_code == 0, result.output
    shown = dict(line.split(maxsplit=1) for line in result.stdout.replace("lower bound", "lower").splitlines())
    value = otgen.wasserstein(np.load(clouds[0]), np.load(clouds[1]))
    assert float(shown["W1"]) == pytest.approx(value, rel=1e-12)
    assert float(shown["lower"]) == pytest.approx(value, rel=1e-8)
    assert float(shown["gap"]) <= 1e-8 * value and shown["converged"] == "yes"


def test_json_is_one_object_in_units_of_distance_and_of_cost(clouds: tuple[str, str]) -> None:
    result = runner.invoke(cli.app, ["distance", *clouds, "--p", "2", "--metric", "cityblock", "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["n"], report["m"], report["d"], report["p"], report["metric"]) == (40, 30, 2, 2.0, "cityblock")
    assert report["value"] ** 2 == pytest.approx(report["cost"], rel=1e-12)
    assert report["converged"] and report["lower_bound"] <= report["value"] * (1 + 1e-12)
    assert report["cost_gap"] <= 1e-8 * report["cost"]


def test_weights_and_the_saved_plan(clouds: tuple[str, str], tmp_path: Path) -> None:
    a, b = np.arange(1.0, 41), np.ones(30)
    (tmp_path / "a.csv").write_text("weight\n" + "\n".join(map(str, a / a.sum())))
    np.save(tmp_path / "b.npy", b / b.sum())
    out = tmp_path / "plan.npz"
    weights = ["--weights-a", str(tmp_path / "a.csv"), "--weights-b", str(tmp_path / "b.npy")]
    result = runner.invoke(cli.app, ["distance", *clouds, *weights, "--plan", str(out), "--json"])
    assert result.exit_code == 0, result.output
    plan = sparse.load_npz(out)
    assert plan.shape == (40, 30) and plan.nnz <= 40 + 30 - 1
    np.testing.assert_allclose(plan.sum(axis=1).ravel(), a / a.sum(), atol=1e-12)
    C = np.linalg.norm(np.load(clouds[0])[:, None] - np.load(clouds[1]), axis=2)
    assert (plan.toarray() * C).sum() == pytest.approx(json.loads(result.stdout)["cost"], rel=1e-9)


def test_stopped_early_has_its_own_exit_code_and_an_honest_gap(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    for name in ("x", "y"):
        np.save(tmp_path / f"{name}.npy", rng.normal(size=(600, 2)))
    command = ["distance", str(tmp_path / "x.npy"), str(tmp_path / "y.npy"), "--max-iter", "1", "--json"]
    result = runner.invoke(cli.app, command)
    report = json.loads(result.stdout)
    if report["converged"]:
        pytest.skip("one round proved this problem")
    assert result.exit_code == cli.EXIT_NOT_CONVERGED
    proven = otgen.wasserstein(np.load(tmp_path / "x.npy"), np.load(tmp_path / "y.npy"))
    assert report["lower_bound"] <= proven * (1 + 1e-9) and report["value"] >= proven * (1 - 1e-9)
    assert report["gap"] > 0


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--metric", "manhattan"], "cityblock.*got 'manhattan'"),
        (["--p", "0.5"], "p must be.*0.5"),
        (["--plan", "no/such/folder/plan.npz"], "--plan must lie in an existing folder"),
        (["--weights-a", "absent.npy"], "absent.npy is not a file"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_1(clouds: tuple[str, str], arguments: list[str], message: str) -> None:
    result = runner.invoke(cli.app, ["distance", *clouds, *arguments])
    assert result.exit_code == cli.EXIT_BAD_INPUT and result.stdout == ""
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("error: ")
    assert re.search(message, result.stderr)


def test_debug_keeps_the_exception(clouds: tuple[str, str]) -> None:
    result = runner.invoke(cli.app, ["distance", *clouds, "--metric", "manhattan", "--debug"])
    assert isinstance(result.exception, ValueError)


def test_a_bug_keeps_its_traceback(clouds: tuple[str, str], monkeypatch) -> None:
    monkeypatch.setattr(otgen, "solve_sample", lambda *_, **__: 1 / 0)
    assert isinstance(runner.invoke(cli.app, ["distance", *clouds]).exception, ZeroDivisionError)


def test_progress_goes_to_a_terminal_only(clouds: tuple[str, str], monkeypatch) -> None:
    assert runner.invoke(cli.app, ["distance", *clouds]).stderr == ""
    shown = io.StringIO()
    monkeypatch.setattr(cli, "Console", lambda **_: Console(file=shown, force_terminal=True, width=100))
    assert runner.invoke(cli.app, ["distance", *clouds, "--quiet"]).exit_code == 0
    assert shown.getvalue() == ""
    solve_sample = otgen.solve_sample

    def spied(*arguments, progress, **options):
        progress({"level": 1, "levels": 2, "round": 3, "arcs": 4, "gap": None, "scale": None, "seconds": 0.0})
        time.sleep(0.3)  # the status line redraws about ten times a second
        return solve_sample(*arguments, progress=progress, **options)

    monkeypatch.setattr(otgen, "solve_sample", spied)
    assert runner.invoke(cli.app, ["distance", *clouds]).exit_code == 0
    assert "level 1/2, round 3, 4 arcs" in shown.getvalue()


def test_the_progress_line_shows_the_gap_relative_to_the_scale() -> None:
    info = {"level": 1, "levels": 4, "round": 2, "arcs": 12345, "gap": 2e-3, "scale": 2.0, "seconds": 0.51}
    assert cli.progress_line(info) == "level 1/4, round 2, 12,345 arcs, gap 1.0e-03 of scale, 0.5 s"
    assert "gap" not in cli.progress_line(info | {"gap": None, "scale": None})


def test_doctor_prints_json() -> None:
    result = runner.invoke(cli.app, ["doctor", "--json"])
    assert result.exit_code == 0 and json.loads(result.stdout)["versions"]["numpy"] == np.__version__


def test_validate_exits_by_its_rows(monkeypatch) -> None:
    problem = validate.Problem("two points", np.eye(2), np.eye(2))
    good = validate.Row(problem, (2, 2, 2), 0.0, 0.0, 0.0, 0.0, 0.1, 0.1)
    monkeypatch.setattr(validate, "run", lambda **_: [good])
    result = runner.invoke(cli.app, ["validate", "--quick"])
    assert result.exit_code == 0 and "all 1 problems agree" in result.stdout
    good.failures.append("values differ by 1e-2")
    result = runner.invoke(cli.app, ["validate", "--quick"])
    assert result.exit_code == cli.EXIT_DISAGREEMENT and "values differ by 1e-2" in result.stdout


def test_missing_extras_name_their_command(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ot", None)
    result = runner.invoke(cli.app, ["validate", "--quick"])
    assert result.exit_code == 1 and doctor.install_command("otgen[validate]") in result.stderr
    monkeypatch.delattr(otgen, "plots", raising=False)
    monkeypatch.delitem(sys.modules, "otgen.plots", raising=False)
    for name in {"matplotlib", *(name for name in sys.modules if name.startswith("matplotlib."))}:
        monkeypatch.setitem(sys.modules, name, None)
    result = runner.invoke(cli.app, ["demo", "--out", str(tmp_path / "demo")])
    assert result.exit_code == 1 and doctor.install_command("otgen[plot]") in result.stderr
    assert not (tmp_path / "demo").exists()


def test_demo_tells_what_it_wrote(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demo, "run", lambda out, progress: {"out": str(out)})
    monkeypatch.setattr(demo, "told", lambda report: f"wrote {report['out']}")
    result = runner.invoke(cli.app, ["demo", "--out", str(tmp_path)])
    assert result.exit_code == 0 and f"wrote {tmp_path}" in result.stdout


def test_python_m_otgen_is_the_same_command(clouds: tuple[str, str]) -> None:
    command = [sys.executable, "-m", "otgen"]
    done = subprocess.run([*command, "distance", *clouds, "--json"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "" and json.loads(done.stdout)["converged"]
    shown = subprocess.run([*command, "--version"], capture_output=True, text=True)
    assert shown.stdout.strip() == f"otgen {otgen.__version__}"
