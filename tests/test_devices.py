"""Arrays of a GPU at the door: who takes them, who refuses them and in which words, and where results go."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import otgen
from otgen import arrays, devices


@devices.on_device
def doubled(x, y):
    ours, _, home = arrays.read_points(x, y)
    assert isinstance(ours, sys.modules["cupy"].ndarray if devices.is_on_gpu(x) else np.ndarray)
    return home.array(2 * ours), home.number(ours.sum())


def test_results_return_to_cupy(cupy):
    x = cupy.asarray(np.arange(6).reshape(3, 2))  # integers become float64
    twice, total = doubled(x, x)
    assert isinstance(twice, cupy.ndarray) and twice.dtype == np.float64
    assert isinstance(total, float) and total == 15.0
    half = cupy.asarray(np.ones((3, 2), np.float16))
    assert doubled(half, half)[0].dtype == np.float32


def test_results_return_to_torch_without_a_copy(cuda_tensors):
    torch = cuda_tensors.torch
    x = torch.arange(6.0, dtype=torch.float64, device=cuda_tensors.device).reshape(3, 2).requires_grad_()
    twice, total = doubled(x, x)
    assert twice.device == x.device and twice.dtype == torch.float64 and total.shape == () and float(total) == 15.0
    devices.take(x.detach())[0, 1] = 7.0  # the tensor's own memory
    assert float(x[0, 1].detach()) == 7.0
    short = x.detach().to(torch.bfloat16)
    assert doubled(short, short)[0].dtype == torch.float32


def test_a_list_beside_arrays_of_the_device_goes_there(cupy):
    x = cupy.zeros((3, 2))
    assert isinstance(doubled(x, [[1.0, 2.0]])[0], cupy.ndarray)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_entries_are_found_on_the_device(cupy, bad):
    x = np.zeros((4, 2))
    x[2, 1] = bad
    with pytest.raises(ValueError, match=rf"x must be finite; x\[2, 1\] is {bad}"):
        doubled(cupy.asarray(x), cupy.zeros((3, 2)))


def test_weights_are_checked_on_the_device(cupy):
    x, y = cupy.zeros((3, 2)), cupy.ones((2, 2))
    for wrong, words in (
        ([1.0, -1.0, 1.0], r"a must not be negative; a\[1\] is -1.0"),
        ([1.0, 1.0, 1.0], "b must sum"),
    ):
        with pytest.raises(ValueError, match=words):
            otgen.wasserstein(x, y, cupy.asarray(np.array(wrong)))


def test_host_and_device_do_not_mix(cupy):
    x, y = cupy.zeros((3, 2)), np.zeros((3, 2))
    with pytest.raises(TypeError, match="arrays must come from one library; x is cupy, y is numpy"):
        doubled(x, y)


def test_a_function_of_the_host_refuses_arrays_of_the_device(cupy):
    x = cupy.zeros((3, 2))
    with pytest.raises(
        NotImplementedError, match=r"x is on 'cuda:0' and this works on the host only.*cupy.asnumpy\(x\)"
    ):
        arrays.read_points(x, x)
    with pytest.raises(NotImplementedError, match=r"works on the host only"):
        otgen.pairwise([x, x])


class Pool:
    """Counts how often it was asked to give memory back."""

    def __init__(self):
        self.freed = 0

    def free_all_blocks(self):
        self.freed += 1


def test_memory_that_runs_out_is_given_back_once_and_then_told(cupy, monkeypatch):
    pool, calls = Pool(), []
    monkeypatch.setattr(cupy, "get_default_memory_pool", lambda: pool)

    def greedy(x, rng=None, times=2):
        calls.append(x)
        if len(calls) < times:
            raise cupy.cuda.memory.OutOfMemoryError(8_000_000, 0)
        return "done"

    x = cupy.zeros((3, 2))
    assert devices.on_device(greedy)(x) == "done" and len(calls) == 2 and pool.freed == 1
    calls.clear()
    with pytest.raises(MemoryError, match=r"greedy needs more memory than the GPU has left. .*8,000,000 bytes"):
        devices.on_device(greedy)(x, times=9)
    assert len(calls) == 2
    calls.clear()
    with pytest.raises(MemoryError, match="greedy needs more memory"):  # a generator has been drawn from
        devices.on_device(greedy)(x, rng=np.random.default_rng(0))
    assert len(calls) == 1


def test_without_cupy_the_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ImportError, match=r"CUDA tensors need CuPy.*pip install 'otgen\[cuda13\]' \(or cuda12\)"):
        devices.cupy()


def test_a_call_with_arrays_of_the_host_is_passed_on(monkeypatch):
    monkeypatch.setattr(devices, "_enter", lambda value: pytest.fail("entered a device"))
    x = np.ones((2, 2))
    assert doubled(x, x)[1] == 4.0
