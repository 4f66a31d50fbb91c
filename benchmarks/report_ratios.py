"""The few ratios that the README shows, taken from the figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from report import number
from targets import seconds, speed_ratio

# file -> (what the README says, the case, the peer); the README tells the size once, the report everything.
ROWS: tuple[tuple[str, str, str, str], ...] = (
    ("exact", "exact W1, n = 10,000, d = 2", "10,000 points, d = 2, W1", "POT"),
    ("exact", "exact W2, n = 10,000, d = 3", "10,000 points, d = 3, W2", "POT"),
    ("exact", "exact W1, n = 10,000, d = 64", "10,000 points, d = 64, W1", "POT"),
    ("exact", "exact W2, n = 100,000, d = 2", "100,000 points, d = 2, W2", ""),
    ("entropic", "Sinkhorn to 1e-4, n = 10,000, d = 2", "sinkhorn to 1e-4, 10,000 points, d = 2", "OTT dense"),
    ("entropic", "Sinkhorn to 1e-4, n = 10,000, d = 64", "sinkhorn to 1e-4, 10,000 points, d = 64", "OTT dense"),
    (
        "entropic", "Sinkhorn divergence with gradient, n = 10,000, d = 2",
        "divergence with gradient, 10,000 points, d = 2", "GeomLoss multiscale",
    ),
    (
        "entropic", "Sinkhorn divergence with gradient, n = 10,000, d = 3",
        "divergence with gradient, 10,000 points, d = 3", "GeomLoss multiscale",
    ),
    ("semidiscrete", "semi-discrete, exact, n = 100,000, d = 2", "newton to 1e-6, 100,000 points, d = 2", "sdot"),
    ("semidiscrete", "semi-discrete, exact, n = 100,000, d = 3", "newton to 1e-6, 100,000 points, d = 3", "sdot"),
    (
        "semidiscrete", "semi-discrete, Monte Carlo to chi2 0.01, n = 1,000, d = 2",
        "monte_carlo to chi2 0.01, 1,000 points, d = 2", "POT tuned",
    ),
    (
        "discrepancies", "sliced W2, n = 100,000, d = 64, 200 directions",
        "sliced W2, 100,000 points, d = 64, 200 directions, float32", "POT",
    ),
)  # fmt: skip


def markdown(documents: Mapping[str, dict[str, Any]]) -> str:
    """The table; a row whose case or file is not there is left out."""
    cores = sorted({documents[file]["device"]["cores"] for file, *_ in ROWS if file in documents})
    machines = f"CPUs, {' or '.join(map(str, cores))} cores"
    lines = [f"| {machines} | otgen s | peer s | ratio | otgen MB | peer MB |", "|---|---:|---:|---:|---:|---:|"]
    for file, shown, case, peer in ROWS:
        record = next((one for one in documents.get(file, {"records": []})["records"] if one["case"] == case), None)
        if record is None:
            continue
        own, theirs = seconds(record, "otgen"), seconds(record, peer) if peer else None
        ratio = speed_ratio(record, peer) if peer else None
        cells = [
            number(own) if own is not None else "failed",
            f"{peer} {number(theirs) if theirs is not None else 'failed'}" if peer else "",
            number(ratio) if ratio is not None else "",
            _megabytes(record, "otgen"),
            _megabytes(record, peer),
        ]
        lines.append("| " + " | ".join((shown, *cells)) + " |")
    dates = sorted({documents[file]["date"] for file, *_ in ROWS if file in documents}) or ["never"]
    note = (
        f"Measured {' to '.join(dict.fromkeys((dates[0], dates[-1])))}, each row's peer in the same run; machines, "
        f"versions and commits in [benchmarks/REPORT.md](benchmarks/REPORT.md)."
    )
    return "\n".join([*lines, "", note])


def _megabytes(record: dict[str, Any], solver: str) -> str:
    peak = record["runs"].get(solver, {}).get("peak_mb")
    return "" if peak is None else f"{peak:.0f}"
