"""A disk that is full while something is saved: an error in words, and what was there is as it was."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import otgen
from full_disk import full_disk
from otgen.transport import map_files

from .draws import Rng, pick
from .oracles import expect


def full(rng: Rng) -> None:
    """Save something larger over something that is there, with room for a part of it."""
    y = rng.random((int(rng.integers(300, 900)), 2))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        what, write, read = pick(rng, WRITERS)
        _inputs(folder, y)
        write(folder, y[:40])
        before, room = _content(folder), int(rng.integers(1, 2000))
        said = "it was written"
        with full_disk(room), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "compiled kernels cannot be kept", RuntimeWarning)  # full for them too
            try:
                write(folder, y)
            except OSError as error:
                said = f"error: {error}"
        expect(said.startswith("error: "), f"{what} with room for {room} bytes: {said}")
        expect("cannot be written" in said and "Free some space" in said, f"{what}: {said}")
        after = _content(folder)
        expect({k: after.get(k) for k in before} == before, f"{what}: what was there is gone or changed")
        expect(set(after) == set(before), f"{what} leaves {sorted(set(after) - set(before))}")
        read(folder)


def _inputs(folder: Path, y: Any) -> None:
    """Two files of points, and a map, for the shell."""
    np.save(folder / "few.npy", y[:40])
    np.save(folder / "many.npy", y)
    otgen.SemiDiscreteOT().fit(y[:30]).save(folder / "fitted.npz")


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _save_map(folder: Path, y: Any) -> None:
    otgen.SemiDiscreteOT().fit(y).save(folder / "map.npz")


def _save_state(folder: Path, y: Any) -> None:
    map_files.write(folder / "state", "checkpoint", {"heights": y, "note": "x" * len(y)})


def _save_picture(folder: Path, y: Any) -> None:
    from otgen import plots

    plots.save_cloud(folder / "cloud.png", {"points": y})


def _read_picture(folder: Path) -> None:
    from matplotlib.image import imread

    imread(folder / "cloud.png")


def _save_training(folder: Path, y: Any) -> None:
    import torch

    from otgen.training import checkpoints

    state = dict.fromkeys(checkpoints.KEYS)
    step = len(y)
    tensors = {"model": {"weight": torch.from_numpy(y)}, "optimizers": {"all/0/step": torch.tensor(1.0)}}
    checkpoints.write(folder / "run", step, tensors, {k: v for k, v in state.items() if k not in ("step", "sha256")})


def _read_training(folder: Path) -> None:
    from otgen.training import checkpoints

    checkpoints.read(checkpoints.latest(folder / "run"))


def _shell(*words: str) -> Callable[[Path, Any], None]:
    """A command of the shell in the folder, on "few" or "many" points; its exit code 1 is an OSError."""

    def write(folder: Path, y: Any) -> None:
        from typer.testing import CliRunner

        from otgen import cli

        named = {"POINTS": "few.npy" if len(y) == 40 else "many.npy", "COUNT": str(len(y))}
        before = os.getcwd()
        os.chdir(folder)
        try:
            done = CliRunner().invoke(cli.app, [named.get(word, word) for word in words])
        finally:
            os.chdir(before)
        if done.exit_code == 1 and done.stderr.count("\n") == 1:
            raise OSError(done.stderr)
        expect(done.exit_code == 0, f"otgen {' '.join(words)} exits with {done.exit_code}: {done.exception!r}")

    return write


WRITERS: tuple[tuple[str, Callable[[Path, Any], None], Callable[[Path], Any]], ...] = (
    ("SemiDiscreteOT.save", _save_map, lambda folder: otgen.SemiDiscreteOT.load(folder / "map.npz")),
    ("the state of a fit", _save_state, lambda folder: map_files.read(folder / "state", "checkpoint")),
    ("a picture", _save_picture, _read_picture),
    ("a checkpoint of a training", _save_training, _read_training),
    (
        "otgen map apply",
        _shell("map", "apply", "fitted.npz", "POINTS", "--out", "mapped.npy"),
        lambda folder: np.load(folder / "mapped.npy"),
    ),
    (
        "otgen map sample",
        _shell("map", "sample", "fitted.npz", "-n", "COUNT", "--quantile", "0.9", "--out", "new.npy"),
        lambda folder: np.load(folder / "new.npy"),
    ),
    (
        "otgen distance --plan",
        _shell("distance", "POINTS", "few.npy", "--plan", "plan.npz"),
        lambda folder: np.load(folder / "plan.npz"),
    ),
)
KINDS = {"full disk": (full, 2)}
