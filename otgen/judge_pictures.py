"""Pictures of a judged model, and of what its run told, in the folder of its report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .judge import FOLDER, Judged, history
from .models import IWGAN
from .run_pictures import load_plots, picture
from .run_watch import CRITIC, GAP

IMAGES, PAIRS, ROWS, STEPS = 64, 32, 8, 10
POINTS = 1_000  # of a cloud that is drawn
RANKED = 32  # of the best and of the worst


def draw(run: Path, judged: Judged, *, warn: Callable[[str], None]) -> list[Path]:
    """Draw what can be drawn of a model into run/evaluation; return the files. Without matplotlib it warns once.

    samples, reconstructions, interpolations (between codes), codes (of true samples beside those drawn), curves (of the
    losses), critic (beside the exact W1), gap (of duality) and quality (best and worst by quality score).
    """
    try:
        plots = load_plots()
    except ModuleNotFoundError as error:
        warn(f"no pictures: {error}")
        return []
    folder, found = run / FOLDER, []
    folder.mkdir(exist_ok=True)
    for name, save in [*_of_model(plots, judged), *_of_history(plots, history(run), isinstance(judged.model, IWGAN))]:
        save(folder / f"{name}.png")
        found.append(folder / f"{name}.png")
    return found


def _of_model(plots: Any, judged: Judged) -> Iterator[tuple[str, Callable[[Path], None]]]:
    images, plane = judged.truth.ndim == 4, judged.truth.shape[1:] == (2,)
    if judged.samples is not None and (images or plane):
        shown, behind = judged.samples[: IMAGES if images else POINTS], judged.truth[:POINTS]
        yield "samples", lambda path: picture(path, shown, behind=behind)
    if judged.reconstructed is not None and images:
        original, rebuilt = judged.truth[:PAIRS], judged.reconstructed[:PAIRS]
        yield "reconstructions", lambda path: plots.save_pairs(path, original, rebuilt)
    ends = judged.drawn if judged.codes is None else judged.codes
    if ends is not None and images and len(ends) >= 2 * ROWS:
        yield "interpolations", lambda path: plots.save_interpolations(path, _between(judged, ends))
    if judged.codes is not None:
        clouds = {"codes of the data": judged.codes[:POINTS]}
        if judged.drawn is not None:
            clouds["drawn"] = judged.drawn[:POINTS]
        yield "codes", lambda path: plots.save_pair_plot(path, clouds)
    if isinstance(judged.model, IWGAN) and (images or plane):
        yield "quality", lambda path: _quality(plots, path, judged)


def _of_history(
    plots: Any, rows: list[dict[str, float]], rebuilds: bool
) -> Iterator[tuple[str, Callable[[Path], None]]]:
    losses = sorted({name for row in rows for name in row if name.startswith("loss/")})
    if losses:
        curves = {name.removeprefix("loss/"): _column(rows, name) for name in losses}
        crosses = any((values < 0).any() for values in curves.values())
        steps = _column(rows, "step")
        yield "curves", lambda path: plots.save_curves(path, steps, curves, title="losses", symlog=crosses)
    watched = [row for row in rows if CRITIC[-1] in row]
    if watched:
        difference, estimate, exact = (_column(watched, name) for name in CRITIC)
        title = f"W1 between {'reconstructions' if rebuilds else 'data'} and samples"
        said = {"critic's difference": difference, "divided by its slope": estimate}
        yield "critic", lambda path: plots.save_critic(path, _column(watched, "step"), said, exact, title=title)
    gaps = [row for row in rows if GAP[0] in row]
    if gaps:
        value, error, upper, lower = (_column(gaps, name) for name in GAP)
        yield "gap", lambda path: plots.save_gap(path, _column(gaps, "step"), upper, lower, value, error)


def _column(rows: list[dict[str, float]], name: str) -> np.ndarray:
    return np.array([row.get(name, np.nan) for row in rows])


def _between(judged: Judged, codes: np.ndarray) -> np.ndarray:
    """Images (ROWS, STEPS, C, H, W) decoded from codes on the segments between ROWS pairs."""
    starts, ends = codes[:ROWS, None], codes[ROWS : 2 * ROWS, None]
    t = np.linspace(0.0, 1.0, STEPS, dtype=codes.dtype)[:, None]
    on_segments = (1 - t) * starts + t * ends
    return judged.decode(on_segments.reshape(ROWS * STEPS, -1)).reshape(ROWS, STEPS, *judged.truth.shape[1:])


def _quality(plots: Any, path: Path, judged: Judged) -> None:
    logs = judged.model.log_quality(judged.tensor(judged.truth)).cpu().numpy()
    if judged.truth.ndim == 2:
        plots.save_scores(path, judged.truth[:POINTS], np.exp(logs[:POINTS] - logs[:POINTS].max()))
        return
    order, shown = np.argsort(-logs, kind="stable"), min(RANKED, len(logs) // 2)
    plots.save_ranked(path, judged.truth[order[:shown]], judged.truth[order[::-1][:shown]])
