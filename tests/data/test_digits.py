"""The digits that scikit-learn carries."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from otgen.data import load


def test_both_splits_together_are_the_whole_set():
    train, test = load("digits"), load("digits", split="test")
    assert (len(train), len(test)) == (1541, 256) and train.shape == test.shape == (1, 8, 8)
    everything = np.asarray(load_digits(return_X_y=True)[0])
    together = np.concatenate([train.x[:], test.x[:]]).reshape(-1, 64)
    assert together.dtype == np.float32 and together.min() == 0 and together.max() == 1
    np.testing.assert_array_equal(np.sort(together @ np.arange(64)), np.sort(everything / 16 @ np.arange(64)))


def test_the_labels_go_with_the_images_and_each_class_is_held_out():
    train, test = load("digits"), load("digits", split="test")
    assert train.labels is not None and test.labels is not None
    assert np.bincount(test.labels, minlength=10).min() >= 15  # of about 25
    means = np.stack([train.x[train.labels == k].mean(axis=0) for k in range(10)])
    nearest = ((test.x[:][:, None] - means) ** 2).sum(axis=(2, 3, 4)).argmin(axis=1)
    assert (nearest == test.labels).mean() > 0.85


def test_without_scikit_learn_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ModuleNotFoundError, match="digits come with scikit-learn.*Install it: .*scikit-learn>="):
        load("digits")
