"""The Bures distance of two covariances: how far apart normal laws of one mean are.

With factors S = L L^T it is the nuclear norm of L_x^T L_y that counts: B^2 = tr S_x + tr S_y - 2 |L_x^T L_y|_*, for any
factors. Knows no means and validates nothing. Arrays of CuPy stay on their GPU, where factors are made of eigenvectors.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from ..devices import is_on_gpu

EPS = float(np.finfo(np.float64).eps)
# The computed eigenvalues of a symmetric product are off by no more than this many eps of the largest: 1 to 5 measured.
ROUNDING = 8.0
# Eigenvalues count as 0 up to this many eps sqrt(d) of the largest: rounding of a matrix of rank below d leaves less.
RANK = 8.0
INVERSE_STEPS = 3  # of inverse iteration: eigenvalues of rounding are so far below the others that these find one
# The part of 2 sqrt(tr S_x tr S_y) by which eigenvalues may put the cross term off before singular values are taken, by
# a bound of which 1 / 1000 was measured where it is as large as this.
DOUBT = 1e-7
# Below this part of tr S_x + tr S_y the difference of traces has lost half its digits, and is taken before squaring.
CLOSE = 1e-6


class Spread:
    """A covariance 4^exponent S, S (d, d) with a largest entry of about 1, or F^T F in its place, F (r, d)."""

    def __init__(self, values: np.ndarray, *, rows: bool = False, eps: float = EPS) -> None:
        largest, power = float(np.abs(values).max()) if values.size else 0.0, 1 if rows else 2
        self.exponent = -(-math.frexp(largest)[1] // power)  # up: the factor is then scaled without rounding
        self.values = np.ldexp(values, -power * self.exponent)
        self.matrix, self.rows = (None, self.values) if rows else (self.values, None)
        self._noise = RANK * math.sqrt(values.shape[1]) * eps

    @cached_property
    def trace(self) -> float:
        return float((self.values**2).sum() if self.matrix is None else np.trace(self.values))

    @cached_property
    def factor(self) -> np.ndarray:
        """L (d, r) with S = L L^T; r < d where S is singular to rounding."""
        return self.rows.T if self.rows is not None else self._factored[0]

    @cached_property
    def inverse_factor(self) -> np.ndarray:
        """The pseudo-inverse (r, d) of the factor of a matrix."""
        factor, kept, _ = self._factored
        if kept is not None:
            return (factor / kept).T
        from scipy.linalg import solve_triangular

        return solve_triangular(factor, np.eye(len(factor)), lower=True, check_finite=False)

    @property
    def triangular(self) -> bool:
        """Whether the factor is lower triangular."""
        return self.matrix is not None and self._factored[1] is None

    @property
    def lowest(self) -> float:
        """The smallest eigenvalue of S where it is not positive beyond rounding; else 0."""
        return self._factored[2]

    @property
    def rank(self) -> int:
        """The columns of the factor, or a bound on them where it is not made yet."""
        if self.rows is not None:
            return len(self.rows)
        return self.factor.shape[1] if "_factored" in self.__dict__ else len(self.values)

    @cached_property
    def _factored(self) -> tuple[np.ndarray, np.ndarray | None, float]:
        """The factor of the matrix, the eigenvalues where it was made of them, and the lowest where it is not > 0."""
        assert self.matrix is not None
        # Cholesky saves the host half the time; on a GPU its triangular solves, one after the other, would cost that.
        factor = None if is_on_gpu(self.matrix) else _cholesky(self.matrix, self._noise)
        if factor is not None:
            return factor, None, 0.0
        values, vectors = np.linalg.eigh(self.matrix)
        keep = np.flatnonzero(values > self._noise * values[-1])
        return vectors[:, keep] * np.sqrt(values[keep]), values[keep], float(values[0])

    def same(self, other: Spread) -> bool:
        alike = self.exponent == other.exponent and (self.rows is None) == (other.rows is None)
        return alike and bool(np.array_equal(self.values, other.values))


def _cholesky(matrix: np.ndarray, noise: float) -> np.ndarray | None:
    """The lower factor, or None where the smallest eigenvalue could be rounding, as inverse iteration finds it."""
    from scipy.linalg import solve_triangular  # a tenth of a second that `import otgen` should not pay

    try:
        factor = np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return None
    vector, largest = np.random.default_rng(0).standard_normal(len(factor)), float(np.linalg.norm(matrix))
    for _ in range(INVERSE_STEPS):
        vector /= np.abs(vector).max()
        for transposed in (0, 1):
            vector = solve_triangular(factor, vector, lower=True, trans=transposed, check_finite=False)
        if not noise * largest * float(np.abs(vector).max()) < 1.0:
            return None
    return factor


def _product(x: Spread, y: Spread) -> np.ndarray:
    """The lower triangle of L^T S L, L the factor of x and S that of y."""
    if y.matrix is None:
        half = x.factor.T @ y.factor
        return half @ half.T
    if not x.triangular:
        return x.factor.T @ y.matrix @ x.factor
    from scipy.linalg import get_lapack_funcs

    [sygst] = get_lapack_funcs(("sygst",), dtype=np.float64)  # a quarter of the operations of the two products
    return sygst(y.matrix.T, x.factor.T, itype=2)[0].T


def _doubt(values: np.ndarray) -> float:
    """How far off the sum of the roots of computed eigenvalues is; inf where one of them may be 0.

    Their errors delta have either sign, and so have those of the roots, delta / (2 root): they add up in squares.
    """
    error = ROUNDING * EPS * values[-1]
    return 0.5 * error * math.sqrt((1.0 / values).sum()) if values[0] > error else math.inf


class Pair:
    """Two spreads, what they are apart, and how the one is carried to the other."""

    def __init__(self, x: Spread, y: Spread) -> None:
        self.x, self.y = x, y
        self.equal = x.same(y)

    def distance(self) -> float:
        """The root of tr S_x + tr S_y - 2 |L_x^T L_y|_*; 0 for equal spreads, real and >= 0 for all."""
        if self.equal:
            return 0.0
        top = max(self.x.exponent, self.y.exponent)
        x, y = self.x.exponent - top, self.y.exponent - top
        total = math.ldexp(self.x.trace, 2 * x) + math.ldexp(self.y.trace, 2 * y)
        squared = total - 2.0 * math.ldexp(self._cross(), x + y)
        if squared < CLOSE * total:
            squared = self._difference(x, y)
        return math.ldexp(math.sqrt(squared), top)

    def slope(self, side: int) -> np.ndarray:
        """The derivative I - A of the square of the distance in the covariance of one side, (d, d).

        On the support of this side A is what carries it to the other. Where this side is singular, A has also the part
        between its support and what is off it, so that L with S = L L^T may move; what is off it gets 0 among itself,
        where there is no derivative: the distance falls as the root there.
        """
        mine, other = (self.y, self.x) if side else (self.x, self.y)
        if self.equal:
            return np.zeros_like(mine.values)
        if mine.rank == len(mine.factor):
            found = self._stretch(side)
        else:
            half = other.factor @ (self._turn() if side else self._turn().T) @ mine.inverse_factor
            found = half + half.T - self._stretch(side)
        return np.diag(np.ones_like(found[0])) - np.ldexp(found, other.exponent - mine.exponent)

    def slope_in_rows(self, side: int) -> np.ndarray:
        """The derivative of the square of the distance in the rows F (r, d) of one side, S = F^T F."""
        mine, other = (self.y, self.x) if side else (self.x, self.y)
        assert mine.rows is not None
        if self.equal:
            return np.zeros_like(mine.rows)
        turn = self._turn().T if side else self._turn()
        carried = np.ldexp(turn @ other.factor.T, other.exponent - mine.exponent)
        return np.ldexp(2.0 * (mine.rows - carried), mine.exponent)

    def map(self, *, back: bool = False) -> np.ndarray:
        """The matrix A (d, d) with A S_x A^T = S_y that moves least; of a rank of S_y no greater than that of S_x.

        A = L_y V L_x^+, V the partial isometry that makes V L_x^T L_y symmetric and positive; back=True is its inverse
        between supports of one rank.
        """
        source, target = (self.y, self.x) if back else (self.x, self.y)
        shift = target.exponent - source.exponent
        if source.rank == target.rank == len(source.factor):
            return np.ldexp(self._stretch(int(back)), shift)
        left, _, right = self._svd
        shared = min(left.shape[1], right.shape[1])
        isometry = right[:, :shared] @ left[:, :shared].T
        return np.ldexp(target.factor @ (isometry.T if back else isometry) @ source.inverse_factor, shift)

    @cached_property
    def _svd(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Square P and Q and singular values s of L_x^T L_y = P s Q^T."""
        left, values, right = np.linalg.svd(self.x.factor.T @ self.y.factor)
        return left, values, right.T

    def _cross(self) -> float:
        """|L_x^T L_y|_* by the eigenvalues of L^T S L, or by singular values where small ones need their digits."""
        if "_svd" in self.__dict__:
            return float(self._svd[1].sum())
        small, large = (self.x, self.y) if self.x.rank <= self.y.rank else (self.y, self.x)
        if small.factor.shape[1] == 0:
            return 0.0
        values = np.linalg.eigvalsh(_product(small, large))
        if _doubt(values) <= DOUBT * 2.0 * math.sqrt(small.trace * large.trace):
            return float(np.sqrt(values).sum())
        return float(np.linalg.svd(small.factor.T @ large.factor, compute_uv=False).sum())

    def _difference(self, x: int, y: int) -> float:
        """|L_x P - L_y Q|^2 at these scales: the square of the distance as a sum of squares, which cancels nothing."""
        left, _, right = self._svd
        here, there = np.ldexp(self.x.factor @ left, x), np.ldexp(self.y.factor @ right, y)
        shared = min(here.shape[1], there.shape[1])
        step = here[:, :shared] - there[:, :shared]
        return float((step**2).sum() + (here[:, shared:] ** 2).sum() + (there[:, shared:] ** 2).sum())

    def _stretch(self, side: int) -> np.ndarray:
        """L^+T (L^T S L)^1/2 L^+, L the factor of one side and S the other spread."""
        mine = self.y if side else self.x
        left, values, right = self._svd
        own = (right if side else left)[:, : len(values)]
        half = np.sqrt(values)[:, None] * (own.T @ mine.inverse_factor)
        found = half.T @ half  # of one array: the host's BLAS then returns what is symmetric to the bit
        return 0.5 * (found + found.T) if is_on_gpu(found) else found

    def _turn(self) -> np.ndarray:
        """The partial isometry P Q^T of L_x^T L_y, without the directions that rounding alone has filled."""
        left, values, right = self._svd
        kept = int((values > ROUNDING * EPS * math.sqrt(max(left.shape[0], right.shape[0])) * values[:1]).sum())
        return left[:, :kept] @ right[:, :kept].T
