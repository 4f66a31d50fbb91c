"""What every test starts from."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import kernel_cache

# Before anything imports Numba. `make` has named a folder by the same rule.
os.environ.setdefault("NUMBA_CACHE_DIR", str(kernel_cache.folder(Path(__file__).resolve().parents[1])))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def clouds(tmp_path: Path) -> tuple[str, str]:
    """Two files of points, (40, 2) and (30, 2), for the shell."""
    rng = np.random.default_rng(3)
    np.save(tmp_path / "x.npy", rng.normal(size=(40, 2)))
    np.save(tmp_path / "y.npy", rng.normal(size=(30, 2)) + 1)
    return str(tmp_path / "x.npy"), str(tmp_path / "y.npy")
