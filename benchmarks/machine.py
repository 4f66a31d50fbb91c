"""Where and on what the figures were measured."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from otgen import doctor

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("otgen", "numpy", "scipy", "numba", "llvmlite", "POT")


def describe(more_packages: tuple[str, ...] = ()) -> dict[str, Any]:
    """Device with its own SGEMM speed, versions (those of more_packages too, None where absent), commit and date."""
    seen = doctor.examine()
    device = {
        "cpu": _model() or seen["cpu"]["name"],
        "target": seen["cpu"]["name"],
        "cores": seen["threads"]["usable"],
        "sgemm_gflops": seen["cpu"]["sgemm_gflops"],
        "load_average": round(os.getloadavg()[0], 2),
        "system": platform.system(),
    }
    versions = {"python": seen["python"]["version"]} | {name: seen["versions"].get(name) for name in PACKAGES}
    versions |= {name: _version(name) for name in more_packages}
    return {"device": device, "versions": versions, "commit": commit(), "date": time.strftime("%Y-%m-%d")}


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """What forbids putting figures of both descriptions in one table."""
    packages = dict.fromkeys((*PACKAGES, *one["versions"], *other["versions"]), "versions")
    pairs = {"cpu": "device", "target": "device", "cores": "device"} | packages
    return [
        f"{key}: {one[part].get(key)} and {other[part].get(key)}"
        for key, part in pairs.items()
        if one[part].get(key) != other[part].get(key)
    ]


def commit() -> str:
    """The short commit, with a mark where the sources differ from it; "unknown" outside git."""
    head = _git("rev-parse", "--short", "HEAD")
    changed = _git("status", "--porcelain", "--", "otgen", "kernels", "benchmarks/*.py")
    return f"{head}{' with changes' if changed else ''}" if head else "unknown"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
