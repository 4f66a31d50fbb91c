"""`otgen evaluate`: what is judged by what, the scores of their own functions, files, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from otgen import cli, judge, metrics, runs
from otgen.data import load, toys
from otgen.judge_pictures import draw
from otgen.models import critic_score, saved
from torch_threads import one_thread as one_thread

pytest.importorskip("safetensors")
pytest.importorskip("lightning_fabric")

SMALL = ["batch=16", "width=4", "steps=3", "log_every=1", "picture_every=0"]
IMAGES = 40


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images in two splits, and runs of models on them and on toys."""
    folder, rng = tmp_path_factory.mktemp("judge"), np.random.default_rng(0)
    np.savez(folder / "x.npz", x_train=rng.random((64, 1, 8, 8)), x_test=rng.random((IMAGES, 1, 8, 8)))
    np.save(folder / "x.npy", rng.random((IMAGES, 1, 8, 8)))
    images = str(folder / "x.npz")
    runs.train("ae", images, folder / "ae", changes=SMALL)
    runs.train("vae", images, folder / "vae", changes=SMALL)
    runs.train("iwgan", images, folder / "iwgan", changes=[*SMALL, "critic_width=4", "gap_budget=1", "batch=8"])
    changes = [*SMALL, "points=64", "critic_width=4", "watch_every=2"]
    runs.train("wgan-gp", "8gaussians", folder / "wgan", changes=changes)
    runs.train("aeot", "8gaussians", folder / "aeot", changes=["points=400", "picture_every=0"])
    return folder


def model_of(run: Path) -> Any:
    return saved.load(run / "model")


def test_samples_are_judged_by_the_test_split_and_copies_by_the_training_split(home: Path) -> None:
    told: list[dict[str, Any]] = []
    report, judged = judge.judge(home / "vae", seed=5, progress=told.append)
    data = str(home / "x.npz")
    truth, training = load(data, split="test").x[:], load(data).x[:]
    assert np.array_equal(np.sort(judged.truth, axis=0), np.sort(truth, axis=0)) and judged.training is not None
    assert not np.array_equal(judged.truth, truth)  # a folder lists class by class
    assert report["samples"] == report["reference"] == IMAGES and report["model"] == "vae" and report["data"] == data
    assert judged.samples is not None and judged.reconstructed is not None and judged.drawn is not None
    expected = metrics.evaluate(
        judged.samples, judged.truth, training=training, reconstructed=(judged.truth, judged.reconstructed),
        latent=(judged.codes, judged.drawn), seed=5,
    )  # fmt: skip
    codes = model_of(home / "vae").draw_codes(torch.from_numpy(training), generator=judged._generator(1)).numpy()
    copies = metrics.memorisation(judged.drawn, codes, judged.codes)
    rows = expected["scores"] | {"memorisation_of_codes": {"value": copies.ratio, "extractor": "codes"}}
    assert report["scores"] == rows
    assert json.loads((home / "vae" / "evaluation" / "report.json").read_text()) == report
    assert [judge.progress_line(info).split()[0] for info in told] == list(expected["scores"])
    again, _ = judge.judge(home / "vae", seed=5)
    assert again["scores"] == report["scores"]
    other, _ = judge.judge(home / "vae", seed=6, n=12)
    assert other["samples"] == 12 and other["scores"] != report["scores"]
    # One law of codes: their means alone would be narrower than the prior.
    model = model_of(home / "vae")
    means = model.encode(torch.from_numpy(judged.truth)).numpy()
    assert judged.codes is not None and not np.allclose(judged.codes, means)


def test_an_autoencoder_is_judged_by_what_it_rebuilds(home: Path) -> None:
    report, judged = judge.judge(home / "ae")
    assert set(report["scores"]) == {"reconstruction_error", "reconstruction_fid"} and judged.samples is None
    assert "0 samples against 40; extractor pixels" in judge.told(report)


def test_a_set_without_a_test_split_is_its_own_reference(home: Path) -> None:
    report, judged = judge.judge(home / "vae", str(home / "x.npy"))
    assert report["split"] == "train" and "which has no test split" in judge.told(report)
    assert "memorisation_ratio" not in report["scores"] and judged.training is None and report["reference"] == IMAGES


def test_a_critic_is_judged_by_the_exact_distance(home: Path) -> None:
    report, judged = judge.judge(home / "wgan", n=50)
    rows, found = report["scores"], judged.critic()
    assert rows["critic_w1"]["value"] == found.estimate <= rows["critic_w1"]["reference"] == found.exact
    assert rows["critic_difference"]["value"] == found.difference and rows["critic_difference"]["slope"] == found.slope
    assert judged.training is not None and len(judged.training) == 64  # drawn as for the run
    x = torch.from_numpy(judged.truth[: judge.CRITIC_POINTS])
    other = critic_score(judged.model, x, generator=torch.Generator().manual_seed(0))
    assert other.exact == pytest.approx(found.exact, rel=0.2)
    assert "critic_w1" in judge.told(report)


def test_aeot_of_points_covers_all_modes_and_does_not_copy(home: Path) -> None:
    report, judged = judge.judge(home / "aeot", n=1_000)
    rows = report["scores"]
    assert rows["modes_covered"]["value"] == 8 and rows["within_4_sd"]["value"] >= 0.99
    assert rows["between_modes"]["value"] == 0 and 0.3 < rows["memorisation_ratio"]["value"] < 1.3
    assert judged.codes is None and "latent_energy" not in rows
    truth = toys.read("8gaussians", "test", 10_000, 0).x[:]
    assert np.array_equal(np.sort(judged.truth, axis=0), np.sort(truth, axis=0))


def test_the_pictures(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    wanted = {
        "ae": {"reconstructions", "interpolations", "codes", "curves"},
        "vae": {"samples", "reconstructions", "interpolations", "codes", "curves"},
        "iwgan": {"samples", "reconstructions", "interpolations", "codes", "curves", "critic", "gap", "quality"},
        "wgan": {"samples", "curves", "critic"},
        "aeot": {"samples"},
    }
    for name, pictures in wanted.items():
        _, judged = judge.judge(home / name, n=40)
        found = draw(home / name, judged, warn=pytest.fail)
        assert {path.stem for path in found} == pictures
        assert all(path.stat().st_size > 1_000 and path.parent == home / name / "evaluation" for path in found)
    monkeypatch.setattr("otgen.judge_pictures.load_plots", lambda: (_ for _ in ()).throw(ModuleNotFoundError("no")))
    warned: list[str] = []
    assert draw(home / "aeot", judged, warn=warned.append) == [] and warned == ["no pictures: no"]


def test_the_command(home: Path) -> None:
    def run(*words: object) -> tuple[int, str]:
        result = CliRunner().invoke(cli.app, ["evaluate", *map(str, words)])
        return result.exit_code, result.output

    code, text = run(home / "wgan", "--data", "8gaussians", "-n", 30, "--no-pictures", "--json")
    report = json.loads(text)
    assert code == 0 and report["samples"] == 30 and report["files"] == []
    code, text = run(home / "aeot", "-n", 30, "--quiet")
    assert code == 0 and "aeot in" in text and "modes_covered" in text and "samples.png" in text
    for words, message in (
        ((home / "no",), "must be the folder of a run"),
        ((home / "vae", "--data", "moons"), "--data must have samples of the shape that the model makes, (1, 8, 8)"),
        ((home / "vae", "--extractor", "vgg"), "--extractor must be one of auto, lenet, pixels or the file"),
        ((home / "vae", "--data", home / "x.npy", "--extractor", "lenet"), "lenet needs a test split"),
        ((home / "vae", "-n", 0), "n must be an int >= 1"),
        ((home / "vae", "-n", 3), "samples must hold more than 3 samples"),
        ((home / "vae", "--seed", -1), "seed must be an int >= 0"),
        ((home / "vae" / "model", "--data", "nothing"), "--data must be one of digits"),
    ):
        code, text = run(*words)
        assert code == 1 and message in " ".join(text.split()), text


def test_the_extractor_of_labelled_images_is_lenet(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def trained(train: Any, test: Any, **_: Any) -> Any:
        asked.append(train.name)
        return metrics.Pixels()

    monkeypatch.setattr(judge.LeNet, "trained", trained)
    runs.train("vae", "digits", tmp_path, changes=SMALL)
    report, _ = judge.judge(tmp_path, n=20)
    assert asked == ["digits"] and report["reference"] == len(load("digits", split="test"))
    judge.judge(tmp_path, n=20, extractor="pixels")
    assert asked == ["digits"]
