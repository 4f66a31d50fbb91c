"""Sharpness and reconstruction error against plain loops, and where they are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import naive_metrics as naive
from otgen.metrics import images, reconstruction_error, sharpness
from tolerance import tol


@pytest.mark.parametrize("shape", [(3, 1, 5, 7), (2, 3, 3, 4), (1, 1, 3, 3)])
def test_sharpness_agrees_with_the_definition(shape, rng):
    x = rng.random(shape, dtype=np.float32)
    assert sharpness(x) == pytest.approx(naive.sharpness(x), rel=1e-9, abs=1e-15)


def test_sharpness_by_blocks(rng, monkeypatch):
    x = rng.random((7, 1, 4, 4), dtype=np.float32)
    expected = sharpness(x)
    monkeypatch.setattr(images, "BLOCK", 3)
    assert sharpness(x) == pytest.approx(expected, rel=tol(float))
    assert reconstruction_error(x, 0 * x) == pytest.approx(float((x.astype(float) ** 2).mean()), rel=tol(float))


def test_planes_are_not_sharp_and_blur_is_less_sharp_than_noise(rng):
    plane = np.linspace(0, 0.5, 8)[:, None] + np.linspace(0, 0.5, 8)
    assert sharpness(plane[None, None]) < 1e-12
    noise = rng.random((20, 1, 16, 16))
    blurred = 0.25 * sum(np.roll(noise, step, axis) for step, axis in ((1, 2), (-1, 2), (1, 3), (-1, 3)))
    assert sharpness(blurred) < 0.5 * sharpness(noise)
    # Independent pixels of variance 1/12: (16 + 4) / 12.
    assert sharpness(noise) == pytest.approx(20 / 12, rel=0.1)


def test_reconstruction_error(rng):
    x = rng.random((4, 1, 3, 3))
    assert reconstruction_error(x, x) == 0.0
    assert reconstruction_error(x, x + 0.5) == pytest.approx(0.25, rel=1e-9)
    vectors = torch.arange(6.0).reshape(3, 2)
    assert reconstruction_error(vectors, vectors + 2) == 4.0


def test_bad_input(rng):
    x = rng.random((4, 1, 3, 3))
    with pytest.raises(
        ValueError, match=r"images must have shape \(n, C, H, W\); got shape \(4, 3, 3\). Put the chann"
    ):
        sharpness(x[:, 0])
    with pytest.raises(ValueError, match=r"images must have values in \[0, 1\]; they lie in .* Divide bytes by 255"):
        sharpness(255 * x)
    with pytest.raises(ValueError, match=r"images must have values in \[0, 1\]"):
        sharpness(-x)
    with pytest.raises(ValueError, match="images must have sides of at least 3 pixels"):
        sharpness(x[..., :2])
    with pytest.raises(ValueError, match=r"images must be finite; images\[0, 0, 0, 0\] is nan"):
        sharpness(x * math.nan)
    with pytest.raises(
        ValueError, match=r"images must have shape \(n, d\), or \(n, C, H, W\).*got shape \(0, 1, 3, 3\)"
    ):
        sharpness(x[:0])
    with pytest.raises(ValueError, match=r"reconstructed must have the shape of x, \(4, 1, 3, 3\); got shape \(3, 1"):
        reconstruction_error(x, x[:3])
    with pytest.raises(TypeError, match="images must hold real numbers"):
        sharpness(np.full((1, 1, 3, 3), "a"))
