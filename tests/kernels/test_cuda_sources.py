"""Every CUDA source compiles, without a device, for the GPUs of 2020 and 2022, and keeps its registers."""

from __future__ import annotations

import ctypes
import itertools
import re
from pathlib import Path

import pytest

from otgen_kernels.costs import POWER
from otgen_kernels.cuda import source


def variants(file: str) -> list[tuple[tuple[str, int | str], ...]]:
    """All that a file is compiled for."""
    choices = source.choices(file)
    return [tuple(sorted(zip(choices, values))) for values in itertools.product(*choices.values())]


def extremes(file: str) -> list[tuple[tuple[str, int | str], ...]]:
    """The first of these and the last, in which every macro has its first value and its last."""
    found = variants(file)
    return [found[0], found[-1]] if len(found) > 1 else found


CASES = [("sm_90", file, macros) for file in source.FILES for macros in variants(file)]
CASES += [("sm_80", file, macros) for file in source.FILES for macros in extremes(file)]


def nvrtc() -> ctypes.CDLL:
    import nvidia  # pyright: ignore[reportMissingImports]

    found = [path for root in nvidia.__path__ for path in Path(root).glob("cu*/lib/libnvrtc.so.*")]
    return ctypes.CDLL(str(found[0]))


def compiled(text: str, options: tuple[str, ...]) -> tuple[int, str]:
    """Compile to machine code; the result and what the compiler says."""
    library, program = nvrtc(), ctypes.c_void_p()
    assert library.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"kernels.cu", 0, None, None) == 0
    given = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    result = library.nvrtcCompileProgram(program, len(options), given)
    size = ctypes.c_size_t()
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    library.nvrtcDestroyProgram(ctypes.byref(program))
    return result, log.value.decode()


@pytest.mark.parametrize(
    ("arch", "file", "macros"), CASES, ids=lambda v: v if isinstance(v, str) else "-".join(f"{x}" for _, x in v)
)
def test_it_compiles_and_spills_no_registers(arch, file, macros):
    options = (*source.options(macros), "--ftz=true", f"--gpu-architecture={arch}", "--ptxas-options=-v")  # CuPy's too
    result, log = compiled(source.text(file), options)
    assert result == 0, log
    spilled = [int(stores) for stores in re.findall(r"(\d+) bytes spill stores", log)]
    assert len(spilled) >= len(source.signatures(file, macros)), log
    # A double's pow is a call, and keeps its caller's registers; a single one elsewhere is not worth a smaller block.
    most = 64 if ("SHAPE", POWER) in macros else 4
    assert max(spilled) <= most, log


def test_a_source_that_is_wrong_does_not_compile():
    result, log = compiled("__global__ void f() { undeclared(); }", ("--gpu-architecture=sm_90",))
    assert result != 0 and "undeclared" in log


def test_signatures_are_those_of_the_source():
    found = source.signatures("pairs", (("FORM", 0), ("REAL", "float"), ("SHAPE", 0)))
    assert set(found) == {"c_transform", "c_transform_merge", "smallest_k", "smallest_k_merge"}
    assert [(p.name, p.dtype.name, p.pointer, p.constant) for p in found["c_transform"]][:4] == [
        ("x", "float32", True, True), ("y", "float32", True, True), ("h", "float64", True, True),
        ("n", "int32", False, False),
    ]  # fmt: skip
    assert found["c_transform"][-1] == source.Parameter("indices", source.np.dtype("int32"), True, False)
    # A kernel that the pattern misses could not be launched, and would not be tested.
    for file in source.FILES:
        macros = tuple((name, values[0]) for name, values in source.choices(file).items())
        assert len(source.signatures(file, macros)) == source.text(file).count("__global__")
