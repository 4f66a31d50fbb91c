"""Networks by the shape of the data: sizes, layers, refusals."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from otgen.models import nets


def kinds(network, kind):
    return [layer for layer in network.modules() if isinstance(layer, kind)]


@pytest.mark.parametrize(
    ("shape", "channels", "sides"),
    [
        ((1, 28, 28), [4, 8], (7, 7)),
        ((3, 32, 32), [4, 8, 16], (4, 4)),
        ((3, 64, 64), [4, 8, 16, 32], (4, 4)),
        ((1, 8, 8), [4], (4, 4)),
        ((2, 12, 8), [4], (6, 4)),
        ((1, 30, 30), [4], (15, 15)),
    ],
)
def test_convolutions_follow_the_image(shape, channels, sides):
    into, back = nets.encoder(shape, 5, width=4), nets.decoder(shape, 5, width=4, last=nn.Sigmoid())
    assert [layer.out_channels for layer in kinds(into, nn.Conv2d)] == channels
    assert [layer.in_channels for layer in kinds(back, nn.ConvTranspose2d)] == channels[::-1]
    assert kinds(into, nn.Linear)[0].in_features == channels[-1] * sides[0] * sides[1]
    x = torch.rand(2, *shape)
    assert into(x).shape == (2, 5)
    assert back(torch.randn(2, 5)).shape == x.shape
    assert nets.critic(shape, width=4)(x).shape == (2, 1)


@given(st.integers(1, 3), st.integers(4, 17), st.integers(4, 17), st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_the_decoder_gives_back_any_shape_that_the_encoder_takes(channels, rows, columns, code, n):
    shape = (channels, 2 * rows, 2 * columns)
    into, back = nets.encoder(shape, code, width=2, norm="layer"), nets.decoder(shape, code, width=2, norm="layer")
    found = into(torch.rand(n, *shape))
    assert found.shape == (n, code) and back(found).shape == (n, *shape)


def test_vectors_get_perceptrons_and_the_decoder_is_the_encoder_reversed():
    into, back = nets.encoder((7,), 2, width=[30, 20]), nets.decoder((7,), 2, width=[30, 20])
    assert [(layer.in_features, layer.out_features) for layer in kinds(into, nn.Linear)] == [(7, 30), (30, 20), (20, 2)]
    assert [(layer.in_features, layer.out_features) for layer in kinds(back, nn.Linear)] == [(2, 20), (20, 30), (30, 7)]
    usual = [nets.VECTOR_WIDTH] * nets.LAYERS
    assert [layer.out_features for layer in kinds(nets.encoder((7,), 2), nn.Linear)] == [*usual, 2]
    assert nets.mlp([3, 4])(torch.zeros(5, 3)).shape == (5, 4) and len(nets.mlp([3, 4])) == 1


def test_norms_are_between_layers_only():
    batch = (nn.BatchNorm1d, nn.BatchNorm2d)
    assert len(kinds(nets.encoder((1, 28, 28), 2), batch)) == 2 == len(kinds(nets.decoder((1, 28, 28), 2), batch))
    assert not kinds(nets.encoder((3,), 2), batch) and not kinds(nets.critic((1, 28, 28)), batch)
    for shape in ((3,), (1, 8, 8)):
        for norm, layers in (("batch", batch), ("layer", (nn.LayerNorm, nn.GroupNorm))):
            assert kinds(nets.encoder(shape, 2, norm=norm), layers)
        net = nets.encoder(shape, 2, norm="layer")
        x = torch.randn(4, *shape)
        assert torch.allclose(net(x)[:1], net(x[:1]), atol=1e-5)


@pytest.mark.parametrize(
    ("activation", "kind"), [("relu", nn.ReLU), ("leaky_relu", nn.LeakyReLU), ("silu", nn.SiLU), ("tanh", nn.Tanh)]
)
def test_activations_by_name(activation, kind):
    assert len(kinds(nets.mlp([2, 3, 3, 1], activation), kind)) == 2
    assert len(kinds(nets.encoder((1, 8, 8), 2, activation=activation), kind)) == 1


def test_a_bounded_decoder_stays_within_its_bound_and_near_the_identity_below_it():
    layer = nets.Bounded(3.0)
    x = torch.tensor([-1e9, -0.01, 0.0, 0.01, 1e9])
    assert torch.allclose(layer(x), torch.tensor([-3.0, -0.01, 0.0, 0.01, 3.0]), atol=1e-6)


def test_the_global_seed_makes_the_weights():
    first, second, third = ((torch.manual_seed(s), nets.encoder((1, 8, 8), 2))[1].state_dict() for s in (0, 0, 1))
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    assert not torch.equal(first["0.weight"], third["0.weight"])


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: nets.mlp([3]), r"sizes must list an input and an output size at least; got \[3\]"),
        (lambda: nets.mlp([3, 0]), "sizes must be an int >= 1; got 0"),
        (lambda: nets.mlp([3, 1], "swish"), "activation must be one of relu, leaky_relu, silu, tanh; got 'swish'"),
        (lambda: nets.mlp([3, 1], norm="group"), "norm must be one of batch, layer, none; got 'group'"),
        (lambda: nets.encoder((1, 8, 8), 2, norm="group"), "norm must be one of batch, layer, none; got 'group'"),
        (lambda: nets.encoder((1, 8, 8), 2, width=[3, 4]), r"width must be an int >= 1; got \[3, 4\]"),
        (lambda: nets.encoder((3,), 2, width=[3, -4]), "width must be an int >= 1; got -4"),
        (lambda: nets.encoder((3,), 2, width=[]), r"width must be an int >= 1; got \[\]"),
        (lambda: nets.encoder((8, 8), 2), r"shape must be \(d,\) or \(C, H, W\); got \(8, 8\). Reshape"),
        (lambda: nets.encoder((1, 27, 28), 2), r"even sides of at least 8 pixels; got \(1, 27, 28\). Pad or resize"),
        (lambda: nets.decoder((1, 6, 6), 2), r"even sides of at least 8 pixels; got \(1, 6, 6\)"),
        (lambda: nets.decoder((3,), 0), "code must be an int >= 1; got 0"),
        (lambda: nets.critic((3,), norm="batch"), "norm must be 'layer' or 'none' in a critic.*got 'batch'. Pass None"),
    ],
)
def test_bad_sizes_and_names_are_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()
