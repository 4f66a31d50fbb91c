# %% [markdown]
# # The Brenier potential
#
# The optimal map, under $|x - y|^2$, of a density $\mu$ to points $y_i$ of masses $\nu_i$ is the gradient of a convex
# function that is piecewise linear,
#
# $$u(x) = \max_i\ \langle x, y_i \rangle + h_i, \qquad T = \nabla u, \qquad
#   W_i = \{x : T(x) = y_i\}, \qquad \mu(W_i) = \nu_i .$$
#
# The heights $h$ are all there is to find. They maximise a concave function, whose gradient is the error of the masses,
# $\nu_i - \mu(W_i)$.

# %%
import os
import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Image
from matplotlib.collections import PolyCollection

import otgen
from otgen import plots

QUICK = os.environ.get("OTGEN_QUICK") == "1"  # small sizes, for the tests
rng = np.random.default_rng(0)


def show(draw, *args, **kwargs):
    """What a function of otgen.plots draws into a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        draw(path, *args, **kwargs)
        return Image(path.read_bytes(), width=360)


# %% [markdown]
# ## On the line
#
# Five lines, of slopes $y_i$, and their upper envelope $u$. Raising a line widens the interval on which it is the
# highest: the heights are right where each interval has the length $\nu_i$.

# %%
slopes = np.array([-1.0, -0.3, 0.1, 0.8, 1.5])
nu = np.array([0.1, 0.3, 0.15, 0.25, 0.2])
ends = np.cumsum(nu)[:-1]  # on the line T is monotone: the cells lie in the order of the targets
heights = -np.concatenate([[0.0], np.cumsum(np.diff(slopes) * ends)])
t = np.linspace(0, 1, 2001)
lines = t[:, None] * slopes + heights
envelope, cell = lines.max(axis=1), lines.argmax(axis=1)
assert np.abs(np.bincount(cell, minlength=5) / len(t) - nu).max() <= 1e-3

figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
shades = ["#3566b8", "#d1495b", "#2f9e77", "#d08a1d", "#7a5cb5"]
for i, shade in enumerate(shades):
    axes.plot(t, lines[:, i], color=shade, linewidth=0.8, alpha=0.6)
    own = cell == i
    axes.plot(t[own], envelope[own], color=shade, linewidth=3)
    axes.fill_between(t[own], -0.75, -0.7, color=shade, linewidth=0)
    axes.text(t[own].mean(), -0.83, rf"$\nu = {nu[i]:g}$", ha="center", va="top", fontsize=9)
axes.set(ylim=(-1.0, envelope.max() + 0.1), xlim=(0, 1), xlabel="x", title="u, the upper envelope")
axes.spines[["top", "right"]].set_visible(False)

# %% [markdown]
# ## In the plane
#
# The source is uniform on the unit square. With the heights of the nearest-point rule, $h_i = -|y_i|^2 / 2$, the cells
# are those of Voronoi, and targets far from the square get none of it. At the heights that are fitted every cell has
# its mass. Each cell is drawn in the colour of its target.

# %%
n = 60 if QUICK else 400
angle = rng.uniform(0, 2 * np.pi, n)
y = np.stack([np.cos(angle), np.sin(angle)], axis=1) * rng.uniform(0.25, 0.5, (n, 1)) + np.array([0.9, 0.7])
sd = otgen.SemiDiscreteOT().fit(y)
print(sd.message_)
print(f"W2^2 = {sd.value_.value:.9f}, {sd.n_iter_} steps of Newton's method")

measures = np.asarray(sd.cell_measures_)
assert sd.converged_ and sd.method_ == "newton"
assert np.abs(measures * n - 1).max() <= 1e-6

# %% [markdown]
# What makes it the optimum can be looked at point by point: $u$ is convex, its slopes are the targets, and the map is
# monotone, $\langle T(x) - T(x'), x - x' \rangle \geq 0$.

# %%
p, q = rng.random((2, 2000, 2))
u = sd.potential
assert (u((p + q) / 2) <= (u(p) + u(q)) / 2 + 1e-12).all()
assert (((sd.transform(p) - sd.transform(q)) * (p - q)).sum(axis=1) >= -1e-12).all()
step = 1e-7 * np.array([[1.0, 0.0]])
rise = (u(p + step) - u(p - step)) / 2e-7
assert np.median(np.abs(rise - sd.transform(p)[:, 0])) <= 1e-6  # but for steps across the border of two cells

# %%
colours = 0.5 + 0.4 * np.cos(angle[:, None] + 2 * np.pi / 3 * np.arange(3))
side = 120 if QUICK else 500
ticks = (np.arange(side) + 0.5) / side
pixels = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
voronoi = np.argmax(pixels @ y.T - 0.5 * (y**2).sum(axis=1), axis=1)
empty = n - len(np.unique(voronoi))
assert empty > 0

figure, panels = plt.subplots(1, 3, figsize=(11, 3.9), layout="constrained")
panels[0].imshow(colours[voronoi].reshape(side, side, 3), origin="lower", extent=(0, 1, 0, 1))
panels[0].set_title(f"nearest target: {empty} of {n} cells empty", fontsize=11)
panels[1].add_collection(PolyCollection(sd.cells(), facecolors=colours, edgecolors="white", linewidths=0.4))
panels[1].set_title("fitted heights: all cells of one mass", fontsize=11)
panels[2].scatter(*y.T, s=12, c=colours, linewidths=0)
panels[2].plot([0, 1, 1, 0, 0], [0, 0, 1, 1, 0], color="#22252b", linewidth=0.8)
panels[2].set_title("targets, and the square", fontsize=11)
for panel in panels[:2]:
    panel.set(xlim=(0, 1), ylim=(0, 1))
for panel in panels:
    panel.set_aspect("equal")
    panel.axis("off")

# %% [markdown]
# ## Newton and Monte Carlo
#
# In 2-D and 3-D the cells are polygons and polyhedra: masses, and their derivatives $-\mu(\text{facet}_{ij}) /
# |y_i - y_j|$, are exact, and Newton's method needs a dozen steps. In higher dimension masses are counted on samples.
# Their error is then an estimate itself: `error_` is the $\chi^2$ of the masses on fresh samples, with its interval.

# %%
with warnings.catch_warnings():
    warnings.simplefilter("error", otgen.ConvergenceWarning)
    mc = otgen.SemiDiscreteOT(method="monte_carlo", tol=0.05 if QUICK else 0.005).fit(y)
apart = np.asarray(mc.heights_) - np.asarray(sd.heights_)
print(f"chi2 {mc.error_.chi2:.1e}, 95 % interval {mc.error_.low:.1e} to {mc.error_.high:.1e}")
print(f"heights differ by {np.abs(apart).max():.1e} of a range of {np.ptp(np.asarray(sd.heights_)):.2f}")
assert mc.error_.high <= 0.05 * 1.5 and np.abs(apart).max() <= 0.05 * np.ptp(np.asarray(sd.heights_))
assert mc.value_.low <= sd.value_.value * (1 + 1e-9)  # heights that are not the best give a bound from below

# %%
figure, panels = plt.subplots(1, 2, figsize=(9.5, 3.2), layout="constrained")
panels[0].semilogy(sd.history_["error"], "o-", color="#3566b8", markersize=4)
panels[0].set(xlabel="step", title="Newton: largest relative error of a mass")
told = [(s, c) for s, c in zip(mc.history_["samples"], mc.history_["chi2"]) if c is not None and c > 0]
panels[1].loglog(*zip(*told), "o-", color="#d1495b", markersize=4)
panels[1].tick_params(axis="x", which="minor", labelbottom=False)
panels[1].set(xlabel="samples", title=r"Monte Carlo: $\chi^2$ of the masses")
for panel in panels:
    panel.spines[["top", "right"]].set_visible(False)

# %% [markdown]
# ## The singular set
#
# Where the targets fall into parts, $u$ has a crease between them: $T$ jumps, and there is nothing between that a
# sample should be made of. Around $x$ the angle between the graphs of neighbouring planes tells,
#
# $$\cos \theta = \frac{1 + \langle y_i, y_j \rangle}{\sqrt{(1 + |y_i|^2)(1 + |y_j|^2)}} .$$
#
# `sample` mixes the targets of neighbouring cells whose angle is small, and refuses points that have none.

# %%
m = 120 if QUICK else 900
centres = np.array([[-1.0, -0.6], [1.0, -0.6], [0.0, 1.0]])
parts = centres[rng.integers(3, size=m)] + 0.12 * rng.normal(size=(m, 2))
jump = otgen.SemiDiscreteOT().fit(parts)
theta = jump.angle(quantile=0.85)
grid = 60 if QUICK else 160
ticks = (np.arange(grid) + 0.5) / grid
at = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
singular = np.asarray(jump.singular(at, theta=theta))
new = jump.sample(1000 if QUICK else 4000, theta=theta, seed=0)

away = np.sqrt(((new[:, None] - centres) ** 2).sum(-1).min(axis=1))
mixed = np.sqrt(((jump.transform(at)[:, None] - centres) ** 2).sum(-1).min(axis=1)).max()
print(f"theta {theta:.3f}: {singular.mean():.1%} of the square refused; no sample is {away.max():.2f} from its part")
assert 0 < singular.mean() < 0.5 and away.max() <= max(0.6, mixed)  # none between the parts, which are 2 apart

# %%
show(plots.plot_singular_set, jump.cells(), at, singular, domain=jump.domain_corners(), theta=theta)

# %%
show(plots.save_cloud, {"targets": parts, "new points": new})
