"""`otgen train` and `otgen sample`: a model by its name on data by its name, in a folder; samples of what is in one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperCommand

from . import folders, presets
from .shell import (
    EXIT_NOT_CONVERGED,
    MODELS,
    OF_ANGLES,
    OF_DATA,
    SIMPLE_CODES,
    AsJson,
    Debug,
    Quiet,
    check_model_libraries,
    console,
    in_options,
    names,
    one_line_errors,
    output,
    progress_on,
)  # fmt: skip

EXIT_CODES = (
    "Exit codes: 0 trained; 1 bad input, a missing package, or a loss that is not finite; 2 wrong usage; 3 the map of "
    "an AE-OT stopped before its tol, and is saved; 130 interrupted: --resume goes on."
)
DATA = (
    "digits", "mnist", "fashion-mnist", "cifar10", "25gaussians", "8gaussians", "ring", "swissroll", "moons", "lines",
)  # fmt: skip
EXAMPLE = "otgen train aeot --data 8gaussians --out runs/aeot --set points=500"

app = typer.Typer()


class WithPresets(TyperCommand):
    """A command whose --help ends with the presets of the model that is named beside it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta["otgen.words"] = list(args)
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        named = [word for word in ctx.meta.get("otgen.words", ()) if word in presets.MODELS]
        if named:
            formatter.write(_table(named[0], presets.table(named[0])))


@app.command(cls=WithPresets, epilog=f"Example: {EXAMPLE}\n\n{EXIT_CODES}", rich_help_panel=MODELS)
def train(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help=f"{', '.join(presets.MODELS)}.", autocompletion=names(*presets.MODELS)),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            help="digits, mnist, 8gaussians, ...; a folder of images, a .npy or .npz file.",
            show_default=False,
            autocompletion=names(*DATA),
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="RUN", help="The folder of the run.")] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="toy, cpu or paper; the first for the data without.", autocompletion=names("toy", "cpu", "paper")
        ),
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Set a field of the preset; repeatable.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in RUN; skip what is done.")] = False,
    root: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the data set is; OTGEN_DATA without.")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Print the presets of MODEL, and train nothing.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train a model on a data set and save it; `otgen train MODEL --help` ends with the presets of MODEL."""
    with one_line_errors(debug):
        if show:
            rows = presets.table(model, preset)
            with output():
                typer.echo(json.dumps(_columns(rows)) if as_json else _table(model, rows), nl=as_json)
            return
        presets.check_model(model)
        for name, value in (("--data", data), ("--out", out)):
            if value is None:
                raise typer.BadParameter("it must be given, or --show.", param_hint=name)
        check_model_libraries()
        from . import runs as job

        with in_options(OF_DATA), progress_on(quiet, job.progress_line) as progress:
            report = job.train(
                model, str(data), out, preset=preset, changes=changes or (), resume=resume, root=root,
                progress=progress, warn=lambda message: typer.echo(f"warning: {message}", err=True),
            )  # fmt: skip
        with output():
            typer.echo(json.dumps(report) if as_json else job.told(report))
    if not report["converged"]:
        raise typer.Exit(EXIT_NOT_CONVERGED)


@app.command(epilog=f"Example: otgen sample runs/aeot -n 64 --out grid.png\n\n{SIMPLE_CODES}", rich_help_panel=MODELS)
def sample(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that `otgen train` wrote.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help=".npy, or .png: a grid of images, points of the plane.")],
    n: Annotated[int, typer.Option("--n", "-n", help="How many.")] = 64,
    seed: Annotated[int, typer.Option(help="Seed of what is drawn.")] = 0,
    theta: Annotated[float | None, typer.Option(help="aeot: the angle, in radians, beyond which none is made.")] = None,
    quantile: Annotated[float | None, typer.Option(help="aeot: the same, as a quantile of the angles.")] = None,
    debug: Debug = False,
) -> None:
    """Draw samples of a trained model into a file."""
    with one_line_errors(debug):
        _check_out(out)
        check_model_libraries()
        from . import runs as job
        from .run_pictures import picture

        with in_options(OF_ANGLES):
            found = job.sample(run, n, seed=seed, theta=theta, quantile=quantile)
        if out.suffix == ".png":
            picture(out, found)
        else:
            folders.save_array(out, found)
        with output():
            typer.echo(f"{n:,} samples of shape {found.shape[1:]} in {out}")


def _check_out(out: Path) -> None:
    if out.suffix not in (".png", ".npy"):
        raise ValueError(f"--out must end in .png or .npy; got {out}. Rename it.")
    if not out.parent.is_dir():
        raise ValueError(f"--out must be in a folder that exists; got {out}. Make {out.parent} first.")


def _columns(rows: list[tuple[str, ...]]) -> dict[str, dict[str, str]]:
    names, *fields = rows
    return {name: {row[0]: row[i] for row in fields} for i, name in enumerate(names) if i}


def _table(model: str, rows: list[tuple[str, ...]]) -> str:
    names, *fields = rows
    table = Table(title=f"Presets of {model}; --set FIELD=VALUE changes a field", title_justify="left", box=None)
    for name in names:
        table.add_column(name, overflow="fold")
    for row in fields:
        table.add_row(*row)
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        recorder = Console(file=nowhere, record=True, width=console().width)
        recorder.print(table)
    return recorder.export_text()
