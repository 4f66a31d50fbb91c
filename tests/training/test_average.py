"""The moving average of weights against its formula."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from otgen.training.average import Average


def test_weights_follow_the_formula_and_buffers_are_copied():
    linear, norm = nn.Linear(2, 3), nn.BatchNorm1d(3)
    model = nn.Sequential(linear, norm)
    assert norm.running_mean is not None and norm.num_batches_tracked is not None
    average = Average(model.state_dict(keep_vars=True), 0.9)
    expected = linear.weight.detach().clone()
    for k in range(1, 6):
        with torch.no_grad():
            linear.weight.fill_(k)
        norm.running_mean.fill_(k)
        norm.num_batches_tracked += 1
        average.update()
        expected = 0.9 * expected + 0.1 * k
    assert average.values["0.weight"].numpy() == pytest.approx(expected.numpy(), rel=1e-6)
    assert torch.equal(average.values["1.running_mean"], torch.full((3,), 5.0))
    assert average.values["1.num_batches_tracked"] == 5


def test_a_decay_of_zero_is_the_weights_themselves():
    model = nn.Linear(2, 3)
    average = Average(model.state_dict(keep_vars=True), 0.0)
    with torch.no_grad():
        model.weight.add_(1)
    average.update()
    assert torch.equal(average.values["weight"], model.weight)
