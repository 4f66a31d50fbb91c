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
