"""The report of `otgen doctor`: complete, JSON, and right about what is missing."""

from __future__ import annotations

import importlib.metadata
import io
import json
import subprocess
import sys

import pytest
from rich.console import Console

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


def test_the_cache_folder_is_the_one_numba_uses(report: dict, monkeypatch, tmp_path) -> None:
    assert report["cache"]["folder"] and report["cache"]["writable"]
    monkeypatch.setattr(doctor, "_cache_folder", lambda: tmp_path / "not" / "made" / "yet")
    assert doctor._cache()["writable"] and doctor._cache()["files"] == 0
    monkeypatch.setattr(doctor, "_cache_folder", lambda: None)
    assert not doctor._cache()["writable"]


def test_examining_imports_neither_torch_nor_cupy_nor_matplotlib() -> None:
    code = (
        "import sys; from otgen import doctor; doctor.examine(); "
        "sys.exit(f'{loaded}' if (loaded := {'torch', 'cupy', 'matplotlib'} & set(sys.modules)) else 0)"
    )
    gpu = doctor._nvidia_smi()[0]
    if gpu:
        pytest.skip("with a GPU the doctor tries CuPy on purpose")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_is_missing_comes_with_the_command_of_this_interpreter() -> None:
    versions: dict[str, str | None] = dict.fromkeys(doctor.OPTIONAL, "1.0") | {"POT": None}
    missing = doctor._missing(versions, {"devices": [], "cupy": None, "driver_cuda": None})
    assert [item["what"] for item in missing] == ["POT"]
    assert missing[0]["command"] == f'{sys.executable} -m pip install "otgen[validate]"'


@pytest.mark.parametrize("cuda, extra", [("12.4", "cuda12"), ("13.1", "cuda13"), (None, "cuda12")])
def test_a_gpu_without_cupy_asks_for_the_build_of_its_driver(cuda: str | None, extra: str) -> None:
    versions: dict[str, str | None] = dict.fromkeys(doctor.OPTIONAL, "1.0")
    missing = doctor._missing(versions, {"devices": ["a GPU"], "cupy": None, "driver_cuda": cuda})
    assert [item["what"] for item in missing] == ["cupy"] and f"otgen[{extra}]" in missing[0]["command"]


def test_nvidia_smi_is_read_and_its_failure_is_no_gpu(tmp_path, monkeypatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        "#!/bin/sh\n"
        'case "$1" in --query-gpu=*) echo "NVIDIA H200, 143771 MiB, 570.1" ;;\n'
        '*) echo "| NVIDIA-SMI 570.1  Driver Version: 570.1  CUDA Version: 12.8 |" ;; esac\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert doctor._nvidia_smi() == (["NVIDIA H200, 143771 MiB"], "570.1", "12.8")
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert doctor._nvidia_smi() == ([], None, None)


def test_the_printed_report_shows_every_part(report: dict) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    broken = report | {"missing": [{"what": "POT", "unlocks": "the peer", "command": "python -m pip install x[y]"}]}
    doctor.render(broken, console)
    text = console.export_text()
    for part in ("packages", "threads", "SGEMM", "gpu", "cupy", "cache", "python -m pip install x[y]"):
        assert part in text
    for version in (report["versions"]["numpy"], report["versions"]["numba"]):
        assert version in text
