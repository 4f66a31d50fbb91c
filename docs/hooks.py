"""Pages of the site that are files of the repository: README, CONTRIBUTING, CHANGELOG, the report, the notebooks."""

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/REPORT.md": "benchmarks.md",
}
FORMULA = re.compile(r"`[^`\n]*`|\$\$(.+?)\$\$|\$([^$\n]+?)\$", flags=re.DOTALL)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_config(config: Any) -> Any:
    """Name the notebooks in the navigation, where there are any."""
    found = notebooks()
    if found:
        place = next(i for i, entry in enumerate(config.nav) if "Benchmarks" in entry)
        config.nav.insert(place, {"Notebooks": [f"notebooks/{path.stem}.md" for path in found]})
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages and their pictures."""
    from mkdocs.structure.files import File  # pyright: ignore[reportMissingImports]

    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=relinked(text, Path(source).parent)))
    for picture in sorted((ROOT / "benchmarks" / "plots").glob("*.png")):
        files.append(File.generated(config, f"plots/{picture.name}", abs_src_path=str(picture)))
    for path in notebooks():
        text, pictures, _ = page_of(json.loads(path.read_text(encoding="utf-8")), path.stem)
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=relinked(text, Path("notebooks"))))
        for name, content in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    return files


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Put the formulas in as MathML, which browsers show by themselves: Markdown would have read their signs."""
    found = page.file.src_uri
    if not found.startswith("notebooks/"):
        return html
    from latex2mathml.converter import convert  # pyright: ignore[reportMissingImports]

    source = json.loads((ROOT / found).with_suffix(".ipynb").read_text(encoding="utf-8"))
    formulas = page_of(source, Path(found).stem)[2]
    for number, (text, block) in enumerate(formulas):
        html = html.replace(token(number), convert(text, display="block" if block else "inline"))
    return html


def token(number: int) -> str:
    """What stands for a formula until its page is HTML."""
    return f"FORMULA{number}X"


def notebooks() -> list[Path]:
    """The notebooks, in order."""
    return sorted((ROOT / "notebooks").glob("*.ipynb"))


def relinked(text: str, folder: Path) -> str:
    """Links between files of the repository as links between pages; one to a file that is no page loses its link."""

    def change(found: re.Match[str]) -> str:
        mark, shown, target = found.groups()
        if re.match(r"[a-z]+:|#", target) or (mark and (folder.name == "notebooks" or target.startswith("plots/"))):
            return found[0]
        path, _, anchor = target.partition("#")
        # Where the page of that file is, seen from a page of this folder.
        up = "../" if folder.name == "notebooks" else ""
        named = Path(os.path.normpath(folder / path)).as_posix()
        if named in PAGES:
            page = PAGES[named]
        elif named.startswith("docs/"):
            page = named.removeprefix("docs/")
        elif re.fullmatch(r"notebooks/\w+\.ipynb", named) and (ROOT / named).exists():
            page = named.replace(".ipynb", ".md")
        else:
            return shown
        return f"{mark}[{shown}]({up}{page}{f'#{anchor}' if anchor else ''})"

    return LINK.sub(change, text)


def page_of(notebook: dict[str, Any], name: str) -> tuple[str, dict[str, bytes], list[tuple[str, bool]]]:
    """The Markdown of a notebook with its outputs; its pictures by their names; and its formulas, True for a display.

    A token stands for each formula.
    """
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    formulas: list[tuple[str, bool]] = []

    def stashed(found: re.Match[str]) -> str:
        display, inline = found.groups()
        if not display and not inline:  # code
            return found[0]
        formulas.append((display or inline, bool(display)))
        return token(len(formulas) - 1)

    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(FORMULA.sub(stashed, source))
        elif cell["cell_type"] == "code" and source.strip():
            parts.append(f"```python\n{source}\n```")
            for output in cell["outputs"]:
                data = output.get("data", {})
                if "image/png" in data:
                    picture = f"{name}-{len(pictures) + 1}.png"
                    pictures[picture] = base64.b64decode("".join(data["image/png"]))
                    parts.append(f"![output]({picture})")
                elif "text/markdown" in data:
                    parts.append("".join(data["text/markdown"]))
                elif text := "".join(output.get("text", data.get("text/plain", ""))).rstrip():
                    parts.append(f"```text\n{text}\n```")
    return "\n\n".join(parts) + "\n", pictures, formulas
