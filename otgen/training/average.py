"""An exponential moving average of a model's weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Average:
    """a <- decay a + (1 - decay) w for each floating parameter w, from a = w at the start; buffers are copied.

    `values` holds the tensors by their names in the state dict. Buffers are the latest, not averages: the vectors of
    spectral norms, averaged, would have no unit length.
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor], decay: float) -> None:
        self.values = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        averaged = [n for n, t in tensors.items() if isinstance(t, torch.nn.Parameter) and t.is_floating_point()]
        copied = [name for name in tensors if name not in set(averaged)]
        self._averaged = [self.values[n] for n in averaged], [tensors[n].detach() for n in averaged]
        self._copied = [(self.values[n], tensors[n].detach()) for n in copied]
        self._step = get_ema_multi_avg_fn(decay)

    def update(self) -> None:
        """Take in the weights as they are now."""
        self._step(*self._averaged, 0)
        for mine, theirs in self._copied:
            mine.copy_(theirs)

    def restore(self, values: Mapping[str, torch.Tensor]) -> None:
        """Take the average from a checkpoint."""
        for name, mine in self.values.items():
            mine.copy_(values[name])
