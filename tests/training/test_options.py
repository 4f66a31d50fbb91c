"""The options of a run: what they mean and what is refused."""

from __future__ import annotations

import json

import pytest

from otgen.training import TrainOptions


def test_options_survive_json():
    options = TrainOptions(
        epochs=3,
        batch=64,
        optimizer={"critic": {"name": "rmsprop", "lr": 5e-5}, "generator": {"name": "adam", "betas": (0, 0.9)}},
        schedule={"name": "step", "at": (0.5,), "factors": (0.1,)},
        ema=0.99,
        clip_grad=2,
    )
    assert TrainOptions(**json.loads(json.dumps(options.as_json()))) == options
    assert options.optimizer_of("generator")["betas"] == [0.0, 0.9]


def test_one_optimiser_serves_all_players():
    options = TrainOptions(steps=1, optimizer={"name": "sgd", "lr": 0.5, "momentum": 0.9})
    assert options.optimizer_of("anyone") == {"name": "sgd", "lr": 0.5, "momentum": 0.9, "weight_decay": 0.0}


@pytest.mark.parametrize("options, steps", [({"steps": 7}, 7), ({"epochs": 3}, 5), ({"epochs": 4}, 7)])
def test_the_length_is_in_whole_steps(options, steps):
    assert TrainOptions(**options).total_steps(batches_an_epoch=10, batches_a_step=6) == steps


def test_players_are_those_of_the_model():
    options = TrainOptions(steps=1, optimizer={"critic": {"name": "adam"}})
    options.check_players(["critic"])
    with pytest.raises(ValueError, match=r"must name each player of the model \(critic, generator\).*it names critic"):
        options.check_players(["critic", "generator"])


@pytest.mark.parametrize(
    "options, words",
    [
        ({}, "one of steps and epochs must be given; got steps=None, epochs=None"),
        ({"steps": 1, "epochs": 1}, "one of steps and epochs must be given; got steps=1, epochs=1"),
        ({"steps": 0}, "steps must be an int >= 1; got 0"),
        ({"epochs": 1.5}, "epochs must be an int >= 1; got 1.5"),
        ({"batch": True}, "batch must be an int >= 1; got True"),
        ({"devices": 0}, "devices must be an int >= 1; got 0"),
        ({"batch": 9, "devices": 2}, r"batch must be a multiple of devices \(2\); got 9"),
        ({"checkpoint_every": 0}, "checkpoint_every must be an int >= 1; got 0"),
        ({"log_every": -1}, "log_every must be an int >= 1; got -1"),
        ({"seed": -1}, "seed must be an int >= 0; got -1"),
        ({"precision": "16"}, "precision must be one of 32-true, bf16-mixed; got '16'"),
        ({"accelerator": "gpu"}, "accelerator must be one of auto, cpu, cuda; got 'gpu'"),
        ({"ema": 1.0}, r"ema must be None or a decay in \[0, 1\); got 1.0"),
        ({"clip_grad": 0}, "clip_grad must be None or a positive finite norm; got 0"),
        ({"optimizer": {"name": "lion"}}, "optimizer must be a dict whose 'name' is one of adam, .*; got"),
        ({"optimizer": {"critic": "adam"}}, r"optimizer\['critic'\] must be a dict whose 'name' is .*; got 'adam'"),
        ({"optimizer": {"name": "sgd", "betas": (0, 1)}}, "optimizer: sgd takes lr, momentum, .*; got betas"),
        ({"optimizer": {"name": "adam", "lr": -1}}, r"optimizer\['lr'\] must be finite and not negative; got -1"),
        ({"optimizer": {"name": "rmsprop", "alpha": 1}}, r"optimizer\['alpha'\] must be in \[0, 1\); got 1"),
        (
            {"optimizer": {"name": "adam", "betas": (0.5, 1)}},
            r"\['betas'\] must be two decays in \[0, 1\); got \(0.5, 1",
        ),
    ],
)
def test_bad_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        TrainOptions(
            **({"steps": 1} | options if options and "steps" not in options and "epochs" not in options else options)
        )


@pytest.mark.parametrize("optimizer", [{}, "adam", None])
def test_an_optimizer_is_a_dict(optimizer):
    with pytest.raises(TypeError, match="optimizer must be a dict of settings, or of one such dict a player; got"):
        TrainOptions(steps=1, optimizer=optimizer)
