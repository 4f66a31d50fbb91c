# %% [markdown]
# # AE-OT: against mode collapse and mode mixture
#
# A generator that is a continuous function $G$ of noise maps a connected set to a connected set. Where the data falls
# into parts it must either leave parts out (mode collapse) or draw a path between them (mode mixture). Brenier's map
# has neither fault: it carries noise to *all* data by construction, and may jump. AE-OT therefore
#
# 1. trains an autoencoder, and encodes the data: $z_i = Q(x_i)$;
# 2. fits $T = \nabla u$, $u(w) = \max_i \langle w, z_i \rangle + h_i$, from noise to the codes, each of mass $1/n$;
# 3. samples $G(\tilde T(w))$, where $\tilde T$ mixes neighbouring codes, and $w$ is refused where $T$ jumps.

# %%
import json
import os
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import Markdown

import otgen
from otgen import data, metrics, models, training

QUICK = os.environ.get("OTGEN_QUICK") == "1"  # small sizes, for the tests
generator = torch.Generator().manual_seed(0)


# %% [markdown]
# ## 25 Gaussians
#
# The points are their own codes, so that all is done by the map. Beside it a WGAN with gradient penalty, trained for a
# short time.

# %%
points = data.load("25gaussians", n=1_000 if QUICK else 10_000)
aeot = models.AEOT(theta=0.2).fit_map(points.x)
by_map = aeot.sample(2_000 if QUICK else 10_000, generator=generator).numpy()
print(aeot.map.message_)

torch.manual_seed(0)
wgan = models.WGAN((2,), code=2, width=128, critic_width=128, weight=0.1, critic_steps=3)
adam = {"name": "adam", "lr": 1e-3, "betas": (0.5, 0.9)}
options = training.TrainOptions(steps=10 if QUICK else 500, batch=256, optimizer=adam, accelerator="cpu")
run = training.train(wgan, points, options)
by_gan = wgan.sample(len(by_map), generator=generator).numpy()

rows = {}
for name, samples in (("AE-OT", by_map), ("WGAN-GP", by_gan)):
    score = metrics.toy_scores(samples, "25gaussians")
    rows[name] = score
    print(f"{name:8} {score.covered} of {score.modes} modes, {score.within_3_sd:.1%} within 3 sd, ", end="")
    print(f"{score.between:.1%} between modes")
assert rows["AE-OT"].covered == 25 and rows["AE-OT"].between <= 0.01 and rows["AE-OT"].within_3_sd >= 0.97
assert rows["WGAN-GP"].between > rows["AE-OT"].between

# %%
figure, panels = plt.subplots(1, 3, figsize=(10, 3.5), layout="constrained")
shown = {"data": points.x[:], "AE-OT": by_map, f"WGAN-GP, {run.steps} steps": by_gan}
for panel, (title, samples) in zip(panels, shown.items()):
    panel.scatter(*samples[:4000].T, s=1.5, color="#3566b8", linewidths=0)
    panel.set_title(title, fontsize=11)
    panel.set(aspect="equal", xlim=(-1.8, 1.8), ylim=(-1.8, 1.8), xticks=[], yticks=[])

# %% [markdown]
# Longer training brings the WGAN to all modes, and thins the paths between them without cutting them. From
# `benchmarks/results/models.json`, each model by its preset:

# %%
records = json.loads(Path("../benchmarks/results/models.json").read_text(encoding="utf-8"))["records"]
lines = ["| model | seconds | modes | within 3 sd | between modes |", "|---|---:|---:|---:|---:|"]
for record in records:
    if record["data"] == "25gaussians":
        scores = {name: score["value"] for name, score in record["scores"].items()}
        lines.append(
            f"| {record['model']} | {sum(record['seconds'].values()):.0f} | {scores['modes_covered']:.0f} "
            f"| {scores['within_3_sd']:.1%} | {scores['between_modes']:.1%} |"
        )
assert len(lines) > 3
Markdown("\n".join(lines))

# %% [markdown]
# ## Handwritten digits
#
# MNIST where `OTGEN_DATA` (or the cache of downloads) holds it; nothing is fetched here.

# %%
try:
    images, test = (data.load("mnist", split=split, download=False) for split in ("train", "test"))
except FileNotFoundError:
    print("MNIST is not there: this run takes the 8 x 8 digits that come with scikit-learn instead.")
    print("Set OTGEN_DATA to the folder that holds mnist/ to see MNIST.")
    images, test = (data.load("digits", split=split) for split in ("train", "test"))
print(f"{images.name}: {len(images):,} images of shape {images.shape}")

# %%
torch.manual_seed(0)
ae = models.AE(images.shape, code=10, width=4 if QUICK else 16, l1=1e-5 * np.prod(images.shape))
cosine = {"name": "cosine"}
steps = 10 if QUICK else 1_000
options = training.TrainOptions(
    steps=steps, batch=128, optimizer={"name": "adam", "lr": 2e-3}, schedule=cosine, accelerator="cpu"
)
run = training.train(ae, images, options)
used = np.sort(np.random.default_rng(0).permutation(len(images))[: 200 if QUICK else 6_000])

with warnings.catch_warnings():
    warnings.simplefilter("ignore", otgen.ConvergenceWarning)  # the error that was reached is printed
    aeot = models.AEOT(
        ae, source="normal", quantile=0.25, tol=2.0 if QUICK else 0.2, max_time=3.0 if QUICK else 45.0
    ).fit_map(images.x[used])
print(f"autoencoder: {run.steps:,} steps, {run.seconds:.0f} s; map to {len(used):,} codes: {aeot.map.message_}")

# %% [markdown]
# The same decoder three times: on codes of test images (what no sample can beat), on codes of AE-OT, and on codes from
# the normal law that has the mean and covariance of the data's codes, which lays mass between the digits. The judge is
# the exact $W_1$ between images, as vectors of pixels, and test images.

# %%
n = 100 if QUICK else 1_500
codes = aeot.codes(images.x[used])
spread = torch.distributions.MultivariateNormal(codes.mean(0), torch.cov(codes.T))
torch.manual_seed(0)
truth = torch.from_numpy(test.x[np.arange(min(n, len(test)))])
sheets = {
    "reconstructions": ae.reconstruct(truth),
    "AE-OT": aeot.sample(n, generator=generator),
    "normal law of codes": ae.decode(spread.sample((n,))),
}
w1 = {name: otgen.wasserstein(sheet.flatten(1).numpy(), truth.flatten(1).numpy()) for name, sheet in sheets.items()}
for name, value in w1.items():
    print(f"W1 of {name:20} to test images: {value:.3f}")
assert QUICK or w1["reconstructions"] < w1["AE-OT"] < w1["normal law of codes"]
assert all(sheet.min() >= 0 and sheet.max() <= 1 for sheet in sheets.values())

# %%
side = 8
figure, panels = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
for panel, (title, sheet) in zip(panels, sheets.items()):
    tall, wide = images.shape[1:]
    grid = sheet[: side * side, 0].numpy().reshape(side, side, tall, wide).transpose(0, 2, 1, 3)
    panel.imshow(grid.reshape(side * tall, side * wide), cmap="gray_r")
    panel.set_title(f"{title}: $W_1$ = {w1[title]:.2f}", fontsize=11)
    panel.axis("off")

# %% [markdown]
# Are they copies? For a sample, the distance to the nearest training code over that of a test image: 1 for new ones, 0
# for copies. AE-OT's lie between neighbouring codes, so below 1.

# %%
drawn = aeot.sample_codes(n, generator=generator).numpy()
ratio = metrics.memorisation(drawn, codes.numpy(), ae.encode(truth).numpy()).ratio
print(f"ratio of distances to the nearest training code: {ratio:.2f}")
assert ratio > 0.05

# %% [markdown]
# What longer training gives, on all 60,000 images, judged in the features of a network that was taught the labels (FID:
# smaller is better; precision: samples that look like data; coverage: data that samples come near):

# %%
lines = ["| data | model | minutes | FID | precision | coverage |", "|---|---|---:|---:|---:|---:|"]
for record in records:
    scores = {name: score["value"] for name, score in record["scores"].items()}
    if record["data"] in ("mnist", "fashion-mnist") and "fid" in scores:
        minutes = sum(record["seconds"].values()) / 60
        lines.append(
            f"| {record['data']} | {record['model']} | {minutes:.0f} | {scores['fid']:.1f} "
            f"| {scores['precision']:.2f} | {scores['coverage']:.2f} |"
        )
scored = [row for row in records if row["data"] == "mnist" and "fid" in row["scores"]]
of_mnist = {row["model"]: row["scores"]["fid"]["value"] for row in scored}
assert min(of_mnist, key=lambda name: of_mnist[name]) == "aeot"
Markdown("\n".join(lines))
