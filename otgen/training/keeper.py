"""A run's way to its checkpoints and back: all that the rest of the run depends on, for all ranks."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..data import DataSet
from ..options import read_path
from . import checkpoints
from .average import Average
from .logs import Losses
from .options import FREE_ON_RESUME, TrainOptions
from .team import Team

WITNESSES = 64  # samples, spread over the set, by which a data set is known again


class Keeper:
    """Writes checkpoints of a run under `out` and restores them; without `out` it does neither."""

    def __init__(
        self, out: Path | None, fabric: Any, model: Any, data: DataSet, options: TrainOptions, team: Team,
        average: Average | None, losses: Losses, noise: torch.Generator,
    ) -> None:  # fmt: skip
        self.newest: Path | None = None
        self._out, self._fabric, self._model, self._team = out, fabric, model, team
        self._average, self._losses, self._noise = average, losses, noise
        self._facts = json.loads(
            json.dumps(
                {
                    "options": options.as_json(),
                    "model": model.config() if hasattr(model, "config") else None,
                    "data": _known_again(data),
                    "device": fabric.device.type,
                }
            )
        )

    def last_good(self) -> str:
        """Return the sentence that names the last checkpoint."""
        return f"The last good checkpoint is {self.newest}." if self.newest else "No checkpoint was written before it."

    def save(self, step: int, seconds: float) -> None:
        """Write the checkpoint of a step."""
        if self._out is None:
            return
        random = {name: self._of_ranks(state) for name, state in self._random_states().items()}
        if self._fabric.is_global_zero:
            tensors = {"model": self._team.tensors, "optimizers": self._optimizer_tensors()}
            if self._average is not None:
                tensors["ema"] = self._average.values
            state = {
                **self._facts, "seconds": seconds, "losses": self._losses.unwritten(), "random": random,
                "versions": _versions(),
            }  # fmt: skip
            self.newest = checkpoints.write(self._out, step, tensors, state)
        self._fabric.barrier()

    def restore(self) -> tuple[int, float]:
        """Take the run back to its newest checkpoint; return the steps done and the seconds they took, 0 for none."""
        if self._out is None or not checkpoints.steps(self._out):
            return 0, 0.0
        found = checkpoints.read(checkpoints.latest(self._out))
        self._check_same(found)
        checkpoints.load_weights(self._model, found)
        if self._average is not None:
            if found.ema is None:
                raise ValueError(f"{found.path} must hold ema.safetensors, as its options have ema; it does not.")
            self._average.restore(found.ema)
        self._load_optimizers(found)
        for name, states in found.state["random"].items():
            self._set_random_state(name, bytes.fromhex(states[self._fabric.global_rank]))
        self._losses.restore(found.state["losses"])
        self.newest = found.path
        return found.state["step"], found.state["seconds"]

    def _check_same(self, found: checkpoints.Checkpoint) -> None:
        before, now = dict(found.state), dict(self._facts)
        for what in ("options", "data", "model"):
            before |= {f"{what}.{key}": value for key, value in (before.pop(what) or {}).items()}
            now |= {f"{what}.{key}": value for key, value in (now.pop(what) or {}).items()}
        # A schedule is laid out over the whole run: another length would have meant other rates so far.
        free = FREE_ON_RESUME if now["options.schedule"] is None else FREE_ON_RESUME[2:]
        for key in sorted(set(now) | {key for key in before if "." in key}):
            if now.get(key) != before.get(key) and key not in {f"options.{name}" for name in free}:
                raise ValueError(
                    f"resume goes on with the run in {self._out} as it was begun; {key} was {before.get(key)!r} and is "
                    f"{now.get(key)!r}. Pass the former, or another out=."
                )

    def _optimizer_tensors(self) -> checkpoints.Tensors:
        return {
            f"{player}/{index}/{name}": value
            for player, optimizer in self._team.optimizers.items()
            for index, values in optimizer.state_dict()["state"].items()
            for name, value in values.items()
            if isinstance(value, torch.Tensor)  # momentum_buffer of SGD is None without momentum
        }

    def _load_optimizers(self, found: checkpoints.Checkpoint) -> None:
        states: dict[str, dict[int, dict[str, torch.Tensor]]] = {player: {} for player in self._team.optimizers}
        for key, value in found.optimizers.items():
            player, index, name = key.rsplit("/", 2)
            states[player].setdefault(int(index), {})[name] = value
        for player, optimizer in self._team.optimizers.items():
            optimizer.load_state_dict(optimizer.state_dict() | {"state": states[player]})

    def _random_states(self) -> dict[str, torch.Tensor]:
        found = {"noise": self._noise.get_state(), "cpu": torch.get_rng_state()}
        if self._fabric.device.type == "cuda":
            found["cuda"] = torch.cuda.get_rng_state(self._fabric.device)
        return found

    def _set_random_state(self, name: str, state: bytes) -> None:
        value = torch.frombuffer(bytearray(state), dtype=torch.uint8)
        if name == "noise":
            self._noise.set_state(value)
        elif name == "cpu":
            torch.set_rng_state(value)
        else:
            torch.cuda.set_rng_state(value, self._fabric.device)

    def _of_ranks(self, state: torch.Tensor) -> list[str]:
        found = self._fabric.all_gather(state.to(self._fabric.device)).reshape(self._fabric.world_size, -1)
        return [row.cpu().numpy().tobytes().hex() for row in found]


def read_out(out: Any, resume: Any) -> Path | None:
    """Return the folder of a run, made if need be; raise where it holds another run that is not to be resumed."""
    if not isinstance(resume, bool):
        raise TypeError(f"resume must be True or False; got {resume!r}. Pass one of them.")
    if out is None:
        if resume:
            raise ValueError("resume=True needs out=, the folder of the run; got out=None. Pass the folder.")
        return None
    path = read_path(out, "out")
    found = checkpoints.steps(path)
    if found and not resume:
        raise ValueError(
            f"out must be a folder without a run; {path} holds one up to {found[-1].name}. Pass resume=True to go on "
            "with it, or another folder."
        )
    path.mkdir(parents=True, exist_ok=True)
    return path


def _known_again(data: DataSet) -> dict[str, Any]:
    values = data.x[np.linspace(0, len(data) - 1, min(WITNESSES, len(data))).astype(np.int64)]
    digest = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
    return {"name": data.name, "n": len(data), "shape": list(data.shape), "samples": digest}


def _versions() -> dict[str, str]:
    # otgen is loaded, as this file is of it; torch at least is the one that ran
    loaded = {name: str(sys.modules[name].__version__) for name in ("otgen", "torch", "numpy")}
    return {"python": platform.python_version(), **loaded}
