"""The rows of benchmarks/gpu.py: what otgen and its peers compute, what bounds it, and how well it has to do."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import otgen
import otgen_kernels as kernels

LOG2_E = math.log2(math.e)
LEAST = 64  # points, whatever the scale
ROWS = 200  # rows whose float64 answer tells the error
WARM = 2_000  # points of a call that compiles, before one that is timed but once
EXPONENTIALS = 16  # a cycle and multiprocessor, of the special-function unit


class Measured(float):
    """Seconds that a call has measured itself."""


@dataclass
class Chip:
    """The GPU: its name, what bounds its kernels, and how to wait for it."""

    name: str
    processors: int
    clock: float  # Hz
    cupy: Any
    tf32: float = 0.0  # operations a second that torch's matrix product reaches

    @classmethod
    def present(cls) -> Chip:
        import cupy  # pyright: ignore[reportMissingImports]

        device = cupy.cuda.Device()
        facts = cupy.cuda.runtime.getDeviceProperties(device.id)
        name = facts["name"].decode() if isinstance(facts["name"], bytes) else str(facts["name"])
        return cls(
            name, int(facts["multiProcessorCount"]), 1e3 * device.attributes["ClockRate"], cupy, _tf32_rate(device)
        )

    def facts(self) -> dict[str, Any]:
        return {"name": self.name, "processors": self.processors, "clock_hz": self.clock, "tf32_ops": self.tf32}

    def wait(self) -> None:
        self.cupy.cuda.Device().synchronize()

    def free(self) -> None:
        self.cupy.get_default_memory_pool().free_all_blocks()
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            torch.cuda.empty_cache()

    def exponentials(self, count: float) -> float:
        """Seconds of so many exponentials."""
        return count / (EXPONENTIALS * self.processors * self.clock)

    def products(self, operations: float) -> float:
        """Seconds of so many operations of matrix products, 0 where their rate is not known."""
        return operations / self.tf32 if self.tf32 else 0.0


def _tf32_rate(device: Any) -> float:
    """Operations a second of an 8192 x 8192 x 8192 product in TF32 by torch; 0 without a CUDA build of it."""
    import torch

    if not torch.cuda.is_available():
        return 0.0
    torch.backends.cuda.matmul.allow_tf32 = True
    a, b = torch.randn(2, 8192, 8192, device="cuda").unbind()
    for _ in range(3):
        a @ b
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(10):
        a @ b
    end.record()
    torch.cuda.synchronize()
    torch.backends.cuda.matmul.allow_tf32 = False
    return 10 * 2 * 8192.0**3 / (1e-3 * start.elapsed_time(end))


@dataclass
class Case:
    """A row: what is run, by whom, how fast the chip could be, and what is asked."""

    name: str
    work: str
    roof: float
    otgen: Callable[[], Callable[[], Any]]
    judge: Callable[[Any], dict[str, Any]]
    verdicts: Callable[[dict[str, Any]], list[dict[str, Any]]]
    peers: dict[str, Callable[[], Callable[[], Any]]] = field(default_factory=dict)
    once: bool = False  # whole fits or solves: run once, peers too


def verdict(text: str, got: float | None, met: bool | None) -> dict[str, Any]:
    return {"text": text, "got": got, "met": met}


def within(text: str, most: float) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Whether otgen's seconds are at most so many."""
    return lambda runs: verdict(text, runs["otgen"]["seconds"], runs["otgen"]["seconds"] <= most)


def faster(peer: str, times: float) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Whether otgen is so many times as fast as a peer; unknown where the peer did not run."""

    def told(runs: dict[str, Any]) -> dict[str, Any]:
        theirs = runs.get(peer, {}).get("seconds")
        ratio = theirs / runs["otgen"]["seconds"] if theirs else None
        return verdict(f">= {times:g} x {peer}", ratio, None if ratio is None else ratio >= times)

    return told


def accurate(most: float) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda runs: verdict(f"error <= {most:g}", runs["otgen"]["error"], runs["otgen"]["error"] <= most)


def all_of(*tests: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[dict[str, Any]], list[dict[str, Any]]]:
    return lambda runs: [test(runs) for test in tests]


def cases(chip: Chip, scale: float) -> Iterator[Case]:
    """All rows; scale shrinks their clouds."""
    size = lambda n: max(int(n * scale), LEAST)  # noqa: E731
    yield soft_case(chip, size(1_000_000), 3, 0.05, within("<= 0.6 s", 0.6), {"KeOps": 1.5})
    yield soft_case(chip, size(50_000), 64, 10.0, None, {"flash-sinkhorn": 1.0, "KeOps": 1.0})
    for fast in (True, False):
        yield cells_case(chip, size(100_000), size(1_000_000), 64, fast)
    yield monte_carlo_case(size(100_000), 64)
    yield mmd_case(chip, size(100_000), size(20_000), 64)
    yield sinkhorn_case(chip, size(10_000), 64)
    for d in (3, 64):  # last: the host's pivots take their time
        yield exact_case(chip, size(100_000), d)


def soft_case(
    chip: Chip, n: int, d: int, eps: float, limit: Callable[[dict[str, Any]], dict[str, Any]] | None,
    peers: dict[str, float],
) -> Case:  # fmt: skip
    cupy = chip.cupy
    x, y, h = _clouds(cupy, n, n, d)
    h = eps * h

    def ours() -> Callable[[], Any]:
        pairs = kernels.SoftPairs(x, y, metric="euclidean", p=2.0)
        return lambda: pairs.transform(0, h, eps, single=True)

    def judge(found: Any) -> dict[str, Any]:
        rows = cupy.arange(0, n, max(n // ROWS, 1))
        wanted = kernels.SoftPairs(x[rows].astype(np.float64), y.astype(np.float64), metric="euclidean", p=2.0)
        exact = wanted.transform(0, h, eps)
        pairs_a_second = {"pairs": float(n) * n}
        return {"error": float(np.abs(found[rows] - exact).max() / np.abs(exact).max()), **pairs_a_second}

    roof = max(chip.exponentials(float(n) * n), chip.products(2.0 * 3 * d * n * n) if d > 8 else 0.0)
    given = {"KeOps": lambda: _keops_soft(x, y, h, eps), "flash-sinkhorn": lambda: _flash_half_step(x, y, eps)}
    tests = [faster(name, times) for name, times in peers.items()]
    return Case(
        f"soft c-transform, n = m = {n:,}, d = {d}, float32", f"{n * n:.2e} pairs", roof, ours, judge,
        all_of(*([limit] if limit else []), *tests, accurate(1e-5)), {name: given[name] for name in peers},
    )  # fmt: skip


def cells_case(chip: Chip, samples: int, targets: int, d: int, fast: bool) -> Case:
    cupy = chip.cupy
    x, y, h = _clouds(cupy, samples, targets, d)
    operations, share = 2.0 * samples * targets * d, 0.4 if fast else 0.15

    def ours() -> Callable[[], Any]:
        from otgen_kernels.cuda.cells import Cells

        cells = Cells(y.astype(np.float64), None, fast=fast)
        return lambda: cells.counts(x.astype(np.float64), h)

    def judge(counts: Any) -> dict[str, Any]:
        from otgen_kernels.cuda.cells import Cells

        some = x[: min(samples, 2_000)].astype(np.float64)
        cells = Cells(y.astype(np.float64), None, fast=fast)
        missed = float((cells.assign(some, h)[0] != cells.assign(some, h, exact=True)[0]).mean())
        return {"error": missed, "counted": int(counts.sum()), "operations": operations}

    def rate(runs: dict[str, Any]) -> dict[str, Any]:
        text = f">= {share:.0%} of the TF32 rate"
        if not chip.tf32:
            return verdict(text, None, None)
        got = operations / runs["otgen"]["seconds"] / chip.tf32
        return verdict(text, got, got >= share)

    mode = "plain TF32" if fast else "float32"
    return Case(
        f"argmax and histogram, {samples:,} x {targets:,}, d = {d}, {mode}", f"{operations:.2e} useful operations",
        chip.products((1 if fast else 3) * operations), ours, judge, all_of(rate),
    )  # fmt: skip


def monte_carlo_case(n: int, d: int) -> Case:
    def ours() -> Callable[[], Any]:
        import cupy  # pyright: ignore[reportMissingImports]

        y = cupy.asarray(np.random.default_rng(0).normal(size=(n, d)))
        fit = otgen.SemiDiscreteOT("normal", method="monte_carlo", tol=0.05, max_time=300.0)
        otgen.SemiDiscreteOT("normal", method="monte_carlo", tol=0.05, max_time=10.0).fit(y[:WARM])  # compiles
        return lambda: fit.fit(y)

    def judge(fit: Any) -> dict[str, Any]:
        return {"error": fit.error_.high, "converged": fit.converged_, "message": fit.message_}

    return Case(
        f"SemiDiscreteOT.monte_carlo, n = {n:,}, d = {d}", "chi2 <= 0.05", 0.0, ours, judge,
        all_of(within("<= 60 s", 60.0), accurate(0.05)), once=True,
    )  # fmt: skip


def mmd_case(chip: Chip, n: int, held: int, d: int) -> Case:
    """MMD and its gradient; torch holds n x n matrices of `held` points only, and counts with (n / held)^2 of that."""
    cupy = chip.cupy
    x, y, _ = _clouds(cupy, n, n, d)
    bandwidth = math.sqrt(2.0 * d)

    def ours() -> Callable[[], Any]:
        import torch

        one, other = (torch.from_dlpack(z).requires_grad_(k == 0) for k, z in enumerate((x, y)))

        def step() -> Any:
            one.grad = None
            value = otgen.mmd_squared(one, other, bandwidth=bandwidth)
            value.backward()
            return value, one.grad

        return step

    def judge(found: Any) -> dict[str, Any]:
        rows = min(n, 500)
        exact: list[Any] = [kernels.kernel_sum(
            x[:rows].astype(np.float64), z.astype(np.float64), cupy.full(rows, 1.0 / n), cupy.full(n, 1.0 / n),
            kernel="imq", scales=np.array([0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0]), bandwidth=bandwidth, sums=False,
            by_x=True, by_y=False,
        ).by_x for z in (x, y)]  # fmt: skip
        wanted = 2.0 / n * (exact[0] * n / (n - 1) - exact[1])
        got = cupy.from_dlpack(found[1])[:rows]
        return {"error": float(np.abs(got - wanted).max() / np.abs(wanted).max())}

    def torch_step() -> Callable[[], Any]:
        import torch

        one, other = (torch.from_dlpack(z[:held].copy()).requires_grad_(k == 0) for k, z in enumerate((x, y)))

        def kernel(u: Any, v: Any) -> Any:
            s = torch.cdist(u, v).square()
            return sum((c * bandwidth**2 / (c * bandwidth**2 + s)).mean() for c in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0))

        def step() -> Any:
            one.grad = None
            value = kernel(one, one) + kernel(other, other) - 2.0 * kernel(one, other)
            value.backward()
            return value

        return step

    def ratio(runs: dict[str, Any]) -> dict[str, Any]:
        theirs = runs.get("torch autograd", {}).get("seconds")
        got = theirs * (n / held) ** 2 / runs["otgen"]["seconds"] if theirs else None
        text = f">= 5 x torch autograd at n = {held:,}, its seconds times {(n / held) ** 2:g}"
        return verdict(text, got, None if got is None else got >= 5.0)

    return Case(
        f"MMD imq with gradient, n = {n:,}, d = {d}, float32", f"{3.0 * n * n:.1e} pairs",
        chip.products(2.0 * 3 * (3 + 2) * d * float(n) * n), ours, judge, all_of(ratio, accurate(1e-4)),
        {"torch autograd": torch_step},
    )  # fmt: skip


def exact_case(chip: Chip, n: int, d: int) -> Case:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(n, d)) + 0.5

    def ours() -> Callable[[], Any]:
        device = chip.cupy.asarray(x), chip.cupy.asarray(y)
        otgen.solve_sample(*(z[:WARM] for z in device))  # compiles
        return lambda: otgen.solve_sample(*device)

    def on_host() -> Callable[[], Any]:
        otgen.solve_sample(x[:WARM], y[:WARM])
        return lambda: otgen.solve_sample(x, y)

    def judge(found: Any) -> dict[str, Any]:
        return {"error": found.gap / found.scale, "where": found.where, "converged": found.converged}

    return Case(
        f"exact W2, n = {n:,}, d = {d}", "certified", 0.0, ours, judge,
        all_of(faster("otgen on the host", 1.0), accurate(1e-9)), {"otgen on the host": on_host}, once=True,
    )  # fmt: skip


def sinkhorn_case(chip: Chip, n: int, d: int) -> Case:
    x, y, _ = _clouds(chip.cupy, n, n, d)
    eps = 0.05 * 2 * d

    def ours() -> Callable[[], Any]:
        return lambda: otgen.sinkhorn(x, y, eps=eps, tol=1e-4)

    def judge(found: Any) -> dict[str, Any]:
        return {"error": found.marginal_error, "sweeps": found.n_iter}

    def pot() -> Callable[[], Any]:
        import ot
        import torch

        one, other = torch.from_dlpack(x), torch.from_dlpack(y)
        a = torch.full((n,), 1.0 / n, device=one.device)
        return lambda: ot.sinkhorn(a, a, ot.dist(one, other), eps, method="sinkhorn_log", stopThr=1e-4, warn=False)

    def geomloss() -> Callable[[], Any]:
        import torch
        from geomloss import SamplesLoss  # pyright: ignore[reportMissingImports]

        one, other = torch.from_dlpack(x), torch.from_dlpack(y)
        loss = SamplesLoss("sinkhorn", p=2, blur=math.sqrt(0.5 * eps), debias=False, scaling=0.9, backend="online")
        return lambda: loss(one, other)

    return Case(
        f"sinkhorn to 1e-4, n = {n:,}, d = {d}", "proven", 0.0, ours, judge,
        all_of(faster("POT, torch", 1.0), faster("GeomLoss, online", 1.0), accurate(1e-4)),
        {"POT, torch": pot, "GeomLoss, online": geomloss},
    )  # fmt: skip


def _clouds(cupy: Any, n: int, m: int, d: int) -> tuple[Any, Any, Any]:
    """Two float32 clouds and offsets (m,), float64; the same on every machine."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((n, d), np.float32), rng.standard_normal((m, d), np.float32) + np.float32(0.5)
    return cupy.asarray(x), cupy.asarray(y), cupy.asarray(rng.standard_normal(m))


def _keops_soft(x: Any, y: Any, h: Any, eps: float) -> Callable[[], Any]:
    import torch
    from pykeops.torch import LazyTensor  # pyright: ignore[reportMissingImports]

    one, other, offsets = torch.from_dlpack(x), torch.from_dlpack(y), torch.from_dlpack(h).float()
    rows, columns = LazyTensor(one[:, None, :]), LazyTensor(other[None, :, :])
    return lambda: ((LazyTensor(offsets[None, :, None]) - ((rows - columns) ** 2).sum(-1)) / eps).logsumexp(1)


def _flash_half_step(x: Any, y: Any, eps: float) -> Callable[[], Any]:
    """It offers whole runs of sweeps: half a sweep is a twentieth of what ten of them add."""
    import torch
    from flash_sinkhorn.sinkhorn_solvers import sinkhorn_flashstyle_alternating  # pyright: ignore

    one, other = torch.from_dlpack(x), torch.from_dlpack(y)
    a, b = (torch.full((len(z),), 1.0 / len(z), device=z.device) for z in (one, other))

    def sweeps(count: int) -> float:
        torch.cuda.synchronize()
        start = time.perf_counter()
        sinkhorn_flashstyle_alternating(one, other, a, b, eps=eps, n_iters=count, allow_tf32=False)
        torch.cuda.synchronize()
        return time.perf_counter() - start

    sweeps(1)  # compiles, and tries its shapes
    sweeps(11)
    return lambda: Measured((sweeps(11) - sweeps(1)) / 20)
