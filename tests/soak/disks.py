"""A disk that is full while something is saved: an error in words, and the file of before is as it was.

The full disk is a limit on the size of files (RLIMIT_FSIZE): a write beyond it fails half-way, as on a full disk.
"""

from __future__ import annotations

import resource
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import otgen
from otgen.transport import map_files

from .draws import Rng, pick
from .oracles import expect
from .processes import forked


def full(rng: Rng) -> None:
    """Save something larger over something that is there, with room for a part of it."""
    n = int(rng.integers(300, 900))
    y = rng.random((n, 2))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        what, write, read = pick(rng, WRITERS)
        write(folder, y[:40])
        before = _content(folder)
        limit = int(rng.integers(1, 2000))
        said = forked(lambda: _fails(lambda: write(folder, y), limit))
        expect(said is not None, f"{what}: the child died or hung")
        assert said is not None
        text = said.decode()
        expect(text.startswith("error: "), f"{what} with room for {limit} bytes: {text}")
        expect(any(part in text for part in str(folder).split()) or "No space" in text or "too large" in text, text)
        after = _content(folder)
        expect({k: v for k, v in after.items() if k in before} == before, f"{what}: the old file is gone or changed")
        expect(not set(after) - set(before), f"{what} leaves {sorted(set(after) - set(before))}")
        read(folder)


def _fails(write: Callable[[], Any], limit: int) -> bytes:
    """Write where files may not be larger than limit; the error, or what happened instead."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        write()
    except OSError as error:
        return f"error: {error}".encode()
    except BaseException:
        return traceback.format_exc().encode()
    return b"it was written"


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _save_map(folder: Path, y: Any) -> None:
    otgen.SemiDiscreteOT(max_iter=200).fit(y).save(folder / "map.npz")


def _save_state(folder: Path, y: Any) -> None:
    map_files.write(folder / "state", "checkpoint", {"heights": y, "note": "x" * len(y)})


WRITERS: tuple[tuple[str, Callable[[Path, Any], None], Callable[[Path], Any]], ...] = (
    ("SemiDiscreteOT.save", _save_map, lambda folder: otgen.SemiDiscreteOT.load(folder / "map.npz")),
    ("a checkpoint", _save_state, lambda folder: map_files.read(folder / "state", "checkpoint")),
)
KINDS = {"full disk": (full, 2)}
