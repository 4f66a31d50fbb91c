"""The order of the data is a function of the seed and the number of the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from otgen.data import from_array
from otgen.training.order import Batches, noise_seed, permutation

CPU = torch.device("cpu")


def numbered(n=10):
    return from_array(np.arange(n, dtype=np.float32)[:, None])


def drawn(batches, ks):
    return [tuple(int(v) for v in batches[k][:, 0]) for k in ks]


def test_an_epoch_shows_each_sample_once_and_leaves_the_remainder_out():
    batches = Batches(numbered(), 3, 0, CPU, 0, 1)
    assert batches.an_epoch == 3
    epochs = [drawn(batches, range(3 * e, 3 * e + 3)) for e in range(2)]
    assert all(len({v for batch in epoch for v in batch}) == 9 for epoch in epochs) and epochs[0] != epochs[1]


def test_any_batch_is_known_without_those_before_it():
    expected = drawn(Batches(numbered(), 3, 5, CPU, 0, 1), range(9))
    fresh = Batches(numbered(), 3, 5, CPU, 0, 1)
    assert [drawn(fresh, [k])[0] for k in (7, 2, 8, 0)] == [expected[k] for k in (7, 2, 8, 0)]
    assert drawn(Batches(numbered(), 3, 6, CPU, 0, 1), range(9)) != expected


def test_the_ranks_share_the_batch_that_one_would_have():
    one = Batches(numbered(), 6, 0, CPU, 0, 1)
    ranks = [Batches(numbered(), 6, 0, CPU, rank, 3) for rank in range(3)]
    assert torch.equal(torch.cat([rank[4] for rank in ranks]), one[4])


def test_streams_of_one_seed_differ():
    assert len({noise_seed(0, rank) for rank in range(4)} | {noise_seed(1, 0)}) == 5
    assert not np.array_equal(permutation(20, 0, 0), permutation(20, 0, 1))


def test_bytes_are_decoded_by_the_batch():
    images = np.arange(4 * 9, dtype=np.uint8).reshape(4, 3, 3)
    batch = Batches(from_array(images), 4, 0, CPU, 0, 1)[0]
    expected = images[permutation(4, 0, 0)][:, None] / np.float32(255)
    assert batch.dtype == torch.float32 and np.array_equal(batch.numpy(), expected.astype(np.float32))


def test_a_batch_must_not_exceed_the_data():
    with pytest.raises(ValueError, match="batch must be at most the 10 samples of x; got 11"):
        Batches(numbered(), 11, 0, CPU, 0, 1)
