"""The wheel holds both import packages, their type markers, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import otgen

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    pytest.importorskip("hatchling")
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, source)
    for name in ("otgen", "kernels"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    built = source / "built"
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = built.glob("*.whl")
    return zipfile.ZipFile(path)


def test_both_packages_whole_and_nothing_beside_them(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    wanted = {
        path.relative_to(root).as_posix()
        for root, package in ((ROOT, "otgen"), (ROOT / "kernels", "otgen_kernels"))
        for path in (root / package).rglob("*")
        if path.suffix in {".py", ".cu", ".cuh"} or path.name == "py.typed"
    }
    assert {"otgen/py.typed", "otgen_kernels/py.typed", "otgen/__init__.py", "otgen_kernels/__init__.py"} <= wanted
    assert wanted <= names
    assert {name.split("/")[0] for name in names - wanted} == {f"otgen-{otgen.__version__}.dist-info"}


def test_the_console_script_and_the_extras(wheel: zipfile.ZipFile) -> None:
    info = f"otgen-{otgen.__version__}.dist-info"
    assert "otgen = otgen.cli:main" in wheel.read(f"{info}/entry_points.txt").decode()
    metadata = wheel.read(f"{info}/METADATA").decode()
    for extra in ("torch", "models", "plot", "validate", "parallel", "bench", "cuda12", "cuda13", "dev", "all"):
        assert f"Provides-Extra: {extra}\n" in metadata
    assert "Requires-Python: >=3.11" in metadata


def test_the_constraints_pin_every_direct_requirement_of_the_tests() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines if "==" in line}
    extras = project()["optional-dependencies"]
    tested = ("dev", "torch", "data", "models", "plot", "validate", "parallel", "bench")
    direct = [*project()["dependencies"], *(requirement for extra in tested for requirement in extras[extra])]
    names = {requirement.split(">")[0].split("[")[0].lower() for requirement in direct} - {"otgen"}
    assert names <= pinned


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture
def make(tmp_path):
    """Run make on a copy of the Makefile beside empty folders."""
    if shutil.which("make") is None:
        pytest.skip("needs make")
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    for name in ("otgen", "kernels", "tests", "benchmarks"):
        (tmp_path / name / "__pycache__").mkdir(parents=True)

    def run(*arguments: str) -> str:
        command = ["make", *arguments, f"PYTHON={sys.executable}"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    return run


def test_make_clean_leaves_no_cache(make, tmp_path) -> None:
    make("clean")
    assert [path for path in tmp_path.rglob("__pycache__") if path.is_dir()] == []


def test_an_environment_that_was_interrupted_in_the_making_is_made_again(make, tmp_path) -> None:
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").touch()  # pip would follow
    assert "-m venv .venv" in make("-n", "demo")
    (tmp_path / ".venv" / "made.stamp").touch()
    assert "-m venv .venv" not in make("-n", "demo")
