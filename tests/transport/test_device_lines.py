"""Transport on lines, along directions and between normal laws for arrays on a GPU: the results of the host, there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import otgen

CLOSE = {np.float64: 1e-11, np.float32: 1e-4}


def problem(n=60, m=45, d=4, dtype: type = np.float64):
    rng = np.random.default_rng((n, m, d))
    a, b = rng.random(n) * (np.arange(n) != 1), rng.random(m)
    x, y = rng.normal(size=(n, d)) + 2.0, 1.5 * rng.normal(size=(m, d)) + 2.5
    return x.astype(dtype), y.astype(dtype), 3.0 * a / a.sum(), 3.0 * b / b.sum()


def on_device(cupy, *arrays) -> list[Any]:
    return [None if array is None else cupy.asarray(array) for array in arrays]


def law(rng, d, rank):
    factor = rng.normal(size=(d, rank))
    return rng.normal(size=d), factor @ factor.T


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_wasserstein_1d(cupy, weighted, p, dtype):
    x, y, a, b = problem(dtype=dtype)
    weights = (a, b) if weighted else (None, None)
    there = on_device(cupy, x, y, *weights)
    found, wanted = otgen.wasserstein_1d(*there, p=p), otgen.wasserstein_1d(x, y, *weights, p=p)
    assert isinstance(found, cupy.ndarray) and found.dtype == wanted.dtype
    np.testing.assert_allclose(cupy.asnumpy(found), wanted, rtol=1e-12 if dtype == np.float64 else 1e-6)
    one = otgen.wasserstein_1d(there[0][:, 0], there[1][:, 0], *there[2:], p=p)
    assert isinstance(one, float) and one == pytest.approx(float(wanted[0]), rel=CLOSE[dtype])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["orthogonal", "sobol", "independent", "given"])
@pytest.mark.parametrize("weighted", [False, True])
def test_sliced_wasserstein(cupy, weighted, kind, dtype):
    x, y, a, b = problem(dtype=dtype)
    weights = (a, b) if weighted else (None, None)
    choice, there = kind, kind
    if kind == "given":
        choice = np.eye(4)[:3]
        there = cupy.asarray(choice)
    wanted = otgen.sliced_wasserstein(x, y, *weights, n_projections=11, projections=choice)
    found = otgen.sliced_wasserstein(*on_device(cupy, x, y, *weights), n_projections=11, projections=there)
    assert isinstance(found.value, float) and found.value == pytest.approx(wanted.value, rel=CLOSE[dtype])
    assert isinstance(found.standard_error, float)
    assert found.standard_error == pytest.approx(wanted.standard_error, rel=CLOSE[dtype])
    for name in ("directions", "distances"):
        one, other = getattr(found, name), getattr(wanted, name)
        assert isinstance(one, cupy.ndarray) and one.dtype == other.dtype == dtype
        np.testing.assert_allclose(cupy.asnumpy(one), other, rtol=CLOSE[dtype], atol=CLOSE[dtype])


@pytest.mark.parametrize("weights", ["none", "shared", "own"])
def test_sliced_batches(cupy, weights):
    rng = np.random.default_rng(0)
    x, y, a, b = rng.normal(size=(3, 20, 5)), rng.normal(size=(3, 15, 5)), rng.random((3, 20)), rng.random((3, 15))
    a, b = a / a.sum(1, keepdims=True), b / b.sum(1, keepdims=True)
    chosen = {"none": (None, None), "shared": (a[0], None), "own": (None, b)}[weights]
    found = otgen.sliced_wasserstein(*on_device(cupy, x, y, *chosen), n_projections=7)
    wanted = otgen.sliced_wasserstein(x, y, *chosen, n_projections=7)
    assert isinstance(found.value, cupy.ndarray) and isinstance(found.standard_error, np.ndarray)
    np.testing.assert_allclose(cupy.asnumpy(found.value), wanted.value, rtol=1e-12)
    np.testing.assert_allclose(found.standard_error, wanted.standard_error, rtol=1e-10)


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_far_scales_on_the_device(cupy, scale):
    x, y, a, b = problem()
    unit = otgen.sliced_wasserstein(x, y, a, b, n_projections=5).value
    there = on_device(cupy, scale * x, scale * y, a, b)
    assert otgen.sliced_wasserstein(*there, n_projections=5).value == pytest.approx(scale * unit, rel=1e-11)
    moments = [part for cloud in (x, y) for part in (scale * cloud.mean(axis=0), scale * (scale * np.cov(cloud.T)))]
    wanted = scale * otgen.gaussian_wasserstein(x.mean(axis=0), np.cov(x.T), y.mean(axis=0), np.cov(y.T))
    assert otgen.gaussian_wasserstein(*on_device(cupy, *moments)) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_max_sliced_wasserstein_climbs_the_same_way(cupy, weighted, p):
    x, y, a, b = problem()
    weights = (a, b) if weighted else (None, None)
    found = otgen.max_sliced_wasserstein(*on_device(cupy, x, y, *weights), p=p, n_starts=4, max_iter=12)
    wanted = otgen.max_sliced_wasserstein(x, y, *weights, p=p, n_starts=4, max_iter=12)
    assert isinstance(found.value, float) and found.value == pytest.approx(wanted.value, rel=1e-9)
    assert isinstance(found.direction, cupy.ndarray)
    np.testing.assert_allclose(cupy.asnumpy(found.direction), wanted.direction, atol=1e-6)
    assert (found.upper_bound is None) == (p > 2)
    assert p > 2 or found.upper_bound == pytest.approx(wanted.upper_bound, rel=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("function", ["wasserstein_1d", "sliced_wasserstein", "max_sliced_wasserstein"])
def test_gradients_of_cuda_tensors_are_those_of_the_host(cuda_tensors, cupy, function, weighted):
    torch = cuda_tensors.torch
    options = {} if function == "wasserstein_1d" else {"seed": 0}
    given = [z for z in problem() if weighted or z.ndim == 2]

    def run(place):
        tensors = [torch.as_tensor(z).to(place).requires_grad_() for z in given]
        found = getattr(otgen, function)(*tensors, p=2, **options)
        value = found if function == "wasserstein_1d" else found.value
        value.sum().backward()
        return value, [tensor.grad for tensor in tensors]

    value, gradients = run(cuda_tensors.device)
    with pytest.MonkeyPatch.context() as patch:
        from otgen import devices

        patch.setattr(devices, "_is_cuda", lambda tensor: tensor.device.type == "cuda")
        wanted, others = run("cpu")
    assert value.device.type == cuda_tensors.device
    torch.testing.assert_close(value.cpu(), wanted, rtol=1e-10, atol=0.0)
    for one, other in zip(gradients, others):
        assert one.device.type == cuda_tensors.device
        torch.testing.assert_close(one.cpu(), other, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("d", "rank_x", "rank_y"), [(1, 1, 1), (5, 5, 5), (5, 2, 2), (5, 5, 3), (4, 0, 2), (40, 40, 40)]
)
def test_normal_laws(cupy, rng, d, rank_x, rank_y):
    given = *law(rng, d, rank_x), *law(rng, d, rank_y)
    there = on_device(cupy, *given)
    found, wanted = otgen.gaussian_wasserstein(*there), otgen.gaussian_wasserstein(*given)
    assert isinstance(found, float) and found == pytest.approx(wanted, rel=1e-9)
    assert otgen.gaussian_wasserstein(*there[:2], *there[:2]) == 0.0
    if rank_y > rank_x:
        with pytest.raises(ValueError, match="cov_x must have at least the rank of cov_y"):
            otgen.gaussian_map(*there)
        return
    ours, theirs, points = otgen.gaussian_map(*there), otgen.gaussian_map(*given), rng.normal(size=(6, d))
    scale = 1.0 + np.abs(theirs.matrix).max()
    for one, other in (
        (ours.matrix, theirs.matrix), (ours.offset, theirs.offset), (ours.mean_x, theirs.mean_x),
        (ours.transform(cupy.asarray(points)), theirs.transform(points)),
        *([(ours.inverse(cupy.asarray(points)), theirs.inverse(points))] if rank_x == rank_y else []),
    ):  # fmt: skip
        assert isinstance(one, cupy.ndarray) and one.shape == other.shape
        np.testing.assert_allclose(cupy.asnumpy(one), other, rtol=0, atol=1e-7 * scale * (1 + np.abs(other).max()))
    assert isinstance(ours.transform(points), np.ndarray)  # where the points are
    if rank_x == rank_y == d:
        np.testing.assert_array_equal(cupy.asnumpy(ours.matrix), cupy.asnumpy(ours.matrix).T)


def test_a_covariance_that_is_none_is_refused_on_the_device(cupy):
    mean, cov = on_device(cupy, np.zeros(2), np.diag([1.0, -1.0]))
    with pytest.raises(ValueError, match="cov_x must be positive semidefinite; its smallest eigenvalue is -1"):
        otgen.gaussian_wasserstein(mean, cov, mean, cupy.asarray(np.eye(2)))


@pytest.mark.parametrize(("n", "m", "d"), [(40, 30, 3), (6, 5, 10), (40, 6, 10), (2, 2, 1)])
def test_frechet_distance(cupy, n, m, d):
    x, y, _, _ = problem(n, m, d)
    there = on_device(cupy, x, y)
    wanted = otgen.frechet_distance(x, y)
    assert otgen.frechet_distance(*there) == pytest.approx(wanted, rel=1e-9)
    assert otgen.frechet_distance(there[0], there[0]) == 0.0


@pytest.mark.parametrize(("n", "m", "d"), [(40, 30, 3), (6, 5, 10)])
def test_frechet_gradients_of_cuda_tensors(cuda_tensors, cupy, n, m, d):
    torch = cuda_tensors.torch
    x, y, _, _ = problem(n, m, d)

    def run(place):
        tensors = [torch.as_tensor(z).to(place).requires_grad_() for z in (x, y)]
        otgen.frechet_distance(*tensors).backward()
        return [tensor.grad for tensor in tensors]

    found = run(cuda_tensors.device)
    with pytest.MonkeyPatch.context() as patch:
        from otgen import devices

        patch.setattr(devices, "_is_cuda", lambda tensor: tensor.device.type == "cuda")
        wanted = run("cpu")
    for one, other in zip(found, wanted):
        torch.testing.assert_close(one.cpu(), other, rtol=1e-7, atol=1e-9)


def test_moments_of_batches_on_the_device(cupy, monkeypatch):
    from otgen.transport import moments

    monkeypatch.setattr(moments, "MOST_ROWS", 16)
    x, y, _, _ = problem(100, 60, 3)
    ours, theirs = otgen.GaussianMoments(), otgen.GaussianMoments().update(x)
    for start in range(0, 100, 7):
        ours.update(cupy.asarray(x[start : start + 7]))
    assert isinstance(ours.mean, np.ndarray) and isinstance(ours.covariance, np.ndarray) and ours.count == 100
    np.testing.assert_allclose(ours.mean, x.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(ours.covariance, np.cov(x.T), rtol=1e-12)
    wanted, there = otgen.frechet_distance(x, y), cupy.asarray(y)
    host_side = otgen.GaussianMoments().update(y)
    for pair in ((ours, there), (there, ours), (ours, host_side), (host_side, ours), (theirs, there)):
        assert otgen.frechet_distance(*pair) == pytest.approx(wanted, rel=1e-10)
    with pytest.raises(TypeError, match="batch must be where those before are, on cuda:0; it is on cpu. Move it"):
        ours.update(x)
    host_side.merge(otgen.GaussianMoments().update(cupy.asarray(x)))
    ours.merge(otgen.GaussianMoments().update(y))
    assert ours.count == host_side.count == 160
    np.testing.assert_allclose(ours.covariance, host_side.covariance, rtol=1e-12)
    empty = otgen.GaussianMoments().merge(ours).update(there)
    np.testing.assert_allclose(empty.mean, np.vstack([x, y, y]).mean(axis=0), rtol=1e-12)


def test_an_update_that_ran_out_of_memory_counts_once(cupy, monkeypatch):
    from otgen.transport import moments

    monkeypatch.setattr(moments, "MOST_ROWS", 8)
    x, _, _, _ = problem(50, 5, 3)
    found = otgen.GaussianMoments().update(cupy.asarray(x[:5]))
    honest, calls = moments._Sums.of, []

    def failing(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise cupy.cuda.memory.OutOfMemoryError(192, 0)
        return honest(*arguments)

    monkeypatch.setattr(moments._Sums, "of", failing)
    found.update(cupy.asarray(x[5:]))
    assert found.count == 50
    np.testing.assert_allclose(found.covariance, np.cov(x.T), rtol=1e-12)
