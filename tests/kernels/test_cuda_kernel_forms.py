"""Kernels summed under many labellings on the GPU against those of the host."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import naive_kernels as naive
from otgen_kernels import kernel_forms
from otgen_kernels.cuda import kernel_forms as forms_file
from tolerance import tol

KERNELS = ("gaussian", "laplace", "imq", "rational_quadratic", "polynomial", "energy")


def options(kernel, h=1.3) -> dict[str, Any]:
    scales = (1.0,) if kernel in ("polynomial", "energy") else (0.3, 1.0, 4.0)
    return {"kernel": kernel, "scales": np.array(scales), "bandwidth": h}


def found(cupy, x, marks, **asked: Any) -> np.ndarray:
    return cupy.asnumpy(kernel_forms(cupy.asarray(x), cupy.asarray(marks), **asked))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("n", "d", "block"), [(1, 1, 2048), (31, 1, 9), (75, 20, 2048), (75, 3, 70)])
def test_forms_of_labels_are_those_of_the_host(cupy, rng, monkeypatch, kernel, dtype, n, d, block):
    monkeypatch.setattr(forms_file, "BLOCK", block)
    x = rng.normal(size=(n, d)).astype(dtype)
    x[n // 2 :: 2] = x[n // 2]
    marks = rng.random((n, 6)) < 0.4
    marks[:, 0], marks[:, 1] = True, False
    ours = found(cupy, x, marks, **options(kernel))
    assert ours.dtype == np.float64 and ours.shape == (6,) and ours[1] == 0.0
    wide = x.astype(np.float64)
    size = abs(kernel_forms(wide, np.ones((n, 1), bool), **options(kernel))[0])
    bound = 1e-12 if dtype == np.float64 else 1e-5
    assert np.abs(ours - kernel_forms(wide, marks, **options(kernel))).max() <= bound * size


def test_the_host_is_the_definition(cupy, rng):
    x, marks = rng.normal(size=(12, 2)), rng.random((12, 3)) < 0.5
    K = np.array(naive.matrix(x, x, "energy", (1.0,), 1.0))
    wanted = np.einsum("ip,ij,jp->p", marks, K, marks)
    np.testing.assert_allclose(found(cupy, x, marks, **options("energy")), wanted, rtol=tol(float))


@pytest.mark.parametrize("unit", [1e-150, 1e150])
@pytest.mark.parametrize("kernel", ["imq", "energy"])
def test_far_scales_neither_vanish_nor_overflow(cupy, rng, kernel, unit):
    x, marks = rng.normal(size=(20, 3)), rng.random((20, 4)) < 0.5
    base = found(cupy, x, marks, **options(kernel))
    far = found(cupy, unit * x, marks, **options(kernel, 1.3 * unit))
    np.testing.assert_allclose(far, base * (unit if kernel == "energy" else 1.0), rtol=1e-11)
