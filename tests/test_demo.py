"""`otgen demo` writes pictures that show something and a report that holds its certificate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from otgen import demo

pytest.importorskip("matplotlib")


def test_the_demo_writes_its_pictures_and_a_proven_report(tmp_path: Path, monkeypatch) -> None:
    from matplotlib.image import imread

    monkeypatch.setattr(demo, "POINTS", 120)
    monkeypatch.setattr(demo, "MODEL_LIBRARIES", ("no_such_library",))
    report = demo.run(tmp_path / "new" / "demo", sizes=(20, 40))
    assert json.loads((tmp_path / "new" / "demo" / "report.json").read_text()) == report
    for name in ("W1", "W2"):
        found = report["distances"][name]
        assert found["converged"] and found["lower_bound"] <= found["value"] * (1 + 1e-12)
        assert found["value"] - found["lower_bound"] <= 1e-8 * found["value"]
    assert report["distances"]["W1"]["value"] <= report["distances"]["W2"]["value"]
    for name in demo.PICTURES:
        pixels = imread(tmp_path / "new" / "demo" / name)
        assert min(pixels.shape[:2]) > 300 and np.ptp(pixels[..., :3]) > 0.5
    bounds, w2 = report["entropic"], report["distances"]["W2"]["value"]
    assert bounds["lower_bound"] <= w2 <= bounds["upper_bound"] <= 1.1 * w2 and bounds["divergence"] > 0
    assert report["map"]["converged"] and report["map"]["error"]["max_relative"] <= 1e-6
    assert [row["n"] for row in report["timings"]["otgen W1"]] == [20, 40]
    text = demo.told(report)
    assert "W1 = " in text and "proven" in text and all(path in text for path in report["files"])
    assert report["models"] is None and "AE-OT on digits is left out: pip install" in text and demo.proven(report)


def test_aeot_on_digits_is_trained_sampled_and_judged(tmp_path: Path, monkeypatch) -> None:
    for library in demo.MODEL_LIBRARIES:
        pytest.importorskip(library)
    from matplotlib.image import imread

    from otgen import demo_models, judge

    def trained(train: Any, test: Any, **_: Any) -> Any:
        return judge.Pixels()

    monkeypatch.setattr(judge.LeNet, "trained", trained)
    few = ("steps=40", "width=4", "tol=5", "max_samples=20000")
    monkeypatch.setattr(demo_models, "CHANGES", (*demo_models.CHANGES, *few))
    told: list[str] = []
    report = demo_models.run(tmp_path, progress=lambda info: told.append(demo_models.progress_line(info)))
    scores = report["evaluation"]["scores"]
    assert set(demo_models.SCORES) <= set(scores) and report["training"]["phases"]["map"]["seconds"] > 0
    assert imread(tmp_path / demo_models.GRID).shape[0] > 300 and all(Path(path).exists() for path in report["files"])
    words = [line.split()[0] for line in told]
    assert words.index("step") < words.index("codes") < words.index("map:") < words.index("fid")
    text = demo_models.told(report)
    assert "AE-OT on digits: " in text and f"recall {scores['recall']['value']:.3g}" in text
    again = demo_models.run(tmp_path)  # what is trained is only judged
    assert again["training"]["skipped"][:2] == ["training", "codes"]


def test_progress_is_told_whoever_makes_it() -> None:
    assert demo.progress_line({"level": 1, "levels": 2, "round": 3, "arcs": 10}).startswith("level 1/2")
    assert demo.progress_line({"score": "fid", "seconds": 2.0}) == "fid after 2 s"


def test_pot_beside_it_says_the_same(tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("ot")
    timings = demo._timings((30,), None)
    assert abs(timings["POT W1"][0]["difference"]) <= 1e-9 and abs(timings["POT W2"][0]["difference"]) <= 1e-9
    monkeypatch.setattr(demo, "PEER_LIMIT", 20)
    assert set(demo._timings((30,), None)) == {"otgen W1", "otgen W2"}


def test_labels_of_curves_that_end_together_do_not_overlap() -> None:
    from otgen import plots

    ends = {"POT W1": 1.001, "otgen W1": 0.0, "POT W2": 1.0, "otgen W2": -0.5}
    heights = plots.label_heights(ends, span=2.0)
    assert list(heights) == ["otgen W2", "otgen W1", "POT W2", "POT W1"]
    assert heights["POT W2"] == 1.0 and heights["otgen W1"] == 0.0
    assert heights["POT W1"] - heights["POT W2"] >= 0.05 * 2.0


def test_the_shapes_are_the_shapes() -> None:
    rng = np.random.default_rng(0)
    u, v = demo.heart(500, rng).T
    assert ((u * u + v * v - 1) ** 3 <= u * u * v**3).all()
    star = demo.star(20_000, rng)
    radius = np.linalg.norm(star, axis=1)
    assert star.shape == (20_000, 2) and 2.3 < radius.max() <= 2.4
    # Five arms: a turn by a fifth maps the cloud's law to itself.
    arm = np.floor((np.arctan2(star[:, 1], star[:, 0]) - np.pi / 2 + np.pi / 5) / (2 * np.pi / 5)).astype(int) % 5
    assert np.abs(np.bincount(arm, minlength=5) / len(star) - 0.2).max() < 0.02
