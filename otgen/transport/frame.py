"""Coordinates of size 1 for a source and its targets, whatever the user's: heights there mean the same cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import devices
from .sources import Box, Convex, Source

Array = np.ndarray


@dataclass(frozen=True)
class Frame:
    """x = at_x + 2^log_x x' and y = at_y + 2^log_y y'."""

    at_x: Array
    log_x: int
    at_y: Array
    log_y: int

    @classmethod
    def of(cls, corners: Array, y: Array) -> Frame:
        """Both clouds about the centres of their boxes."""
        middles, logs = [], []
        for points in (corners, y):
            low, high = points.min(0), points.max(0)
            middles.append(0.5 * low + 0.5 * high)
            half = float((0.5 * high - 0.5 * low).max())
            logs.append(int(np.frexp(half)[1]) if half > 0.0 else 0)
        return cls(middles[0], logs[0], middles[1], logs[1])

    def beside(self, other: Any) -> Frame:
        """The same coordinates for points that lie where `other` does."""
        return Frame(devices.beside(other, self.at_x), self.log_x, devices.beside(other, self.at_y), self.log_y)

    def x(self, points: Array) -> Array:
        return np.ldexp(points - self.at_x, -self.log_x)

    def y(self, points: Array) -> Array:
        return np.ldexp(points - self.at_y, -self.log_y)

    def walls(self, source: Convex) -> Array:
        """The faces of the source's domain: rows (a, b), <a, x'> <= b."""
        walls = source.halfspaces.copy()
        walls[:, -1] = np.ldexp(walls[:, -1] - walls[:, :-1] @ devices.fetch(self.at_x), -self.log_x)
        return walls

    def x_out(self, points: Array) -> Array:
        return self.at_x + np.ldexp(points, self.log_x)

    def heights_out(self, heights: Array, y: Array) -> Array:
        """<x, y_i> + h_i differs from 2^(log_x + log_y) (<x', y_i'> + h_i') by what is the same for all i."""
        return np.ldexp(heights, self.log_x + self.log_y) - (y - self.at_y) @ self.at_x

    def value(self, diagram: Any, heights: Array, y: Array, nu: Array) -> float:
        """sum_i integral over cell i of |x - y_i|^2, and what the masses that miss nu change in the dual value."""
        away = self.at_x - y
        square = np.einsum("ij,ij->i", away, away)
        within = np.ldexp(diagram.second, 2 * self.log_x) + diagram.mass * square
        within += np.ldexp(2.0 * np.einsum("ij,ij->i", diagram.first, away), self.log_x)
        return float(within.sum() + (nu - diagram.mass) @ (square + np.ldexp(2.0 * heights, self.log_x + self.log_y)))


def frame_of(y: Array, source: Source) -> Frame:
    """The coordinates in which a map of this source to targets y is fitted and applied."""
    if isinstance(source, Box):  # whose corners are many in high dimension
        corners = np.stack([source.low, source.high])
    elif isinstance(source, Convex):
        corners = source.corners
    else:
        corners = source.mean + np.array([[-1.0], [1.0]]) * source.radius
    return Frame.of(devices.beside(y, corners), y)


LARGEST = 500  # powers of two: squares of such sizes, and their products, are still numbers


def check_sizes(frame: Frame) -> None:
    """Raise where the sizes of the source and the targets, whose product heights are, would leave float64."""
    for name, log in (("the source", frame.log_x), ("y", frame.log_y)):
        if abs(log) > LARGEST:
            raise ValueError(
                f"{name} must have a width between 1e-150 and 1e150, so that squares of it are numbers; its half width "
                f"is about 2^{log}. Rescale it."
            )
