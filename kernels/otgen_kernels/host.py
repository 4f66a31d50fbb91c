"""Kernels that only ever run on the host: the network simplex, power diagrams.

Each is imported where it is first used: Numba takes a third of a second that `import otgen` should not pay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .dispatch import HOST_ONLY
from .loading import load

if TYPE_CHECKING:
    from .cpu.arcs import arc_costs as arc_costs
    from .cpu.arcs import cost_matrix as cost_matrix
    from .cpu.arcs import matrix_smallest_k as matrix_smallest_k
    from .cpu.arcs import matrix_smallest_k_columns as matrix_smallest_k_columns
    from .cpu.arcs import merge_arcs as merge_arcs
    from .cpu.arcs import refine_arcs as refine_arcs
    from .cpu.arcs import ship_leftovers as ship_leftovers
    from .cpu.kernel_forms import line_forms as line_forms
    from .cpu.kernel_sum import kernel_profile as kernel_profile
    from .cpu.laguerre2d import Laguerre2D as Laguerre2D
    from .cpu.laguerre3d import Laguerre3D as Laguerre3D
    from .cpu.line import uniform_masses as uniform_masses
    from .cpu.multigrid import Multigrid as Multigrid
    from .cpu.multigrid import facet_weights as facet_weights
    from .cpu.pool import blas_single_thread as blas_single_thread
    from .cpu.pool import run as run
    from .cpu.quantise import group_means as group_means
    from .cpu.quantise import group_starts as group_starts
    from .cpu.quantise import tree_order as tree_order
    from .cpu.quantise import whole_masses as whole_masses
    from .cpu.simplex import NetworkSimplex as NetworkSimplex
    from .cpu.small_transport import small_transport as small_transport


def __getattr__(name: str) -> Any:
    for file, names in HOST_ONLY.items():
        if name in names:
            found = getattr(load(f".cpu.{file}"), name)
            globals()[name] = found  # the next look-up finds it: a small problem takes no longer than forty of these
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
