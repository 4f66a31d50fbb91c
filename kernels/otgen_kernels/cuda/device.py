"""The only place that speaks to CuPy: programs compiled for the device present, and launches that are checked.

A launch fails before it starts where an argument has another type, layout or device than the kernel declares. CUDA
reports what goes wrong inside a kernel at some later call; OTGEN_CUDA_SYNC=1 waits after every launch instead, so that
the error names its kernel.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np

from . import source

MOST_BLOCKS = (2**31 - 1, 65535, 65535)
MOST_THREADS = 1024
USUAL_SHARED = 16 * 1024  # bytes; a kernel has 48 KB, its static memory among them, and must be allowed more

Macros = tuple[tuple[str, int | str], ...]


def namespace() -> Any:
    """The module cupy. Who passes a CuPy array has imported it."""
    import cupy  # pyright: ignore[reportMissingImports]

    return cupy


class Program:
    """The kernels of one .cu file for one choice of its macros, compiled once for each device."""

    def __init__(self, file: str, **macros: int | str) -> None:
        self.file, self.macros = file, tuple(sorted(macros.items()))
        offered = source.choices(file)
        if set(macros) != set(offered) or any(value not in offered[name] for name, value in macros.items()):
            raise ValueError(f"{file}.cu is compiled for {offered}; got {macros}.")

    def __call__(
        self, kernel: str, grid: tuple[int, ...], block: tuple[int, ...], *arguments: Any, shared: int = 0
    ) -> None:
        """Start a kernel on the current stream of the current device; shared is its dynamic memory in bytes.

        An array stands for a pointer, None for a null pointer; numbers become the declared type, or are refused.
        """
        parameters = source.signatures(self.file, self.macros)[kernel]
        where = f"{self.file}.cu: {kernel}"
        _check_shape(where, grid, block)
        if len(arguments) != len(parameters):
            raise TypeError(f"{where} takes {len(parameters)} arguments; got {len(arguments)}.")
        cupy = namespace()
        current = cupy.cuda.Device().id
        passed = tuple(_argument(where, current, *both) for both in zip(parameters, arguments))
        if 0 in grid:  # no pairs, no work: CUDA calls an empty grid an error
            return
        function = _module(current, self.file, self.macros).get_function(kernel)
        if shared > USUAL_SHARED:
            function.max_dynamic_shared_size_bytes = shared
        function(grid, block, passed, shared_mem=shared)
        if os.environ.get("OTGEN_CUDA_SYNC") == "1":
            try:
                cupy.cuda.get_current_stream().synchronize()
            except Exception as error:
                raise RuntimeError(f"{where} failed on the device: {error}") from error


class Posted:
    """A few numbers on their way to the host: asked for now, read later, while the device goes on."""

    def __init__(self, values: Any) -> None:
        # Pinned memory: to any other a copy waits for the device.
        room = namespace().cuda.alloc_pinned_memory(values.nbytes)
        self._host = np.ndarray(values.shape, values.dtype, buffer=room)
        values.get(out=self._host, blocking=False)
        self._sent = namespace().cuda.get_current_stream().record()

    def read(self) -> np.ndarray:
        """Wait until they are there."""
        self._sent.synchronize()
        return self._host


@cache
def _module(device: int, file: str, macros: Macros) -> Any:
    return namespace().RawModule(code=source.text(file), options=source.options(macros))


def _check_shape(where: str, grid: tuple[int, ...], block: tuple[int, ...]) -> None:
    if any(size > most for size, most in zip(grid, MOST_BLOCKS)):
        raise ValueError(f"{where}: a grid may have {MOST_BLOCKS} blocks; got {grid}.")
    threads = math.prod(block)
    if not 0 < threads <= MOST_THREADS or threads % 32:
        raise ValueError(f"{where}: a block has whole warps of 32, {MOST_THREADS} threads at most; got {block}.")


def _argument(where: str, current: int, parameter: source.Parameter, value: Any) -> Any:
    name, dtype = f"{where}: {parameter.name}", parameter.dtype
    if not parameter.pointer:
        number = dtype.type(value)
        if number != value and value == value:
            raise OverflowError(f"{name} is a {dtype}, which does not hold {value!r}.")
        return number
    if value is None:
        return np.uint64(0)
    if not isinstance(value, namespace().ndarray):
        raise TypeError(f"{name} must be a cupy.ndarray; got a {type(value).__module__}.{type(value).__name__}.")
    if value.dtype != dtype:
        raise TypeError(f"{name} must have dtype {dtype}; got {value.dtype}.")
    if not value.flags.c_contiguous:
        raise ValueError(f"{name} must be C-contiguous; got strides {value.strides} of shape {value.shape}.")
    if value.device.id != current:
        raise ValueError(f"{name} is on device {value.device.id}; the current device is {current}.")
    return value


@cache
def _processors(device: int) -> int:
    return int(namespace().cuda.Device(device).attributes["MultiProcessorCount"])


def processors() -> int:
    """Streaming multiprocessors of the current device."""
    return _processors(namespace().cuda.Device().id)


@cache
def _most_shared(device: int) -> int:
    return int(namespace().cuda.Device(device).attributes["MaxSharedMemoryPerBlockOptin"])


def most_shared() -> int:
    """Bytes of shared memory that a block may be allowed on the current device."""
    return _most_shared(namespace().cuda.Device().id)


def home(arrays: Iterable[Any]) -> Any:
    """The cupy.cuda.Device that all these arrays share, to be entered; raises ValueError where they do not."""
    found = {array.device.id for array in arrays if array is not None}
    if len(found) != 1:
        raise ValueError(f"arrays must be on one device; they are on devices {sorted(found)}. Move them to one.")
    return namespace().cuda.Device(found.pop())
