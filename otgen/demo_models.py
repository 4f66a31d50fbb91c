"""The generative part of `otgen demo`: AE-OT on handwritten digits, trained, sampled and judged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import judge, runs
from .judge_pictures import draw
from .run_folder import FILE
from .run_pictures import picture

DATA, SEED = "digits", 0
CHANGES: tuple[str, ...] = ("accelerator=cpu", "picture_every=0")
SHOWN = 64
GRID = "digits.png"
SCORES = ("fid", "recall", "coverage", "memorisation_ratio", "reconstruction_fid")
Progress = Callable[[dict[str, Any]], None] | None


def run(out: Path, *, progress: Progress = None) -> dict[str, Any]:
    """Train AE-OT in out/aeot (a run that is there is gone on with), draw a grid of samples, judge; return a report.

    Raises ModuleNotFoundError where a library is missing, OSError where `out` cannot be written.
    """
    folder = out / "aeot"
    known = (folder / FILE).exists()
    trained = runs.train("aeot", DATA, folder, changes=() if known else CHANGES, resume=known, progress=progress)
    picture(out / GRID, runs.sample(folder, SHOWN, seed=SEED))
    judged, what = judge.judge(folder, seed=SEED, progress=progress)
    drawn = draw(folder, what, warn=lambda _: None)
    return {
        "training": trained, "evaluation": judged, "converged": trained["converged"],
        "files": [str(out / GRID), *map(str, drawn), str(folder / judge.FOLDER / judge.REPORT)],
    }  # fmt: skip


def progress_line(info: dict[str, Any]) -> str:
    """A report of progress in words."""
    return runs.progress_line(info) if "phase" in info or "losses" in info else judge.progress_line(info)


def told(report: dict[str, Any]) -> str:
    """The report in a few lines."""
    found = report["evaluation"]
    rows = {name: row["value"] for name, row in found["scores"].items() if name in SCORES}
    head = f"AE-OT on {DATA}: {report['training']['seconds']:.1f} s, judged in features {found['extractor']['name']}"
    return "\n".join([head, "  ".join(f"{name} {value:.3g}" for name, value in rows.items())])
