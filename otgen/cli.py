"""The shell command: arguments in, one call of the API, output out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

__all__ = ["app", "main"]

EXIT_BAD_INPUT = 1
EXIT_DISAGREEMENT = 1
EXIT_NOT_CONVERGED = 3  # 2, wrong usage, is the shell's and typer's own, and that of distance.UsageError
EXIT_INTERRUPTED = 130
EXIT_CODES = (
    "Exit codes: 0 proven, or agreed; 1 bad input, or a disagreement; 2 wrong usage; 3 stopped before the proof; "
    "130 interrupted."
)
NARROWEST = 80  # columns: a table is folded to this and no further

app = typer.Typer(
    name="otgen",
    help="Optimal transport with a proof.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def main() -> None:
    """Entry point of the console script `otgen` and of `python -m otgen`."""
    app(prog_name="otgen")


@contextmanager
def _one_line_errors(debug: bool) -> Iterator[None]:
    """An error that bad input can cause is one line and an exit code.

    A bug may raise the same types and read the same, hence --debug; errors of any other type keep their traceback.
    """
    try:
        yield
    except BrokenPipeError:
        raise  # typer's own: the reader of stdout has gone, and needs no telling
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except (ValueError, TypeError, OSError, ModuleNotFoundError) as error:
        if debug:
            raise
        hint = "" if isinstance(error, OSError | ModuleNotFoundError) else " (run with --debug for the traceback)"
        typer.echo(f"error: {' '.join(str(error).split())}{hint}", err=True)
        raise typer.Exit(getattr(error, "exit_code", EXIT_BAD_INPUT)) from None


@contextmanager
def _output() -> Iterator[None]:
    """What is printed inside may fail (a full disk) like any other file, and then names stdout."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(f"stdout cannot be written: {error.strerror}. Free some space, or redirect it.") from error


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[dict[str, Any]], None] | None]:
    """A status line on stderr for the solver's rounds; None (silence) unless stderr is a terminal."""
    if quiet or not sys.stderr.isatty():  # Console.is_terminal believes FORCE_COLOR, and would write into a file
        yield None
        return
    from .distance import progress_line

    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as line:
        task = line.add_task("starting", total=None)

        def show(info: dict[str, Any]) -> None:
            line.update(task, description=progress_line(info))

        yield show


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


@app.command(epilog=EXIT_CODES)
def distance(
    a: Annotated[str, typer.Argument(metavar="A", help="Points (n, d): .npy, .npz[:key], .csv, .parquet, .feather.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Points (m, d).")],
    p: Annotated[float, typer.Option(help="Order of the distance, at least 1.")] = 1.0,
    metric: Annotated[str, typer.Option(help="euclidean, cityblock, chebyshev or cosine.")] = "euclidean",
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
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Exact Wasserstein distance W_p between two weighted point clouds, with its certificate.

    With --eps: entropic transport and the bounds of W_p that it proves. Stopped before the proof (--max-iter, Ctrl-C)
    it prints the bounds it has, which hold, and exits with 3.
    """
    with _one_line_errors(debug):
        from . import distance as job

        request = job.Request(a, b, p, metric, weights_a, weights_b, eps, divergence, unbalanced, tol, max_iter, plan)
        job.check(request)
        with _progress(quiet) as progress:
            report, found = job.run(request, progress, lambda message: typer.echo(f"warning: {message}", err=True))
        with _output():  # before saving: a full disk must not cost the value
            typer.echo(json.dumps(report) if as_json else job.told(report))
        if plan is not None:
            from scipy import sparse

            sparse.save_npz(plan, found)
    if not report["converged"]:
        raise typer.Exit(EXIT_NOT_CONVERGED)


@app.command(epilog=EXIT_CODES)
def validate(
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes only.")] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Solve a spread of problems with otgen and with POT; exit non-zero on any disagreement."""
    with _one_line_errors(debug):
        from . import validate as validation

        talks = not quiet and sys.stderr.isatty()
        rows = validation.run(quick=quick, console=Console(stderr=True) if talks else None)
        with _output():
            validation.render(rows, _console())
    if any(row.failure for row in rows):
        raise typer.Exit(EXIT_DISAGREEMENT)


@app.command()
def doctor(as_json: AsJson = False, debug: Debug = False) -> None:
    """Versions, threads, CPU features, GPU and CuPy state, kernel cache, and what is missing."""
    with _one_line_errors(debug):
        from . import doctor as examination

        report = examination.examine()
        with _output():
            if as_json:
                typer.echo(json.dumps(report, indent=2))
            else:
                examination.render(report, _console())


@app.command(epilog=EXIT_CODES)
def demo(
    out: Annotated[Path, typer.Option(help="Folder of the pictures and the report.")] = Path("runs/demo"),
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Certified W1 and W2 between two generated shapes: pictures, timings and a JSON report."""
    with _one_line_errors(debug):
        from . import demo as demonstration

        with _progress(quiet) as progress:
            report = demonstration.run(out, progress=progress)
        with _output():
            typer.echo(demonstration.told(report))
    if not demonstration.proven(report):
        raise typer.Exit(EXIT_NOT_CONVERGED)


def _console() -> Console:
    console = Console()
    console.width = max(console.width, NARROWEST)
    return console
