"""What every test starts from."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import kernel_cache

# Before anything imports Numba. `make` has named a folder by the same rule.
os.environ.setdefault("NUMBA_CACHE_DIR", str(kernel_cache.folder(Path(__file__).resolve().parents[1])))


ON_GPU = os.environ.get("OTGEN_TEST_GPU") == "1"


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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Kernels are tested in both orders of a block's threads, what is built on them in one."""
    given = {mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")}
    if "cupy" in metafunc.fixturenames and "cupy" not in given:
        both = "kernels" in metafunc.definition.path.parts and not ON_GPU  # which has an order of its own
        metafunc.parametrize("cupy", ["forwards", "backwards"] if both else ["forwards"], indirect=True)


@pytest.fixture
def cupy(request, monkeypatch) -> Any:
    """The module cupy: on a GPU if OTGEN_TEST_GPU=1 asks for it, else emulated, threads in one order and the other."""
    if ON_GPU:
        import cupy  # pyright: ignore[reportMissingImports]

        return cupy
    from cuda_emulator import cupy as emulated

    monkeypatch.setenv("OTGEN_EMULATOR_ORDER", request.param)
    module = emulated.module()
    monkeypatch.setitem(sys.modules, "cupy", module)
    guarded = emulated.guarded_numpy()
    for name, loaded in list(sys.modules.items()):
        ours = name.split(".")[0] in ("otgen", "otgen_kernels") and not name.startswith("otgen_kernels.cpu")
        if ours and getattr(loaded, "np", None) is np:
            monkeypatch.setattr(loaded, "np", guarded)
    return module


@pytest.fixture
def cuda_tensors(cupy, monkeypatch):
    """Makes torch's tensors count as CUDA tensors: on this host, they lie where the emulated device's arrays do."""
    torch = pytest.importorskip("torch")
    from otgen import devices

    if cupy.__version__ == "emulated":
        monkeypatch.setattr(devices, "_is_cuda", lambda tensor: True)
        monkeypatch.setattr(devices, "_stream", lambda tensor: 0)
        monkeypatch.setattr(devices, "described", lambda place: "cpu" if place is None else "cuda:0")
    return SimpleNamespace(torch=torch, device="cpu" if cupy.__version__ == "emulated" else "cuda")
