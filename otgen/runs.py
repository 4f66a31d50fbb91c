"""Runs in folders: data, model, training and what follows it, each phase resumed or skipped; samples of the outcome."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import folders, preset_fields, presets
from .data import DataSet
from .data import load as load_data
from .maps import progress_line as map_line
from .models import AEOT, build, saved
from .options import read_count
from .preset_fields import AEOTPreset, Preset
from .run_folder import KIND, MODEL, VERSION, Run, begun, model_folder, stored
from .run_pictures import painter
from .run_watch import together, watcher
from .training import TrainOptions
from .training import load as load_trained
from .training import train as train_model
from .training.logs import describe
from .training.options import FREE_ON_RESUME
from .transport.result import ConvergenceWarning
from .transport.semidiscrete_options import check_limits, read_limit, read_method, read_source, read_tol

AUTOENCODER, CODES, STATE = "autoencoder", "codes.npy", "map-state.npz"
UNTOLD = (*FREE_ON_RESUME[2:], "precision", "accelerator")  # options under which a finished training is the same one
Progress = Callable[[dict[str, Any]], None] | None


def train(
    model: str,
    data: str,
    out: Any,
    *,
    preset: str | None = None,
    changes: Sequence[str] = (),
    resume: bool = False,
    root: Any = None,
    progress: Progress = None,
    warn: Callable[[str], None] = warnings.warn,
) -> dict[str, Any]:
    """Train a model by its name on a data set by its name, save it in out/model, and return a report.

    preset names one of `otgen.presets`, None the first for the data; changes are "field=value"; root is the folder of
    the data. resume=True goes on with the run in out, with its own preset and changes on top, and skips the phases that
    are done. progress is called with dicts that `progress_line` words, warn with a sentence.

    Raises ValueError or TypeError for bad input, FloatingPointError for a loss that is not finite, FileNotFoundError
    for missing data, ModuleNotFoundError where a library is wanting.
    """
    presets.check_model(model)
    out = Path(out)
    before = begun(out, model, data, preset, resume)
    if before is None:
        early = [text for text in changes if text.partition("=")[0] in preset_fields.DATA]
        drawn = preset_fields.changed(Preset(), early).data()
        samples = load_data(data, root=root, **drawn)
        chosen = preset_fields.changed(presets.of(model, samples.shape, preset), changes)
    else:
        chosen = preset_fields.changed(stored(out, model, before), changes)
        samples = load_data(data, root=root, **chosen.data())
    options = TrainOptions(**chosen.training(len(samples)))
    facts = {
        "otgen": KIND, "version": VERSION, "model": model, "data": str(data),
        "preset": vars(chosen), "phases": {}, "spent": {}, "shape": list(samples.shape),
    }  # fmt: skip
    if before is not None:
        facts |= {"phases": before["phases"], "spent": before["spent"]}
    run = Run(out, facts)
    with run.keeping(before):
        if isinstance(chosen, AEOTPreset):
            skipped = _train_aeot(run, chosen, options, samples, progress, warn)
        else:
            skipped = _train_network(run, chosen, options, samples, MODEL, progress, warn)
    return _report(run, skipped)


def sample(run: Any, n: int, *, seed: int = 0, theta: float | None = None, quantile: float | None = None) -> np.ndarray:
    """n samples (n, *shape), float32, of the model that a run saved; theta and quantile are an AEOT's.

    Raises FileNotFoundError where there is no saved model, ValueError for one that cannot sample and for bad options.
    """
    n, folder = read_count(n, "n", "samples"), model_folder(Path(run))
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed must be an int >= 0; got {seed!r}. Pass 0.")
    model = saved.load(folder)
    generator, angle = torch.Generator().manual_seed(seed), {"theta": theta, "quantile": quantile}
    if isinstance(model, AEOT):
        found = model.sample(n, generator=generator, **angle)
    else:
        given = [name for name, value in angle.items() if value is not None]
        if given:
            raise ValueError(f"{given[0]} is an angle of the map of an AEOT; {run} holds a {model.NAME}. Leave it out.")
        if not model.HAS_PRIOR:
            raise ValueError(
                f"{run} holds an autoencoder, which has no law of codes to sample from. Train aeot with --set "
                f"autoencoder={run}, or a vae or a wae."
            )
        found = model.sample(n, generator=generator)
    return found.numpy()


def progress_line(info: dict[str, Any]) -> str:
    """A report of a run's progress in words."""
    phase = info.get("phase")
    if phase == "codes":
        return f"codes {info['done']:,} of {info['of']:,}"
    if phase == "map":
        return f"map: {map_line(info)}"
    return f"step {info['step']:,} of {info['of']:,}  {describe(info)}  about {info['left']:.0f} s left"


def told(report: dict[str, Any]) -> str:
    """The report of `train` in a few lines."""
    lines = [("model", f"{report['model']} on {report['data']}")]
    for phase, found in report["phases"].items():
        skipped = ", done before" if phase in report["skipped"] else ""
        facts = {"training": "{steps:,} steps", "codes": "{n:,} of {dimension} coordinates", "map": "{message}"}[phase]
        early = ", at stop_gap" if found.get("stopped") else ""
        lines.append((phase, f"{found['seconds']:.1f} s, {facts.format(**found)}{early}{skipped}"))
    lines.append(("saved", report["saved"]))
    return "\n".join(f"{name:<10}{text}" for name, text in lines)


def _train_network(
    run: Run, preset: Preset, options: TrainOptions, data: DataSet, name: str, progress: Progress,
    warn: Callable[[str], None],
) -> list[str]:  # fmt: skip
    """Train and save the networks of a preset; return the phases that were skipped."""
    settings = {
        "config": preset.config(data.shape),
        "training": {key: value for key, value in options.as_json().items() if key not in UNTOLD},
    }
    if getattr(preset, "stop_gap", None) is not None:
        settings["stop_gap"] = preset.stop_gap  # pyright: ignore[reportAttributeAccessIssue]
    if run.done("training", settings):
        return ["training"]
    watch = watcher(preset, data)
    with torch.random.fork_rng():
        torch.manual_seed(preset.seed)
        model = build(settings["config"])
    run.write()
    history = train_model(
        model, data, options, out=run.out, resume=True, progress=progress,
        after_epoch=together(painter(run.out, preset.picture_every, preset.seed, data, warn), watch),
    )  # fmt: skip
    saved.save(load_trained(run.out, model), run.out / name, notes=_notes(run))
    run.facts["spent"]["training"] = history.seconds
    run.finish("training", settings, steps=history.steps, stopped=history.stopped)
    return []


def _train_aeot(
    run: Run, preset: AEOTPreset, options: TrainOptions, data: DataSet, progress: Progress, warn: Callable[[str], None]
) -> list[str]:
    """The three phases of AE-OT; returns those that were skipped."""
    skipped, autoencoder, source = [], None, None
    _check_map(preset, data)
    if preset.autoencoder == "ae":
        skipped += _train_network(run, preset, options, data, AUTOENCODER, progress, warn)
        source = run.out / AUTOENCODER
    elif preset.autoencoder is not None:
        source = model_folder(Path(preset.autoencoder))
    if source is not None:
        autoencoder = saved.load(source)
        _check_codes(autoencoder, preset, data)
        autoencoder = autoencoder.to(_device(options))
    elif len(data.shape) > 1:
        raise ValueError(
            f"autoencoder must be ae or the folder of a run for images; got none for shape {data.shape}. Pass "
            "--set autoencoder=ae."
        )
    model = AEOT(autoencoder, theta=preset.theta, quantile=preset.quantile, **preset.map())
    run.write()

    settings = {"autoencoder": None if source is None else folders.sha256(source / saved.WEIGHTS), "n": len(data)}
    if run.done("codes", settings):
        codes = _read_codes(run.out / CODES)
        skipped.append("codes")
    else:
        (run.out / STATE).unlink(missing_ok=True)
        with run.timing("codes", anew=True):
            codes = model.codes(data.x, progress=progress).double().cpu().numpy()
            _write_codes(run.out / CODES, codes)
        run.finish("codes", settings, n=len(codes), dimension=codes.shape[1])

    angle = {"theta": preset.theta, "quantile": preset.quantile}
    if run.done("map", preset.map() | angle) and run.facts["phases"]["map"]["converged"]:
        return [*skipped, "map"]
    _forget_other_maps(run, preset)
    with run.timing("map"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the report says it
        model.fit_codes(codes, resume=run.out / STATE, progress=progress)
    fitted = model.map
    saved.save(model, run.out / MODEL, notes=_notes(run))
    run.finish(
        "map", preset.map() | angle, converged=fitted.converged_, message=fitted.message_, method=fitted.method_,
        error=vars(fitted.error_),
    )  # fmt: skip
    return skipped


def _forget_other_maps(run: Run, preset: AEOTPreset) -> None:
    """Delete the state of a fit that this one cannot go on from."""
    kind = [preset.source, preset.method, preset.seed]
    if run.facts["spent"].get("map of") != kind:
        (run.out / STATE).unlink(missing_ok=True)
        run.facts["spent"] |= {"map of": kind, "map": 0.0}
        run.write()


def _check_map(preset: AEOTPreset, data: DataSet) -> None:
    """Refuse options of the map before an autoencoder is trained for it."""
    dimension = preset.code if preset.autoencoder == "ae" else data.shape[0]
    source = read_source(preset.source, dimension, seed=preset.seed)
    method = read_method(preset.method, source, None)
    read_tol(preset.tol, method)
    read_limit(preset.max_time, "max_time", 0.0, whole=False)
    read_limit(preset.max_samples, "max_samples", 1, whole=True)
    check_limits(method, None, preset.max_samples)


def _check_codes(autoencoder: Any, preset: AEOTPreset, data: DataSet) -> None:
    if not hasattr(autoencoder, "encode"):
        raise ValueError(
            f"autoencoder must name a run of an ae, a vae, a wae or an iwgan; {preset.autoencoder} holds a "
            f"{getattr(autoencoder, 'NAME', 'model')} without an encoder. Pass another."
        )
    if tuple(autoencoder.shape) != tuple(data.shape):
        raise ValueError(
            f"autoencoder must take the data's shape {tuple(data.shape)}; that of {preset.autoencoder} takes "
            f"{tuple(autoencoder.shape)}. Pass one that was trained on {data.name}."
        )


def _device(options: TrainOptions) -> str:
    if options.accelerator == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return options.accelerator


def _write_codes(path: Path, codes: np.ndarray) -> None:
    folders.save_array(path, codes)


def _read_codes(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(
            f"{path} must hold the codes of this run; reading it failed: {error}. Delete the run."
        ) from error


def _notes(run: Run) -> dict[str, Any]:
    return {name: run.facts[name] for name in ("model", "data", "preset")}


def _report(run: Run, skipped: list[str]) -> dict[str, Any]:
    phases = run.facts["phases"]
    return {
        "model": run.facts["model"], "data": run.facts["data"], "run": str(run.out), "preset": run.facts["preset"],
        "phases": phases, "skipped": skipped, "converged": phases.get("map", {}).get("converged", True),
        "seconds": sum(found["seconds"] for found in phases.values()), "saved": str(run.out / MODEL),
    }  # fmt: skip
