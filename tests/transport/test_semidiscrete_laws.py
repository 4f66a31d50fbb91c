"""What the exact map must obey: its definition, its value, its symmetries."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import otgen
from otgen.transport.semidiscrete import SemiDiscreteOT
from tolerance import tol

TRIANGLE = np.array([[0.0, 0.0], [2.0, 0.5], [0.5, 1.5]])
PIXELS = np.random.default_rng(2).uniform(0.1, 1.0, (4, 6))
SOURCES = {
    "square": (2, {}), "rectangle": (2, {"domain": [[-3.0, 1.0], [10.0, 10.5]]}), "cube": (3, {}),
    "triangle": (2, {"source": "polygon", "domain": TRIANGLE}), "image": (2, {"source": "image", "density": PIXELS}),
    "polyhedron": (3, {"source": "polyhedron", "domain": np.random.default_rng(1).standard_normal((9, 3))}),
}  # fmt: skip


def fit(y, b=None, **parameters):
    return SemiDiscreteOT(**{"tol": 1e-10, **parameters}).fit(y, b)


@pytest.fixture(scope="module", params=SOURCES)
def case(request):
    d, parameters = SOURCES[request.param]
    rng = np.random.default_rng(7)
    b = rng.uniform(0.2, 1.0, 25)
    estimator = fit(rng.standard_normal((25, d)), b / b.sum(), **parameters)
    assert estimator._source is not None
    return estimator, estimator._y, estimator._b, estimator._source.sample(2000, rng)


def lead(values):
    return np.subtract(*np.sort(values, axis=1)[:, :-3:-1].T)


def test_assign_transform_and_potential_are_their_definitions(case):
    estimator, y, b, x = case
    values = x @ y.T + estimator.heights_
    cells, sure = estimator.assign(x), lead(values) > 1e-9 * np.abs(values).max()
    assert sure.mean() > 0.99
    np.testing.assert_array_equal(cells[sure], values.argmax(1)[sure])
    np.testing.assert_array_equal(estimator.transform(x), y[cells])
    np.testing.assert_allclose(estimator.potential(x), values.max(1), atol=tol(np.float64) * np.abs(values).max())
    share = np.bincount(cells, minlength=25) / len(x)
    assert (np.abs(share - b) <= 5.0 * np.sqrt(b / len(x))).all()
    assert b @ estimator.heights_ == pytest.approx(0.0, abs=tol(np.float64) * np.abs(estimator.heights_).max())


def test_the_map_is_monotone_on_cycles(case, rng):
    estimator, _, _, x = case
    image = estimator.transform(x)
    for length in (2, 3, 7):
        turn = rng.integers(0, len(x), (500, length))
        gain = ((x[turn] - np.roll(x[turn], 1, axis=1)) * image[turn]).sum((1, 2))
        assert gain.min() >= -1e-9 and gain.max() > 0.01


def test_the_gradient_of_the_potential_is_the_map(case):
    estimator, y, _, x = case
    inside = lead(x @ y.T + estimator.heights_) > 1e-3  # gradcheck moves x by 1e-6
    tensor = torch.from_numpy(x[inside][:20]).requires_grad_()
    values = estimator.potential(tensor)
    np.testing.assert_array_equal(values.detach().numpy(), estimator.potential(x[inside][:20]))
    values.sum().backward()
    np.testing.assert_array_equal(tensor.grad, estimator.transform(x[inside][:20]))
    assert torch.autograd.gradcheck(estimator.potential, (tensor,), atol=1e-6)
    assert not estimator.potential(tensor.detach()).requires_grad
    single = tensor.detach().float().requires_grad_()
    (2.0 * estimator.potential(single)).sum().backward()
    assert single.grad is not None and single.grad.dtype == torch.float32
    np.testing.assert_array_equal(single.grad, 2.0 * estimator.transform(single.detach()))


def test_the_value_is_the_mean_cost_of_the_map(case):
    estimator, y, b, _ = case
    x = estimator._source.sample(200_000, np.random.default_rng(3))
    cost = ((x - estimator.transform(x)) ** 2).sum(1)
    value = estimator.value_.value
    assert cost.mean() == pytest.approx(value, abs=6.0 * cost.std() / len(x) ** 0.5)
    # It is the dual value too: E |x|^2 + sum b |y|^2 + 2 (<b, h> - E u_h).
    dual = (x**2).sum(1) + b @ (y**2).sum(1) - 2.0 * estimator.potential(x) + 2.0 * b @ estimator.heights_
    assert dual.mean() == pytest.approx(value, abs=6.0 * dual.std() / len(x) ** 0.5)


def test_centres_are_the_means_of_the_cells(case):
    estimator, _, b, _ = case
    x = estimator._source.sample(200_000, np.random.default_rng(3))
    cells = estimator.assign(x)
    for i in range(25):
        mine = x[cells == i]
        np.testing.assert_allclose(estimator.cell_centers_[i], mine.mean(0), atol=6.0 * mine.std() / len(mine) ** 0.5)
    np.testing.assert_allclose(b @ estimator.cell_centers_, estimator._source.mean, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("d", [2, 3])
def test_the_value_is_that_of_a_fine_discretisation(rng, d):
    n, side = 10, 40 if d == 2 else 18
    y, b = rng.random((n, d)), rng.uniform(0.5, 1.0, n)
    b /= b.sum()
    grid = np.stack(np.meshgrid(*[(np.arange(side) + 0.5) / side] * d), -1).reshape(-1, d)
    discrete = otgen.solve_sample(grid, y, None, b, cost="sqeuclidean")
    value = fit(y, b).value_.value
    # Every grid point stands for a cube about it: E |x - y|^2 there is |centre - y|^2 + d / (12 side^2), up to cubes
    # on the walls between cells.
    assert discrete.value + d / (12.0 * side**2) == pytest.approx(value, rel=1e-2)
    assert discrete.value + d / (12.0 * side**2) >= value * (1.0 - 1e-9)  # spread over the cubes it is a plan


@pytest.mark.parametrize("shift", [np.array([3.0, -20.0]), np.array([1e5, 0.0])])
def test_translated_targets(rng, shift):
    y = rng.standard_normal((40, 2))
    one, other = fit(y), fit(y + shift)
    # E |x - y - t|^2 = E |x - y|^2 - 2 <t, E x - E y> + |t|^2; u grows by <x, t>: the heights stay.
    expected = one.value_.value - 2.0 * shift @ (0.5 - y.mean(0)) + shift @ shift
    assert other.value_.value == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(other.heights_, one.heights_, atol=1e-8 + 1e-9 * np.abs(shift).max())


@pytest.mark.parametrize("scale", [1e-3, 7.0, 1e9, 1e-150, 1e140])
def test_scaled_targets_and_sources(rng, scale):
    y = rng.standard_normal((40, 2)) + 2.0
    one, both = fit(y), fit(scale * y, domain=[[0.0, scale]] * 2)
    assert both.value_.value / scale / scale == pytest.approx(one.value_.value, rel=1e-8)
    np.testing.assert_allclose(both.heights_ / scale / scale, one.heights_, rtol=1e-7, atol=1e-8)
    wide = fit(scale * y)
    np.testing.assert_allclose(wide.heights_ / scale, one.heights_, rtol=1e-7, atol=1e-8)
    x = rng.random((200, 2))
    sure = lead(x @ y.T + one.heights_) > 1e-6
    np.testing.assert_array_equal(wide.assign(x)[sure], one.assign(x)[sure])
    assert np.isfinite([wide.error_.low, wide.error_.high, wide.value_.value]).all()


def test_heights_are_unique(rng):
    y, b = rng.standard_normal((60, 2)), rng.uniform(0.1, 1.0, 60)
    b /= b.sum()
    order = rng.permutation(60)
    one, other = fit(y, b), fit(y[order], b[order])
    np.testing.assert_allclose(other.heights_, one.heights_[order], atol=1e-8)


@pytest.mark.parametrize("map_", [np.array([[2.0, 0.5], [0.5, 1.0]]), np.eye(2) * 0.1, np.diag([30.0, 0.2])])
def test_a_linear_map_is_found(map_):
    side = (np.arange(6) + 0.5) / 6
    middles = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    # Cells of the same shape about the middles m: u is convex, and its targets A m need the heights -<A m, m> / 2
    # where A keeps the axes; else the cells are no squares, and only the masses are known.
    estimator = fit(middles @ map_ + 3.0)
    np.testing.assert_allclose(estimator.cell_measures_, 1 / 36, rtol=1e-9)
    if not map_[0, 1]:
        expected = -0.5 * ((middles @ map_) * middles).sum(1)
        np.testing.assert_allclose(estimator.heights_, expected - expected.mean(), atol=1e-9 * np.abs(map_).max())
        np.testing.assert_allclose(estimator.cell_centers_, middles, atol=1e-9)


@pytest.mark.parametrize("name", ["square", "rectangle", "triangle"])
def test_cells_are_polygons_that_tile_the_domain(name, rng):
    parameters = SOURCES[name][1]
    b = rng.uniform(0.2, 1.0, 25)
    estimator = fit(rng.standard_normal((25, 2)), b / b.sum(), **parameters)
    polygons = estimator.cells()
    volume = sum(area(polygon) for polygon in polygons)
    for i, polygon in enumerate(polygons):
        np.testing.assert_array_equal(polygon, estimator.cell(i))
        assert area(polygon) / volume == pytest.approx(estimator.cell_measures_[i], rel=1e-9)  # counter-clockwise
        inner = 0.99 * polygon + 0.01 * polygon.mean(0)
        assert (estimator.assign(inner) == i).all()
        assert (estimator.assign(rng.dirichlet(np.ones(len(polygon)), 20) @ polygon) == i).all()
    assert [p.tolist() for p in estimator.cells([3, 1])] == [polygons[3].tolist(), polygons[1].tolist()]


def test_cells_are_polyhedra_in_space(rng):
    from scipy.spatial import ConvexHull

    estimator = fit(rng.standard_normal((12, 3)))
    for i, corners in enumerate(estimator.cells()):
        assert ConvexHull(corners).volume == pytest.approx(estimator.cell_measures_[i], rel=1e-8)
        assert (estimator.assign(0.99 * corners + 0.01 * corners.mean(0)) == i).all()


def test_neighbouring_cells_meet_where_their_planes_do(rng):
    y = rng.standard_normal((10, 2))
    estimator = fit(y)
    corners = {i: {tuple(c.round(9)) for c in estimator.cell(i)} for i in range(10)}
    shared = 0
    for i, j in itertools.combinations(range(10), 2):
        for corner in corners[i] & corners[j]:
            shared += 1
            values = np.array(corner) @ y.T + estimator.heights_
            assert values[i] == pytest.approx(values[j], abs=1e-7) and values[i] >= values.max() - 1e-7
    assert shared >= 15


def area(polygon):
    (x, y), (u, v) = polygon.T - polygon[:1].T, np.roll(polygon - polygon[:1], -1, axis=0).T
    return 0.5 * float((x * v - u * y).sum())
