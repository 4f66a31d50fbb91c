"""The shell command: arguments in, one call of the API, output out."""

from __future__ import annotations

import json
import os
import re
import sys
import time
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
EXIT_NOT_CONVERGED = 3  # 2 is the shell's and typer's own: wrong usage
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
        raise typer.Exit(EXIT_BAD_INPUT) from None


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
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as line:
        task = line.add_task("starting", total=None)

        def show(info: dict[str, Any]) -> None:
            line.update(task, description=progress_line(info))

        yield show


def progress_line(info: dict[str, Any]) -> str:
    """One line for one round of the solver: level, round, arcs, gap so far."""
    parts = [f"level {info['level']}/{info['levels']}", f"round {info['round']}", f"{info['arcs']:,} arcs"]
    if info.get("gap") is not None and info.get("scale"):
        parts.append(f"gap {info['gap'] / info['scale']:.1e} of scale")
    return ", ".join(parts)


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
    max_iter: Annotated[int | None, typer.Option(help="Stop after so many rounds; until proven without.")] = None,
    plan: Annotated[Path | None, typer.Option(metavar="FILE.npz", help="Save the sparse plan (scipy.sparse).")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Exact Wasserstein distance W_p between two weighted point clouds, with its certificate.

    Stopped before the proof (--max-iter, Ctrl-C) it prints the bounds it has, which hold, and exits with 3.
    """
    with _one_line_errors(debug):
        import otgen

        from .readers import read_points, read_weights

        _check_metric(metric)
        if plan is not None:
            _check_plan(plan)
        x, y = read_points(a), read_points(b)
        wa = None if weights_a is None else read_weights(weights_a)
        wb = None if weights_b is None else read_weights(weights_b)
        given = {"x": a, "y": b, "a": f"--weights-a {weights_a}", "b": f"--weights-b {weights_b or '(uniform)'}"}
        with _progress(quiet) as progress, _in_terms_of(given | {"p": "--p", "max_iter": "--max-iter"}):
            start = time.perf_counter()
            result = otgen.solve_sample(x, y, wa, wb, cost=(metric, p), max_iter=max_iter, progress=progress)
            seconds = time.perf_counter() - start
        report = _report(result, x.shape, y.shape, metric, p, seconds)
        with _output():  # before saving: a full disk must not cost the value
            typer.echo(json.dumps(report) if as_json else _told(report))
        if plan is not None:
            from scipy import sparse

            sparse.save_npz(plan, result.plan)
    if not report["converged"]:
        raise typer.Exit(EXIT_NOT_CONVERGED)


def _check_metric(metric: str) -> None:
    from .transport.costs import METRICS

    if metric not in METRICS:
        raise ValueError(
            f"--metric must be one of {', '.join(METRICS)}; got '{metric}'. Powers are --p: --metric euclidean --p 2."
        )


def _check_plan(plan: Path) -> None:
    """Refuse before an hour of solving what could not be saved after it, or only under another name."""
    if plan.suffix != ".npz":
        raise ValueError(f"--plan must end in .npz; got {plan}. Write --plan {plan}.npz.")
    if not plan.parent.is_dir():
        raise ValueError(f"--plan must lie in an existing folder; got {plan}. Create {plan.parent} first.")
    if plan.is_dir() or not os.access(plan if plan.exists() else plan.parent, os.W_OK):
        raise ValueError(f"--plan must be a file that can be written; got {plan}. Choose another place.")


@contextmanager
def _in_terms_of(given: dict[str, str]) -> Iterator[None]:
    """The API's errors speak of its parameters: put in front which file or option of the shell that is."""
    try:
        yield
    except (ValueError, TypeError) as error:
        said = re.match(r"(x and y|x|y|a|b|p|max_iter) must\b", str(error)) or re.search(
            r"\brow \d+ of ([xy])\b", str(error)
        )
        if said is None:
            raise
        places = ", ".join(given[name] for name in said[1].split(" and "))
        raise type(error)(f"{places}: {error}") from error


def _report(result: Any, shape_x: tuple, shape_y: tuple, metric: str, p: float, seconds: float) -> dict[str, Any]:
    """The result in units of distance (the p-th root) and, as `cost...`, in units of the cost itself."""
    cost, cost_lower = float(result.value), float(result.lower_bound)
    value, lower = max(cost, 0.0) ** (1 / p), max(cost_lower, 0.0) ** (1 / p)
    return {
        "metric": metric,
        "p": p,
        "n": shape_x[0],
        "m": shape_y[0],
        "d": shape_x[1],
        "value": value,
        "lower_bound": lower,
        "gap": value - lower,
        "cost": cost,
        "cost_lower_bound": cost_lower,
        "cost_gap": float(result.gap),
        "scale": float(result.scale),
        "converged": bool(result.converged),
        "n_iter": int(result.n_iter),
        "message": result.message,
        "seconds": seconds,
    }


def _told(report: dict[str, Any]) -> str:
    proof = "yes" if report["converged"] else f"NO: {report['message']}"
    lines = [
        (f"W{report['p']:g}", f"{report['value']:.15g}"),
        ("lower bound", f"{report['lower_bound']:.15g}"),
        ("gap", f"{report['gap']:.2e}"),
        ("converged", proof),
        ("points", f"{report['n']} x {report['d']}, {report['m']} x {report['d']}"),
        ("time", f"{report['seconds']:.2f} s"),
    ]
    return "\n".join(f"{name:<13}{text}" for name, text in lines)


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
