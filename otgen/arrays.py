"""The one door: checks what the user passed, words the errors, and takes NumPy, CuPy and torch arrays in and out.

torch, cupy and scipy.sparse are read from sys.modules only: who passes a tensor has imported its library.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from . import devices
from .devices import library_of as library_of

MATRIX = "Pass one row for each source and one column for each target."
RESHAPE = "Reshape points on the line to (n, 1), a single point to (1, d)."
ON_THE_LINE = "Reshape points on the line to (n, 1), or call otgen.wasserstein_1d."


@dataclass(frozen=True)
class Home:
    """Where the user's arrays live and in which precision: results go back there."""

    dtype: np.dtype
    device: Any = None  # a torch.device, or a cupy.cuda.Device; None for NumPy

    def array(self, values: Any, dtype: np.dtype | None = None) -> Any:
        """Return values as an array of the user's library, in the user's precision unless dtype is given."""
        return devices.put(values, dtype or self.dtype, self.device)

    def number(self, value: Any) -> Any:
        """Return a Python float, or a 0-d tensor for torch users."""
        return self.array(value) if self.is_torch else float(value)

    @property
    def is_torch(self) -> bool:
        return self.device is not None and not hasattr(self.device, "id")


def read_points(
    x: Any, y: Any, *, columns: bool = False, transport: bool = True, one_pair: bool = False
) -> tuple[np.ndarray, np.ndarray, Home]:
    """Return x (n, d) and y (m, d) as C-contiguous finite arrays of their promoted precision, and their home.

    float32 with float64 is float64, as in NumPy; integers and booleans are float64; float16 and bfloat16 are float32.
    With columns=True shape (n,) is taken for (n, 1), as on the line. Errors advise what goes with the caller: of (n,)
    otgen.wasserstein_1d where it is transport, of (B, n, d) a loop where it takes one pair of clouds only.
    """
    device = common_home(x=x, y=y)
    flat = ON_THE_LINE if transport else RESHAPE
    x, y = (_read_cloud(cloud, name, columns, flat, one_pair, device) for name, cloud in (("x", x), ("y", y)))
    if x.shape[1:] != y.shape[1:]:
        raise ValueError(
            f"x and y must have points of one dimension d; got shapes {x.shape} and {y.shape}. Match their columns."
        )
    dtype = np.promote_types(x.dtype, y.dtype)
    return plain(x, dtype), plain(y, dtype), Home(dtype, device)


def read_queries(x_new: Any, d: int | None, name: str = "x_new", like: str = "x") -> tuple[np.ndarray, Home]:
    """Return x_new (k, d) as read_points returns x, and its home; None is any d. Errors say `name`, as `like`."""
    device = common_home(**{name: x_new})
    x_new = _read_cloud(x_new, name, columns=False, flat=RESHAPE, place=device)
    if d is not None and x_new.shape[1] != d:
        raise ValueError(f"{name} must have shape (k, {d}), as {like}; got shape {x_new.shape}. Match their columns.")
    return plain(x_new, x_new.dtype), Home(x_new.dtype, device)


def read_normal(mean: Any, cov: Any, side: str) -> tuple[np.ndarray, np.ndarray, float, np.dtype]:
    """Return a mean (d,) and a covariance (d, d), symmetric to the bit, in float64, eps of the latter and their dtype.

    Entries may differ from their mirror images by 64 sqrt(d) eps of the largest entry.
    """
    place = common_home(**{f"mean_{side}": mean, f"cov_{side}": cov})
    mean, cov = bring(mean, f"mean_{side}", place), bring(cov, f"cov_{side}", place)
    if mean.ndim != 1 or mean.size == 0:
        raise ValueError(f"mean_{side} must have shape (d,) with d >= 1; got shape {mean.shape}. Reshape it.")
    d = len(mean)
    if cov.shape != (d, d):
        raise ValueError(
            f"cov_{side} must have shape ({d}, {d}), as mean_{side} has {d} entries; got shape {cov.shape}. "
            "Pass a full matrix: numpy.diag(variances) for independent coordinates."
        )
    check_finite(mean, f"mean_{side}")
    check_finite(cov, f"cov_{side}")
    exact = cov.astype(np.float64)
    eps, unlike = float(np.finfo(cov.dtype).eps), np.abs(exact - exact.T)
    if unlike.max() > 64 * math.sqrt(d) * eps * np.abs(exact).max():
        i, j = (int(k) for k in np.unravel_index(int(np.argmax(unlike)), unlike.shape))
        raise ValueError(
            f"cov_{side} must be symmetric; cov_{side}[{i}, {j}] is {float(exact[i, j])!r} and cov_{side}[{j}, {i}] is "
            f"{float(exact[j, i])!r}. Pass 0.5 * (cov_{side} + cov_{side}.T)."
        )
    return plain(mean, np.dtype(np.float64)), 0.5 * (exact + exact.T), eps, np.promote_types(mean.dtype, cov.dtype)


def read_clouds(clouds: dict[str, Any]) -> tuple[list[np.ndarray], Home]:
    """Return clouds (n_k, d) of one d, each under the name that errors use, as read_points does, and their home."""
    device = common_home(**clouds)
    found = {name: _read_cloud(cloud, name, columns=False, place=device) for name, cloud in clouds.items()}
    first, *others = found
    for name in others:
        if found[name].shape[1] != found[first].shape[1]:
            raise ValueError(
                f"{name} must have points of the dimension of {first}; got shapes {found[name].shape} and "
                f"{found[first].shape}. Match their columns."
            )
    dtype = np.result_type(*(cloud.dtype for cloud in found.values()))
    return [plain(cloud, dtype) for cloud in found.values()], Home(dtype, device)


def read_masses(weights: dict[str, Any], sizes: list[int], **like: Any) -> list[np.ndarray]:
    """Return float64 weights of one mass, each (size,) and under the name that errors use; None is uniform of mass 1.

    Masses count as equal, and `like` is meant, as in read_weights.
    """
    place = common_home(**like, **weights)
    read = [_read_weight(w, name, size, place) for (name, w), size in zip(weights.items(), sizes)]
    (first, first_eps), first_name = read[0], next(iter(weights))
    mass, found = float(first.sum()), [first]
    for (w, eps), name in zip(read[1:], [*weights][1:]):
        other = float(w.sum())
        if abs(mass - other) > 8 * math.sqrt(max(len(first), len(w))) * max(first_eps, eps) * max(mass, other):
            raise ValueError(
                f"{name} must sum to the mass of {first_name} ({mass!r}); it sums to {other!r}. Normalise it."
            )
        found.append(w * (mass / other))
    return found


def _read_cloud(
    value: Any, name: str, columns: bool, flat: str = ON_THE_LINE, one_pair: bool = False, place: Any = None
) -> np.ndarray:
    array = bring(value, name, place)
    if array.ndim == 1 and not columns:
        raise ValueError(f"{name} must have shape (n, d), one point a row; got shape {array.shape}. {flat}")
    if array.ndim not in ((1, 2) if columns else (2,)):
        fix = f"Flatten the further axes: {name}.reshape(len({name}), -1)."
        if one_pair and array.ndim == 3:
            fix = f"For clouds (B, n, d) loop over x[k] and y[k]; for points of more axes {fix[0].lower()}{fix[1:]}"
        raise ValueError(
            f"{name} must have shape {'(n,) or (n, k)' if columns else '(n, d)'}; got shape {array.shape}. {fix}"
        )
    if array.size == 0:
        raise ValueError(
            f"{name} must hold at least one point and one coordinate; got shape {array.shape}. Leave empty clouds out."
        )
    check_finite(array, name)
    return array


def read_vector(value: Any, name: str, axes: tuple[int, ...] = (1,)) -> np.ndarray:
    """Return value as a finite float64 array with one of these numbers of axes."""
    array = bring(value, name, common_home(**{name: value}))
    if array.ndim not in axes:
        shapes = " or ".join({1: "(n,)", 2: "(n, k)"}[count] for count in axes)
        raise ValueError(f"{name} must have shape {shapes}; got shape {array.shape}. Reshape it.")
    array = plain(array, np.dtype(np.float64))
    check_finite(array, name)
    return array


def read_costs(C: Any) -> tuple[Any, Home]:
    """Return a cost matrix (n, m) as a finite float64 array, or as CSR with its explicit entries, and its home."""
    if is_sparse(C):
        return _read_sparse(C)
    device = common_home(C=C)
    C = bring(C, "C", device)
    if C.ndim != 2 or C.size == 0:
        raise ValueError(f"C must be a matrix of shape (n, m) with n, m >= 1; got shape {C.shape}. {MATRIX}")
    home = Home(C.dtype, device)
    C = plain(C, np.dtype(np.float64))
    check_finite(C, "C", "To forbid pairs pass a scipy.sparse matrix: entries it does not store are forbidden.")
    return C, home


def _read_sparse(C: Any) -> tuple[Any, Home]:
    if C.dtype.kind not in "biuf" or C.dtype.itemsize > 8:
        raise TypeError(_dtype_message("C", C.dtype))
    if C.ndim != 2 or 0 in C.shape:
        raise ValueError(f"C must be a matrix of shape (n, m) with n, m >= 1; got shape {C.shape}. {MATRIX}")
    home = Home(_working_dtype(C.dtype))
    csr = sys.modules["scipy.sparse"].csr_array(C, dtype=np.float64, copy=True)
    csr.sum_duplicates()
    if not np.isfinite(csr.data).all():
        raise ValueError("C must be finite; a stored entry is NaN or infinite. Drop an entry to forbid its pair.")
    return csr, home


def home_beside(home: Home, **weights: Any) -> Home:
    """Return the home of a result: lists, which have none of their own, live where the weights beside them do."""
    return home if home.device is not None else replace(home, device=common_home(**weights))


def read_weights(
    a: Any, b: Any, n: int, m: int, *, unequal: bool = False, entropic: bool = False, **like: Any
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return float64 weights a (n,) and b (m,) of one mass, of any mass with unequal=True; None, None if both are None.

    One None beside given weights is uniform with mass 1. Masses that differ by no more than 8 sqrt(max(n, m)) eps
    relative (eps of the coarser dtype given, at most float32's) count as equal and b is rescaled to the mass of a.
    `like` are the named arrays whose library and device the weights must share.
    """
    if a is None and b is None:
        return None, None
    place = common_home(**like, a=a, b=b)
    a_read, eps_a = _read_weight(a, "a", n, place)
    b_read, eps_b = _read_weight(b, "b", m, place)
    if unequal:
        return a_read, b_read
    mass, other = float(a_read.sum()), float(b_read.sum())
    if abs(mass - other) > 8 * math.sqrt(max(n, m)) * max(eps_a, eps_b) * max(mass, other):
        fix = f"Normalise it: b * ({mass!r} / b.sum())." if b is not None else "b is uniform: pass a / a.sum()."
        fix += " Or pass unbalanced= to let the masses differ." if entropic else ""
        raise ValueError(f"b must sum to the mass of a ({mass!r}); it sums to {other!r}. {fix}")
    return a_read, b_read * (mass / other)


def _read_weight(w: Any, name: str, n: int, place: Any = None) -> tuple[np.ndarray, float]:
    if w is None:
        uniform = np.full(n, 1.0 / n)
        return _moved(uniform, place), float(np.finfo(np.float64).eps)
    w = bring(w, name, place)
    if w.shape != (n,):
        raise ValueError(
            f"{name} must have shape ({n},), one weight a point; got shape {w.shape}. Pass {n} weights on one axis."
        )
    eps = float(np.finfo(w.dtype).eps)
    w = plain(w, np.dtype(np.float64))
    check_finite(w, name)
    if (w < 0).any():
        i = int(np.argmin(w))
        raise ValueError(f"{name} must not be negative; {name}[{i}] is {float(w[i])!r}. Set it to 0 or drop the point.")
    with np.errstate(over="ignore"):
        total = w.sum()
    if not (np.finfo(np.float64).tiny <= total < np.inf):
        raise ValueError(f"{name} must have a positive, finite sum; it sums to {float(total)!r}. Give some point mass.")
    return w, eps


def is_sparse(value: Any) -> bool:
    """Return whether value is a scipy.sparse matrix or array."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and sparse.issparse(value)


def common_home(**arrays: Any) -> Any:
    """Return the device all arrays share, of torch or of CuPy, None for NumPy; raise where they mix.

    A GPU's arrays are refused where the function at work is not declared `devices.on_device`.
    """
    found: dict[str, tuple[str, Any]] = {}
    for name, value in arrays.items():
        library = library_of(value)
        if library is None:
            continue
        place = devices.place_of(value)
        if devices.is_elsewhere(value) and not (devices.is_on_gpu(value) and devices.may_work()):
            fix = f"cupy.asnumpy({name})" if library == "cupy" else f"{name}.cpu()"
            raise NotImplementedError(
                f"{name} is on '{devices.described(place)}' and this works on the host only. Pass {fix}."
            )
        found[name] = library, place
    if len({library for library, _ in found.values()}) > 1:
        kinds = ", ".join(f"{name} is {library}" for name, (library, _) in found.items())
        raise TypeError(f"arrays must come from one library; {kinds}. Convert one side, e.g. torch.from_numpy(...).")
    places = {devices.described(place): place for _, place in found.values()}
    if len(places) > 1:
        kinds = ", ".join(f"{name} is on {devices.described(place)}" for name, (_, place) in found.items())
        raise TypeError(f"arrays must be on one device; {kinds}. Move one side, e.g. by .to('cuda').")
    return next(iter(places.values()), None)


def bring(value: Any, name: str, place: Any) -> Any:
    """Return value as `host` does, or as an array of CuPy where its home, as common_home gave it, is a GPU."""
    if not devices.is_on_gpu(value):
        return _moved(host(value, name), place)
    if library_of(value) == "torch":
        value = _plain_tensor(value, name)
    return _real(devices.take(value), name)


def _moved(array: np.ndarray, place: Any) -> Any:
    """A list, or what stands for weights that were not given, beside arrays of a GPU."""
    gpu = place is not None and devices.described(place) != "cpu" and devices.may_work()
    return devices.cupy().asarray(array) if gpu else array


def _plain_tensor(value: Any, name: str) -> Any:
    value = value.detach()
    if value.layout != sys.modules["torch"].strided:
        raise TypeError(f"{name} must be a dense tensor; got layout {value.layout}. Call {name}.to_dense().")
    if value.dtype.is_complex:
        raise TypeError(_dtype_message(name, value.dtype))
    if value.dtype.is_floating_point and value.dtype.itemsize < 4:
        value = value.float()  # NumPy has no bfloat16
    return value.resolve_neg()


def host(value: Any, name: str) -> np.ndarray:
    """Return value as a NumPy array of a real dtype, float16 and bfloat16 widened, without further checks."""
    if library_of(value) == "torch":
        if value.device.type != "cpu":
            raise NotImplementedError(
                f"{name} is on '{value.device}' and this works on the host only. Pass {name}.cpu()."
            )
        return _real(np.from_dlpack(_plain_tensor(value, name)), name)
    if is_sparse(value):
        raise TypeError(f"{name} must be a dense array; got {type(value).__name__}. Call {name}.toarray().")
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} must not be a masked array: a mask has no meaning here. Drop the masked rows first.")
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError, BufferError, OverflowError) as error:
        raise ValueError(f"{name} must be a rectangular array of numbers; NumPy says: {error}") from error
    return _real(array, name)


def _real(array: np.ndarray, name: str) -> np.ndarray:
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise TypeError(_dtype_message(name, array.dtype))
    return array.astype(_working_dtype(array.dtype), copy=False)


def _working_dtype(dtype: np.dtype) -> np.dtype:
    """float16 is worked on, and returned, in float32; integers and booleans in float64."""
    return np.dtype(np.float32 if dtype.kind == "f" and dtype.itemsize <= 4 else np.float64)


def _dtype_message(name: str, dtype: Any) -> str:
    return f"{name} must hold real numbers (float, integer or bool of at most 64 bits); got dtype {dtype}. Convert it."


def plain(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return array as kernels take it, at home: compiled once for C-contiguous writable arrays."""
    if library_of(array) == "cupy":
        return sys.modules["cupy"].ascontiguousarray(array, dtype)
    return np.require(array, dtype, ["C_CONTIGUOUS", "ALIGNED", "WRITEABLE"])


def check_finite(array: np.ndarray, name: str, fix: str = "Drop or repair it first.") -> None:
    finite = np.isfinite(array)
    if not finite.all():
        index = tuple(int(i) for i in np.argwhere(~finite)[0])
        at = ", ".join(map(str, index))
        raise ValueError(f"{name} must be finite; {name}[{at}] is {float(array[index])}. {fix}")
