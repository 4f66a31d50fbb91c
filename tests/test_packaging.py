"""The wheel holds both import packages, their CUDA sources and type markers, and nothing else; the sdist builds it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import otgen

ROOT = Path(__file__).resolve().parents[1]


def build(tree: Path, target: str) -> Path:
    """What `make wheel` runs, for one target; without network."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(tree / "built")]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (tree / "built").glob("*.whl" if target == "wheel" else "*.tar.gz")
    return path


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    pytest.importorskip("hatchling")
    tree = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, tree)
    for name in ("otgen", "kernels"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tree


@pytest.fixture(scope="module")
def wheel(tree: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(build(tree, "wheel"))


@pytest.fixture(scope="module")
def sdist(tree: Path) -> Path:
    return build(tree, "sdist")


def sources() -> dict[str, Path]:
    """The files that must be installed, by their path in the wheel."""
    return {
        path.relative_to(root).as_posix(): path
        for root, package in ((ROOT, "otgen"), (ROOT / "kernels", "otgen_kernels"))
        for path in (root / package).rglob("*")
        if path.suffix in {".py", ".cu", ".cuh"} or path.name == "py.typed"
    }


def test_both_packages_whole_and_nothing_beside_them(wheel: zipfile.ZipFile) -> None:
    names, wanted = set(wheel.namelist()), set(sources())
    assert {"otgen/py.typed", "otgen_kernels/py.typed", "otgen/__init__.py", "otgen_kernels/__init__.py"} <= wanted
    assert {"otgen_kernels/cuda/pairs.cu", "otgen_kernels/cuda/tile.cuh"} <= wanted
    assert wanted <= names
    assert {name.split("/")[0] for name in names - wanted} == {f"otgen-{otgen.__version__}.dist-info"}


def test_the_sdist_holds_the_same_sources_and_builds_the_same_wheel(
    sdist: Path, wheel: zipfile.ZipFile, tmp_path: Path
) -> None:
    name = f"otgen-{otgen.__version__}"
    with tarfile.open(sdist) as archive:
        held = set(archive.getnames())
        archive.extractall(tmp_path, filter="data")
    wanted = {f"{name}/{path.relative_to(ROOT).as_posix()}" for path in sources().values()}
    assert wanted | {f"{name}/{file}" for file in ("PKG-INFO", "README.md", "LICENSE", "pyproject.toml")} <= held
    with zipfile.ZipFile(build(tmp_path / name, "wheel")) as again:
        assert sorted(again.namelist()) == sorted(wheel.namelist())


def test_the_console_script_and_the_extras(wheel: zipfile.ZipFile) -> None:
    info = f"otgen-{otgen.__version__}.dist-info"
    assert "otgen = otgen.cli:main" in wheel.read(f"{info}/entry_points.txt").decode()
    metadata = wheel.read(f"{info}/METADATA").decode()
    for extra in (
        "torch",
        "models",
        "plot",
        "validate",
        "parallel",
        "bench",
        "docs",
        "notebooks",
        "cuda12",
        "cuda13",
        "dev",
        "all",
    ):
        assert f"Provides-Extra: {extra}\n" in metadata
    assert "Requires-Python: >=3.11" in metadata


def test_the_constraints_pin_every_direct_requirement_of_the_tests() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines if "==" in line}
    extras = project()["optional-dependencies"]
    tested = ("dev", "torch", "data", "models", "plot", "validate", "parallel", "bench", "docs", "notebooks")
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
    for name in ("otgen", "kernels", "tests", "benchmarks", "notebooks", "docs"):
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
