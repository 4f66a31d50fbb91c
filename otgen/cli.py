"""The shell command: arguments in, one call of the API, output out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from .evaluate_cli import app as evaluate_app
from .map_cli import app as map_app
from .shell import (
    EXIT_CODES,
    EXIT_DISAGREEMENT,
    EXIT_NOT_CONVERGED,
    AsJson,
    Debug,
    OneLineUsage,
    Quiet,
    console,
    names,
    one_line_errors,
    output,
    progress_on,
)
from .train_cli import app as train_app

__all__ = ["app", "main"]

METHODS, STATISTICS = ("wasserstein", "mmd", "energy", "sliced", "gaussian"), ("mmd", "energy", "wasserstein", "sliced")
METRICS, ESTIMATORS = ("euclidean", "cityblock", "chebyshev", "cosine"), ("unbiased", "biased", "linear")
KERNELS = ("imq", "gaussian", "laplace", "rational_quadratic", "polynomial", "energy")
Kernel = Annotated[
    str | None,
    typer.Option(
        help="mmd: imq (the default), gaussian, laplace, rational_quadratic, polynomial or energy.",
        autocompletion=names(*KERNELS),
    ),
]
Scales = Annotated[
    str | None,
    typer.Option(metavar="S[,S...]", help="mmd: what the kernel is summed over; those of its paper without."),
]
Bandwidth = Annotated[str | None, typer.Option(metavar="H", help="mmd: a length, or median (the default).")]
Projections = Annotated[int | None, typer.Option(metavar="N", help="sliced: directions, 128 without.")]
Seed = Annotated[int | None, typer.Option(help="Of what is drawn, 0 without.")]

DISTANCES, MAPS, INSTALLATION = "Distances", "Maps", "This installation"

app = typer.Typer(
    name="otgen",
    cls=OneLineUsage,
    help="Optimal transport with a proof. Start with: otgen distance a.npy b.npy, or otgen demo",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(map_app, name="map", rich_help_panel=MAPS)
app.add_typer(train_app)
app.add_typer(evaluate_app)


def main() -> None:
    """Entry point of the console script `otgen` and of `python -m otgen`."""
    app(prog_name="otgen")


def _version(value: bool) -> None:
    if value:
        import otgen

        typer.echo(f"otgen {otgen.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass


@app.command(epilog=f"Example: otgen distance a.npy b.npy --p 2 --json\n\n{EXIT_CODES}", rich_help_panel=DISTANCES)
def distance(
    a: Annotated[str, typer.Argument(metavar="A", help="Points (n, d): .npy, .npz[:key], .csv, .parquet, .feather.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Points (m, d).")],
    method: Annotated[
        str, typer.Option(help="wasserstein, mmd, energy, sliced or gaussian.", autocompletion=names(*METHODS))
    ] = "wasserstein",
    p: Annotated[float | None, typer.Option(help="Order of the distance, at least 1: 1, or 2 if sliced.")] = None,
    metric: Annotated[
        str | None,
        typer.Option(help="euclidean (the default), cityblock, chebyshev, cosine.", autocompletion=names(*METRICS)),
    ] = None,
    weights_a: Annotated[str | None, typer.Option(metavar="FILE", help="Weights (n,) of A; uniform without.")] = None,
    weights_b: Annotated[str | None, typer.Option(metavar="FILE", help="Weights (m,) of B.")] = None,
    eps: Annotated[float | None, typer.Option(help="Entropic transport (Sinkhorn), eps in units of metric^p.")] = None,
    divergence: Annotated[bool, typer.Option("--divergence", help="With --eps: the debiased divergence.")] = False,
    unbalanced: Annotated[
        str | None, typer.Option(metavar="RHO[,RHO_B]", help="With --eps: marginals by a KL penalty; inf is exact.")
    ] = None,
    tol: Annotated[float | None, typer.Option(help="Gap of the scale; with --eps, marginal error of the mass.")] = None,
    max_iter: Annotated[int | None, typer.Option(help="Stop after so many rounds; with --eps, sweeps.")] = None,
    plan: Annotated[Path | None, typer.Option(metavar="FILE.npz", help="Save the sparse plan (scipy.sparse).")] = None,
    kernel: Kernel = None,
    scales: Scales = None,
    bandwidth: Bandwidth = None,
    estimator: Annotated[
        str | None,
        typer.Option(help="mmd: unbiased (the default), biased or linear.", autocompletion=names(*ESTIMATORS)),
    ] = None,
    projections: Projections = None,
    seed: Seed = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Exact Wasserstein distance W_p between two weighted point clouds, with its certificate.

    With --eps: entropic transport and the bounds of W_p that it proves.

    Stopped before the proof (--max-iter, Ctrl-C) it prints the bounds it has, which hold, and exits with 3.

    With --method: another discrepancy, as in: otgen distance a.npy b.npy --method sliced --projections 500
    """
    with one_line_errors(debug):
        if method != "wasserstein":
            _compare(
                (a, b, method, p, kernel, scales, bandwidth, estimator, projections, seed, weights_a, weights_b),
                {"metric": metric, "eps": eps, "divergence": divergence, "unbalanced": unbalanced, "tol": tol,
                 "max_iter": max_iter, "plan": plan},
                as_json,
            )  # fmt: skip
            return
        from . import distance as job

        for name, value in (
            ("kernel", kernel), ("scales", scales), ("bandwidth", bandwidth), ("estimator", estimator),
            ("projections", projections), ("seed", seed),
        ):  # fmt: skip
            if value is not None:
                raise job.UsageError(f"--{name} does not go with --method wasserstein. Leave it out.")
        order, which = 1.0 if p is None else p, "euclidean" if metric is None else metric
        request = job.Request(
            a, b, order, which, weights_a, weights_b, eps, divergence, unbalanced, tol, max_iter, plan
        )
        job.check(request)
        with progress_on(quiet, job.progress_line) as progress:
            report, found = job.run(request, progress, lambda message: typer.echo(f"warning: {message}", err=True))
        with output():  # before saving: a full disk must not cost the value
            typer.echo(json.dumps(report) if as_json else job.told(report))
        if plan is not None:
            from scipy import sparse

            from . import folders

            with folders.replacing(plan) as file:
                sparse.save_npz(file, found)
    if not report["converged"]:
        raise typer.Exit(EXIT_NOT_CONVERGED)


def _compare(given: tuple[Any, ...], of_transport: dict[str, Any], as_json: bool) -> None:
    from . import comparisons as job

    request = job.Request(*given)
    job.check(request, {"wasserstein": (), **job.METHODS}, "method", of_transport)
    report = job.distance(request)
    with output():
        typer.echo(json.dumps(report) if as_json else job.told_distance(report))


@app.command(epilog=f"Example: otgen test a.npy b.npy --statistic energy\n\n{EXIT_CODES}", rich_help_panel=DISTANCES)
def test(
    a: Annotated[str, typer.Argument(metavar="A", help="Points (n, d), as of distance.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Points (m, d).")],
    statistic: Annotated[
        str, typer.Option(help="mmd, energy, wasserstein or sliced.", autocompletion=names(*STATISTICS))
    ] = "mmd",
    permutations: Annotated[int, typer.Option(help="Labellings drawn.")] = 999,
    p: Annotated[float | None, typer.Option(help="Order of wasserstein (1) or sliced (2).")] = None,
    kernel: Kernel = None,
    scales: Scales = None,
    bandwidth: Bandwidth = None,
    projections: Projections = None,
    seed: Seed = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Permutation test of whether two samples come from one distribution."""
    with one_line_errors(debug):
        from . import comparisons as job

        request = job.Request(a, b, statistic, p, kernel, scales, bandwidth, None, projections, seed)
        job.check(request, job.STATISTICS, "statistic", {})
        with progress_on(quiet, job.progress_line) as progress:
            report = job.test(request, permutations, progress)
        with output():
            typer.echo(json.dumps(report) if as_json else job.told_test(report))


@app.command(epilog=f"Example: otgen validate --quick\n\n{EXIT_CODES}", rich_help_panel=INSTALLATION)
def validate(
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes only.")] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Solve a spread of problems with otgen and with POT, SciPy and scikit-learn; exit non-zero on any disagreement."""
    with one_line_errors(debug):
        from . import validate as validation

        talks = not quiet and sys.stderr.isatty()
        rows = validation.run(quick=quick, console=Console(stderr=True) if talks else None)
        with output():
            validation.render(rows, console())
    if any(row.failure for row in rows):
        raise typer.Exit(EXIT_DISAGREEMENT)


@app.command(epilog="Example: otgen doctor --json", rich_help_panel=INSTALLATION)
def doctor(as_json: AsJson = False, debug: Debug = False) -> None:
    """Versions, threads, CPU features, GPU and CuPy state, kernel cache, and what is missing."""
    with one_line_errors(debug):
        from . import doctor as examination

        report = examination.examine()
        with output():
            if as_json:
                typer.echo(json.dumps(report, indent=2))
            else:
                examination.render(report, console())


@app.command(epilog=f"Example: otgen demo --out runs/demo\n\n{EXIT_CODES}", rich_help_panel=INSTALLATION)
def demo(
    out: Annotated[Path, typer.Option(help="Folder of the pictures and the report.")] = Path("runs/demo"),
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Certified W1 and W2 between two shapes, a map, and AE-OT on digits: pictures, timings and a JSON report."""
    with one_line_errors(debug):
        from . import demo as demonstration

        with progress_on(quiet, demonstration.progress_line) as progress:
            report = demonstration.run(out, progress=progress)
        with output():
            typer.echo(demonstration.told(report))
    if not demonstration.proven(report):
        raise typer.Exit(EXIT_NOT_CONVERGED)
