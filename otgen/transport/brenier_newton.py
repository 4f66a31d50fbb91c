"""Newton steps for the heights that give listed samples their masses: max over h of <h, nu> - mean of the smoothed u_h.

The smoothed u is eps log sum_i exp((<x, y_i> + h_i) / eps) over the sites listed for x. Its gradient nu - w and its
Hessian, minus the Laplacian of `otgen_kernels.Lists`, cost O(k) a sample; a block of samples is listed once,
O(n d) a sample, and serves until h has moved away from where it was listed. Steps solve L v = target - w by
conjugate gradients (2 to 4 iterations at d = 64, where every cell meets hundreds; up to 200 in the plane).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from otgen_kernels import Lists
from otgen_kernels.constants import LOW

MOST_STEPS = 10
MOST_PRODUCTS = 300
LOOSE = 0.1  # share of the residual (in the norm of the preconditioner) that a linear solve may leave
FIRST_RIDGE, LEAST_RIDGE = 0.03, 1e-4  # of nu / eps; less, and cells that have lost their samples move without bound
STALE = 0.5  # share of the depth of its lists by which h may move


@dataclass
class Block:
    """Samples listed at the heights terms; gap and depth: medians of how far the second and last sites lie below."""

    lists: Any  # otgen_kernels.Lists
    terms: np.ndarray
    gap: float
    depth: float

    @property
    def size(self) -> int:
        return len(self.lists.score)

    def is_stale(self, terms: np.ndarray) -> bool:
        """Whether too many sites have moved apart for the lists to hold the highest ones."""
        moved = (terms - self.terms).astype(np.float32)
        some = self.lists.index[:: max(self.size // 20_000, 1)]
        apart = moved[some[:, 1:]] - moved[some[:, :1]]
        return float(np.quantile(np.abs(apart), 0.95)) > STALE * self.depth


def shifted_terms(cells: Any, h: np.ndarray) -> np.ndarray:
    """The heights for scores of centred clouds, at most 0."""
    terms = cells.terms(h)
    return terms - terms.max()


def make_block(cells: Any, top: np.ndarray, index: np.ndarray, h: np.ndarray) -> Block:
    """Make a block of what cells.top found at h, in place."""
    terms = shifted_terms(cells, h)
    gap, depth = float(np.median(top[:, 0] - top[:, 1])), float(np.median(top[:, 0] - top[:, -1]))
    missing = top <= 0.5 * LOW
    for lo in range(0, len(top), 1 << 16):
        part = slice(lo, lo + (1 << 16))
        top[part] -= terms[index[part]].astype(np.float32)
    top[missing] = LOW
    if top.shape[1] == len(terms):
        depth = np.inf
    return Block(Lists(top, index, len(terms)), terms, gap, depth)


class Smoothed:
    """The smoothed dual of some blocks at one eps."""

    def __init__(self, blocks: list[Block], nu: np.ndarray, eps: float):
        self.blocks, self.nu, self.eps = blocks, nu, eps
        self.count = sum(block.size for block in blocks)

    def at(self, terms: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Masses w, the diagonal of the Laplacian, and sum (w - nu)^2 / nu."""
        low = terms - terms.max()
        parts = [block.lists.soften(low, self.eps) for block in self.blocks]
        mass = _sum(part[0] for part in parts) / self.count
        diagonal = _sum(part[1] for part in parts) / self.count
        return mass, diagonal, float(((mass - self.nu) ** 2 / self.nu).sum())

    def laplacian(self, v: np.ndarray) -> np.ndarray:
        return _sum(block.lists.laplacian(v, self.eps) for block in self.blocks) / self.count

    def step(self, wanted: np.ndarray, diagonal: np.ndarray, raised: np.ndarray) -> np.ndarray:
        """(L + diag(raised))^-1 wanted, by conjugate gradients."""
        scale = 1.0 / (diagonal + raised)
        v, residual = np.zeros_like(wanted), wanted - wanted.mean()
        z = scale * residual
        p, old = z.copy(), _dot(residual, z)
        enough = LOOSE * LOOSE * old
        for _ in range(MOST_PRODUCTS):
            if old <= enough or old == 0.0:
                break
            product = self.laplacian(p) + raised * p
            bend = _dot(p, product)
            if not bend > 0.0:
                break
            v += (old / bend) * p
            residual -= (old / bend) * product
            z = scale * residual
            new = _dot(residual, z)
            p = z + (new / old) * p
            old = new
        return v

    def hold(self, moved: np.ndarray, diagonal: np.ndarray, trust: float) -> np.ndarray:
        """moved with no site further than trust from the mean of its neighbours: lists hold while sites move alike."""
        apart = self.laplacian(moved) / diagonal
        return np.clip(apart, -trust, trust) + (moved - apart)

    def solve(
        self, start: np.ndarray, trust: float, enough: float, *, local: bool
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """Return heights whose lists hold, the masses there on the samples, and the steps taken.

        local: cells have few neighbours, and far ones may move far apart; else each moves by at most trust.
        """
        nu, best, ridge, failed = self.nu, start, FIRST_RIDGE, 0
        mass, diagonal, error = self.at(start)
        steps = 0
        while steps < MOST_STEPS and error > enough and failed < 3:
            steps += 1
            # A cell may quadruple or quarter its mass a step; one without mass is meant to get a little.
            target = np.clip(nu, mass / 4.0, np.maximum(4.0 * mass, nu / 20.0))
            raised = ridge * nu / self.eps
            v = self.step(target / target.sum() - mass, diagonal, raised)
            moved = best + v - start
            if local:
                moved = self.hold(moved, diagonal + raised, trust)
            else:
                moved = np.clip(moved, -trust, trust)
            tried = start + moved
            found = self.at(tried)
            if found[2] < error:
                failed = 0 if found[2] < 0.8 * error else failed + 1
                best, (mass, diagonal, error), ridge = tried, found, max(ridge / 4.0, LEAST_RIDGE)
            else:
                failed, ridge = failed + 1, ridge * 8.0
                if failed < 3:
                    self.at(best)  # the weights there, for the products
        return best, mass, steps


def _sum(parts: Iterable[Any]) -> Any:
    return sum(parts)


def _dot(x: np.ndarray, y: np.ndarray) -> float:
    # Not BLAS: it wakes its threads for so little.
    return float(np.einsum("i,i->", x, y))
