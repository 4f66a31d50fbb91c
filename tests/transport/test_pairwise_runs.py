"""How a matrix of distances is run: workers, joblib, progress, its file, and interrupts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pytest

import otgen
from otgen.transport import map_files, pair_progress
from otgen.transport.pair_exact import ExactPairs
from pairwise_clouds import check, clouds, loop, masses, mean_distance


def test_same_numbers_whatever_the_workers(monkeypatch):
    samples, weights = clouds((60, 50, 40, 30, 20, 10) * 2), masses((60, 50, 40, 30, 20, 10) * 2)
    expected = otgen.pairwise(samples, weights, workers=1)
    for workers in (None, 2, 3):
        assert (otgen.pairwise(samples, weights, workers=workers) == expected).all()
    for name in ("sliced_wasserstein", "energy"):
        alone = otgen.pairwise(samples, weights, distance=name, workers=1)
        assert (otgen.pairwise(samples, weights, distance=name, workers=3) == alone).all()
        with joblib.parallel_config("threading"):
            assert (otgen.pairwise(samples, weights, distance=name, workers=2, backend="joblib") == alone).all()
    monkeypatch.setenv("OTGEN_NUM_THREADS", "3")
    assert (otgen.pairwise(samples, weights) == expected).all()
    for backend in ("threading", "loky"):
        with joblib.parallel_config(backend):
            assert (otgen.pairwise(samples, weights, backend="joblib", workers=2) == expected).all()


def test_an_error_comes_back_through_joblib(monkeypatch):
    options: dict = {"distance": "sinkhorn_divergence", "eps": 1e-3, "max_iter": 1, "backend": "joblib", "workers": 2}
    with pytest.raises(otgen.ConvergenceError, match=r"pair \(\d, \d\) did not converge"):
        otgen.pairwise(clouds((30, 30, 30)), **options)
    monkeypatch.setitem(sys.modules, "joblib", None)
    with pytest.raises(ImportError, match=r"needs joblib. Run: pip install 'otgen\[parallel\]'"):
        otgen.pairwise(clouds((30, 30)), backend="joblib")


def test_progress_is_told_to_a_function_or_shown_on_stderr(capsys):
    for backend in (None, "joblib"):
        heard = []
        otgen.pairwise(clouds(), progress=heard.append, backend=backend, workers=1)
        assert heard[-1]["pairs"] == heard[-1]["of"] == 15 and heard[-1]["left"] == 0
        assert set(heard[0]) == {"pairs", "of", "seconds", "left"}
    otgen.pairwise(clouds(), progress=True)
    shown = capsys.readouterr()
    assert shown.out == "" and "15/15" in shown.err


class TestFile:
    def test_the_matrix_is_kept_and_read_again(self, tmp_path):
        path, samples = tmp_path / "d.npz", clouds()
        calls = []

        def counted(x, y, a, b):
            calls.append(len(x))
            return mean_distance(x, y, a, b)

        found = otgen.pairwise(samples, distance=counted, path=path)
        assert len(calls) == 15 and (otgen.pairwise(samples, distance=counted, path=str(path)) == found).all()
        assert len(calls) == 15 and [file.name for file in tmp_path.iterdir()] == ["d.npz"]
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(file["json"].tobytes())["values"]
            np.testing.assert_array_equal(np.triu(file["distances"], 1), np.triu(found, 1))
        assert header["version"] == 1 and header["sizes"][3] == [70, 2] and "counted" in header["distance"]

    def test_what_an_error_left_is_not_measured_again(self, tmp_path):
        path, samples = tmp_path / "d.npz", clouds()
        calls = []

        def failing(x, y, a, b):
            calls.append(len(x))
            if len(calls) == 6:
                raise RuntimeError("enough")
            return mean_distance(x, y, a, b)

        with pytest.raises(RuntimeError, match="enough"):
            otgen.pairwise(samples, distance=failing, path=path, workers=1)
        check(otgen.pairwise(samples, distance=failing, path=path), loop(mean_distance, samples))
        assert len(calls) == 16

    @pytest.mark.parametrize("change", ["points", "weights", "options", "distance"])
    def test_the_file_of_another_problem_is_refused(self, tmp_path, change):
        path, samples = tmp_path / "d.npz", clouds()
        otgen.pairwise(samples, path=path)
        weights = None
        options: dict = {}
        if change == "points":
            samples[2][0, 0] += 1e-9
        elif change == "weights":
            weights = masses()
        else:
            options = {"p": 2} if change == "options" else {"distance": "energy"}
        with pytest.raises(
            ValueError, match="path names .*d.npz, the distances of other clouds, weights or options. Del"
        ):
            otgen.pairwise(samples, weights, path=path, **options)

    def test_the_file_of_another_function_is_refused(self, tmp_path):
        scaled = lambda x, y, a, b, by=1: by * mean_distance(x, y, a, b)  # noqa: E731
        other = lambda x, y, a, b, by=1: by + mean_distance(x, y, a, b)  # noqa: E731
        samples = clouds()
        for k, (one, two) in enumerate([(scaled, other), (partial(scaled, by=1), partial(scaled, by=2))]):
            path = tmp_path / f"{k}.npz"
            found = otgen.pairwise(samples, distance=one, path=path)
            assert (otgen.pairwise(samples, distance=one, path=path) == found).all()
            with pytest.raises(ValueError, match=r"path names .*the distances of other clouds, weights or options"):
                otgen.pairwise(samples, distance=two, path=path)

    def test_broken_and_foreign_files_are_refused(self, tmp_path):
        path, samples = tmp_path / "d.npz", clouds()
        otgen.pairwise(samples, path=path)
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(
            ValueError, match="must be a file of otgen's pairwise distances; it is not, or it is truncated"
        ):
            otgen.pairwise(samples, path=path)
        np.savez(path, distances=np.zeros((6, 6)))
        with pytest.raises(ValueError, match="must be a file of otgen's pairwise distances"):
            otgen.pairwise(samples, path=path)
        map_files.write(path, "checkpoint", {})
        with pytest.raises(ValueError, match="pairwise distances; it holds a checkpoint"):
            otgen.pairwise(samples, path=path)

    def test_a_matrix_of_another_shape_is_refused(self, tmp_path):
        path, samples = tmp_path / "d.npz", clouds()
        otgen.pairwise(samples, path=path)
        content = map_files.read(path, pair_progress.PairFile.KIND)
        map_files.write(path, pair_progress.PairFile.KIND, content | {"distances": np.zeros((2, 2))})
        with pytest.raises(ValueError, match=r"must hold a matrix of shape \(6, 6\)"):
            otgen.pairwise(samples, path=path)


SLOW = """
import sys, time
import numpy as np
sys.path[:0] = {paths!r}
import otgen
from otgen.transport import pair_progress
pair_progress.EVERY = 0.0

def slow(x, y, a, b):
    time.sleep(0.1)
    return float(np.linalg.norm(x.mean(axis=0) - y.mean(axis=0)))

rng = np.random.default_rng(0)
samples = [rng.normal(size=(5, 2)) for _ in range(20)]
print("ready", flush=True)
np.save({out!r}, otgen.pairwise(samples, distance=slow, path={path!r}, workers=2))
"""


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_stopped_half_way_the_same_call_goes_on(tmp_path, sent):
    root = Path(__file__).resolve().parents[2]
    path, out = tmp_path / "d.npz", tmp_path / "out.npy"
    code = SLOW.format(paths=[str(root), str(root / "kernels")], out=str(out), path=str(path))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        until = time.monotonic() + 60
        while time.monotonic() < until and not (path.exists() and _measured(path) >= 10):
            time.sleep(0.02)
        os.kill(process.pid, sent)
        _, errors = process.communicate(timeout=30)
    assert process.returncode != 0 and not out.exists()
    assert sent == signal.SIGKILL or b"KeyboardInterrupt" in errors
    before = _measured(path)
    assert 10 <= before < 190
    subprocess.run([sys.executable, "-c", code.replace("time.sleep(0.1)", "")], check=True, stdout=subprocess.DEVNULL)
    rng = np.random.default_rng(0)
    samples = [rng.normal(size=(5, 2)) for _ in range(20)]
    np.testing.assert_array_equal(np.load(out), otgen.pairwise(samples, distance=mean_distance))


def _measured(path):
    return int(np.isfinite(map_files.read(path, pair_progress.PairFile.KIND)["distances"]).sum())


def test_an_interrupt_within_a_pair_is_an_interrupt(monkeypatch, tmp_path):
    whole = ExactPairs.__call__

    def interrupted(self, i, j):
        if (i, j) == (1, 2):
            raise KeyboardInterrupt
        return whole(self, i, j)

    monkeypatch.setattr(ExactPairs, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        otgen.pairwise(clouds((20, 30, 10)), path=tmp_path / "d.npz", workers=1)
    assert _measured(tmp_path / "d.npz") == 2
