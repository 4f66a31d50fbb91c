"""Compile the .cu files by a C++ compiler, behind emulate.h, and run their kernels over NumPy memory."""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from otgen_kernels.cuda import source

HEADER = Path(__file__).with_name("emulate.h")
FENCE = (
    256  # bytes of 0xff, which is NaN, around every array: what is read there spoils the result, what is written shows
)
ALIGNED = 256  # bytes, as a device's memory is
MACROS = tuple[tuple[str, int | str], ...]


def folder() -> Path:
    """Where compiled files are kept: beside Numba's cache, which `make` names by the kernels' sources."""
    root = os.environ.get("NUMBA_CACHE_DIR")
    return Path(root) / "cuda" if root else Path(tempfile.gettempdir()) / f"otgen-cuda-{os.getuid()}"


@cache
def library(file: str, macros: MACROS) -> ctypes.CDLL:
    """The compiled kernels of a file for these macros, each as launch_NAME."""
    code = [HEADER.read_text("utf-8"), *(f"#define {name} {value}" for name, value in macros), source.text(file)]
    for name, parameters in source.signatures(file, macros).items():
        values = [_dereferenced(parameter, k) for k, parameter in enumerate(parameters)]
        code.append(f"static void run_{name}(void** a) {{ {name}({', '.join(values)}); }}")
        code.append(
            f'extern "C" const char* launch_{name}(const unsigned* g, const unsigned* b, int s, int o, void** a) '
            f"{{ return emulator::launch(run_{name}, g, b, s, o, a); }}"
        )
    text = "\n".join(code) + "\n"
    place = folder() / f"{file}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.so"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
            written, built = Path(scratch, f"{file}.cc"), Path(scratch, "built.so")
            written.write_text(text, "utf-8")
            # zig is a C++ compiler in a wheel: the tests need no other.
            command = [sys.executable, "-m", "ziglang", "c++", "-std=c++17", "-O1", "-g0", "-shared", "-fPIC"]
            command += ["-ffp-contract=off", "-fno-sanitize=all", "-nostdlib++", "-fno-exceptions", "-w"]
            done = subprocess.run([*command, "-o", str(built), str(written)], capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"{file}.cu does not compile for the emulator:\n{done.stderr}")
            built.replace(place)
    found = ctypes.CDLL(str(place))
    for name in source.signatures(file, macros):
        getattr(found, f"launch_{name}").restype = ctypes.c_char_p
    return found


def _dereferenced(parameter: source.Parameter, k: int) -> str:
    name = next(c for c, dtype in source._TYPES.items() if np.dtype(dtype) == parameter.dtype)
    if parameter.pointer:
        return f"({'const ' if parameter.constant else ''}{name}*)a[{k}]"
    return f"*({name}*)a[{k}]"


def run(
    file: str, macros: MACROS, name: str, grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple, shared: int
) -> None:
    """Run a kernel over NumPy arrays (pointers) and NumPy scalars; raises RuntimeError where it goes wrong."""
    parameters = source.signatures(file, macros)[name]
    if len(arguments) != len(parameters):
        raise RuntimeError(f"{name} takes {len(parameters)} arguments; got {len(arguments)}")
    pointers, fenced, keep = (ctypes.c_void_p * len(arguments))(), [], []
    for k, (parameter, value) in enumerate(zip(parameters, arguments)):
        if parameter.pointer and isinstance(value, np.ndarray):
            room = np.full(value.nbytes + 2 * FENCE + ALIGNED, 0xFF, np.uint8)
            start = FENCE + -(room.ctypes.data + FENCE) % ALIGNED
            inside = room[start : start + value.nbytes]
            inside[:] = np.frombuffer(value.tobytes(), np.uint8)
            pointers[k] = inside.ctypes.data
            fenced.append((parameter, value, room, start))
        elif not parameter.pointer:
            keep.append(np.array(value, parameter.dtype))
            pointers[k] = keep[-1].ctypes.data
    three = [np.array([*size, 1, 1][:3], np.uint32) for size in (grid, block)]
    backwards = int(os.environ.get("OTGEN_EMULATOR_ORDER", "forwards") == "backwards")
    said = getattr(library(file, macros), f"launch_{name}")(
        three[0].ctypes.data_as(ctypes.c_void_p), three[1].ctypes.data_as(ctypes.c_void_p), int(shared), backwards,
        pointers,
    )  # fmt: skip
    if said:
        raise RuntimeError(f"{file}.cu: {name}: {said.decode()}")
    for parameter, value, room, start in fenced:
        end = start + value.nbytes
        if (room[:start] != 0xFF).any() or (room[end:] != 0xFF).any():
            raise RuntimeError(f"{file}.cu: {name} writes outside {parameter.name} {value.shape}")
        found = np.frombuffer(room[start:end].tobytes(), value.dtype).reshape(value.shape)
        if not parameter.constant:
            np.copyto(value.view(np.ndarray), found)
        elif found.tobytes() != value.tobytes():
            raise RuntimeError(f"{file}.cu: {name} writes to {parameter.name}, which is const")
