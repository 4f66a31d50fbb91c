"""The report: every score is that of its own function, beside the name of the space that it was measured in."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from otgen import metrics
from otgen.data import toys


class Means:
    """Features of images: the mean of every row and of every column."""

    name = "means"

    def extract(self, images):
        return np.concatenate([images.mean((1, 2)), images.mean((1, 3))], axis=1)


@pytest.fixture
def sets(rng):
    return [rng.random((n, 1, 4, 5), dtype=np.float32) for n in (12, 14, 9)]


def test_every_score_is_that_of_its_function(sets):
    x, y, training = sets
    told: list = []
    codes = x[:, 0, 0], y[:, 0, 1]
    found = metrics.evaluate(
        x, y, extractor=Means(), training=training, reconstructed=(y, y * 0.5), latent=codes, subsets=3, w1_points=10,
        seed=4, progress=told.append,
    )  # fmt: skip
    assert (found["samples"], found["reference"]) == (12, 14)
    assert found["extractor"] == {"name": "means", "features": 9}
    rows, (u, v) = found["scores"], (Means().extract(x), Means().extract(y))
    values = {name: row["value"] for name, row in rows.items()}
    near = metrics.neighbour_scores(u, v)
    copies = metrics.memorisation(*(side.reshape(len(side), -1) for side in (x, training, y)))
    latent = metrics.latent_test(*codes, seed=4)
    kid = metrics.kid(u, v, subsets=3, seed=4)
    assert values == {
        "fid": metrics.fid(u, v), "kid": kid.mean, "w1": metrics.exact_w1(u, v, points=10, seed=4),
        "energy_distance_squared": metrics.energy(u, v), **near._asdict(), "sharpness": metrics.sharpness(x),
        "memorisation_ratio": copies.ratio, "memorisation_below": copies.below,
        "reconstruction_error": metrics.reconstruction_error(y, y * 0.5),
        "reconstruction_fid": metrics.fid(Means().extract(y * 0.5), v), "latent_energy": latent.statistic,
        "latent_p_value": latent.p_value,
    }  # fmt: skip
    assert rows["kid"]["sd"] == kid.sd and rows["sharpness"]["reference"] == metrics.sharpness(y)
    assert rows["w1"]["points"] == 10 and rows["recall"]["k"] == 3 and rows["coverage"]["k"] == 5
    spaces = {name: row["extractor"] for name, row in rows.items()}
    assert {name for name, space in spaces.items() if space == "pixels"} == {
        "sharpness", "memorisation_ratio", "memorisation_below", "reconstruction_error",
    }  # fmt: skip
    assert set(spaces.values()) == {"means", "pixels", "codes"}
    assert rows["latent_energy"]["points"] == 12
    assert [one["score"] for one in told] == list(rows)
    assert json.loads(json.dumps(found)) == found


def test_without_samples_there_is_what_a_model_makes_of_true_ones(sets):
    _, y, _ = sets
    found = metrics.evaluate(None, y, extractor=Means(), reconstructed=(y, y))
    assert list(found["scores"]) == ["reconstruction_error", "reconstruction_fid"] and found["samples"] == 0
    assert found["scores"]["reconstruction_error"]["value"] == 0
    assert found["scores"]["reconstruction_fid"]["value"] == pytest.approx(0, abs=1e-9)


def test_vectors_and_toys():
    x, y = (toys.sample("8gaussians", 200, seed) for seed in (0, 1))
    found = metrics.evaluate(torch.from_numpy(x), torch.from_numpy(y), toy="8gaussians", subsets=2)
    assert found["extractor"] == {"name": "pixels", "features": 2}
    rows = found["scores"]
    assert "sharpness" not in rows and rows["modes_covered"] == {"value": 8, "extractor": "plane", "of": 8}
    assert rows["within_4_sd"]["value"] == metrics.toy_scores(x, "8gaussians").within_4_sd
    assert rows["fid"]["value"] == metrics.fid(x, y)


def test_the_table_names_the_space_of_every_number(sets):
    x, y, training = sets
    found = metrics.evaluate(x, y, extractor=Means(), training=training, subsets=2)
    found["extractor"]["accuracy"] = 0.98
    first, head, *lines = metrics.render(found).splitlines()
    assert first == "12 samples against 14; extractor means (9 features, test accuracy 0.9800)"
    assert head.split() == ["score", "value", "in", "should", "be"]
    assert [line.split()[0] for line in lines] == list(found["scores"])
    assert all(("means" in line) != ("pixels" in line) for line in lines)
    assert "+-" in lines[1] and f"{found['scores']['fid']['value']:.6g}" in lines[0]
    toy = metrics.evaluate(np.zeros((6, 2)), toys.sample("ring", 9), toy="ring", subsets=1)
    assert toy["scores"]["spread_ratio"]["value"] is None
    table = metrics.render(toy)
    assert "0 of 1" in table and "none" in table


def test_bad_input(sets):
    x, y, training = sets
    cases = [
        ("samples must hold more than 3 samples; got 3. Draw more", (x[:3], y), {}),
        ("reference must hold more than 5 samples; got 5", (x, y[:5]), {}),
        (r"samples must hold samples of shape \(1, 3, 5\), as reference; got \(1, 4, 5\)", (x, y[:, :, :3]), {}),
        (r"training must hold samples of shape \(1, 4, 5\)", (x, y), {"training": training[..., :2]}),
        ("latent must be a pair", (x, y), {"latent": x}),
        (r"samples must have values in \[0, 1\]", (x - 1, y), {}),
        ("reference must be finite", (x, y * math.nan), {}),
        ("reconstructed must be a pair", (x, y), {"reconstructed": x}),
        ("reconstructed must hold two sets of one length; got 12 and 14", (x, y), {"reconstructed": (x, y)}),
        ("reference must have shape", (x, y), {"toy": "ring"}),
        ("toy|name must be one of 25gaussians", (x, y), {"toy": "grid"}),
        ("subsets must be an int >= 1", (x, y), {"subsets": 0}),
        ("seed must be an int >= 0", (x, y), {"seed": -1}),
    ]
    for match, given, options in cases:
        with pytest.raises(ValueError, match=match):
            metrics.evaluate(*given, extractor=Means(), **options)
    with pytest.raises(TypeError, match="extractor must have a name and a method extract; got str. Pass Pixels"):
        metrics.evaluate(x, y, extractor="lenet")  # pyright: ignore[reportArgumentType]
