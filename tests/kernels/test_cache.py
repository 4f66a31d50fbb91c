"""Kernels are kept somewhere, wherever they run, and never outlive their sources."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from numba.misc.appdirs import AppDirs

import kernel_cache
from otgen_kernels import cache

# No file can be made but below sys.argv[1]: neither beside the kernels, nor at home, nor in NUMBA_CACHE_DIR.
NOTHING_WRITABLE = """
import os, sys, tempfile
real, allowed = tempfile.TemporaryFile, sys.argv[1]
def only_there(*arguments, dir=None, **options):
    if dir is None or not str(dir).startswith(allowed):
        raise PermissionError(13, "Permission denied", str(dir))
    return real(*arguments, dir=dir, **options)
tempfile.TemporaryFile, tempfile.tempdir = only_there, allowed
"""


def run(code: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess:
    clean = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    command = [sys.executable, "-c", NOTHING_WRITABLE + code, str(tmp_path / "temporary")]
    (tmp_path / "temporary").mkdir(exist_ok=True)
    return subprocess.run(
        command, env=clean | {"HOME": str(tmp_path / "home")} | environment, capture_output=True, text=True
    )


def test_where_nothing_can_be_written_kernels_live_in_a_temporary_folder_until_exit(tmp_path: Path) -> None:
    code = (
        "import otgen, json; from otgen import doctor; found = doctor._cache()\n"
        "assert found['temporary'] and found['folder'].startswith(allowed), found\n"
        "assert found['requested'] == os.environ.get('ASKED'), found\n"
        "assert len(os.listdir(allowed)) == 1\n"
    )
    for environment in ({}, {"NUMBA_CACHE_DIR": "/nowhere", "ASKED": "/nowhere"}):
        done = run(code, tmp_path, **environment)
        assert done.returncode == 0, done.stderr
        assert list((tmp_path / "temporary").iterdir()) == []


def test_a_numba_that_is_loaded_already_is_told(tmp_path: Path) -> None:
    done = run("import numba, otgen.doctor as d; assert d._cache()['temporary']", tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_folder_that_can_be_written_is_left_alone(tmp_path: Path) -> None:
    asked = str(tmp_path / "temporary" / "asked")
    code = (
        "from otgen_kernels import cache\n"
        "assert cache.TEMPORARY is None and os.environ['NUMBA_CACHE_DIR'] == cache.REQUESTED\n"
        "assert 'numba' not in sys.modules\n"
    )
    done = run(code, tmp_path, NUMBA_CACHE_DIR=asked)
    assert done.returncode == 0, done.stderr


def test_the_users_folder_is_numbas() -> None:
    assert cache.user_folder() == AppDirs(appname="numba", appauthor=False).user_cache_dir


def test_the_tests_folder_changes_with_any_kernel_source(tmp_path: Path) -> None:
    sources = tmp_path / "kernels" / "cpu"
    sources.mkdir(parents=True)
    (sources / "one.py").write_text("1")
    before = kernel_cache.folder(tmp_path)
    (sources / "notes.txt").write_text("not a kernel")
    assert kernel_cache.folder(tmp_path) == before
    (sources / "two.cu").write_text("2")
    assert kernel_cache.folder(tmp_path) != before


def test_a_bare_pytest_names_that_folder_before_numba_is_imported() -> None:
    root = Path(__file__).resolve().parents[2]
    code = "import conftest, os, sys; print(os.environ['NUMBA_CACHE_DIR']); sys.exit('numba' in sys.modules)"
    clean = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    path = os.pathsep.join([str(root / "tests"), clean.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean | {"PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout.strip() == str(kernel_cache.folder(root)), done.stderr


def test_a_disk_that_is_full_costs_time_and_not_the_answer(tmp_path: Path) -> None:
    code = (
        "import sys, warnings, resource, numpy as np, otgen\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300, resource.RLIM_INFINITY))\n"
        "with warnings.catch_warnings(record=True) as told:\n"
        "    warnings.simplefilter('always')\n"
        "    value = otgen.wasserstein_1d([0.0, 1.0], [3.0, 5.0])\n"
        "    assert value == 3.5, value\n"
        "(only,) = (str(one.message) for one in told)\n"
        "assert only.startswith('compiled kernels cannot be kept in ') and 'File too large' in only, only\n"
        "assert only.endswith('free some space, or set NUMBA_CACHE_DIR.'), only\n"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "kernels")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".nbc"]
