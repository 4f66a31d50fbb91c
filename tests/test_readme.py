"""What the README shows runs as it stands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer

import otgen
from otgen import cli

README = Path(__file__).resolve().parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_every_python_block_runs(capsys, tmp_path: Path, monkeypatch) -> None:
    rng = np.random.default_rng(1)
    names: dict = {}
    first, calls, entropic, maps, others, models = blocks("python")
    exec(first, names)  # as it stands: it brings its own x and y
    value, lower, gap = map(float, capsys.readouterr().out.split())
    assert lower <= value * (1 + 1e-12) and gap <= 1e-9 * value
    n, m = 30, 20
    x, y = names["x"][:n], names["y"][:m, :1].repeat(3, axis=1)
    a, b = np.full(n, 1 / n), np.full(m, 1 / m)
    names |= {"x": x, "y": y, "a": a, "b": b, "C": rng.random((n, m))}
    exec(calls, names)
    assert set(names["i"]) == set(range(n)) and set(names["j"]) <= set(range(m))
    assert names["bary"].points.shape == (10, 3)
    exec(entropic, names)
    (cost, objective), (lower, upper) = (map(float, line.split()) for line in capsys.readouterr().out.splitlines())
    exact = otgen.solve_sample(x, y, a, b).value
    assert lower <= exact * (1 + 1e-9) and exact * (1 - 1e-9) <= upper and exact <= cost <= objective
    assert names["moved"].shape == (n, 3) and names["first"].shape == (m,) and names["images"].shape == (m, 3)
    assert set(names["i"]) == set(range(n)) and names["bary"].points.shape == (10, 3)
    monkeypatch.chdir(tmp_path)  # it saves a map
    exec(maps, names | {"y": rng.random((m, 3))})
    assert "max_relative=" in capsys.readouterr().out and (tmp_path / "map.npz").exists()
    assert others.startswith("otgen.mmd_squared")
    exec(models, names | {"torch": pytest.importorskip("torch")})


def test_the_other_distances_of_the_readme_have_the_names_it_gives_them(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(30, 3)), rng.normal(size=(20, 3))
    names: dict = {"x": x, "y": y, "a": None, "b": None, "clouds": [x, y, y + 1.0], "otgen": otgen}
    names |= {"mean_x": x.mean(0), "cov_x": np.cov(x.T), "mean_y": y.mean(0), "cov_y": np.eye(3)}
    exec(blocks("python")[-2], names)
    assert names["sliced"].standard_error > 0 and names["most"].direction.shape == (3,)
    assert 0 < names["test"].p_value <= 1 and names["D"].shape == (3, 3)


def test_the_shell_lines_run(tmp_path: Path) -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("otgen ")]
    np.save(tmp_path / "A.npy", np.zeros((3, 2)))
    np.save(tmp_path / "B.npy", np.ones((4, 2)))
    shown = []
    for line in lines:
        command = [sys.executable, "-m", "otgen", *shlex.split(line, comments=True)[1:]]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        shown.append(done.stdout)
    exact, entropic, trained, _, judged = shown
    assert all(re.search("converged +yes", text) for text in (exact, entropic))
    assert "aeot on 8gaussians" in trained and re.search("modes_covered +8 of 8", judged)
    assert (tmp_path / "grid.png").exists()
    assert "1.414213562373" in exact and "1.41421356 to 1.41421356" in entropic


def test_every_option_and_exit_code_is_told() -> None:
    text = README.read_text(encoding="utf-8")
    top = vars(typer.main.get_command(cli.app))["commands"].values()
    commands = [inner for command in top for inner in vars(command).get("commands", {"": command}).values()]
    options = [option for command in commands for option in command.params]
    names = {name for option in options for name in option.opts if name.startswith("--")} - {"--help"}
    assert {
        name for name in names if f"{name}`" not in text and f"{name} " not in text and f"{name};" not in text
    } == set()
    assert re.findall(r"^\| (\d+) \|", text, flags=re.MULTILINE) == ["0", "1", "2", "3", "130"]


def test_every_make_target_it_names_exists() -> None:
    text, makefile = README.read_text(encoding="utf-8"), README.with_name("Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"`make ([a-z-]+)", text)) | set(re.findall(r"^make ([a-z-]+)", text, flags=re.MULTILINE))
    assert named >= {"demo", "test", "check", "bench", "docs", "wheel", "clean"}
    targets = re.findall(r"^([a-z][a-z -]*):", makefile, flags=re.MULTILINE)
    assert named <= {target for line in targets for target in line.split()}


def test_it_opens_with_its_idea_and_the_picture_that_it_shows() -> None:
    head = README.read_text(encoding="utf-8").split("```python")[0]
    (picture,) = re.findall(r"!\[.+\]\((.+)\)", head)
    assert (README.parent / picture).stat().st_size < 200_000
    idea = head.split("!")[0].split("\n\n")[1].replace("\n", " ")
    assert len(re.findall(r"[.](?= [A-Z]|$)", idea)) == 2  # sentences


def test_the_peers_are_compared_in_the_versions_that_were_looked_at() -> None:
    table = README.read_text(encoding="utf-8").split("<!-- features -->\n")[1].split("\n<!-- /features -->")[0]
    head, _, *rows = table.splitlines()
    pins = dict(
        line.split("==") for line in README.with_name("constraints.txt").read_text().splitlines() if "==" in line
    )
    makefile = README.with_name("Makefile").read_text(encoding="utf-8")
    pins["sdot"] = re.findall(r"sdot==([\d.]+)", makefile)[0]
    for name, package in (("POT", "POT"), ("GeomLoss", "geomloss"), ("OTT-JAX", "ott-jax"), ("sdot", "sdot")):
        (version,) = re.findall(rf"{name} ([\d.]+)", head)
        assert pins[package].startswith(version), package
    assert f"otgen {otgen.__version__.rsplit('.', 1)[0]} " in head
    assert len({row.count("|") for row in (head, *rows)}) == 1 and len(rows) >= 8


def test_every_path_of_the_map_exists() -> None:
    section = README.read_text(encoding="utf-8").split("## Where things live")[1].split("##")[0]
    paths = re.findall(r"`((?:otgen|kernels|tests|benchmarks)/[^`]*)`", section)
    assert paths and [path for path in paths if not (README.parent / path).exists()] == []


def test_every_file_that_contributing_names_exists() -> None:
    text = README.with_name("CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:otgen|kernels|tests|benchmarks)/[\w./*]+)`", text)
    certain = [path for path in named if not re.search(r"NAME|FILE", path)]
    assert len(certain) > 20 and [path for path in certain if not list(README.parent.glob(path))] == []
