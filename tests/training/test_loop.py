"""The training loop: what a seed fixes, what each player does, what a run leaves, and how it ends."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import torch

from otgen.data import from_array
from otgen.training import Stop, TrainOptions, read_metrics, train
from training_models import Autoencoder, Gan, points, seeded

DATA = from_array(points().numpy())
SGD = {"name": "sgd", "lr": 0.1}


def options(**changes):
    return TrainOptions(
        **{"steps": 12, "batch": 16, "log_every": 5, "checkpoint_every": 5, "accelerator": "cpu"} | changes
    )


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def without_time(rows):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.mark.parametrize("kind", [Autoencoder, Gan])
def test_a_seed_fixes_the_run_bit_for_bit(kind):
    found = []
    for seed, state in ((3, 0), (3, 1), (4, 0)):
        torch.manual_seed(state)  # the caller's own random numbers do not enter
        before = torch.get_rng_state()
        model = seeded(kind)
        rows = train(model, DATA, options(seed=seed)).rows
        assert torch.equal(torch.get_rng_state(), before)
        found.append((weights(model), without_time(rows)))
    assert same(found[0][0], found[1][0]) and found[0][1] == found[1][1]
    assert not same(found[0][0], found[2][0]) and found[0][1] != found[2][1]


def test_the_loop_makes_the_updates_of_a_plain_one():
    model, plain = seeded(Gan), seeded(Gan)
    train(model, DATA, options(steps=3, optimizer=SGD, seed=2))
    from otgen.training.order import noise_seed, permutation

    noise = torch.Generator().manual_seed(noise_seed(2, 0))
    batches = iter([k for e in range(2) for k in permutation(96, 2, e).reshape(6, 16)])
    for _ in range(3):
        for player, times in Gan.PLAYS:
            for _ in range(times):
                batch = torch.from_numpy(DATA.x[next(batches)])
                loss = plain.losses(batch, generator=noise, only=player)[player]
                mine = plain.players()[player]
                for weight, gradient in zip(mine, torch.autograd.grad(loss, mine)):
                    weight.data -= 0.1 * gradient
    for name, value in plain.state_dict().items():
        assert model.state_dict()[name].numpy() == pytest.approx(value.numpy(), rel=1e-5, abs=1e-7)


def test_players_take_their_turns_with_their_own_networks_alone():
    class Watched(Gan):
        def losses(self, batch, *, generator, only=None):
            needs = {p: {w.requires_grad for w in ws} for p, ws in Gan.players(self).items()}
            assert needs == {p: {p == only} for p in needs} and self.training
            return super().losses(batch, generator=generator, only=only)

    model = seeded(Watched).eval()
    history = train(model, DATA, options(steps=4))
    assert model.updates == ["critic", "critic", "critic", "generator"] * 4
    assert history.steps == 4 and history.rows[-1]["epoch"] == 16 / 6
    assert all(w.requires_grad for w in model.parameters()) and not model.training
    assert "gather" not in vars(model) and type(model.critic) is torch.nn.Sequential


def test_what_the_user_has_frozen_stays_frozen():
    model = seeded(Autoencoder)
    for weight in model.decoder.parameters():
        weight.requires_grad_(False)
    before = weights(model)
    train(model, DATA, options())
    assert torch.equal(model.decoder.weight, before["decoder.weight"]) and not model.decoder.weight.requires_grad
    assert not torch.equal(model.encoder[0].weight, before["encoder.0.weight"])


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop", "sgd"])
def test_every_optimiser_lowers_the_loss(name):
    model = seeded(Autoencoder)
    history = train(model, DATA, options(epochs=10, steps=None, optimizer={"name": name, "lr": 0.02}))
    losses = history.column("loss/autoencoder")
    assert losses[-1] < 0.9 * losses[0]


def test_the_gradient_of_a_player_is_clipped_by_its_norm():
    steps = []
    for clip in (None, 1e-3):
        model = seeded(Autoencoder)
        before = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
        train(model, DATA, options(steps=1, optimizer=SGD, clip_grad=clip))
        steps.append(torch.nn.utils.parameters_to_vector(model.parameters()).detach() - before)
    assert steps[1].norm() == pytest.approx(0.1 * 1e-3, rel=1e-3) and steps[0].norm() > 0.1 * 1e-3
    assert steps[1] / steps[1].norm() == pytest.approx(steps[0] / steps[0].norm(), abs=1e-3)


def test_the_average_of_the_weights_follows_its_formula():
    decay, seen = 0.8, []

    class Seen(Autoencoder):
        def after_step(self, player):
            seen.append(self.decoder.weight.detach().clone())

    model = seeded(Seen)
    expected = model.decoder.weight.detach().clone()
    history = train(model, DATA, options(ema=decay, optimizer=SGD))
    for weight in seen:
        expected = decay * expected + (1 - decay) * weight
    assert history.ema is not None and len(seen) == 12
    assert history.ema["decoder.weight"].numpy() == pytest.approx(expected.numpy(), rel=1e-5, abs=1e-7)
    assert torch.equal(history.ema["encoder.1.running_mean"], model.encoder[1].running_mean)


def test_the_rates_follow_the_schedule():
    history = train(seeded(Gan), DATA, options(log_every=1, schedule={"name": "cosine"}, optimizer=SGD))
    expected = [0.1 * math.cos(math.pi * step / 24) ** 2 for step in range(12)]
    assert history.column("lr/critic") == pytest.approx(expected) and history.column("step").tolist() == [*range(1, 13)]


def test_a_loss_that_is_nan_names_step_player_and_checkpoint(tmp_path):
    class Spoilt(Gan):
        def losses(self, batch, *, generator, only=None):
            found = super().losses(batch, generator=generator, only=only)
            wrong = only == "generator" and self.updates.count("generator") == 7
            return {player: loss * (math.nan if wrong else 1) for player, loss in found.items()}

    words = r"the loss of player 'generator' is nan in step 8. The last good checkpoint is .*step-000000005. Lower"
    with pytest.raises(FloatingPointError, match=words):
        train(seeded(Spoilt), DATA, options(), out=tmp_path)
    with pytest.raises(FloatingPointError, match=r"in step 8. No checkpoint was written before it"):
        train(seeded(Spoilt), DATA, options())


def test_weights_that_are_not_finite_reach_no_checkpoint(tmp_path):
    class Spoilt(Autoencoder):
        def after_step(self, player):
            super().after_step(player)
            if len(self.updates) == 10:
                self.decoder.bias.data[0] = math.inf

    with pytest.raises(
        FloatingPointError, match=r"the weight 'decoder.bias' is not finite after step 10.*step-000000005"
    ):
        train(seeded(Spoilt), DATA, options(), out=tmp_path)


def test_progress_is_told_at_every_line():
    reports = []
    train(seeded(Gan), DATA, options(), progress=reports.append)
    assert [report["step"] for report in reports] == [5, 10, 12] and {report["of"] for report in reports} == {12}
    assert all(report["samples_per_second"] > 0 for report in reports) and reports[-1]["left"] == 0
    assert set(reports[0]["losses"]) == {"loss/critic", "loss/generator", "penalty"}


def test_the_log_of_a_run_is_in_its_folder(tmp_path):
    history = train(seeded(Gan), DATA, options(ema=0.5), out=tmp_path / "runs" / "gan")
    assert read_metrics(tmp_path / "runs" / "gan" / "metrics.csv") == history.rows
    assert list(history.rows[0]) == [
        "step", "epoch", "seconds", "loss/critic", "penalty", "loss/generator", "lr/critic", "lr/generator",
    ]  # fmt: skip
    assert history.checkpoint == tmp_path / "runs" / "gan" / "checkpoints" / "step-000000012"
    with pytest.raises(KeyError, match="the log has no column 'loss'; it has"):
        history.column("loss")


def test_after_each_epoch_the_user_is_asked_and_disturbs_nothing():
    epochs = []

    def judge(model, epoch):
        torch.manual_seed(epoch)
        model.eval()
        model.decoder.weight.requires_grad_(False)
        assert type(model.decoder) is torch.nn.Linear and model.encoder[1].training is False
        epochs.append(epoch)
        return {"w1": 0.5 * epoch}

    asked, plain = seeded(Autoencoder), seeded(Autoencoder)
    history = train(asked, DATA, options(steps=20), after_epoch=judge)
    train(plain, DATA, options(steps=20))
    assert epochs == [1, 2, 3] and same(weights(asked), weights(plain))
    rows = [row for row in history.rows if "w1" in row]
    assert [(row["step"], row["w1"]) for row in rows] == [(6, 0.5), (12, 1.0), (18, 1.5)]


def test_a_run_can_be_stopped_after_an_epoch(tmp_path):
    def judge(model, epoch):
        if epoch == 2:
            raise Stop

    history = train(seeded(Autoencoder), DATA, options(steps=100), out=tmp_path, after_epoch=judge)
    assert history.stopped and history.steps == 12 == history.rows[-1]["step"]
    assert history.checkpoint is not None and history.checkpoint.name == "step-000000012"


def test_networks_run_in_bfloat16_while_weights_and_losses_do_not():
    class Watched(Gan):
        def losses(self, batch, *, generator, only=None):
            found = super().losses(batch, generator=generator, only=only)
            values = self.generator(self.noise(4, generator))
            assert values.dtype == torch.float32 and torch.equal(values, values.bfloat16().float())
            return found

    model = seeded(Watched)
    history = train(model, DATA, options(precision="bf16-mixed"))
    assert {w.dtype for w in model.parameters()} == {torch.float32}
    assert history.column("penalty")[0] == pytest.approx(
        train(seeded(Gan), DATA, options()).column("penalty")[0], rel=0.05
    )


@pytest.mark.parametrize(
    "changes, error, words",
    [
        (
            {"model": torch.nn.Linear(2, 2)},
            TypeError,
            "model must be an otgen.models.Model, .*; got Linear, which lacks",
        ),
        ({"options": {"steps": 3}}, TypeError, "options must be TrainOptions; got dict"),
        ({"options": options(optimizer={"critic": SGD})}, ValueError, "optimizer must name each player of the model"),
        ({"options": options(batch=97)}, ValueError, "batch must be at most the 96 samples of data; got 97"),
        ({"progress": 3}, TypeError, "progress must be None or a function"),
        ({"after_epoch": 3}, TypeError, "after_epoch must be None or a function of a model and an epoch; got 3"),
        ({"resume": 1}, TypeError, "resume must be True or False; got 1"),
        ({"resume": True}, ValueError, "resume=True needs out=, the folder of the run; got out=None"),
        ({"data": np.full((9, 2), np.nan)}, ValueError, "data must"),
    ],
)
def test_bad_arguments_are_refused(changes, error, words):
    given = {"model": seeded(Gan), "data": points().numpy(), "options": options()} | changes
    with pytest.raises(error, match=words):
        train(**given)


def test_plays_must_be_those_of_the_players():
    model = seeded(Gan)
    model.PLAYS = (("critic", 0), ("generator", 1))
    with pytest.raises(ValueError, match=r"model.PLAYS must let each of critic, generator play.*Correct critic"):
        train(model, DATA, options())
    model.PLAYS = (("critic", 1), ("judge", 1))
    with pytest.raises(ValueError, match=r"Correct generator, judge"):
        train(model, DATA, options())


def test_without_lightning_fabric_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs lightning-fabric. Run: pip install 'otgen\[models\]'"):
        train(seeded(Gan), DATA, options())
