"""Networks that run in bfloat16, with weights and losses in float32; needs lightning-fabric to be imported."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from lightning_fabric.plugins import Precision
from lightning_utilities.core.apply_func import apply_to_collection


class BfloatForward(Precision):
    """Autocast inside each network; float32 comes out of it.

    Fabric's own mixed precision refuses a gradient that is taken in the middle of a loss, as gradient penalties do: it
    would scale losses in float16, which bfloat16 does not need.
    """

    precision: Any = "bf16-mixed"

    def __init__(self, device: str) -> None:
        self._device = device

    def forward_context(self) -> AbstractContextManager:
        return torch.autocast(self._device, dtype=torch.bfloat16)

    def convert_output(self, data: Any) -> Any:
        return apply_to_collection(
            data, torch.Tensor, lambda value: value.float() if value.is_floating_point() else value
        )


def plugins(precision: str, device: str) -> list[Any]:
    """Return what Fabric needs beside its defaults for a precision of TrainOptions."""
    return [BfloatForward(device)] if precision == "bf16-mixed" else []
