"""The shell command: arguments in, one call of the API, output out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

__all__ = ["app", "main"]

EXIT_BAD_INPUT = 1
EXIT_DISAGREEMENT = 1
EXIT_NOT_CONVERGED = 3  # 2 is the shell's and typer's own: wrong usage

app = typer.Typer(
    name="otgen",
    help="Optimal transport with a proof.",
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
    """What the user got wrong is one line and an exit code; anything else is a bug and keeps its traceback."""
    try:
        yield
    except (ValueError, TypeError, OSError, ModuleNotFoundError) as error:
        if debug:
            raise
        typer.echo(f"error: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(EXIT_BAD_INPUT) from None


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[dict[str, Any]], None] | None]:
    """A status line on stderr for the solver's rounds; None (silence) unless stderr is a terminal."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    with console.status("starting") as status:

        def show(info: dict[str, Any]) -> None:
            status.update(progress_line(info))

        yield show


def progress_line(info: dict[str, Any]) -> str:
    """One line for one round of the solver: level, round, arcs, gap so far, seconds."""
    parts = [f"level {info['level']}/{info['levels']}", f"round {info['round']}", f"{info['arcs']:,} arcs"]
    if info.get("gap") is not None and info.get("scale"):
        parts.append(f"gap {info['gap'] / info['scale']:.1e} of scale")
    parts.append(f"{info['seconds']:.1f} s")
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


@app.command()
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

    Exit code 0: proven optimal. 1: bad input. 3: stopped before the proof; the bounds printed still hold.
    """
    with _one_line_errors(debug):
        import otgen

        from .readers import read_points, read_weights

        x, y = read_points(a), read_points(b)
        wa = None if weights_a is None else read_weights(weights_a)
        wb = None if weights_b is None else read_weights(weights_b)
        if plan is not None and not plan.parent.is_dir():
            raise ValueError(f"--plan must lie in an existing folder; got {plan}. Create {plan.parent} first.")
        with _progress(quiet) as progress:
            start = time.perf_counter()
            result = otgen.solve_sample(x, y, wa, wb, cost=(metric, p), max_iter=max_iter, progress=progress)
            seconds = time.perf_counter() - start
        report = _report(result, x.shape, y.shape, metric, p, seconds)
        if plan is not None:
            from scipy import sparse

            sparse.save_npz(plan, result.plan)
    typer.echo(json.dumps(report) if as_json else _told(report))
    if not report["converged"]:
        raise typer.Exit(EXIT_NOT_CONVERGED)


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
        ("time", f"{report['seconds']:.2f} s"),
    ]
    return "\n".join(f"{name:<13}{text}" for name, text in lines)


@app.command()
def validate(
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes only.")] = False,
    debug: Debug = False,
) -> None:
    """Solve a spread of problems with otgen and with POT; exit non-zero on any disagreement."""
    with _one_line_errors(debug):
        from . import validate as validation

        rows = validation.run(quick=quick, console=Console(stderr=True))
        console = Console()
        # A table cut to the 80 columns of a pipe would lose the verdicts.
        validation.render(rows, console if console.is_terminal else Console(width=200))
    if any(row.failure for row in rows):
        raise typer.Exit(EXIT_DISAGREEMENT)


@app.command()
def doctor(as_json: AsJson = False, debug: Debug = False) -> None:
    """Versions, threads, CPU features, GPU and CuPy state, kernel cache, and what is missing."""
    with _one_line_errors(debug):
        from . import doctor as examination

        report = examination.examine()
        if as_json:
            typer.echo(json.dumps(report, indent=2))
        else:
            examination.render(report, Console())


@app.command()
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
        typer.echo(demonstration.told(report))
