"""The CUDA C++ beside this file: its text with every #include in place, and the signatures of its kernels."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

FOLDER = Path(__file__).parent
FILES = tuple(sorted(path.stem for path in FOLDER.glob("*.cu")))

_COMPILED_FOR = re.compile(r"^// compiled for (.*)$", re.MULTILINE)
_INCLUDE = re.compile(r'^#include "(\w+\.cuh)"\n', re.MULTILINE)
_KERNEL = re.compile(
    r'extern "C" __global__ (?:__launch_bounds__\([^)]*\) )?void (?:__launch_bounds__\([^)]*\) )?(\w+)\(([^)]*)\)'
)
_TYPES = {
    "float": np.float32, "double": np.float64, "int": np.int32, "long long": np.int64, "unsigned char": np.uint8,
    "unsigned": np.uint32, "unsigned long long": np.uint64,
}  # fmt: skip


class Parameter(NamedTuple):
    """A parameter of a kernel: its name, the dtype of its value or of what it points to, and which of the two."""

    name: str
    dtype: np.dtype
    pointer: bool
    constant: bool


@cache
def text(file: str) -> str:
    """The source of a .cu file with the headers it includes, each once."""
    seen: set[str] = set()

    def expand(name: str) -> str:
        seen.add(name)
        return _INCLUDE.sub(lambda m: "" if m[1] in seen else expand(m[1]), (FOLDER / name).read_text("utf-8"))

    return expand(f"{file}.cu")


@cache
def choices(file: str) -> dict[str, tuple[int | str, ...]]:
    """The macros a file is compiled for and the values that launchers may give them, from its own list of them."""
    listed = _COMPILED_FOR.search(text(file))
    if listed is None:
        return {}
    pairs = (part.split(":") for part in listed[1].split(";"))
    return {
        name.strip(): tuple(int(v) if v.lstrip("-").isdigit() else v for v in values.split()) for name, values in pairs
    }


@cache
def signatures(file: str, macros: tuple[tuple[str, int | str], ...]) -> dict[str, tuple[Parameter, ...]]:
    """The kernels of a file by name, their parameters in order, types that are macros replaced by their values."""
    meant = dict(macros)
    found = {}
    for name, listed in _KERNEL.findall(text(file)):
        parameters = []
        for declared in listed.split(","):
            words = declared.replace("__restrict__", " ").replace("*", " * ").split()
            pointer, constant = "*" in words, "const" in words
            kind = " ".join(str(meant.get(w, w)) for w in words[:-1] if w not in ("*", "const"))
            parameters.append(Parameter(words[-1], np.dtype(_TYPES[kind]), pointer, constant))
        found[name] = tuple(parameters)
    return found


def options(macros: tuple[tuple[str, int | str], ...]) -> tuple[str, ...]:
    """What NVRTC is told; no --use_fast_math: where a kernel wants a fast instruction it names it."""
    return ("--std=c++17", *(f"-D{name}={value}" for name, value in macros))
