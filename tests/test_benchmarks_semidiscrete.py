"""The semi-discrete benchmark on tiny cases, with otgen alone: no peer need be installed."""

from __future__ import annotations

import gzip
import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def module(monkeypatch):
    """Import a file of benchmarks/ as its scripts see each other."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


def tiny(case, n=60):
    return replace(case, name=f"tiny {case.name}", problem=replace(case.problem, n=n), peers=())


def test_the_cases_are_those_of_the_targets(module, tmp_path) -> None:
    semidiscrete_cases, clouds, solvers = (
        module(name) for name in ("semidiscrete_cases", "clouds", "semidiscrete_solvers")
    )
    cases = semidiscrete_cases.all_cases()
    assert len({case.name for case in cases}) == len(cases) == 14
    np.save(tmp_path / "codes.npy", np.zeros((64, 64), np.float32))
    for case in cases:
        assert set(case.peers) <= set(semidiscrete_cases.PACKAGES)
        for solver in ("otgen", *case.peers):
            assert (case.task, solver) in solvers.SOLVERS or (case.task == "counts" and solver in solvers.COUNTERS)
        y = clouds.sites(replace(case.problem, n=64), str(tmp_path / "codes.npy"))
        assert y.shape == (64, case.problem.d)
        box = clouds.domain(y)
        assert np.allclose(box[:, 1] - box[:, 0], 1) and (case.problem.d < 4 or np.allclose(box.mean(1), y.mean(0)))
    assert {case.problem.n for case in cases if case.quick} == {1_000, 10_000}
    with pytest.raises(ValueError, match="unknown recipe 'codes'"):
        clouds.sites(semidiscrete_cases.Map("codes"))


def test_the_clouds_are_what_their_rows_say(module) -> None:
    sites, Map = module("clouds").sites, module("semidiscrete_cases").Map
    blobs, line, some = (sites(Map(recipe, 1_000)) for recipe in ("blobs", "diagonal", "duplicates"))
    assert (
        (line[:, 0] == line[:, 1]).all()
        and len(np.unique(some, axis=0)) <= 100
        and len(np.unique(blobs[:, 0])) == 1_000
    )
    spread = np.sort(np.linalg.norm(blobs[:, None] - blobs, axis=-1), axis=1)[:, :50]
    assert spread.max() < 0.1  # the fifty nearest are of the same blob
    assert len(np.unique(sites(Map("duplicates")), axis=0)) == 1_000


def test_the_checks_are_the_definitions(module, rng) -> None:
    cells64 = module("cells64")
    y, h = np.array([[0.2, 0.5], [0.7, 0.5], [0.7, 0.9]]), np.array([0.0, -0.2, -0.5])
    x = rng.random((500, 2))
    wanted = np.bincount([max(range(3), key=lambda i: x_ @ y[i] + h[i]) for x_ in x], minlength=3)
    assert (cells64.counts(x, y, h) == wanted).all()

    # Cells of known areas: 0.2 x 1 and 0.8 x 1 (the bisector <x, (0.5, 0)> = 0.1), then the cube's thirds.
    box = np.array([[0.0, 1.0], [0.0, 1.0]])
    pair, heights, inside = y[:2], np.array([0.0, -0.1]), np.array([[0.1, 0.5], [0.9, 0.5]])
    assert np.isclose(cells64.mass_error(pair, heights, inside, box)["error_found"], 0.6)
    assert cells64.mass_error(pair, heights, inside[::-1], box)["error_found"] == 1.0  # a point that is not inside
    thirds = np.array([[1.0, 0.5, 0.5], [2.0, 0.5, 0.5], [3.0, 0.5, 0.5]])
    middles = np.array([[1 / 6, 0.5, 0.5], [0.5, 0.5, 0.5], [5 / 6, 0.5, 0.5]])
    found = cells64.mass_error(thirds, np.array([0.0, -1 / 3, -1.0]), middles, np.array([[0.0, 1.0]] * 3))
    assert found["error_found"] < 1e-12 and found["checked_cells"] == 3
    equal = cells64.mass_error(np.repeat(pair, [1, 4], axis=0), heights[[0, 1, 1, 1, 1]], inside[[0, 1, 1, 1, 1]], box)
    assert equal["error_found"] < 1e-12 and equal["checked_cells"] == 2  # four equal targets are one of mass 4/5


def test_chi2_is_unbiased(module, rng, monkeypatch) -> None:
    cells64 = module("cells64")
    monkeypatch.setattr(cells64, "SAMPLES", 20_000)
    y, h = np.array([[0.0], [1.0]]), np.array([0.0, -0.3])  # cells of 0.3 and 0.7
    found = cells64.chi2(y, h, lambda k: rng.random((k, 1)))
    assert abs(found["error_found"] - 0.16) < 0.02 and found["empty"] == 0 and 0 < found["noise"] < 1e-3


def test_a_tiny_exact_fit_is_measured_and_judged(module, monkeypatch) -> None:
    semidiscrete, command = module("semidiscrete"), module("command")
    monkeypatch.setattr(semidiscrete, "_fill", lambda *_: None)
    document, complete = command.run(semidiscrete.SUITE, [tiny(module("semidiscrete_cases").all_cases()[0])])
    run, verdicts = document["records"][0]["runs"]["otgen"], document["records"][0]["targets"]
    assert complete and run["converged"] and run["honest"] and run["error_found"] <= 1e-6
    assert all(verdict["met"] for verdict in verdicts) and {"sdot", "jax", "torch"} <= set(document["versions"])
    assert run["peak_mb"] > run["added_mb"] > 0 and 0 < run["seconds"] == min(run["all_seconds"])


@pytest.mark.parametrize("recipe", ["blobs", "diagonal", "duplicates"])
def test_hard_clouds_are_solved_or_said_to_be_hard(module, recipe) -> None:
    problem = module("semidiscrete_cases").Map(recipe, 300)
    found = module("semidiscrete_child").newton("otgen", problem, module("clouds").sites(problem))
    assert found["finite"] and found["honest"] and bool(found["warning"]) != found["converged"]


def test_the_counts_are_measured_against_the_product(module) -> None:
    child, case = module("semidiscrete_child"), module("semidiscrete_cases").all_cases()[-1]
    y = module("clouds").sites(replace(case.problem, n=200))
    runs = {solver: child.counts(solver, case.problem, y) for solver in ("otgen", "SGEMM")}
    assert runs["otgen"]["error_found"] < 1e-3 and "error_found" not in runs["SGEMM"]
    share, _ = (judge({"runs": runs}, {}) for judge in case.targets)
    assert (
        share["text"] == ">= 75% of its speed" and share["got"] == runs["SGEMM"]["seconds"] / runs["otgen"]["seconds"]
    )


def test_monte_carlo_is_checked_on_points_of_its_own(module, monkeypatch) -> None:
    child, solvers, cells64 = module("semidiscrete_child"), module("semidiscrete_solvers"), module("cells64")
    monkeypatch.setattr(cells64, "SAMPLES", 50_000)
    y = np.array([[0.25, 0.0], [0.75, 0.0]])

    def solver(h):
        return lambda y, box, problem: lambda: {"h": np.array(h), "converged": True}

    problem = module("semidiscrete_cases").Map(n=2, tol=0.01)
    for h, error in (([0.0, -0.25], 0.0), ([0.0, -0.25 - 0.15], 0.36)):  # cells of 0.5, 0.5 and of 0.8, 0.2
        monkeypatch.setitem(solvers.SOLVERS, ("monte_carlo", "otgen"), solver(h))
        assert abs(child.monte_carlo("otgen", problem, y)["error_found"] - error) < 0.02


def test_a_peer_that_missed_the_tolerance_is_a_bound(module, monkeypatch) -> None:
    semidiscrete, targets = module("semidiscrete"), module("targets")
    (case,) = [case for case in module("semidiscrete_cases").all_cases() if "Adam" in case.peers]
    monkeypatch.setattr(semidiscrete, "_fill", lambda *_: None)

    def answer(request, **_):
        own = request["solver"] == "otgen"
        return {"seconds": 10.0 if own else 240.0, "error_found": 0.008 if own else 0.3, "peak_mb": 1.0}

    monkeypatch.setattr(semidiscrete, "in_child", answer)
    record = semidiscrete.measure(case)
    peer = record["runs"]["Adam"]
    assert peer["error"] == "its error is 0.3, not 0.01, after 240 s" and targets.seconds(record, "Adam") == 240.0
    assert [judge(record, {})["met"] for judge in case.targets] == [True, True, True]


def test_a_peer_that_is_not_installed_is_a_line_that_says_so(module, monkeypatch) -> None:
    semidiscrete = module("semidiscrete")
    monkeypatch.setenv("OTGEN_SDOT_PYTHON", str(ROOT / "no python"))
    semidiscrete.sdot_versions.cache_clear()
    assert semidiscrete.sdot_versions() == {"jax": None, "sdot": None}
    monkeypatch.setattr(semidiscrete, "_fill", lambda *_: None)
    monkeypatch.setattr(semidiscrete, "in_child", lambda *_, **__: {"seconds": 1.0, "error_found": 1e-7})
    record = semidiscrete.measure(module("semidiscrete_cases").all_cases()[0])
    assert record["runs"]["sdot"]["error"].startswith("not installed: jax, sdot (make bench-semidiscrete")
    semidiscrete.sdot_versions.cache_clear()


def test_the_codes_come_from_an_autoencoder(module, tmp_path, rng) -> None:
    pytest.importorskip("torch")
    codes = module("semidiscrete_codes")
    images = rng.integers(0, 256, (40, 3, 4), dtype=np.uint8)
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(np.array([0x803, 40, 3, 4], ">u4").tobytes() + images.tobytes()))
    read = codes.read_images(path)
    assert read.shape == (40, 12) and np.allclose(read * 255, images.reshape(40, -1))
    found, error = codes.train(read, 5, 2)
    assert found.shape == (40, 5) and found.dtype == np.float32 and 0 < error < 1


def test_codes_are_missing_where_their_images_are(module, tmp_path, monkeypatch) -> None:
    (case,) = [case for case in module("semidiscrete_cases").all_cases() if case.problem.recipe == "codes"]
    monkeypatch.setenv("OTGEN_DATA", str(tmp_path))
    assert "set OTGEN_DATA" in case.missing() or "torch" in case.missing()
    (tmp_path / "mnist").mkdir()
    assert "no folder" not in case.missing()
