"""What `otgen map` does: the estimator on files, its report, and its pictures."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from . import folders
from .doctor import install_command
from .readers import read_points, read_weights
from .transport.semidiscrete import SemiDiscreteOT
from .transport.semidiscrete_options import OPTIMIZERS

__all__ = ["apply", "check_out", "fit", "plot", "progress_line", "report", "sample", "told"]

WITH_CORNERS = "uniform", "polygon", "image"  # sources in the plane whose cells are polygons
GRID = 200  # points a side of the grid on which the singular set is drawn


def check_out(out: Path, ending: str) -> None:
    """Refuse, before anything is computed, a file that could not be written or would be renamed."""
    if out.suffix != ending:
        raise ValueError(f"--out must end in {ending}; got {out}. Rename it.")
    if not out.parent.is_dir():
        raise ValueError(f"--out must be in a folder that exists; got {out}. Make {out.parent} first.")


def fit(
    targets: str, weights: str | None, resume: Path | None, *, source: str, domain: str | None, mean: str | None,
    cov: str | None, density: str | None, optimizer: str | None, **parameters: Any,
) -> tuple[SemiDiscreteOT, float]:  # fmt: skip
    """A fitted map and the seconds it took."""
    if optimizer not in OPTIMIZERS:
        raise ValueError(f"--optimizer must be adam; got {optimizer}. Leave it out for the library's own.")
    y, b = read_points(targets), None if weights is None else read_weights(weights)
    parameters |= {
        "domain": None if domain is None else _read_domain(domain, source, y.shape[1]),
        "mean": None if mean is None else _read_numbers(mean, "--mean"),
        "cov": None if cov is None else _read_cov(cov, y.shape[1]),
        "density": None if density is None else _read_pixels(density),
    }
    start = time.perf_counter()
    fitted = SemiDiscreteOT(source, optimizer=optimizer, **parameters).fit(y, b, resume=resume)
    return fitted, time.perf_counter() - start


def _read_domain(domain: str, source: str, d: int) -> Any:
    """Rows of a file, or the centre and the radius of a ball."""
    if source != "ball":
        return read_points(domain)
    numbers = _read_numbers(domain, "--domain")
    if len(numbers) != d + 1 or not 0.0 < numbers[-1] < np.inf:
        raise ValueError(
            f"--domain of a ball must be {d + 1} numbers, its centre and then its radius > 0, for targets in {d} "
            f"dimensions; got {domain}. Pass --domain {'0,' * d}1, say."
        )
    return numbers[:-1], float(numbers[-1])


def _read_cov(cov: str, d: int) -> np.ndarray:
    """A matrix of a file, or a variance that all directions share."""
    numbers = _numbers(cov)
    if numbers is None:
        return read_points(cov)
    if len(numbers) != 1:
        raise ValueError(f"--cov must be a file, or one variance; got {cov}. Save the matrix to a file.")
    return numbers[0] * np.eye(d)


def _read_numbers(text: str, name: str) -> np.ndarray:
    """Numbers with commas between them, or those of a file."""
    numbers = _numbers(text)
    if numbers is None and not Path(text).suffix:
        raise ValueError(f"{name} must be numbers with commas between them, or a file; got {text}. Pass {name} 0,0.5.")
    return read_weights(text) if numbers is None else numbers


def _numbers(text: str) -> np.ndarray | None:
    try:
        return np.array([float(part) for part in text.split(",")])
    except ValueError:
        return None


def _read_pixels(source: str) -> np.ndarray:
    # read_points takes two axes only, and an image may have three.
    if not source.endswith(".npy"):
        return read_points(source)
    try:
        return np.load(source, allow_pickle=False)
    except ValueError as error:
        raise ValueError(f"{source} must hold an array of numbers: {error}. Save it with numpy.save.") from error


def report(fitted: SemiDiscreteOT, seconds: float) -> dict[str, Any]:
    """What a fit came to, as JSON has it."""
    return {
        "targets": len(np.asarray(fitted.heights_)),
        "dimension": fitted.n_features_in_,
        "merged": fitted.merged_,
        "method": fitted.method_,
        "converged": fitted.converged_,
        "message": fitted.message_,
        "n_iter": fitted.n_iter_,
        "error": vars(fitted.error_),
        "value": vars(fitted.value_),
        "seconds": seconds,
    }


def told(found: dict[str, Any]) -> str:
    """The report in a few lines."""
    error, value = found["error"], found["value"]
    exact = error["max_relative"] is not None
    lines = [("targets", f"{found['targets']:,} in {found['dimension']} dimensions, by {found['method']}")]
    if found["merged"]:
        lines.append(("merged", f"{found['merged']:,} equal targets"))
    chi2 = f"{error['chi2']:.3g}" + (" exactly" if exact else "")
    lines.append(("chi2", f"{chi2}; {error['low']:.3g} to {error['high']:.3g} on {error['samples']:,} fresh samples"))
    if exact:
        lines.append(("mass error", f"{error['max_relative']:.1e} of a cell's mass at most"))
    lines.append(("empty cells", f"{error['empty']:,}" + ("" if exact else " without a sample")))
    bound = f"{value['value']:.12g}" if exact else f"{value['low']:.6g} to {value['high']:.6g}"
    lines.append(("W2^2 >=", bound))
    lines.append(("converged", "yes" if found["converged"] else f"NO: {found['message']}"))
    lines.append(("time", f"{found['seconds']:.2f} s, {found['n_iter']:,} steps"))
    if "file" in found:
        lines.append(("map", found["file"]))
    return "\n".join(f"{name:<13}{text}" for name, text in lines)


def progress_line(row: dict[str, Any]) -> str:
    """One line for one step of a fit."""
    parts = [f"step {row['iteration']}"]
    if "samples" in row:
        parts.append(f"{row['samples']:,} samples")
    for name, word in (("error", "mass error"), ("chi2", "chi2")):
        if row.get(name) is not None:
            parts.append(f"{word} {row[name]:.2g}")
    if row.get("left") is not None:
        parts.append(f"about {row['left']:.0f} s left")
    return ", ".join(parts)


def apply(file: Path, points: str, out: Path) -> int:
    """Write T(x) of the points to out; returns how many they are."""
    mapped = SemiDiscreteOT.load(file).transform(read_points(points))
    folders.save_array(out, mapped)
    return len(mapped)


def sample(file: Path, out: Path, n: int, *, theta: float | None, quantile: float | None, seed: int) -> float:
    """Write n new points to out; returns the share of the source that is rejected."""
    fitted = SemiDiscreteOT.load(file)
    folders.save_array(out, fitted.sample(n, theta=theta, quantile=quantile, seed=seed))
    return fitted.rejection_rate(theta=theta, quantile=quantile, seed=seed)


def plot(file: Path, out: Path, *, theta: float | None = None, quantile: float | None = None) -> None:
    """Draw a map in the plane: its cells by the error of their mass, or the singular set over them."""
    draw(SemiDiscreteOT.load(file), out, theta=theta, quantile=quantile)


def draw(fitted: SemiDiscreteOT, out: Path, *, theta: float | None = None, quantile: float | None = None) -> None:
    """Draw a fitted map in the plane. Raises ValueError for maps elsewhere, ModuleNotFoundError without matplotlib."""
    try:
        from . import plots
    except ModuleNotFoundError as error:
        message = f"otgen map plot draws with matplotlib, which is not installed: {install_command('matplotlib')}"
        raise ModuleNotFoundError(message) from error
    if fitted.n_features_in_ != 2:
        raise ValueError(
            f"only maps in the plane can be drawn; this one has {fitted.n_features_in_} dimensions. Fit it to targets "
            "(n, 2)."
        )
    if fitted.source not in WITH_CORNERS:
        kind = fitted.source if isinstance(fitted.source, str) else "a function"
        raise ValueError(
            f"only maps of a source with corners can be drawn: {', '.join(WITH_CORNERS)}; this one's is {kind!r}. Fit "
            "another with --source."
        )
    cells, corners = fitted.cells(), fitted.domain_corners()
    if theta is None and quantile is None:
        plots.plot_cells(out, cells, fitted.mass_errors(), domain=corners, targets=fitted.targets)
        return
    low, high = corners.min(0), corners.max(0)
    sides = [np.linspace(a, b, GRID, endpoint=False) + 0.5 * (b - a) / GRID for a, b in zip(low, high)]
    grid = np.stack(np.meshgrid(*sides), -1).reshape(-1, 2)
    singular = fitted.singular(grid, theta=theta, quantile=quantile)
    plots.plot_singular_set(out, cells, grid, singular, domain=corners, theta=fitted.angle(theta, quantile))
