"""Directions: unit length, their laws, and what is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from otgen.transport import directions
from tolerance import tol


def draw(kind, count, d, seed=0):
    return directions.read_directions(kind, count, d, np.random.default_rng(seed))


@pytest.mark.parametrize("kind", directions.KINDS)
@pytest.mark.parametrize(("count", "d"), [(1, 2), (7, 3), (8, 4), (100, 64), (5, 200)])
def test_unit_vectors_that_a_seed_repeats(kind, count, d):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of scipy, where the number is no power of two
        found = draw(kind, count, d)
    assert found.shape == (count, d) and found.dtype == np.float64
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, rtol=tol(float))
    np.testing.assert_array_equal(found, draw(kind, count, d))
    assert not np.array_equal(found, draw(kind, count, d, seed=1))


@pytest.mark.parametrize(("count", "d"), [(12, 4), (10, 4), (3, 8)])
def test_orthogonal_directions_are_orthonormal_block_by_block(count, d):
    found = draw("orthogonal", count, d)
    for start in range(0, count, d):
        block = found[start : start + d]
        np.testing.assert_allclose(block @ block.T, np.eye(len(block)), atol=tol(float))


@pytest.mark.parametrize("kind", directions.KINDS)
def test_directions_are_uniform_on_the_sphere(kind):
    """Mean 0, second moments 1 / d, fourth moments 3 / (d (d + 2)): what QR without its signs would fail."""
    d, rows = 3, np.concatenate([draw(kind, 6, 3, seed) for seed in range(4000)])
    error = 5 / np.sqrt(len(rows))
    np.testing.assert_allclose(rows.mean(axis=0), 0.0, atol=error)
    np.testing.assert_allclose(rows.T @ rows / len(rows), np.eye(d) / d, atol=error)
    np.testing.assert_allclose((rows**4).mean(axis=0), 3 / (d * (d + 2)), atol=error)
    firsts = rows[::6]  # each place of a block by itself
    np.testing.assert_allclose(firsts.mean(axis=0), 0.0, atol=5 / np.sqrt(len(firsts)))


@pytest.mark.parametrize("kind", directions.KINDS)
def test_the_line_has_one_direction(kind):
    assert draw(kind, 50, 1).tolist() == [[1.0]]


def test_given_directions_are_taken_as_they_are():
    given = np.eye(3, dtype=np.float32)[:2]
    found = directions.read_directions(given, 128, 3, np.random.default_rng(0))
    assert found.dtype == np.float64 and found.tolist() == given.tolist()
    assert directions.read_directions([[1.0]], 128, 1, np.random.default_rng(0)).tolist() == [[1.0]]


@pytest.mark.parametrize("value", ["haar", None, 5, True])
def test_an_unknown_kind_is_refused(value):
    with pytest.raises(
        ValueError, match=r"projections must be one of orthogonal, sobol, independent, or unit vectors .*\(L, 3\); got"
    ):
        draw(value, 8, 3)


@pytest.mark.parametrize("value", [np.eye(2), np.ones(3), np.empty((0, 3))])
def test_given_directions_of_another_shape_are_refused(value):
    with pytest.raises(ValueError, match=r"projections must have shape \(L, 3\).*Transpose it"):
        draw(value, 8, 3)


def test_given_directions_must_be_finite_unit_vectors():
    with pytest.raises(ValueError, match=r"projections must hold unit vectors, to 1e-06; row 1 has length 2.0"):
        draw([[1.0, 0.0], [0.0, 2.0]], 8, 2)
    with pytest.raises(ValueError, match=r"projections must hold unit vectors.*row 0 has length 0.0"):
        draw([[0.0, 0.0]], 8, 2)
    with pytest.raises(ValueError, match=r"projections must be finite; projections\[0, 1\] is nan"):
        draw([[1.0, np.nan]], 8, 2)


def test_directions_that_record_gradients_are_refused():
    import torch

    with pytest.raises(ValueError, match=r"projections must not record gradients.*Pass projections.detach"):
        draw(torch.eye(3, requires_grad=True), 8, 3)
    assert draw(torch.eye(3), 8, 3).tolist() == np.eye(3).tolist()


@pytest.mark.parametrize("value", [0, -1, 2.5, True, "8"])
def test_the_number_is_a_count(value):
    with pytest.raises(ValueError, match=r"n_projections must be an int >= 1; got .*number of directions"):
        draw("orthogonal", value, 3)


def test_sobol_points_end_at_some_dimension():
    with pytest.raises(ValueError, match=r"projections='sobol' knows at most 21201 dimensions; got d = 30000"):
        draw("sobol", 2, 30_000)
