"""Networks by the shape of the data: perceptrons for vectors (d,), convolutions of the DCGAN type for images (C, H, W).

Weights are drawn by torch's global generator: torch.manual_seed before a model is built makes them the same again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ..options import is_one_of, read_count, read_shape

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}
NORMS = ("batch", "layer", "none")
IMAGE_WIDTH = 64  # channels of the convolution nearest to the image; they double as the sides halve
VECTOR_WIDTH, LAYERS = 128, 3
SMALLEST = 4  # pixels of a side below which convolutions do not halve it

Width = int | Sequence[int] | None


def mlp(sizes: Sequence[int], activation: str = "relu", *, norm: str = "none") -> nn.Sequential:
    """Perceptron (n, sizes[0]) -> (n, sizes[-1]): linear maps with a norm and an activation between them.

    activation is relu, leaky_relu (slope 0.2), silu or tanh; norm is batch, layer or none. Raises ValueError for others
    and for fewer than two sizes.
    """
    if not isinstance(sizes, Sequence) or len(sizes) < 2:
        raise ValueError(f"sizes must list an input and an output size at least; got {sizes!r}. Pass [2, 128, 128, 1].")
    checked, make = [read_count(size, "sizes", "units") for size in sizes], _activation(activation)
    _check_norm(norm)
    layers: list[nn.Module] = []
    for before, after in pairwise(checked[:-1]):
        layers += [nn.Linear(before, after), *_norm(norm, after, images=False), make()]
    return nn.Sequential(*layers, nn.Linear(checked[-2], checked[-1]))


def encoder(
    shape: Any, out: int, *, width: Width = None, norm: str | None = None, activation: str | None = None
) -> nn.Sequential:
    """Network (n, *shape) -> (n, out).

    Vectors: three hidden layers of `width` (None: 128), or the layers that a list gives. Images: convolutions 4 x 4 of
    stride 2, `width` channels (None: 64) doubled at each, until a side would be odd or below 4 pixels, then a linear
    map. norm None is none for vectors and batch for images; activation None is relu, leaky_relu for images. Raises
    ValueError for other shapes and options.
    """
    shape, out = read_shape(shape), read_count(out, "out", "outputs")
    if len(shape) == 1:
        return mlp([*shape, *_hidden(width), out], _or(activation, "relu"), norm=_or(norm, "none"))
    channels, sides = _pyramid(shape, width)
    norm, make = _check_norm(_or(norm, "batch")), _activation(_or(activation, "leaky_relu"))
    layers: list[nn.Module] = []
    for before, after in pairwise(channels):
        layers += [nn.Conv2d(before, after, 4, 2, 1), *_norm(norm, after, images=True), make()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels[-1] * math.prod(sides), out))


def decoder(
    shape: Any,
    code: int,
    *,
    width: Width = None,
    norm: str | None = None,
    activation: str | None = None,
    last: nn.Module | None = None,
) -> nn.Sequential:
    """Network (n, code) -> (n, *shape), the encoder's layers in reverse, and `last` after them.

    Options and errors as in `encoder`; activation None is relu. Transposed convolutions 4 x 4 of stride 2.
    """
    shape, code = read_shape(shape), read_count(code, "code", "latent coordinates")
    end = [] if last is None else [last]
    if len(shape) == 1:
        hidden = list(_hidden(width))[::-1]
        return nn.Sequential(*mlp([code, *hidden, *shape], _or(activation, "relu"), norm=_or(norm, "none")), *end)
    channels, sides = _pyramid(shape, width)
    norm, make = _check_norm(_or(norm, "batch")), _activation(_or(activation, "relu"))
    layers: list[nn.Module] = [
        nn.Linear(code, channels[-1] * math.prod(sides)), nn.Unflatten(1, (channels[-1], *sides)),
    ]  # fmt: skip
    for before, after in pairwise(channels[::-1]):
        layers += [*_norm(norm, before, images=True), make(), nn.ConvTranspose2d(before, after, 4, 2, 1)]
    return nn.Sequential(*layers, *end)


def critic(shape: Any, *, width: Width = None, norm: str | None = None, activation: str | None = None) -> nn.Sequential:
    """Network (n, *shape) -> (n, 1), as `encoder` with leaky_relu and no norm by default.

    Raises ValueError for norm="batch", under which f(x) is no function of x alone and a Lipschitz penalty is void.
    """
    if is_one_of(norm, ("batch",)):
        raise ValueError(
            "norm must be 'layer' or 'none' in a critic, a function of one sample; got 'batch'. Pass None."
        )
    return encoder(shape, 1, width=width, norm=_or(norm, "none"), activation=_or(activation, "leaky_relu"))


class Bounded(nn.Module):
    """x -> bound tanh(x / bound), componentwise: nearly x where |x| is far below bound, never beyond it."""

    def __init__(self, bound: float) -> None:
        super().__init__()
        self.bound = bound

    def forward(self, x: Tensor) -> Tensor:
        return self.bound * torch.tanh(x / self.bound)


def to_range(shape: tuple[int, ...]) -> nn.Module | None:
    """The last layer that keeps a decoder in the data's range: a sigmoid for images, none for vectors."""
    return None if len(shape) == 1 else nn.Sigmoid()


def _hidden(width: Width) -> Sequence[int]:
    if isinstance(width, Sequence) and not isinstance(width, str) and width:
        return [read_count(size, "width", "units of each hidden layer") for size in width]
    return [read_count(VECTOR_WIDTH if width is None else width, "width", "units of a hidden layer")] * LAYERS


def _pyramid(shape: tuple[int, ...], width: Width) -> tuple[list[int], tuple[int, int]]:
    """Channels from the image inwards, and the sides of the innermost one."""
    if len(shape) != 3:
        raise ValueError(
            f"shape must be (d,) or (C, H, W); got {shape}. Reshape the data, or pass networks of your own."
        )
    channels, height, across = shape
    found, wide = [channels], read_count(IMAGE_WIDTH if width is None else width, "width", "channels")
    while not height % 2 and not across % 2 and min(height, across) >= 2 * SMALLEST:
        found.append(wide << (len(found) - 1))
        height, across = height // 2, across // 2
    if len(found) == 1:
        raise ValueError(
            f"shape must have even sides of at least {2 * SMALLEST} pixels; got {shape}. Pad or resize the images, "
            "or pass networks of your own."
        )
    return found, (height, across)


def _or(value: str | None, usual: str) -> str:
    """What None stands for: an empty string, or 0, is no name of a layer."""
    return usual if value is None else value


def _activation(name: str) -> Callable[[], nn.Module]:
    if not is_one_of(name, ACTIVATIONS):
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}; got {name!r}. Pass one of them.")
    return ACTIVATIONS[name]


def _check_norm(norm: str) -> str:
    if not is_one_of(norm, NORMS):
        raise ValueError(f"norm must be one of {', '.join(NORMS)}; got {norm!r}. Leave it None for the usual one.")
    return norm


def _norm(norm: str, size: int, *, images: bool) -> list[nn.Module]:
    if norm == "none":
        return []
    if norm == "batch":
        return [nn.BatchNorm2d(size) if images else nn.BatchNorm1d(size)]
    return [nn.GroupNorm(1, size) if images else nn.LayerNorm(size)]
