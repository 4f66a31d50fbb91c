"""The figures of the training loop as tables of Markdown."""

from __future__ import annotations

from typing import Any


def markdown(document: dict[str, Any]) -> str:
    """Both tables, and where and on what they were measured."""
    lines = [
        "| autoencoder | bare loop, ms a step | otgen.training | ratio | quartiles | target |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for one in document["records"]:
        low, high = one["quartiles"]
        lines.append(
            f"| {one['model']} | {one['bare_ms']:.2f} | {one['otgen_ms']:.2f} | {one['ratio']:.3f} | {low:.3f} to "
            f"{high:.3f} | <= {one['target']}: {_said(one['ratio'] <= one['target'])} |"
        )
    lines += [
        "",
        f"| WAE-MMD, width {document['penalties'][0]['width']} "
        "| step, ms | without the penalty | its share | quartiles | target |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for one in document["penalties"]:
        low, high = one["quartiles"]
        lines.append(
            f"| batch {one['batch']:,}, code {one['code']} | {one['step_ms']:.1f} | {one['without_ms']:.1f} | "
            f"{one['share']:.1%} | {low:.1%} to {high:.1%} | <= {one['target']:.0%}: "
            f"{_said(one['share'] <= one['target'])} |"
        )
    device, facts = document["machine"]["device"], document["machine"]
    note = (
        f"From `benchmarks/results/training.json`: {device['cpu']} ({device['target']}), {device['cores']} cores, "
        f"{device['sgemm_gflops']:.0f} GFLOP/s SGEMM, load {device['load_average']:g}; torch "
        f"{facts['versions']['torch']}; commit {facts['commit']}; {facts['date']}."
    )
    return "\n".join([*lines, "", note])


def _said(met: bool) -> str:
    return "met" if met else "**missed**"
