"""Batches: every problem is what it is by itself, its convergence its own, its gradients those of its objective."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import ot
import pytest
import torch

import naive_entropic as naive
import otgen
from otgen.transport import batch as batch_file
from otgen.transport.batch import TransportBatch
from otgen.transport.costs import METRICS

INF = math.inf


def problems(count=3, n=7, m=5, d=2, seed=0):
    rng = np.random.default_rng((seed, count, n, m, d))
    a, b = rng.random((count, n)) + 0.05, rng.random((count, m)) + 0.05
    x, y = rng.normal(size=(count, n, d)), rng.normal(size=(count, m, d)) + 0.3
    return x, y, a / a.sum(1, keepdims=True), b / b.sum(1, keepdims=True)


def row(w, k):
    return None if w is None else w if np.ndim(w) == 1 else w[k]


def check(batch, x, y, a=None, b=None, rel=1e-7, **options: Any):
    """Every problem equals the single call, as an array over the problems and as a Transport."""
    assert isinstance(batch, TransportBatch) and len(batch) == len(x)
    for k in range(len(x)):
        alone: Any = otgen.sinkhorn(x[k], y[k], row(a, k), row(b, k), **options)
        one = batch[k]
        size = abs(alone.value) + alone.eps * alone.scale
        near = {"rel": rel, "abs": rel * size}
        for name in ("value", "objective", "dual_value"):
            assert getattr(batch, name)[k] == pytest.approx(getattr(alone, name), **near)
            assert getattr(one, name) == pytest.approx(float(getattr(batch, name)[k]), rel=1e-12)
        for name in ("gap", "marginal_error", "scale", "n_iter", "converged"):
            assert getattr(one, name) == pytest.approx(getattr(batch, name)[k])
        assert batch.scale[k] == pytest.approx(alone.scale, rel=rel)
        assert batch.converged[k] == (batch.marginal_error[k] <= batch.tol * batch.scale[k]) == alone.converged
        if alone.lower_bound is None:
            assert batch.lower_bound is batch.upper_bound is one.lower_bound is one.upper_bound is None
        else:
            assert one.lower_bound == pytest.approx(batch.lower_bound[k]) and one.lower_bound <= one.upper_bound
            assert batch.lower_bound[k] == pytest.approx(alone.lower_bound, rel=1e3 * rel, abs=1e3 * rel * size)
            assert batch.upper_bound[k] == pytest.approx(alone.upper_bound, rel=1e3 * rel, abs=1e3 * rel * size)
        difference = [batch.potentials[side][k] - alone.potentials[side] for side in (0, 1)]
        if alone.unbalanced is None:
            difference = [difference[0] - difference[0].mean(), difference[1] - difference[1].mean()]
        assert max(np.abs(z).max() for z in difference) <= 1e3 * rel * (size + np.abs(alone.potentials[0]).max())
        np.testing.assert_allclose(one.potentials[0], batch.potentials[0][k], rtol=1e-5, atol=1e3 * rel * size)
        atol = 10 * rel * alone.scale
        np.testing.assert_allclose(one.plan.toarray(), alone.plan.toarray(), atol=atol)
        np.testing.assert_allclose(one.map(), alone.map(), rtol=1e3 * rel, atol=1e3 * rel * np.abs(y[k]).max())
        assert (one.cost, one.eps, one.unbalanced, one.tol) == (alone.cost, alone.eps, alone.unbalanced, alone.tol)
    return batch


@pytest.mark.parametrize("unbalanced", [None, 0.5, (0.5, 2.0), (INF, 0.7)])
@pytest.mark.parametrize("metric", METRICS)
def test_each_problem_is_the_single_call(metric, unbalanced):
    x, y, a, b = problems(d=2 if metric == "euclidean" else 12)  # in d = 2 the single call compiles for each metric
    options = {"eps": 0.2, "cost": (metric, 1.5), "unbalanced": unbalanced, "tol": 1e-10}
    batch = check(otgen.sinkhorn(x, y, a, b, **options), x, y, a, b, **options)
    assert batch.converged.dtype == bool and batch.n_iter.dtype == np.int64 and batch.converged.all()
    assert batch.potentials[0].shape == (3, 7) and batch.potentials[1].shape == (3, 5)


def test_each_divergence_is_the_single_call():
    x, y, a, b = problems()
    several: list[dict[str, Any]] = [{}, {"unbalanced": 0.5}, {"unbalanced": (0.5, 2.0)}, {"cost": "cosine"}]
    for options in several:
        found = otgen.sinkhorn_divergence(x, y, a, b, eps=0.2, tol=1e-9, **options)
        alone = [otgen.sinkhorn_divergence(*one, eps=0.2, tol=1e-9, **options) for one in zip(x, y, a, b)]
        np.testing.assert_allclose(found, alone, rtol=1e-8, atol=1e-12)
        assert found.shape == (3,) and (found > 0).all()
    found = otgen.sinkhorn_divergence(x, y, 2 * a, b, eps=0.2, unbalanced=0.5, tol=1e-9)
    alone = [
        otgen.sinkhorn_divergence(u, v, 2 * w, z, eps=0.2, unbalanced=0.5, tol=1e-9) for u, v, w, z in zip(x, y, a, b)
    ]
    np.testing.assert_allclose(found, alone, rtol=1e-8)


def test_divergence_is_zero_for_equal_clouds_and_never_negative():
    x, y, a, _ = problems(n=6, m=6)
    assert (otgen.sinkhorn_divergence(x, x, a, a, eps=0.1) == 0.0).all()
    order = np.random.default_rng(0).permutation(6)
    y[0], y[1] = x[0], x[1][order]  # two of three are equal measures
    b = np.stack([a[0], a[1][order], a[2]])
    for accuracy in (1e-2, 1e-6, 1e-10):
        found = otgen.sinkhorn_divergence(x, y, a, b, eps=0.1, tol=accuracy)
        assert (found > -1e-14).all() and found[2] > 0.1 and (found[:2] < 10 * accuracy**2 + 1e-13).all()


@pytest.mark.parametrize("shared", ["none", "a", "b", "both", "rows"])
def test_weights(shared):
    x, y, a, b = problems()
    a = {"none": None, "b": None}.get(shared, a[0] if shared != "rows" else a)
    b = {"none": None, "a": None}.get(shared, b[0] if shared != "rows" else b)
    check(otgen.sinkhorn(x, y, a, b, eps=0.3, tol=1e-10), x, y, a, b, eps=0.3, tol=1e-10)


def test_points_without_mass_take_no_part():
    x, y, a, b = problems()
    a[0, :2] = b[1, 4] = 0.0
    x[0, 0], y[1, 4] = 40.0, -70.0
    a, b = a / a.sum(1, keepdims=True), b / b.sum(1, keepdims=True)
    for unbalanced in (None, 0.5):
        options = {"eps": 0.02, "unbalanced": unbalanced, "tol": 1e-10}
        check(otgen.sinkhorn(x, y, a, b, **options), x, y, a, b, **options)
        found = otgen.sinkhorn_divergence(x, y, a, b, **options)
        alone = [otgen.sinkhorn_divergence(*one, **options) for one in zip(x, y, a, b)]
        np.testing.assert_allclose(found, alone, rtol=1e-8)


@pytest.mark.parametrize("scale", [1e-150, 1e-12, 1e12, 1e150])
def test_scales(scale):
    x, y, a, b = problems()
    unit: Any = otgen.sinkhorn(x, y, a, b, eps=0.2, tol=1e-9)
    batch: Any = otgen.sinkhorn(scale * x, scale * y, a, b, eps=0.2 * scale**2, tol=1e-9)
    assert batch.converged.all()
    for name in ("value", "objective", "dual_value", "lower_bound", "upper_bound"):
        np.testing.assert_allclose(getattr(batch, name), scale**2 * getattr(unit, name), rtol=1e-7)
    one = batch[1]
    assert one.value == pytest.approx(batch.value[1], rel=1e-12)
    np.testing.assert_allclose(one.plan.toarray(), unit[1].plan.toarray(), atol=1e-8)
    np.testing.assert_allclose(one.map() / scale, unit[1].map(), atol=1e-6)
    found = otgen.sinkhorn_divergence(scale * x, scale * y, a, b, eps=0.2 * scale**2, tol=1e-9)
    np.testing.assert_allclose(found, scale**2 * otgen.sinkhorn_divergence(x, y, a, b, eps=0.2, tol=1e-9), rtol=1e-7)


def test_float32_keeps_its_precision():
    x, y, a, b = problems()
    batch = otgen.sinkhorn(*(z.astype("f4") for z in (x, y, a, b)), eps=0.1)
    assert batch.value.dtype == batch.objective.dtype == np.float32 and batch.potentials[0].dtype == np.float64
    assert batch.tol == 1e-4 and batch.converged.all() and batch[0].map().dtype == np.float32
    np.testing.assert_allclose(batch.objective, otgen.sinkhorn(x, y, a, b, eps=0.1).objective, rtol=1e-4)
    assert otgen.sinkhorn_divergence(x.astype("f4"), y.astype("f4"), eps=0.1).dtype == np.float32


def test_lists_and_layouts():
    x, y, a, b = problems()
    expected = otgen.sinkhorn(x, y, a, b, eps=0.2)
    for form in (np.ndarray.tolist, np.asfortranarray, lambda z: np.repeat(z, 2, -1)[..., ::2]):
        np.testing.assert_array_equal(otgen.sinkhorn(*map(form, (x, y, a, b)), eps=0.2).value, expected.value)
    x.setflags(write=False)
    assert otgen.sinkhorn(x, y, a, b, eps=0.2).value[0] == expected.value[0]


def test_reading_a_batch():
    x, y, a, b = problems()
    batch = otgen.sinkhorn(x, y, a, b, eps=0.2)
    assert [one.value for one in batch] == pytest.approx(batch.value.tolist())
    assert batch[-1].value == batch[2].value == batch[np.int64(2)].value and len(batch) == 3
    assert repr(batch).startswith("TransportBatch of 3 problems, cost sqeuclidean, eps 0.2: 3 converged, marginal")
    assert "Transport of 7 to 5 points" in repr(batch[0])
    for k in (3, -4):
        with pytest.raises(IndexError, match=f"this batch holds 3 problems; got index {k}."):
            batch[k]
    for wrong in (slice(0, 2), "0", True, 1.0):
        with pytest.raises(TypeError, match=r"a batch is indexed by one int; got .*\. Index its arrays"):
            batch[wrong]
    assert otgen.TransportBatch is TransportBatch
    single = otgen.sinkhorn(x[:1], y[:1], eps=0.2, tol=1e-9)
    assert len(single) == 1 and single.value.shape == (1,)
    check(single, x[:1], y[:1], eps=0.2, tol=1e-9)


def test_the_users_buffers_may_change():
    x, y, a, b = problems()
    batch = otgen.sinkhorn(x, y, a, b, eps=0.2)
    before = batch[0].plan.toarray(), batch[0].map()
    x += 5.0
    a[:] = 1.0
    np.testing.assert_array_equal(batch[0].plan.toarray(), before[0])
    np.testing.assert_array_equal(batch[0].map(), before[1])


def test_each_problem_converges_by_itself():
    x, y, a, b = problems(4, 12, 12)
    x[2], y[2] = 100.0 * x[2], 100.0 * y[2]  # 10^4 times the cost
    easy = otgen.sinkhorn(x[[0, 1, 3]], y[[0, 1, 3]], a[[0, 1, 3]], b[[0, 1, 3]], eps=1.0)
    with pytest.warns(otgen.ConvergenceWarning, match="1 of 4 problems stopped at .* above tol=1e-06. Raise") as caught:
        batch = otgen.sinkhorn(x, y, a, b, eps=1.0, max_iter=80)
    assert len(caught) == 1 and caught[0].filename == __file__
    assert batch.converged.tolist() == [True, True, False, True] and "3 converged" in repr(batch)
    assert batch.n_iter[2] == 80 and batch.n_iter[[0, 1, 3]].tolist() == easy.n_iter.tolist()
    np.testing.assert_array_equal(batch.value[[0, 1, 3]], easy.value)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = batch[2]
    assert not one.converged and one.marginal_error == batch.marginal_error[2] and "Raise max_iter" in one.message
    exact = float(ot.emd2(a[2], b[2], naive.cost_matrix(x[2], y[2])))  # pyright: ignore[reportArgumentType]
    assert one.lower_bound <= exact * (1 + 1e-12) and exact <= one.upper_bound * (1 + 1e-12)


def test_one_warning_for_all():
    x, y, a, b = problems()
    for solve in (otgen.sinkhorn, otgen.sinkhorn_divergence):
        with pytest.warns(otgen.ConvergenceWarning, match="3 of 3 problems stopped") as caught:
            solve(x, y, a, b, eps=1e-3, max_iter=1)
        assert len(caught) == 1 and caught[0].filename == __file__


def test_large_problems_go_one_by_one(monkeypatch):
    x, y, a, b = problems()
    for scale in (1.0, 1e-150, 1e100):
        for unbalanced in (None, (0.5, INF)):
            points = scale * x, scale * y, a, b
            rho = unbalanced and (0.5 * scale**2, INF)
            options = {"eps": 0.2 * scale**2, "unbalanced": rho, "tol": 1e-10}
            small, divergence = otgen.sinkhorn(*points, **options), otgen.sinkhorn_divergence(*points, **options)
            with monkeypatch.context() as patch:
                patch.setattr(batch_file, "SMALL_PAIRS", 4)
                large = otgen.sinkhorn(*points, **options)
                np.testing.assert_allclose(otgen.sinkhorn_divergence(*points, **options), divergence, rtol=1e-7)
            assert large.converged.all()
            for name in ("value", "objective", "dual_value", "scale"):
                np.testing.assert_allclose(getattr(large, name), getattr(small, name), rtol=1e-8)
            np.testing.assert_allclose(large[1].plan.toarray(), small[1].plan.toarray(), atol=1e-8)
            if unbalanced is None:
                np.testing.assert_allclose(large.lower_bound, small.lower_bound, rtol=1e-6)
                assert (large.upper_bound >= large.lower_bound).all()


def tensors(*arrays, dtype=torch.float64):
    return [torch.tensor(z, dtype=dtype, requires_grad=True) for z in arrays]


def gradient_of(tensor) -> Any:
    assert tensor.grad is not None
    return tensor.grad


def slopes(value, arrays, step=1e-5):
    """Central differences of sum_k (k + 1) value(...)_k in every entry, weights moved with their masses held."""
    out = []
    for place, array in enumerate(arrays):
        slope = np.zeros(array.shape)
        for at in np.ndindex(array.shape):
            ends = []
            for sign in (1, -1):
                moved = [z.copy() for z in arrays]
                moved[place][at] += sign * step
                ends.append(float(np.arange(1, 4) @ value(*moved)))
            slope[at] = (ends[0] - ends[1]) / (2 * step)
        out.append(slope)
    return out


@pytest.mark.parametrize("what", ["objective", "divergence"])
def test_gradients_unbalanced(what):
    arrays = problems(3, 4, 3)
    options = {"eps": 0.4, "unbalanced": (0.8, 0.6), "tol": 1e-11}

    def value(*inputs):
        if what == "objective":
            return otgen.sinkhorn(*inputs, **options).objective
        return otgen.sinkhorn_divergence(*inputs, **options)

    inputs = tensors(*arrays)
    found = value(*inputs)
    np.testing.assert_allclose(found.detach().numpy(), value(*arrays), rtol=1e-12)
    (found * torch.arange(1.0, 4.0)).sum().backward()
    for tensor, slope in zip(inputs, slopes(value, arrays), strict=True):
        np.testing.assert_allclose(gradient_of(tensor).numpy(), slope, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("what", ["objective", "divergence"])
def test_gradients_are_those_of_the_single_calls(what, metric):
    arrays = problems(3, 5, 4, 2 if metric == "euclidean" else 12)
    options = {"eps": 0.3, "cost": (metric, 1.5), "tol": 1e-10}

    def value(*inputs):
        if what == "objective":
            return otgen.sinkhorn(*inputs, **options).objective
        return otgen.sinkhorn_divergence(*inputs, **options)

    inputs = tensors(*arrays)
    (value(*inputs) * torch.arange(1.0, 4.0)).sum().backward()
    for k in range(3):
        alone = tensors(*(z[k] for z in arrays))
        ((k + 1) * value(*alone)).backward()
        for tensor, one in zip(inputs, alone, strict=True):
            np.testing.assert_allclose(gradient_of(tensor)[k].numpy(), gradient_of(one).numpy(), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("what", ["objective", "divergence"])
def test_gradients_of_shared_weights_are_summed(what):
    x, y, a, b = problems()
    solve = {
        "objective": lambda *z: otgen.sinkhorn(*z, eps=0.3, tol=1e-10).objective,
        "divergence": lambda *z: otgen.sinkhorn_divergence(*z, eps=0.3, tol=1e-10),
    }[what]
    shared = tensors(x, y, a[0], b[0])
    own = tensors(x, y, np.tile(a[0], (3, 1)), np.tile(b[0], (3, 1)))
    for inputs in (shared, own):
        (solve(*inputs) * torch.arange(1.0, 4.0)).sum().backward()
    for one, other in zip(shared[2:], own[2:], strict=True):
        assert gradient_of(one).shape == one.shape
        np.testing.assert_allclose(gradient_of(one).numpy(), gradient_of(other).sum(0).numpy(), rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(gradient_of(shared[0]).numpy(), gradient_of(own[0]).numpy())


def test_gradients_of_points_without_mass_and_in_float32():
    x, y, a, b = problems()
    a[0, 2], x[0, 2] = 0.0, 50.0
    a /= a.sum(1, keepdims=True)
    points, weights = tensors(x, y), tensors(a, b)
    otgen.sinkhorn(*points, *weights, eps=0.01, tol=1e-9).objective.sum().backward()
    assert (gradient_of(points[0])[0, 2] == 0).all()
    assert all(torch.isfinite(gradient_of(z)).all() for z in points + weights)
    single = tensors(x, y, a, b, dtype=torch.float32)
    value = otgen.sinkhorn_divergence(*single, eps=0.1)
    value.sum().backward()
    assert value.dtype == gradient_of(single[0]).dtype == torch.float32
    otgen.sinkhorn_divergence(*points, *weights, eps=0.1).sum().backward()
    assert all(torch.isfinite(gradient_of(z)).all() for z in single)


def test_what_has_no_gradient_says_so():
    x, y, a, b = problems()
    inputs = tensors(x, y, a, b)
    batch = otgen.sinkhorn(*inputs, eps=0.3)
    with pytest.raises(RuntimeError, match="Transport.value of entropic transport, <plan, cost>, has no gradient here"):
        batch.value.sum().backward()
    with pytest.raises(RuntimeError, match="has no gradient here"):
        batch[0].value.backward()
    batch[1].objective.backward()
    assert (gradient_of(inputs[0])[0] == 0).all() and (gradient_of(inputs[0])[1] != 0).all()
    with pytest.raises(RuntimeError, match="once differentiable"):
        (gradient,) = torch.autograd.grad(
            otgen.sinkhorn_divergence(*inputs, eps=0.3).sum(), inputs[0], create_graph=True
        )
        gradient.sum().backward()
    with torch.no_grad():
        assert not otgen.sinkhorn(*inputs, eps=0.3).objective.requires_grad


def test_solve_sample_reaches_the_same_code():
    x, y, a, b = problems()
    batch = otgen.solve_sample(x, y, a, b, eps=0.3)
    np.testing.assert_array_equal(batch.value, otgen.sinkhorn(x, y, a, b, eps=0.3).value)


@pytest.mark.parametrize("solve", [otgen.sinkhorn, otgen.sinkhorn_divergence])
def test_bad_input(solve):
    x, y, a, b = problems()
    spoilt = x.copy()
    spoilt[1, 2, 0] = np.nan
    negative = a.copy()
    negative[2, 1] = -1.0
    zero = x.copy()
    zero[1, 2] = 0.0
    wrong = [
        ((x, y[0]), {}, ValueError, r"y must have shape \(B, n, d\) .* as the other cloud is .*got shape \(5, 2\)"),
        ((x[0], y), {}, ValueError, r"x must have shape \(B, n, d\) .* as the other cloud is .*got shape \(7, 2\)"),
        ((x[:2], y), {}, ValueError, r"x and y must hold as many problems, of one dimension d; got shapes \(2, 7, 2\)"),
        ((x[:, :, :1], y), {}, ValueError, r"of one dimension d; got shapes \(3, 7, 1\) and \(3, 5, 2\)"),
        ((x[:0], y[:0]), {}, ValueError, r"with B, n, d >= 1, .*got shape \(0, 7, 2\)"),
        ((x[:, :0], y), {}, ValueError, r"with B, n, d >= 1, .*got shape \(3, 0, 2\)"),
        ((x[None], y), {}, ValueError, r"x must have shape \(B, n, d\).*got shape \(1, 3, 7, 2\)"),
        (([[[1.0]], [[1.0], [2.0]]], y), {}, ValueError, "x must be a rectangular array of numbers"),
        ((spoilt, y), {}, ValueError, r"x must be finite; x\[1, 2, 0\] is nan"),
        ((zero, y), {"cost": "cosine"}, ValueError, r"cosine needs non-zero vectors; row 2 of x\[1\] is zero"),
        ((x, y, a[:2], b), {}, ValueError, r"a must have shape \(3, 7\) or \(7,\) for a batch .* got shape \(2, 7\)"),
        ((x, y, a, b[0, :4]), {}, ValueError, r"b must have shape \(3, 5\) or \(5,\) .* got shape \(4,\)"),
        ((x, y, negative, b), {}, ValueError, r"in problem 2 of the batch a must not be negative; a\[1\] is -1.0"),
        ((x, y, 2 * a, b), {}, ValueError, "in problem 0 of the batch b must sum to the mass of a .*unbalanced="),
        ((x, y, 2 * a[0], None), {}, ValueError, "^b must sum to the mass of a .*b is uniform"),
        ((x, torch.tensor(y)), {}, TypeError, "arrays must come from one library; x is numpy, y is torch"),
        ((x, y), {"eps": np.full(3, 0.1)}, ValueError, "eps must be a positive finite number"),
        ((x, y), {"eps": 1e-16}, ValueError, "eps must be on the scale of the costs: at 1e-16"),
        ((x, y), {"eps": 1e-6, "tol": 1e-13}, ValueError, "tol must be at least .* float64 can reach at eps=1e-06"),
        ((x, y), {"progress": print}, ValueError, r"progress belongs to one problem, and x holds a batch \(B, n, d\)"),
        ((x, y), {"cost": ("euclidean", 900)}, ValueError, "leaves the range of float64"),
    ]  # fmt: skip
    for inputs, options, error, match in wrong:
        with pytest.raises(error, match=match):
            solve(*inputs, **{"eps": 0.2, **options})
    if solve is otgen.sinkhorn:
        with pytest.raises(
            ValueError, match="potentials belongs to one problem, and x holds a batch .*got tuple. Leave"
        ):
            solve(x, y, eps=0.2, potentials=(a, b))


def test_equal_measures_in_another_order_converge():
    # Few points are spanned by the secants that are kept, and points far apart hardly know of each other.
    rng = np.random.default_rng(5)
    x, a = rng.normal(size=(60, 6, 2)), rng.random((60, 6)) + 0.05
    order, a = rng.permutation(6), a / a.sum(1, keepdims=True)
    for eps in (0.1, 0.03):
        batch = otgen.sinkhorn(x, x[:, order], a, a[:, order], eps=eps, tol=1e-8)
        assert batch.converged.all() and batch.n_iter.max() < 1_000


def test_a_small_eps_asks_for_what_can_be_reached():
    x, y, a, b = problems()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", otgen.ConvergenceWarning)
        batch = otgen.sinkhorn(x, y, a, b, eps=1e-10, max_iter=50)
    assert 1e-6 < batch.tol < 1e-2
    assert np.isfinite(batch.value).all() and (batch.lower_bound <= batch.upper_bound).all()


def test_agrees_with_the_definition_of_the_divergence():
    x, y, a, b = problems(2, 5, 4)
    found = otgen.sinkhorn_divergence(x, y, a, b, eps=0.5, tol=1e-11)
    np.testing.assert_allclose(found, [naive.divergence(*one, 0.5) for one in zip(x, y, a, b)], rtol=1e-8)
