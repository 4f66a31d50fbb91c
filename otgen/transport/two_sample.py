"""Permutation tests of whether two samples come from one distribution."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from otgen_kernels import host, kernel_forms, kernel_sum

from .. import devices
from ..arrays import read_points
from ..options import check_progress, read_count, read_seed
from .costs import check_p
from .directions import orthogonal
from .exact import wasserstein
from .kernel_choice import Kernel, parse_kernel

STATISTICS: dict[str, tuple[str, ...]] = {
    "mmd": ("kernel", "scales", "bandwidth"),
    "energy": (),
    "wasserstein": ("p",),
    "sliced": ("p", "n_projections"),
}
"""The statistics, and the options that each has."""
QUANTILES = (0.5, 0.9, 0.95, 0.99)
ROUNDING = 1e-12
"""Of the mean size of a kernel, or of the extent of lines: values closer than this are equal but for their rounding.

Without the equal ones among the labellings a p-value would be too small: samples with few values have many of them.
"""
AT_ONCE = 256
"""Permutations worked on together: their marks are 256 numbers a point, and a GEMM of this width runs at full speed."""


@dataclass(frozen=True, eq=False)
class TwoSampleTest:
    """The outcome of a permutation test.

    statistic: the discrepancy of the two samples as they are; p_value: the share of labellings, the one observed among
    them, whose discrepancy is at least as large, (1 + count) / (1 + n_permutations); null (n_permutations,): those of
    the permuted labels; null_quantiles: of those, at 0.5, 0.9, 0.95 and 0.99; bandwidth: that of the kernel, the median
    where it was asked for, None where there is none.
    """

    name: str
    statistic: float
    p_value: float
    null: np.ndarray
    null_quantiles: dict[float, float]
    bandwidth: float | None = None

    @property
    def n_permutations(self) -> int:
        """How many labels were drawn."""
        return len(self.null)

    def __repr__(self) -> str:
        bound = self.null_quantiles[0.95]
        return (
            f"TwoSampleTest: {self.name} {self.statistic:.6g}, p = {self.p_value:.4g} of {self.n_permutations:,} "
            f"permutations, 95 % of them below {bound:.6g}"
        )


@devices.on_device
def two_sample_test(
    x: Any,
    y: Any,
    *,
    statistic: str = "mmd",
    n_permutations: int = 999,
    seed: Any = 0,
    kernel: str | None = None,
    scales: Any = None,
    bandwidth: Any = None,
    p: float | None = None,
    n_projections: int | None = None,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> TwoSampleTest:
    """Test whether samples x (n, d) and y (m, d) come from one distribution, by permuting their labels.

    p_value = (1 + #{permutations whose discrepancy >= that observed}) / (1 + n_permutations): at most alpha with
    probability at most alpha where the distributions are one, for any n, m and statistic.

    statistic, and the options that it has: "mmd", mmd_squared (unbiased), with `kernel` (None: "imq"), `scales` and
    `bandwidth` (None: "median", over all points alike, whatever their labels); "energy", energy_distance_squared, with
    none; "wasserstein", exact W_p, with `p` (None: 1); "sliced", W_p along the directions that sliced_wasserstein draws
    by that seed, with `p` (None: 2) and `n_projections` (None: 128). An option of another statistic is refused.
    The first two take each pair's kernel once for 256 labellings, the last sorts each line once; "wasserstein" in more
    than one dimension solves a transport problem a permutation. float32 samples are worked on in float64, and
    discrepancies that only rounding parts (1e-12 of the kernel's mean size or of the extent, 1e-9 of exact W_p) count
    as equal, which can only raise p_value. For arrays on a GPU kernels are summed there; labellings are drawn, and
    lines compared, on the host.
    progress is called with {"permutations", "of", "seconds"}. Raises ValueError or TypeError for bad input.
    Source: Gretton et al., JMLR 13 (2012); Phipson and Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010), the + 1.
    """
    if not isinstance(statistic, str) or statistic not in STATISTICS:
        raise ValueError(f"statistic must be one of {', '.join(STATISTICS)}; got {statistic!r}. Pass 'mmd'.")
    count, rng = read_count(n_permutations, "n_permutations", "labellings to draw"), read_seed(seed)
    _check_options(statistic, kernel=kernel, scales=scales, bandwidth=bandwidth, p=p, n_projections=n_projections)
    chosen = Kernel("energy", (), None)
    if statistic == "mmd":
        name, h = "imq" if kernel is None else kernel, "median" if bandwidth is None else bandwidth
        chosen = parse_kernel(name, scales, h)
    power = check_p(p if p is not None else 1 if statistic == "wasserstein" else 2)
    lines = read_count(128 if n_projections is None else n_projections, "n_projections", "directions")
    check_progress(progress)
    x_host, y_host, _ = read_points(x, y, transport=False, one_pair=True)
    pooled, width = np.concatenate([x_host, y_host]).astype(np.float64), None
    if statistic in ("mmd", "energy"):
        # The median draws by a generator of its own: labellings are the same where its value is given.
        own = np.random.default_rng(rng.integers(2**63))
        discrepancy = _Kernels(pooled, len(x_host), chosen, own, unbiased=statistic == "mmd")
        width = discrepancy.bandwidth if chosen.scales else None
    elif statistic == "sliced" and pooled.shape[1] > 1:
        directions = devices.beside(pooled, orthogonal(lines, pooled.shape[1], rng))
        discrepancy = _Lines(_centred(pooled) @ directions.T, power)
    elif pooled.shape[1] == 1:  # the only line there is
        discrepancy = _Lines(_centred(pooled), power)
    else:
        discrepancy = _Exact(pooled, power)
    found = np.concatenate(list(_labelled(discrepancy, len(x_host), len(pooled), count, rng, progress)))
    observed, null = float(found[0]), found[1:]
    if not np.isfinite(found).all():
        raise ValueError("the statistic leaves the range of float64. Rescale x and y together.")
    p_value = (1 + int((null >= observed - discrepancy.rounding).sum())) / (1 + count)
    quantiles = {q: float(value) for q, value in zip(QUANTILES, np.quantile(null, QUANTILES))}
    return TwoSampleTest(statistic, observed, p_value, null, quantiles, width)


def _check_options(statistic: str, **given: Any) -> None:
    for name, value in given.items():
        if value is not None and name not in STATISTICS[statistic]:
            known = ", ".join(STATISTICS[statistic]) or "none"
            raise ValueError(
                f"{name} must be left out for statistic='{statistic}', whose options are: {known}; got {value!r}."
            )


def _labelled(
    discrepancy: Any, n: int, size: int, count: int, rng: np.random.Generator, progress: Any
) -> Iterator[np.ndarray]:
    """The discrepancy of the labels as they are, first, then of `count` permutations, some at a time."""
    start, labels = time.perf_counter(), np.arange(size) < n
    done = -1
    while done < count:
        width = min(discrepancy.at_once, count - done)
        marks = rng.permuted(np.broadcast_to(labels, (width, size)), axis=1).T
        if done < 0:
            marks[:, 0] = labels
        yield discrepancy(marks)
        done += width
        if progress is not None:
            progress({"permutations": done, "of": count, "seconds": time.perf_counter() - start})


def _centred(points: np.ndarray) -> np.ndarray:
    """Points about the middle of their range, where their rounding is that of their differences."""
    return points - (0.5 * points.min(0) + 0.5 * points.max(0))


class _Kernels:
    """MMD^2 of labellings: the pairs within the marked points, by kernel_forms, say the other two sums.

    The smaller sample is the marked one: pairs of the larger would outweigh the others, with their rounding.
    """

    at_once = AT_ONCE

    def __init__(self, pooled: np.ndarray, n: int, kernel: Kernel, rng: np.random.Generator, *, unbiased: bool):
        ones = np.ones_like(pooled, np.float64, shape=(len(pooled),))
        m = len(pooled) - n
        if unbiased and min(n, m) < 2:
            raise ValueError(f"x and y must have two points each for statistic='mmd'; got {n} and {m}. Pass 'energy'.")
        self._flipped = n > m
        self._n, self._m = min(n, m), max(n, m)
        self._pooled, self._unbiased = pooled, unbiased
        self._options = kernel.options([pooled], [ones], rng)
        self.bandwidth = float(self._options["bandwidth"])
        whole = kernel_sum(pooled, None, ones, None, **self._options, sums=True, by_x=False, by_y=False)
        assert whole.rows is not None
        self._rows, self._total = whole.rows, float(whole.total)
        same = self._diagonal()
        self._same = same if unbiased else np.zeros_like(same)
        size = abs(self._total) / len(pooled) ** 2 + float(same.mean())
        self.rounding = ROUNDING * size

    def _diagonal(self) -> np.ndarray:
        if self._options["kernel"] != "polynomial":
            alone = host.kernel_profile(np.zeros(1), 1, **self._options)[0]
            return np.full_like(self._pooled, alone[0], np.float64, shape=(len(self._pooled),))
        points = self._pooled
        squares = devices.fetch(np.einsum("ij,ij->i", points, points))
        return devices.beside(points, host.kernel_profile(squares, points.shape[1], **self._options)[0])

    def __call__(self, marks: np.ndarray) -> np.ndarray:
        n, m = self._n, self._m
        marks = devices.beside(self._pooled, ~marks if self._flipped else marks)
        within_x = kernel_forms(self._pooled, marks, **self._options)
        across = self._rows @ marks - within_x
        within_y = self._total - within_x - 2.0 * across
        same_x = self._same @ marks
        same_y = self._same.sum() - same_x
        left = 1 if self._unbiased else 0
        x, y = (within_x - same_x) / (n * (n - left)), (within_y - same_y) / (m * (m - left))
        return devices.fetch(x + y - 2.0 * across / (n * m))


class _Lines:
    """(Mean W_p^p)^(1/p) along lines of labellings, each line sorted once."""

    at_once = AT_ONCE

    def __init__(self, values: np.ndarray, p: float):
        self._values, self._p = devices.fetch(values), p
        self.rounding = ROUNDING * float(np.abs(self._values).max())

    def __call__(self, marks: np.ndarray) -> np.ndarray:
        return host.line_forms(self._values, marks, p=self._p)


class _Exact:
    """Exact W_p of labellings, one transport problem each."""

    at_once = 1

    def __init__(self, pooled: np.ndarray, p: float):
        self._pooled, self._p = pooled, p
        self.rounding = 0.0

    def __call__(self, marks: np.ndarray) -> np.ndarray:
        first = devices.beside(self._pooled, marks[:, 0])
        found = wasserstein(self._pooled[first], self._pooled[~first], p=self._p)
        self.rounding = max(self.rounding, 1e-9 * found)  # what a proven value may be off by
        return np.array([found])
