"""The autoencoder's loss against its formula in loops."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from otgen.models import AE
from tolerance import tol


def test_the_loss_is_the_sum_over_pixels_and_the_mean_over_samples():
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(6, 2)).double()
    decoder = nn.Sequential(nn.Linear(2, 6), nn.Unflatten(1, (1, 2, 3))).double()
    model = AE((1, 2, 3), 2, l1=0.3, encoder=encoder, decoder=decoder)
    x = torch.rand((4, 1, 2, 3), dtype=torch.float64)
    squares = sizes = 0.0
    for one in x:
        code = encoder(one[None])
        rebuilt = decoder(code)[0]
        squares += sum((a - b) ** 2 for a, b in zip(one.flatten().tolist(), rebuilt.flatten().tolist())) / 4
        sizes += sum(abs(c) for c in code[0].tolist()) / 4
    loss = model.losses(x, generator=torch.Generator())["autoencoder"].item()
    assert loss == pytest.approx(squares + 0.3 * sizes, rel=tol(float))
    assert model.terms["reconstruction"].item() == pytest.approx(squares, rel=tol(float))
    assert model.terms["sparsity"].item() == pytest.approx(sizes, rel=tol(float))
