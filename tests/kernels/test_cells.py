"""Cells of max <x, y_i> + h_i: indices, counts, lists and smoothed masses against loops."""

from __future__ import annotations

import numpy as np
import pytest

from otgen_kernels import Cells, Lists
from otgen_kernels.constants import LOW


def scores(x, y, h):
    """<x, y_i> + h_i of every pair, in float64 loops."""
    return np.array([[sum(float(a) * float(b) for a, b in zip(u, v)) + float(g) for v, g in zip(y, h)] for u in x])


def problem(rng, rows, n, d, offset=0.0):
    x, y = rng.random((rows, d)) + offset, rng.normal(size=(n, d)) - offset
    return x, y, -0.1 * (y**2).sum(1) + 0.1 * rng.normal(size=n) - y @ x.mean(0)


@pytest.mark.parametrize("d", [1, 2, 3, 8, 9, 40])
@pytest.mark.parametrize("rows, n", [(1, 1), (3, 5), (250, 70), (40, 500)])
def test_exact_assignment_is_the_argmax_of_loops(rng, rows, n, d) -> None:
    x, y, h = problem(rng, rows, n, d)
    found = scores(x, y, h)
    index, value = Cells(y).assign(x, h, exact=True)
    assert index.dtype == np.int64 and value.dtype == np.float64
    np.testing.assert_array_equal(index, found.argmax(1))
    np.testing.assert_allclose(value, found.max(1), rtol=0, atol=1e-13 * np.abs(found).max())


@pytest.mark.parametrize("d", [1, 2, 5, 30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_the_float32_path_errs_only_between_sites_as_high_as_float32_can_tell(rng, d, dtype, offset) -> None:
    x, y, h = problem(rng, 300, 200, d, offset)
    x = x.astype(dtype)
    found = scores(x, y, h)
    cells = Cells(y, x.mean(0))
    index, value = cells.assign(x, h)
    lost = found.max(1) - found[np.arange(len(x)), index]
    assert lost.max() <= 3e-6 * d
    np.testing.assert_allclose(value, found[np.arange(len(x)), index], atol=1e-10)
    np.testing.assert_array_equal(cells.counts(x, h), np.bincount(index, minlength=200))


def test_ties_go_to_the_lowest_index() -> None:
    y = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    x = np.array([[0.5, 0.5], [0.75, 0.25], [0.0, 0.0]])
    for exact in (False, True):
        index, value = Cells(y).assign(x, np.zeros(4), exact=exact)
        np.testing.assert_array_equal(index, [0, 0, 0])
        np.testing.assert_array_equal(value, [0.5, 0.75, 0.0])


@pytest.mark.parametrize("d", [2, 3, 20])
@pytest.mark.parametrize("keep", [1, 4, 16])
def test_the_highest_sites_of_every_sample(rng, d, keep) -> None:
    x, y, h = problem(rng, 260, 150, d)
    cells = Cells(y, x.mean(0))
    top, index = cells.top(x, h, keep)
    found = scores(x, y, h)
    best = -np.sort(-found, axis=1)[:, :keep]
    listed = np.take_along_axis(found, index.astype(np.int64), 1)
    np.testing.assert_allclose(listed, best, atol=1e-5)
    np.testing.assert_allclose(top - top[:, :1], best - best[:, :1], atol=1e-5)
    near, of = cells.top(x, h, keep, reach=0.3)
    inside = best > best[:, :1] - 0.3 + 1e-4
    np.testing.assert_array_equal(of[inside], index[inside])
    assert (near[best < best[:, :1] - 0.3 - 1e-4] == LOW).sum() <= near.size


def test_places_without_a_site_hold_low_and_a_dead_site_has_no_cell(rng) -> None:
    x, y, h = problem(rng, 50, 3, 12)
    h[1] = -np.inf
    top, index = Cells(y).top(x, h, 5)
    assert (top[:, 2:] == LOW).all() and (index[:, 2:] == 0).all()
    assert Cells(y).counts(x, h)[1] == 0


@pytest.mark.parametrize("d", [2, 32])
def test_the_number_of_threads_changes_nothing(rng, d, monkeypatch) -> None:
    x, y, h = problem(rng, 5000, 700, d)
    cells, answers = Cells(y), []
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("OTGEN_NUM_THREADS", threads)
        top, index = cells.top(x, h, 4)
        lists = Lists(top.copy(), index, len(y))
        mass, curvature = lists.soften(np.zeros(len(y)), 0.1)
        answers.append((top, index, cells.counts(x, h), mass, curvature, lists.laplacian(h, 0.1)))
    for other in answers[1:]:
        for mine, theirs in zip(answers[0], other):
            np.testing.assert_array_equal(mine, theirs)


def test_smoothed_masses_their_diagonal_and_their_laplacian_against_loops(rng) -> None:
    x, y, h = problem(rng, 300, 12, 3)
    eps, v = 0.2, rng.normal(size=12)
    p = np.exp((scores(x, y, h) - scores(x, y, h).max(1, keepdims=True)) / eps)
    p /= p.sum(1, keepdims=True)
    cells = Cells(y)
    top, index = cells.top(x, h, 12)
    terms = cells.terms(h)
    lists = Lists(top - (terms - terms.max())[index].astype(np.float32), index, 12)
    mass, diagonal = lists.soften(terms - terms.max(), eps)
    np.testing.assert_allclose(mass, p.sum(0), rtol=1e-4)
    np.testing.assert_allclose(diagonal, (p * (1 - p)).sum(0) / eps, rtol=1e-4)
    product = (p * (v - (p @ v)[:, None])).sum(0) / eps
    np.testing.assert_allclose(lists.laplacian(v, eps), product, rtol=1e-3, atol=1e-4 * np.abs(product).max())
    # The Laplacian is the derivative of the masses.
    step = 1e-2
    up, _ = lists.soften(terms - terms.max() + step * v, eps)
    down, _ = lists.soften(terms - terms.max() - step * v, eps)
    np.testing.assert_allclose((up - down) / (2 * step), product, atol=2e-2 * np.abs(product).max())
