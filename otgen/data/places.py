"""Where the files of a set are looked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .download import cache_folder

FETCH = "download=True fetches it once, download=False never does"


class Places:
    """The folders that may hold a set, in order: root/name and root if given; else OTGEN_DATA/name and the cache."""

    def __init__(self, name: str, root: Any) -> None:
        if root is not None and not isinstance(root, (str, os.PathLike)):
            raise TypeError(f"root must be None or the path of a folder; got {root!r}. Pass a str or a Path.")
        self.name, self.root = name, None if root is None else Path(root)
        # OTGEN_DATA itself is not searched: MNIST and Fashion-MNIST name their files alike.
        self.setting = os.environ.get("OTGEN_DATA") or None
        if self.root is not None:
            self.folders = [self.root / name, self.root]
        else:
            self.folders = [Path(self.setting) / name] if self.setting else []
            self.folders.append(cache_folder() / name)

    def find(self, names: tuple[str, ...]) -> Path | None:
        """Return the first file of one of these names."""
        found = (folder / name for folder in self.folders for name in names)
        return next((path for path in found if path.is_file()), None)

    def missing(self, names: tuple[str, ...], otherwise: str = FETCH) -> FileNotFoundError:
        """Return the error for a set that is nowhere; `otherwise` says how else it is come by."""
        looked = ", ".join(map(str, self.folders))
        setting = f"OTGEN_DATA is {self.setting!r}" if self.setting else "OTGEN_DATA is not set"
        if self.root is not None:
            fix = f"Pass as root the folder that holds {self.name}/, or leave it None: OTGEN_DATA is searched then, and"
        else:
            fix = f"Set OTGEN_DATA to the folder that holds {self.name}/, or pass root=;"
        return FileNotFoundError(
            f"{self.name} needs {' or '.join(names)}; looked in {looked} ({setting}). {fix} {otherwise}."
        )
