# %% [markdown]
# # Distances, and what proves them
#
# The Wasserstein distance between two laws is the least mean distance by which one can be moved to the other,
#
# $$W_1(\mu, \nu) = \min_{\pi \in \Pi(\mu, \nu)} \int |x - y| \, d\pi(x, y)
#   = \max_{f\ \text{1-Lipschitz}} \int f \, d\mu - \int f \, d\nu .$$
#
# The first half is a plan, the second a bound that no plan can beat. `otgen` computes both, and hands both back.

# %%
import os
import warnings

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.spatial.distance import cdist

import otgen

QUICK = os.environ.get("OTGEN_QUICK") == "1"  # small sizes, for the tests

# %% [markdown]
# ## Parallel lines
#
# $P_0$ is uniform on the segment $\{0\} \times [0, 1]$ and $P_\theta$ on $\{\theta\} \times [0, 1]$. The two share no
# point unless $\theta = 0$, so for every $\theta \neq 0$
#
# $$\mathrm{KL}(P_0 \,|\, P_\theta) = \infty, \qquad \mathrm{JS}(P_0, P_\theta) = \log 2, \qquad
#   W_1(P_0, P_\theta) = |\theta| .$$
#
# KL and JS only know whether two laws overlap; $W_1$ knows how far apart they are.


# %%
def kl(p, q):
    """sum p log(p / q), infinite where q gives no mass to what p has."""
    if ((p > 0) & (q == 0)).any():
        return np.inf
    some = p > 0
    return float((p[some] * np.log(p[some] / q[some])).sum())


def js(p, q):
    middle = (p + q) / 2
    return (kl(p, middle) + kl(q, middle)) / 2


def histogram(x):
    """Masses in bins of width 1/20, centred on multiples of it."""
    edges = (np.arange(-25, 27) - 0.5) / 20
    return np.histogram(x[:, 0], edges)[0] / len(x)


n = 200 if QUICK else 1000
height = (np.arange(n) + 0.5) / n
line = np.stack([np.zeros(n), height], axis=1)
thetas = np.linspace(-1, 1, 41)
shifted = [line + np.array([theta, 0.0]) for theta in thetas]
w1 = np.array([otgen.wasserstein(line, other) for other in shifted])
of_js = np.array([js(histogram(line), histogram(other)) for other in shifted])
of_kl = np.array([kl(histogram(line), histogram(other)) for other in shifted])

apart = np.abs(thetas) > 1e-12
assert np.abs(w1 - np.abs(thetas)).max() <= 1e-9
assert np.allclose(of_js[apart], np.log(2)) and of_js[~apart] == 0
assert np.isinf(of_kl[apart]).all() and of_kl[~apart] == 0

# %%
figure, panels = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained", width_ratios=[1, 2])
for theta, colour in ((0, "#3566b8"), (0.6, "#d1495b")):
    panels[0].plot([theta, theta], [0, 1], color=colour, linewidth=4)
panels[0].annotate("", (0.57, 0.5), (0.03, 0.5), arrowprops={"arrowstyle": "->", "color": "#22252b"})
panels[0].text(0.3, 0.54, r"$\theta$", ha="center")
panels[0].set(xlim=(-0.3, 0.9), xticks=[0, 0.6], xticklabels=["$P_0$", r"$P_\theta$"], yticks=[0, 1])
panels[1].plot(thetas, w1, color="#3566b8", label=r"$W_1 = |\theta|$")
panels[1].plot(thetas[apart], of_js[apart], ".", color="#d1495b", label=r"JS $= \log 2$, and 0 at $\theta = 0$")
panels[1].plot(0, 0, ".", color="#d1495b")
panels[1].set(xlabel=r"$\theta$", ylim=(-0.03, 1.15), title=r"KL is $\infty$ but for $\theta = 0$")
panels[1].legend(frameon=False, loc="lower right", fontsize=9)
for panel in panels:
    panel.spines[["top", "right"]].set_visible(False)

# %% [markdown]
# So $W_1$ has a gradient to follow where JS has none: $\partial W_1 / \partial \theta = \mathrm{sign}(\theta)$. Torch
# tensors go in, and a differentiable number comes out.

# %%
theta = torch.tensor(-0.7, dtype=torch.float64, requires_grad=True)
fixed = torch.from_numpy(line)
moving = torch.stack([theta.expand(n), fixed[:, 1]], dim=1)
distance = otgen.wasserstein(fixed, moving)
distance.backward()
assert theta.grad is not None and abs(float(theta.grad) + 1) <= 1e-9
print(f"W1 = {float(distance.detach()):.6f}, dW1/dtheta = {float(theta.grad):+.6f}")

# %% [markdown]
# ## The certificate
#
# For two clouds of points the same duality reads
#
# $$\min_{\pi \geq 0,\ \pi 1 = a,\ \pi^T 1 = b} \sum_{ij} \pi_{ij} c_{ij}
#   = \max_{f_i + g_j \leq c_{ij}} \sum_i a_i f_i + \sum_j b_j g_j .$$
#
# Any feasible $f, g$ bound every plan from below. `Transport` keeps the plan, the potentials and the gap between them;
# here all three are checked by hand, with the whole cost matrix, which the solver itself never builds.

# %%
rng = np.random.default_rng(0)
x, y = rng.normal(size=(n, 2)), rng.normal(size=(n + n // 2, 2)) * 0.6 + 1
result = otgen.solve_sample(x, y, cost="euclidean")
print(result)

f, g = result.potentials
C = cdist(x, y)
slack = C - f[:, None] - g
assert slack.min() >= -1e-12  # feasible for every pair
assert abs(result.plan.sum(axis=1) - 1 / len(x)).sum() + abs(result.plan.sum(axis=0) - 1 / len(y)).sum() <= 1e-12
assert abs(f.mean() + g.mean() - result.value) <= 1e-9  # no plan is cheaper than the one found
rows, columns = result.plan.nonzero()
assert slack[rows, columns].max() <= 1e-6  # mass moves only where the bound is tight

# %% [markdown]
# A run that is stopped early says so, and its bounds hold all the same. The two close in on the optimum from either
# side; `converged` is true where they meet to $10^{-9}$ of its size.

# %%
m = 300 if QUICK else 4000
x, y = rng.normal(size=(m, 2)), rng.normal(size=(m, 2)) + 1
exact = otgen.solve_sample(x, y, cost="euclidean")
bounds = []
with warnings.catch_warnings():
    warnings.simplefilter("ignore", otgen.ConvergenceWarning)
    for rounds in range(1, 40):
        stopped = otgen.solve_sample(x, y, cost="euclidean", max_iter=rounds)
        bounds.append((stopped.lower_bound, stopped.upper_bound))
        assert stopped.lower_bound <= exact.value * (1 + 1e-12) and exact.value <= stopped.upper_bound * (1 + 1e-12)
        if stopped.converged:
            break
assert stopped.converged and stopped.gap <= 1e-9 * stopped.scale

# %%
low, high = np.array(bounds).T - exact.value
figure, panels = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
steps = np.arange(1, len(low) + 1)
panels[0].fill_between(steps, low, high, color="#3566b8", alpha=0.15, linewidth=0)
panels[0].plot(steps, high, "o-", color="#d1495b", markersize=4, label="cost of the plan")
panels[0].plot(steps, low, "o-", color="#3566b8", markersize=4, label="dual bound")
panels[0].set(xlabel="rounds allowed", title="bounds, less $W_1$")
panels[0].legend(frameon=False, fontsize=9)
panels[1].semilogy(steps, np.maximum(high - low, 1e-17), "o-", color="#22252b", markersize=4)
panels[1].axhline(1e-9 * exact.scale, color="#8a8f98", linestyle="--")
panels[1].set(xlabel="rounds allowed", title="gap, and the gap at which it is proven")
for panel in panels:
    panel.set_xticks(steps)
    panel.spines[["top", "right"]].set_visible(False)
