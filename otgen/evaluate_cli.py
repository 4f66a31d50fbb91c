"""`otgen evaluate`: the model of a run against true samples, a table with the space that each number belongs to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .shell import (
    MODELS,
    OF_DATA,
    SIMPLE_CODES,
    AsJson,
    Debug,
    Quiet,
    check_model_libraries,
    in_options,
    one_line_errors,
    output,
    progress_on,
)

app = typer.Typer()


@app.command(epilog=f"Example: otgen evaluate runs/aeot\n\n{SIMPLE_CODES}", rich_help_panel=MODELS)
def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that `otgen train` wrote.")],
    data: Annotated[
        str | None, typer.Option(help="The set whose test split judges; that of the run without.", show_default=False)
    ] = None,
    n: Annotated[
        int | None, typer.Option("--n", "-n", help="Samples drawn; without, as many as the test split, at most 10,000.")
    ] = None,
    extractor: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="lenet, pixels, the file of Inception's weights, or auto.")
    ] = "auto",
    root: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the data set is; OTGEN_DATA without.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of what is drawn.")] = 0,
    pictures: Annotated[bool, typer.Option("--pictures/--no-pictures", help="Draw into RUN/evaluation.")] = True,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Judge a trained model by samples it has not seen: a report and pictures in RUN/evaluation."""
    with one_line_errors(debug):
        check_model_libraries()
        from . import judge as job
        from .judge_pictures import draw

        with in_options(OF_DATA), progress_on(quiet, job.progress_line) as progress:
            report, judged = job.judge(
                run, data, n=n, extractor=extractor, root=root, seed=seed, progress=progress
            )  # fmt: skip
        drawn = []
        if pictures:
            drawn = draw(run, judged, warn=lambda message: typer.echo(f"warning: {message}", err=True))
        with output():
            if as_json:
                typer.echo(json.dumps(report | {"files": list(map(str, drawn))}))
            else:
                typer.echo("\n".join([job.told(report), "", *map(str, drawn)]).rstrip())
