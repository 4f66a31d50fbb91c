"""The documentation names every public name once, and only names that are there."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import otgen
import otgen_kernels

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs" / "api").glob("*.md"))
NAMED = [name for page in PAGES for name in re.findall(r"^::: ([\w.]+)$", page.read_text(), flags=re.MULTILINE)]


def script(name: str):
    """A file of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def public(module) -> set[str]:
    """What a package offers: the names that its __init__ imports `as` themselves."""
    source = inspect.getsource(module)
    typed = set(re.findall(r"^from \S+ import (\w+) as \1$", source, flags=re.MULTILINE))
    return {f"{module.__name__}.{name}" for name in typed}


def test_every_public_name_has_its_place_and_every_place_its_name() -> None:
    assert len(NAMED) == len(set(NAMED))
    assert public(otgen) <= set(NAMED)
    kernels = {f"otgen_kernels.{name}" for names in otgen_kernels.TWINNED.values() for name in names}
    assert kernels <= set(NAMED)
    for name in NAMED:
        room = name.rpartition(".")[0]
        if room.startswith(("otgen.models", "otgen.training", "otgen.metrics")):
            pytest.importorskip("torch")
        found = getattr(importlib.import_module(room), name.rpartition(".")[2])
        assert inspect.getdoc(found), name


@pytest.mark.parametrize("room", ["models", "training", "metrics"])
def test_the_rooms_are_shown_whole(room) -> None:
    pytest.importorskip("torch")
    missing = public(importlib.import_module(f"otgen.{room}")) - set(NAMED)
    assert {name for name in missing if not name.endswith(".MODELS")} == set()


def test_the_navigation_names_every_page() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = set(re.findall(r"([\w/]+\.md)", text.split("\nnav:")[1]))
    made = set(script("hooks").PAGES.values())
    assert pages == made | {f"api/{page.name}" for page in PAGES}
    assert "docs_dir: docs\n" in text and "--strict" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_links_between_files_become_links_between_pages() -> None:
    relinked = script("hooks").relinked
    text = (
        "![map](docs/assets/map.png) [x](CONTRIBUTING.md) [y](benchmarks/REPORT.md#gpu) [z](LICENSE) [u](https://a.b)"
    )
    assert relinked(text, Path()) == (
        "![map](assets/map.png) [x](contributing.md) [y](benchmarks.md#gpu) z [u](https://a.b)"
    )
    assert relinked("[r](../README.md) ![p](n-1.png)", Path("notebooks")) == "[r](../index.md) ![p](n-1.png)"
    assert relinked("![t](plots/exact.png)", Path("benchmarks")) == "![t](plots/exact.png)"


def test_a_notebook_becomes_a_page_with_its_pictures() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "text $x_i$ and `$5`: $$a = b_j$$"]},
        {
            "cell_type": "code",
            "source": "plot()",
            "outputs": [
                {"output_type": "stream", "text": ["one\n", "two\n"]},
                {"output_type": "display_data", "data": {"image/png": "aGVsbG8=", "text/plain": "<Figure>"}},
                {"output_type": "execute_result", "data": {"text/plain": ["3"]}},
            ],
        },
    ]
    text, pictures, formulas = script("hooks").page_of({"cells": cells}, "01")
    assert formulas == [("x_i", False), ("a = b_j", True)]
    assert text == "\n\n".join(
        (
            "# Title\ntext FORMULA0X and `$5`: FORMULA1X",
            "```python\nplot()\n```",
            "```text\none\ntwo\n```",
            "![output](01-1.png)",
            "```text\n3\n```\n",
        )
    )
    assert pictures == {"01-1.png": b"hello"}


def test_formulas_of_docstrings_are_shown_as_they_are_written(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "griffe", SimpleNamespace(Extension=object))  # only `make docs` has it
    shown = script("docstrings").shown("One\nsentence.\n\n<a, f> + |x|*y*\n\n  indented")
    assert shown == ('<p>One sentence.</p>\n\n<pre class="docstring">&lt;a, f&gt; + |x|*y*\n&#8203;\n  indented</pre>')
