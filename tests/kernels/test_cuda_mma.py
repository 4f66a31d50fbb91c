"""Products on tensor cores: each lane holds the entries that the instruction gives it, and a split keeps the digits."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from otgen_kernels.cuda import device, source

PROBE = """
// compiled for SPLIT: 0 1
#include "mma.cuh"
extern "C" __global__ void product(const float* a, const float* b, float* c, int warps) {
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4, w = threadIdx.x / 32;
    a += 128 * w, b += 64 * w, c += 128 * w;
    float high[4], low[4], p[2], q[2], sum[4];
    for (int k = 0; k < 4; k++) {
        split_tf32(a[8 * (g + 8 * (k % 2)) + t + 4 * (k / 2)], high[k], low[k]);
        sum[k] = c[8 * (g + 8 * (k / 2)) + 2 * t + k % 2];
    }
    for (int k = 0; k < 2; k++) split_tf32(b[8 * (t + 4 * k) + g], p[k], q[k]);
    if (SPLIT) mma_split(sum, high, low, p, q); else mma_16x8x8(sum, high, p);
    for (int k = 0; k < 4; k++) c[8 * (g + 8 * (k / 2)) + 2 * t + k % 2] = sum[k];
}
extern "C" __global__ void rounded(const float* v, float* out) { out[threadIdx.x] = tf32(v[threadIdx.x]); }
"""


@pytest.fixture
def probe(cupy, monkeypatch, tmp_path):
    (tmp_path / "mma_probe.cu").write_text(PROBE, "utf-8")
    shutil.copy(source.FOLDER / "mma.cuh", tmp_path)
    monkeypatch.setattr(source, "FOLDER", tmp_path)
    monkeypatch.setattr(source, "FILES", ("mma_probe",))

    def run(split, a, b, c):
        out, warps = cupy.array(c), len(a)
        program = device.Program("mma_probe", SPLIT=split)
        program("product", (1,), (32 * warps,), cupy.asarray(a), cupy.asarray(b), out, warps)
        return cupy.asnumpy(out)

    run.rounded = lambda v: _rounded(cupy, v)  # pyright: ignore[reportFunctionMemberAccess]
    return run


def _rounded(cupy, v):
    out = cupy.empty(32, np.float32)
    device.Program("mma_probe", SPLIT=0)("rounded", (1,), (32,), cupy.asarray(v), out)
    return cupy.asnumpy(out)


def operands(rng, warps=2):
    return (rng.normal(size=(warps, *shape)).astype(np.float32) for shape in ((16, 8), (8, 8), (16, 8)))


@pytest.mark.parametrize("split", [0, 1])
def test_the_lanes_hold_the_entries_of_whole_numbers(probe, rng, split):
    a, b, c = (np.rint(8.0 * z) for z in operands(rng))
    np.testing.assert_array_equal(probe(split, a, b, c), a @ b + c)


def test_a_split_keeps_the_digits_that_plain_tf32_loses(probe, rng):
    a, b, c = operands(rng)
    exact = a.astype(np.float64) @ b.astype(np.float64) + c
    size = np.abs(a).astype(np.float64) @ np.abs(b) + np.abs(c)
    assert (np.abs(probe(1, a, b, c) - exact) <= 2.0**-21 * size).all()
    plain = np.abs(probe(0, a, b, c) - exact)
    assert (plain <= 2.0**-10 * size).all() and plain.max() > 2.0**-16


def test_tf32_rounds_to_ten_digits_ties_away(probe):
    v = np.ones(32, np.float32)
    v[:6] = 1 + 2.0**-11, -1 - 2.0**-11, 1 + 2.0**-11 - 2.0**-20, 3.0e38, 0.0, -1e-40
    wanted = np.ones(32, np.float32)
    wanted[:6] = 1 + 2.0**-10, -1 - 2.0**-10, 1.0, v[3], 0.0, v[5]
    np.testing.assert_allclose(probe.rounded(v), wanted, rtol=2.0**-11, atol=2e-41)
    np.testing.assert_array_equal(probe.rounded(v)[:3], wanted[:3])
