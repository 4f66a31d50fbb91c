"""Random numbers made on the GPU, each by its place in a stream: its whole state is one integer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import device

THREADS = 256


class Philox:
    """The stream of a seed, Philox4x32-10, on the device that is current when it draws.

    random, standard_normal and bit_generator.state are named as those of numpy.random.Generator, whose numbers they are
    not. Numbers are float64 and follow one another, however many are drawn at once; position is the next one's place.
    """

    kind = "Philox4x32-10"  # beside numpy's Philox, which is 4x64

    def __init__(self, seed: int | list[int]):
        first, second = np.random.SeedSequence(seed).generate_state(2, np.uint32)
        self.key = int(first), int(second)
        self.position = 0
        self._program = device.Program("philox")

    def random(self, shape: int | tuple[int, ...]) -> Any:
        """Return independent numbers in [0, 1) of this shape."""
        return self._draw("uniform", shape)

    def standard_normal(self, shape: int | tuple[int, ...]) -> Any:
        """Return independent standard normal numbers of this shape."""
        return self._draw("normal", shape)

    @property
    def bit_generator(self) -> Philox:
        """What has the state: this."""
        return self

    @property
    def state(self) -> dict[str, Any]:
        """The key and the position, as JSON holds them."""
        return {"bit_generator": self.kind, "key": list(self.key), "position": self.position}

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self.key = int(state["key"][0]), int(state["key"][1])
        self.position = int(state["position"])

    def _draw(self, kernel: str, shape: int | tuple[int, ...]) -> Any:
        out = device.namespace().empty(shape)
        count = math.prod(out.shape)
        blocks = -(-(self.position % 2 + count) // 2)
        self._program(kernel, (-(-blocks // THREADS),), (THREADS,), *self.key, self.position, count, out)
        self.position += count
        return out
