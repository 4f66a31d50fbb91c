"""The report of `otgen doctor`: complete, JSON, and right about what is missing."""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

import otgen
from otgen import doctor


@pytest.fixture(scope="module")
def report() -> dict:
    return doctor.examine()


def test_the_report_is_json_and_names_the_installed_versions(report: dict) -> None:
    assert json.loads(json.dumps(report)) == report
    for name in ("numpy", "scipy", "numba", "llvmlite", "threadpoolctl"):
        assert report["versions"][name] == importlib.metadata.version(name)
    assert report["threads"]["usable"] >= report["threads"]["kernel_pool"] >= 1
    assert report["cpu"]["name"] and report["cpu"]["sgemm_gflops"] > 0


def test_the_cache_folder_is_the_one_numba_uses(report: dict) -> None:
    folder = Path(report["cache"]["folder"])
    assert folder.is_dir() and report["cache"]["requested"] == os.environ["NUMBA_CACHE_DIR"]
    assert not report["cache"]["temporary"] and folder.is_relative_to(os.environ["NUMBA_CACHE_DIR"])


@pytest.mark.parametrize(
    "cache, told",
    [
        ({"folder": None}, "compiler is off"),
        ({"requested": "/elsewhere"}, "NUMBA_CACHE_DIR=/elsewhere is not used: it cannot be written"),
        ({"temporary": True}, "a temporary folder: every process compiles anew"),
        ({"requested": "/kept"}, "^/kept/cpu_1  3 files, 0.5 MB$"),
    ],
)
def test_the_cache_that_is_not_the_one_asked_for_is_explained(report: dict, cache: dict, told: str) -> None:
    base = {"folder": "/kept/cpu_1", "requested": None, "temporary": False, "files": 3, "megabytes": 0.5}
    assert re.search(told, doctor._told_of_cache(base | cache))
    assert set(base) == set(report["cache"])


def test_without_the_compiler_there_is_no_cache() -> None:
    code = "from otgen import doctor; print(doctor._told_of_cache(doctor._cache()))"
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert "NUMBA_DISABLE_JIT" in done.stdout, done.stderr


def test_examining_imports_neither_torch_nor_cupy_nor_matplotlib() -> None:
    code = (
        "import sys; from otgen import doctor; doctor.examine(); "
        "sys.exit(f'{loaded}' if (loaded := {'torch', 'cupy', 'matplotlib'} & set(sys.modules)) else 0)"
    )
    gpu = doctor._nvidia_smi()["devices"]
    if gpu:
        pytest.skip("with a GPU the doctor tries CuPy on purpose")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_is_missing_comes_with_the_command_of_this_interpreter() -> None:
    versions: dict[str, str | None] = dict.fromkeys(doctor.OPTIONAL, "1.0") | {"POT": None}
    missing = doctor._missing(versions, {"devices": [], "cupy": None, "driver_cuda": None})
    assert [item["what"] for item in missing] == ["POT"]
    assert missing[0]["command"] == f'{sys.executable} -m pip install "POT>=0.9.5,<1"'


def test_the_commands_install_what_the_extras_install() -> None:
    extras = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text())["project"]
    listed = {requirement for extra in extras["optional-dependencies"].values() for requirement in extra}
    assert set(doctor.REQUIREMENTS.values()) <= listed and set(doctor.OPTIONAL) <= set(doctor.REQUIREMENTS)


def test_a_checkout_knows_its_version(monkeypatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "0.0.0 of another copy")
    assert doctor._version("otgen") == otgen.__version__


@pytest.mark.parametrize("cuda, extra", [("12.4", "cuda12x"), ("13.1", "cuda13x"), (None, "cuda12x")])
def test_a_gpu_without_cupy_asks_for_the_build_of_its_driver(cuda: str | None, extra: str) -> None:
    versions: dict[str, str | None] = dict.fromkeys(doctor.OPTIONAL, "1.0")
    missing = doctor._missing(versions, {"devices": ["a GPU"], "cupy": None, "driver_cuda": cuda})
    assert [item["what"] for item in missing] == ["cupy"] and f"cupy-{extra}[ctk]>=" in missing[0]["command"]


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """Put a script of this text first on PATH, as nvidia-smi."""

    def install(script: str) -> None:
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")

    return install


H200 = """case "$1" in --query-gpu=*) echo "NVIDIA H200, 143771 MiB, 570.1" ;;
*) echo "| NVIDIA-SMI 570.1  Driver Version: 570.1  CUDA Version: 12.8 |" ;; esac"""


def test_nvidia_smi_is_read_and_its_failure_is_told(report: dict, nvidia_smi) -> None:
    nvidia_smi(H200)
    found = doctor._nvidia_smi()
    assert found["devices"] == ["NVIDIA H200, 143771 MiB"] and found["nvidia_smi_error"] is None
    assert (found["driver"], found["driver_cuda"]) == ("570.1", "12.8")
    nvidia_smi("echo 'driver/library version mismatch [x]' >&2; exit 18")
    found = doctor._nvidia_smi()
    assert found["devices"] == [] and found["nvidia_smi_error"] == "driver/library version mismatch [x]"
    assert "nvidia-smi failed: driver/library version mismatch [x]" in printed(report | {"gpu": doctor._gpu()})
    nvidia_smi("exit 9")
    assert doctor._nvidia_smi()["nvidia_smi_error"] == "exit status 9"


@pytest.mark.parametrize(
    "total, works, told", [(3.0, True, "(works)"), (4.0, False, "wrong result"), (None, False, "RuntimeError: no GPU")]
)
def test_cupy_is_tried_where_there_is_a_device(report, nvidia_smi, monkeypatch, total, works, told) -> None:
    def arange(_: int) -> SimpleNamespace:
        if total is None:
            raise RuntimeError("no GPU")
        return SimpleNamespace(sum=lambda: total)

    runtime = SimpleNamespace(getDeviceCount=lambda: 1)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(arange=arange, cuda=SimpleNamespace(runtime=runtime)))
    monkeypatch.setattr(doctor, "_version", lambda name: "14.0" if name == "cupy-cuda12x" else None)
    monkeypatch.setattr(doctor, "_kernel", lambda cupy: {"agrees": True, "first_seconds": 0.5, "seconds": 0.1})
    nvidia_smi(H200)
    gpu = doctor._gpu()
    assert gpu["cupy_works"] is works and gpu["cupy"] == "cupy-cuda12x 14.0"
    assert told in printed(report | {"gpu": gpu})


def test_a_kernel_is_run_on_the_device_beside_the_host(report, nvidia_smi, monkeypatch, cupy) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: "14.0" if name == "cupy-cuda13x" else None)
    nvidia_smi(H200)
    gpu = doctor._gpu()
    assert gpu["cupy_works"] and gpu["kernel"]["agrees"] and gpu["kernel"]["seconds"] > 0
    assert "on the CPU and the GPU: one ran in" in printed(report | {"gpu": gpu})
    monkeypatch.setattr(cupy, "asnumpy", lambda values: np.zeros(len(values)))  # a device that computes nonsense
    wrong = doctor._gpu()
    assert not wrong["kernel"]["agrees"] and "WRONG" in printed(report | {"gpu": wrong})


def printed(report: dict) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    doctor.render(report, console)
    return console.export_text()


def test_the_printed_report_shows_every_part(report: dict) -> None:
    broken = report | {"missing": [{"what": "POT", "unlocks": "the peer", "command": "python -m pip install x[y]"}]}
    text = printed(broken)
    for part in ("packages", "threads", "SGEMM", "gpu", "cupy", "cache", "python -m pip install x[y]"):
        assert part in text
    for version in (report["versions"]["numpy"], report["versions"]["numba"]):
        assert version in text
