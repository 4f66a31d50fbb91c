"""Sizes and caps of the kernels, each with its unit and its reason."""

import numpy as np

LEAF = 32
"""Points in a leaf of a tree: four AVX-512 registers of float64; 16 measured no faster, 64 slower."""

FAN = 8
"""Children of an inner node: their bounds fill one AVX-512 register of float64."""

BIG = 1e300
"""A cost that no pair reaches once the coordinates are rescaled; it stands for infinity, which fastmath may misread."""

TILE_ROWS = 256
"""Rows of x in one unit of work: small enough to share n = 10,000 evenly, large enough to hide 10 us a call."""

SERIAL_PAIRS = 1_000_000
"""Pairs below which starting threads costs more than it saves."""

TINY = 1e-140
"""Added to what a cost is compared with: above the square root of what underflows, below every cost that matters."""

SMALL_DIMS = 8
"""Dimensions up to which a kernel is compiled for its d, its inner loops unrolled."""

TREE_DIMS = 6
"""Dimensions up to which the tree beats a GEMM over all pairs."""

TILE_COLUMNS = 1024
"""Columns of one GEMM tile: with TILE_ROWS rows of float32 it fills 1 MB, the L2 cache of a core."""

BLOCK = 128
"""Pairs of a row screened at once behind a GEMM."""

SCAN_BYTES = 1 << 18
"""Points of y that all rows of a tile look at before the next ones: a quarter of the L2 cache of a core."""

SOFT_ROWS = 32
"""Rows of a tile of neighbours: they share the offsets of a block of columns, computed once in float64."""

SOFT_BLOCK = 128
"""Columns of a block of neighbours: 64 and 256 measured slower where nothing is skipped and where most is, each."""

SOFT_COLUMNS = 512
"""Columns of one tile of products in high dimension: with TILE_ROWS rows of float32 it fills 512 KB of L2."""

SOFT_RUN = 64
"""Pairs of a row looked at together behind a GEMM before their powers are taken."""

ACTIVE_PAIRS = 1 << 24
"""Pairs that may be listed at most: 134 MB, whatever n and m."""

ACTIVE_SHARE = 0.15
"""Share of all pairs up to which a list is worth its making."""

ACTIVE_PARTS = 16
"""Parts of the list that are summed by columns on their own: more than threads gain from, and few enough to add up."""

KERNEL_RUN = 256
"""Columns of a patch of pairs whose kernel is taken together."""

KERNEL_PATCH = 8
"""Rows of such a patch: s, k and its slope of 2,048 pairs in float32 fill 24 KB, an L1 cache but for the points."""

KERNEL_ROWS = 128
"""Rows whose sums down a column run in the precision of the pairs before they are added up in float64."""

KERNEL_COLUMNS = 512
"""Columns of one tile of products: with TILE_ROWS rows of float32 it fills 512 KB of L2."""

KERNEL_BLOCK = 512
"""Rows of a block of a cloud: two blocks are a unit of work, and the twenty blocks of 10,000 points keep 8 cores."""

KERNEL_BLOCKS = 64
"""Blocks of a cloud at most: beyond, they grow with it."""

LOW = np.float32(-1e30)
"""The score of a place without a site: finite, since fastmath may misread an infinity."""
