"""Cells on the GPU: the highest sites, lists, counts and sums against the host's and against loops in float64."""

from __future__ import annotations

import numpy as np
import pytest

from otgen_kernels import Cells
from otgen_kernels.constants import LOW
from otgen_kernels.cpu import cells as on_host
from otgen_kernels.cuda import cells, device

DIMS = [1, 2, 3, 8, 9, 40, 70]


def problem(rng, rows, n, d, offset=0.0):
    x, y = rng.random((rows, d)) + offset, rng.normal(size=(n, d)) - offset
    return x, y, -0.1 * (y**2).sum(1) + 0.1 * rng.normal(size=n) - y @ x.mean(0)


def scores(x, y, h):
    return x.astype(np.float64) @ y.T + h


@pytest.fixture
def prepared(cupy):
    """Cells of host arrays, called with host arrays, answering in host arrays."""

    class Prepared:
        def __init__(self, y, centre=None, **more):
            self.cells = Cells(cupy.asarray(y), centre, **more)
            assert isinstance(self.cells, cells.Cells)

        def __getattr__(self, name):
            def call(*arguments, **options):
                given = (cupy.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments)
                found = getattr(self.cells, name)(*given, **options)
                return tuple(map(cupy.asnumpy, found)) if isinstance(found, tuple) else cupy.asnumpy(found)

            return call

    return Prepared


@pytest.mark.parametrize("d", DIMS)
@pytest.mark.parametrize("rows, n", [(1, 1), (270, 70), (40, 300)])
def test_assignment_counts_and_sums(rng, prepared, rows, n, d) -> None:
    x, y, h = problem(rng, rows, n, d)
    found, ours = scores(x, y, h), prepared(y, x.mean(0))
    index, value = ours.assign(x, h, exact=True)
    assert index.dtype == np.int64 and value.dtype == np.float64
    np.testing.assert_array_equal(index, found.argmax(1))
    np.testing.assert_allclose(value, found.max(1), rtol=1e-12, atol=1e-13 * np.abs(found).max())
    index, value = ours.assign(x, h)
    lost = found.max(1) - found[np.arange(rows), index]
    assert lost.max() <= 3e-6 * d and (lost > 0).mean() < 0.02
    np.testing.assert_allclose(value, found[np.arange(rows), index], rtol=1e-12, atol=1e-12)
    counts, total = ours.tally(x, h)
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(counts, np.bincount(index, minlength=n))
    np.testing.assert_array_equal(ours.counts(x, h), counts)
    np.testing.assert_array_equal(ours.histogram(index), counts)
    np.testing.assert_allclose(total, value.sum(), rtol=1e-12)


@pytest.mark.parametrize("d", [2, 20])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clouds_far_away_keep_their_digits(rng, prepared, d, dtype) -> None:
    x, y, h = problem(rng, 200, 150, d, 100.0)
    x = x.astype(dtype)
    found, index = scores(x, y, h), prepared(y, x.mean(0)).assign(x, h)[0]
    assert (found.max(1) - found[np.arange(200), index]).max() <= 3e-6 * d


def test_ties_go_to_the_lowest_index(prepared) -> None:
    for d in (2, 12):
        y, x = np.zeros((300, d)), np.zeros((3, d))
        y[:4, :2] = [[1, 0], [0, 1], [1, 0], [0, 0]]
        y[200] = y[0]
        x[:2, :2] = [[0.5, 0.5], [0.75, 0.25]]
        for exact in (False, True):
            index, value = prepared(y).assign(x, np.zeros(300), exact=exact)
            np.testing.assert_array_equal(index, [0, 0, 0])
            np.testing.assert_array_equal(value, [0.5, 0.75, 0.0])
        listed = prepared(np.ones((300, d))).top(x, np.zeros(300), 16)[1]
        np.testing.assert_array_equal(listed, np.tile(np.arange(16), (3, 1)))


@pytest.mark.parametrize("d", [1, 3, 20, 70])
@pytest.mark.parametrize("keep", [1, 5, 16, 20])
def test_the_highest_sites_of_every_sample(rng, prepared, d, keep) -> None:
    x, y, h = problem(rng, 270, 150, d)
    ours, theirs = prepared(y, x.mean(0)), on_host.Cells(y, x.mean(0))
    for reach in (np.inf, 0.3):
        top, index = ours.top(x, h, keep, reach)
        wanted, sites = theirs.top(x, h, keep, reach)
        assert top.dtype == np.float32 and index.dtype == np.int32
        inside = wanted > wanted[:, :1] - np.float32(reach) + 1e-4
        np.testing.assert_allclose(top[inside], wanted[inside], rtol=1e-5, atol=1e-5)
        assert (index[inside] != sites[inside]).mean() < 0.01
        outside = top == LOW
        assert (index[outside] == 0).all() and not outside[inside].any()
        assert (top[~outside] > np.repeat(top[:, :1], keep, 1)[~outside] - np.float32(reach)).all()
        assert (np.diff(top, axis=1) <= 0).all()


def test_places_without_a_site_hold_low_and_a_dead_site_has_no_cell(rng, prepared) -> None:
    for d in (3, 12):
        x, y, h = problem(rng, 50, 3, d)
        h[1] = -np.inf
        for keep in (5, 18):
            top, index = prepared(y).top(x, h, keep)
            assert (top[:, 2:] == LOW).all() and (index[:, 2:] == 0).all() and (index[:, :2] != 1).all()
        assert prepared(y).counts(x, h)[1] == 0


@pytest.mark.parametrize("d", [2, 12, 40])
def test_a_block_that_goes_through_many_tiles_of_sites(rng, prepared, monkeypatch, d) -> None:
    monkeypatch.setattr(cells, "WAVES", 0)  # all sites of a row in one block
    x, y, h = problem(rng, 40, 700, d)
    same = [70, 72, 130, 650]  # the highest, in two lanes of a quad and in both halves of a tile
    y[same], h[same] = y[70], h[70] + 10.0
    ours = prepared(y, x.mean(0))
    assert (ours.assign(x, h)[0] == 70).all()
    h[same] -= 20.0
    found = scores(x, y, h)
    np.testing.assert_array_equal(ours.assign(x, h)[0], found.argmax(1))
    np.testing.assert_array_equal(ours.counts(x, h), np.bincount(found.argmax(1), minlength=700))
    top, index = ours.top(x, h, 16)
    wanted, sites = on_host.Cells(y, x.mean(0)).top(x, h, 16)
    np.testing.assert_allclose(top, wanted, rtol=1e-5, atol=1e-5)
    assert (index != sites).mean() < 0.01
    np.testing.assert_array_equal(prepared(np.ones((700, d))).top(x[:3], np.zeros(700), 16)[1], [np.arange(16)] * 3)


@pytest.mark.parametrize("d", [2, 12])
def test_how_far_a_site_lies_below(rng, prepared, d) -> None:
    x, y, h = problem(rng, 150, 40, d)
    ours, sites = prepared(y, x.mean(0)), np.array([5, 0, 39])
    h[sites] -= 3.0
    terms = ours.terms(h) - ours.terms(h).max()
    highest = ours.top(x, h, 1)[0][:, 0]
    found = scores(x, y, h)
    wanted = (found.max(1, keepdims=True) - found[:, sites]).min(0)
    np.testing.assert_allclose(ours.shortfall(x, highest, terms, sites), wanted, atol=1e-5 * d)
    theirs = on_host.Cells(y, x.mean(0)).shortfall(x, highest, terms, sites)
    np.testing.assert_allclose(ours.shortfall(x, highest, terms, sites), theirs, atol=1e-5 * d)


def test_the_fast_mode_is_good_to_three_digits(rng, prepared) -> None:
    x, y, h = problem(rng, 200, 200, 40)
    found = scores(x, y, h)
    found -= found.max(1, keepdims=True)
    sizes = np.linalg.norm(x - x.mean(0), axis=1).max() * np.linalg.norm(y - y.mean(0), axis=1).max()
    slow, fast = (prepared(y, x.mean(0), fast=fast).top(x, h, 8) for fast in (False, True))
    error = [np.abs(top - top[:, :1] - np.take_along_axis(found, index.astype(np.int64), 1)).max()
             for top, index in (slow, fast)]  # fmt: skip
    assert error[0] <= 1e-6 * sizes
    assert 10 * error[0] < error[1] <= 1e-3 * sizes


def test_the_host_is_a_few_searches_ahead_at_most(rng, cupy, monkeypatch) -> None:
    if cupy.__version__ != "emulated":
        pytest.skip("the waits of a real stream cannot be watched")
    waits = []
    monkeypatch.setattr(type(cupy.cuda.get_current_stream()), "synchronize", lambda event: waits.append(event))
    x, y, h = (cupy.asarray(part) for part in problem(rng, 5, 6, 2))
    ours = Cells(y)
    for _ in range(cells.AHEAD):
        ours.counts(x, h)
    assert not waits
    ours.top(x, h, 2)
    ours.tally(x, h)
    assert len(waits) == 2


def test_sites_are_shared_by_blocks_only_where_rows_are_few(cupy) -> None:
    assert cells._shares(256 * 8 * device.processors(), 10_000, 256) == (79 * 128, 1)
    run, splits = cells._shares(1, 10_000, 256)
    assert run % 128 == 0 and (splits - 1) * run < 10_000 <= splits * run and splits > 1


def test_rows_that_do_not_fit_are_copied_anew(rng, prepared, monkeypatch) -> None:
    monkeypatch.setattr(cells, "WAVES", 0)
    x, y, h = problem(rng, 20, 300, 100)
    held = prepared(y).top(x, h, 3)
    monkeypatch.setattr(device, "most_shared", lambda: 128 * 1024)
    for mine, other in zip(held, prepared(y).top(x, h, 3)):
        np.testing.assert_array_equal(mine, other)
    monkeypatch.setattr(device, "most_shared", lambda: 99 * 1024)  # not even lists fit
    top, index = prepared(y).top(x, h, 3)
    np.testing.assert_array_equal(index, held[1])
    np.testing.assert_allclose(top, held[0], rtol=1e-5, atol=1e-5)
