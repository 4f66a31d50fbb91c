"""The benchmark of the generative models: each trained by its preset, and judged by `otgen evaluate`, with the times.

python benchmarks/models.py                       every row: a table, benchmarks/results/models.json
python benchmarks/models.py --only mnist/vae      one row (repeatable); --merge keeps the others of the file
python benchmarks/write_report.py                 then puts them into benchmarks/REPORT.md

A run lies in runs/models/DATA/MODEL: one that was killed is gone on with, one that is finished is judged again, and its
seconds are those of its training, whatever else the machine did then; `load`, `commit` and `date` are of the judging.
AE-OT takes the autoencoder of the row `ae`, whose seconds count as its own. The players of WAE-GAN share its epochs: of
as many, its autoencoder makes half the updates that the others make. Images are measured in the features of `lenet`,
against the 10,000 images of the test split; toys by their density, on 10,000 samples.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import machine
from models_table import markdown

from otgen import judge, runs
from otgen.judge_pictures import draw

RESULT = Path(__file__).with_name("results") / "models.json"
FOLDER = machine.ROOT / "runs" / "models"
IMAGES = ("ae", "vae", "wae-mmd", "wae-gan", "aeot")
ROWS = (
    *(f"{data}/{model}" for data in ("25gaussians", "8gaussians") for model in ("aeot",)),
    *(f"25gaussians/{model}" for model in ("wgan-gp", "iwgan")),
    *(f"{data}/{model}" for data in ("mnist", "fashion-mnist") for model in IMAGES),
)
"""DATA/MODEL, in the order in which they are run: an autoencoder before the AE-OT that takes it."""
TOY_SAMPLES = 10_000


def record(row: str, folder: Path, progress: Any = None) -> dict[str, Any]:
    """Train what is not trained yet, judge it, draw it, and tell."""
    data, model = row.split("/")
    out, toy = folder / data / model, data not in ("mnist", "fashion-mnist")
    changes = ["accelerator=cpu"]
    if model == "aeot" and not toy:
        changes.append("autoencoder=RUN-OF-AE")
    known = (out / "run.json").exists()
    own = [change.replace("RUN-OF-AE", str(folder / data / "ae")) for change in changes]
    report = runs.train(model, data, out, changes=() if known else own, resume=known, progress=progress)
    seconds = {phase: found["seconds"] for phase, found in report["phases"].items()}
    if model == "aeot" and not toy:
        before = json.loads((folder / data / "ae" / "run.json").read_text())["phases"]
        seconds = {"training": before["training"]["seconds"], **seconds}
    judged, what = judge.judge(out, n=TOY_SAMPLES if toy else None, progress=progress)
    draw(out, what, warn=print)
    command = " ".join(["otgen train", model, "--data", data, "--out RUN", *(f"--set {one}" for one in changes)])
    found = {
        "data": data, "model": model, "command": command, "preset": report["preset"],
        "seconds": seconds, "judging_seconds": judged["seconds"], "samples": judged["samples"],
        "extractor": judged["extractor"], "scores": judged["scores"], "load": round(os.getloadavg()[0], 2),
        "commit": machine.commit(), "date": time.strftime("%Y-%m-%d %H:%M"),
    }  # fmt: skip
    if "map" in report["phases"]:
        found["map"] = {key: report["phases"]["map"][key] for key in ("method", "message", "error", "converged")}
        found["rejected"] = what.model.rejection_rate()
    gaps = [row["gap/value"] for row in judge.history(out) if "gap/value" in row]
    return found | ({"duality_gaps": gaps} if gaps else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=ROWS, metavar="DATA/MODEL", help=", ".join(ROWS))
    parser.add_argument("--merge", action="store_true", help="keep the other rows of the file")
    parser.add_argument("--runs", type=Path, default=FOLDER, help="the folder of the runs")
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    before = json.loads(given.out.read_text()) if given.merge and given.out.exists() else {"records": []}
    kept = {f"{one['data']}/{one['model']}": one for one in before["records"]}
    facts = machine.describe(("torch", "lightning-fabric"))
    for row in given.only or ROWS:
        kept[row] = record(row, given.runs)
        ordered = [kept[name] for name in ROWS if name in kept]
        document = {"machine": facts, "records": ordered}
        given.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        print(markdown(document), flush=True)


if __name__ == "__main__":
    main()
