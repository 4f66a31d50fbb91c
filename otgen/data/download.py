"""Files fetched once: from the first mirror that answers, checked by SHA-256, and whole or not at all in the cache."""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import tempfile
import urllib.request
from pathlib import Path

TIMEOUT = 30.0  # seconds without a byte
BLOCK = 1 << 20
log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """The folder of downloaded sets: $XDG_CACHE_HOME/otgen, by default ~/.cache/otgen."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "otgen"


def fetch(mirrors: tuple[str, ...], folder: Path, sha256: str) -> Path:
    """Return the file in folder that the mirrors (URLs of one file) hold, of this checksum.

    Raises OSError where no mirror answers, ValueError where none holds the bytes that sha256 names. Several processes
    may fetch one file at once.
    """
    target = folder / mirrors[0].rsplit("/", 1)[-1]
    if target.is_file():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    unreached, altered = [], []
    for url in mirrors:
        log.info("fetching %s into %s", url, folder)
        handle, name = tempfile.mkstemp(prefix=target.name, suffix=".part", dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                found = _copy(url, file)
            if found == sha256:
                os.replace(name, target)
                return target
            altered.append(f"{url} has {found}")
        except (OSError, http.client.HTTPException) as error:
            unreached.append(f"{url}: {error}")
        finally:
            Path(name).unlink(missing_ok=True)
    by_hand = f"Fetch it by hand into {folder}, or set OTGEN_DATA to the folder that holds {folder.name}/."
    if altered:
        raise ValueError(f"{target.name} must have SHA-256 {sha256}; {'; '.join([*altered, *unreached])}. {by_hand}")
    raise OSError(f"{target.name} could not be downloaded; {'; '.join(unreached)}. {by_hand}")


def _copy(url: str, file) -> str:
    digest = hashlib.sha256()
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
        while block := answer.read(BLOCK):
            digest.update(block)
            file.write(block)
    file.flush()
    os.fsync(file.fileno())
    return digest.hexdigest()
