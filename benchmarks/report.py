"""The figures as a table in the terminal and as one of Markdown; both show only what the JSON holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from targets import seconds, speed_ratio


@dataclass(frozen=True)
class Block:
    """The table of one benchmark: the name of its JSON file, and the figure of otgen that is its proof."""

    name: str
    proof: str  # the head of the last column
    key: str  # where a run holds it
    # Of the scale. POT's distances come from a GEMM, and at value 0 their rounding is a part of 1e-6.
    difference: float = 1e-5

    @property
    def columns(self) -> tuple[str, ...]:
        """The heads of all columns but the last, the target."""
        return "case", "otgen s", "peer s", "ratio", "otgen MB", "peer MB", self.proof


def machine_line(document: dict[str, Any]) -> str:
    """Device, speed, versions, commit and date in one line."""
    device, versions = document["device"], document["versions"]
    commits = sorted({record["commit"] for record in document["records"]}) or [document["commit"]]
    listed = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    return (
        f"{device['cpu']} ({device['target']}), {device['cores']} cores, {device['sgemm_gflops']:.0f} GFLOP/s SGEMM, "
        f"load {device['load_average']:g} at the start; {listed}; commit {', '.join(commits)}; {document['date']}."
    )


def show(document: dict[str, Any], block: Block, console: Console) -> None:
    """Print one line for each case and peer, then errors and disagreements in full."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in block.columns:
        table.add_column(name, justify="left" if name == "case" else "right", no_wrap=True)
    table.add_column("target")
    for record in document["records"]:
        for peer in _peers(record):
            table.add_row(
                record["case"], *_cells([record], peer, block.key, added=True), _coloured(record["targets"], peer)
            )
    console.print(machine_line(document), highlight=False, soft_wrap=True)
    console.print(table)
    console.print("MB: peak of the process, and in brackets what it added after the imports.", style="dim")
    for line in _remarks(document, block):
        console.print(line, style="red", markup=False)


def markdown(document: dict[str, Any], block: Block) -> str:
    """One line for each `row` and peer, cases of one row as ranges; then where and on what it was measured."""
    heads = block.columns
    lines = ["| " + " | ".join((*heads, "target")) + " |", "|---|" + "---:|" * (len(heads) - 1) + "---|"]
    for row in dict.fromkeys(record["row"] for record in document["records"]):
        records = [record for record in document["records"] if record["row"] == row]
        for peer in dict.fromkeys(peer for record in records for peer in _peers(record)):
            own = [record for record in records if peer in _peers(record)]
            verdicts = [verdict for record in own for verdict in record["targets"]]
            lines.append("| " + " | ".join((row, *_cells(own, peer, block.key), _summary(verdicts, peer))) + " |")
    note = f"From `benchmarks/results/{block.name}.json`: {machine_line(document)}"
    skipped = [f"Not measured: {row} ({why})." for row, why in document.get("skipped", {}).items()]
    return "\n".join([*lines, "", note, *skipped])


def progress_line(record: dict[str, Any]) -> str:
    """One case in one line: its solvers' seconds."""
    parts = [f"{name} {run.get('error') or number(run['seconds']) + ' s'}" for name, run in record["runs"].items()]
    return f"{record['case']}: {', '.join(parts)}"


def number(value: float) -> str:
    """Three digits, and no exponent above 1."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _peers(record: dict[str, Any]) -> list[str]:
    return [name for name in record["runs"] if name != "otgen"] or [""]


def _cells(records: list[dict[str, Any]], peer: str, key: str, *, added: bool = False) -> list[str]:
    def peaks(solver: str) -> str:
        runs = [record["runs"].get(solver, {}) for record in records]
        text = _range((run.get("peak_mb") for run in runs), "{:.0f}")
        more = _range((run.get("added_mb") for run in runs), "{:.0f}") if added else ""
        return f"{text} (+{more})" if more else text

    time = _range(seconds(record, peer) for record in records)
    cut_off = any("limit" in record["runs"].get(peer, {}) for record in records)
    return [
        _range(seconds(record, "otgen") for record in records),
        f"{peer} {'> ' if cut_off else ''}{time or 'failed'}" if peer else "",
        _range(speed_ratio(record, peer) for record in records) if peer else "",
        peaks("otgen"),
        peaks(peer) if peer else "",
        _range((record["runs"]["otgen"].get(key) for record in records), "{:.0e}"),
    ]


def _range(values: Iterable[float | None], form: str = "") -> str:
    known = sorted(value for value in values if value is not None)
    shown = [form.format(value) if form and value else number(value) for value in known]
    return " to ".join(dict.fromkeys((shown[0], shown[-1]))) if shown else ""


def _coloured(verdicts: list[dict[str, Any]], peer: str) -> str:
    colours = {True: "green", False: "red", None: "yellow"}
    words = {True: "met", False: "missed", None: "unknown"}
    own = [verdict for verdict in verdicts if verdict["peer"] in ("", peer)]
    return ", ".join(f"{escape(v['text'])} [{colours[v['met']]}]{words[v['met']]}[/]" for v in own)


def _summary(verdicts: list[dict[str, Any]], peer: str) -> str:
    """Each target once: met by all, or by how many not and what they got."""
    parts = []
    for text in dict.fromkeys(verdict["text"] for verdict in verdicts if verdict["peer"] in ("", peer)):
        own = [verdict for verdict in verdicts if verdict["text"] == text and verdict["peer"] in ("", peer)]
        failed = [verdict for verdict in own if not verdict["met"]]
        got = _range(verdict["got"] for verdict in failed)
        count = f" {len(failed)} of {len(own)}" if len(own) > 1 else ""
        parts.append(f"{text}: **missed{count}**{f', {got}' if got else ''}" if failed else f"{text}: met")
    return "; ".join(parts)


def _remarks(document: dict[str, Any], block: Block) -> list[str]:
    lines = [f"not measured: {row}: {why}" for row, why in document.get("skipped", {}).items()]
    for record in document["records"]:
        for name, run in record["runs"].items():
            if "error" in run:
                lines.append(f"{record['case']}: {name}: {run['error']}")
            if run.get("warning"):
                lines.append(f"{record['case']}: {name} warned: {run['warning']}")
            if abs(run.get("difference", 0.0)) > block.difference:
                lines.append(
                    f"{record['case']}: otgen's value and that of {name} differ by {run['difference']:.1e} of scale"
                )
    return lines
