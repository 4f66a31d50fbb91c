"""Arrays from files: .npy, .npz, .csv, and .parquet/.feather where pyarrow is installed. Nothing is unpickled."""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .doctor import install_command

__all__ = ["read_points", "read_weights"]


def read_points(source: str) -> np.ndarray:
    """Points of shape (n, d) from a file; a one-dimensional array is n points on the line.

    `source` is a path; `file.npz:key` names one array of an archive. Raises ValueError for an unknown ending, an
    unreadable content or a wrong shape, OSError for a missing file, ModuleNotFoundError where pyarrow is wanting.
    """
    array = _read(source)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise ValueError(
            f"{source} must hold an array of shape (n, d); got shape {array.shape}. Reshape it to two axes."
        )
    return array


def read_weights(source: str) -> np.ndarray:
    """Weights of shape (n,) from a file; a single row or column counts as one. Raises as `read_points` does."""
    array = _read(source)
    if array.ndim == 2 and 1 in array.shape:
        array = array.ravel()
    if array.ndim != 1:
        raise ValueError(
            f"{source} must hold one weight a point, shape (n,); got shape {array.shape}. Save one column."
        )
    return array


def _read(source: str) -> np.ndarray:
    keyed = re.fullmatch(r"(.+\.npz):([^/\\]+)", source)
    path, key = (Path(keyed[1]), keyed[2]) if keyed else (Path(source), None)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(READERS)
        raise ValueError(f"{source} must end in one of {known}; got '{path.suffix}'. Save it in one of these.")
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file. Check the path.")
    array = _npz(path, key) if path.suffix.lower() == ".npz" else reader(path)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{source} must hold real numbers; its dtype is {array.dtype}. Convert it to float64.")
    return array


def _npy(path: Path) -> np.ndarray:
    try:
        with path.open("rb") as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:  # a damaged header alone has five: of tokenize, ast, struct, NumPy, or no memory for it
        raise ValueError(f"{path} must be a .npy file of plain numbers; reading it failed: {error}") from error


def _npz(path: Path, key: str | None = None) -> np.ndarray:
    try:
        archive = np.load(path, allow_pickle=False)
    except Exception as error:  # zipfile and NumPy each have their own exceptions here
        raise ValueError(f"{path} must be an .npz archive; reading it failed: {error}") from error
    if isinstance(archive, np.ndarray):
        raise ValueError(f"{path} must be an .npz archive; it is a .npy file. Rename it to {path.with_suffix('.npy')}.")
    with archive:
        names = list(archive.files)
        if key is None:
            if len(names) != 1:
                listed = f"{len(names)} arrays ({', '.join(names)}). Name one: {path}:KEY" if names else "no array."
                raise ValueError(f"{path} must hold an array; it holds {listed}")
            key = names[0]
        if key not in names:
            raise ValueError(f"{path} must hold an array '{key}'; it holds {', '.join(names) or 'none'}. Name one.")
        try:
            array = archive[key]
        except Exception as error:  # as for .npy, and zipfile's for a damaged or encrypted member
            raise ValueError(f"{path}:{key} must be plain numbers; reading it failed: {error}") from error
    if not isinstance(array, np.ndarray):  # NumPy hands over any other member of the zip as bytes
        raise ValueError(f"{path}:{key} must be an array; this member is not a .npy file. Save it with numpy.savez.")
    return array


def _csv(path: Path) -> np.ndarray:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            first = next((row for row in reader if any(cell.strip() for cell in row)), [])
            lines_read = reader.line_num
        if not first:
            raise ValueError("it is empty")
        if len(first) > 1 and not first[0].strip():
            raise ValueError("its first cell is empty, as above the row numbers of pandas: save it with index=False")
        # A header has no number at all; a first row that mixes both is a damaged row, not a header to drop.
        skip = 0 if any(_is_number(cell) for cell in first) else lines_read
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # "input contained no data": the error below says so
            array = np.loadtxt(
                path, delimiter=",", skiprows=skip, ndmin=2, encoding="utf-8-sig", comments=None, quotechar='"'
            )
        if array.size == 0:
            raise ValueError("it has only a header")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be UTF-8 text; reading it failed: {error}. Save it as UTF-8.") from error
    except (ValueError, csv.Error) as error:
        said = str(error).rstrip(".")
        raise ValueError(f"{path} must hold comma-separated numbers below an optional header; {said}.") from error
    return array


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _table(path: Path) -> np.ndarray:
    try:
        from pyarrow import feather, parquet
    except ModuleNotFoundError as error:
        command = install_command("pyarrow")
        message = f"reading {path} needs pyarrow, which is not installed. Install it: {command}"
        raise ModuleNotFoundError(message) from error
    try:
        table = parquet.read_table(path) if path.suffix.lower() == ".parquet" else feather.read_table(path)
    except Exception as error:  # pyarrow has a dozen of its own; ArrowInvalid alone is a ValueError
        raise ValueError(f"{path} must be a {path.suffix} table; reading it failed: {error}") from error
    columns = []
    for name in table.column_names:
        column = table.column(name).to_numpy()
        if column.dtype.kind not in "fiub":
            raise ValueError(f"{path} must hold numbers only; column '{name}' is {column.dtype}. Drop or encode it.")
        columns.append(column)
    if not columns:
        raise ValueError(f"{path} must hold at least one column; it has none.")
    return np.column_stack(columns)


READERS: dict[str, Callable[[Path], np.ndarray]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".csv": _csv,
    ".parquet": _table,
    ".feather": _table,
}
