"""MMD and energy distance against loops, SciPy, and what must hold of any discrepancy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import energy_distance

import naive_kernels as naive
import otgen
from otgen.transport.kernel_choice import SCALES
from tolerance import tol

KERNELS = tuple(SCALES)
SCALED = tuple(kernel for kernel in KERNELS if SCALES[kernel])


def problem(n=10, m=8, d=2, seed=0, dtype=np.float64, mass=1.0):
    rng = np.random.default_rng((seed, n, m, d))
    a, b = rng.random(n) + 0.05, rng.random(m) + 0.05
    x, y = rng.normal(size=(n, d)).astype(dtype), (rng.normal(size=(m, d)) + 0.3).astype(dtype)
    return x, y, mass * a / a.sum(), mass * b / b.sum()


def options(kernel, h=1.3):
    return {"kernel": kernel, "bandwidth": h} if kernel in SCALED else {"kernel": kernel}


def slope_of(tensor) -> np.ndarray:
    """The gradient that a tensor holds."""
    assert tensor.grad is not None
    return tensor.grad.numpy()


@pytest.mark.parametrize("d", [1, 3, 11])
@pytest.mark.parametrize("estimator", ["unbiased", "biased"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_agrees_with_the_definition(kernel, estimator, d):
    x, y, a, b = problem(d=d)
    scales = SCALES[kernel] or (1.0,)
    for weights in ((a, b), (None, None)):
        flat = [np.full(len(z), 1.0 / len(z)) if w is None else w for z, w in zip((x, y), weights)]
        expected = naive.mmd_squared(x, y, flat[0], flat[1], kernel, scales, 1.3, estimator)
        found = otgen.mmd_squared(x, y, *weights, **options(kernel), estimator=estimator)
        assert type(found) is float and found == pytest.approx(expected, rel=1e-11, abs=1e-13)
    twice = otgen.mmd_squared(x, y, 2 * a, 2 * b, **options(kernel), estimator=estimator)
    assert twice == pytest.approx(4.0 * naive.mmd_squared(x, y, a, b, kernel, scales, 1.3, estimator), rel=1e-11)


@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("kernel", KERNELS)
def test_the_linear_estimate_agrees_with_the_definition(kernel, d):
    x, y, _, _ = problem(8, 8, d)
    expected = naive.mmd_squared(x, y, None, None, kernel, SCALES[kernel] or (1.0,), 1.3, "linear")
    found = otgen.mmd_squared(x, y, **options(kernel), estimator="linear")
    assert found == pytest.approx(expected, rel=1e-12)
    if kernel in SCALED:
        unit = 1e150
        far = otgen.mmd_squared(unit * x, unit * y, kernel=kernel, bandwidth=1.3 * unit, estimator="linear")
        assert far == pytest.approx(expected, rel=1e-12)


def test_imq_is_that_of_wasserstein_autoencoders():
    """C = s 2 d sigma^2 for a prior of standard deviation sigma, the U-statistic within, 2 / n^2 across."""
    x, y, _, _ = problem(9, 9, 4)
    sigma, n, d = 1.5, 9, 4
    value = 0.0
    for s in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0):
        C = s * 2 * d * sigma**2
        k = lambda u, v: C / (C + ((u[:, None] - v) ** 2).sum(-1))  # noqa: B023, E731
        value += sum((k(z, z).sum() - n) / (n * (n - 1)) for z in (x, y)) - 2.0 * k(x, y).sum() / n**2
    assert otgen.mmd_squared(x, y, bandwidth=np.sqrt(2 * d) * sigma) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_energy_distance_is_the_square_of_scipys_and_twice_the_cramer_distance(weighted):
    x, y, a, b = problem(50, 40, 1)
    weights = (a, b) if weighted else (None, None)
    found = otgen.energy_distance_squared(x, y, *weights)
    assert found == pytest.approx(energy_distance(x[:, 0], y[:, 0], *weights) ** 2, rel=1e-12)
    a, b = (a, b) if weighted else (np.full(50, 0.02), np.full(40, 0.025))
    at = np.concatenate([x[:, 0], y[:, 0]])
    order = np.argsort(at)
    apart = np.cumsum(np.concatenate([a, -b])[order])[:-1]
    assert found == pytest.approx(2.0 * float((apart**2 * np.diff(at[order])).sum()), rel=1e-12)
    assert found == pytest.approx(otgen.mmd_squared(x, y, *weights, kernel="energy", estimator="biased"), rel=1e-14)


def slopes(function, at, step=1e-5):
    """The gradient of a function of an array, by central differences."""
    out = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[index] += step
        down[index] -= step
        out[index] = (function(up) - function(down)) / (2 * step)
    return out


@pytest.mark.parametrize("d", [2, 9])
@pytest.mark.parametrize("estimator", ["unbiased", "biased", "linear"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_gradients_in_points_are_those_of_finite_differences(kernel, estimator, d):
    x, y, a, b = problem(8, 8, d, mass=1.0 if estimator == "linear" else 3.0)
    weights = (None, None) if estimator == "linear" else (a, b)
    call = lambda u, v: otgen.mmd_squared(u, v, *weights, **options(kernel), estimator=estimator)  # noqa: E731
    tensors = [torch.tensor(z, requires_grad=True) for z in (x, y)]
    given = [None if w is None else torch.tensor(w) for w in weights]
    value = otgen.mmd_squared(*tensors, *given, **options(kernel), estimator=estimator)
    assert value.shape == () and value.item() == call(x, y)
    value.backward()
    for tensor, expected in zip(tensors, (slopes(lambda u: call(u, y), x), slopes(lambda v: call(x, v), y))):
        np.testing.assert_allclose(slope_of(tensor), expected, atol=1e-7 * np.abs(expected).max())
    alone = torch.tensor(x, requires_grad=True)
    otgen.mmd_squared(alone, torch.tensor(y), *given, **options(kernel), estimator=estimator).backward()
    np.testing.assert_array_equal(slope_of(alone), slope_of(tensors[0]))


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("estimator", ["unbiased", "biased"])
@pytest.mark.parametrize("kernel", ["imq", "polynomial", "energy"])
def test_gradients_in_weights_are_those_of_finite_differences_at_fixed_mass(kernel, estimator, zeros):
    x, y, a, b = problem()
    if zeros:
        a[3] = 0.0
        a /= a.sum()
    normal = lambda w: 2.0 * w / w.sum()  # noqa: E731
    call = lambda a, b: otgen.mmd_squared(x, y, normal(a), normal(b), **options(kernel), estimator=estimator)  # noqa: E731
    tensors = [torch.tensor(w, requires_grad=True) for w in (a, b)]
    value = otgen.mmd_squared(*map(torch.tensor, (x, y)), *map(normal, tensors), **options(kernel), estimator=estimator)
    value.backward()
    expected = slopes(lambda w: call(np.maximum(w, 0.0), b), a, 1e-6), slopes(lambda w: call(a, w), b, 1e-6)
    for tensor, one, w in zip(tensors, expected, (a, b)):
        one[w == 0.0] *= 2.0  # half of the step was cut off
        np.testing.assert_allclose(slope_of(tensor), one, atol=2e-5 * np.abs(one).max())


@pytest.mark.parametrize("kernel", KERNELS)
def test_float32_in_float32_out_within_its_rounding(kernel):
    x, y, _, _ = problem(40, 30, 12)
    exact = otgen.mmd_squared(x.astype(np.float32), y.astype(np.float32), **options(kernel))
    wide = otgen.mmd_squared(x.astype(np.float32).astype(float), y.astype(np.float32).astype(float), **options(kernel))
    assert exact == pytest.approx(wide, abs=tol(np.float32) * max(abs(wide), 1.0))
    tensors = [torch.tensor(z, dtype=torch.float32, requires_grad=True) for z in (x, y)]
    value = otgen.mmd_squared(*tensors, **options(kernel))
    assert value.dtype == torch.float32
    value.backward()
    double = [torch.tensor(z.astype(np.float32).astype(float), requires_grad=True) for z in (x, y)]
    otgen.mmd_squared(*double, **options(kernel)).backward()
    for one, other in zip(tensors, double):
        assert slope_of(one).dtype == np.float32
        np.testing.assert_allclose(
            slope_of(one), slope_of(other), atol=tol(np.float32) * float(np.abs(slope_of(other)).max())
        )
    half = otgen.mmd_squared(*(t.detach().half() for t in tensors), **options(kernel))
    assert half.dtype == torch.float32


@pytest.mark.parametrize("bandwidth", ["median", 0.7])
@pytest.mark.parametrize("shared", [None, "a", "both"])
def test_a_batch_is_its_problems_one_by_one(rng, bandwidth, shared):
    x, y = rng.normal(size=(3, 6, 2)), rng.normal(size=(3, 5, 2)) + 0.5
    a = None if shared is None else (lambda w: w / w.sum())(rng.random(6))
    b = np.full((3, 5), 0.2) if shared == "both" else None
    tensors = [torch.tensor(z, requires_grad=True) for z in (x, y)]
    weights = [None if w is None else torch.tensor(w, requires_grad=True) for w in (a, b)]
    values = otgen.mmd_squared(*tensors, *weights, bandwidth=bandwidth)
    assert values.shape == (3,)
    (values * torch.tensor([1.0, 2.0, -3.0])).sum().backward()
    total = np.zeros(6)
    for k, factor in enumerate((1.0, 2.0, -3.0)):
        one = [torch.tensor(z[k], requires_grad=True) for z in (x, y)]
        own = [None if w is None else torch.tensor(w[k] if w.ndim == 2 else w, requires_grad=True) for w in (a, b)]
        value = otgen.mmd_squared(*one, *own, bandwidth=bandwidth)
        assert values[k].item() == value.item()
        (factor * value).backward()
        for whole, alone in zip(tensors, one):
            np.testing.assert_allclose(slope_of(whole)[k], slope_of(alone), rtol=1e-12)
        total += 0.0 if own[0] is None else slope_of(own[0])
    if weights[0] is not None:
        np.testing.assert_allclose(slope_of(weights[0]), total, rtol=1e-9, atol=1e-14)


def test_the_points_a_median_is_taken_of_do_not_depend_on_the_place_in_a_batch(rng):
    x, y = rng.normal(size=(2, 600, 1)), rng.normal(size=(2, 600, 1))
    found = otgen.mmd_squared(x, y, seed=3)
    assert [float(v) for v in found] == [otgen.mmd_squared(*pair, seed=3) for pair in zip(x, y)]
    generator = np.random.default_rng(3)
    assert (otgen.mmd_squared(x, y, seed=generator) == found).all()
    assert otgen.mmd_squared(x[0], y[0], seed=generator) != found[0]  # the generator has moved on


points = st.integers(0, 2**32 - 1).map(lambda seed: problem(1 + seed % 7, 1 + seed // 7 % 6, 1 + seed % 3, seed))


@given(points, st.sampled_from(KERNELS))
@settings(max_examples=60, deadline=None)
def test_it_is_symmetric_not_negative_and_0_for_equal_measures(given, kernel):
    x, y, a, b = given
    call = lambda *args: otgen.mmd_squared(*args, **options(kernel), estimator="biased")  # noqa: E731
    value = call(x, y, a, b)
    size = max(abs(naive.kernel(u, v, kernel, SCALES[kernel] or (1.0,), 1.3)) for u in [*x, *y] for v in [*x, *y])
    assert value >= 0.0 and call(y, x, b, a) == pytest.approx(value, rel=1e-9, abs=1e-14 * size)
    assert call(x, x.copy(), a, a.copy()) <= 1e-14 * size
    order = np.random.default_rng(0).permutation(len(x))
    assert call(x[order], y, a[order], b) == pytest.approx(value, rel=1e-9, abs=1e-14 * size)


@given(points, st.sampled_from([kernel for kernel in KERNELS if kernel != "polynomial"]))
@settings(max_examples=60, deadline=None)
def test_moving_both_changes_nothing_and_its_root_obeys_the_triangle_inequality(given, kernel):
    x, y, a, b = given
    call = lambda *args: otgen.mmd_squared(*args, **options(kernel), estimator="biased")  # noqa: E731
    value = call(x, y, a, b)
    size = max(abs(naive.kernel(u, v, kernel, SCALES[kernel] or (1.0,), 1.3)) for u in [*x, *y] for v in [*x, *y])
    assert call(x + 7.25, y + 7.25, a, b) == pytest.approx(value, rel=1e-9, abs=1e-13 * max(size, 1.0))
    z, c = 0.5 * y + 1.0, b[::-1].copy()
    sides = np.sqrt([value, call(y, z, b, c), call(x, z, a, c)])
    assert sides[2] <= sides[0] + sides[1] + 1e-7


@given(points, st.sampled_from([1e-150, 1e150, 3.0]))
@settings(max_examples=40, deadline=None)
def test_scaling_scales_the_energy_distance_and_leaves_mmd_with_its_median(given, factor):
    x, y, a, b = given
    value = otgen.energy_distance_squared(x, y, a, b)
    assert otgen.energy_distance_squared(factor * x, factor * y, a, b) == pytest.approx(
        factor * value, rel=1e-9, abs=1e-13 * factor
    )
    value = otgen.mmd_squared(x, y, a, b, estimator="biased")
    assert otgen.mmd_squared(factor * x, factor * y, a, b, estimator="biased") == pytest.approx(value, abs=1e-12)


def test_weights_are_what_repeated_points_are(rng):
    x, y, _, _ = problem(4, 5)
    times = np.array([3, 1, 2, 2])
    for kernel in ("imq", "energy"):
        repeated = otgen.mmd_squared(np.repeat(x, times, axis=0), y, **options(kernel), estimator="biased")
        weighted = otgen.mmd_squared(x, y, times / 8, np.full(5, 0.2), **options(kernel), estimator="biased")
        assert weighted == pytest.approx(repeated, rel=1e-12)


def test_the_unbiased_estimate_has_mean_0_where_the_distributions_are_one(rng):
    values = [otgen.mmd_squared(rng.normal(size=(12, 2)), rng.normal(size=(9, 2))) for _ in range(300)]
    assert abs(np.mean(values)) < 4.0 * np.std(values) / np.sqrt(len(values))
    biased = [
        otgen.mmd_squared(rng.normal(size=(12, 2)), rng.normal(size=(9, 2)), estimator="biased") for _ in range(50)
    ]
    assert np.mean(biased) > 10.0 * np.std(values) / np.sqrt(len(values))


def test_one_point_each_and_strided_and_integer_points():
    assert otgen.energy_distance_squared([[0.0, 0.0]], [[3.0, 4.0]]) == 10.0
    x, y, _, _ = problem(20, 20, 6)
    strided = otgen.mmd_squared(x[::2, ::2], y[::2, ::2])
    assert strided == otgen.mmd_squared(np.ascontiguousarray(x[::2, ::2]), np.ascontiguousarray(y[::2, ::2]))
    whole = (10 * x).astype(int), (10 * y).astype(int)
    assert otgen.mmd_squared(*whole) == otgen.mmd_squared(*(z.astype(float) for z in whole))


@pytest.mark.parametrize("kernel", ["laplace", "energy"])
def test_coincident_points_have_gradient_0(kernel):
    x = torch.zeros((4, 3), dtype=torch.float64, requires_grad=True)
    otgen.mmd_squared(x, torch.zeros((3, 3), dtype=torch.float64), **options(kernel)).backward()
    assert (x.grad == 0.0).all()


def test_its_gradient_is_no_function_of_its_own():
    x = torch.randn(4, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(otgen.mmd_squared(x, torch.randn(4, 2)), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once differentiable"):
        gradient.sum().backward()


@pytest.mark.parametrize("share", [1e-2, 1e-5, 1e-7])
@pytest.mark.parametrize("kernel", ["energy", "gaussian"])
def test_an_unbiased_estimate_keeps_its_digits_where_one_point_has_nearly_all_the_mass(kernel, share):
    x, y = problem(3, 2)[:2]
    heavy = np.array([share / 3, 1.0 - share, 2 * share / 3])
    found = otgen.mmd_squared(x, y, heavy, None, kernel=kernel, bandwidth="median" if kernel == "energy" else 1.0)
    wanted = naive.mmd_squared(x, y, heavy, np.full(2, 0.5), kernel)
    assert found == pytest.approx(wanted, rel=(1e-13 if kernel == "energy" else 1e-14 / share))


def test_what_it_refuses():
    x, y, a, b = problem(5, 4)
    with pytest.raises(ValueError, match=r"estimator='linear' takes pairs of points in turn.*n = 5 and m = 4"):
        otgen.mmd_squared(x, y, estimator="linear")
    with pytest.raises(ValueError, match=r"estimator='linear' takes pairs of points in turn.*n = 5 and m = 5"):
        otgen.mmd_squared(x, x, estimator="linear")
    with pytest.raises(ValueError, match=r"estimator='linear' takes points in turn and has no weights"):
        otgen.mmd_squared(x[:4], y, None, b, estimator="linear")
    with pytest.raises(ValueError, match=r"y must have two points with weight for estimator='unbiased'.*Pass estim"):
        otgen.mmd_squared(x, y, a, [1.0, 0.0, 0.0, 0.0])
    with pytest.raises(
        ValueError, match=r"y must have weight in more than one point.*it is 2.0e-12, below.*Pass estim"
    ):
        otgen.mmd_squared(x, y, a, [1.0 - 1e-12, 0.0, 1e-12, 0.0])
    with pytest.raises(ValueError, match=r"b must sum to the mass of a"):
        otgen.energy_distance_squared(x, y, a, 2 * b)
    with pytest.raises(ValueError, match=r"x must be finite; x\[0, 1\] is nan"):
        otgen.mmd_squared(np.array([[0.0, np.nan]]), y)
    with pytest.raises(ValueError, match=r"x and y must have points of one dimension d"):
        otgen.energy_distance_squared(x, y[:, :1])
    with pytest.raises(ValueError, match=r"sums of the kernel over x and y leave the range of float64. Rescale"):
        otgen.mmd_squared(1e120 * x, 1e120 * y, kernel="polynomial")
