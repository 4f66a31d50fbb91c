# %% [markdown]
# # Moving from POT
#
# Calls side by side: each pair below is run, and the two results are compared. What differs in manner:
#
# | | POT | otgen |
# |---|---|---|
# | input of exact transport | a cost matrix, n x m | points; memory O(n + m). `solve(C)` for a matrix |
# | $W_p$ | `emd2`, `wasserstein_1d`: $W_p^p$ | `solve_sample().value`: $W_p^p$; `wasserstein` and the rest: $W_p$ |
# | result | an array or a float; with `log=True` a tuple | always one object: `value`, `plan`, `potentials`, bounds |
# | not converged | a warning, and a number | `converged` is False, and the bounds hold; `wasserstein` raises |
# | entropy | of the plan, in `sinkhorn` | KL to $a \otimes b$: the same plan, $f$ other by $\varepsilon \log a$ |
# | weights | arrays; an empty list is uniform in some calls | `None` is uniform |
# | gradients | `set_gradients` inside | of tensors, in points and weights, from the dual |

# %%
import os
import warnings

import numpy as np
import ot
import torch
from IPython.display import Markdown

import otgen

QUICK = os.environ.get("OTGEN_QUICK") == "1"  # small sizes, for the tests
rng = np.random.default_rng(0)
n, m = (60, 50) if QUICK else (250, 200)
x, y = rng.normal(size=(n, 3)), 0.7 * rng.normal(size=(m, 3)) + 0.5
a, b = (w / w.sum() for w in (rng.random(n) + 0.1, rng.random(m) + 0.1))
C = ot.dist(x, y)  # squared distances
eps, rho = 0.5, 2.0
mean_x, mean_y, cov_x, cov_y = x.mean(0), y.mean(0), np.cov(x.T), np.cov(y.T)
lines = rng.normal(size=(50, 3))
lines /= np.linalg.norm(lines, axis=1, keepdims=True)
tight = {"numItermax": 100_000, "stopThr": 1e-12}  # POT's own limits stop at an error of 1e-9 of the marginals

# %% [markdown]
# A row is a task, the call of POT, that of otgen, and how far apart the two may be, relative to the largest entry. Both
# calls are strings, which are run as they are shown.

# %%
ROWS = [
    ("squared W2", "ot.emd2(a, b, C)", "otgen.solve_sample(x, y, a, b).value", 1e-9),
    ("W1", "ot.emd2(a, b, ot.dist(x, y, 'euclidean'))", "otgen.wasserstein(x, y, a, b)", 1e-9),
    ("W2", "ot.emd2(a, b, C) ** 0.5", "otgen.wasserstein(x, y, a, b, p=2)", 1e-9),
    (
        "L1 costs",
        "ot.emd2(a, b, ot.dist(x, y, 'cityblock'))",
        "otgen.wasserstein(x, y, a, b, metric='cityblock')",
        1e-9,
    ),
    ("a cost matrix", "ot.solve(C, a, b).value", "otgen.solve(C, a, b).value", 1e-9),
    ("the plan", "ot.emd(a, b, C)", "otgen.solve_sample(x, y, a, b).plan.toarray()", 1e-9),
    ("the map, barycentric", "ot.emd(a, b, C) @ y / a[:, None]", "otgen.solve_sample(x, y, a, b).map()", 1e-9),
    ("on the line", "ot.wasserstein_1d(x, y, a, b, p=2) ** 0.5", "otgen.wasserstein_1d(x, y, a, b, p=2)", 1e-9),
    (
        "sliced",
        "ot.sliced_wasserstein_distance(x, y, a, b, projections=lines.T)",
        "otgen.sliced_wasserstein(x, y, a, b, projections=lines).value",
        1e-9,
    ),
    (
        "normal laws",
        "ot.gaussian.bures_wasserstein_distance(mean_x, mean_y, cov_x, cov_y)",
        "otgen.gaussian_wasserstein(mean_x, cov_x, mean_y, cov_y)",
        1e-7,
    ),
    (
        "map of normal laws",
        "ot.gaussian.bures_wasserstein_mapping(mean_x, mean_y, cov_x, cov_y)[0]",
        "otgen.gaussian_map(mean_x, cov_x, mean_y, cov_y).matrix",
        1e-7,
    ),
    (
        "Sinkhorn: cost of the plan",
        "ot.sinkhorn2(a, b, C, eps, method='sinkhorn_log', **tight)",
        "otgen.sinkhorn(x, y, a, b, eps=eps, tol=1e-10).value",
        1e-7,
    ),
    (
        "Sinkhorn: the plan",
        "ot.sinkhorn(a, b, C, eps, method='sinkhorn_log', **tight)",
        "otgen.sinkhorn(x, y, a, b, eps=eps, tol=1e-10).plan.toarray()",
        1e-7,
    ),
    (
        "with the entropy",
        "ot.solve(C, a, b, reg=eps, reg_type='KL', max_iter=100_000, tol=1e-12).value",
        "otgen.solve(C, a, b, eps=eps, tol=1e-10).objective",
        1e-7,
    ),
    (
        "unbalanced: the plan",
        "ot.unbalanced.sinkhorn_unbalanced(a, 2 * b, C, eps, rho, reg_type='kl', **tight)",
        "otgen.sinkhorn(x, y, a, 2 * b, eps=eps, unbalanced=rho, tol=1e-10).plan.toarray()",
        1e-6,
    ),
    (
        "barycenter, one move",
        "ot.lp.free_support_barycenter([x, y], [a, b], x[:20], numItermax=1)",
        "otgen.barycenter([x, y], [a, b], support=x[:20], max_iter=2).points",
        1e-9,
    ),
]


# %%
def compared(task, theirs, ours, tolerance):
    """A line of the table, and whether the results agree."""
    values = [np.asarray(eval(call), np.float64) for call in (theirs, ours)]
    assert values[0].shape == values[1].shape, task
    apart = float(np.abs(values[0] - values[1]).max() / np.abs(values[0]).max())
    assert apart <= tolerance, f"{task}: {apart:.1e}"
    return f"| {task} | `{theirs}` | `{ours}` | {apart:.0e} |"


with warnings.catch_warnings():
    warnings.simplefilter("ignore", otgen.ConvergenceWarning)  # a barycenter after one move says that it is no more
    table = [compared(*row) for row in ROWS]
head = f"| {n} to {m} points, d = 3 | POT | otgen | apart |\n|---|---|---|---|"
Markdown("\n".join([head, *table]))

# %% [markdown]
# At such sizes either is quick. What a cost matrix costs shows at 10,000 points and more: `benchmarks/REPORT.md` has
# the two side by side. (Of the steps of `otgen.barycenter` the first only values its start.)
#
# ## Potentials
#
# Both give dual potentials, up to a constant that goes from $f$ to $g$, and in exact transport up to what degenerate
# plans leave open: the dual values agree. otgen's are feasible for every pair.

# %%
_, log = ot.emd(a, b, C, log=True)
result = otgen.solve_sample(x, y, a, b)
f, g = result.potentials
assert abs((a @ f + b @ g) - (a @ log["u"] + b @ log["v"])) <= 1e-9 * result.value
assert (f[:, None] + g <= C + 1e-9).all()

found = ot.bregman.sinkhorn_log(a, b, C, eps, log=True, **tight)[1]
f, g = otgen.sinkhorn(x, y, a, b, eps=eps, tol=1e-10).potentials
theirs = eps * (found["log_u"] - np.log(a))  # POT's scalings are those of exp(-C / eps), not of a x b
print(f"entropic potentials, after centring, differ by {np.abs((f - f.mean()) - (theirs - theirs.mean())).max():.0e}")
assert np.abs((f - f.mean()) - (theirs - theirs.mean())).max() <= 1e-6

# %% [markdown]
# ## Debiased divergence
#
# POT's `empirical_sinkhorn_divergence` combines the costs of three plans, without their entropies; otgen's
# `sinkhorn_divergence` combines the objectives, which is what is at least 0 and 0 for equal clouds only. By POT it is
# made of three calls of `ot.solve`.


# %%
def entropic_by_pot(u, v, p, q):
    return ot.solve(ot.dist(u, v), p, q, reg=eps, reg_type="KL", max_iter=100_000, tol=1e-12).value


by_pot = entropic_by_pot(x, y, a, b) - entropic_by_pot(x, x, a, a) / 2 - entropic_by_pot(y, y, b, b) / 2
ours = otgen.sinkhorn_divergence(x, y, a, b, eps=eps, tol=1e-8)
print(f"POT {by_pot:.10f}, otgen {ours:.10f}")
assert abs(by_pot - ours) <= 1e-6 * ours

# %% [markdown]
# ## Gradients
#
# Tensors go in as they are. The gradient in the points is that of the cost at the optimal plan, in the weights the
# potentials; of `emd2` in POT likewise, up to the constant that weights of fixed mass leave open.

# %%
tensors = [torch.from_numpy(value).requires_grad_() for value in (x, y, a, b)]
u, v, p, q = tensors
by_pot = torch.autograd.grad(ot.emd2(p, q, ot.dist(u, v)), tensors)
ours = torch.autograd.grad(otgen.solve_sample(u, v, p, q).value, tensors)
for one, other in zip(by_pot[:2], ours[:2]):
    assert (one - other).abs().max() <= 1e-9
print("gradients in the points agree; in the weights, along changes that keep the mass:")
along = torch.from_numpy(rng.permutation(a) - a)  # one of several optimal duals may be taken by either
print(f"  POT {float(by_pot[2] @ along):.9f}, otgen {float(ours[2] @ along):.9f}")

# %% [markdown]
# ## Semi-discrete
#
# `ot.semidiscrete.solve_semidiscrete` runs a fixed number of stochastic steps; its potential $g$ belongs to otgen's
# heights by $h_i = (g_i - |y_i|^2) / 2$. `SemiDiscreteOT` runs until the masses of the cells are within a tolerance: in
# 2-D and 3-D exactly, by Newton's method. Judged by these masses, on the same points, POT as its defaults are but for
# the number of steps:

# %%
points = rng.random((30 if QUICK else 100, 2))
np.random.seed(0)  # noqa: NPY002 (POT draws from it)
potential = np.asarray(ot.semidiscrete.solve_semidiscrete(points, "unif", max_iter=500 if QUICK else 5_000))
sd = otgen.SemiDiscreteOT(source="uniform").fit(points)
probes = rng.random((50_000, 2))
cells = np.argmin(ot.dist(probes, points) - potential, axis=1)
of_pot = np.bincount(cells, minlength=len(points)) / len(probes) * len(points) - 1
print(
    f"root mean square error of a mass: POT {np.sqrt((of_pot**2).mean()):.1%}, of which the count's own noise is ",
    end="",
)
print(f"{np.sqrt(len(points) / len(probes)):.1%}; otgen, exactly, at most {np.abs(sd.mass_errors()).max():.1e}")
assert np.abs(sd.mass_errors()).max() <= 1e-6
assert np.bincount(sd.assign(probes), minlength=len(points)).std() / len(probes) * len(points) <= 0.1
