# %% [markdown]
# # Exact transport between 100,000 points
#
# The usual solvers of
#
# $$\min_{\pi \geq 0} \sum_{ij} \pi_{ij} c(x_i, y_j), \qquad \pi 1 = a, \quad \pi^T 1 = b$$
#
# start from the matrix $c_{ij}$: at $n = m = 100{,}000$ that is $10^{10}$ entries, 80 GB. But an optimal plan has at
# most $n + m - 1$ entries, and what proves it is a pair of vectors. `otgen` solves on a small set of candidate pairs,
# prices *all* pairs against the potentials it found, tile by tile, adds those that violate $f_i + g_j \leq c_{ij}$,
# and repeats until none does. Memory is O(n + m), and the answer is exact.

# %%
import json
import os
import resource
import sys
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.spatial.distance import cdist

import otgen
from otgen.demo import heart, star

QUICK = os.environ.get("OTGEN_QUICK") == "1"  # small sizes, for the tests
N = 2_000 if QUICK else 100_000
rng = np.random.default_rng(0)


def peak_mb():
    """The most memory this process has held."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (1e6 if sys.platform == "darwin" else 1e3)


# %%
x, y = heart(N, rng), star(N, rng)
rounds = []
otgen.solve_sample(x[:1000], y[:1000])  # compiles, or loads what was compiled before
before, start = peak_mb(), time.perf_counter()
result = otgen.solve_sample(x, y, progress=rounds.append)
seconds, grown = time.perf_counter() - start, peak_mb() - before
print(result)
print(f"{seconds:.1f} s; memory grew by {grown:.0f} MB, where the matrix alone has {8e-6 * N * N:,.0f} MB")
assert result.converged and result.plan.nnz <= 2 * N - 1
assert QUICK or grown < 1_000

# %% [markdown]
# Each point keeps the colour of where it starts, and moves in a straight line: $x_i + t\,(T(x_i) - x_i)$.


# %%
def raster(points, colours, side):
    """The mean colour (side, side, 3) of the points in each pixel, white where there is none."""
    edges = np.linspace(-2.5, 2.5, side + 1)
    count = np.histogram2d(points[:, 0], points[:, 1], (edges, edges))[0]
    sums = [np.histogram2d(points[:, 0], points[:, 1], (edges, edges), weights=channel)[0] for channel in colours.T]
    mean = np.stack(sums, axis=-1) / np.maximum(count, 1)[..., None]
    cover = np.minimum(count / np.quantile(count[count > 0], 0.3), 1)[..., None]
    return np.swapaxes(1 - cover * (1 - mean), 0, 1)


moved = result.map()
turn = np.arctan2(x[:, 1], x[:, 0])
colours = 0.5 + 0.4 * np.cos(turn[:, None] + 2 * np.pi / 3 * np.arange(3))
figure, panels = plt.subplots(1, 5, figsize=(11, 2.4), layout="constrained")
for panel, t in zip(panels, (0, 0.25, 0.5, 0.75, 1)):
    panel.imshow(raster((1 - t) * x + t * moved, colours, 130), origin="lower")
    panel.set_title(f"t = {t:g}", fontsize=11)
    panel.axis("off")

# %% [markdown]
# ## The proof, by hand
#
# The last pass over all $n m$ pairs is the certificate. Some rows of it, with a matrix and SciPy: no pair of theirs has
# $f_i + g_j > c_{ij}$, and the pairs that carry mass have equality. So the value is that of the dual problem too.

# %%
f, g = result.potentials
some = rng.permutation(N)[: 200 if QUICK else 1_000]
slack = cdist(x[some], y, "sqeuclidean") - f[some, None] - g
rows, columns = result.plan.nonzero()
tight = ((x[rows] - y[columns]) ** 2).sum(axis=1) - f[rows] - g[columns]
print(f"{slack.size:,} pairs: least slack {slack.min():.1e}; on the plan at most {tight.max():.1e}")
assert slack.min() >= -1e-9 and tight.max() <= 1e-6
assert abs(f.mean() + g.mean() - result.value) <= 1e-8 * result.value

# %% [markdown]
# ## How it gets there
#
# The same problem is solved first between a few quantised points, then between four times as many, and so on; the
# potentials of one level are the start of the next. The candidates stay few, and on each level a handful of rounds
# bring the gap down.

# %%
levels = np.array([row["level"] for row in rounds])
arcs, gaps = (np.array([row[name] for row in rounds], np.float64) for name in ("arcs", "gap"))
scales = np.array([row["scale"] for row in rounds], np.float64)
figure, panels = plt.subplots(1, 2, figsize=(9.5, 3.2), layout="constrained")
steps = np.arange(1, len(rounds) + 1)
for level in np.unique(levels):
    own = levels == level
    shade = plt.get_cmap("viridis")(level / levels.max() * 0.9)
    panels[0].semilogy(steps[own], arcs[own], "o-", color=shade, markersize=4)
    panels[1].semilogy(steps[own], np.maximum(gaps[own] / scales[own], 1e-16), "o-", color=shade, markersize=4)
panels[0].axhline(float(N) ** 2, color="#8a8f98", linestyle="--")
panels[0].set(xlabel="round", title="candidate pairs; dashed: all of them")
panels[1].axhline(1e-9, color="#8a8f98", linestyle="--")
panels[1].set(xlabel="round", title="relative gap; dashed: proven")
for panel in panels:
    panel.spines[["top", "right"]].set_visible(False)
assert arcs.max() < 0.05 * N**2 or QUICK

# %% [markdown]
# ## Time against n
#
# Beside it, where it was measured, POT's network simplex on the full matrix (both from `benchmarks/results/exact.json`,
# not from this run).

# %%
sizes = [500, 1_000] if QUICK else [1_000, 3_000, 10_000, 30_000]
here = []
for n in sizes:
    u, v = heart(n, rng), star(n, rng)
    start = time.perf_counter()
    assert otgen.solve_sample(u, v).converged
    here.append(time.perf_counter() - start)
sizes, here = [*sizes, N], [*here, seconds]

figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
axes.loglog(sizes, here, "o-", color="#3566b8", label="otgen, heart to star, $W_2$, this machine")
axes.loglog(sizes, [here[0] * (n / sizes[0]) ** 2 for n in sizes], ":", color="#8a8f98", label=r"slope $n^2$")
measured = json.loads(Path("../benchmarks/results/exact.json").read_text(encoding="utf-8"))["records"]
gaussian = [row for row in measured if (row.get("recipe"), row.get("d"), row.get("p")) == ("gaussian", 2, 2)]
for solver, colour in (("otgen", "#d1495b"), ("POT", "#22252b")):
    known = sorted((row["n"], row["runs"][solver]["seconds"]) for row in gaussian if solver in row["runs"])
    axes.loglog(*zip(*known), "s--", color=colour, label=f"{solver}, Gaussian clouds, $W_2$, of the benchmark")
axes.set(xlabel="n = m", ylabel="seconds")
axes.legend(frameon=False, fontsize=9)
axes.spines[["top", "right"]].set_visible(False)
