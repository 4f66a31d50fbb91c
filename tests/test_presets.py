"""Presets build models and options that are valid; a field is set by its text, JSON brings a preset back."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

from otgen import preset_fields, presets
from otgen.models import build
from otgen.preset_fields import AEOTPreset, changed, read
from otgen.presets import PRESETS
from otgen.training import TrainOptions

SHAPES = {"vectors": (2,), "images": (1, 8, 8)}
ALL = [
    (model, kind, name) for model, kinds in PRESETS.items() for kind, named in kinds.items() for name in named
]  # fmt: skip


@pytest.mark.parametrize(("model", "kind", "name"), ALL)
def test_every_preset_makes_a_model_whose_players_have_optimisers(model: str, kind: str, name: str) -> None:
    preset = presets.of(model, SHAPES[kind], name)
    small = dataclasses.replace(preset, width=4, **({"critic_width": 4} if hasattr(preset, "critic_width") else {}))
    made = build(small.config(SHAPES[kind]))
    options = TrainOptions(**preset.training(60_000))
    options.check_players(made.PLAYERS)
    assert made.code == preset.code and options.batch == preset.batch
    rates = {player: options.optimizer_of(player)["lr"] for player in made.PLAYERS}
    assert set(rates.values()) <= {preset.lr, getattr(preset, "adversary_lr", preset.lr)}


def test_the_published_numbers() -> None:
    wae = presets.of("wae-gan", (1, 28, 28), "paper")
    options = TrainOptions(**wae.training(60_000))
    assert (wae.code, wae.batch, wae.epochs) == (8, 100, 100)
    cpu = presets.of("vae", (1, 28, 28), "cpu")
    assert cpu.training(60_000)["epochs"] == cpu.epochs == 10
    assert (
        cpu.training(1_500)["epochs"] * (1_500 // cpu.batch) >= cpu.least_steps == 1_500
    )  # few samples are seen more often
    assert build(dataclasses.replace(wae, width=4).config((1, 28, 28))).weight == 10.0
    assert options.optimizer_of("autoencoder") | {"eps": 0} == {
        "name": "adam", "lr": 1e-3, "betas": [0.5, 0.999], "eps": 0, "weight_decay": 0.0,
    }  # fmt: skip
    assert options.optimizer_of("adversary")["lr"] == 5e-4
    assert options.schedule == {"name": "step", "at": [0.3, 0.5], "factors": [0.5, 0.2]}
    clip = presets.of("wgan-clip", (1, 28, 28), "paper")
    assert (
        clip.training(60_000)["optimizer"] == {"name": "rmsprop", "lr": 5e-5}
        and clip.config((1, 28, 28))["clip"] == 0.01
    )
    toys = presets.of("wgan-gp", (2,), "paper")
    assert (toys.width, toys.batch, toys.config((2,))["weight"], toys.lr) == (512, 256, 0.1, 1e-4)
    assert presets.of("iwgan", (2,), "paper").width == (512, 256, 128, 64)
    # The penalty of AE-OT's paper stands beside a squared error averaged over pixels.
    assert presets.of("aeot", (3, 64, 64), "paper").config((3, 64, 64))["l1"] == pytest.approx(1e-5 * 12288)


def test_the_first_preset_is_that_of_the_data() -> None:
    assert presets.of("ae", (2,)) is PRESETS["ae"]["vectors"]["toy"]
    assert presets.of("ae", (1, 28, 28)) is PRESETS["ae"]["images"]["cpu"]
    assert presets.of("aeot", (2,)).autoencoder is None  # type: ignore[attr-defined]


def test_a_field_is_read_by_its_type() -> None:
    preset = changed(
        presets.of("wae-gan", (2,)),
        ["lr=1e-4", "width=64,32", "betas=0.5,0.9", "norm=batch", "batch=32", 'schedule={"name": "cosine"}', "ema=0.9"],
    )
    assert preset.lr == 1e-4 and preset.width == (64, 32) and preset.betas == (0.5, 0.9) and preset.norm == "batch"
    assert preset.batch == 32 and preset.schedule == {"name": "cosine"} and preset.ema == 0.9
    back = changed(preset, ["width=16", "betas=none", "schedule=None", "norm=none"])
    assert back.width == 16 and back.betas is None and back.schedule is None and back.norm is None


def test_of_two_fields_that_exclude_each_other_the_one_that_is_set_stays() -> None:
    preset = presets.of("ae", (1, 8, 8))
    assert preset.epochs == 10
    assert (changed(preset, ["steps=7"]).steps, changed(preset, ["steps=7"]).epochs) == (7, None)
    assert changed(preset, ["epochs=2"]).training(1_500)["epochs"] == 2  # those asked for
    assert changed(preset, ["steps=7", "epochs=2"]).epochs == 2  # and TrainOptions refuses both
    toy = changed(presets.of("aeot", (2,)), ["quantile=0.8"])
    assert isinstance(toy, AEOTPreset) and toy.theta is None and toy.quantile == 0.8


def test_values_are_told_as_they_are_read() -> None:
    preset = changed(presets.of("iwgan", (2,), "paper"), ['schedule={"name": "cosine"}'])
    texts = [f"{name}={preset_fields.told(value)}" for name, value in vars(preset).items()]
    other = presets.of("iwgan", (2,), "toy")
    assert other != preset and changed(other, texts) == preset


def test_json_brings_a_preset_back() -> None:
    for model, kind, name in ALL:
        preset = presets.of(model, SHAPES[kind], name)
        assert read(type(preset), json.loads(json.dumps(vars(preset)))) == preset
    fields = dict(vars(presets.of("ae")))
    with pytest.raises(ValueError, match=r"its preset has other fields than AEPreset: extra"):
        read(preset_fields.AEPreset, fields | {"extra": 1})


def test_the_table_names_every_field_of_every_preset() -> None:
    rows = presets.table("wgan-gp")
    assert rows[0] == ("field", "toy (vectors)", "paper (vectors)", "cpu (images)", "paper (images)")
    assert {row[0] for row in rows[1:]} == set(vars(presets.of("wgan-gp")))
    assert ("weight", "0.1", "0.1", "10", "10") in rows
    assert presets.table("wgan-gp", "cpu")[0] == ("field", "cpu (images)")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("lr", "--set must be FIELD=VALUE, FIELD one of code, width"),
        ("rate=1", "--set must be FIELD=VALUE, FIELD one of code.*got 'rate=1'. Correct the name"),
        ("lr=fast", "lr must be a number; got 'fast'. Pass --set lr=VALUE"),
        ("batch=1.5", "batch must be a whole number; got '1.5'"),
        ("batch=none", "batch must be a whole number; got 'none'"),
        ("betas=0.5", "betas must be numbers with commas between them or none; got '0.5'"),
        ("schedule=[1]", "schedule must be a JSON object or none"),
        ("width=", "width must be a whole number or numbers with commas between them or none; got ''"),
    ],
)
def test_what_a_field_refuses(assignment: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        changed(presets.of("ae"), [assignment])


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match=f"model must be one of {re.escape(', '.join(presets.MODELS))}; got 'wgan'"):
        presets.of("wgan")
    with pytest.raises(ValueError, match="preset of ae for vectors must be one of toy; got 'cpu'"):
        presets.of("ae", (2,), "cpu")
    with pytest.raises(ValueError, match="preset of ae must be one of toy, cpu, paper; got 'big'"):
        presets.table("ae", "big")
