"""The order of the data: batch k of a run is known from the seed and k alone, so a run goes on where it stopped."""

from __future__ import annotations

import numpy as np
import torch

from ..data import DataSet

ORDER, NOISE = 0, 1  # the streams of random numbers that one seed has


class Batches:
    """Batches of a data set, by their number in the run: a fresh permutation an epoch, its remainder left out.

    batches[k] is float32 (batch / devices, *shape) on `device`: the share of this rank, the ranks' shares side by side
    being the batch that one device alone would have.
    """

    def __init__(self, data: DataSet, batch: int, seed: int, device: torch.device, rank: int, ranks: int) -> None:
        if len(data) < batch:
            raise ValueError(
                f"batch must be at most the {len(data)} samples of {data.name}; got {batch}. Pass a smaller batch."
            )
        self.an_epoch = len(data) // batch
        self._data, self._batch, self._seed, self._device = data, batch, seed, device
        share = batch // ranks
        self._mine = slice(rank * share, (rank + 1) * share)
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def __getitem__(self, k: int) -> torch.Tensor:
        epoch, place = divmod(k, self.an_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, permutation(len(self._data), self._seed, epoch)
        index = self._order[place * self._batch : (place + 1) * self._batch][self._mine]
        return torch.from_numpy(self._data.x[index]).to(self._device, non_blocking=True)


def permutation(n: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order (n,) of the samples in an epoch."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(ORDER, epoch))).permutation(n)


def noise_seed(seed: int, rank: int) -> int:
    """Return the seed of the noise that a rank draws."""
    return int(np.random.SeedSequence(seed, spawn_key=(NOISE, rank)).generate_state(1, np.uint64)[0] >> 1)
