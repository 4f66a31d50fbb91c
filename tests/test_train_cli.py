"""`otgen train` and `otgen sample` through the shell: files, exit codes, presets in the help, one-line errors."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import otgen
from otgen import cli, runs, shell, train_cli
from otgen.data import toys

pytest.importorskip("safetensors")
pytest.importorskip("lightning_fabric")

SMALL = ("--set", "points=64", "--set", "batch=16", "--set", "width=4", "--set", "steps=4", "--set", "picture_every=0")


def run(*command: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli.app, [str(word) for word in command])
    return result.exit_code, result.output


def test_aeot_on_8gaussians_from_training_to_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    program, *command = train_cli.EXAMPLE.split()
    code, text = run(*command, "--json")
    report = json.loads(text)
    assert program == "otgen" and code == 0 and report["converged"] and report["run"] == "runs/aeot"
    code, text = run("sample", "runs/aeot", "-n", 800, "--seed", 1, "--out", "x.npy")
    assert code == 0 and "800 samples of shape (2,) in x.npy" in text
    found, facts = np.load("x.npy"), toys.facts("8gaussians")
    away, mode = facts.distance(found)
    assert found.shape == (800, 2) and (away < 4 * facts.sd).mean() >= 0.99 and len(np.unique(mode)) == 8
    code, text = run(*command, "--resume")
    assert code == 0 and text.count("done before") == 2
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    code, _ = run("sample", "runs/aeot", "-n", 100, "--quantile", 0.5, "--out", "x.png")
    assert code == 0 and np.ptp(imread("x.png")[..., :3]) > 0.3


def test_a_network_from_a_file_of_images(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((32, 1, 8, 8)))
    options = "--data", tmp_path / "x.npy", "--out", tmp_path / "run", "--preset", "cpu", *SMALL[2:]
    code, text = run("train", "wgan-clip", *options, "--set", "critic_width=4", "--set", "critic_norm=layer", "--quiet")
    assert code == 0 and "model     wgan-clip on " in text and "4 steps" in text
    assert run("sample", tmp_path / "run", "-n", 5, "--out", tmp_path / "five.npy")[0] == 0
    five = np.load(tmp_path / "five.npy")
    assert five.shape == (5, 1, 8, 8) and 0 <= five.min() and five.max() <= 1
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    assert run("sample", tmp_path / "run", "-n", 5, "--out", tmp_path / "five.png")[0] == 0
    assert imread(tmp_path / "five.png").shape == (2 * 58 + 2, 3 * 58 + 2, 4)


def test_the_presets_of_a_model_are_printed(tmp_path: Path) -> None:
    code, text = run("train", "wae-gan", "--help")
    assert code == 0 and train_cli.EXAMPLE.split()[0] in text and "Presets of wae-gan" in text
    assert "adversary_lr" in text and "paper (images)" in text
    assert "Presets of" not in run("train", "--help")[1]
    code, text = run("train", "wae-gan", "--show", "--preset", "toy")
    assert code == 0 and "Presets of wae-gan" in text and "paper" not in text and "0.0005" in text
    code, text = run("train", "wgan-gp", "--show", "--json")
    assert json.loads(text)["paper (vectors)"]["weight"] == "0.1"


def test_a_map_that_stops_early_exits_with_3_and_an_interrupt_with_130(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = "--data", "ring", "--out", tmp_path / "run", *SMALL[:2], "--set", "max_samples=2000"
    code, text = run("train", "aeot", *options, "--set", "method=monte_carlo")
    assert code == 3 and "stopped by max_samples" in text and (tmp_path / "run" / "model" / "map.npz").exists()

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "train_model", interrupted)
    code, text = run("train", "ae", "--data", "moons", "--out", tmp_path / "cut", *SMALL)
    assert code == 130 and text == "interrupted\n"
    monkeypatch.undo()
    assert run("train", "ae", "--data", "moons", "--out", tmp_path / "cut", "--resume")[0] == 0


def test_refusals_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "run"
    whole = "--data", "moons", "--out", out, *SMALL
    for command, why in (
        (("train", "gan", *whole), "model must be one of ae, vae"),
        (("train", "ae", *whole, "--set", "rate=3"), "--set must be FIELD=VALUE, FIELD one of code"),
        (("train", "ae", *whole, "--preset", "cpu"), "preset of ae for vectors must be one of toy; got 'cpu'"),
        (("train", "gan", "--show"), "model must be one of ae, vae"),
        (("train", "ae", "--data", "moon", "--out", out), "--data must be one of digits"),
        (("train", "ae", *whole, "--root", tmp_path), "--root is meant for mnist, fashion-mnist or cifar10"),
        (("train", "ae", *whole, "--set", "lr=1e30"), "Lower the learning rate, or pass clip_grad="),
        (("sample", tmp_path / "no", "--out", tmp_path / "x.npy"), "must be the folder of a run"),
        (("sample", out, "--out", tmp_path / "x.jpg"), "--out must end in .png or .npy; got"),
        (("sample", out, "--out", tmp_path / "no" / "x.npy"), "--out must be in a folder that exists"),
    ):
        code, text = run(*command)
        assert code == 1 and why in text and text.count("\n") == 1, text
    for command, why in ((("train", "ae", "--out", out), "--data"), (("train", "ae", "--data", "moons"), "--out")):
        code, text = run(*command)
        assert code == 2 and why in text and "or --show" in text
    monkeypatch.setitem(sys.modules, "otgen.plots", None)
    monkeypatch.delattr(otgen, "plots", raising=False)
    model = tmp_path / "vae"
    assert run("train", "vae", "--data", "moons", "--out", model, *SMALL)[0] == 0
    code, text = run("sample", model, "--out", tmp_path / "x.png")
    assert code == 1 and "pictures need matplotlib, which is not installed" in text and "pip install" in text


@pytest.mark.parametrize("library", shell.MODEL_LIBRARIES)
def test_without_the_extra_the_command_that_installs_it_is_named(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    for command in (
        ("train", "ae", "--data", "moons", "--out", tmp_path / "run"),
        ("sample", tmp_path, "--out", "x.npy"),
    ):
        code, text = run(*command)
        assert code == 1 and text == f"error: generative models need {library}. Run: pip install 'otgen[models]'\n"
    assert run("train", "ae", "--show")[0] == 0
