"""Files and folders on disk that are whole or not there, whenever a process is killed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


class NotWritten(OSError):
    """Something could not be written whole, and what was there is as it was: the message names it and says why."""

    reason: Any = None


@contextmanager
def worded(path: Path) -> Iterator[None]:
    """An error in writing names path, not what lies beside it for a while; safetensors' own is no OSError."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, OSError) and type(error).__name__ != "SafetensorError":
            raise
        if getattr(error, "filename", None) is not None:  # a missing folder, no permission
            raise OSError(error.errno, error.strerror, str(path)) from error  # pyright: ignore[reportAttributeAccessIssue]
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        told = NotWritten(
            f"{path} cannot be written: {reason}. Free some space or choose another place; what was there is kept."
        )
        told.reason = reason
        raise told from error


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file, which then takes the place of path; an error within leaves path as it was."""
    target = Path(os.path.realpath(path))  # a link keeps pointing where it does
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    with worded(path):
        try:
            with partial.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())  # a rename that outlives a power cut must not outlive what it names
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)


def save_array(path: Path, array: Any) -> None:
    """numpy.save; a file that is there is replaced at once or not at all."""
    import numpy as np

    with replacing(path) as file:
        np.save(_Writer(file), array)


class _Writer:
    """A file without a descriptor, to which NumPy writes through Python: its own way drops the reason of a failure."""

    def __init__(self, file: IO[bytes]) -> None:
        self.write = file.write


@contextmanager
def written(target: Path) -> Iterator[Path]:
    """An empty folder to fill, which then takes the place of `target`; an error within leaves target as it was."""
    partial = target.with_name(f".{target.name}.partial")
    with worded(target):
        if partial.exists():
            shutil.rmtree(partial)
        partial.mkdir(parents=True)
        try:
            yield partial
            for path in (*partial.iterdir(), partial):
                sync(path)
            if target.exists():
                remove(target)
            os.replace(partial, target)
            sync(target.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file; one that is there is replaced at once or not at all."""
    with replacing(path) as file:
        file.write(text.encode())


def read_description(
    file: Path, kind: str, version: int, keys: Sequence[str], damaged: Callable[[Path, Any], ValueError]
) -> dict[str, Any]:
    """The JSON that describes a folder, of this kind and version and with these keys; else what `damaged` words."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if found["otgen"] != kind:
            raise ValueError(f"it is a {found['otgen']}")
        own = found["version"]
        dict(found.get("sha256", {}))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise damaged(file, error) from error
    if own != version:
        raise ValueError(
            f"{file} must be of version {version}; it is of version {own!r}. Read it with the otgen that wrote it: "
            f"{found.get('versions')}."
        )
    missing = [key for key in keys if key not in found]
    if missing:
        raise damaged(file, f"it lacks {', '.join(missing)}")
    return found


def remove(folder: Path) -> None:
    """Delete a folder, under a hidden name first: a folder half deleted must not be found."""
    hidden = folder.with_name(f".{folder.name}.deleted")
    if hidden.exists():
        shutil.rmtree(hidden)
    os.replace(folder, hidden)
    shutil.rmtree(hidden)


def sha256(path: Path) -> str:
    """The digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Put a file, or the names in a folder, on the disk itself."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
