"""What the README shows runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

README = Path(__file__).resolve().parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_every_python_block_runs(capsys) -> None:
    rng = np.random.default_rng(1)
    n = 30
    weights = np.full(n, 1 / n)
    x, y = rng.normal(size=(n, 2)), rng.normal(size=(n, 2)) + 1
    names = {"x": x, "y": y, "a": weights, "b": weights, "C": rng.random((n, n))}
    first, calls = blocks("python")
    exec(first, names)
    value, lower, gap = map(float, capsys.readouterr().out.split())
    assert lower <= value * (1 + 1e-12) and gap <= 1e-9 * value
    exec(calls, names)
    assert sorted(names["i"]) == sorted(names["j"]) == list(range(n))


def test_every_make_target_it_names_exists() -> None:
    text, makefile = README.read_text(encoding="utf-8"), README.with_name("Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"make (demo|test|check|bench|clean)\b", text))
    assert named == {"demo", "test", "check", "bench", "clean"}
    assert all(re.search(rf"^{target}:", makefile, flags=re.MULTILINE) for target in named)


def test_the_benchmark_has_its_place() -> None:
    assert re.search(
        r"<!-- bench:exact -->\n.+\n<!-- /bench:exact -->", README.read_text(encoding="utf-8"), flags=re.DOTALL
    )


def test_every_path_of_the_map_exists() -> None:
    section = README.read_text(encoding="utf-8").split("## Where things live")[1].split("##")[0]
    paths = re.findall(r"`((?:otgen|kernels|tests|benchmarks)/[^`]*)`", section)
    assert paths and [path for path in paths if not (README.parent / path).exists()] == []
