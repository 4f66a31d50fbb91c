"""The notebooks: every cell runs in the quick mode, and what is committed was made of the sources."""

from __future__ import annotations

import json
import os
import sys
import types
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("torch")
pytest.importorskip("ot")
pytest.importorskip("IPython")

from torch_threads import one_thread as one_thread

ROOT = Path(__file__).resolve().parents[1]
LARGEST = 200_000  # bytes of a notebook


def _build():
    module = types.ModuleType("build_notebooks")
    module.__file__ = str(ROOT / "notebooks" / "build.py")
    sys.modules[module.__name__] = module
    exec(compile(Path(module.__file__).read_text(encoding="utf-8"), module.__file__, "exec"), vars(module))
    return module


build = _build()
SOURCES = build.sources()


def run_cells(path: Path) -> None:
    """Run the code of a source as a kernel would, cell after cell, with the lines of its file in a traceback."""
    names: dict = {"__name__": "__main__"}
    for cell in build.cells(path):
        if cell.kind == "code":
            exec(compile("\n" * (cell.line - 1) + cell.text, str(path), "exec"), names)


@pytest.fixture
def quick(monkeypatch):
    import matplotlib.pyplot as plt

    monkeypatch.setenv("OTGEN_QUICK", "1")
    monkeypatch.chdir(ROOT / "notebooks")
    plt.switch_backend("Agg")
    yield
    plt.close("all")


def test_the_eight_stories_are_there() -> None:
    assert [path.name[:2] for path in SOURCES] == [f"{i:02}" for i in range(1, 9)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_what_a_notebook_claims_holds(path: Path, quick) -> None:
    assert sum("assert " in cell.text for cell in build.cells(path) if cell.kind == "code") >= 3
    run_cells(path)


def test_without_mnist_its_notebook_says_that_it_takes_digits(quick, monkeypatch, capsys, tmp_path: Path) -> None:
    from otgen.data import places

    monkeypatch.setenv("OTGEN_DATA", str(tmp_path))
    monkeypatch.setattr(places, "cache_folder", lambda: tmp_path)
    (path,) = build.sources(["05"])
    names: dict = {"__name__": "__main__"}
    for cell in build.cells(path):
        if cell.kind == "code" and ("import otgen" in cell.text or "FileNotFoundError" in cell.text):
            exec(compile(cell.text, str(path), "exec"), names)
    assert names["images"].name == "digits" and "digits" in capsys.readouterr().out


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_the_notebook_is_that_of_its_source(path: Path) -> None:
    target = path.with_suffix(".ipynb")
    assert target.exists(), f"{target.name} is not made yet. Run: make notebooks N={path.name[:2]}"
    made = json.loads(target.read_text(encoding="utf-8"))
    wanted = [(cell.kind, cell.text) for cell in build.cells(path)]
    found = [(cell["cell_type"], "".join(cell["source"])) for cell in made["cells"]]
    assert found == wanted, f"{target.name} is not of its source. Run: make notebooks"
    outputs = [output for cell in made["cells"] for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]
    assert any("image/png" in output.get("data", {}) or "text/markdown" in output.get("data", {}) for output in outputs)
    assert target.stat().st_size < LARGEST


def test_a_notebook_is_run_in_a_kernel_and_keeps_small_pictures(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("OTGEN_QUICK", "1")
    source = tmp_path / "01_two.py"
    source.write_text(
        "# %% [markdown]\n# # Title\n#\n# text\n\n# %%\nimport os\n\nimport matplotlib.pyplot as plt\n\n"
        'plt.plot([0, 1])\nprint(os.environ["OTGEN_QUICK"], os.getcwd())\n'
    )
    made = build.run(source)
    assert [cell.cell_type for cell in made.cells] == ["markdown", "code"] and made.cells[0].source == "# Title\n\ntext"
    streams = "".join(output.text for output in made.cells[1].outputs if output.output_type == "stream")
    assert streams.split() == ["1", os.path.realpath(tmp_path)]
    assert any("image/png" in output.get("data", {}) for output in made.cells[1].outputs)
    target = build.write(source, made)
    assert json.loads(target.read_text())["nbformat"] == 4 and target.stat().st_size < 30_000


def test_a_claim_that_fails_stops_the_build(tmp_path: Path) -> None:
    source = tmp_path / "01_false.py"
    source.write_text("# %%\nassert 1 + 1 == 3\n")
    with pytest.raises(AssertionError):
        run_cells(source)


def test_sources_that_are_no_cells_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "01_odd.py"
    source.write_text("import os\n# %%\n")
    with pytest.raises(ValueError, match="must begin with"):
        build.cells(source)
    source.write_text("# %% [markdown]\ntext\n")
    with pytest.raises(ValueError, match="begin with \"# \"; got 'text'"):
        build.cells(source)
    with pytest.raises(SystemExit, match="no notebook is called 99"):
        build.sources(["99"])
