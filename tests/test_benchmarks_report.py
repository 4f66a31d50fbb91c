"""benchmarks/REPORT.md, its plots and the README's ratios are what the committed figures make, and nothing else."""

from __future__ import annotations

import copy
import importlib
import json
from pathlib import Path

import pytest

pytest.importorskip("ot")

ROOT = Path(__file__).resolve().parents[1]
AGAIN = "run: make bench-report"


@pytest.fixture
def module(monkeypatch):
    """Import a file of benchmarks/ as its scripts see each other."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


@pytest.fixture
def writer(module):
    return module("write_report")


@pytest.fixture
def figures(writer):
    return writer.documents(writer.RESULTS)


def test_the_committed_report_is_what_the_figures_make(writer, figures) -> None:
    assert set(writer.SECTIONS) <= set(figures)
    assert writer.REPORT.read_text(encoding="utf-8") == writer.markdown(figures), AGAIN


def test_the_readme_shows_the_ratios_of_the_figures(writer, figures) -> None:
    block = writer.ratios_block(figures)
    assert block in writer.README.read_text(encoding="utf-8"), AGAIN
    rows = module_rows(block)
    assert len(rows) == len(writer.report_ratios.ROWS), "a case that the README names is not among the figures"
    first = next(one for one in figures["exact"]["records"] if one["case"] == "10,000 points, d = 2, W1")
    ratio = first["runs"]["POT"]["seconds"] / first["runs"]["otgen"]["seconds"]
    assert float(rows[0].split("|")[4]) == pytest.approx(ratio, rel=5e-3)


def module_rows(block: str) -> list[str]:
    return [line for line in block.splitlines() if line.startswith("| ") and "---" not in line][1:]


def test_every_committed_plot_was_drawn_from_the_figures(module, writer, figures) -> None:
    image = pytest.importorskip("PIL.Image")
    plots = module("report_plots")
    named = set(writer.re.findall(r"\(plots/(\w+)\.png\)", writer.markdown(figures)))
    folder = writer.REPORT.parent / "plots"
    assert named == {path.stem for path in folder.glob("*.png")} and {"exact", "semidiscrete"} <= named
    for name in named:
        file, _, panels = plots.PLOTS[name]
        wanted = plots.digest(figures[file], plots.drawable(figures[file], panels))
        with image.open(folder / f"{name}.png") as picture:
            assert picture.info["Description"] == wanted, AGAIN
        assert (folder / f"{name}.png").stat().st_size < 150_000


def test_another_figure_makes_another_report_and_another_plot(module, writer, figures) -> None:
    plots, changed = module("report_plots"), copy.deepcopy(figures)
    record = next(one for one in changed["exact"]["records"] if one["case"] == "10,000 points, d = 2, W1")
    record["runs"]["otgen"]["seconds"] *= 3
    assert writer.markdown(changed) != writer.markdown(figures)
    assert writer.ratios_block(changed) != writer.ratios_block(figures)
    _, _, panels = plots.PLOTS["exact"]
    assert plots.digest(changed["exact"], panels) != plots.digest(figures["exact"], panels)


def test_a_folder_with_one_file_says_what_is_missing(writer, figures, tmp_path) -> None:
    pytest.importorskip("matplotlib")
    few = [one for one in figures["exact"]["records"] if one["case"].startswith(("2,000 points", "10,000 points"))]
    (tmp_path / "exact.json").write_text(json.dumps(figures["exact"] | {"records": few}), encoding="utf-8")
    writer.write(tmp_path, tmp_path / "REPORT.md", None)
    text = (tmp_path / "REPORT.md").read_text(encoding="utf-8")
    assert "No figures: there is no `entropic.json`. `make bench-entropic` measures it." in text
    assert "there is no `gpu-*.json`" in text and "(plots/exact.png)" in text and "couple.png" not in text
    assert (tmp_path / "plots" / "exact.png").exists() and not (tmp_path / "plots" / "couple.png").exists()


def test_curves_keep_bounds_apart_and_drop_single_sizes(module) -> None:
    plots = module("report_plots")
    run = {"seconds": 2.0, "peak_mb": 10.0}
    cut = {"error": "no answer within 60 s", "limit": 60.0}
    records = [
        {"task": "t", "n": n, "p": 2, "runs": {"otgen": run, "peer": run if n == 10 else cut} | more}
        for n, more in ((100, {}), (10, {"once": run}))
    ]
    found = plots.curves(records, plots.Panel("", {"task": "t"}), "seconds")
    assert found == {
        ("otgen", 2): [(10, 2.0, False), (100, 2.0, False)],
        ("peer", 2): [(10, 2.0, False), (100, 60.0, True)],
    }
    assert plots.curves(records, plots.Panel("", {"task": "other"}), "seconds") == {}
    assert set(plots.curves(records, plots.Panel("", {"task": "t"}), "peak_mb")) == {("otgen", 2)}


def test_a_gpu_file_becomes_a_table(module, writer) -> None:
    run = {"seconds": 0.5, "error": 1e-7}
    record = {"case": "soft", "roof": 0.1, "runs": {"otgen": run, "KeOps": {"seconds": 1.0}, "POT": {"error": "no"}}}
    record["targets"] = [{"text": ">= 2 x faster", "met": True}, {"text": ">= 50% of the roof", "met": False}]
    document = {"records": [record], "gpu": {"name": "A GPU"}, "versions": {"cupy": "14"}, "commit": "abc"}
    text = writer.markdown({"gpu-a": document | {"date": "2026-01-01", "scale": 0.5}})
    line = "| soft | 0.5 | 20% | 1e-07 | KeOps 1 | 2 | >= 2 x faster: met; >= 50% of the roof: **missed** |"
    assert line in text and "POT failed" in text
    assert "`benchmarks/results/gpu-a.json`: A GPU; cupy 14; commit abc; 2026-01-01; clouds scaled by 0.5." in text


def test_the_block_is_replaced_whole_or_not_at_all(writer, tmp_path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{writer.BEGIN}\nold\n{writer.END}\nafter\n", encoding="utf-8")
    block = writer.ratios_block({})
    writer.replace_block(readme, writer.BEGIN, writer.END, block)
    assert readme.read_text(encoding="utf-8") == f"before\n{block}\nafter\n"
    readme.write_text("no marks", encoding="utf-8")
    with pytest.raises(ValueError, match="must hold one block between <!-- bench:ratios -->"):
        writer.replace_block(readme, writer.BEGIN, writer.END, block)


def test_one_command_runs_every_benchmark_and_then_the_report(module, monkeypatch, tmp_path, capsys) -> None:
    every, ran = module("run_all"), []

    class Done:
        def __init__(self, command):
            ran.append([Path(command[1]).stem, *command[2:]])
            self.returncode = int("entropic" in command[1])

    monkeypatch.setattr(every.subprocess, "run", Done)
    monkeypatch.setattr(every, "has_gpu", lambda: True)
    monkeypatch.setattr(every, "QUICK", tmp_path / "bench")
    assert every.main(["--quick"]) == 1  # one fails; the others run all the same
    assert [name for name, *_ in ran] == [
        "exact", "entropic", "semidiscrete", "discrepancies", "training", "models", "gpu", "write_report",
    ]  # fmt: skip
    assert all(str(tmp_path / "bench") in " ".join(options) for _, *options in ran)
    assert ran[0][1] == "--quick" and "failed: entropic" in capsys.readouterr().err
    ran.clear()
    every.main([])
    assert all(options == [] for _, *options in ran)
