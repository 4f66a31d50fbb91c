"""Averages and gradients of the GPU in low dimension and float32 against their definition in float64."""

from __future__ import annotations

import numpy as np
import pytest

import naive
from otgen_kernels.cuda import soft, soft_small

COSTS = [("euclidean", 2.0), ("euclidean", 1.0), ("euclidean", 1.5), ("euclidean", 4.0), ("cityblock", 1.0),
         ("cityblock", 2.0), ("chebyshev", 1.0), ("chebyshev", 3.0), ("cosine", 1.0)]  # fmt: skip


def definition(x, y, metric, p):
    """Costs (n, m) and their gradients in x (n, m, d), in float64."""
    norms = np.sqrt((x**2).sum(1))[:, None, None]
    if metric == "cosine":
        x, y = x / norms[:, 0], y / np.sqrt((y**2).sum(1, keepdims=True))
    away = x[:, None] - y
    if metric == "euclidean":
        s, steep = np.sqrt((away**2).sum(2)), away
    elif metric == "cosine":
        s, steep = 0.5 * (away**2).sum(2), away
    elif metric == "cityblock":
        s, steep = np.abs(away).sum(2), np.sign(away)
    else:
        s, lowest = np.abs(away).max(2), np.abs(away).argmax(2)
        steep = np.sign(away) * (np.arange(x.shape[1]) == lowest[..., None])
    power = p - 2.0 if metric == "euclidean" else p - 1.0
    with np.errstate(divide="ignore"):
        gradients = p * np.where(s > 0.0, s**power, 0.0)[..., None] * steep
    if metric == "cosine":
        gradients = (gradients - x[:, None] * (x[:, None] * gradients).sum(2, keepdims=True)) / norms
    return s**p, gradients


def weights(costs, h, eps):
    """f with rows that sum to 1, and these p."""
    z = (h - costs) / eps
    top = z.max(1, keepdims=True)
    total = np.exp(z - top).sum(1, keepdims=True)
    return -eps * (top + np.log(total))[:, 0], np.exp(z - top) / total


def compare(cupy, ours, x, y, h, eps, metric, p, reach, columns=None):
    """The error, relative to sums without signs, of gradients, with masses too, and of averages, on both sides."""
    for side, (u, v) in enumerate(((x, y), (y, x))):
        costs, gradients = definition(u, v, metric, p)
        f, plan = weights(costs, h[1 - side], eps)
        given = cupy.asarray(f), cupy.asarray(h[1 - side]), eps
        size = np.sqrt((np.einsum("ij,ijc->ic", plan, np.abs(gradients)) ** 2).sum(1)).max()
        mass = np.linspace(0.0, 2.0, len(u))
        for scale, masses in ((1.0, None), (mass[:, None], cupy.asarray(mass))):
            found = ours.gradient(side, *given, masses, single=True)
            assert isinstance(found, cupy.ndarray) and found.dtype == np.float64
            wanted = scale * np.einsum("ij,ijc->ic", plan, gradients)
            assert np.abs(cupy.asnumpy(found) - wanted).max() <= reach * size + 1e-300
        values = v if columns is None else columns[1 - side]
        found = cupy.asnumpy(ours.average(side, *given, cupy.asarray(values), single=True))
        assert found.shape == (len(u), values.shape[1])
        assert (np.abs(found - plan @ values) <= reach * np.abs(values).max(0, initial=0.0)).all()


@pytest.fixture
def launched(monkeypatch):
    """Which sums were made: those of tiles of neighbours (mode), and those of all pairs ("tiles", rows)."""
    seen = []
    small, tiles = soft_small.SmallPairs._launch, soft.SoftPairs._reduce

    def count_small(self, mode, *given):
        seen.append(mode)
        return small(self, mode, *given)

    def count_tiles(self, mode, side, h, eps, single, width=0, values=None, rows=None):
        seen.append(("tiles", None if rows is None else len(rows)))
        return tiles(self, mode, side, h, eps, single, width, values, rows)

    monkeypatch.setattr(soft_small.SmallPairs, "_launch", count_small)
    monkeypatch.setattr(soft.SoftPairs, "_reduce", count_tiles)
    return seen


FAST = 2 * [soft.GRADIENT, soft.GRADIENT, soft.AVERAGE]


@pytest.mark.parametrize(("metric", "p"), [*COSTS, ("cosine", 2.0)])
def test_the_definition_is_the_loops(rng, metric, p):
    x, y = rng.normal(size=(3, 2)), rng.normal(size=(4, 2))
    y[0], y[1] = x[0], x[1] + 0.5  # coincident; tied coordinates
    costs, gradients = definition(x, y, metric, p)
    np.testing.assert_allclose(costs, naive.costs(x, y, metric, p), atol=1e-13)
    np.testing.assert_allclose(gradients, naive.cost_gradients(x, y, metric, p), atol=1e-13)


@pytest.mark.parametrize(("metric", "p", "d"), [*((*cost, 3) for cost in COSTS),
                                                *(("euclidean", 2.0, d) for d in (1, 2, 4, 5, 8))])  # fmt: skip
def test_every_cost_and_dimension(cupy, rng, launched, metric, p, d):
    for n, m in ((1, 1), (3, 129), (140, 300)):
        x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.5
        y[: min(n, m) // 2] = x[: min(n, m) // 2]  # coincident points
        y[m // 2 + 1 :: 7] = y[m // 2]  # and duplicates
        ours = soft.SoftPairs(cupy.asarray(x), cupy.asarray(y), metric=metric, p=p)
        largest = definition(x, y, metric, p)[0].max() + 0.1
        columns = [np.asfortranarray(rng.normal(size=(size, 5)) * np.logspace(-30, 30, 5)) for size in (n, m)]
        for eps in (largest, 0.02 * largest):
            launched.clear()
            h = [0.3 * eps * rng.normal(size=size) for size in (n, m)]
            compare(cupy, ours, x, y, h, eps, metric, p, 1e-5, columns)
            if eps == largest:
                assert launched == FAST


def potentials(x, y, eps):
    """Offsets as Sinkhorn leaves them, for uniform weights."""
    costs = definition(x, y, "euclidean", 2.0)[0]
    h = -eps * np.log(len(y)) * np.ones(len(y))
    for _ in range(3):
        g = weights(costs, h, eps)[0] - eps * np.log(len(x))
        h = weights(costs.T, g, eps)[0] - eps * np.log(len(y))
    return [g, h]


@pytest.mark.parametrize("far", [0.0, 1e6])
def test_small_eps_and_clouds_far_from_the_origin(cupy, rng, launched, monkeypatch, far):
    monkeypatch.setattr(soft_small, "BLOCKS", 1)  # few blocks: each takes many tiles, and passes over most
    x, y = rng.random((600, 2)) + far, rng.random((550, 2)) + far + 5.0
    ours = soft.SoftPairs(cupy.asarray(x), cupy.asarray(y), metric="euclidean", p=2.0)
    for eps in (1.0, 0.02):  # 28 bits are 0.6 of a square's width, tiles 0.4
        launched.clear()
        compare(cupy, ours, x, y, potentials(x, y, eps), eps, "euclidean", 2.0, 1e-5)
        assert launched == FAST


@pytest.mark.parametrize(("metric", "p"), [("euclidean", 2.0), ("euclidean", 1.0)])
@pytest.mark.parametrize("slope", [-300.0, 300.0])
def test_tiles_that_raise_a_rows_maximum_or_cannot_be_seen(cupy, rng, monkeypatch, launched, metric, p, slope):
    monkeypatch.setattr(soft_small, "BLOCKS", 1)
    monkeypatch.setattr(soft, "MOST_ROUNDING", np.inf)
    monkeypatch.setattr(soft, "MOST_BITS", np.inf)
    x, y = 0.001 * rng.random((40, 2)), np.sort(rng.random((700, 2)), axis=0)
    ours = soft.SoftPairs(cupy.asarray(x), cupy.asarray(y), metric=metric, p=p)
    for eps in (0.05, 0.002):
        launched.clear()
        h = [np.zeros(40), slope * eps * y[:, 0]]  # hundreds of bits from one end of the columns to the other
        compare(cupy, ours, x, y, h, eps, metric, p, 1e-5 / min(1.0, 20.0 * eps))
        assert launched == FAST


def test_rows_whose_tiles_are_too_large_are_done_in_float64(cupy, rng, launched, monkeypatch):
    # Two clusters: the curve's run that goes from one to the other makes a tile as wide as both.
    x, y = (rng.random((600, 5)) + 50.0 * (rng.random((600, 1)) < 0.4) for _ in range(2))
    ours = soft.SoftPairs(cupy.asarray(x), cupy.asarray(y), metric="euclidean", p=2.0)
    eps = 0.5
    h = potentials(x, y, eps)
    compare(cupy, ours, x, y, h, eps, "euclidean", 2.0, 1e-5)
    redone = [rows for kind, rows in (seen for seen in launched if isinstance(seen, tuple))]
    assert len(redone) == 6 and all(0 < rows < 300 for rows in redone)
    monkeypatch.setattr(soft, "MOST_BITS", np.inf)
    with pytest.raises(AssertionError):
        compare(cupy, ours, x, y, h, eps, "euclidean", 2.0, 1e-5)


@pytest.mark.parametrize("places", [2, 5])
def test_gradients_far_smaller_than_a_tile_keep_their_digits(cupy, rng, launched, places):
    # Each point stays where it is, but for a share of exp(-distance^2 / eps).
    x = np.repeat(rng.random((places, 2)), 60, 0)
    x[0] += 1e-5
    ours = soft.SoftPairs(cupy.asarray(x), cupy.asarray(x), metric="euclidean", p=2.0)
    (costs, gradients), eps, h = definition(x, x, "euclidean", 2.0), 0.02, np.zeros(len(x))
    f, plan = weights(costs, h, eps)
    wanted = np.einsum("ij,ijc->ic", plan, gradients)
    for mass in (None, np.ones(len(x))):
        masses = None if mass is None else cupy.asarray(mass)
        found = ours.gradient(0, cupy.asarray(f), cupy.asarray(h), eps, masses, single=True)
        assert np.abs(cupy.asnumpy(found) - wanted).max() <= 1e-4 * np.abs(wanted).max()
    assert (launched == 2 * [soft.GRADIENT, ("tiles", None)]) == (places == 2)


@pytest.mark.parametrize("low", [-1e4, -1e200, -np.inf])
def test_columns_without_weight_leave_no_trace(cupy, rng, launched, low):
    x, y, out = rng.normal(size=(50, 2)), rng.normal(size=(300, 2)), rng.random(300) < 0.6
    y[:200], out[:150] = y[0], True  # and whole tiles of them
    h = rng.normal(size=300)
    ours = soft.SoftPairs(cupy.asarray(x), cupy.asarray(y), metric="euclidean", p=2.0)
    costs, gradients = definition(x, y[~out], "euclidean", 2.0)
    f, plan = weights(costs, h[~out], 1.0)
    given = cupy.asarray(f), cupy.asarray(np.where(out, low, h)), 1.0
    for found, wanted in (
        (ours.gradient(0, *given, single=True), np.einsum("ij,ijc->ic", plan, gradients)),
        (ours.average(0, *given, cupy.asarray(y), single=True), plan @ y[~out]),
    ):
        np.testing.assert_allclose(cupy.asnumpy(found), wanted, atol=1e-5 * np.abs(wanted).max())
    assert launched == [soft.GRADIENT, soft.AVERAGE]


@pytest.mark.parametrize(("metric", "p"), [("cityblock", 1.0), ("chebyshev", 1.0), ("euclidean", 1.0)])
def test_signs_of_like_coordinates_and_ties_are_exact(cupy, rng, launched, metric, p):
    x, y = (rng.integers(0, 5, (size, 3)) * 0.25 + 1e6 / 3.0 for size in (150, 260))
    ours = soft.SoftPairs(cupy.asarray(x), cupy.asarray(y), metric=metric, p=p)
    compare(cupy, ours, x, y, [np.zeros(150), np.zeros(260)], 0.5, metric, p, 2e-6)
    assert launched == FAST


def test_few_rows_share_their_columns_out(cupy, rng, launched):
    x, y = rng.normal(size=(2, 3)), rng.normal(size=(2500, 3))
    ours = soft.SoftPairs(cupy.asarray(x), cupy.asarray(y), metric="euclidean", p=2.0)
    compare(cupy, ours, x, y, [np.zeros(2), rng.normal(size=2500)], 1.0, "euclidean", 2.0, 1e-5)
    assert launched == FAST
