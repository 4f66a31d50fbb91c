"""Fused reductions over pairs (x_i, y_j): arrays in, arrays out, memory O(n + m), nothing validated.

c(x, y) = metric(x, y)**p with metric one of "euclidean", "cityblock", "chebyshev", "cosine" and p >= 1.

c_transform   v_i = min_j c(x_i, y_j) - h_j, and the lowest j that attains it
smallest_k    the k smallest c(x_i, y_j) - h_j of every row, ascending, ties by index
PairIndex     both of these, in both directions, for many h over one x and y

soft_c_transform  v_i = -eps log sum_j b_j exp((h_j - c(x_i, y_j)) / eps)
soft_average      sum_j b_j exp((f_i + h_j - c(x_i, y_j)) / eps) V_j
SoftPairs         these, sum p log p and the gradient in x, in both directions, for many h and eps over one x and y
SoftMatrix        the same over the pairs of a cost matrix
kernel_sum    a^T K b of K_ij = k(x_i, y_j) for the kernels of MMD, its row and column sums, and its gradients
kernel_forms  s^T K s for many labellings s of one cloud
Cells         argmax_i <x, y_i> + h_i of many x and h: counted, or the few highest listed
Lists         smoothed cells over listed sites: their masses and the Laplacian of these
random_stream a seed's random numbers, made where an array lives
sinkhorn_batch    many small entropic problems, each solved whole; sinkhorn_batch_gradient, plan_mass_batch beside it

wasserstein_1d    W_p of sorted points on many lines; gradients_1d, potentials_1d, staircase, c_transform_1d beside it
sorted_rows       lines that are sorted once, for wasserstein_sorted
Slices            clouds along directions, and sums over them; weighted_gram
"""

from . import cache as cache  # first: it settles where kernels are kept before one is declared
from .costs import unit_rows as unit_rows
from .dispatch import GPU_ONLY as GPU_ONLY
from .dispatch import HOST_ONLY as HOST_ONLY
from .dispatch import TWINNED as TWINNED
from .dispatch import Cells as Cells
from .dispatch import Lists as Lists
from .dispatch import PairIndex as PairIndex
from .dispatch import Slices as Slices
from .dispatch import SoftMatrix as SoftMatrix
from .dispatch import SoftPairs as SoftPairs
from .dispatch import c_transform as c_transform
from .dispatch import c_transform_1d as c_transform_1d
from .dispatch import gradients_1d as gradients_1d
from .dispatch import group_sums as group_sums
from .dispatch import kernel_forms as kernel_forms
from .dispatch import kernel_sum as kernel_sum
from .dispatch import plan_mass_batch as plan_mass_batch
from .dispatch import potentials_1d as potentials_1d
from .dispatch import random_stream as random_stream
from .dispatch import sinkhorn_batch as sinkhorn_batch
from .dispatch import sinkhorn_batch_gradient as sinkhorn_batch_gradient
from .dispatch import smallest_k as smallest_k
from .dispatch import soft_average as soft_average
from .dispatch import soft_c_transform as soft_c_transform
from .dispatch import sorted_rows as sorted_rows
from .dispatch import staircase as staircase
from .dispatch import wasserstein_1d as wasserstein_1d
from .dispatch import wasserstein_sorted as wasserstein_sorted
from .dispatch import weighted_gram as weighted_gram
