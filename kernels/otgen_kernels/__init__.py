"""Fused reductions over pairs (x_i, y_j): arrays in, arrays out, memory O(n + m), nothing validated.

c(x, y) = metric(x, y)**p with metric one of "euclidean", "cityblock", "chebyshev", "cosine" and p >= 1.

c_transform   v_i = min_j c(x_i, y_j) - h_j, and the lowest j that attains it
smallest_k    the k smallest c(x_i, y_j) - h_j of every row, ascending, ties by index
PairIndex     both of these, in both directions, for many h over one x and y
"""

from . import cache as cache  # first: it settles where kernels are kept before one is declared
from .dispatch import HOST_ONLY as HOST_ONLY
from .dispatch import TWINNED as TWINNED
from .dispatch import PairIndex as PairIndex
from .dispatch import c_transform as c_transform
from .dispatch import smallest_k as smallest_k
