"""Docstrings as they are written: the first sentence as prose, what follows with its lines, formulas and all.

An extension of griffe, which reads the sources for mkdocstrings. Read as Markdown, `<a, f>` would be a tag.
"""

from __future__ import annotations

import html
import inspect
from typing import Any

import griffe  # pyright: ignore[reportMissingImports]


class AsWritten(griffe.Extension):
    """Replaces the text of every docstring by HTML that shows it."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        """Called once for each object that was read."""
        if obj.docstring is not None:
            obj.docstring.value = shown(obj.docstring.value)


def shown(text: str) -> str:
    """The HTML of a docstring."""
    first, _, rest = inspect.cleandoc(text).partition("\n\n")
    head = f"<p>{html.escape(' '.join(first.split()))}</p>"
    return f'{head}\n\n<pre class="docstring">{_lines(rest)}</pre>' if rest.strip() else head


def _lines(text: str) -> str:
    # An empty line would end the block for Markdown; its entity does not.
    return html.escape(text.strip("\n")).replace("\n\n", "\n&#8203;\n")
