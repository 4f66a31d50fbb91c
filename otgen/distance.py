"""What `otgen distance` does: one call of the API on two files, its report, and its errors in the shell's words."""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import otgen

from .readers import read_points, read_weights

__all__ = ["Request", "UsageError", "check", "in_columns", "in_terms_of", "progress_line", "run", "told"]

PARAMETERS = ("p", "eps", "unbalanced", "tol", "max_iter")
Progress = Callable[[dict[str, Any]], None] | None


class UsageError(ValueError):
    """Options that do not go together, or cannot be read."""

    exit_code = 2


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line: two files, and the options as they were written."""

    a: str
    b: str
    p: float = 1.0
    metric: str = "euclidean"
    weights_a: str | None = None
    weights_b: str | None = None
    eps: float | None = None
    divergence: bool = False
    unbalanced: str | None = None
    tol: float | None = None
    max_iter: int | None = None
    plan: Path | None = None

    def rho(self) -> tuple[float, ...] | None:
        """--unbalanced as numbers: one for both sides, or one for each."""
        if self.unbalanced is None:
            return None
        try:
            rho = tuple(float(part) for part in self.unbalanced.split(","))
        except ValueError:
            rho = ()
        if len(rho) not in (1, 2) or not all(part > 0 for part in rho):
            raise UsageError(
                f"--unbalanced must be RHO or RHO_A,RHO_B, numbers above 0 or inf; got {self.unbalanced}. "
                "Write --unbalanced 1 or --unbalanced 1,inf."
            )
        return rho * 2 if len(rho) == 1 else rho


def check(request: Request) -> None:
    """Refuse, before anything is read, what the options say that could not be done or saved."""
    for name in ("divergence", "unbalanced"):
        if getattr(request, name) and request.eps is None:
            raise UsageError(f"--{name} needs --eps: it belongs to entropic transport. Add --eps, such as --eps 0.1.")
    if request.eps is not None and request.plan is not None:
        raise UsageError(
            "--plan does not go with --eps: an entropic plan has n x m entries that are never stored. Leave one out, "
            "or use otgen.sinkhorn(...).plan in Python."
        )
    request.rho()
    _check_metric(request.metric)
    if request.plan is not None:
        _check_plan(request.plan)


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


def run(request: Request, progress: Progress, warn: Callable[[str], None]) -> tuple[dict[str, Any], Any]:
    """Return the report, and the plan where it is a sparse one; `warn` hears every ConvergenceWarning, in one line.

    Raises KeyboardInterrupt where a divergence was interrupted: one of its three terms alone says nothing.
    """
    x, y = read_points(request.a), read_points(request.b)
    weights = [None if name is None else read_weights(name) for name in (request.weights_a, request.weights_b)]
    options = {"cost": (request.metric, request.p), "tol": request.tol, "max_iter": request.max_iter}
    facts = {"metric": request.metric, "p": request.p, "n": len(x), "m": len(y), "d": x.shape[1]}
    if request.eps is not None:
        options |= {"eps": request.eps, "unbalanced": request.rho()}
        facts |= {"eps": request.eps, "unbalanced": request.rho()}
    start = time.perf_counter()
    with in_terms_of(request, PARAMETERS), _warnings(stops=request.divergence) as heard:
        if request.divergence:
            value = otgen.sinkhorn_divergence(x, y, *weights, **options, progress=progress)
            facts |= {"divergence": float(value), "converged": not heard, "message": "; ".join(heard) or "converged"}
            plan = None
        else:
            result = otgen.solve_sample(x, y, *weights, **options, progress=progress)
            facts |= _of_exact(result, request.p) if request.eps is None else _of_entropic(result, request.p)
            plan = result.plan
    for message in heard:
        warn(message)
    return facts | {"seconds": time.perf_counter() - start}, plan


@contextmanager
def _warnings(*, stops: bool) -> Iterator[list[str]]:
    """The ConvergenceWarnings raised inside, in the shell's words; others go where they went before.

    With `stops`, that of an interrupt is one: what runs inside would go on.
    """
    heard: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always", otgen.ConvergenceWarning)
        show = warnings.showwarning

        def hear(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, otgen.ConvergenceWarning):
                if stops and str(message).startswith("interrupted"):
                    raise KeyboardInterrupt
                heard.append(_in_options(str(message)))
            else:
                show(message, category, *place, **more)

        warnings.showwarning = hear
        yield heard


@contextmanager
def in_terms_of(request: Any, parameters: tuple[str, ...]) -> Iterator[None]:
    """The API's errors speak of its parameters: put in front which file or option of the shell that is."""
    given = {name: f"--{name.removeprefix('n_').replace('_', '-')}" for name in parameters}
    given |= {"x": request.a, "y": request.b}
    given |= {"a": f"--weights-a {request.weights_a}", "b": f"--weights-b {request.weights_b or '(uniform)'}"}
    try:
        yield
    except (ValueError, TypeError) as error:
        said = re.match(rf"(x and y|{'|'.join(given)}) must\b", str(error)) or re.search(
            r"\brow \d+ of ([xy])\b", str(error)
        )
        if said is None:
            raise
        places = ", ".join(given[name] for name in said[1].split(" and "))
        raise type(error)(f"{places}: {_in_options(str(error))}") from error


def _in_options(text: str) -> str:
    """What a message of the API advises, in options."""
    advice = {
        "Raise max_iter, eps or tol": "Raise --max-iter, --eps or --tol",
        "Raise tol or eps": "Raise --tol or --eps",
        "pass unbalanced= to let": "pass --unbalanced to let",
        ", or eps=None in solve_sample for exact transport": ", or leave --eps out for exact transport",
    }
    for said, option in advice.items():
        text = text.replace(said, option)
    return text


def _of_exact(result: Any, p: float) -> dict[str, Any]:
    """The result in units of distance (the p-th root) and, as `cost...`, in units of the cost itself."""
    cost, cost_lower = float(result.value), float(result.lower_bound)
    value, lower = _root(cost, p), _root(cost_lower, p)
    return {
        "value": value,
        "lower_bound": lower,
        "gap": value - lower,
        "cost": cost,
        "cost_lower_bound": cost_lower,
        "cost_gap": float(result.gap),
        "scale": float(result.scale),
    } | _ended(result)


def _of_entropic(result: Any, p: float) -> dict[str, Any]:
    """As _of_exact; the bounds, None where unbalanced, are of transport without the entropy, and both may be off."""
    lower, upper = result.lower_bound, result.upper_bound
    return {
        "value": _root(float(result.value), p),
        "lower_bound": None if lower is None else _root(lower, p),
        "upper_bound": None if upper is None else _root(upper, p),
        "cost": float(result.value),
        "cost_lower_bound": lower,
        "cost_upper_bound": upper,
        "objective": float(result.objective),
        "dual_value": result.dual_value,
        "cost_gap": result.gap,
        "scale": float(result.scale),
        "marginal_error": result.marginal_error,
    } | _ended(result)


def _ended(result: Any) -> dict[str, Any]:
    message = _in_options(result.message)
    return {"converged": bool(result.converged), "n_iter": int(result.n_iter), "message": message}


def _root(cost: float, p: float) -> float:
    return float(np.maximum(cost, 0.0) ** (1 / p))


def told(report: dict[str, Any]) -> str:
    """The report in a few lines."""
    name = f"W{report['p']:g}"
    if "divergence" in report:
        lines = [("divergence", f"{report['divergence']:.15g}")]
    elif "eps" in report:
        lines = _told_bracket(report, name)
        lines += [
            ("transport cost", f"{report['cost']:.15g}"),
            ("objective", f"{report['objective']:.15g}"),
            ("marginal error", f"{report['marginal_error'] / report['scale']:.1e} of the mass"),
        ]
    else:
        lines = [
            (name, f"{report['value']:.15g}"),
            ("lower bound", f"{report['lower_bound']:.15g}"),
            ("gap", f"{report['gap']:.2e}"),
        ]
    lines.append(("converged", "yes" if report["converged"] else f"NO: {report['message']}"))
    if "eps" in report:
        rho = report["unbalanced"]
        lines.append(("eps", f"{report['eps']:g}" + (f", unbalanced {rho[0]:g}, {rho[1]:g}" if rho else "")))
    lines += [
        ("points", f"{report['n']} x {report['d']}, {report['m']} x {report['d']}"),
        ("time", f"{report['seconds']:.2f} s"),
    ]
    return in_columns(lines)


def in_columns(lines: list[tuple[str, str]]) -> str:
    """Names and what they are, below each other."""
    width = max(13, *(len(name) + 2 for name, _ in lines))
    return "\n".join(f"{name:<{width}}{text}" for name, text in lines)


def _told_bracket(report: dict[str, Any], name: str) -> list[tuple[str, str]]:
    """Between which distances, and which costs, transport without the entropy lies; nothing where unbalanced."""
    if report["lower_bound"] is None:
        return []
    lines = [(name, f"{report['lower_bound']:.9g} to {report['upper_bound']:.9g}")]
    if report["p"] != 1:
        costs = f"{report['cost_lower_bound']:.9g} to {report['cost_upper_bound']:.9g}"
        lines.append((f"{name}^{report['p']:g}", costs))
    return lines


def progress_line(info: dict[str, Any]) -> str:
    """One line for one round of the exact solver, or for one sweep of Sinkhorn's iteration."""
    parts = [f"level {info['level']}/{info['levels']}"]
    if "iteration" in info:
        parts += [f"eps {info['eps']:.2g}", f"sweep {info['iteration']}"]
        parts.append(f"marginal error {info['error']:.1e} (to {info['tol']:.0e})")
        return ", ".join(parts)
    parts += [f"round {info['round']}", f"{info['arcs']:,} arcs"]
    if info.get("gap") is not None and info.get("scale"):
        parts.append(f"gap {info['gap'] / info['scale']:.1e} of scale")
    return ", ".join(parts)
