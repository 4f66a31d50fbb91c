"""benchmarks/REPORT.md, its plots and the README's table of ratios, from the JSON files; nothing is measured.

python benchmarks/write_report.py                        what `make bench-report` runs
python benchmarks/write_report.py --results FOLDER       from other JSON files, into FOLDER/REPORT.md alone
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import discrepancies
import entropic
import exact
import gpu_table
import models_table
import report
import report_plots
import report_ratios
import semidiscrete
import training_table

HERE = Path(__file__).resolve().parent
RESULTS, REPORT, README = HERE / "results", HERE / "REPORT.md", HERE.parent / "README.md"
BEGIN, END = "<!-- bench:ratios -->", "<!-- /bench:ratios -->"
Documents = Mapping[str, dict[str, Any]]

SECTIONS = {
    "exact": (
        "Exact transport",
        "Gap / scale: primal minus dual over all pairs, as a part of the value's scale.",
        lambda document: report.markdown(document, exact.SUITE.block),
    ),
    "entropic": (
        "Entropic transport",
        "Error: the marginal error in L1, found anew in float64; of a half-step, that of its values. A peer is cut "
        "off after 90 s. GeomLoss counts at its fastest scaling that agrees to 1e-3.",
        lambda document: report.markdown(document, entropic.SUITE.block),
    ),
    "semidiscrete": (
        "Semi-discrete maps",
        "Error: of the cells' masses, relative for Newton, chi2 for Monte Carlo, found anew from the heights.",
        lambda document: report.markdown(document, semidiscrete.SUITE.block),
    ),
    "discrepancies": (
        "Other distances and tests",
        "Error: against float64 loops over some rows, or the peer's answer to the same.",
        lambda document: report.markdown(document, discrepancies.SUITE.block),
    ),
    "models": (
        "Generative models",
        "What the tables leave open. The seconds are those of two cores shared with other runs (the load is in the "
        "last line). Recall counts test images inside balls around samples, and samples that lie off the data have "
        "wide ones: hence VAE and WAE before AE-OT in recall, far behind in precision and coverage. WAE-GAN's "
        "penalty weighs 0.3 here, where its paper has 10: at 10, in so few epochs, it outweighs the reconstruction. "
        "Samples of AE-OT lie between the codes of training images, hence nearer to one than a new code is, and are "
        "blurred: none is a copy, for which the ratio of codes would be 0.",
        models_table.markdown,
    ),
    "training": (
        "The training loop",
        "Beside a loop written by hand, in turn in one process.",
        training_table.markdown,
    ),
}
"""By the JSON file's name: the heading, what its columns mean, and the writer of its tables."""


def documents(results: Path) -> dict[str, dict[str, Any]]:
    """The figures by the name of their file; those of GPUs are gpu-DEVICE."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.glob("*.json"))}


def markdown(found: Documents) -> str:
    """The report."""
    parts = [
        "# Benchmarks",
        "Written by `make bench-report` from the JSON files of `benchmarks/results/`; `make bench` measures them "
        "anew, `make bench-exact` and its like one of them. Under each table: its machine, versions, commits and "
        "date. Tables of different machines do not compare; within a row otgen and its peer ran one after the other,"
        " each solve in a process of its own.",
        "Ratio: the peer's seconds over otgen's. MB: peak of the whole process. A time after `>` is a bound: the "
        "peer was not done by then. In the plots an open triangle marks such a bound, and a line needs two sizes.",
    ]
    for name, (heading, note, table) in SECTIONS.items():
        parts.append(f"## {heading}")
        if name not in found:
            parts.append(f"No figures: there is no `{name}.json`. `make bench-{name}` measures it.")
            continue
        parts.append(note)
        parts += [f"![{title}](plots/{picture}.png)" for picture, title in _pictures(found, name)]
        parts.append(table(found[name]))
    parts.append("## GPU")
    chips = [name for name in found if name.startswith("gpu-")]
    parts += [gpu_table.markdown(found[name], f"{name}.json") for name in chips]
    if not chips:
        parts.append(
            "No figures: there is no `gpu-*.json`. `make gpu-bench` writes one where there are an NVIDIA GPU and CuPy."
        )
    return "\n\n".join(parts) + "\n"


def _pictures(found: Documents, file: str) -> list[tuple[str, str]]:
    return [
        (picture, title)
        for picture, (source, title, panels) in report_plots.PLOTS.items()
        if source == file and report_plots.drawable(found[file], panels)
    ]


def ratios_block(found: Documents) -> str:
    """The block of the README, both marks included."""
    return f"{BEGIN}\n{report_ratios.markdown(found)}\n{END}"


def replace_block(path: Path, begin: str, end: str, block: str) -> None:
    """Put `block`, which has both marks, where they are in a file. Raises ValueError where they are missing."""
    text, marked = path.read_text(encoding="utf-8"), f"{begin}.*?{end}"
    if len(re.findall(marked, text, flags=re.DOTALL)) != 1:
        raise ValueError(
            f"{path} must hold one block between {begin} and {end}. Put the two marks where the table goes."
        )
    path.write_text(re.sub(marked, lambda _: block, text, flags=re.DOTALL), encoding="utf-8")


def write(results: Path, out: Path, readme: Path | None) -> None:
    """The report with its plots beside it, and the README's block where one is named."""
    found = documents(results)
    out.parent.mkdir(parents=True, exist_ok=True)
    for picture, (source, _, _) in report_plots.PLOTS.items():
        if source in found:
            report_plots.draw(picture, found[source], out.parent / "plots")
    out.write_text(markdown(found), encoding="utf-8")
    if readme is not None:
        replace_block(readme, BEGIN, END, ratios_block(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="JSON files other than the committed ones")
    given = parser.parse_args()
    if given.results:
        write(given.results, given.results / "REPORT.md", None)
        print(given.results / "REPORT.md")
    else:
        write(RESULTS, REPORT, README)
        print(REPORT)


if __name__ == "__main__":
    main()
