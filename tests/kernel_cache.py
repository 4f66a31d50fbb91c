"""A folder for compiled kernels that no edit of a kernel can make stale."""

from __future__ import annotations

import hashlib
from pathlib import Path

SUFFIXES = {".py", ".cu", ".cuh"}


def folder(root: Path) -> Path:
    """The cache folder of this state of the sources below root/kernels, by the rule of the Makefile.

    Numba does not see an edited helper in another file, and would serve the caller compiled with the old one.
    """
    digest = hashlib.sha256()
    for path in sorted(path for path in (root / "kernels").rglob("*") if path.suffix in SUFFIXES):
        digest.update(path.read_bytes())
    return root / ".pytest_cache" / f"numba-{digest.hexdigest()[:16]}"
