"""`otgen map`: fit, apply, sample and plot on files, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from otgen import SemiDiscreteOT, cli, map_cli, maps, shell

runner = CliRunner()
Y = np.random.default_rng(3).random((40, 2))


def run(*command: object) -> tuple[int, str]:
    result = runner.invoke(cli.app, ["map", *map(str, command)])
    return result.exit_code, result.output


@pytest.fixture
def targets(tmp_path: Path) -> Path:
    np.save(tmp_path / "y.npy", Y)
    return tmp_path / "y.npy"


@pytest.fixture
def fitted(tmp_path: Path) -> Path:
    SemiDiscreteOT().fit(Y).save(tmp_path / "map.npz")
    return tmp_path / "map.npz"


def test_fit_writes_the_map_it_tells_of(targets: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "b.npy", np.arange(1.0, 41.0) / np.arange(1.0, 41.0).sum())
    np.save(tmp_path / "box.npy", np.array([[0.0, 2.0], [0.0, 1.0]]))
    out = tmp_path / "map.npz"
    options = "--domain", tmp_path / "box.npy", "--weights", tmp_path / "b.npy", "--out", out
    code, text = run("fit", targets, *options)
    assert code == 0 and "converged    yes" in text and "by newton" in text
    code, text = run("fit", targets, *options, "--json")
    report, loaded = json.loads(text), SemiDiscreteOT.load(out)
    assert report["converged"] and report["value"]["value"] == pytest.approx(loaded.value_.value)
    np.testing.assert_allclose(loaded.cell_measures_, np.load(tmp_path / "b.npy"), rtol=1e-5)


def test_fit_from_a_normal_law_and_from_a_ball(targets: Path, tmp_path: Path) -> None:
    mean, cov = np.array([-0.5, 2.0]), np.array([[2.0, 0.3], [0.3, 0.5]])
    np.save(tmp_path / "mean.npy", mean)
    np.save(tmp_path / "cov.npy", cov)
    np.savetxt(tmp_path / "ball.csv", [[1.0, -2.0, 0.5]], delimiter=",")
    ball: dict[str, Any] = {"source": "ball", "domain": (np.array([1.0, -2.0]), 0.5)}
    normal: dict[str, Any] = {"source": "normal", "mean": mean}
    for options, parameters in (
        (("normal", "--mean", "-0.5,2", "--cov", tmp_path / "cov.npy"), normal | {"cov": cov}),
        (("normal", "--mean", tmp_path / "mean.npy", "--cov", "0.25"), normal | {"cov": 0.25 * np.eye(2)}),
        (("ball", "--domain", "1,-2,0.5"), ball),
        (("ball", "--domain", tmp_path / "ball.csv"), ball),
        (("ball", "--domain", "1,-2,0.5", "--optimizer", "adam"), ball | {"optimizer": "adam"}),
    ):  # fmt: skip
        code, text = run("fit", targets, "--source", *options, "--tol", 0.05, "--out", tmp_path / "map.npz")
        assert code == 0 and "by monte_carlo" in text
        expected = SemiDiscreteOT(tol=0.05).set_params(**parameters).fit(Y)
        np.testing.assert_array_equal(SemiDiscreteOT.load(tmp_path / "map.npz").heights_, expected.heights_)


def test_help_shows_an_example_that_runs(targets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.load(targets)[:5])
    shown = [map_cli.EXAMPLE, map_cli.LIKEWISE]  # those of apply, sample and plot go on from the first
    shown += [f"otgen map {name}" for name in ("apply map.npz x.npy --out tx.npy", "plot map.npz --out cells.png")]
    shown += ["otgen map sample map.npz -n 1000 --quantile 0.9 --out new.npy"]
    for example in shown:
        program, group, *command = example.split()
        assert example in " ".join(run(command[0], "--help")[1].replace("│", " ").split())
        assert (program, group) == ("otgen", "map") and run(*command)[0] == 0


def test_fits_that_stop_early_exit_with_3_and_go_on(targets: Path, tmp_path: Path) -> None:
    options = "--method", "monte_carlo", "--tol", "0.002", "--resume", tmp_path / "state", "--out", tmp_path / "m.npz"
    code, text = run("fit", targets, *options, "--max-samples", 7000)
    assert code == shell.EXIT_NOT_CONVERGED and "NO: stopped by max_samples" in text and (tmp_path / "m.npz").exists()
    assert run("fit", targets, *options)[0] == 0
    code, text = run("fit", targets, "--max-iter", 1, "--tol", 1e-12, "--out", tmp_path / "m.npz")
    assert code == shell.EXIT_NOT_CONVERGED and "NO: stopped at max_iter" in text and "1 steps" in text
    assert "\nwarning: stopped at max_iter" in f"\n{text}" and ".py" not in text  # no line of ours


def test_apply_sample_and_plot(fitted: Path, tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((25, 2))
    np.save(tmp_path / "x.npy", x)
    code, text = run("apply", fitted, tmp_path / "x.npy", "--out", tmp_path / "tx.npy")
    assert code == 0 and "25 points mapped" in text
    np.testing.assert_array_equal(np.load(tmp_path / "tx.npy"), SemiDiscreteOT.load(fitted).transform(x))
    code, text = run("sample", fitted, "-n", 30, "--quantile", 0.9, "--seed", 4, "--out", tmp_path / "new.npy")
    assert code == 0 and "30 new points" in text
    expected = SemiDiscreteOT.load(fitted).sample(30, quantile=0.9, seed=4)
    np.testing.assert_array_equal(np.load(tmp_path / "new.npy"), expected)
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    for name, options in (("cells.png", ()), ("jumps.png", ("--theta", 0.1))):
        assert run("plot", fitted, *options, "--out", tmp_path / name)[0] == 0
        assert np.ptp(imread(tmp_path / name)[..., :3]) > 0.5


def test_refusals_are_one_line(fitted: Path, targets: Path, tmp_path: Path) -> None:
    def fit(*options: object) -> tuple[object, ...]:
        return "fit", targets, "--out", tmp_path / "m.npz", *options

    for command, why in (
        (("fit", targets, "--out", tmp_path / "m.NPZ"), "--out must end in .npz"),
        (("fit", targets, "--out", tmp_path / "no" / "m.npz"), "--out must be in a folder that exists"),
        (("fit", targets, "--method", "other", "--out", tmp_path / "m.npz"), "method must be one of"),
        (fit("--optimizer", "sgd"), "--optimizer must be adam; got sgd. Leave it out"),
        (fit("--optimizer", "adam", "--method", "newton"), "optimizer is an option of method='monte_carlo'"),
        (fit("--mean", "0,x", "--source", "normal"), "--mean must be numbers with commas between them, or a file"),
        (fit("--mean", "0,1,2", "--source", "normal"), "mean must have shape (2,); got shape (3,)"),
        (fit("--mean", "0,nan", "--source", "normal"), "mean must be finite"),
        (fit("--mean", "0,1"), "mean has no meaning with source 'uniform', which takes domain"),
        (fit("--cov", "1,2", "--source", "normal"), "--cov must be a file, or one variance; got 1,2"),
        (fit("--cov", "0", "--source", "normal"), "cov must be symmetric and positive definite"),
        (fit("--cov", "cov.npy", "--source", "normal"), "cov.npy is not a file"),
        (fit("--domain", "0,1", "--source", "ball"), "--domain of a ball must be 3 numbers, its centre and then its"),
        (fit("--domain", "0,0,-1", "--source", "ball"), "got 0,0,-1. Pass --domain 0,0,1, say"),
        (fit("--max-iter", 3, "--method", "monte_carlo"), "--max-iter is no limit of method 'monte_carlo'"),
        (
            fit("--source", "image"),
            "error: --density must be given with source 'image': an array of pixels. Pass --density",
        ),
        (fit("--resume", tmp_path / "no" / "state"), "error: --resume must name a file in a folder that exists"),
        (("apply", targets, targets, "--out", tmp_path / "t.npy"), "must be a file of otgen's semi-discrete map"),
        (
            ("sample", fitted, "--out", tmp_path / "t.npy"),
            "--theta or --quantile must be given, and not both; got neither",
        ),
        (
            ("plot", fitted, "--theta", 1, "--quantile", 0.5, "--out", tmp_path / "t.png"),
            "Pass --theta in radians, or --q",
        ),
    ):
        code, text = run(*command)
        assert code == shell.EXIT_BAD_INPUT and why in text and text.count("\n") == 1


def test_progress_lines() -> None:
    assert maps.progress_line({"iteration": 2, "error": 0.5, "chi2": 0.1}) == "step 2, mass error 0.5, chi2 0.1"
    row = {"iteration": 1, "samples": 20400, "chi2": 0.09, "left": 3.2}
    assert maps.progress_line(row) == "step 1, 20,400 samples, chi2 0.09, about 3 s left"


@pytest.mark.parametrize(("source", "d"), [("normal", 2), ("ball", 2), ("uniform", 3)])
def test_maps_that_cannot_be_drawn_say_which_can(tmp_path: Path, rng, source: str, d: int) -> None:
    pytest.importorskip("matplotlib")
    SemiDiscreteOT(source, tol=0.5).fit(rng.random((9, d))).save(tmp_path / "map.npz")
    code, shown = run("plot", tmp_path / "map.npz", "--out", tmp_path / "no.png")
    assert code == 1 and not (tmp_path / "no.png").exists()
    wanted = "only maps in the plane can be drawn; this one has 3 dimensions. Fit it to"
    if d == 2:
        wanted = (
            f"source with corners can be drawn: uniform, polygon, image; this one's is '{source}'. Fit another with"
        )
    assert wanted in shown
