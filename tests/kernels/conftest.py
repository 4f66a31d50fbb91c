"""The device of the CUDA tests: a GPU where OTGEN_TEST_GPU=1 asks for it, an emulated one elsewhere."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest


@pytest.fixture(params=["forwards", "backwards"])
def cupy(request, monkeypatch) -> Any:
    """The module cupy. Emulated, its kernels run a block's threads in one order and in the other."""
    if os.environ.get("OTGEN_TEST_GPU") == "1":
        if request.param == "backwards":
            pytest.skip("a GPU has its own order")
        import cupy  # pyright: ignore[reportMissingImports]

        return cupy
    from cuda_emulator import cupy as emulated

    monkeypatch.setenv("OTGEN_EMULATOR_ORDER", request.param)
    module = emulated.module()
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module
