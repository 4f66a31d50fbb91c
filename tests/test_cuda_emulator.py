"""The emulator finds what it is there to find: writes out of bounds, waits without end, races, mixed arrays."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from cuda_emulator import compiler
from cuda_emulator import cupy as emulated
from otgen_kernels.cuda import source

KERNELS = """
extern "C" __global__ void past_the_end(float* out, int n) { out[n + threadIdx.x % 2] = 1.0f; }
extern "C" __global__ void writes_input(const float* in) { const_cast<float*>(in)[0] = 5.0f; }
extern "C" __global__ void divided(int n) { if (threadIdx.x < n) __syncthreads(); }
extern "C" __global__ void half_a_warp(float* out) { if (threadIdx.x < 16) out[0] = __shfl_sync(0xffffffffu, 1.0f, 0); }
extern "C" __global__ void unwritten(int n, float* out) {
    __shared__ float seen[64];
    if (threadIdx.x < n) seen[threadIdx.x] = 1.0f;
    out[threadIdx.x] = seen[threadIdx.x];
}
extern "C" __global__ void racing(int* out) {
    __shared__ int seen[64];
    seen[threadIdx.x] = threadIdx.x;
    out[threadIdx.x] = seen[(threadIdx.x + 1) % 64];
}
extern "C" __global__ void waiting(int* out) {
    __shared__ int seen[64];
    seen[threadIdx.x] = threadIdx.x;
    __syncthreads();
    out[threadIdx.x] = seen[(threadIdx.x + 1) % 64];
}
extern "C" __global__ void collectives(int* out) {
    const int lane = threadIdx.x % 32;
    int total = lane;
    for (int k = 16; k > 0; k /= 2) total += __shfl_xor_sync(0xffffffffu, total, k);
    out[threadIdx.x] = total + 1000 * __popc(__ballot_sync(0xffffffffu, lane % 3 == 0));
}
"""


@pytest.fixture
def run(monkeypatch, tmp_path):
    (tmp_path / "odd.cu").write_text(KERNELS, "utf-8")
    monkeypatch.setattr(source, "FOLDER", tmp_path)
    return lambda name, block, *arguments: compiler.run("odd", (), name, (1,), (block,), arguments, 0)


@pytest.mark.parametrize(
    ("name", "arguments", "match"),
    [
        ("past_the_end", (np.zeros(8, np.float32), 8), "writes outside out"),
        ("writes_input", (np.zeros(8, np.float32),), "writes to in, which is const"),
        ("divided", (40,), "threads wait for ever: 0 in __syncthreads, 40 at the end"),
        ("half_a_warp", (np.zeros(1, np.float32),), "threads wait for ever: 0 in __shfl_sync, 16 at the end"),
    ],
)
def test_a_kernel_that_goes_wrong_is_reported(run, name, arguments, match):
    with pytest.raises(RuntimeError, match=match):
        run(name, 64, *arguments)


def test_a_race_shows_in_one_order_at_least_and_a_wait_ends_it(run, monkeypatch):
    wanted, races = np.roll(np.arange(64), -1), []
    for order in ("forwards", "backwards"):
        monkeypatch.setenv("OTGEN_EMULATOR_ORDER", order)
        out = np.full(64, -1, np.int32)
        run("waiting", 64, out)
        np.testing.assert_array_equal(out, wanted)
        run("racing", 64, out)
        races.append((out != wanted).any())
    assert any(races)


def test_shared_memory_that_was_not_written_is_not_zero(run):
    out = np.zeros(64, np.float32)
    for written in (64, 40):  # nor what the launch before has left
        run("unwritten", 64, written, out)
        np.testing.assert_array_equal(np.isnan(out), np.arange(64) >= written)


def test_collectives_see_their_whole_warp(run):
    out = np.zeros(96, np.int32)
    run("collectives", 96, out)
    np.testing.assert_array_equal(out, 31 * 16 + 11_000)


def test_arrays_of_host_and_device_do_not_mix():
    cupy = emulated.module()
    x, y = cupy.ones(3), np.ones(3)
    one = np.array(2.0)
    for mixed in (lambda: x + y, lambda: np.add(y, x), lambda: np.concatenate([x, y]), lambda: cupy.dot(x, y),
                  lambda: x * one, lambda: np.maximum(one, x)):  # fmt: skip
        with pytest.raises(TypeError, match="an array of NumPy among those of the device"):
            mixed()
    total = (2.0 * x + np.float64(1.0)).sum()
    assert isinstance(total, cupy.ndarray) and total.shape == () and float(total) == 9.0
    assert isinstance(np.concatenate([x, x]), cupy.ndarray) and isinstance(cupy.asnumpy(x), np.ndarray)
    assert "cupy" not in sys.modules or not isinstance(cupy.asnumpy(x), cupy.ndarray)


def test_entries_of_the_device_stay_there_and_what_cupy_refuses_is_refused():
    cupy = emulated.module()
    x = cupy.arange(3)
    for entry in (x[1], next(iter(x)), x.mean(), x.argmax(), np.float64(1.0) * x[1], np.float64(1.0) <= x[1]):
        assert isinstance(entry, cupy.ndarray) and entry.shape == ()
    with pytest.raises(ValueError, match="cannot be used for fill"):
        x[:] = np.arange(3)
    with pytest.raises(TypeError, match="no index"):
        _ = [0, 1, 2][x[1]]
    with pytest.raises(NotImplementedError, match="accumulate"):
        np.maximum.accumulate(x)
    with pytest.raises(RuntimeError, match="more shared memory"):
        cupy.RawModule(code=source.text("prefix"), options=()).get_function("carries")(
            (1,), (256,), (np.int32(0),), shared_mem=40 * 1024
        )


def test_an_array_of_the_device_is_not_converted_unasked(cupy):
    from otgen.transport import costs

    assert costs.np is not np
    with pytest.raises(TypeError, match="Implicit conversion to a NumPy array is not allowed"):
        costs.np.asarray(cupy.zeros(2))
    assert costs.np.asarray([1.0]).sum() == costs.np.linalg.norm([1.0]) == 1.0
