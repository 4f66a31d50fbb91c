"""What every command of the shell shares: exit codes, options, one-line errors, progress, and where output goes."""

from __future__ import annotations

import importlib.util
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from typer.core import TyperGroup

EXIT_BAD_INPUT = 1
EXIT_DISAGREEMENT = 1
EXIT_NOT_CONVERGED = 3  # 2, wrong usage, is the shell's and typer's own, and that of distance.UsageError
EXIT_INTERRUPTED = 130
EXIT_CODES = (
    "Exit codes: 0 proven, or agreed; 1 bad input, or a disagreement; 2 wrong usage; 3 stopped before the proof; "
    "130 interrupted."
)
SIMPLE_CODES = "Exit codes: 0 done; 1 bad input, a missing package, or a file that cannot be written; 2 wrong usage."
OF_ANGLES = {
    "theta or quantile must": "--theta or --quantile must", "Pass theta in radians, or quantile=": "Pass --theta in "
    "radians, or --quantile ",
}  # fmt: skip
OF_DATA = {"name must be": "--data must be", "root is meant": "--root is meant"}
MODELS = "Generative models"  # a heading of `otgen --help`
MODEL_LIBRARIES = ("torch", "lightning_fabric", "safetensors")
NARROWEST = 80  # columns: a table is folded to this and no further

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def names(*known: str) -> Callable[[str], list[str]]:
    """What a shell completes a value with: those of these names that begin as it does."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in known if name.startswith(incomplete)]

    return complete


class OneLineUsage(TyperGroup):
    """The top command, in which wrong usage is one line on stderr like any other error."""

    def main(self, *arguments: Any, standalone_mode: bool = True, **options: Any) -> Any:
        """Run a command line and exit with its code; without standalone_mode, as typer has it."""
        if not standalone_mode:
            return super().main(*arguments, standalone_mode=False, **options)
        try:
            code = super().main(*arguments, standalone_mode=False, **options)
        except typer.Abort:
            code = EXIT_INTERRUPTED
        except Exception as error:
            # The class of a wrong usage is typer's own in some versions and click's in others.
            if not hasattr(error, "format_message") or not hasattr(error, "exit_code"):
                raise
            if error.format_message():  # pyright: ignore[reportAttributeAccessIssue]
                typer.echo(f"error: {_usage(error)}", err=True)  # else its help was shown
            code = error.exit_code  # pyright: ignore[reportAttributeAccessIssue]
        raise SystemExit(code if isinstance(code, int) else 0)


def _usage(error: Any) -> str:
    said = " ".join(error.format_message().split()).rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{said}. See {context.command_path if context is not None else 'otgen'} --help."


def _told(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
    typer.echo(f"warning: {' '.join(str(message).split())}", err=True)


@contextmanager
def one_line_errors(debug: bool) -> Iterator[None]:
    """An error that bad input can cause is one line and an exit code, and a warning is one line.

    A bug may raise the same types and read the same, hence --debug; errors of any other type keep their traceback.
    """
    try:
        with warnings.catch_warnings():
            if not debug:
                warnings.showwarning = _told
            yield
    except BrokenPipeError:
        raise  # typer's own: the reader of stdout has gone, and needs no telling
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except (ValueError, TypeError, OSError, FloatingPointError, ModuleNotFoundError) as error:
        if debug:
            raise
        told = isinstance(error, OSError | FloatingPointError | ModuleNotFoundError)
        hint = "" if told else " (run with --debug for the traceback)"
        typer.echo(f"error: {' '.join(str(error).split())}{hint}", err=True)
        raise typer.Exit(getattr(error, "exit_code", EXIT_BAD_INPUT)) from None


@contextmanager
def in_options(options: dict[str, str], first: tuple[str, ...] = ()) -> Iterator[None]:
    """The API's errors speak of its parameters: `options` has their words, and those of the shell for them.

    `first` are parameters that have options of their name, which is what an error begins with.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        text = str(error)
        for said, meant in options.items():
            text = text.replace(said, meant)
        if first:
            text = re.sub(rf"^({'|'.join(first)})\b", lambda found: "--" + found[1].replace("_", "-"), text)
        if text == str(error):
            raise
        raise type(error)(text) from error


@contextmanager
def output() -> Iterator[None]:
    """What is printed inside may fail (a full disk) like any other file, and then names stdout."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(f"stdout cannot be written: {error.strerror}. Free some space, or redirect it.") from error


@contextmanager
def progress_on(
    quiet: bool, line: Callable[[dict[str, Any]], str]
) -> Iterator[Callable[[dict[str, Any]], None] | None]:
    """A status line on stderr, told by `line`, for each round; None (silence) unless stderr is a terminal."""
    if quiet or not sys.stderr.isatty():  # Console.is_terminal believes FORCE_COLOR, and would write into a file
        yield None
        return
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("starting", total=None)

        def show(info: dict[str, Any]) -> None:
            shown.update(task, description=line(info))

        yield show


def check_model_libraries() -> None:
    """Raise ModuleNotFoundError where a library of the generative models is missing, before one is imported."""
    missing = [name for name in MODEL_LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(f"generative models need {', '.join(missing)}. Run: pip install 'otgen[models]'")


def console() -> Console:
    """Where tables go: as wide as the terminal, within reason."""
    found = Console()
    found.width = max(found.width, NARROWEST)
    return found
