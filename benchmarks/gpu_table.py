"""The figures of one GPU as a table of Markdown."""

from __future__ import annotations

from typing import Any


def markdown(document: dict[str, Any], name: str) -> str:
    """One line a row and peer; then where and on what it was measured, by the file's name."""
    lines = ["| case | otgen s | of the roof | error | peer s | ratio | target |", "|---|---:|---:|---:|---:|---:|---|"]
    for record in document["records"]:
        own = record["runs"]["otgen"]
        share = f"{record['roof'] / own['seconds']:.0%}" if record["roof"] else ""
        error = f"{own['error']:.0e}" if own.get("error") is not None else ""
        verdicts = "; ".join(f"{one['text']}: {_SAID[one['met']]}" for one in record["targets"])
        for peer in [solver for solver in record["runs"] if solver != "otgen"] or [""]:
            theirs = record["runs"].get(peer, {}).get("seconds")
            shown = (f"{peer} {theirs:.3g}" if theirs else f"{peer} failed") if peer else ""
            ratio = f"{theirs / own['seconds']:.3g}" if theirs else ""
            lines.append(
                f"| {record['case']} | {own['seconds']:.3g} | {share} | {error} | {shown} | {ratio} | {verdicts} |"
            )
    versions = ", ".join(f"{package} {version}" for package, version in document["versions"].items() if version)
    note = f"From `benchmarks/results/{name}`: {document['gpu']['name']}; {versions}; commit {document['commit']}"
    scale = "" if document.get("scale", 1.0) == 1.0 else f"; clouds scaled by {document['scale']:g}"
    return "\n".join([*lines, "", f"{note}; {document['date']}{scale}."])


_SAID = {True: "met", False: "**missed**", None: "unknown"}
