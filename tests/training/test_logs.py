"""What a run writes and tells."""

from __future__ import annotations

import io
import sys
import types

import pytest
import torch

from otgen.training import logs
from otgen.training.logs import Losses, Metrics, describe, progress_line, read_metrics


def value(number):
    return torch.tensor(float(number))


def test_lines_hold_the_means_since_the_line_before():
    losses = Losses(lambda values: values)
    for step in (1, 2):
        losses.add(step, "critic", value(step), {"penalty": value(10 * step)})
        losses.add(step, "critic", value(step + 3), {})
    losses.settle(str)
    losses.add(3, "critic", value(7), {"share": 0.5})
    losses.settle(str)
    assert losses.means() == {"loss/critic": (1 + 4 + 2 + 5 + 7) / 5, "penalty": 15.0, "share": 0.5}
    assert losses.means() == {}


def test_what_is_in_no_line_yet_goes_through_a_checkpoint():
    losses, later = Losses(lambda values: values), Losses(lambda values: values)
    losses.add(1, "critic", value(1 / 3), {})
    losses.settle(str)
    later.restore(losses.unwritten())
    for one in (losses, later):
        one.add(2, "critic", value(5), {})
        one.settle(str)
    assert losses.means() == later.means()


@pytest.mark.parametrize("bad", ["nan", "inf", "-inf"])
def test_the_first_loss_that_is_not_finite_is_named(bad):
    losses = Losses(lambda values: values)
    for step in range(1, 6):
        losses.add(step, "critic", value(bad if step > 3 else 1), {})
        losses.add(step, "generator", value(bad if step > 2 else 1), {})
    words = f"the loss of player 'generator' is {bad} in step 3. Go back. Lower the learning rate, or pass clip_grad="
    with pytest.raises(FloatingPointError, match=words):
        losses.settle(lambda: "Go back.")


def test_a_term_that_is_not_finite_is_named():
    losses = Losses(lambda values: values)
    losses.add(1, "critic", value(0), {"penalty": value("nan")})
    with pytest.raises(FloatingPointError, match="the term 'penalty' is nan in step 1"):
        losses.settle(str)


def test_lines_are_on_the_disk_as_soon_as_they_are_written(tmp_path):
    metrics = Metrics(tmp_path, 0)
    for step in (10, 20):
        metrics.write({"step": step, "loss/a": 0.1 * step})
        assert read_metrics(tmp_path / "metrics.csv") == metrics.rows
    assert (tmp_path / "metrics.csv").read_text() == "step,loss/a\n10,1.0\n20,2.0\n"


def test_a_new_column_is_empty_before_it_came(tmp_path):
    metrics = Metrics(tmp_path, 0)
    metrics.write({"step": 10, "loss/a": 1.0})
    metrics.write({"step": 20, "loss/a": 2.0, "w1": 3.0})
    metrics.write({"step": 30, "loss/a": 2.5})
    assert (tmp_path / "metrics.csv").read_text() == "step,loss/a,w1\n10,1.0,\n20,2.0,3.0\n30,2.5,\n"
    assert read_metrics(tmp_path / "metrics.csv") == metrics.rows


def test_a_resumed_run_drops_the_lines_after_its_checkpoint(tmp_path):
    metrics = Metrics(tmp_path, 0)
    for step in (10, 20, 30):
        metrics.write({"step": step, "loss/a": 1.0 / step})
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("40,0.0")  # and no more: the process was killed
    resumed = Metrics(tmp_path, 20)
    assert [row["step"] for row in resumed.rows] == [10, 20]
    resumed.write({"step": 30, "loss/a": 5.0})
    assert [row["loss/a"] for row in read_metrics(tmp_path / "metrics.csv")] == [0.1, 0.05, 5.0]


def test_a_run_that_starts_anew_drops_all_lines(tmp_path):
    Metrics(tmp_path, 0).write({"step": 10, "loss/a": 1.0})
    assert Metrics(tmp_path, 0).rows == [] and read_metrics(tmp_path / "metrics.csv") == []


def test_a_file_that_is_no_log_is_refused(tmp_path):
    (tmp_path / "metrics.csv").write_text("step,loss\n1,2\n2,high\n")
    with pytest.raises(ValueError, match="must hold numbers in the columns of its first line; line 3 does not"):
        read_metrics(tmp_path / "metrics.csv")


def test_without_a_folder_lines_stay_in_memory():
    metrics = Metrics(None, 0)
    metrics.write({"step": 1, "loss/a": 2.0})
    metrics.sync()
    metrics.close()
    assert metrics.rows == [{"step": 1, "loss/a": 2.0}]


def test_tensorboard_hears_the_same_where_it_is_installed(tmp_path, monkeypatch):
    heard = []

    class Writer:
        def __init__(self, folder, purge_step):
            heard.append((folder, purge_step))

        def add_scalar(self, *values):
            heard.append(values)

        def close(self):
            heard.append("closed")

    monkeypatch.setattr(logs.importlib.util, "find_spec", lambda name: name == "tensorboard" or None)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=Writer))
    metrics = Metrics(tmp_path, 5)
    metrics.write({"step": 6, "loss/a": 2.0})
    metrics.close()
    assert heard == [(str(tmp_path / "tensorboard"), 6), ("step", 6, 6), ("loss/a", 2.0, 6), "closed"]


REPORT = {
    "step": 5,
    "of": 10,
    "epoch": 0.5,
    "losses": {"loss/critic": -1.23456, "penalty": 2.0},
    "samples_per_second": 1e4,
}


def test_the_progress_line_is_for_terminals_only(monkeypatch):
    with progress_line() as tell:
        assert tell is None
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    with progress_line() as tell:
        assert tell is not None
        tell(REPORT)
    assert describe(REPORT) == "epoch 0.50  critic -1.235  penalty 2  10,000 samples/s"
    assert "critic -1.235" in terminal.getvalue() and "5/10" in terminal.getvalue()
