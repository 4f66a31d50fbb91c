from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import ConvexHull, Voronoi

from naive_laguerre import diagram
from otgen_kernels.cpu.laguerre2d import Laguerre2D
from otgen_kernels.cpu.laguerre_diagram import Diagram
from tolerance import tol

SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
TRIANGLE = np.array([[-0.2, -0.1], [1.3, 0.2], [0.4, 1.1]])
HEXAGON = np.array([[np.cos(a), np.sin(a)] for a in np.arange(6) * np.pi / 3 + 0.1])
TOL = 100 * tol(np.float64)


def voronoi(y):
    return -0.5 * (y**2).sum(1)


def matrix(d: Diagram) -> dict[tuple[int, int], float]:
    rows = np.repeat(np.arange(len(d.mass)), np.diff(d.starts))
    return dict(zip(zip(rows.tolist(), d.neighbours.tolist()), d.facets.tolist()))


def area(polygon) -> float:
    x, y = polygon.T
    return 0.5 * float(x @ np.roll(y, -1) - y @ np.roll(x, -1))


def check_graph(d: Diagram) -> None:
    """Rows ascending, no loops, exactly symmetric, nothing at cells without mass."""
    edges = matrix(d)
    rows = np.repeat(np.arange(len(d.mass)), np.diff(d.starts))
    inside = np.diff(rows) == 0
    assert (np.diff(d.neighbours)[inside] > 0).all()
    assert all(i != j and edges[j, i] == length for (i, j), length in edges.items())
    assert (d.mass[rows] > 0).all() and (d.mass >= 0).all()


def check_naive(y, h, domain, near: Diagram | None = None) -> Diagram:
    d = Laguerre2D(y, domain).measure(h, near=near)
    check_graph(d)
    moments, facets = diagram(y, h, domain)
    moments = np.array(moments)
    np.testing.assert_allclose(d.mass, moments[:, 0], rtol=0, atol=TOL)
    np.testing.assert_allclose(d.first, moments[:, 1:3], rtol=0, atol=TOL)
    np.testing.assert_allclose(d.second, moments[:, 3], rtol=0, atol=TOL)
    mine = matrix(d)
    for pair in mine.keys() | facets.keys():
        assert mine.get(pair, 0.0) == pytest.approx(facets.get(pair, 0.0), abs=1e-9), pair
    np.testing.assert_allclose(d.mass.sum(), area(domain), rtol=1e-12)
    return d


def same(a: Diagram, b: Diagram, atol=TOL) -> None:
    for u, v in zip(a[:3], b[:3]):
        np.testing.assert_allclose(u, v, rtol=0, atol=atol)
    mine, other = matrix(a), matrix(b)
    for pair in mine.keys() | other.keys():
        assert mine.get(pair, 0.0) == pytest.approx(other.get(pair, 0.0), abs=1e-9), pair


@pytest.mark.parametrize("domain", [SQUARE, TRIANGLE, HEXAGON], ids=["square", "triangle", "hexagon"])
@pytest.mark.parametrize("noise", [0.0, 0.02, 1.0], ids=["voronoi", "some hidden", "most hidden"])
def test_diagram_is_its_definition(rng, domain, noise):
    y = rng.uniform(-0.2, 1.2, (70, 2))
    d = check_naive(y, voronoi(y) + noise * rng.standard_normal(70), domain)
    if noise:
        hidden = d.mass == 0
        assert 0 < hidden.sum() < 70 and (np.diff(d.starts)[hidden] == 0).all()


def test_clusters_far_from_their_cells(rng):
    y = np.concatenate([c + 0.01 * rng.standard_normal((12, 2)) for c in rng.uniform(0, 1, (6, 2))])
    check_naive(y, voronoi(y), SQUARE)
    s, t = 0.9 / np.ptp(y, axis=0).max(), 0.05
    h = -((s * (y - y.min(0)) + t) ** 2).sum(1) / (2 * s)
    d = check_naive(y, h, SQUARE)
    assert (d.mass > 0).all()


@pytest.mark.parametrize("n", [1, 2, 3, 17])
def test_few_sites(rng, n):
    y = rng.random((n, 2))
    check_naive(y, voronoi(y), TRIANGLE)


def test_lengths_and_neighbours_of_qhull(rng):
    """Voronoi cells mirrored at the sides of the square are exactly the clipped ones."""
    y = rng.random((1500, 2))
    mirrored = [y] + [np.where(np.arange(2) == k, 2.0 * side - y, y) for k in range(2) for side in (0.0, 1.0)]
    v = Voronoi(np.concatenate(mirrored))
    areas = [ConvexHull(v.vertices[v.regions[r]]).volume for r in v.point_region[: len(y)]]
    d = Laguerre2D(y, SQUARE).measure(voronoi(y))
    check_graph(d)
    np.testing.assert_allclose(d.mass, areas, rtol=0, atol=TOL)
    ridges = {}
    for (i, j), (a, b) in zip(v.ridge_points, v.ridge_vertices):
        if max(i, j) < len(y):
            ridges[int(i), int(j)] = ridges[int(j), int(i)] = float(np.linalg.norm(v.vertices[a] - v.vertices[b]))
    mine = matrix(d)
    assert mine.keys() == ridges.keys()
    np.testing.assert_allclose([mine[p] for p in ridges], list(ridges.values()), rtol=0, atol=TOL)


def test_neighbours_of_the_lifted_hull(rng):
    """Neighbours on a domain large enough to see all are the sides of the upper hull of (y, h)."""
    n = 1000
    y = rng.random((n, 2))
    h = voronoi(y) + 3e-4 * rng.standard_normal(n)
    hull = ConvexHull(np.column_stack([y, h]))
    upper = hull.simplices[hull.equations[:, 2] > 1e-12]
    pairs = {(int(i), int(j)) for t in upper for i in t for j in t if i != j}
    big = 1e4 * (SQUARE - 0.5)
    d = Laguerre2D(y, big).measure(h)
    check_graph(d)
    assert set(matrix(d)) == pairs
    assert set(np.flatnonzero(d.mass == 0)) == set(range(n)) - {i for i, _ in pairs}


def test_moments_by_quadrature(rng):
    y = rng.random((40, 2))
    h = voronoi(y) + 0.01 * rng.standard_normal(40)
    d = Laguerre2D(y, SQUARE).measure(h)
    m = 600
    u = (np.arange(m) + 0.5) / m
    x = np.stack(np.meshgrid(u, u), -1).reshape(-1, 2)
    owner = np.argmax(x @ y.T + h, 1)
    np.testing.assert_allclose(d.mass, np.bincount(owner, minlength=40) / m**2, atol=4e-4)
    for k in range(2):
        np.testing.assert_allclose(d.first[:, k], np.bincount(owner, x[:, k], 40) / m**2, atol=4e-4)
    np.testing.assert_allclose(d.second, np.bincount(owner, (x**2).sum(1), 40) / m**2, atol=4e-4)


@pytest.mark.parametrize("image", [False, True])
def test_derivative_of_the_masses(rng, image):
    """d mass_i / d h_j = -facet_ij / |y_i - y_j|."""
    n = 60
    y = rng.random((n, 2))
    density = np.outer([1.0, 2.0, 0.5], [1.0, 3.0]) if image else None
    laguerre = Laguerre2D(y, SQUARE, density)
    h = voronoi(y) + 1e-3 * rng.standard_normal(n)
    d = laguerre.measure(h)
    edges = matrix(d)
    step = 1e-6
    for j in range(0, n, 7):
        e = step * (np.arange(n) == j)
        slope = (laguerre.measure(h + e).mass - laguerre.measure(h - e).mass) / (2 * step)
        expected = np.array([-edges.get((i, j), 0.0) / max(np.linalg.norm(y[i] - y[j]), 1e-9) for i in range(n)])
        expected[j] = -expected.sum()
        np.testing.assert_allclose(slope, expected, rtol=1e-3, atol=2e-3)
        assert np.abs(expected).max() > 0.1


def test_grid_whose_corners_touch_four_cells():
    m = 12
    u = (np.arange(m) + 0.5) / m
    y = np.stack(np.meshgrid(u, u), -1).reshape(-1, 2)
    d = Laguerre2D(y, SQUARE).measure(voronoi(y))
    check_graph(d)
    np.testing.assert_allclose(d.mass, 1.0 / m**2, rtol=1e-12)
    edges = matrix(d)
    whole = {pair for pair, length in edges.items() if length > 1e-9}
    close = np.abs(y[:, None] - y[None]).sum(2)
    assert whole == set(zip(*np.nonzero(np.isclose(close, 1.0 / m))))
    np.testing.assert_allclose([edges[p] for p in whole], 1.0 / m, rtol=1e-11)


@pytest.mark.parametrize("m", [16, 64])
def test_exact_grid_has_no_slivers(m):
    """Coordinates and heights without rounding: the diagonal neighbours meet in a point and are not listed."""
    u = (np.arange(m) + 0.5) / m
    y = np.stack(np.meshgrid(u, u), -1).reshape(-1, 2)
    d = Laguerre2D(y, SQUARE).measure(voronoi(y))
    assert len(d.neighbours) == 4 * m * (m - 1)
    np.testing.assert_allclose(d.facets, 1.0 / m, rtol=1e-12)
    np.testing.assert_allclose(d.mass, 1.0 / m**2, rtol=1e-12)


def test_hidden_site_on_the_common_edge():
    """A cell that shrank to a segment is left out, and the two it separated see each other."""
    y = np.array([[0.25, 0.5], [0.5, 0.5], [0.75, 0.5]])
    h = voronoi(y)
    h[1] = 0.5 * (h[0] + h[2])  # on the chord: touched along a line, no area
    d = Laguerre2D(y, SQUARE).measure(h)
    assert d.mass.tolist() == [0.5, 0.0, 0.5]
    assert matrix(d) == {(0, 2): 1.0, (2, 0): 1.0}


def test_collinear_sites(rng):
    y = np.column_stack([rng.random(40), np.full(40, 0.3)])
    d = check_naive(y, voronoi(y), HEXAGON)
    assert len(d.neighbours) == 2 * 39
    y = np.outer(rng.random(40), [1.0, 0.7])
    check_naive(y, voronoi(y), SQUARE)


def test_equal_sites_and_absent_ones(rng):
    y = rng.random((30, 2))
    y[[3, 7, 11]] = y[20]
    y[[5, 6]] = y[1]
    h = voronoi(y)
    h[11] += 1e-3
    h[[2, 8]] = -np.inf
    d = check_naive(y, h, SQUARE)
    assert d.mass[11] > 0 and d.mass[1] > 0 and (d.mass[[3, 7, 20, 5, 6, 2, 8]] == 0).all()
    h[:] = -np.inf
    d = Laguerre2D(y, SQUARE).measure(h)
    assert (d.mass == 0).all() and len(d.neighbours) == 0
    h[4] = 5.0
    d = Laguerre2D(y, SQUARE).measure(h)
    assert d.mass[4] == 1.0 and d.mass.sum() == 1.0


def test_hub_with_thousands_of_neighbours():
    m = 3000
    a = np.arange(m) * 2 * np.pi / m
    y = np.concatenate([np.column_stack([np.cos(a), np.sin(a)]), [[0.0, 0.0]]])
    h = np.append(np.full(m, -0.5), 0.0)  # every line touches the circle of radius 1/2
    laguerre = Laguerre2D(y, 2 * HEXAGON)
    d = laguerre.measure(h)
    check_graph(d)
    assert d.starts[-1] - d.starts[-2] == m
    assert d.mass[-1] == pytest.approx(m * 0.25 * np.tan(np.pi / m), rel=1e-9)
    assert d.mass.sum() == pytest.approx(area(2 * HEXAGON), rel=1e-12)
    np.testing.assert_allclose(d.facets[d.starts[-2] :], np.tan(np.pi / m), rtol=1e-8)
    (hub,) = laguerre.polygons(h, np.array([m]))
    assert len(hub) == m
    same(d, laguerre.measure(h, near=d))


def test_polygons(rng):
    y = rng.random((400, 2))
    h = voronoi(y) + 1e-3 * rng.standard_normal(400)
    laguerre = Laguerre2D(y, TRIANGLE)
    d = laguerre.measure(h)
    rows = rng.permutation(400)[:150]
    cells = laguerre.polygons(h, rows)
    assert {len(c) for c in cells} > {0, 5}
    for i, corners in zip(rows, cells):
        assert corners.shape == (len(corners), 2)
        assert (area(corners) if len(corners) else 0.0) == pytest.approx(d.mass[i], abs=TOL)
        if len(corners):  # inside the domain and nowhere below another site
            assert ((corners @ y.T + h).max(1) - (corners @ y[i] + h[i])).max() < TOL
    assert laguerre.polygons(h, np.array([], int)) == []


@pytest.mark.parametrize("n", [300, 5000])
def test_warm_is_cold(rng, n):
    y = rng.random((n, 2))
    laguerre = Laguerre2D(y, SQUARE)
    before = laguerre.measure(voronoi(y))
    h = voronoi(y) + 0.3 / n * rng.standard_normal(n)
    cold = laguerre.measure(h)
    assert (cold.mass == 0).sum() > n / 50
    same(cold, laguerre.measure(h, near=before))
    same(before, laguerre.measure(voronoi(y), near=cold))  # cells come back
    bare = laguerre.measure(h, facets=False)
    np.testing.assert_array_equal(bare.mass, cold.mass)
    assert len(bare.neighbours) == 0 and not bare.starts.any()
    same(cold, laguerre.measure(h, near=bare))


def test_threads_change_nothing(rng, monkeypatch):
    y = rng.random((6000, 2))
    laguerre = Laguerre2D(y, SQUARE)
    answers = []
    for threads in ("1", "3"):
        monkeypatch.setenv("OTGEN_NUM_THREADS", threads)
        answers.append(laguerre.measure(voronoi(y)))
    for a, b in zip(*answers):
        np.testing.assert_array_equal(a, b)


def test_sums_of_many_cells(rng):
    n = 100_000
    y = rng.random((n, 2))
    d = Laguerre2D(y, TRIANGLE).measure(voronoi(y))
    total = area(TRIANGLE)
    assert d.mass.sum() == pytest.approx(total, rel=1e-12)
    np.testing.assert_allclose(d.first.sum(0), total * TRIANGLE.mean(0), rtol=1e-12)
    # Over a triangle the mean of |x|^2 is that over the middles of its sides.
    middles = 0.5 * (TRIANGLE + np.roll(TRIANGLE, 1, 0))
    assert d.second.sum() == pytest.approx(total * (middles**2).sum(1).mean(), rel=1e-12)


RECTANGLE = np.array([[-0.5, 0.25], [1.0, 0.25], [1.0, 1.25], [-0.5, 1.25]])


def test_constant_image_is_the_rectangle(rng):
    y = rng.uniform(-0.5, 1.0, (200, 2))
    h = voronoi(y) + 1e-3 * rng.standard_normal(200)
    plain, image = (Laguerre2D(y, RECTANGLE, density).measure(h) for density in (None, np.full((13, 31), 2.0)))
    assert plain.neighbours.tolist() == image.neighbours.tolist()
    for a, b in zip(plain, image):
        if a.dtype == np.float64:
            np.testing.assert_allclose(2.0 * a, b, rtol=0, atol=TOL)


@pytest.mark.parametrize("n", [1, 12, 300])
def test_image_by_quadrature(rng, n):
    image = rng.random((5, 9)) * (rng.random((5, 9)) > 0.3)
    y = rng.uniform(-0.5, 1.2, (n, 2))
    h = voronoi(y)
    d = Laguerre2D(y, RECTANGLE, image).measure(h)
    m = 60  # points a pixel and side
    u, v = -0.5 + 1.5 * (np.arange(9 * m) + 0.5) / (9 * m), 0.25 + (np.arange(5 * m) + 0.5) / (5 * m)
    x = np.stack(np.meshgrid(u, v), -1).reshape(-1, 2)
    weight = np.repeat(np.repeat(image, m, 0), m, 1).reshape(-1) * 1.5 / (45 * m * m)
    owner = np.concatenate([np.argmax(part @ y.T + h, 1) for part in np.array_split(x, 50)])
    np.testing.assert_allclose(d.mass, np.bincount(owner, weight, n), atol=2e-4)
    for k in range(2):
        np.testing.assert_allclose(d.first[:, k], np.bincount(owner, weight * x[:, k], n), atol=2e-4)
    np.testing.assert_allclose(d.second, np.bincount(owner, weight * (x**2).sum(1), n), atol=2e-4)
    assert d.mass.sum() == pytest.approx(image.mean() * 1.5, rel=1e-12)


def test_facets_of_an_image_by_quadrature(rng):
    image = rng.random((6, 4)) + 0.1
    y = rng.uniform(0.0, 1.0, (25, 2))
    laguerre = Laguerre2D(y, SQUARE, image)
    h = voronoi(y)
    edges = matrix(laguerre.measure(h))
    t = (np.arange(4000) + 0.5) / 4000
    total = 0
    for i, corners in enumerate(laguerre.polygons(h, np.arange(25))):
        for a, b in zip(corners, np.roll(corners, -1, 0)):
            x = a + t[:, None] * (b - a)
            value = x[2000] @ y.T + h
            value[i] = -np.inf
            j = int(np.argmax(value))
            if value[j] < x[2000] @ y[i] + h[i] - 1e-9:
                continue  # a side of the square
            r, c = np.floor(x[:, 1] * 6).astype(int), np.floor(x[:, 0] * 4).astype(int)
            length = np.linalg.norm(b - a) * image[r, c].mean()
            assert edges[i, j] == pytest.approx(length, abs=1e-3)
            total += 1
    assert total == len(edges)
