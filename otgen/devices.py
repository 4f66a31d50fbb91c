"""Where arrays live, and going there: NumPy on the host, CuPy and torch's CUDA tensors on a GPU, by DLPack.

A public function that can work on a GPU is declared `@on_device`: it then runs on the device of its arrays and on the
stream that their library would use next, so that nothing has to wait. In one that is not, the door refuses such arrays.
Imports nothing of otgen; torch is read from sys.modules only, and CuPy too unless a CUDA tensor needs it.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any, TypeVar

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])

_entered: ContextVar[bool] = ContextVar("otgen_on_device", default=False)


def library_of(value: Any) -> str | None:
    """Return "torch", "cupy" or "numpy"; None for lists, numbers and None, which fit beside any of them."""
    torch, cupy = sys.modules.get("torch"), sys.modules.get("cupy")
    if torch is not None and isinstance(value, torch.Tensor):
        return "torch"
    if cupy is not None and isinstance(value, cupy.ndarray):
        return "cupy"
    return None if value is None or isinstance(value, (list, tuple, int, float)) else "numpy"


def is_on_gpu(value: Any) -> bool:
    """Return whether value is an array of CuPy or a CUDA tensor of torch."""
    library = library_of(value)
    return library == "cupy" or (library == "torch" and _is_cuda(value))


def is_elsewhere(value: Any) -> bool:
    """Return whether value is not on the host: on a GPU, or where otgen never works (torch's meta, mps)."""
    return is_on_gpu(value) or (library_of(value) == "torch" and value.device.type != "cpu")


def may_work() -> bool:
    """Return whether the function that is running is declared `@on_device` and has arrays of a GPU."""
    return _entered.get()


def place_of(value: Any) -> Any:
    """Return the torch.device of a tensor, the cupy.cuda.Device of an array of CuPy, None of anything else."""
    return value.device if library_of(value) in ("torch", "cupy") else None


def described(place: Any) -> str:
    """A place in words: cpu, cuda:1."""
    return f"cuda:{place.id}" if hasattr(place, "id") else str(place or "cpu")


def cupy() -> Any:
    """Return the module cupy; raises ImportError with the command that installs it."""
    try:
        return import_module("cupy")
    except ImportError as error:
        raise ImportError(
            "CUDA tensors need CuPy, which is not installed or does not load. Install the extra for your driver's "
            f"CUDA: {sys.executable} -m pip install 'otgen[cuda13]' (or cuda12); `otgen doctor` says which. ({error})"
        ) from error


def take(value: Any) -> Any:
    """Return an array of CuPy or a CUDA tensor as an array of CuPy, without a copy."""
    return value if library_of(value) == "cupy" else cupy().from_dlpack(value)


def fetch(values: Any) -> np.ndarray:
    """Return values as an array of NumPy, copied from the device if they are there."""
    return sys.modules["cupy"].asnumpy(values) if library_of(values) == "cupy" else np.asarray(values)


def beside(other: Any, values: Any) -> Any:
    """Return values, of any library, as an array of NumPy or CuPy: where `other`, one of these, is."""
    if is_on_gpu(other):
        return take(values) if is_on_gpu(values) else cupy().asarray(np.asarray(values))
    return fetch(take(values) if is_on_gpu(values) else values)


def put(values: Any, dtype: np.dtype, place: Any) -> Any:
    """Return values, of NumPy or CuPy, as an array of the library and at the place that place_of gave."""
    if place is None:
        return np.asarray(values, dtype=dtype, order="C")
    if hasattr(place, "id"):
        with place:
            return cupy().asarray(values, dtype, order="C")
    torch = sys.modules["torch"]
    if library_of(values) == "cupy":
        return torch.from_dlpack(cupy().asarray(values, dtype, order="C"))
    return torch.from_dlpack(np.asarray(values, dtype=dtype, order="C")).to(place)


def on_device(function: F) -> F:
    """Let a public function take arrays of a GPU: it runs on their device and their library's current stream.

    Where memory runs out there, what both libraries keep in reserve is given back and the call is made once more,
    unless it draws from a generator of the caller's; then MemoryError says what was asked for.
    """

    @functools.wraps(function)
    def called(*arguments: Any, **options: Any) -> Any:
        first = next((v for v in _arrays((*arguments, *options.values())) if is_on_gpu(v)), None)
        if first is None or _entered.get():
            return function(*arguments, **options)
        with _enter(first):
            try:
                return function(*arguments, **options)
            except Exception as error:
                if not _out_of_memory(error):
                    raise
                again = not any(isinstance(v, np.random.Generator) for v in (*arguments, *options.values()))
                _free()
                if not again:
                    raise _told(function, error) from error
            try:
                return function(*arguments, **options)
            except Exception as error:
                if not _out_of_memory(error):
                    raise
                raise _told(function, error) from error

    return called  # pyright: ignore[reportReturnType]


def _arrays(values: Iterable[Any]) -> Iterator[Any]:
    """The values, the first of each list or tuple (potentials, clouds), and what a result of otgen holds."""
    for value in values:
        value = value[0] if isinstance(value, (list, tuple)) and len(value) else value
        yield getattr(value, "_held", value)


@contextmanager
def _enter(value: Any) -> Iterator[None]:
    module, number = cupy(), _number(value)
    token = _entered.set(True)
    try:
        with module.cuda.Device(number):
            if library_of(value) == "torch":
                with module.cuda.ExternalStream(_stream(value), number):
                    yield
            else:
                yield
    finally:
        _entered.reset(token)


def _number(value: Any) -> int:
    if library_of(value) == "cupy":
        return int(value.device.id)
    return int(value.device.index or 0)


def _is_cuda(tensor: Any) -> bool:
    return tensor.is_cuda


def _stream(tensor: Any) -> int:
    return sys.modules["torch"].cuda.current_stream(tensor.device).cuda_stream


def _out_of_memory(error: BaseException) -> bool:
    kinds = [sys.modules["cupy"].cuda.memory.OutOfMemoryError]
    torch = sys.modules.get("torch")
    if torch is not None:
        kinds.append(torch.cuda.OutOfMemoryError)
    return isinstance(error, tuple(kinds))


def _free() -> None:
    sys.modules["cupy"].get_default_memory_pool().free_all_blocks()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def _told(function: Callable[..., Any], error: BaseException) -> MemoryError:
    return MemoryError(
        f"{function.__qualname__} needs more memory than the GPU has left. {error} Free what else is there, pass fewer "
        "points, or compute on the host."
    )
