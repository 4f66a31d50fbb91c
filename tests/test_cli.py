"""The shell command: what it prints, what it saves, and its exit codes."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse
from typer.testing import CliRunner

import otgen
from otgen import cli, demo, doctor, presets, shell, validate
from otgen.data.catalogue import NAMES
from otgen.problems import Problem
from otgen.transport.costs import METRICS
from otgen.transport.discrepancy import ESTIMATORS
from otgen.transport.kernel_choice import SCALES
from otgen.transport.semidiscrete_options import METHODS, SOURCES
from otgen.transport.two_sample import STATISTICS

runner = CliRunner()


def test_distance_prints_the_value_of_the_api_with_its_proof(clouds: tuple[str, str]) -> None:
    result = runner.invoke(cli.app, ["distance", *clouds])
    assert result.exit_code == 0, result.output
    shown = dict(line.split(maxsplit=1) for line in result.stdout.replace("lower bound", "lower").splitlines())
    assert shown["points"] == "40 x 2, 30 x 2"
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
    a, b = np.arange(1.0, 41), np.random.default_rng(4).random(30)
    (tmp_path / "a.csv").write_text("weight\n" + "\n".join(map(str, a / a.sum())))
    np.save(tmp_path / "b.npy", b / b.sum())
    out = tmp_path / "plan.npz"
    weights = ["--weights-a", str(tmp_path / "a.csv"), "--weights-b", str(tmp_path / "b.npy")]
    result = runner.invoke(cli.app, ["distance", *clouds, *weights, "--plan", str(out), "--json"])
    assert result.exit_code == 0, result.output
    plan = sparse.load_npz(out)
    assert plan.shape == (40, 30) and plan.nnz <= 40 + 30 - 1
    np.testing.assert_allclose(plan.sum(axis=1).ravel(), a / a.sum(), atol=1e-12)
    np.testing.assert_allclose(plan.sum(axis=0).ravel(), b / b.sum(), atol=1e-12)
    C = np.linalg.norm(np.load(clouds[0])[:, None] - np.load(clouds[1]), axis=2)
    assert (plan.toarray() * C).sum() == pytest.approx(json.loads(result.stdout)["cost"], rel=1e-9)


def test_what_is_not_proven_has_its_own_exit_code(clouds: tuple[str, str], monkeypatch) -> None:
    solve_sample = otgen.solve_sample

    def stopped(*arguments, **options):
        return replace(solve_sample(*arguments, **options), converged=False, message="max_iter")

    monkeypatch.setattr(otgen, "solve_sample", stopped)
    result = runner.invoke(cli.app, ["distance", *clouds])
    assert result.exit_code == shell.EXIT_NOT_CONVERGED == 3 and "NO: max_iter" in result.stdout


def test_stopped_early_has_an_honest_gap(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    for name in ("x", "y"):
        np.save(tmp_path / f"{name}.npy", rng.normal(size=(600, 2)))
    command = ["distance", str(tmp_path / "x.npy"), str(tmp_path / "y.npy"), "--max-iter", "1", "--json"]
    result = runner.invoke(cli.app, command)
    report = json.loads(result.stdout)
    assert not report["converged"] and result.exit_code == shell.EXIT_NOT_CONVERGED
    proven = otgen.wasserstein(np.load(tmp_path / "x.npy"), np.load(tmp_path / "y.npy"))
    assert report["lower_bound"] <= proven * (1 + 1e-9) and report["value"] >= proven * (1 - 1e-9)
    assert report["gap"] > 0


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--metric", "manhattan"], "--metric must be one of .*cityblock.*got 'manhattan'"),
        (["--metric", "sqeuclidean"], "got 'sqeuclidean'. Powers are --p: --metric euclidean --p 2"),
        (["--p", "0.5"], "--p: p must be.*0.5. Pass"),
        (["--max-iter", "0"], "--max-iter: max_iter must be.*0. Leave it"),
        (["--plan", "no/such/folder/plan.npz"], "--plan must lie in an existing folder"),
        (["--plan", "A.npy"], "--plan must end in .npz; got A.npy. Write --plan A.npy.npz"),
        (["--plan", "."], "--plan must end in .npz; got ."),
        (["--weights-a", "absent.npy"], "absent.npy is not a file"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_1(clouds: tuple[str, str], arguments: list[str], message: str) -> None:
    result = runner.invoke(cli.app, ["distance", *clouds, *arguments])
    assert result.exit_code == shell.EXIT_BAD_INPUT and result.stdout == ""
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("error: ")
    assert re.search(message, result.stderr)
    assert "(run with --debug for the traceback)" in result.stderr or "absent" in message


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["x.npy", "nan.npy"], r"error: nan\.npy: y must be finite"),
        (["nan.npy", "x.npy"], r"error: nan\.npy: x must be finite"),
        (["x.npy", "wide.npy"], r"error: x\.npy, wide\.npy: x and y must have points of one dimension"),
        (["x.npy", "x.npy", "--weights-b", "b.npy"], r"error: --weights-b b\.npy: b must have shape \(3,\)"),
        (["x.npy", "x.npy", "--weights-a", "b.npy"], r"error: --weights-a b\.npy: a must have shape \(3,\)"),
        (["wide.npy", "zero.npy", "--metric", "cosine"], r"error: zero\.npy: cosine needs .* row 0 of y is zero"),
    ],
)
def test_the_file_at_fault_is_named(arguments: list[str], message: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    arrays = {"x": np.zeros((3, 1)), "nan": np.full((3, 1), np.nan), "wide": np.ones((3, 2)), "zero": np.zeros((3, 2))}
    for name, array in (arrays | {"b": np.ones(2)}).items():
        np.save(f"{name}.npy", array)
    result = runner.invoke(cli.app, ["distance", *arguments])
    assert result.exit_code == shell.EXIT_BAD_INPUT and re.match(message, result.stderr), result.stderr


def test_the_plan_is_refused_before_solving_and_saved_after_printing(clouds, tmp_path: Path, monkeypatch) -> None:
    folder, taken = tmp_path / "folder.npz", tmp_path / "taken.npz"
    folder.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(otgen, "solve_sample", lambda *_, **__: pytest.fail("solved"))
        result = runner.invoke(cli.app, ["distance", *clouds, "--plan", str(folder)])
        assert result.exit_code == 1 and "--plan must be a file that can be written" in result.stderr
        patch.setattr(os, "access", lambda path, mode: False)
        result = runner.invoke(cli.app, ["distance", *clouds, "--plan", str(taken)])
        assert result.exit_code == 1 and "--plan must be a file that can be written" in result.stderr

    def full(*_):
        raise OSError(28, "No space left on device", str(taken))

    monkeypatch.setattr(sparse, "save_npz", full)
    result = runner.invoke(cli.app, ["distance", *clouds, "--plan", str(taken), "--json"])
    assert result.exit_code == 1 and json.loads(result.stdout)["converged"] and str(taken) in result.stderr


def test_debug_keeps_the_exception(clouds: tuple[str, str]) -> None:
    result = runner.invoke(cli.app, ["distance", *clouds, "--metric", "manhattan", "--debug"])
    assert isinstance(result.exception, ValueError)


def test_a_bug_keeps_its_traceback(clouds: tuple[str, str], monkeypatch) -> None:
    monkeypatch.setattr(otgen, "solve_sample", lambda *_, **__: 1 / 0)
    assert isinstance(runner.invoke(cli.app, ["distance", *clouds]).exception, ZeroDivisionError)


def test_the_demo_and_validate_hear_quiet(monkeypatch, tmp_path: Path) -> None:
    heard = []
    monkeypatch.setattr(demo, "run", lambda out, progress: heard.append(progress) or {})
    monkeypatch.setattr(demo, "told", lambda report: "")
    monkeypatch.setattr(demo, "proven", lambda report: True)
    monkeypatch.setattr(validate, "run", lambda quick, console: heard.append((quick, console)) or [])
    monkeypatch.setattr(validate, "render", lambda rows, console: None)
    for module in (cli, shell):
        terminal = SimpleNamespace(stderr=SimpleNamespace(isatty=lambda: True), stdout=sys.stdout)
        monkeypatch.setattr(module, "sys", terminal)
    for command in (["demo"], ["validate"], ["validate", "--quick"]):
        assert runner.invoke(cli.app, [*command, "--quiet"]).exit_code == 0
    assert heard == [None, (False, None), (True, None)]
    assert runner.invoke(cli.app, ["demo"]).exit_code == runner.invoke(cli.app, ["validate"]).exit_code == 0
    assert heard[3] is not None and heard[4][1].stderr


def test_an_interrupt_is_130(monkeypatch, clouds: tuple[str, str], tmp_path: Path) -> None:
    solve_sample = otgen.solve_sample

    def interrupted(*arguments, **options):
        return replace(solve_sample(*arguments, **options), converged=False, message="interrupted")

    monkeypatch.setattr(otgen, "solve_sample", interrupted)
    pytest.importorskip("matplotlib")
    for command in (["demo", "--out", str(tmp_path / "demo")], ["validate", "--quick"]):
        result = runner.invoke(cli.app, command)
        assert result.exit_code == shell.EXIT_INTERRUPTED == 130 and result.stderr == "interrupted\n"
    assert list((tmp_path / "demo").iterdir()) == []
    result = runner.invoke(cli.app, ["distance", *clouds])  # its bounds hold, and are what was asked for
    assert result.exit_code == shell.EXIT_NOT_CONVERGED and "NO: interrupted" in result.stdout


def test_the_exit_codes_are_in_the_help() -> None:
    for command in ([], ["distance"], ["validate"], ["demo"]):
        shown = " ".join(runner.invoke(cli.app, [*command, "--help"]).stdout.split())
        assert "3 stopped before the proof" in shown and "130 interrupted" in shown


def test_doctor_prints_json() -> None:
    result = runner.invoke(cli.app, ["doctor", "--json"])
    assert result.exit_code == 0 and json.loads(result.stdout)["versions"]["numpy"] == np.__version__


def test_validate_exits_by_its_rows_and_folds_nothing_away(monkeypatch) -> None:
    problem = Problem("two points of a long name", np.eye(2), np.eye(2))
    good = validate.Row(problem, (1500, 1500, 64), 1234567.0, 0.0, 1e-16, 1e-17, 10.0, 10.0)
    why = "the same call gave 12345.678901234567, then 12345.678901234566; plan has 9 entries, more than n + m - 1 = 3"
    bad = validate.Row(problem, (2, 2, 2), failures=[why])
    monkeypatch.setattr(validate, "run", lambda **_: [good])
    for columns in ("40", "80", "200"):
        monkeypatch.setenv("COLUMNS", columns)
        result = runner.invoke(cli.app, ["validate", "--quick"])
        assert result.exit_code == 0 and "all 1 problems agree" in result.stdout
        assert "1.2346e+06  1e-16  1e-17  10.000  10.000  ok" in re.sub(" +", "  ", result.stdout)
        assert "…" not in result.stdout
    monkeypatch.setattr(validate, "run", lambda **_: [good, bad])
    monkeypatch.setenv("COLUMNS", "80")
    result = runner.invoke(cli.app, ["validate", "--quick"])
    assert result.exit_code == shell.EXIT_DISAGREEMENT and "1 of 2 problems failed" in result.stdout
    assert f"FAIL two points of a long name, euclidean^1, (n, m, d) = (2, 2, 2): {why}\n" in result.stdout


def test_missing_extras_name_their_command(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ot", None)
    result = runner.invoke(cli.app, ["validate", "--quick"])
    assert result.exit_code == 1 and doctor.install_command("POT") in result.stderr
    monkeypatch.delattr(otgen, "plots", raising=False)
    for name in [name for name in sys.modules if name.split(".")[:2] == ["otgen", "plots"]]:
        monkeypatch.delitem(sys.modules, name)
    for name in {"matplotlib", *(name for name in sys.modules if name.startswith("matplotlib."))}:
        monkeypatch.setitem(sys.modules, name, None)
    result = runner.invoke(cli.app, ["demo", "--out", str(tmp_path / "demo")])
    assert result.exit_code == 1 and doctor.install_command("matplotlib") in result.stderr
    assert not (tmp_path / "demo").exists()


def test_demo_tells_what_it_wrote_and_whether_it_is_proven(monkeypatch, tmp_path: Path) -> None:
    report: dict = {
        "distances": {"W1": {"converged": True}}, "entropic": {"converged": True}, "map": {"converged": True},
        "models": {"converged": True},
        "timings": {"otgen W1": [{"converged": True}], "POT W1": [{}]},
    }  # fmt: skip
    monkeypatch.setattr(demo, "run", lambda out, progress: report)
    monkeypatch.setattr(demo, "told", lambda report: "wrote it")
    result = runner.invoke(cli.app, ["demo", "--out", str(tmp_path)])
    assert result.exit_code == 0 and "wrote it" in result.stdout
    report["timings"]["otgen W1"][0]["converged"] = False
    assert runner.invoke(cli.app, ["demo", "--out", str(tmp_path)]).exit_code == shell.EXIT_NOT_CONVERGED
    report["timings"].clear()
    report["models"]["converged"] = False
    assert runner.invoke(cli.app, ["demo", "--out", str(tmp_path)]).exit_code == shell.EXIT_NOT_CONVERGED
    report["models"] = None  # left out
    assert runner.invoke(cli.app, ["demo", "--out", str(tmp_path)]).exit_code == 0
    report["distances"]["W1"]["converged"] = False
    assert runner.invoke(cli.app, ["demo", "--out", str(tmp_path)]).exit_code == shell.EXIT_NOT_CONVERGED


def test_demo_says_which_folder_it_cannot_make(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "taken").write_text("a file")
    for out, why in ((tmp_path / "taken", "File exists"), (tmp_path / "taken" / "below", "Not a directory")):
        result = runner.invoke(cli.app, ["demo", "--out", str(out)])
        assert result.exit_code == 1
        assert f"--out must be a folder that can be made; {out}: {why}. Choose another." in result.stderr


COMMANDS = (
    "distance", "test", "map fit", "map apply", "map sample", "map plot", "train", "sample", "evaluate", "validate",
    "doctor", "demo",
)  # fmt: skip


def test_the_help_is_a_map_of_the_commands_and_each_has_an_example() -> None:
    shown = runner.invoke(cli.app, ["--help"]).stdout
    for heading in ("Distances", "Maps", "Generative models", "This installation"):
        assert heading in shown
    assert all(f" {command.split()[0]} " in shown for command in COMMANDS)
    for command in COMMANDS:
        shown = " ".join(runner.invoke(cli.app, [*command.split(), "--help"]).stdout.replace("│", " ").split())
        assert f"Example: otgen {command} " in shown, command


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("nonsense", "error: No such command 'nonsense'. See otgen --help.\n"),
        ("distance a.npy", "error: Missing argument 'B'. See otgen distance --help.\n"),
        ("distance a.npy b.npy --bogus", "error: No such option: --bogus.* See otgen distance --help.\n"),
        ("distance a.npy b.npy --p abc", "error: Invalid value for '--p': .* See otgen distance --help.\n"),
        ("map apply m.npz x.npy", "error: Missing option '--out'. See otgen map apply --help.\n"),
        ("map nonsense", "error: No such command 'nonsense'. See otgen map --help.\n"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments: str, message: str) -> None:
    result = runner.invoke(cli.app, arguments.split())
    assert result.exit_code == 2 and result.stdout == "" and re.fullmatch(message, result.stderr), result.stderr


@pytest.mark.parametrize("arguments", [[], ["map"]])
def test_without_a_command_its_help_is_shown(arguments: list[str]) -> None:
    result = runner.invoke(cli.app, arguments)
    assert result.exit_code == 2 and "Usage: otgen" in result.output and "error" not in result.stderr


def test_shells_complete_commands_and_options() -> None:
    for words, expected in (("otgen dis", "distance"), ("otgen map ", "apply"), ("otgen map fit --res", "--resume")):
        asked = {"_OTGEN_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
        result = runner.invoke(cli.app, [], env=asked, prog_name="otgen")
        assert expected in result.stdout.split(), result.output


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("otgen distance a.npy b.npy --method ", ["wasserstein", "mmd", "energy", "sliced", "gaussian"]),
        ("otgen distance a.npy b.npy --metric ", METRICS),
        ("otgen distance a.npy b.npy --kernel ", SCALES),
        ("otgen distance a.npy b.npy --estimator ", ESTIMATORS),
        ("otgen test a.npy b.npy --statistic ", STATISTICS),
        ("otgen map fit y.npy --source ", SOURCES),
        ("otgen map fit y.npy --method ", METHODS),
        ("otgen map fit y.npy --method mon", ["monte_carlo"]),
        ("otgen train w", [name for name in presets.MODELS if name.startswith("w")]),
        ("otgen train aeot --data ", NAMES),
        ("otgen train aeot --preset ", ["toy", "cpu", "paper"]),
    ],
)
def test_shells_complete_the_names_that_the_api_knows(words: str, expected: Iterable[str]) -> None:
    place = str(len(words.split(" ")) - 1)
    asked = {"_OTGEN_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": place}
    assert set(runner.invoke(cli.app, [], env=asked, prog_name="otgen").stdout.split()) == set(expected)


def test_help_tells_of_completion() -> None:
    assert "--install-completion" in runner.invoke(cli.app, ["--help"]).stdout
