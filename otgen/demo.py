"""The main job on generated input: `otgen demo`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

import otgen

from . import distance, doctor, folders, maps

__all__ = ["heart", "progress_line", "proven", "run", "star", "told"]

POINTS = 2_000
SIZES = (250, 500, 1_000, 2_000, 4_000, 8_000)
PEER_LIMIT = 4_000  # POT needs 40 bytes a pair and grows as n^2 to n^3: beyond this the demo would take minutes
EPS = 0.05  # of the entropic cost |x - y|^2
SQUARE = [[-2.6, 2.6], [-2.6, 2.6]]  # holds the star: the source of the semi-discrete map
JUMPS = 0.9  # quantile of the neighbours' angles beyond which the map is said to jump
TIMES = (0.0, 0.25, 0.5, 0.75, 1.0)

PICTURES = ("plan.png", "interpolation.png", "cells.png", "jumps.png", "timings.png")

MODEL_LIBRARIES = ("torch", "sklearn", "safetensors", "lightning_fabric")  # of the generative part, left out without

Progress = Callable[[dict[str, Any]], None] | None


def heart(n: int, rng: np.random.Generator) -> np.ndarray:
    """n points uniform on (x^2 + y^2 - 1)^3 <= x^2 y^3, of shape (n, 2), by rejection from a square."""
    points = np.empty((0, 2))
    while len(points) < n:
        more = rng.uniform(-1.4, 1.4, size=(2 * n, 2))
        u, v = more.T
        points = np.concatenate([points, more[(u * u + v * v - 1) ** 3 <= u * u * v**3]])
    return points[:n]


def star(n: int, rng: np.random.Generator) -> np.ndarray:
    """n points uniform on a five-pointed star of radius 2.4, of shape (n, 2): ten triangles of equal area."""
    corner = np.arange(11) * np.pi / 5 + np.pi / 2
    radius = np.where(np.arange(11) % 2 == 0, 2.4, 1.08)
    vertices = radius[:, None] * np.stack([np.cos(corner), np.sin(corner)], axis=1)
    triangle = rng.integers(0, 10, size=n)
    s, t = rng.random((2, n))
    s, t = np.where(s + t > 1, (1 - s, 1 - t), (s, t))  # the far half of the parallelogram, folded back
    return s[:, None] * vertices[triangle] + t[:, None] * vertices[triangle + 1]


def run(out: Path, *, progress: Progress = None, sizes: tuple[int, ...] = SIZES) -> dict[str, Any]:
    """Solve, draw, time; write plan.png, interpolation.png, cells.png, jumps.png, timings.png and report.json to `out`.

    With the libraries of `otgen[models]` also AE-OT on digits: digits.png, and the run in aeot/.

    Raises ModuleNotFoundError where matplotlib is missing, OSError where `out` cannot be written, KeyboardInterrupt
    where a solve was interrupted: nothing is drawn of a part.
    """
    plots = _plots()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"--out must be a folder that can be made; {out}: {error.strerror}. Choose another.") from error
    rng = np.random.default_rng(7)
    x, y = heart(POINTS, rng), star(POINTS, rng)

    _, first = _solve(x, y, 1, progress)  # with a cold cache it compiles the kernels
    solved = {p: _solve(x, y, p, progress) for p in (1, 2)}
    plans = {}
    for p, (result, _) in solved.items():
        plan = result.plan.tocoo()
        plans[f"W{p} = {result.value ** (1 / p):.6f},  gap of the cost {result.gap:.1g}"] = (x, y, plan.row, plan.col)
    plots.save_plans(out / "plan.png", plans)
    plots.save_interpolation(out / "interpolation.png", x, solved[2][0].map(), TIMES)
    entropic = _entropic(x, y)
    start = time.perf_counter()
    fitted = otgen.SemiDiscreteOT(domain=SQUARE).fit(y)
    fit_seconds = time.perf_counter() - start
    maps.draw(fitted, out / "cells.png")
    maps.draw(fitted, out / "jumps.png", quantile=JUMPS)
    timings = _timings(sizes, progress)
    plots.save_timings(
        out / "timings.png",
        {name: [row["n"] for row in rows] for name, rows in timings.items()},
        {name: [row["seconds"] for row in rows] for name, rows in timings.items()},
    )

    models = _models(out, progress)
    machine = doctor.examine()
    report = {
        "points": POINTS,
        "first_solve_seconds": first,
        "distances": {f"W{p}": _distance(*one, p) for p, one in solved.items()},
        "entropic": entropic,
        "map": maps.report(fitted, fit_seconds),
        "timings": timings,
        "models": models,
        "machine": {key: machine[key] for key in ("python", "versions", "threads", "cpu")},
        "files": [*(str(out / name) for name in (*PICTURES, "report.json")), *(models or {}).get("files", ())],
    }
    folders.write_text(out / "report.json", json.dumps(report, indent=2) + "\n")
    return report


def _models(out: Path, progress: Progress) -> dict[str, Any] | None:
    """The report on AE-OT; None where its libraries are not installed."""
    if any(find_spec(name) is None for name in MODEL_LIBRARIES):
        return None
    from . import demo_models

    return demo_models.run(out, progress=progress)


def progress_line(info: dict[str, Any]) -> str:
    """A report of progress in words: of a solver, or of the models."""
    if "level" in info:
        return distance.progress_line(info)
    from . import demo_models

    return demo_models.progress_line(info)


def _plots() -> Any:
    try:
        from . import plots
    except ModuleNotFoundError as error:
        command = doctor.install_command("matplotlib")
        message = f"otgen demo draws with matplotlib, which is not installed. Install it: {command}"
        raise ModuleNotFoundError(message) from error
    return plots


def _peer() -> Any:
    try:
        from ot import emd2
    except ModuleNotFoundError:
        return None
    return emd2


def _solve(x: np.ndarray, y: np.ndarray, p: int, progress: Progress) -> tuple[otgen.Transport, float]:
    start = time.perf_counter()
    result = otgen.solve_sample(x, y, cost=("euclidean", p), progress=progress)
    seconds = time.perf_counter() - start
    if result.message == "interrupted":  # the solver answers Ctrl-C with its best plan; here it means stop
        raise KeyboardInterrupt
    return result, seconds


def _distance(result: otgen.Transport, seconds: float, p: int) -> dict[str, Any]:
    return {
        "value": result.value ** (1 / p),
        "lower_bound": max(result.lower_bound, 0.0) ** (1 / p),
        "cost_gap": result.gap,
        "converged": result.converged,
        "plan_entries": result.plan.nnz,
        "seconds": seconds,
    }


def _entropic(x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Sinkhorn's bounds of W2, which hold the exact value between them, and the debiased divergence."""
    start = time.perf_counter()
    result = otgen.sinkhorn(x, y, eps=EPS)
    seconds = time.perf_counter() - start
    if result.message.startswith("interrupted"):
        raise KeyboardInterrupt
    return {
        "eps": EPS,
        "lower_bound": max(result.lower_bound, 0.0) ** 0.5,
        "upper_bound": result.upper_bound**0.5,
        "divergence": otgen.sinkhorn_divergence(x, y, eps=EPS),
        "converged": result.converged,
        "seconds": seconds,
    }


def _timings(sizes: tuple[int, ...], progress: Progress) -> dict[str, list[dict[str, Any]]]:
    """Seconds for Gaussian clouds shifted by 1 in 2-D, and POT beside otgen where it is installed."""
    emd2 = _peer()
    timings: dict[str, list[dict[str, Any]]] = {}
    for n in sizes:
        rng = np.random.default_rng(n)
        x, y = rng.normal(size=(n, 2)), rng.normal(size=(n, 2)) + [1.0, 0.0]
        if n == min(sizes):  # small clouds have a kernel of their own: its compilation is not what is timed
            _solve(x, y, 1, progress)
        for p in (1, 2):
            result, seconds = _solve(x, y, p, progress)
            row = {"n": n, "seconds": seconds, "gap": result.gap, "converged": result.converged}
            timings.setdefault(f"otgen W{p}", []).append(row)
            if emd2 is not None and n <= PEER_LIMIT:
                start = time.perf_counter()
                difference = float(emd2([], [], cdist(x, y) ** p, numItermax=10**8)) - result.value
                seconds = time.perf_counter() - start
                timings.setdefault(f"POT W{p}", []).append({"n": n, "seconds": seconds, "difference": difference})
    return timings


def proven(report: dict[str, Any]) -> bool:
    """Whether every result of otgen in the report is proven optimal."""
    rows = [
        *report["distances"].values(),
        report["entropic"],
        report["map"],
        report["models"] or {},
        *(row for rows in report["timings"].values() for row in rows),
    ]
    return all(row.get("converged", True) for row in rows)


def told(report: dict[str, Any]) -> str:
    """The report in a few lines."""
    lines = [f"two clouds of {report['points']:,} points, first solve {report['first_solve_seconds']:.1f} s", ""]
    for name, r in report["distances"].items():
        proof = "proven" if r["converged"] else "NOT proven"
        lines.append(f"{name} = {r['value']:.12f}  lower bound {r['lower_bound']:.12f}  {proof}  {r['seconds']:.2f} s")
    e, found = report["entropic"], report["map"]
    proof = "proven" if e["converged"] else "NOT converged"
    lines.append(
        f"W2 between {e['lower_bound']:.6f} and {e['upper_bound']:.6f} by Sinkhorn at eps {e['eps']:g}  {proof}  "
        f"{e['seconds']:.2f} s;  divergence {e['divergence']:.6f}"
    )
    lines.append(
        f"map of a square to the second cloud: every cell's mass within {found['error']['max_relative']:.0e}  "
        f"{found['seconds']:.2f} s"
    )
    lines += ["", f"{'n':>8}" + "".join(f"{name:>12}" for name in report["timings"])]
    by_size: dict[int, dict[str, float]] = {}
    for name, rows in report["timings"].items():
        for row in rows:
            by_size.setdefault(row["n"], {})[name] = row["seconds"]
    for n, found in by_size.items():
        cells = (f"{found[name]:.3f} s" if name in found else "-" for name in report["timings"])
        lines.append(f"{n:>8,}" + "".join(f"{cell:>12}" for cell in cells))
    lines.append("")
    if report["models"] is None:
        lines.append("AE-OT on digits is left out: pip install 'otgen[models]'")
    else:
        from . import demo_models

        lines.append(demo_models.told(report["models"]))
    return "\n".join([*lines, "", *report["files"]])
