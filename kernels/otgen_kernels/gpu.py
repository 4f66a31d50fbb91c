"""Kernels that only ever run on a GPU: Sinkhorn's iteration, which is a few lines of NumPy on the host.

Each is imported where it is first used: `import otgen` should not read sources of CUDA.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .dispatch import GPU_ONLY
from .loading import load

if TYPE_CHECKING:
    from .cuda.sinkhorn import CONVERGED as CONVERGED
    from .cuda.sinkhorn import START as START
    from .cuda.sinkhorn import Rules as Rules
    from .cuda.sinkhorn import Sinkhorn as Sinkhorn
    from .cuda.sinkhorn import State as State


def __getattr__(name: str) -> Any:
    for file, names in GPU_ONLY.items():
        if name in names:
            return getattr(load(f".cuda.{file}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
