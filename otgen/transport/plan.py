"""The plan of entropic transport as an operator: n x m numbers that are never stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .. import devices
from ..arrays import Home, library_of, read_vector

Array = np.ndarray

LARGEST_ARRAY = 2**26
"""Entries, 512 MB of float64, up to which `toarray` needs no force."""

CHUNK = 2**22
"""Entries of the dense rows that are held at once."""


class SoftCosts(Protocol):
    """Soft reductions over the pairs that carry mass, as otgen_kernels.SoftPairs."""

    shape: tuple[int, int]

    def transform(self, side: int, h: Array, eps: float, near: Array | None = None, *, single: bool = False) -> Array:
        """-eps log sum_j exp((h_j - c_ij) / eps)."""
        ...

    def average(self, side: int, f: Array, h: Array, eps: float, columns: Array, *, single: bool = False) -> Array:
        """sum_j exp((f_i + h_j - c_ij) / eps) V_j."""
        ...


class CostRows(Protocol):
    """Dense rows of the costs between the points that carry mass."""

    def __call__(self, rows: Array) -> Array:
        """c_ij for the given i and every j, (k, m) float64."""
        ...


@dataclass(frozen=True)
class Scaling:
    """pi_ij = exp((left_i + right_j - c_ij) / eps) on the points kept: potentials with eps log of the weights added."""

    soft: SoftCosts
    cost_rows: CostRows
    left: Array
    right: Array
    eps: float
    keep_x: Array
    keep_y: Array
    single: bool


class EntropicPlan:
    """pi_ij = a_i b_j exp((f_i + g_j - c_ij) / eps), of shape (n, m), computed where it is used.

    plan @ V           sum_j pi_ij V_j for V (m,) or (m, k): a pass over all pairs, memory O(n + m)
    plan.T @ V         sum_i pi_ij V_i
    plan.rows(i)       the rows of an index, a slice or a list of indices, dense: (m,) or (len(i), m)
    plan.marginals()   row sums (n,) and column sums (m,)
    plan.toarray()     all of it; refused above 2^26 entries unless force=True

    In the library and precision of the user's arrays; no gradients.
    """

    __array_ufunc__ = None  # array @ plan and array * plan are answered here, or refused, not entry by entry

    def __init__(self, scaling: Scaling, home: Home, *, transposed: bool = False) -> None:
        self._scaling, self._home, self._transposed = scaling, home, transposed

    @property
    def _held(self) -> Any:
        """An array that lies where the pairs are worked on."""
        return self._scaling.left

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m), points without mass included."""
        n, m = len(self._scaling.keep_x), len(self._scaling.keep_y)
        return (m, n) if self._transposed else (n, m)

    @property
    def dtype(self) -> np.dtype:
        """The precision of what comes out."""
        return self._home.dtype

    @property
    def T(self) -> EntropicPlan:
        """The transposed plan (m, n)."""
        return EntropicPlan(self._scaling, self._home, transposed=not self._transposed)

    @devices.on_device
    def __matmul__(self, V: Any) -> Any:
        ours = "torch" if self._home.is_torch else "cupy" if self._home.device is not None else "numpy"
        if (library_of(V) or "numpy") != ours:
            raise TypeError(f"plan @ V needs V in the library of the points; got {type(V).__name__}. Convert it.")
        values = read_vector(V, "V", axes=(1, 2))
        if values.shape[0] != self.shape[1]:
            raise ValueError(
                f"V must have {self.shape[1]} rows, one for each column of the plan {self.shape}; got shape "
                f"{values.shape}. Pass plan.T @ V for the other side."
            )
        return self._home.array(self._apply(values))

    def __rmatmul__(self, V: Any) -> Any:
        return (self.T @ V.T).T

    @devices.on_device
    def marginals(self) -> tuple[Any, Any]:
        """Return the row sums and the column sums."""
        sides = ((side, np.ones_like(self._held, np.float64, shape=side.shape[1:])) for side in (self, self.T))
        return tuple(self._home.array(side._apply(ones)) for side, ones in sides)

    @devices.on_device
    def rows(self, i: Any) -> Any:
        """Return row i, or the rows of a slice or of an index array, dense."""
        scaling = self._scaling
        if self._transposed:
            raise TypeError("rows() reads rows of the plan, not of plan.T. For columns: plan.T @ one-hot vectors.")
        wanted = np.atleast_1d(np.arange(self.shape[0])[self._index(i)])
        wanted = devices.beside(self._held, wanted)
        kept = scaling.keep_x[wanted]
        place = np.cumsum(scaling.keep_x) - 1
        out = np.zeros((len(wanted), self.shape[1]), like=self._held)
        out[np.ix_(np.flatnonzero(kept), np.flatnonzero(scaling.keep_y))] = _dense(scaling, place[wanted[kept]])
        return self._home.array(out[0] if np.ndim(i) == 0 and not isinstance(i, slice) else out)

    @devices.on_device
    def toarray(self, *, force: bool = False) -> Any:
        """Return the whole plan, dense; raises ValueError above 2^26 entries unless force=True."""
        n, m = self.shape
        if n * m > LARGEST_ARRAY and not force:
            raise ValueError(
                f"the plan {self.shape} has {n * m:,} entries, more than {LARGEST_ARRAY:,}. Use plan @ V or "
                "plan.rows(i), or toarray(force=True)."
            )
        scaling = self._scaling
        out = np.zeros((len(scaling.keep_x), len(scaling.keep_y)), self._home.dtype, like=self._held)
        kept, columns = np.flatnonzero(scaling.keep_x), np.flatnonzero(scaling.keep_y)
        step = max(CHUNK // len(columns), 1)
        for lo in range(0, len(kept), step):
            rows = np.arange(lo, min(lo + step, len(kept)), like=kept)
            out[np.ix_(kept[lo : lo + step], columns)] = _dense(scaling, rows)
        return self._home.array(out.T if self._transposed else out)

    def _index(self, i: Any) -> Any:
        if isinstance(i, slice):
            return i
        n = self.shape[0]
        fix = f"i must be a row of the plan (from {-n} to {n - 1}), a slice, a list of rows or a mask of {n}"
        try:
            rows = np.asarray(i.detach().cpu() if library_of(i) == "torch" else devices.fetch(i))
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(f"{fix}; got {type(i).__name__}. Pass integers.") from error
        if rows.dtype == bool and rows.shape == (n,):
            return rows
        if rows.ndim > 1 or not (rows.dtype.kind in "iu" or rows.size == 0):
            raise TypeError(f"{fix}; got {type(i).__name__} of shape {rows.shape}. Pass integers.")
        if ((rows < -n) | (rows >= n)).any():
            raise IndexError(f"{fix}; got {rows.min()} to {rows.max()}. Leave out those that are none.")
        return rows.astype(np.int64)

    def _apply(self, values: Array) -> Array:
        scaling = self._scaling
        keep_out, keep_in = (scaling.keep_x, scaling.keep_y)[:: -1 if self._transposed else 1]
        left, right = (scaling.left, scaling.right)[:: -1 if self._transposed else 1]
        columns = values[keep_in].reshape(int(keep_in.sum()), -1)
        found = scaling.soft.average(int(self._transposed), left, right, scaling.eps, columns, single=scaling.single)
        out = np.zeros((self.shape[0], columns.shape[1]), like=found)
        out[np.flatnonzero(keep_out)] = found
        return out.reshape(self.shape[0], *values.shape[1:])

    def __repr__(self) -> str:
        n, m = self.shape
        return f"EntropicPlan of {n:,} x {m:,} entries, eps {self._scaling.eps:g}, computed on demand"


def _dense(scaling: Scaling, rows: Array) -> Array:
    """The rows of the plan among the points kept, float64."""
    exponent = scaling.left[rows, None] + scaling.right - scaling.cost_rows(rows)
    return np.exp(exponent / scaling.eps)


def draw(plan: EntropicPlan, rows: Array, rng: np.random.Generator) -> Array:
    """Draw one column for each given row, with chances proportional to the row of the plan."""
    columns = np.empty(len(rows), np.int64, like=rows)
    step = max(CHUNK // plan.shape[1], 1)
    scaling = plan._scaling
    place, names = np.cumsum(scaling.keep_x) - 1, np.flatnonzero(scaling.keep_y)
    for lo in range(0, len(rows), step):
        dense = np.cumsum(_dense(scaling, place[rows[lo : lo + step]]), axis=1)
        marks = devices.beside(dense, rng.random(len(dense))) * dense[:, -1]
        found = (dense <= marks[:, None]).sum(axis=1)
        columns[lo : lo + step] = names[np.minimum(found, len(names) - 1)]
    return columns
