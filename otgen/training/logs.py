"""What a run tells: losses that are read rarely and checked for NaN, a CSV file, TensorBoard, a terminal's line."""

from __future__ import annotations

import csv
import importlib.util
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

METRICS = "metrics.csv"


class Losses:
    """The losses and terms since the last line of the log: kept on their device, read together, then checked.

    `reduce` takes a float64 tensor (k,) of one rank to the mean of the ranks.
    """

    def __init__(self, reduce: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self._reduce = reduce
        self._new: dict[str, list[tuple[int, Any]]] = {}
        self._read: dict[str, list[float]] = {}

    def add(self, step: int, player: str, loss: torch.Tensor, terms: Mapping[str, Any]) -> None:
        """Keep the loss of an update in step 1, 2, ..., and the terms it is made of."""
        self._new.setdefault(f"loss/{player}", []).append((step, loss.detach()))
        for name, value in terms.items():
            self._new.setdefault(name, []).append((step, value))

    def settle(self, last_good: Callable[[], str]) -> None:
        """Read what is new; raise FloatingPointError at the first loss or term that is not finite."""
        spoilt: list[tuple[int, str, float]] = []
        for name, pairs in self._new.items():
            tensors = [torch.as_tensor(value) for _, value in pairs]
            values = self._reduce(torch.stack(tensors).detach().double()).tolist()
            spoilt += [(step, name, value) for (step, _), value in zip(pairs, values) if not math.isfinite(value)]
            self._read.setdefault(name, []).extend(values)
        if spoilt:
            step, name, value = min(spoilt, key=lambda item: item[0])
            what = f"the loss of player '{name[5:]}'" if name.startswith("loss/") else f"the term '{name}'"
            raise FloatingPointError(
                f"{what} is {value} in step {step}. {last_good()} Lower the learning rate, or pass clip_grad=."
            )
        self._new.clear()

    def means(self) -> dict[str, float]:
        """Return the mean of what was read since the last call."""
        found = {name: math.fsum(values) / len(values) for name, values in self._read.items()}
        self._read = {}
        return found

    def unwritten(self) -> dict[str, list[float]]:
        """Return what was read and is in no line yet, for a checkpoint."""
        return {name: list(values) for name, values in self._read.items()}

    def restore(self, unwritten: Mapping[str, list[float]]) -> None:
        """Take what a checkpoint kept."""
        self._read = {name: list(values) for name, values in unwritten.items()}


class Metrics:
    """The lines of the log: in memory, in out/metrics.csv (a line written is flushed), in TensorBoard if installed.

    Columns: step, epoch, seconds, loss/PLAYER, the model's terms, lr/PLAYER; each a mean since the line before, but lr.
    With a step given, the lines after it are dropped: a resumed run writes them anew.
    """

    def __init__(self, out: Path | None, step: int) -> None:
        self.rows: list[dict[str, float]] = []
        self._path = None if out is None else out / METRICS
        self._columns: list[str] = []
        self._board = None if out is None else _board(out, step)
        if self._path is not None:
            self.rows = [row for row in read_metrics(self._path) if row["step"] <= step] if step else []
            self._rewrite()

    def write(self, row: dict[str, float]) -> None:
        """Add a line; a column that is new is empty in the lines before it."""
        self.rows.append(row)
        if self._board is not None:
            for name, value in row.items():
                self._board.add_scalar(name, value, int(row["step"]))
        if self._path is None:
            return
        if any(name not in self._columns for name in row):
            self._rewrite()
        else:
            with self._path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self._columns, lineterminator="\n").writerow(row)

    def sync(self) -> None:
        """Put the lines on the disk itself: a checkpoint must not outlive those before it."""
        if self._path is not None:
            with self._path.open("r+", encoding="utf-8") as file:
                os.fsync(file.fileno())

    def close(self) -> None:
        """Finish the files."""
        if self._board is not None:
            self._board.close()

    def _rewrite(self) -> None:
        assert self._path is not None
        self._columns = list(dict.fromkeys(name for row in self.rows for name in row))
        partial = self._path.with_name(f".{METRICS}.partial")
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns, restval="", lineterminator="\n")
            if self.rows:
                writer.writeheader()
            writer.writerows(self.rows)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, self._path)


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Return the lines of a metrics.csv, as numbers by column; a last line cut short by a kill is left out."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        text = file.read()
    lines = list(csv.reader(text[: text.rfind("\n") + 1].splitlines()))
    rows = []
    for number, cells in enumerate(lines[1:], 2):
        try:
            row = {name: _number(cell) for name, cell in zip(lines[0], cells, strict=True) if cell}
            rows.append(row | {"step": int(row["step"])})
        except (ValueError, KeyError) as error:
            raise ValueError(
                f"{path} must hold numbers in the columns of its first line; line {number} does not ({error}). Repair "
                "or move the file."
            ) from error
    return rows


def _number(cell: str) -> float:
    return int(cell) if cell.isdecimal() else float(cell)


def _board(out: Path, step: int) -> Any:
    if importlib.util.find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(out / "tensorboard"), purge_step=step + 1 if step else None)


@contextmanager
def progress_line() -> Iterator[Callable[[dict], None] | None]:
    """A line on stderr with losses, samples a second and time left, and the function that moves it.

    None, where stderr is no terminal.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None)

        def tell(report: dict) -> None:
            bar.update(task, completed=report["step"], total=report["of"], description=describe(report))

        yield tell


def describe(report: Mapping[str, Any]) -> str:
    """Return a report of train() in words: its losses and its pace."""
    losses = "  ".join(_losses(report["losses"].items()))
    return f"epoch {report['epoch']:.2f}  {losses}  {report['samples_per_second']:,.0f} samples/s"


def _losses(pairs: Iterable[tuple[str, float]]) -> Iterator[str]:
    for name, value in pairs:
        yield f"{name.removeprefix('loss/')} {value:.4g}"
