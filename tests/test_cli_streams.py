"""The shell command as a process: terminals, pipes and full disks."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import otgen


@pytest.fixture
def clouds(tmp_path: Path) -> tuple[str, str]:
    rng = np.random.default_rng(3)
    np.save(tmp_path / "x.npy", rng.normal(size=(40, 2)))
    np.save(tmp_path / "y.npy", rng.normal(size=(30, 2)) + 1)
    return str(tmp_path / "x.npy"), str(tmp_path / "y.npy")


COMMAND = [sys.executable, "-m", "otgen"]
SLOW = """
import sys, time, otgen
from otgen import cli
solve_sample = otgen.solve_sample
def slow(*arguments, progress, **options):
    if progress is not None:
        progress({"level": 1, "levels": 2, "round": 3, "arcs": 4, "gap": None, "scale": None, "seconds": 0.0})
        time.sleep(1.3)
    return solve_sample(*arguments, progress=progress, **options)
otgen.solve_sample = slow
cli.app(sys.argv[1:])
"""


def on_a_terminal(*arguments: str) -> tuple[str, str]:
    """Stdout and stderr of the command with a pseudo-terminal as stderr alone."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", SLOW, *arguments]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True, env=environment) as child:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # Linux ends a pseudo-terminal with EIO
            while more := os.read(ours, 4096):
                shown += more
        os.close(ours)
        assert child.stdout is not None
        return child.stdout.read(), shown.decode()


def test_progress_goes_to_a_terminal_on_stderr_and_ticks(clouds: tuple[str, str]) -> None:
    out, shown = on_a_terminal("distance", *clouds, "--json")
    assert json.loads(out)["converged"]
    assert "level 1/2, round 3, 4 arcs" in shown
    assert "0:00:01" in shown  # a second inside one round


def test_quiet_is_quiet_on_a_terminal(clouds: tuple[str, str]) -> None:
    out, shown = on_a_terminal("distance", *clouds, "--json", "--quiet")
    assert json.loads(out)["converged"] and shown == ""


def test_no_progress_where_stderr_is_a_file_even_if_colours_are_forced(clouds: tuple[str, str]) -> None:
    environment = os.environ | {"FORCE_COLOR": "1"}
    command = [sys.executable, "-c", SLOW, "distance", *clouds, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.stderr == "" and json.loads(done.stdout)["converged"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's full disk")
@pytest.mark.parametrize("command", [["distance"], ["distance", "--json"], ["doctor"]])
def test_a_full_disk_is_one_line(clouds: tuple[str, str], command: list[str]) -> None:
    arguments = [*command[:1], *clouds, *command[1:]] if command[0] == "distance" else command
    with open("/dev/full", "w") as full:
        done = subprocess.run([*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == "error: stdout cannot be written: No space left on device. Free some space, or redirect it.\n"


@pytest.mark.parametrize("command", ["distance", "doctor"])
def test_a_reader_that_goes_is_no_error(clouds: tuple[str, str], command: str) -> None:
    arguments = [command, *(clouds if command == "distance" else ()), "--json"]
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stderr is not None
        child.stdout.close()
        assert child.stderr.read() == b""


def test_python_m_otgen_is_the_same_command(clouds: tuple[str, str]) -> None:
    done = subprocess.run([*COMMAND, "distance", *clouds, "--json"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "" and json.loads(done.stdout)["converged"]
    shown = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True)
    assert shown.stdout.strip() == f"otgen {otgen.__version__}"
