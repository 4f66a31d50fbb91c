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
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

__all__ = ["examine", "render"]

BASE = ("otgen", "numpy", "scipy", "numba", "llvmlite", "threadpoolctl", "typer", "rich")
CUPY_BUILDS = ("cupy-cuda12x", "cupy-cuda13x", "cupy")
OPTIONAL = {
    "torch": "tensors in, differentiable tensors out",
    "POT": "otgen validate, and the peer in the timings of otgen demo",
    "scikit-learn": "otgen validate, and the data set digits",
    "matplotlib": "pictures (otgen demo)",
    "pyarrow": "reading .parquet and .feather",
    "safetensors": "saved models",
    "lightning-fabric": "training models",
    "pillow": "folders of images",
}
# As in the extras of pyproject.toml; by their own names, so that the command works for a checkout too.
REQUIREMENTS = {
    "torch": "torch>=2.4,<3",
    "POT": "POT>=0.9.5,<1",
    "scikit-learn": "scikit-learn>=1.4,<2",
    "matplotlib": "matplotlib>=3.8,<4",
    "pyarrow": "pyarrow>=17,<27",
    "safetensors": "safetensors>=0.4,<1",
    "lightning-fabric": "lightning-fabric>=2.4,<3",
    "pillow": "pillow>=10.2,<14",
    "cupy-cuda12x": "cupy-cuda12x[ctk]>=13.6,<15",
    "cupy-cuda13x": "cupy-cuda13x[ctk]>=13.6,<15",
}
FEATURES = ("sse4.2", "avx", "avx2", "fma", "avx512f", "avx512vl", "avx512bw", "amx-tile", "neon", "sve")
SGEMM_SIZE = 1024
SGEMM_BUDGET = 1.0  # seconds: long enough that a neighbour on the machine does not decide the figure


def install_command(distribution: str) -> str:
    """The pip command of the running interpreter for one optional distribution."""
    return f'{sys.executable} -m pip install "{REQUIREMENTS[distribution]}"'


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
    if distribution == "otgen":  # a checkout on PYTHONPATH has no metadata, or that of another copy
        from . import __version__

        return __version__
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


def _sgemm_gflops(size: int = SGEMM_SIZE, budget: float = SGEMM_BUDGET) -> float:
    """Median of float32 matrix products over `budget` seconds, in 1e9 operations a second."""
    import numpy as np

    rng = np.random.default_rng(0)
    a = rng.random((size, size), dtype=np.float32)
    b = rng.random((size, size), dtype=np.float32)
    out = a @ b  # starts the BLAS threads
    took: list[float] = []
    while sum(took) < budget:
        start = time.perf_counter()
        np.matmul(a, b, out=out)
        took.append(time.perf_counter() - start)
    return 2.0 * size**3 / statistics.median(took) / 1e9


def _gpu() -> dict[str, Any]:
    """The NVIDIA driver's view, and CuPy's; CuPy is imported only where both a device and CuPy are present."""
    seen = _nvidia_smi()
    build = next((name for name in CUPY_BUILDS if _version(name)), None)
    report: dict[str, Any] = {
        **seen,
        "cupy": None if build is None else f"{build} {_version(build)}",
        "cupy_works": None,
        "kernel": None,
    }
    if seen["devices"] and build is not None:
        try:
            cupy = importlib.import_module("cupy")
            report["cupy_works"] = bool(cupy.cuda.runtime.getDeviceCount() > 0 and float(cupy.arange(3).sum()) == 3.0)
            report["kernel"] = _kernel(cupy)
        except Exception as error:  # a broken driver, toolkit or build each raises its own kind; the doctor reports it
            report["cupy_works"] = False
            report["cupy_error"] = f"{type(error).__name__}: {error}"
    return report


def _kernel(cupy: Any) -> dict[str, Any]:
    """One of otgen's kernels on the device beside the host's: does it agree, and how long did compiling and it take."""
    import numpy as np

    import otgen_kernels

    x, y = np.random.default_rng(0).random((2, 300, 3))
    wanted = otgen_kernels.c_transform(x, y, None, metric="euclidean", p=2.0)[0]
    took = []
    for _ in range(2):  # the first compiles
        start = time.perf_counter()
        found = cupy.asnumpy(
            otgen_kernels.c_transform(cupy.asarray(x), cupy.asarray(y), None, metric="euclidean", p=2.0)[0]
        )
        took.append(round(time.perf_counter() - start, 4))
    return {"agrees": bool(np.allclose(found, wanted, rtol=1e-12)), "first_seconds": took[0], "seconds": took[1]}


def _nvidia_smi() -> dict[str, Any]:
    """Devices, driver, the CUDA version it serves, and how nvidia-smi failed where it is there and does not work."""
    found: dict[str, Any] = {"devices": [], "driver": None, "driver_cuda": None, "nvidia_smi_error": None}
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return found
    try:
        rows = _said(tool, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader").splitlines()
        cuda = re.search(r"CUDA[\w ]*Version:\s*([\d.]+)", _said(tool))
    except (OSError, subprocess.SubprocessError, RuntimeError) as error:
        return found | {"nvidia_smi_error": " ".join(str(error).split())}
    fields = [[part.strip() for part in row.split(",")] for row in rows if row.strip()]
    found["devices"] = [f"{row[0]}, {row[1]}" for row in fields]
    return found | {"driver": fields[0][-1] if fields else None, "driver_cuda": cuda[1] if cuda else None}


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    if done.returncode:
        raise RuntimeError((done.stderr or done.stdout).strip() or f"exit status {done.returncode}")
    return done.stdout.strip()


def _cache() -> dict[str, Any]:
    """Numba's folder of compiled kernels: the one asked for, the one in use, and what it holds."""
    from otgen_kernels import cache

    folder = _cache_folder()
    holds = folder.glob("**/*.nb[ic]") if folder is not None and folder.is_dir() else []
    sizes = [path.stat().st_size for path in holds]
    return {
        "folder": None if folder is None else str(folder),
        "requested": cache.REQUESTED,
        "temporary": cache.TEMPORARY is not None,
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


def _missing(versions: dict[str, str | None], gpu: dict[str, Any]) -> list[dict[str, str]]:
    missing = [
        {"what": name, "unlocks": unlocks, "command": install_command(name)}
        for name, unlocks in OPTIONAL.items()
        if versions[name] is None
    ]
    if gpu["devices"] and gpu["cupy"] is None:
        major = int((gpu["driver_cuda"] or "12").split(".")[0])
        command = install_command("cupy-cuda13x" if major >= 13 else "cupy-cuda12x")
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
    table.add_row(
        "SGEMM",
        f"{cpu['sgemm_gflops']:.0f} GFLOP/s ({SGEMM_SIZE} x {SGEMM_SIZE} float32, median over {SGEMM_BUDGET:g} s)",
    )
    failed = gpu["nvidia_smi_error"]
    devices = f"nvidia-smi failed: {failed}" if failed else "; ".join(gpu["devices"]) or "no NVIDIA device seen"
    driver = f", driver {gpu['driver']}, CUDA {gpu['driver_cuda']}" if gpu["driver"] else ""
    table.add_row("gpu", escape(f"{devices}{driver}"))
    state = {None: "not tried", True: "works", False: f"fails: {gpu.get('cupy_error', 'wrong result')}"}
    table.add_row("cupy", f"{gpu['cupy']} ({state[gpu['cupy_works']]})" if gpu["cupy"] else "not installed")
    table.add_row("kernels", _told_of_kernel(gpu))
    table.add_row("cache", escape(_told_of_cache(cache)))
    console.print(table)
    if report["missing"]:
        console.print("\nnot installed:")
    for item in report["missing"]:
        console.print(f"  {item['what']}: {item['unlocks']}")
        console.print(f"    {item['command']}", markup=False, highlight=False, soft_wrap=True)


def _told_of_kernel(gpu: dict[str, Any]) -> str:
    kernel = gpu["kernel"]
    if kernel is None:
        return "on the CPU; on an NVIDIA GPU for arrays of CuPy and CUDA tensors of torch"
    if not kernel["agrees"]:
        return "on the GPU WRONG: a kernel does not agree with the host's. Please report this"
    took, first = kernel["seconds"], kernel["first_seconds"]
    return f"on the CPU and the GPU: one ran in {took:g} s, {first:g} s with its compilation"


def _told_of_cache(cache: dict[str, Any]) -> str:
    folder, asked = cache["folder"], cache["requested"]
    if folder is None:
        return "none: Numba's compiler is off (NUMBA_DISABLE_JIT), kernels run as plain Python"
    told = f"{folder}  {cache['files']} files, {cache['megabytes']} MB"
    if asked and not Path(folder).is_relative_to(Path(asked).absolute()):
        told += f"; NUMBA_CACHE_DIR={asked} is not used: it cannot be written"
    if cache["temporary"]:
        told += "; a temporary folder: every process compiles anew. Set NUMBA_CACHE_DIR to a folder that can be written"
    return told


def _listed(versions: dict[str, str | None]) -> str:
    return ", ".join(f"{name} {version or '-'}" for name, version in versions.items())
