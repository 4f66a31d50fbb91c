"""Make the notebooks from their sources: python notebooks/build.py [01 04 ...], all of them without a number.

A source NN_name.py is Python in the percent format: cells begin with "# %%", those of text with "# %% [markdown]",
whose lines are comments. Each is run in a kernel of its own, and NN_name.ipynb is written with what it showed.
"""

from __future__ import annotations

import base64
import io
import re
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
MARK = re.compile(r"^# %%(?: \[(markdown)\])?[ ]*$", flags=re.MULTILINE)
WIDEST = 1100  # pixels of a picture
COLOURS = 256, 64  # of a picture: the most with which it fills no more than BYTES; if with none, it is made smaller
BYTES = 50_000
SECONDS = 900  # a cell may take


class Cell(NamedTuple):
    """A cell: kind is "markdown" or "code"; line is where it begins in its source."""

    kind: str
    text: str
    line: int


def sources(numbers: list[str] | None = None) -> list[Path]:
    """The sources in order, or those whose names begin with the numbers; raises SystemExit for an unknown number."""
    found = sorted(HERE.glob("[0-9][0-9]_*.py"))
    if not numbers:
        return found
    unknown = [number for number in numbers if not any(path.name.startswith(number) for path in found)]
    if unknown:
        raise SystemExit(f"no notebook is called {', '.join(unknown)}; there are {', '.join(p.stem for p in found)}.")
    return [path for path in found if path.name.startswith(tuple(numbers))]


def cells(path: Path) -> list[Cell]:
    """The cells of a source; raises ValueError where text stands before the first, or outside comments."""
    text = path.read_text(encoding="utf-8")
    marks = list(MARK.finditer(text))
    if not marks or text[: marks[0].start()].strip():
        raise ValueError(f'{path} must begin with a line "# %%" or "# %% [markdown]".')
    found = []
    for mark, end in zip(marks, [*(mark.start() for mark in marks[1:]), len(text)]):
        body = text[mark.end() : end].strip("\n")
        line = text.count("\n", 0, mark.end()) + 2
        found.append(Cell(mark[1] or "code", _told(body, path) if mark[1] else body, line))
    return found


def _told(body: str, path: Path) -> str:
    lines = body.splitlines()
    odd = [line for line in lines if line and not re.match(r"#( |$)", line)]
    if odd:
        raise ValueError(f'{path}: lines of a text cell begin with "# "; got {odd[0]!r}.')
    return "\n".join(line[2:] for line in lines)


def notebook(path: Path) -> Any:
    """The notebook of a source, not run yet."""
    from nbformat import v4

    make = {"markdown": v4.new_markdown_cell, "code": v4.new_code_cell}
    made = [make[cell.kind](cell.text, id=f"cell-{i:02}") for i, cell in enumerate(cells(path))]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return v4.new_notebook(cells=made, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def run(path: Path) -> Any:
    """The notebook of a source with its outputs; raises nbclient's CellExecutionError where a cell fails."""
    from nbclient import NotebookClient

    made = notebook(path)
    options: dict[str, Any] = {"timeout": SECONDS, "kernel_name": "python3", "record_timing": False}
    options["extra_arguments"] = ["--IPKernelApp.log_level=40"]  # it warns of its own sockets, at every start
    NotebookClient(made, resources={"metadata": {"path": str(path.parent)}}, **options).execute()
    made.metadata.language_info = {"name": "python"}  # the rest changes with the Python that ran it
    for cell in made.cells:
        for output in cell.get("outputs", []):
            _shrink(output.get("data", {}), output.get("metadata", {}))
    return made


def _shrink(data: dict[str, Any], metadata: dict[str, Any]) -> None:
    """Pictures as small as they can be without loss to the eye: no wider than they are shown, in few colours."""
    if "image/png" not in data:
        return
    from PIL import Image

    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB")
    wide = metadata.get("image/png", {}).get("width", WIDEST)
    if picture.width > wide:
        picture = picture.resize((wide, round(picture.height * wide / picture.width)), Image.Resampling.LANCZOS)
    written = _png(picture, COLOURS[0])
    while len(written) > BYTES:
        written = _png(picture, COLOURS[1])
        if len(written) > BYTES:
            size = round(0.85 * picture.width), round(0.85 * picture.height)
            picture = picture.resize(size, Image.Resampling.LANCZOS)
    data["image/png"] = base64.b64encode(written).decode()


def _png(picture: Any, colours: int) -> bytes:
    from PIL import Image

    written = io.BytesIO()
    few = picture.quantize(colours, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)  # keeps rare hues
    few.save(written, "png", optimize=True)
    return written.getvalue()


def write(path: Path, made: Any) -> Path:
    """Write a notebook beside its source."""
    import nbformat

    target = path.with_suffix(".ipynb")
    target.write_text(nbformat.writes(made) + "\n", encoding="utf-8")
    return target


def main(numbers: list[str]) -> None:
    for path in sources(numbers):
        start = time.perf_counter()
        print(f"{path.stem} ...", end=" ", flush=True)
        target = write(path, run(path))
        print(f"{time.perf_counter() - start:.0f} s, {target.stat().st_size / 1e3:.0f} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
