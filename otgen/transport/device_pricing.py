"""Pricing on a GPU for the pivots of the host: potentials go there, candidate arcs and their values come back."""

from __future__ import annotations

from typing import Any

import numpy as np

import otgen_kernels as kernels

from .. import devices
from .pricing import Array, PointCosts


class DevicePointCosts(PointCosts):
    """c_ij = metric(x_i, y_j)**p for points that are on the host and, once more, on the current device."""

    def between(self, x: Array, y: Array) -> PointCosts:
        return DevicePointCosts(x, y, self.metric, self.p)

    def _index(self) -> Any:
        cupy = devices.cupy()
        return _HostAnswers(kernels.PairIndex(cupy.asarray(self.x), cupy.asarray(self.y), metric=self.metric, p=self.p))

    def implied(self, coarse: Any, f: Array) -> Array:
        if self._matrix(coarse.x, self.y) is not None:
            return super().implied(coarse, f)
        cupy = devices.cupy()
        clouds = cupy.asarray(self.y), cupy.asarray(coarse.x)
        return devices.fetch(kernels.c_transform(*clouds, cupy.asarray(f), metric=self.metric, p=self.p)[0])


class _HostAnswers:
    """A PairIndex of the device that takes offsets from the host and answers there."""

    def __init__(self, index: Any) -> None:
        self._pairs = index

    def smallest_k(self, h: Array, k: int) -> tuple[Array, Array]:
        return self._fetched(self._pairs.smallest_k(devices.cupy().asarray(h, np.float64), k))

    def smallest_k_t(self, h: Array, k: int) -> tuple[Array, Array]:
        return self._fetched(self._pairs.smallest_k_t(devices.cupy().asarray(h, np.float64), k))

    @staticmethod
    def _fetched(found: tuple[Any, Any]) -> tuple[Array, Array]:
        return devices.fetch(found[0]), devices.fetch(found[1])
