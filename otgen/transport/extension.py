"""The smooth extension of a semi-discrete map: mixtures of neighbouring targets, and none across a jump of the map.

Algorithm 2 of AE-OT (An et al., ICLR 2020); on the jumps of T see Lei et al., arXiv 1902.02934.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

from otgen_kernels import PairIndex

from ..arrays import check_finite, host, plain
from ..options import is_real, read_count, read_seed

SEARCHED = 1 << 20
"""Pairs (x, nearest centre) of one search: arrays of 8 MB, and rows enough that preparing the centres is little."""

MIXED = 1 << 20
"""Coordinates of neighbouring targets gathered together: 8 MB."""

TILE = 1 << 15
"""Coordinates of targets whose angles are found together: the three arrays of 256 KB stay in the cache of a core."""

LARGEST = 1e150
"""Coordinates of targets beyond which the squares of their distances leave the range of float64."""

FIRST_DRAW = 64
"""Points drawn at least: so few that a single sample costs little."""

TRIES = 20_000
"""Points drawn before sampling may be called hopeless: at LEAST_KEPT twenty of them are kept."""

LEAST_KEPT = 1e-3
"""Share of the source that has to be kept: below it a point costs more than a thousand searches."""

ANGLED = 4096
"""Points whose neighbour angles make a quantile: the share below it is then met to about one per cent."""

STREAM = 0x0E47
"""Parts these draws from others of the same seed: on the points that made a centre one would meet the centre itself."""


class Source(Protocol):
    """A measure to draw from."""

    @property
    def dim(self) -> int:
        """The dimension d of its points."""
        ...

    def sample(self, n: int, rng: np.random.Generator, /) -> np.ndarray:
        """Return n independent points, float64 (n, d)."""
        ...


class Neighbours(NamedTuple):
    """The centres nearest to each x, nearest first, k being min(d, centres - 1)."""

    ids: np.ndarray
    """(N, k + 1), int64, rows of y."""
    distances: np.ndarray
    """(N, k + 1), |x - c_i|."""
    angles: np.ndarray
    """(N, k), radians: between the hyperplane of the first and those of the others."""


class Extension:
    """The extension of T(x) = y_i on cell i, from the targets y (n, d) and the mass centres (n, d) of the cells.

    Of the d + 1 centres nearest to x (fewer where fewer exist), i_0 the nearest, those k >= 1 are kept whose
    hyperplanes z = <x, y_i> + h_i meet that of i_0 at an angle theta_k <= theta:
        cos theta_k = (1 + <y_i0, y_ik>) / sqrt((1 + |y_i0|^2) (1 + |y_ik|^2)).
    x is mapped to sum_k T(c_ik) / |x - c_ik| over i_0 and the kept ones, the weights made to sum to 1. Where none is
    kept the map jumps, and x is rejected. Equally near centres are ordered by their rows.

    T(c_i) is taken to be y_i: a cell is convex and so holds its mass centre, and for the same reason the mean of any of
    its points. A centre estimated otherwise may miss its cell by noise; y_i is still the target of what it estimates,
    and needs no heights.

    A result lies in the convex hull of the kept targets, two at least. It is a target itself only where x is a centre,
    or the kept targets are equal. With one centre alone the map is constant and jumps nowhere: every x is kept and
    goes to that target, whatever theta. The angles are not invariant to a scaling of y: `quantile` gives a theta that
    follows it (theta in proportion to y where |y| is small against 1).

    A row of NaN in centres is a cell without centre, left out; `without_centre` counts them. seed is that of the
    methods whose seed is None; their draws are independent of default_rng(seed), from which the centres may stem.
    Memory O(n + block). Raises ValueError for y or centres that are not finite or of different shapes, for no centre
    at all, and for a source of another dimension.
    """

    def __init__(self, y: Any, centres: Any, source: Source, *, seed: int | np.random.Generator = 0):
        y, centres = _read_rows(y, "y"), _read_rows(centres, "centres")
        check_finite(y, "y")
        if np.abs(y).max(initial=0.0) > LARGEST:
            raise ValueError(f"y must not exceed {LARGEST:g} in size; it reaches {np.abs(y).max():g}. Rescale it.")
        if centres.shape != y.shape:
            raise ValueError(
                f"centres must have the shape of y, {y.shape}; got shape {centres.shape}. "
                "Pass a row for each target, NaN where a cell has no centre."
            )
        ids = np.flatnonzero(~np.isnan(centres).all(axis=1))
        if not len(ids):
            raise ValueError(
                f"centres must have a row that is not NaN; got {len(y)} cells, none with a centre. Draw more points."
            )
        broken = ids[~np.isfinite(centres[ids]).all(axis=1)]
        if len(broken):
            raise ValueError(
                f"centres must be finite, or NaN in all of a row; centres[{broken[0]}] is "
                f"{centres[broken[0]].tolist()}. Set the whole row of a cell without centre to NaN."
            )
        if source.dim != y.shape[1]:
            raise ValueError(
                f"source must have the dimension of y, {y.shape[1]}; got source.dim = {source.dim}. "
                "Pass the source that the map was fitted to."
            )
        read_seed(seed)
        self.without_centre = len(y) - len(ids)
        self._ids, self._targets, self._centres = ids, y[ids], centres[ids]
        self._source, self._seed = source, seed
        self._count = min(y.shape[1] + 1, len(ids))
        self._rows = max(SEARCHED // self._count, FIRST_DRAW)

    def angles(self, x: Any) -> Neighbours:
        """Return the nearest centres of x (N, d), their distances, and their dihedral angles with the first."""
        x = self._read(x)
        shape = len(x), self._count
        answer = Neighbours(np.empty(shape, np.int64), np.empty(shape), np.empty((len(x), self._count - 1)))
        for rows, places, distances, targets in self._blocks(x):
            answer.ids[rows], answer.distances[rows] = self._ids[places], distances
            answer.angles[rows] = dihedral_angles(targets)
        return answer

    def apply(self, x: Any, theta: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the images (N, d) of x (N, d), NaN where x is rejected, and whether each is kept (N,)."""
        return self._apply(self._read(x), check_theta(theta))

    def singular(self, x: Any, theta: float) -> np.ndarray:
        """Return where no neighbour is within theta (N,): the map has a jump there, and `apply` rejects x."""
        return self._singular(self._read(x), check_theta(theta))

    def threshold(
        self, theta: float | None = None, quantile: float | None = None, *, samples: int = ANGLED, seed: Any = None
    ) -> float:
        """Return theta, or that of `quantile(quantile, samples, seed)`: one of the two has to be given."""
        if (theta is None) == (quantile is None):
            got = "neither" if theta is None else f"theta={theta!r} and quantile={quantile!r}"
            raise ValueError(
                f"theta or quantile must be given, and not both; got {got}. "
                "Pass theta in radians, or quantile=0.9 for the angle that 9 in 10 neighbours do not exceed."
            )
        return check_theta(theta) if quantile is None else self.quantile(quantile, samples, seed)

    def quantile(self, q: float, samples: int = ANGLED, seed: int | np.random.Generator | None = None) -> float:
        """Return the least theta that a share q of the neighbour angles of fresh source points does not exceed.

        All angles theta_k of all points count alike: q is not the share of points kept, which is at least q. pi
        where there is but one centre. Raises ValueError where that angle is 0, as between equal targets.
        """
        if not is_real(q) or not 0 < q <= 1:
            raise ValueError(f"quantile must be a number in (0, 1]; got {q!r}. Pass 0.9 to keep 9 in 10 neighbours.")
        rng, samples = self._stream(seed, 0), read_count(samples, "samples")
        if self._count == 1:
            return math.pi
        found = np.concatenate([self.angles(x).angles.ravel() for x in self._draws(samples, rng)])
        theta = float(np.quantile(found, float(q), method="inverted_cdf"))
        if theta == 0:
            raise ValueError(
                f"quantile must give an angle above 0; got quantile={q!r}, where targets are equal and the angle is 0. "
                "Raise quantile, merge equal targets, or pass theta."
            )
        return theta

    def sample(self, n: int, theta: float, seed: int | np.random.Generator | None = None) -> np.ndarray:
        """Return n images (n, d) of points of the source, those rejected drawn anew.

        Raises ValueError where fewer than LEAST_KEPT of at least TRIES points are kept.
        """
        n, theta, rng = read_count(n, "n"), check_theta(theta), self._stream(seed, 1)
        found = np.empty((n, self._source.dim))
        have = drawn = 0
        while have < n:
            if drawn >= TRIES and have < LEAST_KEPT * drawn:
                raise ValueError(
                    f"theta must keep a share of {LEAST_KEPT:g} of the source at least; theta = {theta:.6g} kept "
                    f"{have} of {drawn} points, a rejection rate of {1 - have / drawn:.5f}. Raise theta, or quantile."
                )
            wanted = math.ceil(1.1 * (n - have) * (drawn + 1) / (have + 1))
            size = min(max(wanted, FIRST_DRAW), self._rows)
            points, kept = self._apply(self._draw(size, rng), theta)
            new = points[kept][: n - have]
            found[have : have + len(new)] = new
            have, drawn = have + len(new), drawn + size
        return found

    def rejection_rate(self, theta: float, n: int, seed: int | np.random.Generator | None = None) -> float:
        """Return the share of n points of the source that are rejected, an estimate of mu(singular)."""
        n, theta, rng = read_count(n, "n"), check_theta(theta), self._stream(seed, 2)
        return sum(int(np.count_nonzero(self._singular(x, theta))) for x in self._draws(n, rng)) / n

    def _apply(self, x: np.ndarray, theta: float) -> tuple[np.ndarray, np.ndarray]:
        points, kept = np.full(x.shape, np.nan), np.empty(len(x), bool)
        for rows, _, distances, targets in self._blocks(x):
            near = dihedral_angles(targets) <= theta
            kept[rows] = self._kept(near)
            points[rows] = np.where(kept[rows, None], _mix(distances, targets, near), np.nan)
        return points, kept

    def _singular(self, x: np.ndarray, theta: float) -> np.ndarray:
        kept = np.empty(len(x), bool)
        for rows, _, _, targets in self._blocks(x):
            kept[rows] = self._kept(dihedral_angles(targets) <= theta)
        return ~kept

    def _kept(self, near: np.ndarray) -> np.ndarray:
        return near.any(axis=1) | (self._count == 1)

    def _blocks(self, x: np.ndarray) -> Iterator[tuple[slice, np.ndarray, np.ndarray, np.ndarray]]:
        """Yield rows of x, the places of their nearest centres, the distances, and the targets (rows, k + 1, d)."""
        step = max(MIXED // (self._count * x.shape[1]), 1)
        for low in range(0, len(x), self._rows):
            # p = 1: squares of distances would leave the range of float64 long before the distances.
            pairs = PairIndex(x[low : low + self._rows], self._centres, metric="euclidean", p=1)
            distances, places = pairs.smallest_k(None, self._count)
            for at in range(0, len(places), step):
                part = slice(at, min(at + step, len(places)))
                rows = slice(low + part.start, low + part.stop)
                yield rows, places[part], distances[part], self._targets[places[part]]

    def _draws(self, n: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        for low in range(0, n, self._rows):
            yield self._draw(min(self._rows, n - low), rng)

    def _draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        x = host(self._source.sample(n, rng), "source.sample")
        if x.shape != (n, self._source.dim):
            raise ValueError(
                f"source.sample({n}, rng) must return shape ({n}, {self._source.dim}); got shape {x.shape}. "
                "Return a point a row."
            )
        x = plain(x, np.dtype(np.float64))
        check_finite(x, "source.sample", "Repair the source.")
        return x

    def _stream(self, seed: Any, purpose: int) -> np.random.Generator:
        seed = self._seed if seed is None else seed
        rng = read_seed(seed)
        if rng is seed:
            return rng
        return np.random.default_rng(np.random.SeedSequence(int(seed), spawn_key=(STREAM, purpose)))

    def _read(self, x: Any) -> np.ndarray:
        x = _read_rows(x, "x")
        if x.shape[1] != self._source.dim:
            raise ValueError(
                f"x must have shape (N, {self._source.dim}), as the source; got shape {x.shape}. Match their columns."
            )
        check_finite(x, "x")
        return x


def dihedral_angles(targets: np.ndarray) -> np.ndarray:
    """Return the angles (N, k) between the hyperplanes of targets[:, 0] and of targets[:, 1:], (N, k + 1, d).

    The normals are a = (y, -1) and b = (v, -1). With w = v - y, m = (y + v) / 2 and r what of w is normal to m,
        sin theta = |a ^ b| / (|a| |b|),   |a ^ b|^2 = |w|^2 + |m|^2 |r|^2,
    a sum without cancellation: the relative error is a few (1 + |m|) eps(float64) however small theta, down to 1e-150
    (below, squares lose digits, and from 1e-162 on theta is 0). Swapping y and v gives the same bits: a quantile of the
    angles would else keep a pair seen from one side and not from the other.
    """
    n, k, d = targets.shape
    angles = np.empty((n, k - 1))
    step = max(TILE // (k * d), 1)
    # Fresh arrays of this size would cost more, in pages handed out anew, than what is done with them.
    scratch = np.empty((2, min(step, n), k - 1, d))
    for low in range(0, n, step):
        tile = targets[low : low + step]
        angles[low : low + step] = _tile_angles(tile[:, :1], tile[:, 1:], *scratch[:, : len(tile)])
    return angles


def _tile_angles(y: np.ndarray, others: np.ndarray, w: np.ndarray, m: np.ndarray) -> np.ndarray:
    size, sizes = np.sqrt(1.0 + _dot(y, y)), np.sqrt(1.0 + _dot(others, others))
    np.subtract(others, y, out=w)
    np.add(others, y, out=m)  # twice what is called m above
    square = _dot(m, m)
    along = np.divide(_dot(m, w), square, out=np.zeros(square.shape), where=square > 0)
    r = np.subtract(w, np.multiply(along[:, :, None], m, out=m), out=m)
    # Not by the product |a| |b|, which may overflow; each quotient is finite and symmetric.
    more, less = np.maximum(size, sizes), np.minimum(size, sizes)
    sine = np.hypot(np.sqrt(_dot(w, w)) / more, np.sqrt(_dot(r, r)) / more * (0.5 * np.sqrt(square))) / less
    return np.arctan2(sine, (1.0 + _dot(others, y)) / more / less)


def check_theta(theta: Any) -> float:
    """Return theta as a float; raise unless it is an angle in (0, pi]."""
    if not is_real(theta) or not 0 < theta <= math.pi:
        raise ValueError(
            f"theta must be an angle in (0, pi], in radians; got {theta!r}. Pass a quantile instead to have it chosen."
        )
    return float(theta)


def _mix(distances: np.ndarray, targets: np.ndarray, near: np.ndarray) -> np.ndarray:
    """The inverse-distance averages (N, d) of the first target and of those near."""
    # In units of the first weight: 0 / 0, where x is a centre, is the weight 1, and all farther ones are 0 then.
    weights = np.divide(distances[:, :1], distances, out=np.ones_like(distances), where=distances > 0)
    weights[:, 1:] *= near
    weights /= weights.sum(axis=1, keepdims=True)
    return np.einsum("nk,nkd->nd", weights, targets)


def _dot(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """<u, v> along the last axis."""
    return np.einsum("nkd,nkd->nk", u, v)


def _read_rows(value: Any, name: str) -> np.ndarray:
    array = host(value, name)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"{name} must have shape (n, d), one point a row; got shape {array.shape}. Reshape it.")
    return plain(array, np.dtype(np.float64))
