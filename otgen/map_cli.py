"""`otgen map`: fit a semi-discrete map to a file of targets, apply it, draw new points from it, and draw it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .shell import (
    EXIT_CODES,
    EXIT_NOT_CONVERGED,
    OF_ANGLES,
    AsJson,
    Debug,
    Quiet,
    in_options,
    names,
    one_line_errors,
    output,
    progress_on,
)

app = typer.Typer(help="Semi-discrete transport maps: fit, apply, sample, plot.", no_args_is_help=True)

MapFile = Annotated[Path, typer.Argument(metavar="MAP.npz", help="A map that `otgen map fit` wrote.")]
Theta = Annotated[float | None, typer.Option(help="Dihedral angle, in radians, beyond which cells are not mixed.")]
Quantile = Annotated[float | None, typer.Option(help="The same, as a quantile of the neighbours' angles.")]
Seed = Annotated[int, typer.Option(help="Seed of what is drawn.")]

FIT_OPTIONS = (
    "source", "domain", "mean", "cov", "density", "method", "optimizer", "tol", "max_iter", "max_time", "max_samples",
    "resume", "seed",
)  # fmt: skip
OF_FIT = {"Pass density=image": "Pass --density pixels.npy", "Pass method='monte_carlo'": "Pass --method monte_carlo"}
SOURCES, METHODS = ("uniform", "ball", "normal", "polygon", "polyhedron", "image"), ("auto", "newton", "monte_carlo")
EXAMPLE = "otgen map fit y.npy --out map.npz"
LIKEWISE = "otgen map fit y.npy --source normal --mean 0,0.5 --cov 0.25 --out normal.npz"


@app.command(epilog=f"Example: {EXAMPLE}\n\nFrom a normal law: {LIKEWISE}\n\n{EXIT_CODES}")
def fit(
    targets: Annotated[
        str, typer.Argument(metavar="TARGETS", help="Points (n, d): .npy, .npz[:key], .csv, .parquet, .feather.")
    ],
    out: Annotated[Path, typer.Option(metavar="MAP.npz", help="Where the fitted map goes.")],
    source: Annotated[
        str, typer.Option(help="uniform, ball, normal, polygon, polyhedron or image.", autocompletion=names(*SOURCES))
    ] = "uniform",
    domain: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Box rows (low, high), or corners of a polygon or polyhedron; of a ball its centre and then its "
            "radius, as in 0,0,1 or in a file.",
        ),
    ] = None,
    mean: Annotated[str | None, typer.Option(metavar="0,0.5", help="Of a normal source: numbers, or a file.")] = None,
    cov: Annotated[
        str | None, typer.Option(metavar="FILE|NUMBER", help="Of a normal source: a matrix, or one variance for all.")
    ] = None,
    density: Annotated[str | None, typer.Option(metavar="FILE.npy", help="Pixels or voxels of an image.")] = None,
    weights: Annotated[str | None, typer.Option(metavar="FILE", help="Masses of the targets; 1/n without.")] = None,
    method: Annotated[str, typer.Option(help="auto, newton or monte_carlo.", autocompletion=names(*METHODS))] = "auto",
    optimizer: Annotated[
        str | None,
        typer.Option(help="adam: the plain algorithm of the literature, of monte_carlo.", autocompletion=names("adam")),
    ] = None,
    tol: Annotated[float | None, typer.Option(help="newton: relative error of a mass; monte_carlo: chi2.")] = None,
    max_iter: Annotated[int | None, typer.Option(help="Steps of newton after which to stop.")] = None,
    max_time: Annotated[float | None, typer.Option(help="Seconds after which to stop.")] = None,
    max_samples: Annotated[int | None, typer.Option(help="Samples of monte_carlo after which to stop.")] = None,
    resume: Annotated[Path | None, typer.Option(metavar="FILE", help="Keep the state here, and go on from it.")] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Fit the optimal map of a continuous source to targets; stopped before tol, it saves what it has and exits 3."""
    with one_line_errors(debug):
        from . import maps as job

        job.check_out(out, ".npz")
        with in_options(OF_FIT, FIT_OPTIONS), progress_on(quiet, job.progress_line) as progress:
            fitted, seconds = job.fit(
                targets, weights, resume, source=source, domain=domain, mean=mean, cov=cov, density=density,
                method=method, optimizer=optimizer, tol=tol, max_iter=max_iter, max_time=max_time,
                max_samples=max_samples, seed=seed, progress=progress,
            )  # fmt: skip
        fitted.save(out)
        report = job.report(fitted, seconds) | {"file": str(out)}
        with output():
            typer.echo(json.dumps(report) if as_json else job.told(report))
    if not fitted.converged_:
        raise typer.Exit(EXIT_NOT_CONVERGED)


@app.command(epilog=f"Example: otgen map apply map.npz x.npy --out tx.npy\n\n{EXIT_CODES}")
def apply(
    file: MapFile,
    points: Annotated[str, typer.Argument(metavar="POINTS", help="Points (k, d) of the source.")],
    out: Annotated[Path, typer.Option(metavar="MAPPED.npy", help="Where their targets (k, d) go.")],
    debug: Debug = False,
) -> None:
    """Map points to their targets: T(x) (k, d)."""
    with one_line_errors(debug):
        from . import maps as job

        job.check_out(out, ".npy")
        count = job.apply(file, points, out)
        with output():
            typer.echo(f"{count:,} points mapped to {out}")


@app.command(epilog=f"Example: otgen map sample map.npz -n 1000 --quantile 0.9 --out new.npy\n\n{EXIT_CODES}")
def sample(
    file: MapFile,
    out: Annotated[Path, typer.Option(metavar="POINTS.npy", help="Where the new points (n, d) go.")],
    n: Annotated[int, typer.Option("--n", "-n", help="How many.")] = 1000,
    theta: Theta = None,
    quantile: Quantile = None,
    seed: Seed = 0,
    debug: Debug = False,
) -> None:
    """Draw new points from the map's smooth extension; where the map jumps none are made."""
    with one_line_errors(debug):
        from . import maps as job

        job.check_out(out, ".npy")
        with in_options(OF_ANGLES):
            rate = job.sample(file, out, n, theta=theta, quantile=quantile, seed=seed)
        with output():
            typer.echo(f"{n:,} new points in {out}; {rate:.1%} of the source is rejected at this angle")


@app.command(epilog=f"Example: otgen map plot map.npz --out cells.png\n\n{EXIT_CODES}")
def plot(
    file: MapFile,
    out: Annotated[Path, typer.Option(metavar="CELLS.png", help="Where the picture goes.")],
    theta: Theta = None,
    quantile: Quantile = None,
    debug: Debug = False,
) -> None:
    """Draw the cells of a map in the plane by the error of their mass; with an angle, the singular set over them.

    The map's source must have cells with corners: uniform, polygon or image.
    """
    with one_line_errors(debug):
        from . import maps as job

        job.check_out(out, ".png")
        with in_options(OF_ANGLES):
            job.plot(file, out, theta=theta, quantile=quantile)
        with output():
            typer.echo(str(out))
