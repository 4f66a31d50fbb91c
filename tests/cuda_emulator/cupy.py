"""A stand-in for CuPy whose device is this host: arrays of a type of their own, kernels run by the emulator.

What the library uses is there, and what it would get wrong on a device fails here too: an array of NumPy does not mix
with one of the device, and none becomes one of NumPy without `asnumpy`.
"""

from __future__ import annotations

import types
from typing import Any

import numpy as np

from . import compiler


class Device:
    """The only device."""

    attributes = {"MultiProcessorCount": 2, "MaxSharedMemoryPerBlockOptin": 227 * 1024, "ClockRate": 1_000_000}  # noqa: RUF012
    compute_capability = "90"

    def __init__(self, number: Any = None) -> None:
        self.id = 0 if number is None else int(number)
        if self.id:
            raise RuntimeError(f"cudaErrorInvalidDevice: invalid device ordinal {number}")

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def synchronize(self) -> None:
        pass


def _bare(value: Any) -> Any:
    if isinstance(value, ndarray):
        return value.view(np.ndarray)
    if isinstance(value, (tuple, list)):
        return type(value)(_bare(v) for v in value)
    if isinstance(value, np.ndarray):  # one without dimensions too; a number of NumPy is none
        raise TypeError(f"Unsupported type {type(value)}: an array of NumPy among those of the device")
    return value


def _ours(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = np.array(value)
    if isinstance(value, np.ndarray):
        return value.view(ndarray)
    if isinstance(value, (tuple, list)):
        return type(value)(_ours(v) for v in value) if type(value) in (tuple, list) else tuple(map(_ours, value))
    return value


COMPARISONS = {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"}


class ndarray(np.ndarray):
    """An array of the device: results are too, numbers and single entries included."""

    __array_priority__ = 100.0  # pyright: ignore[reportAssignmentType]

    @property
    def device(self) -> Any:  # type: ignore[override]
        return Device()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method == "accumulate":
            raise NotImplementedError(f"`cupy_{ufunc.__name__}.accumulate` is not supported yet")
        if ufunc.__name__ in COMPARISONS:  # NumPy makes an array of its own number on their left
            inputs = tuple(i[()] if type(i) is np.ndarray and i.ndim == 0 else i for i in inputs)
        if options.get("where", True) is not True:
            raise TypeError(f"Wrong arguments {options}: CuPy's functions know no where=")
        if "out" in options:
            if not all(o is None or isinstance(o, ndarray) for o in options["out"]):
                raise TypeError("out must be an array of the device")
            getattr(ufunc, method)(
                *(_bare(i) for i in inputs), **{k: _bare(v) for k, v in options.items() if k != "dtype"}
            )
            return options["out"][0]
        return _ours(getattr(ufunc, method)(*(_bare(i) for i in inputs), **{k: _bare(v) for k, v in options.items()}))

    def __array_function__(self, function: Any, kinds: Any, inputs: Any, options: Any) -> Any:
        if "device" in options:  # NumPy's own ones, full and eye say so wherever like= is given
            raise TypeError(f"{function.__name__}() got an unexpected keyword argument 'device': CuPy's has none")
        if function.__name__ in MAKERS:  # asked for by like=
            return getattr(module(), function.__name__)(*inputs, **options)
        return _ours(function(*_bare(tuple(inputs)), **{k: _bare(v) for k, v in options.items() if k != "like"}))

    def __getitem__(self, index: Any) -> Any:
        return _ours(super().__getitem__(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        if type(value) is np.ndarray and value.size != 1:
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        super().__setitem__(index, value)

    def __index__(self) -> int:
        raise TypeError("an array of the device is no index: call int()")

    def __iter__(self) -> Any:
        return map(self.__getitem__, range(len(self)))

    def mean(self, *arguments: Any, **options: Any) -> Any:
        return _ours(self.view(np.ndarray).mean(*arguments, **options))

    def std(self, *arguments: Any, **options: Any) -> Any:
        return _ours(self.view(np.ndarray).std(*arguments, **options))

    def argmax(self, *arguments: Any, **options: Any) -> Any:
        return _ours(self.view(np.ndarray).argmax(*arguments, **options))

    def argmin(self, *arguments: Any, **options: Any) -> Any:
        return _ours(self.view(np.ndarray).argmin(*arguments, **options))

    def get(self, *, out: np.ndarray | None = None, blocking: bool = True) -> np.ndarray:
        if out is None:
            return self.view(np.ndarray).copy()
        if out.dtype != self.dtype or out.shape != self.shape:
            raise ValueError("out must be of the shape and the dtype of the array")
        out.fill(np.nan)
        _coming.append((out, self.view(np.ndarray).copy()))
        if blocking:
            _arrive()
        return out


_coming: list[tuple[np.ndarray, np.ndarray]] = []
"""Copies to the host that nobody has waited for: until then they are not there."""


def _arrive() -> None:
    for out, values in _coming:
        out[...] = values
    _coming.clear()


def asnumpy(value: Any) -> np.ndarray:
    return value.get() if isinstance(value, ndarray) else np.asarray(value)


UNASKED_SHARED = 32 * 1024
"""Bytes of dynamic shared memory that a kernel has without asking: 48 KB, less its static memory, taken for 16 KB."""


class _Kernel:
    def __init__(self, file: str, macros: compiler.MACROS, name: str) -> None:
        self._meant, self.max_dynamic_shared_size_bytes = (file, macros, name), UNASKED_SHARED

    def __call__(self, grid: Any, block: Any, arguments: tuple, *, shared_mem: int = 0) -> None:
        if shared_mem > self.max_dynamic_shared_size_bytes:
            raise RuntimeError("CUDA_ERROR_INVALID_VALUE: more shared memory than the kernel was allowed")
        compiler.run(*self._meant, tuple(grid), tuple(block), arguments, shared_mem)


class RawModule:
    """The file is known by its text, macros by the options."""

    def __init__(self, *, code: str, options: tuple[str, ...]) -> None:
        from otgen_kernels.cuda import source

        self._file = next(file for file in source.FILES if source.text(file) == code)
        named = (option[2:].split("=") for option in options if option.startswith("-D"))
        self._macros = tuple((name, int(value) if value.lstrip("-").isdigit() else value) for name, value in named)

    def get_function(self, name: str) -> _Kernel:
        return _Kernel(self._file, self._macros, name)


class _Stream:
    ptr = 0

    def synchronize(self) -> None:
        _arrive()

    def record(self, event: Any = None) -> _Stream:
        return self  # an event: it can be waited for

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *error: Any) -> None:
        pass


class OutOfMemoryError(MemoryError):
    def __init__(self, size: int, total: int, limit: int = 0) -> None:
        super().__init__(f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes).")


class _Pool:
    def free_all_blocks(self) -> None:
        pass


class GuardedNumPy(types.ModuleType):
    """NumPy for the code that is tested: what makes an array refuses one of CuPy, which it would have to copy.

    Not NumPy itself: Numba, compiling a kernel meanwhile, would find functions that it does not know.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


def guarded_numpy() -> GuardedNumPy:
    """NumPy whose array, asarray, ascontiguousarray and require answer an array of CuPy as CuPy does."""

    def refusing(make: Any) -> Any:
        def made(*arguments: Any, **options: Any) -> Any:
            if options.get("like") is None and any(isinstance(value, ndarray) for value in arguments[:1]):
                raise TypeError("Implicit conversion to a NumPy array is not allowed. Use `.get()`.")
            return make(*arguments, **options)

        return made

    guarded = GuardedNumPy("numpy")
    for name in ("array", "asarray", "ascontiguousarray", "require"):
        setattr(guarded, name, refusing(getattr(np, name)))
    return guarded


def module() -> types.ModuleType:
    """The stand-in, to be put in sys.modules as cupy."""
    made: Any = _Module("cupy")
    made.ndarray, made.asnumpy, made.RawModule = ndarray, asnumpy, RawModule
    made.cuda = types.SimpleNamespace(
        Device=Device, get_current_stream=_Stream, ExternalStream=lambda *_: _Stream(), Stream=_Stream,
        alloc_pinned_memory=bytearray,
        runtime=types.SimpleNamespace(
            getDeviceCount=lambda: 1,
            getDeviceProperties=lambda device: {"name": b"emulated", "multiProcessorCount": 2},
        ),
        memory=types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
    )  # fmt: skip
    made.get_default_memory_pool = _Pool
    made.get_array_module = lambda *arrays: made if any(isinstance(a, ndarray) for a in arrays) else np
    made.__version__ = "emulated"
    return made


MAKERS = (
    "asarray",
    "array",
    "ascontiguousarray",
    "empty",
    "zeros",
    "ones",
    "full",
    "arange",
    "linspace",
    "from_dlpack",
)


class _Module(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name)
        if isinstance(found, type) or not callable(found):
            return found

        def called(*arguments: Any, **options: Any) -> Any:
            if name in MAKERS:  # these may take what is on the host
                arguments = tuple(a.view(np.ndarray) if isinstance(a, ndarray) else a for a in arguments)
                return _ours(found(*arguments, **options))
            return _ours(found(*_bare(arguments), **{k: _bare(v) for k, v in options.items()}))

        return called
