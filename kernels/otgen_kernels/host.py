"""Kernels that only ever run on the host: the network simplex, and the quantising and arc lists around it."""

from .cpu.arcs import arc_costs as arc_costs
from .cpu.arcs import cost_matrix as cost_matrix
from .cpu.arcs import matrix_smallest_k as matrix_smallest_k
from .cpu.arcs import matrix_smallest_k_columns as matrix_smallest_k_columns
from .cpu.arcs import merge_arcs as merge_arcs
from .cpu.arcs import refine_arcs as refine_arcs
from .cpu.arcs import ship_leftovers as ship_leftovers
from .cpu.cells import Cells as Cells
from .cpu.cells_soft import Lists as Lists
from .cpu.costs import unit_rows as unit_rows
from .cpu.laguerre2d import Laguerre2D as Laguerre2D
from .cpu.laguerre3d import Laguerre3D as Laguerre3D
from .cpu.multigrid import Multigrid as Multigrid
from .cpu.multigrid import facet_weights as facet_weights
from .cpu.quantise import group_means as group_means
from .cpu.quantise import group_starts as group_starts
from .cpu.quantise import tree_order as tree_order
from .cpu.quantise import whole_masses as whole_masses
from .cpu.simplex import NetworkSimplex as NetworkSimplex
