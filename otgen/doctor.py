"""What this machine offers otgen, and what is missing: `otgen doctor`."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import pkgutil
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["examine", "render"]

BASE = ("otgen", "numpy", "scipy", "numba", "llvmlite", "threadpoolctl", "typer", "rich")
CUPY_BUILDS = ("cupy-cuda12x", "cupy-cuda13x", "cupy")
# distribution -> (what it unlocks, what pip installs to get it)
OPTIONAL = {
    "torch": ("tensors in, differentiable tensors out", "otgen[torch]"),
    "POT": ("otgen validate, and the peer in the timings of otgen demo", "otgen[validate]"),
    "matplotlib": ("pictures (otgen demo)", "otgen[plot]"),
    "pyarrow": ("reading .parquet and .feather", "pyarrow"),
    "safetensors": ("saved models", "otgen[models]"),
}
FEATURES = ("sse4.2", "avx", "avx2", "fma", "avx512f", "avx512vl", "avx512bw", "amx-tile", "neon", "sve")
SGEMM_SIZE = 1024


def install_command(requirement: str) -> str:
    """The pip command of the running interpreter for one requirement."""
    quoted = f'"{requirement}"' if "[" in requirement else requirement
    return f"{sys.executable} -m pip install {quoted}"


def examine() -> dict[str, Any]:
    """Everything the report shows, as plain JSON types; takes about a second and changes nothing."""
    gpu = _gpu()
    versions = {name: _version(name) for name in (*BASE, *OPTIONAL)}
    return {
        "python": {"version": platform.python_version(), "executable": sys.executable, "platform": platform.platform()},
        "versions": versions,
        "threads": _threads(),
        "cpu": _cpu(),
        "gpu": gpu,
        "cache": _cache(),
        "missing": _missing(versions, gpu),
    }


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _threads() -> dict[str, Any]:
    import numpy  # noqa: F401  (loads the BLAS that threadpoolctl then sees)
    import threadpoolctl

    from otgen_kernels.cpu import pool

    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    blas = [
        {"library": info["internal_api"], "version": info.get("version"), "threads": info["num_threads"]}
        for info in threadpoolctl.threadpool_info()
        if info["user_api"] == "blas"
    ]
    return {"cores": os.cpu_count(), "usable": usable, "kernel_pool": pool.num_threads(), "blas": blas}


def _cpu() -> dict[str, Any]:
    import llvmlite.binding as llvm

    present = llvm.get_host_cpu_features()
    return {
        "name": llvm.get_host_cpu_name(),
        "machine": platform.machine(),
        "features": [name for name in FEATURES if present.get(name)],
        "sgemm_gflops": round(_sgemm_gflops(), 1),
    }


def _sgemm_gflops(size: int = SGEMM_SIZE, repeats: int = 5) -> float:
    """Best of a few float32 matrix products, in 1e9 operations a second: the machine's floor for large d."""
    import numpy as np

    rng = np.random.default_rng(0)
    a = rng.random((size, size), dtype=np.float32)
    b = rng.random((size, size), dtype=np.float32)
    out = a @ b  # starts the BLAS threads
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        np.matmul(a, b, out=out)
        best = min(best, time.perf_counter() - start)
    return 2.0 * size**3 / best / 1e9


def _gpu() -> dict[str, Any]:
    """The NVIDIA driver's view, and CuPy's; CuPy is imported only where both a device and CuPy are present."""
    devices, driver, cuda = _nvidia_smi()
    build = next((name for name in CUPY_BUILDS if _version(name)), None)
    report: dict[str, Any] = {
        "devices": devices,
        "driver": driver,
        "driver_cuda": cuda,
        "cupy": None if build is None else f"{build} {_version(build)}",
        "cupy_works": None,
        "note": "otgen has no CUDA kernels yet: everything runs on the CPU",
    }
    if devices and build is not None:
        try:
            cupy = importlib.import_module("cupy")
            report["cupy_works"] = bool(cupy.cuda.runtime.getDeviceCount() > 0 and float(cupy.arange(3).sum()) == 3.0)
        except Exception as error:  # a broken driver, toolkit or build each raises its own kind; the doctor reports it
            report["cupy_works"] = False
            report["cupy_error"] = f"{type(error).__name__}: {error}"
    return report


def _nvidia_smi() -> tuple[list[str], str | None, str | None]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return [], None, None
    query = [tool, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        rows = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout.strip().splitlines()
        banner = subprocess.run([tool], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return [], None, None
    fields = [[part.strip() for part in row.split(",")] for row in rows if row.strip()]
    cuda = re.search(r"CUDA[\w ]*Version:\s*([\d.]+)", banner)
    return [f"{row[0]}, {row[1]}" for row in fields], (fields[0][-1] if fields else None), (cuda[1] if cuda else None)


def _cache() -> dict[str, Any]:
    """Numba's folder of compiled kernels: where it is, whether it can be written, what it holds."""
    folder = _cache_folder()
    if folder is None:
        return {"folder": None, "writable": False, "files": 0, "megabytes": 0.0}
    sizes = [path.stat().st_size for path in folder.glob("**/*.nb[ic]")] if folder.is_dir() else []
    return {
        "folder": str(folder),
        "writable": _writable(folder),
        "files": len(sizes),
        "megabytes": round(sum(sizes) / 1e6, 2),
    }


def _cache_folder() -> Path | None:
    """Numba chooses the folder for each source file; one kernel tells for all, as they share a root."""
    from numba.core.registry import CPUDispatcher

    import otgen_kernels.cpu

    for module_info in pkgutil.iter_modules(otgen_kernels.cpu.__path__, "otgen_kernels.cpu."):
        module = importlib.import_module(module_info.name)
        for item in vars(module).values():
            if isinstance(item, CPUDispatcher) and item.stats.cache_path:
                return Path(item.stats.cache_path)
    return None


def _writable(folder: Path) -> bool:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _missing(versions: dict[str, str | None], gpu: dict[str, Any]) -> list[dict[str, str]]:
    missing = [
        {"what": name, "unlocks": unlocks, "command": install_command(requirement)}
        for name, (unlocks, requirement) in OPTIONAL.items()
        if versions[name] is None
    ]
    if gpu["devices"] and gpu["cupy"] is None:
        major = int((gpu["driver_cuda"] or "12").split(".")[0])
        extra = "cuda13" if major >= 13 else "cuda12"
        command = install_command(f"otgen[{extra}]")
        missing.append({"what": "cupy", "unlocks": "arrays on the GPU", "command": command})
    return missing


def render(report: dict[str, Any], console: Console) -> None:
    """Print the report as one table, then what is missing with the commands that install it."""
    threads, cpu, gpu, cache = report["threads"], report["cpu"], report["gpu"], report["cache"]
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("python", f"{report['python']['version']}  {report['python']['executable']}")
    table.add_row("platform", report["python"]["platform"])
    table.add_row("packages", _listed({name: report["versions"][name] for name in BASE}))
    table.add_row("optional", _listed({name: report["versions"][name] for name in OPTIONAL}))
    blas = ", ".join(f"{b['library']} {b['version']} x {b['threads']}" for b in threads["blas"]) or "none seen"
    pool = threads["kernel_pool"]
    table.add_row("threads", f"{threads['usable']} of {threads['cores']} cores usable; kernel pool {pool}; BLAS {blas}")
    table.add_row("cpu", f"{cpu['name']} ({cpu['machine']}): {' '.join(cpu['features'])}")
    table.add_row("SGEMM", f"{cpu['sgemm_gflops']:.0f} GFLOP/s ({SGEMM_SIZE} x {SGEMM_SIZE} float32, best of 5)")
    devices = "; ".join(gpu["devices"]) or "no NVIDIA device seen"
    driver = f", driver {gpu['driver']}, CUDA {gpu['driver_cuda']}" if gpu["driver"] else ""
    table.add_row("gpu", f"{devices}{driver}")
    state = {None: "not tried", True: "works", False: f"fails: {gpu.get('cupy_error', 'wrong result')}"}
    table.add_row("cupy", f"{gpu['cupy']} ({state[gpu['cupy_works']]})" if gpu["cupy"] else "not installed")
    table.add_row("", gpu["note"])
    writable = "writable" if cache["writable"] else "NOT writable: every process compiles anew; set NUMBA_CACHE_DIR"
    table.add_row("cache", f"{cache['folder']}  {cache['files']} files, {cache['megabytes']} MB, {writable}")
    console.print(table)
    if report["missing"]:
        console.print("\nnot installed:")
    for item in report["missing"]:
        console.print(f"  {item['what']}: {item['unlocks']}")
        console.print(f"    {item['command']}", markup=False, highlight=False, soft_wrap=True)


def _listed(versions: dict[str, str | None]) -> str:
    return ", ".join(f"{name} {version or '-'}" for name, version in versions.items())
