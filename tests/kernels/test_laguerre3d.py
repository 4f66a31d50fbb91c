"""Laguerre cells in space: against Qhull, closed forms, quadrature and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import ConvexHull

import naive_laguerre3d
from otgen_kernels.cpu import laguerre3d
from otgen_kernels.cpu.laguerre3d import Laguerre3D

CUBE = np.array([[1, 0, 0, 1], [-1, 0, 0, 0], [0, 1, 0, 1], [0, -1, 0, 0], [0, 0, 1, 1], [0, 0, -1, 0.0]])
SIGNS = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)], float)
OCTAHEDRON = np.c_[SIGNS, np.ones(8)]  # four planes meet in each vertex
TETRAHEDRON = np.array([[-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 0], [1, 1, 1, 1.0]])
PYRAMID = np.array([[0, 0, -1, 0], [1, 0, 1, 1], [-1, 0, 1, 1], [0, 1, 1, 1], [0, -1, 1, 1.0]])
VOLUMES = {"cube": 1.0, "octahedron": 4 / 3, "tetrahedron": 1 / 6, "pyramid": 4 / 3}
DOMAINS = {"cube": CUBE, "octahedron": OCTAHEDRON, "tetrahedron": TETRAHEDRON, "pyramid": PYRAMID}


def voronoi(y):
    return -0.5 * (y**2).sum(1)


def faces(diagram):
    rows = np.repeat(np.arange(len(diagram.mass)), np.diff(diagram.starts))
    return dict(zip(zip(rows.tolist(), diagram.neighbours.tolist()), diagram.facets.tolist()))


def same(a, b, tol=1e-12):
    """The same cells, and the same faces but for slivers that rounding makes."""
    for left, right in zip(a[:3], b[:3]):
        np.testing.assert_allclose(left, right, rtol=0, atol=tol)
    left, right = faces(a), faces(b)
    for key in left.keys() | right.keys():
        assert abs(left.get(key, 0.0) - right.get(key, 0.0)) < 1e-10, key


def check_csr(diagram):
    """Rows ascend, no cell neighbours itself, and (i, j) and (j, i) hold the very same number."""
    n = len(diagram.mass)
    assert diagram.starts[0] == 0 and diagram.starts[-1] == len(diagram.neighbours) == len(diagram.facets)
    found = faces(diagram)
    assert len(found) == len(diagram.facets)
    for i in range(n):
        row = diagram.neighbours[diagram.starts[i] : diagram.starts[i + 1]]
        assert (np.diff(row) > 0).all() and i not in row
        assert len(row) == 0 or diagram.mass[i] > 0
    assert all(found[j, i] == value for (i, j), value in found.items())


def check_naive(y, h, halfspaces):
    diagram = Laguerre3D(y, halfspaces).measure(h)
    check_csr(diagram)
    volume, first, areas = naive_laguerre3d.measure(y, h, halfspaces)
    np.testing.assert_allclose(diagram.mass, volume, rtol=0, atol=1e-9)
    np.testing.assert_allclose(diagram.first, first, rtol=0, atol=1e-9)
    found = faces(diagram)
    for key in areas.keys() | found.keys():
        assert abs(areas.get(key, 0.0) - found.get(key, 0.0)) < 1e-7, key
    return diagram


@pytest.mark.parametrize("name", DOMAINS)
@pytest.mark.parametrize("spread", [0.0, 0.1])
def test_random_sites_are_what_qhull_says(name, spread, rng):
    y = rng.uniform(-0.2, 0.9, (25, 3))
    diagram = check_naive(y, voronoi(y) + spread * rng.standard_normal(25), DOMAINS[name])
    assert diagram.mass.sum() == pytest.approx(VOLUMES[name], rel=1e-13)
    # The spread hides cells, which is part of the case; without it there is something to see of most.
    assert spread == 0.0 or (diagram.mass == 0).any()
    assert (diagram.mass > 0).sum() > 5


def test_heights_far_from_voronoi(rng):
    # Sites in two tiny clusters, whose cells fill the cube far away from them.
    y = np.concatenate([5 + 0.01 * rng.standard_normal((15, 3)), -3 + 0.02 * rng.standard_normal((15, 3))])
    target = rng.random((30, 3))
    slope = np.linalg.lstsq(np.c_[y, np.ones(30)], target, rcond=None)[0]
    h = -0.5 * 0.05 * ((np.c_[y, np.ones(30)] @ slope) ** 2).sum(1)
    check_naive(y, h - (y @ np.full(3, 0.5)), CUBE)


@pytest.mark.parametrize("name", DOMAINS)
def test_one_site_has_the_domain(name):
    diagram = Laguerre3D(np.zeros((1, 3)), DOMAINS[name]).measure(np.array([0.3]))
    assert diagram.mass[0] == pytest.approx(VOLUMES[name], rel=1e-14)
    assert diagram.starts.tolist() == [0, 0] and len(diagram.facets) == 0
    corners = Laguerre3D(np.zeros((1, 3)), DOMAINS[name]).polyhedra(np.zeros(1), [0])[0]
    assert ConvexHull(corners).volume == pytest.approx(VOLUMES[name], rel=1e-12)


def test_moments_of_the_cube():
    diagram = Laguerre3D(np.ones((1, 3)), CUBE).measure(np.zeros(1))
    np.testing.assert_allclose(diagram.first[0], 0.5, rtol=1e-14)
    assert diagram.second[0] == pytest.approx(1.0, rel=1e-14)  # three times the integral of t^2


def test_two_sites_cut_the_cube_in_slabs():
    y, h = np.array([[0.25, 0.5, 0.5], [0.75, 0.5, 0.5]]), np.array([0.1, 0.0])
    diagram = Laguerre3D(y, CUBE).measure(h)
    wall = 0.1 / 0.5  # x * (y_1 - y_0) = h_0 - h_1
    np.testing.assert_allclose(diagram.mass, [wall, 1 - wall], rtol=1e-14)
    np.testing.assert_allclose(diagram.first[:, 0], [wall**2 / 2, (1 - wall**2) / 2], rtol=1e-14)
    second = [wall**3 / 3 + 2 * wall / 3, (1 - wall**3) / 3 + 2 * (1 - wall) / 3]
    np.testing.assert_allclose(diagram.second, second, rtol=1e-14)
    assert diagram.neighbours.tolist() == [1, 0]
    np.testing.assert_allclose(diagram.facets, 1.0, rtol=1e-14)


def test_moments_against_quadrature(rng):
    y = rng.random((20, 3))
    h = voronoi(y) + 0.02 * rng.standard_normal(20)
    diagram = Laguerre3D(y, CUBE).measure(h)
    t = (np.arange(80) + 0.5) / 80
    x = np.stack(np.meshgrid(t, t, t, indexing="ij"), -1).reshape(-1, 3)
    owner = (x @ y.T + h).argmax(1)
    for power, value in ((0, diagram.mass), (2, diagram.second)):
        weights = (x**2).sum(1) ** (power // 2) / len(x)
        np.testing.assert_allclose(np.bincount(owner, weights, 20), value, atol=2e-4)
    for k in range(3):
        np.testing.assert_allclose(np.bincount(owner, x[:, k] / len(x), 20), diagram.first[:, k], atol=2e-4)
    assert diagram.second.sum() == pytest.approx(1.0, rel=1e-13)


@pytest.mark.parametrize("voxels", [None, (3, 2, 4)])
def test_derivatives_are_facets_over_distances(voxels, rng):
    y = rng.random((30, 3))
    h = voronoi(y)
    density = None if voxels is None else rng.random(voxels) + 0.1
    cells = Laguerre3D(y, CUBE, density)
    areas = faces(cells.measure(h))
    step = 1e-6
    for j in range(0, 30, 5):
        e = np.zeros(30)
        e[j] = step
        slope = (cells.measure(h + e).mass - cells.measure(h - e).mass) / (2 * step)
        expected = [-areas.get((i, j), 0.0) / max(np.linalg.norm(y[i] - y[j]), 1e-300) for i in range(30)]
        expected[j] = -sum(expected)
        np.testing.assert_allclose(slope, expected, atol=2e-5)
        assert slope[j] > 0.01


def test_hidden_cells_have_nothing(rng):
    y = rng.random((300, 3))
    h = voronoi(y)
    h[::3] -= 1.0
    diagram = Laguerre3D(y, CUBE).measure(h)
    check_csr(diagram)
    assert (diagram.mass[::3] == 0).all() and (np.diff(diagram.starts)[::3] == 0).all()
    assert (diagram.first[::3] == 0).all() and (diagram.second[::3] == 0).all()
    rest = np.arange(300) % 3 > 0
    alone = Laguerre3D(y[rest], CUBE).measure(h[rest])
    np.testing.assert_allclose(diagram.mass[rest], alone.mass, rtol=1e-12)
    assert [len(p) for p in Laguerre3D(y, CUBE).polyhedra(h, [0, 3])] == [0, 0]


def test_cells_that_are_one_point_have_nothing(rng):
    # All planes pass through one point of the cube: the cells of sites inside the hull are that point.
    y, point = rng.random((400, 3)), np.array([0.4, 0.5, 0.3])
    diagram = Laguerre3D(y, CUBE).measure(-y @ point)
    check_csr(diagram)
    assert diagram.mass.sum() == pytest.approx(1.0, rel=1e-12)
    assert (diagram.mass >= 0).all()
    hull = set(ConvexHull(y).vertices.tolist())
    assert all(i in hull for i in np.flatnonzero(diagram.mass > 1e-12))
    assert (diagram.mass > 1e-12).sum() > 20


def test_sites_at_minus_infinity_take_no_part(rng):
    y = rng.random((50, 3))
    h = voronoi(y)
    h[10:20] = -np.inf
    rest = np.r_[0:10, 20:50]
    diagram, alone = Laguerre3D(y, CUBE).measure(h), Laguerre3D(y[rest], CUBE).measure(h[rest])
    check_csr(diagram)
    np.testing.assert_allclose(diagram.mass[rest], alone.mass, rtol=1e-12)
    assert (diagram.mass[10:20] == 0).all() and np.isfinite(diagram.first).all()
    none = Laguerre3D(y, CUBE).measure(np.full(50, -np.inf))
    assert (none.mass == 0).all() and len(none.facets) == 0
    assert Laguerre3D(y, CUBE).polyhedra(h, [15])[0].shape == (0, 3)


def test_of_equal_sites_the_highest_then_the_first_wins(rng):
    y = np.repeat(rng.random((20, 3)), 3, 0)
    h = voronoi(y)
    alone = Laguerre3D(y[::3], CUBE).measure(h[::3])
    for winner in (0, 1, 2):
        raised = h.copy()
        raised[winner::3] += 1e-12 * (winner > 0)
        diagram = Laguerre3D(y, CUBE).measure(raised)
        check_csr(diagram)
        expected = np.zeros(60)
        expected[winner::3] = alone.mass
        np.testing.assert_allclose(diagram.mass, expected, atol=1e-9)


@pytest.mark.parametrize("k", [2, 5, 8])
def test_regular_grid(k):
    t = (np.arange(k) + 0.5) / k
    y = np.stack(np.meshgrid(t, t, t, indexing="ij"), -1).reshape(-1, 3)
    diagram = Laguerre3D(y, CUBE).measure(voronoi(y))
    check_csr(diagram)
    np.testing.assert_allclose(diagram.mass, k**-3, rtol=1e-11)
    np.testing.assert_allclose(diagram.first, y * k**-3, rtol=0, atol=1e-12)
    index = np.round(y * k - 0.5)
    steps = zip(*(a.tolist() for a in np.nonzero(np.abs(index[:, None] - index).sum(2) == 1)))
    large = {key: value for key, value in faces(diagram).items() if value > 1e-9}
    assert large.keys() == set(steps)
    np.testing.assert_allclose(list(large.values()), k**-2, rtol=1e-9)


def test_face_centred_grid_in_an_octahedron():
    # Rhombic dodecahedra, where eight cells meet in a point, and walls that pass through the sites.
    g = np.arange(-4, 5)
    y = np.stack(np.meshgrid(g, g, g, indexing="ij"), -1).reshape(-1, 3)
    y = y[y.sum(1) % 2 == 0] / 4.0
    diagram = Laguerre3D(y, OCTAHEDRON).measure(voronoi(y))
    check_csr(diagram)
    assert diagram.mass.sum() == pytest.approx(4 / 3, rel=1e-12)
    centre = np.flatnonzero((y == 0).all(1))[0]
    assert diagram.mass[centre] == pytest.approx(2 / 64, rel=1e-12)
    row = diagram.facets[diagram.starts[centre] : diagram.starts[centre + 1]]
    np.testing.assert_allclose(np.sort(row)[-12:], 2**-0.5 / 16, rtol=1e-10)


@pytest.mark.parametrize("dimension", [1, 2])
def test_sites_on_a_line_and_in_a_plane(dimension, rng):
    y = np.zeros((25, 3))
    y[:, :dimension] = rng.random((25, dimension))
    diagram = check_naive(y, voronoi(y), CUBE)
    assert diagram.mass.sum() == pytest.approx(1.0, rel=1e-13)
    if dimension == 1:
        x = np.sort(y[:, 0])
        ends = np.r_[0.0, 0.5 * (x[1:] + x[:-1]), 1.0]
        np.testing.assert_allclose(diagram.mass[np.argsort(y[:, 0])], np.diff(ends), atol=1e-13)
        np.testing.assert_allclose(diagram.facets, 1.0, rtol=1e-12)
        assert len(diagram.facets) == 48


def test_a_hub_has_all_its_neighbours():
    k = np.arange(2000)
    z, angle = (2 * k + 1) / 2000 - 1, k * np.pi * (3 - 5**0.5)
    ring = np.sqrt(1 - z * z)
    y = np.concatenate([np.zeros((1, 3)), np.c_[ring * np.cos(angle), ring * np.sin(angle), z]]) * 0.8 + 0.5
    cells = Laguerre3D(y, CUBE)
    diagram = cells.measure(voronoi(y))
    check_csr(diagram)
    assert diagram.starts[1] == 2000
    # Planes at 0.4 from the centre around a ball: volume = area * 0.4 / 3.
    assert diagram.mass[0] == pytest.approx(diagram.facets[:2000].sum() * 0.4 / 3, rel=1e-12)
    assert 4 / 3 * np.pi * 0.4**3 < diagram.mass[0] < 1.01 * 4 / 3 * np.pi * 0.4**3
    assert diagram.mass.sum() == pytest.approx(1.0, rel=1e-12)
    corners = cells.polyhedra(voronoi(y), [0])[0]
    assert len(corners) == 2 * 2000 - 4
    same(cells.measure(voronoi(y), near=diagram), diagram)


def quadrature(y, h, density, k):
    t = (np.arange(k) + 0.5) / k
    x = np.stack(np.meshgrid(t, t, t, indexing="ij"), -1).reshape(-1, 3)
    rho = density[tuple((x * density.shape).astype(int).T)] / len(x)
    return x, rho, (x @ y.T + h).argmax(1)


def test_voxels_against_quadrature(rng):
    y, density = rng.random((15, 3)), rng.random((4, 3, 5))
    density[1, 1, 2] = 0.0
    h = voronoi(y)
    diagram = Laguerre3D(y, CUBE, density).measure(h)
    check_csr(diagram)
    x, rho, owner = quadrature(y, h, density, 60)
    np.testing.assert_allclose(np.bincount(owner, rho, 15), diagram.mass, atol=5e-4)
    np.testing.assert_allclose(np.bincount(owner, rho * (x**2).sum(1), 15), diagram.second, atol=5e-4)
    for k in range(3):
        np.testing.assert_allclose(np.bincount(owner, rho * x[:, k], 15), diagram.first[:, k], atol=5e-4)
    assert diagram.mass.sum() == pytest.approx(density.mean(), rel=1e-13)


def test_cells_that_are_unions_of_voxels():
    # A 2 x 2 x 2 grid of sites under a 4 x 2 x 6 grid of voxels: walls of cells are walls of voxels.
    t = np.array([0.25, 0.75])
    y = np.stack(np.meshgrid(t, t, t, indexing="ij"), -1).reshape(-1, 3)
    density = np.arange(48.0).reshape(4, 2, 6)
    diagram = Laguerre3D(y, CUBE, density).measure(voronoi(y))
    np.testing.assert_allclose(diagram.mass, density.reshape(2, 2, 2, 1, 2, 3).sum((1, 3, 5)).ravel() / 48, rtol=1e-12)
    # The face between the first two sites, at z = 1/2, sees the voxels on either side of it, half each.
    sides = 0.5 * (density[:2, 0, 2] + density[:2, 0, 3])
    assert faces(diagram)[0, 1] == pytest.approx(sides.mean() / 4, rel=1e-12)


def test_constant_voxels_are_the_polyhedron(rng):
    y = rng.random((200, 3))
    h = voronoi(y) + 0.002 * rng.standard_normal(200)
    plain = Laguerre3D(y, CUBE).measure(h)
    same(Laguerre3D(y, CUBE, np.ones((7, 5, 6))).measure(h), plain)
    twice = Laguerre3D(y, CUBE, np.full((1, 1, 1), 2.0)).measure(h)
    np.testing.assert_allclose(twice.mass, 2 * plain.mass, rtol=1e-13)
    np.testing.assert_allclose(twice.facets, 2 * plain.facets, rtol=1e-12)


def test_voxels_of_a_box_that_is_no_cube(rng):
    box = CUBE * [[1, 1, 1, 2], [1, 1, 1, -1], [1, 1, 1, 0.5], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]
    box[1, 3], box[3, 3] = 1.0, 0.25  # [-1, 2] x [-1/4, 1/2] x [0, 1]
    density = np.zeros((3, 1, 1))
    density[2] = 1.0  # x in [1, 2]
    y = np.array([[-0.5, 0, 0], [1.25, 0, 0], [1.75, 0, 0.0]])
    diagram = Laguerre3D(y, box, density).measure(voronoi(y))
    np.testing.assert_allclose(diagram.mass, [0.0, 0.375, 0.375], atol=1e-14)
    assert diagram.starts.tolist() == [0, 0, 1, 2]  # a cell without mass has no faces
    np.testing.assert_allclose(diagram.facets, 0.75, rtol=1e-13)


@pytest.mark.parametrize("move", [0.0, 1e-4, 1.0])
def test_a_warm_start_changes_nothing(move, rng):
    y = rng.random((500, 3))
    cells = Laguerre3D(y, CUBE)
    old = cells.measure(voronoi(y) + move * rng.standard_normal(500))
    same(cells.measure(voronoi(y), near=old), cells.measure(voronoi(y)))


def test_threads_change_no_bit(rng, monkeypatch):
    y = rng.random((1000, 3))
    results = []
    for threads in ("1", "4"):
        monkeypatch.setenv("OTGEN_NUM_THREADS", threads)
        results.append(Laguerre3D(y, CUBE, np.ones((2, 2, 2))).measure(voronoi(y)))
    for left, right in zip(*results):
        assert np.array_equal(left, right)


def test_without_facets_the_measures_are_the_same(rng):
    y = rng.random((300, 3))
    full, bare = Laguerre3D(y, CUBE).measure(voronoi(y)), Laguerre3D(y, CUBE).measure(voronoi(y), facets=False)
    for left, right in zip(full[:3], bare[:3]):
        assert np.array_equal(left, right)
    assert len(bare.facets) == 0 and (bare.starts == 0).all()
    same(Laguerre3D(y, CUBE).measure(voronoi(y), near=bare), full)


def test_polyhedra_have_the_volumes_of_their_cells(rng):
    y = rng.random((100, 3))
    cells = Laguerre3D(y, CUBE)
    h = voronoi(y)
    rows = [5, 99, 0]
    volumes = [ConvexHull(p).volume for p in cells.polyhedra(h, rows)]
    np.testing.assert_allclose(volumes, cells.measure(h).mass[rows], rtol=1e-10)


@pytest.mark.parametrize("kind", ["uniform", "clustered"])
def test_masses_sum_to_the_volume(kind, rng):
    y = rng.random((3000, 3))
    if kind == "clustered":
        y = y[rng.integers(10, size=3000)] + 0.01 * rng.standard_normal((3000, 3))
    s = 0.98 / np.ptp(y, axis=0).max()
    h = -((s * (y - y.min(0)) + 0.01) ** 2).sum(1) / (2 * s)
    diagram = Laguerre3D(y, CUBE).measure(h)
    assert abs(diagram.mass.sum() - 1) < 1e-12
    np.testing.assert_allclose(diagram.first.sum(0), 0.5, rtol=1e-12)
    assert (diagram.mass > 0).all()
    # Each cell's faces and the walls of the cube close up; inside, the facets' normals cancel.
    rows = np.repeat(np.arange(3000), np.diff(diagram.starts))
    u = y[diagram.neighbours] - y[rows]
    flux = np.zeros((3000, 3))
    np.add.at(flux, rows, (diagram.facets / np.linalg.norm(u, axis=1))[:, None] * u)
    # A cell off the walls has no other face than those.
    inner = [i for i, p in enumerate(Laguerre3D(y, CUBE).polyhedra(h, range(300))) if 0 < p.min() and p.max() < 1]
    assert len(inner) > 100 or kind == "clustered"
    np.testing.assert_allclose(flux[inner], 0.0, atol=1e-12)


def test_bad_domains_are_named():
    with pytest.raises(ArithmeticError, match=r"halfspaces must hold a bounded polyhedron; it reaches beyond 1e3"):
        Laguerre3D(np.zeros((1, 3)), CUBE[1:])
    with pytest.raises(ArithmeticError, match="halfspaces must hold a polyhedron with an interior"):
        Laguerre3D(np.zeros((1, 3)), np.vstack([CUBE, [1, 0, 0, -1]]))
    assert laguerre3d.TOLERANCE < 1e-14
