"""`otgen distance --method` and `otgen test`: the values of the API, and refusals in terms of the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import otgen
from otgen import cli, comparisons

runner = CliRunner()


@pytest.fixture
def weights(tmp_path: Path) -> str:
    np.save(tmp_path / "a.npy", np.arange(1.0, 41) / 820)
    return str(tmp_path / "a.npy")


def loaded(clouds: tuple[str, str]) -> tuple[np.ndarray, np.ndarray]:
    return np.load(clouds[0]), np.load(clouds[1])


def run(*arguments: str, exit_code: int = 0):
    result = runner.invoke(cli.app, arguments)
    assert result.exit_code == exit_code, result.output
    return result


def test_each_method_prints_the_value_of_the_api(clouds: tuple[str, str], weights: str) -> None:
    x, y = loaded(clouds)
    a, of_a = np.load(weights), ("--weights-a", weights)

    def report(*arguments: str) -> dict:
        return json.loads(run("distance", *clouds, "--json", *arguments).stdout)

    found = report("--method", "mmd", "--kernel", "gaussian", "--bandwidth", "0.7", "--estimator", "biased", *of_a)
    assert found["mmd_squared"] == otgen.mmd_squared(x, y, a, kernel="gaussian", bandwidth=0.7, estimator="biased")
    assert (found["kernel"], found["bandwidth"], found["estimator"]) == ("gaussian", 0.7, "biased")
    assert (found["method"], found["n"], found["m"], found["d"]) == ("mmd", 40, 30, 2) and found["seconds"] > 0
    found = report("--method", "mmd", *of_a, "--seed", "4")
    assert found["mmd_squared"] == otgen.mmd_squared(x, y, a) and found["bandwidth"] == otgen.median_bandwidth(x, y, a)
    assert found["scales"] == [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0] and found["kernel"] == "imq"
    found = report("--method", "mmd", "--scales", "0.5,1,2")
    assert found["mmd_squared"] == otgen.mmd_squared(x, y, scales=[0.5, 1, 2]) and found["scales"] == [0.5, 1.0, 2.0]
    found = report("--method", "mmd", "--kernel", "polynomial")
    assert found["mmd_squared"] == otgen.mmd_squared(x, y, kernel="polynomial")
    assert found["scales"] is found["bandwidth"] is None
    found = report("--method", "energy", *of_a)
    assert found["energy_distance_squared"] == otgen.energy_distance_squared(x, y, a)
    assert found["energy_distance"] == pytest.approx(found["energy_distance_squared"] ** 0.5)
    found = report("--method", "sliced", "--projections", "50", "--p", "1", "--seed", "4")
    direct = otgen.sliced_wasserstein(x, y, p=1, n_projections=50, seed=4)
    assert found["sliced_wasserstein"] == direct.value and found["standard_error"] == direct.standard_error
    assert found["n_projections"] == 50 and found["p"] == 1.0
    found = report("--method", "gaussian")
    assert found["frechet_distance"] == otgen.frechet_distance(x, y)


@pytest.mark.parametrize(
    ("method", "shown"),
    [("mmd", "MMD^2"), ("energy", "energy distance"), ("sliced", "standard error"), ("gaussian", "Frechet")],
)
def test_without_json_it_is_a_few_lines(clouds: tuple[str, str], method: str, shown: str) -> None:
    lines = run("distance", *clouds, "--method", method).stdout.splitlines()
    assert any(line.startswith(shown) for line in lines) and len(lines) <= 8
    assert re.search(r"^points +40 x 2, 30 x 2$", "\n".join(lines), re.MULTILINE)


def test_a_value_is_repeated_by_what_its_table_shows(clouds: tuple[str, str]) -> None:
    def table(*arguments: str) -> dict[str, str]:
        lines = run(*arguments).stdout.splitlines()
        return {name: text for name, text in (re.split(r" {2,}", line, maxsplit=1) for line in lines) if name != "time"}

    command = ("distance", *clouds, "--method", "mmd", "--scales", "0.25,1,3")
    shown = table(*command)
    assert shown["scales"] == "0.25,1,3" and float(shown["bandwidth"]) == otgen.median_bandwidth(*loaded(clouds))
    assert shown == table(*command, "--bandwidth", shown["bandwidth"])
    command = ("test", *clouds, "--scales", "0.25,1,3", "--permutations", "9")
    shown = table(*command)
    direct = otgen.two_sample_test(*loaded(clouds), scales=[0.25, 1, 3], n_permutations=9)
    assert float(shown["bandwidth"]) == direct.bandwidth and shown == table(*command, "--bandwidth", shown["bandwidth"])
    assert json.loads(run(*command, "--json").stdout)["bandwidth"] == direct.bandwidth
    assert shown["statistic"] == f"{direct.statistic:.9g} (mmd)"
    assert "bandwidth" not in table("test", *clouds, "--statistic", "energy", "--permutations", "9")
    assert "bandwidth" not in table("distance", *clouds, "--method", "mmd", "--kernel", "energy")


def test_test_prints_the_p_value_of_the_api(clouds: tuple[str, str]) -> None:
    direct = otgen.two_sample_test(*loaded(clouds), statistic="energy", n_permutations=99, seed=2)
    options = ("--statistic", "energy", "--permutations", "99", "--seed", "2")
    found = json.loads(run("test", *clouds, *options, "--json").stdout)
    assert (found["value"], found["p_value"]) == (direct.statistic, direct.p_value)
    assert found["null_quantiles"]["0.95"] == direct.null_quantiles[0.95] and found["n_permutations"] == 99
    shown = run("test", *clouds, *options).stdout
    assert re.search(rf"^p-value +{direct.p_value:g}$", shown, re.MULTILINE) and "(95%)" in shown
    sliced = ("--statistic", "sliced", "--projections", "9", "--p", "1", "--permutations", "9")
    assert json.loads(run("test", *clouds, *sliced, "--json").stdout)["statistic"] == "sliced"
    assert comparisons.progress_line({"permutations": 1255, "of": 2000}) == "1,255 of 2,000 permutations"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (
            ("distance", "--method", "emd"),
            2,
            r"--method must be one of wasserstein, mmd, energy, sliced, gaussian; got",
        ),
        (("distance", "--method", "mmd", "--eps", "1"), 2, r"--eps does not go with --method mmd. Leave it out"),
        (("distance", "--method", "mmd", "--divergence"), 2, r"--divergence does not go with --method mmd"),
        (("distance", "--method", "energy", "--p", "2"), 2, r"--p does not go with --method energy"),
        (
            ("distance", "--method", "gaussian", "--weights-a", "a"),
            2,
            r"--weights-a does not go with --method gaussian",
        ),
        (("distance", "--method", "sliced", "--max-iter", "1"), 2, r"--max-iter does not go with --method sliced"),
        (("distance", "--kernel", "imq"), 2, r"--kernel does not go with --method wasserstein"),
        (("distance", "--method", "mmd", "--kernel", "rbf"), 1, r"--kernel: kernel must be one of"),
        (("distance", "--method", "mmd", "--bandwidth", "wide"), 1, r"--bandwidth: bandwidth must be 'median' or"),
        (("distance", "--method", "mmd", "--scales", "1;2"), 2, r"--scales must be numbers.*got 1;2. Write --scales 0"),
        (("distance", "--method", "mmd", "--scales", "1,0"), 1, r"--scales: scales must be a list of finite numbers"),
        (("distance", "--method", "energy", "--scales", "1"), 2, r"--scales does not go with --method energy"),
        (("distance", "--scales", "1"), 2, r"--scales does not go with --method wasserstein"),
        (("test", "--scales", ","), 2, r"--scales must be numbers with commas between; got ,"),
        (("test", "--statistic", "sliced", "--scales", "1"), 2, r"--scales does not go with --statistic sliced"),
        (("distance", "--method", "sliced", "--p", "0"), 1, r"--p: p must be a finite number >= 1"),
        (("test", "--statistic", "ks"), 2, r"--statistic must be one of mmd, energy, wasserstein, sliced; got ks"),
        (("test", "--statistic", "energy", "--kernel", "imq"), 2, r"--kernel does not go with --statistic energy"),
        (
            ("test", "--permutations", "0"),
            1,
            r"--permutations: n_permutations must be an int >= 1; got 0. .*labellings",
        ),
        (("distance", "--method", "sliced", "--projections", "0"), 1, r"--projections: n_projections must be an int"),
        (("distance", "--method", "energy", "--seed", "0"), 2, r"--seed does not go with --method energy"),
        (("distance", "--method", "mmd", "--p", "0"), 2, r"--p does not go with --method mmd"),
    ],
)
def test_what_they_refuse(clouds: tuple[str, str], arguments: tuple[str, ...], code: int, says: str) -> None:
    command, *options = arguments
    result = run(command, *clouds, *options, exit_code=code)
    assert re.search(says, result.stderr) and result.stdout == "" and "Traceback" not in result.stderr
