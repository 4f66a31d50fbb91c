"""Listed pairs against dense formulas among themselves, and what a list may leave out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist

import naive_entropic
from otgen_kernels.cpu import soft_active
from otgen_kernels.cpu.soft import SoftMatrix, SoftPairs
from otgen_kernels.cpu.soft_active import ActivePairs

BITS = 12.0


class Listed:
    """A list with what it was made from: costs, potentials of which f answers g, weights."""

    def __init__(self, make, x, y, a, b, metric: Any = "euclidean", p=2.0, share=0.01, bits=BITS):
        self.C, self.a, self.b = cdist(x, y, metric) ** p, a, b
        self.eps = share * float(self.C.mean())
        self.soft = make(x, y, self.C)
        g = np.zeros(len(b))
        for _ in range(30):
            f = naive_entropic.smooth_min(self.C - g, b / b.sum(), self.eps)
            g = naive_entropic.smooth_min(self.C.T - f, a / a.sum(), self.eps)
        self.f = naive_entropic.smooth_min(self.C - g, b, self.eps)
        self.g, self.bits = g, bits
        self.active = self.soft.active(self.f, g, b, self.eps, bits)

    def plan(self):
        return naive_entropic.plan(self.C, self.a, self.b, self.f, self.g, self.eps)

    def mask(self):
        starts, names, _ = self.active._list
        out = np.zeros(self.C.shape, bool)
        out[np.repeat(np.arange(len(starts) - 1), np.diff(starts)), names.astype(int)] = True
        assert out.sum() == names.size  # no pair twice
        return out


def clouds(rng, n=300, m=260, d=12):
    a, b = rng.random(n) + 0.05, rng.random(m) + 0.05
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.3, a / a.sum(), b / b.sum()


def points(metric="euclidean", p=2.0):
    return lambda x, y, C: SoftPairs(x, y, metric=metric, p=p)


def restricted(costs, mask, h, eps):
    """-eps log sum_j exp((h_j - c_ij) / eps) over the pairs of the mask."""
    return np.array([
        naive_entropic.smooth_min(c[None, keep] - h[keep], np.ones(keep.sum()), eps)[0] for c, keep in zip(costs, mask)
    ])  # fmt: skip


def check(listed, rng, drift=0.5):
    """Both sides of `transform` among the listed pairs, for potentials that have moved on from those of the list."""
    assert isinstance(listed.active, ActivePairs)
    mask, eps, near = listed.mask(), listed.eps, listed.active.rounding(listed.eps, True)
    assert mask.mean() <= soft_active.ACTIVE_SHARE and listed.active.shape == mask.shape
    h = listed.g + eps * (np.log(listed.b) + drift * rng.normal(size=len(listed.b)))
    found = listed.active.transform(0, h, eps)
    np.testing.assert_allclose(found, restricted(listed.C, mask, h, eps), atol=eps * near)
    h = listed.f + eps * (np.log(listed.a) + drift * rng.normal(size=len(listed.a)))
    expected = restricted(listed.C.T, mask.T, h, eps)
    for guess in (expected, expected + 20.0 * eps, expected - 20.0 * eps):
        np.testing.assert_allclose(listed.active.transform(1, h, eps, guess), expected, atol=eps * near)
    return mask


def check_skipped(listed, mask):
    """Less than 2^-bits of every row and column of the plan is outside the list, up to float32."""
    outside = np.where(mask, 0.0, listed.plan())
    most = 2.0**-listed.bits * (1.0 + 2.0 * listed.active.rounding(listed.eps, True))
    assert (outside.sum(1) <= most * listed.a).all() and (outside.sum(0) <= most * listed.b).all()


@pytest.mark.parametrize(
    ("metric", "p", "d", "share"),
    [
        ("euclidean", 2.0, 12, 0.01), ("euclidean", 1.0, 12, 0.01), ("euclidean", 4.0, 12, 0.01),
        ("euclidean", 3.0, 12, 0.01), ("cityblock", 1.0, 9, 0.01), ("chebyshev", 2.0, 9, 0.01),
        ("cosine", 1.0, 12, 0.005),
    ],
)  # fmt: skip
def test_every_cost(metric, p, d, share, rng):
    listed = Listed(points(metric, p), *clouds(rng, d=d), metric, p, share, bits=6.0)
    check_skipped(listed, check(listed, rng))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_matrices(dtype, rng):
    listed = Listed(lambda x, y, C: SoftMatrix(C.astype(dtype)), *clouds(rng))
    listed.C = listed.C.astype(dtype).astype(float)
    check_skipped(listed, check(listed, rng))


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_matrices_of_any_size(scale, rng):
    x, y, a, b = clouds(rng)
    listed = Listed(lambda x, y, C: SoftMatrix(scale * C), x, y, a, b)
    assert listed.active is None or not listed.mask().all()
    listed.C, listed.f, listed.g, listed.eps = (scale * z for z in (listed.C, listed.f, listed.g, listed.eps))
    listed.active = listed.soft.active(listed.f, listed.g, b, listed.eps, BITS)
    check_skipped(listed, check(listed, rng))


@pytest.mark.parametrize("size", [(257, 511), (255, 129), (512, 64), (700, 513)])
def test_sizes_around_the_tiles(size, rng):
    listed = Listed(points(), *clouds(rng, *size), share=0.003)
    check_skipped(listed, check(listed, rng))


def test_weights_of_very_different_sizes(rng):
    x, y, a, b = clouds(rng)
    a, b = (10.0 ** -rng.uniform(0, 12, len(w)) for w in (a, b))
    listed = Listed(points(), x, y, a / a.sum(), b / b.sum(), share=0.003)
    check_skipped(listed, check(listed, rng))


@pytest.mark.parametrize("total", [1e-6, 1e6])
def test_masses_other_than_one(total, rng):
    x, y, a, b = clouds(rng)
    listed = Listed(points(), x, y, total * a, total * b)
    check_skipped(listed, check(listed, rng))


def test_a_list_of_everything_is_the_problem_itself(rng, monkeypatch):
    monkeypatch.setattr(soft_active, "ACTIVE_SHARE", 10.0)
    listed = Listed(points(), *clouds(rng), share=0.3, bits=300.0)
    assert listed.mask().all()
    near = 4.0 * listed.eps * listed.active.rounding(listed.eps, True)
    h = listed.g + listed.eps * np.log(listed.b)
    np.testing.assert_allclose(
        listed.active.transform(0, h, listed.eps), listed.soft.transform(0, h, listed.eps), atol=near
    )
    h = listed.f + listed.eps * np.log(listed.a)
    expected = listed.soft.transform(1, h, listed.eps)
    np.testing.assert_allclose(listed.active.transform(1, h, listed.eps, expected), expected, atol=near)


def test_the_longest_list_that_is_short_enough_is_taken(rng, monkeypatch):
    x, y, a, b = clouds(rng)
    shares = {}
    for allowed in (0.024, 0.036, 0.1):
        monkeypatch.setattr(soft_active, "ACTIVE_SHARE", allowed)
        listed = Listed(points(), x, y, a, b, share=0.01, bits=4.0)
        shares[allowed] = listed.mask().mean()
        assert shares[allowed] <= allowed
        check_skipped(listed, listed.mask())
    assert shares[0.024] < shares[0.036] < shares[0.1]


def test_none_where_a_list_does_not_pay(rng, monkeypatch):
    x, y, a, b = clouds(rng)
    assert Listed(points(), x, y, a, b, share=1.0).active is None  # everything matters
    assert Listed(points(), x[:, :2].copy(), y[:, :2].copy(), a, b).active is None  # few dimensions skip as they go
    assert Listed(points(), x[:2], y[:3], a[:2], b[:3]).active is None  # no room
    monkeypatch.setattr(soft_active, "ACTIVE_PAIRS", 100)
    assert Listed(points(), x, y, a, b).active is None


def test_none_where_a_row_or_a_column_has_no_pair(rng):
    x, y, a, b = clouds(rng)
    listed = Listed(points(), x, y, a, b)
    assert listed.active is not None
    for f, g in ((1, 0), (0, 1)):
        f, g = f * (np.arange(300) == 7) * -1e3, g * (np.arange(260) == 9) * -1e3
        assert listed.soft.active(listed.f + f, listed.g + g, b, listed.eps, BITS) is None


def test_any_number_of_threads_gives_the_same_numbers(rng, monkeypatch):
    x, y, a, b = clouds(rng, 1100, 900)
    found = []
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("OTGEN_NUM_THREADS", threads)
        listed = Listed(points(), x, y, a, b)
        h, back = listed.g + listed.eps * np.log(b), listed.f + listed.eps * np.log(a)
        columns = listed.active.transform(1, back, listed.eps, listed.g)
        found.append((*listed.active._list, listed.active.transform(0, h, listed.eps), columns))
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, two)
