# %% [markdown]
# # WAE and iWGAN: the latent space, the duality gap, the quality of a sample
#
# Two autoencoders $Q, G$ whose codes are to follow a known law, so that new samples can be decoded from it.
#
# The Wasserstein autoencoder penalises the law of the codes,
#
# $$\min_{Q, G}\ \mathbb{E} |X - G(Q(X))|^2 + \lambda\, \mathrm{MMD}^2(Q(X), Z), \qquad Z \sim N(0, I).$$
#
# The inferential Wasserstein GAN leaves the codes alone, and compares what is decoded of them with what is decoded of
# noise, by a critic $f$ that is 1-Lipschitz,
#
# $$\min_{Q, G} \max_f\ L(G, Q, f) = \mathbb{E} |X - G(Q(X))| + \mathbb{E} f(G(Q(X))) - \mathbb{E} f(G(Z))
#   \ \geq\ W_1(X, G(Z)) \text{ at the best } f.$$

# %%
import json
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import Image

import otgen
from otgen import data, metrics, models, plots, training

QUICK = os.environ.get("OTGEN_QUICK") == "1"  # small sizes, for the tests
torch.set_num_threads(1)  # networks so small gain nothing from more, and lose much where others compute


def show(draw, *args, **kwargs):
    """What a function of otgen.plots draws into a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        draw(path, *args, **kwargs)
        return Image(path.read_bytes(), width=520)


# %% [markdown]
# ## WAE: what the penalty does to the codes
#
# The 8 x 8 digits of scikit-learn, codes of two coordinates, with $\lambda = 0$ and with a penalty. Without it the
# codes lie where they like, and noise is decoded from where no data is. With it they fill the normal law, by classes.

# %%
digits, test = (data.load("digits", split=split) for split in ("train", "test"))
rate = {"name": "adam", "lr": 1e-2}
options = training.TrainOptions(
    steps=10 if QUICK else 3_000, batch=128, optimizer=rate, schedule={"name": "cosine"}, accelerator="cpu"
)
everything = torch.from_numpy(digits.x[:])
found = {}
for weight in (0.0, 10.0):
    torch.manual_seed(0)
    wae = models.WAE(digits.shape, code=2, penalty="mmd", weight=weight, factor=1.0, width=16)
    training.train(wae, digits, options)
    codes = wae.encode(everything)
    noise = torch.randn(len(codes), 2, generator=torch.Generator().manual_seed(0))
    gap = otgen.mmd_squared(codes.numpy(), noise.numpy(), bandwidth=2.0)
    error = float((wae.reconstruct(everything) - everything).square().flatten(1).sum(1).mean())
    found[weight] = (wae, codes.numpy(), gap, error)
    print(f"weight {weight:4}: MMD^2 of codes and noise {gap:.4f}, squared error of an image {error:.2f}")
assert found[10.0][2] < found[0.0][2]
assert QUICK or found[10.0][2] < 0.2 * found[0.0][2]

# %%
figure, panels = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
assert digits.labels is not None
for panel, weight in zip(panels, found):
    codes = found[weight][1]
    panel.scatter(*noise.numpy().T, s=3, color="#d5d8dd", linewidths=0)
    drawn = panel.scatter(*codes.T, s=4, c=digits.labels, cmap="tab10", linewidths=0)
    panel.set_title(f"codes, penalty x {weight:g}; grey: noise", fontsize=11)
    panel.set_aspect("equal", adjustable="datalim")
    panel.spines[["top", "right"]].set_visible(False)
figure.colorbar(drawn, ax=panels[1], ticks=range(10), shrink=0.8)
side, edge = 12, 1  # images along each axis, and the white pixels around each
quantiles = torch.special.ndtri((torch.arange(side) + 0.5) / side)
plane = torch.stack(torch.meshgrid(quantiles.flip(0), quantiles, indexing="ij"), dim=-1).flip(-1).reshape(-1, 2)
images = np.pad(found[10.0][0].decode(plane).numpy()[:, 0], ((0, 0), (edge, edge), (edge, edge)))
sheet = np.block([[images[side * i + j] for j in range(side)] for i in range(side)])
panels[2].imshow(sheet, cmap="gray_r", interpolation="nearest")
panels[2].set_title("decoded: quantiles of the normal law", fontsize=11)
panels[2].axis("off")
assert sheet.min() >= 0 and sheet.max() <= 1

# %% [markdown]
# ## iWGAN: the duality gap
#
# A min-max objective has no loss curve that says how far training is. The duality gap has: with the other side fixed,
# how much could each side still gain,
#
# $$\max_f L(G, Q, f) - \min_{G, Q} L(G, Q, f) \ \geq\ 0, \quad \text{and } 0 \text{ at a saddle point.}$$
#
# Clones of either side are trained for a fixed budget, and measured on points that were held out; so it is an estimate,
# from below, with a standard error. So few steps as here leave it unsettled: it falls from where it began, and rises
# again whenever one side runs ahead. The preset's run, read from its file below, is what it looks like at the end.

# %%
ring = data.load("8gaussians", n=1_000 if QUICK else 5_000)
torch.manual_seed(0)
iwgan = models.IWGAN((2,), 2, weight=0.5, critic_steps=4, bound=4.0, width=128, critic_width=128)
points, every, budget = torch.from_numpy(ring.x[:]), 5 if QUICK else 15, 3 if QUICK else 100


def look(model, epoch):
    if epoch % every and epoch != 2:
        return None
    gap = model.duality_gap(points, budget, generator=torch.Generator().manual_seed(epoch))
    return {"upper": gap.upper, "lower": gap.lower, "value": gap.value, "error": gap.error}


options = training.TrainOptions(
    steps=10 if QUICK else 300, batch=256, optimizer={"name": "adam", "lr": 1e-3, "betas": (0.5, 0.9)},
    schedule={"name": "cosine"}, accelerator="cpu", log_every=10_000,
)  # fmt: skip
run = training.train(iwgan, ring, options, after_epoch=look)
columns = [run.column(name) for name in ("upper", "lower", "value", "error")]
gaps = columns[2][np.isfinite(columns[2])]
print("duality gaps:", " ".join(f"{gap:.3f}" for gap in gaps))
assert np.allclose(columns[0] - columns[1], columns[2], equal_nan=True)
assert QUICK or gaps[-1] < gaps.max()

# %%
show(plots.save_gap, run.column("step"), *columns)

# %%
records = json.loads(Path("../benchmarks/results/models.json").read_text(encoding="utf-8"))["records"]
(longer,) = (record for record in records if record["model"] == "iwgan")
print(f"On {longer['data']}, trained for {longer['seconds']['training']:.0f} s by its preset, the gap goes")
print(" -> ".join(f"{gap:.3f}" for gap in longer["duality_gaps"]), end=", ")
print(f"and samples are on {longer['scores']['modes_covered']['value']:.0f} of 25 modes.")
assert longer["duality_gaps"][-1] < longer["duality_gaps"][0]

# %% [markdown]
# ## The quality of a sample
#
# An iWGAN says of any point how good it finds it,
#
# $$q(x) = \exp \left( - |x - G(Q(x))| - f(G(Q(x))) \right) :$$
#
# high where the point is rebuilt well and the critic does not object. Here for samples of the model, and for points
# drawn over the whole square. Only ratios mean something.

# %%
samples = iwgan.sample(500 if QUICK else 1_500, generator=torch.Generator().manual_seed(0))
square = 5 * torch.rand(len(samples), 2, generator=torch.Generator().manual_seed(1)) - 2.5
log_quality = {name: iwgan.log_quality(x).numpy() for name, x in (("data", points), ("square", square))}
median = {name: float(np.median(score)) for name, score in log_quality.items()}
print(f"median log quality: data {median['data']:.2f}, points of the square {median['square']:.2f}")
away = data.toys.facts("8gaussians").distance(square.numpy())[0]
near, far = log_quality["square"][away < 0.3], log_quality["square"][away > 1.2]
score = metrics.toy_scores(samples.numpy(), "8gaussians")
print(f"samples: {score.covered} of {score.modes} modes, {score.between:.1%} between modes")
assert np.isfinite(log_quality["square"]).all()
assert QUICK or (median["data"] > median["square"] and near.mean() > far.mean())

# %%
relative = log_quality["square"] - median["data"]
figure, panels = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
panels[0].scatter(*points[:2000].numpy().T, s=3, color="#8a8f98", linewidths=0, label="data")
panels[0].scatter(*samples.numpy().T, s=2, color="#3566b8", linewidths=0, label="samples")
panels[0].legend(frameon=False, loc="center", markerscale=3)
drawn = panels[1].scatter(*square.numpy().T, c=relative, s=6, cmap="plasma", linewidths=0)
panels[1].set_title("log quality, less the data's median", fontsize=11)
figure.colorbar(drawn, ax=panels[1], shrink=0.8)
for panel in panels:
    panel.set(aspect="equal", xlim=(-2.6, 2.6), ylim=(-2.6, 2.6))
    panel.axis("off")

# %% [markdown]
# The inference that is in the name: $Q$ gives every point a code, and the codes of data can be tested against the law
# that is decoded. A small p-value says that they differ, which short training does not undo.

# %%
codes, prior = iwgan.encode(points).numpy(), torch.randn(len(points), 2, generator=torch.Generator().manual_seed(2))
verdict = metrics.latent_test(codes, prior.numpy(), points=100 if QUICK else 1_000)
print(f"energy distance of codes and noise: p = {verdict.p_value:.3f}")
assert 0 < verdict.p_value <= 1
show(plots.save_pair_plot, {"codes of data": codes, "noise": prior.numpy()})
