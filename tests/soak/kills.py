"""SIGKILL at any moment of a fit or a training that keeps checkpoints: none is lost, and the end is the same."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import otgen
from otgen.transport import map_files

from .draws import Rng, pick
from .oracles import expect

TRAIN = ("train", "ae", "--data", "8gaussians", "--set", "points=400", "--set", "batch=20", "--set", "width=16",
         "--set", "steps=60", "--set", "checkpoint_every=3", "--set", "picture_every=0", "--quiet")  # fmt: skip

ALONE = {"OMP_NUM_THREADS": "1"}  # layers so small gain nothing from threads, and lose much where others compute


def fit(rng: Rng) -> None:
    """SemiDiscreteOT.fit(resume=) killed again and again ends as the fit that was left alone, bit for bit."""
    method = pick(rng, ("newton", "monte_carlo"))
    y = rng.random((int(rng.integers(50, 400)), 2))
    made = otgen.SemiDiscreteOT(method=method, tol=1e-8 if method == "newton" else 0.01, seed=int(rng.integers(100)))
    before, map_files.EVERY = map_files.EVERY, 0.0  # a checkpoint at every step
    try:
        start = time.monotonic()
        wanted = made.fit(y).heights_
        took = time.monotonic() - start
        with tempfile.TemporaryDirectory() as folder:
            state, end = Path(folder) / "state", Path(folder) / "map.npz"
            kills = _killed_until_done(made, y, state, end, rng, took)
            found = otgen.SemiDiscreteOT.load(end)
            away = float(np.abs(found.heights_ - wanted).max())
            expect(found.converged_ and away == 0.0, f"{method}, killed {kills} times, ends {away:.3g} elsewhere")
    finally:
        map_files.EVERY = before


def _killed_until_done(made: Any, y: Any, state: Path, end: Path, rng: Rng, took: float) -> int:
    """Fit in children that are killed until one is done; a child that fails, or a checkpoint that is lost, is wrong."""
    kills = 0
    while True:
        seen = state.exists()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                made.fit(y, resume=state).save(end)
                code = 0
            except BaseException as error:
                os.write(2, f"in the child: {error!r}\n".encode())
            finally:
                os._exit(code)
        wait = rng.uniform(0, 1.2 * took) if kills < 8 else 60.0
        deadline = time.monotonic() + wait
        status = None
        while status is None and time.monotonic() < deadline:
            done, code = os.waitpid(pid, os.WNOHANG)
            status = code if done else None
            time.sleep(0.001)
        if status is not None:
            expect(status == 0, f"a fit that resumes fails with status {status}, after {kills} kills")
            return kills
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        kills += 1
        expect(kills < 10, "a fit that resumes does not come to its end")
        expect(state.exists() or not seen, "the checkpoint is lost")
        if state.exists():
            map_files.read(state, map_files.Checkpoint.KIND)  # whole, or ValueError


def training(rng: Rng) -> None:
    """`otgen train` killed once or twice, then --resume: the weights of the run that was left alone."""
    with tempfile.TemporaryDirectory() as folder:
        whole, cut = Path(folder) / "whole", Path(folder) / "cut"
        start = time.monotonic()
        _trained(whole, ())
        took = time.monotonic() - start
        options: tuple[str, ...] = ()
        for _ in range(int(rng.integers(1, 3))):
            child = subprocess.Popen(
                [*_command(cut), *options], env=os.environ | ALONE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=float(rng.uniform(0.5, 1.0)) * took)
            child.kill()
            _, said = child.communicate()
            expect(child.returncode in (0, -signal.SIGKILL), f"training fails: {said.decode()[-400:]}")
            options = ("--resume",)
        _trained(cut, options)
        for path in sorted((whole / "model").glob("*.safetensors")):
            same = path.read_bytes() == (cut / "model" / path.name).read_bytes()
            expect(same, f"{path.name} of the resumed run is another")


def _command(out: Path) -> list[str]:
    return [sys.executable, "-m", "otgen", *TRAIN, "--out", str(out)]


def _trained(out: Path, options: tuple[str, ...]) -> None:
    done = subprocess.run([*_command(out), *options], env=os.environ | ALONE, capture_output=True, text=True)
    expect(done.returncode == 0, f"otgen train exits with {done.returncode}: {done.stderr[-400:]}")


KINDS = {"kill a fit": (fit, 2), "kill a training": (training, 0.25)}
