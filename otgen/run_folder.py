"""The folder of a run: run.json, which tells model, data, preset and the phases that are done, and what lies beside.

metrics.csv, checkpoints/, samples/ (pictures) and model/ (the saved model); of AE-OT also autoencoder/ (saved),
codes.npy and map-state.npz, a fit's own file.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import folders, preset_fields, presets
from .preset_fields import Preset

FILE, KIND, VERSION = "run.json", "otgen run", 1
MODEL, DESCRIPTION = "model", "model.json"
PHASES = ("training", "codes", "map")


class Run:
    """The folder of a run and its run.json, which is written at each change."""

    def __init__(self, out: Path, facts: dict[str, Any]) -> None:
        self.out, self.facts = out, facts

    def write(self) -> None:
        """Write run.json."""
        self.out.mkdir(parents=True, exist_ok=True)
        folders.write_text(self.out / FILE, json.dumps(self.facts, indent=1))

    def done(self, phase: str, settings: Mapping[str, Any]) -> bool:
        """Whether a phase has been finished with these settings."""
        return self.facts["phases"].get(phase, {}).get("settings") == json.loads(json.dumps(settings))

    def finish(self, phase: str, settings: Mapping[str, Any], **found: Any) -> None:
        """Note that a phase is finished; those that follow are to be done again."""
        for later in PHASES[PHASES.index(phase) + 1 :]:
            self.facts["phases"].pop(later, None)
        self.facts["phases"][phase] = {"settings": settings, "seconds": self.facts["spent"].get(phase, 0.0), **found}
        self.write()

    @contextmanager
    def keeping(self, before: dict[str, Any] | None) -> Iterator[None]:
        """Bad input within leaves the folder as it was found, unless a phase was finished first."""
        began = dict(self.facts["phases"])
        try:
            yield
        except (ValueError, TypeError):
            if self.facts["phases"] == began:
                (self.out / FILE).unlink(missing_ok=True)
                if before is not None:
                    Run(self.out, before).write()
            raise

    @contextmanager
    def timing(self, phase: str, *, anew: bool = False) -> Iterator[None]:
        """Add the seconds within to those of a phase, or begin to count them again."""
        before, began = 0.0 if anew else self.facts["spent"].get(phase, 0.0), time.perf_counter()
        try:
            yield
        finally:
            self.facts["spent"][phase] = before + time.perf_counter() - began
            self.write()


def begun(out: Path, model: str, data: str, preset: str | None, resume: bool) -> dict[str, Any] | None:
    """The facts of the run in a folder, None where a new one begins; raises ValueError for one that is another."""
    file = out / FILE
    if not file.exists():
        if out.exists() and not out.is_dir():
            raise ValueError(f"out must be a folder; {out} is a file. Pass another.")
        return None
    found = _read_facts(file)
    if not resume:
        raise ValueError(
            f"out must be a folder without a run; {out} holds one of {found['model']} on {found['data']}. Pass "
            "--resume to go on with it, or another folder."
        )
    for name, given in (("model", model), ("data", str(data))):
        if found[name] != given:
            raise ValueError(
                f"--resume goes on with a run as it was begun; in {out} {name} was {found[name]} and is {given}. Pass "
                "the former, or another folder."
            )
    if preset is not None and vars(presets.of(model, found["shape"], preset)) != _stored_fields(found):
        raise ValueError(
            f"--resume goes on with the preset of the run in {out}; preset={preset!r} has other fields. Leave it out; "
            "--set changes single fields."
        )
    return found


def _read_facts(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if found["otgen"] != KIND or found["version"] != VERSION:
            raise ValueError(f"it is a {found['otgen']} of version {found['version']}")
        kinds = {"model": str, "data": str, "shape": list, "preset": dict, "phases": dict, "spent": dict}
        wrong = [name for name, kind in kinds.items() if not isinstance(found[name], kind)]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} is of a wrong type")
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ValueError(
            f"{file} must describe a run of this otgen; reading it failed: {error}. Begin the run in another folder."
        ) from error
    return found


def _stored_fields(found: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found["preset"].items()}


def stored(out: Path, model: str, found: dict[str, Any]) -> Preset:
    """The preset of a run; raises ValueError for one of another otgen."""
    try:
        return preset_fields.read(type(presets.of(model)), found["preset"])
    except ValueError as error:
        raise ValueError(f"{out / FILE} cannot be resumed by this otgen: {error}. Begin the run anew.") from error


def model_folder(run: Path) -> Path:
    """Where the model of a run is saved, or `run` itself if it is that; raises FileNotFoundError for neither."""
    if (run / DESCRIPTION).exists():
        return run
    if (run / FILE).exists() and not (run / MODEL / DESCRIPTION).exists():
        raise FileNotFoundError(f"{run} holds a run that is not finished. Go on with it: otgen train ... --resume.")
    if not (run / FILE).exists():
        raise FileNotFoundError(f"{run} must be the folder of a run; it holds no {FILE}. Pass what --out was given.")
    return run / MODEL
