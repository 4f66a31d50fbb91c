"""Fitted maps and half-done work on disk: arrays as npz, everything else as JSON within it; nothing is unpickled."""

from __future__ import annotations

import hashlib
import json
import time
import zipfile
import zlib
from typing import Any

import numpy as np

from .. import folders
from ..options import read_path

Array = np.ndarray

EVERY = 60.0  # seconds between two checkpoints
_NOTES = "json"  # the entry that holds what is no array
_NOT_OURS = (
    ValueError, LookupError, TypeError, AttributeError, EOFError, OSError, RuntimeError, MemoryError, SyntaxError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What NumPy, zipfile and json raise for files that are broken or others'."""


def write(path: Any, kind: str, content: dict[str, Any]) -> None:
    """Write arrays and JSON values to path; a file that is there is replaced at once or not at all (then OSError)."""
    path = read_path(path, "path")
    arrays = {name: value for name, value in content.items() if isinstance(value, np.ndarray)}
    notes = {name: value for name, value in content.items() if name not in arrays}
    text = json.dumps({"otgen": kind, "values": notes}, default=_plain)
    with folders.replacing(path) as file:
        np.savez(file, allow_pickle=False, **arrays, **{_NOTES: np.frombuffer(text.encode(), np.uint8)})


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"only arrays and JSON values are written; got {type(value).__name__}.")


def read(path: Any, kind: str) -> dict[str, Any]:
    """Read what `write` wrote; raises ValueError for any other file, a truncated one too."""
    path = read_path(path, "path")
    try:
        with path.open("rb") as file:
            if file.read(2) != b"PK":  # NumPy would advise to unpickle it
                raise ValueError("it is no .npz archive")
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        notes = json.loads(arrays.pop(_NOTES).tobytes().decode())
        found, content = notes["otgen"], {**notes["values"], **arrays}
    except FileNotFoundError:
        raise
    except _NOT_OURS as error:
        raise ValueError(
            f"{path} must be a file of otgen's {kind}; it is not, or it is truncated ({error}). Write it anew."
        ) from error
    if found != kind:
        raise ValueError(f"{path} must be a file of otgen's {kind}; it holds a {found}. Pass another file.")
    return content


class Checkpoint:
    """The state of a fit in a file, for the fit that has this fingerprint; `state` is what was there, or None."""

    KIND = "checkpoint"
    ARGUMENT = "resume"  # the user's name for the path
    OTHER = "the state of another fit: its targets, masses or parameters differ"

    def __init__(self, path: Any, fingerprint: str) -> None:
        self._path, self._fingerprint, self._written = read_path(path, self.ARGUMENT), fingerprint, time.monotonic()
        self.state: dict[str, Any] | None = None
        if not self._path.parent.is_dir():
            raise ValueError(
                f"{self.ARGUMENT} must name a file in a folder that exists; got {str(path)!r}. Make the folder."
            )
        if self._path.exists():
            self.state = read(self._path, self.KIND)
            if self.state.pop("fingerprint", None) != fingerprint:
                raise ValueError(f"{self.ARGUMENT} names {self._path}, {self.OTHER}. Delete it, or name another file.")

    @property
    def every(self) -> float:
        """Seconds between two writes."""
        return EVERY

    def write(self, state: dict[str, Any], *, now: bool = False) -> None:
        """Write the state, once in `every` seconds at most unless now."""
        if now or time.monotonic() - self._written >= self.every:
            write(self._path, self.KIND, {**state, "fingerprint": self._fingerprint})
            self._written = time.monotonic()


def fingerprint(*parts: Any) -> str:
    """A name for arrays and numbers that changes with any of them."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype}{part.shape}".encode() + np.ascontiguousarray(part).tobytes())
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()
