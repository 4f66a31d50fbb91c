# %% [markdown]
# # Sinkhorn: what eps does
#
# Entropic transport adds the entropy of the plan to what is minimised,
#
# $$\mathrm{OT}_\varepsilon(a, b) = \min_{\pi} \ \langle \pi, c \rangle
#   + \varepsilon\, \mathrm{KL}(\pi \,|\, a \otimes b),
#   \qquad \pi_{ij} = a_i b_j \exp \frac{f_i + g_j - c_{ij}}{\varepsilon} .$$
#
# Sinkhorn's iteration finds $f$ and $g$ by soft minima alone. $\varepsilon$ is on the scale of the cost: here that of
# $|x - y|^2$.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
import torch

import otgen

QUICK = os.environ.get("OTGEN_QUICK") == "1"  # small sizes, for the tests

# %% [markdown]
# ## The plan
#
# Two densities on the line. The exact plan is the graph of a map; the entropic one spreads around it over a width of
# about $\sqrt{\varepsilon}$, until at large $\varepsilon$ it is the product $a \otimes b$, which knows nothing of the
# cost.

# %%
k = 60 if QUICK else 200
grid = np.linspace(0, 1, k)[:, None]
a = np.exp(-0.5 * ((grid[:, 0] - 0.25) / 0.08) ** 2) + 0.02
b = np.exp(-0.5 * ((grid[:, 0] - 0.45) / 0.06) ** 2) + np.exp(-0.5 * ((grid[:, 0] - 0.8) / 0.05) ** 2) + 0.02
a, b = a / a.sum(), b / b.sum()

plans = {"exact": otgen.solve_sample(grid, grid, a, b).plan.toarray()}
for eps in (1e-3, 1e-2, 1e-1, 10.0):
    plans[rf"$\varepsilon = {eps:g}$"] = otgen.sinkhorn(grid, grid, a, b, eps=eps).plan.toarray()

for plan in plans.values():
    assert abs(plan.sum(axis=1) - a).sum() + abs(plan.sum(axis=0) - b).sum() <= 1e-5
filled = [int((plan > 1e-9).sum()) for plan in plans.values()]
assert filled == sorted(filled) and filled[0] <= 2 * k - 1  # exact plans have at most n + m - 1 entries
assert abs(list(plans.values())[-1] - np.outer(a, b)).sum() <= 0.05  # the product of the marginals

# %%
figure, panels = plt.subplots(1, 5, figsize=(11, 2.6), layout="constrained")
for panel, (title, plan) in zip(panels, plans.items()):
    shown = np.sqrt(plan / plan.max())  # so that what is faint can be seen
    panel.imshow(shown, origin="lower", cmap="Blues", extent=(0, 1, 0, 1), aspect="equal")
    panel.set_title(title, fontsize=11)
    panel.set(xticks=[], yticks=[], xlabel="target", ylabel="source" if panel is panels[0] else "")

# %% [markdown]
# ## The bounds
#
# The entropic plan rounded to its marginals is a transport plan, and the potentials, made feasible by a hard minimum,
# are a dual solution: so every result brackets the *exact* optimum, at any $\varepsilon$. The bracket closes as
# $\varepsilon$ falls, and sweeps are its price.

# %%
rng = np.random.default_rng(0)
n = 150 if QUICK else 1000
x, y = rng.normal(size=(n, 2)) * 0.4, rng.normal(size=(n, 2)) * 0.3 + np.array([1.0, 0.5])
exact = otgen.solve_sample(x, y).value
eps_values = np.geomspace(3e-3, 3, 5 if QUICK else 13)
results = [otgen.sinkhorn(x, y, eps=float(eps)) for eps in eps_values]
lower, upper, cost, objective = np.array(
    [(r.lower_bound, r.upper_bound, float(r.value), float(r.objective)) for r in results]
).T

assert all(r.converged for r in results)
assert (lower <= exact * (1 + 1e-9)).all() and (exact <= upper * (1 + 1e-9)).all()
assert (np.diff(cost) > -1e-6).all() and (cost <= objective).all()  # a larger eps is a costlier plan
assert upper[0] - lower[0] < 0.1 * (upper[-1] - lower[-1])

# %%
figure, panels = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained")
panels[0].fill_between(eps_values, lower, upper, color="#3566b8", alpha=0.15, linewidth=0, label="proven bracket")
panels[0].axhline(exact, color="#22252b", linewidth=1, label="exact")
panels[0].plot(eps_values, cost, color="#3566b8", label=r"$\langle \pi, c \rangle$ (value)")
panels[0].plot(eps_values, objective, color="#d1495b", label="with the entropy (objective)")
panels[0].set(xscale="log", xlabel=r"$\varepsilon$", title=r"$W_2^2$ and what stands for it")
panels[0].legend(frameon=False, fontsize=9)
panels[1].loglog(eps_values, upper - lower, "o-", color="#3566b8", markersize=4, label="width of the bracket")
panels[1].loglog(eps_values, [r.n_iter for r in results], "s-", color="#8a8f98", markersize=4, label="sweeps")
panels[1].set(xlabel=r"$\varepsilon$", title="closer, and dearer")
panels[1].legend(frameon=False, fontsize=9)
for panel in panels:
    panel.spines[["top", "right"]].set_visible(False)

# %% [markdown]
# ## Debiasing
#
# $\mathrm{OT}_\varepsilon(a, a)$ is not 0, and a cloud that minimises $\mathrm{OT}_\varepsilon(\cdot, b)$ is not $b$
# but a shrunken $b$: every point is pulled to an average of its blurred partners. The Sinkhorn divergence
#
# $$S_\varepsilon(a, b) = \mathrm{OT}_\varepsilon(a, b) - \tfrac12 \mathrm{OT}_\varepsilon(a, a)
#   - \tfrac12 \mathrm{OT}_\varepsilon(b, b)$$
#
# is at least 0, and 0 only for $a = b$. Below a cloud follows the gradient of either, $\dot x_i = - n \nabla_{x_i}$, at
# the same $\varepsilon$.

# %%
n, eps = 60 if QUICK else 400, 0.6
angle = rng.uniform(0, 2 * np.pi, n)
target = np.stack([np.cos(angle), np.sin(angle)], axis=1) * rng.normal(1, 0.05, (n, 1))
start = rng.normal(size=(n, 2)) * 0.15 + np.array([-0.2, 0.3])
assert abs(otgen.sinkhorn_divergence(target, target, eps=eps)) <= 1e-9
assert otgen.sinkhorn(target, target, eps=eps).objective > 0.1

losses = {
    "OT": lambda points: otgen.sinkhorn(points, torch.from_numpy(target), eps=eps, tol=1e-4).objective,
    "S": lambda points: otgen.sinkhorn_divergence(points, torch.from_numpy(target), eps=eps, tol=1e-4),
}
ends = {}
for name, loss in losses.items():
    points = torch.from_numpy(start.copy()).requires_grad_()
    for _ in range(15 if QUICK else 40):
        (slope,) = torch.autograd.grad(loss(points), points)
        with torch.no_grad():
            points -= 0.4 * n * slope
    ends[name] = points.detach().numpy()

radius = {name: float(np.linalg.norm(end - end.mean(axis=0), axis=1).mean()) for name, end in ends.items()}
print("mean radius:", {name: round(value, 3) for name, value in radius.items()}, "of a target of radius 1")
assert radius["OT"] < 0.9 * radius["S"] and abs(radius["S"] - 1) < 0.1

# %%
figure, panels = plt.subplots(1, 3, figsize=(9.5, 3.3), layout="constrained")
titles = ("start", rf"end, by $\mathrm{{OT}}_\varepsilon$, $\varepsilon = {eps:g}$", r"end, by $S_\varepsilon$")
for panel, points, title in zip(panels, (start, ends["OT"], ends["S"]), titles):
    panel.scatter(*target.T, s=8, color="#8a8f98", linewidths=0, alpha=0.6)
    panel.scatter(*points.T, s=8, color="#3566b8", linewidths=0)
    panel.set_title(title, fontsize=11)
    panel.set(aspect="equal", xlim=(-1.3, 1.3), ylim=(-1.3, 1.3))
    panel.axis("off")

# %% [markdown]
# Small $\varepsilon$ for the plan and its bounds; for a loss a larger one, debiased. `eps` of a twentieth of a typical
# cost is where to start.
