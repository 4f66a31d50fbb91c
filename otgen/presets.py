"""The hyper-parameters of a run, by model and kind of data, as named presets.

"paper" is what was published, "cpu" the same idea for images in minutes on two cores, "toy" for points in the plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .preset_fields import (
    AEOTPreset,
    AEPreset,
    IWGANPreset,
    Preset,
    VAEPreset,
    WAEGANPreset,
    WAEMMDPreset,
    WAESinkhornPreset,
    WGANClipPreset,
    WGANGPPreset,
    WGANPreset,
    hints_of,
    told,
)

KINDS = {1: "vectors", 3: "images"}  # by the number of axes of a sample

# Points in the plane: an epoch is a few dozen batches, so pictures and checkpoints are rare.
TOY: dict[str, Any] = {
    "code": 2, "width": 128, "batch": 256, "steps": 5_000, "picture_every": 50, "accelerator": "cpu",
}  # fmt: skip
# A cycle of four updates takes a core some 0.05 s: seven minutes or so in all.
PLAY: dict[str, Any] = TOY | {
    "steps": 8_000, "critic_steps": 3, "critic_width": 128, "schedule": {"name": "cosine"}, "ema": 0.999,
    "picture_every": 200, "watch_every": 25,
}  # fmt: skip
# 4.0 MFLOP forward for an encoder and a decoder of 28 x 28.
CPU: dict[str, Any] = {
    "code": 16, "width": 24, "batch": 128, "epochs": 10, "least_steps": 1_500,
    "schedule": {"name": "cosine"},
}  # fmt: skip
# Tolstikhin et al., arXiv 1711.01558: MNIST.
WAE_PAPER: dict[str, Any] = {
    "code": 8, "width": 128, "batch": 100, "epochs": 100, "lr": 1e-3, "betas": (0.5, 0.999),
    "schedule": {"name": "step", "at": [0.3, 0.5], "factors": [0.5, 0.2]},
}  # fmt: skip
WAE_CPU: dict[str, Any] = WAE_PAPER | CPU
# In the plane a penalty of 10 on codes outweighs squared distances of 1e-3 between modes.
WAE_TOY: dict[str, Any] = TOY | {"factor": 1.0, "weight": 0.1}
# An et al., ICLR 2020: CelebA; the number of epochs is not theirs.
AE_PAPER: dict[str, Any] = {"code": 100, "width": 64, "batch": 512, "epochs": 300, "lr": 2e-5}
# Gulrajani et al., arXiv 1704.00028: images (a generator of the DCGAN type), then toys.
GP_PAPER: dict[str, Any] = {
    "code": 128, "width": 64, "batch": 64, "steps": 200_000, "lr": 1e-4, "betas": (0.5, 0.9),
}  # fmt: skip
GP_TOY: dict[str, Any] = TOY | {
    "width": 512, "lr": 1e-4, "betas": (0.5, 0.9), "steps": 100_000, "picture_every": 500,
    "watch_every": 500,
}  # fmt: skip
GAN_CPU: dict[str, Any] = {"code": 64, "width": 32, "batch": 64, "steps": 2_000, "lr": 2e-4, "betas": (0.5, 0.9)}
PLAYED: dict[str, Any] = PLAY | {"lr": 1e-3, "betas": (0.5, 0.9)}
# As its paper, but for the number of steps: no rate falls.
CLIP_PLAY: dict[str, Any] = PLAY | {
    "steps": 15_000, "critic_steps": 5, "schedule": None, "optimizer": "rmsprop", "lr": 5e-5,
}  # fmt: skip
IWGAN_PLAY: dict[str, Any] = PLAYED | {
    "steps": 8_000, "critic_steps": 4, "weight": 0.5, "bound": 4.0, "watch_every": 100, "gap_budget": 100,
}  # fmt: skip
# Chen, Gao and Wang, JRSS B 84 (2022): toys; the number of steps and the bound are not theirs.
IWGAN_TOY: dict[str, Any] = {
    "code": 2, "width": (512, 256, 128, 64), "critic_width": (256, 128, 64), "batch": 512, "lr": 2e-4,
    "betas": (0.5, 0.999), "weight": 5.0, "bound": 4.0, "steps": 50_000, "picture_every": 500,
    "watch_every": 500,
}  # fmt: skip

PRESETS: dict[str, dict[str, dict[str, Preset]]] = {
    "ae": {"vectors": {"toy": AEPreset(**TOY)}, "images": {"cpu": AEPreset(**CPU), "paper": AEPreset(**AE_PAPER)}},
    "vae": {
        "vectors": {"toy": VAEPreset(**TOY, variance=0.01)},
        # The paper of the WAE measures itself against a VAE of its own networks and rates.
        "images": {
            "cpu": VAEPreset(**CPU, likelihood="bernoulli"), "paper": VAEPreset(**WAE_PAPER, likelihood="bernoulli"),
        },
    },
    "wae-mmd": {
        "vectors": {"toy": WAEMMDPreset(**WAE_TOY)},
        "images": {"cpu": WAEMMDPreset(**WAE_CPU), "paper": WAEMMDPreset(**WAE_PAPER)},
    },
    "wae-gan": {
        "vectors": {"toy": WAEGANPreset(**WAE_TOY, adversary_lr=5e-4)},
        "images": {
            # The players share the epochs. At the paper's weight of 10, in so few, the penalty outweighs the pixels.
            "cpu": WAEGANPreset(**WAE_CPU | {"epochs": 20, "weight": 0.3}, adversary_lr=5e-4),
            "paper": WAEGANPreset(**WAE_PAPER, adversary_lr=5e-4),
        },
    },
    "wae-sinkhorn": {
        "vectors": {"toy": WAESinkhornPreset(**WAE_TOY)},
        "images": {"cpu": WAESinkhornPreset(**WAE_CPU), "paper": WAESinkhornPreset(**WAE_PAPER)},
    },
    "wgan-clip": {
        "vectors": {
            "toy": WGANClipPreset(**CLIP_PLAY),
        },
        # Arjovsky et al., arXiv 1701.07875, algorithm 1.
        "images": {
            "cpu": WGANClipPreset(
                code=64, width=32, critic_width=32, batch=64, steps=4_000, optimizer="rmsprop", lr=5e-5
            ),
            "paper": WGANClipPreset(code=100, width=64, batch=64, steps=200_000, optimizer="rmsprop", lr=5e-5),
        },
    },
    "wgan-gp": {
        "vectors": {
            "toy": WGANGPPreset(**PLAYED, weight=0.1),
            "paper": WGANGPPreset(**GP_TOY, critic_width=512, weight=0.1),
        },
        "images": {
            "cpu": WGANGPPreset(**GAN_CPU, critic_width=32), "paper": WGANGPPreset(**GP_PAPER, critic_norm="layer"),
        },
    },
    # Miyato et al., arXiv 1802.05957, setting A.
    "wgan-spectral": {
        "vectors": {"toy": WGANPreset(**PLAYED)},
        "images": {"cpu": WGANPreset(**GAN_CPU, critic_width=32), "paper": WGANPreset(**GP_PAPER)},
    },
    "iwgan": {
        "vectors": {
            "toy": IWGANPreset(**IWGAN_PLAY), "paper": IWGANPreset(**IWGAN_TOY),
        },
        "images": {"cpu": IWGANPreset(**GAN_CPU, critic_width=32)},
    },
    "aeot": {
        "vectors": {"toy": AEOTPreset(**TOY, autoencoder=None, theta=0.2)},
        "images": {
            "cpu": AEOTPreset(**CPU, source="normal", quantile=0.25, tol=0.2, max_time=900.0),
            "paper": AEOTPreset(**AE_PAPER, source="uniform"),
        },
    },
}  # fmt: skip
MODELS = tuple(PRESETS)


def of(model: str, shape: Sequence[int] | None = None, name: str | None = None) -> Preset:
    """The preset of a model by its name, or the first for samples of this shape; raises ValueError for another."""
    kinds = PRESETS[check_model(model)]
    kind = None if shape is None else KINDS.get(len(shape), "vectors")
    named = {key: value for k, presets in kinds.items() if kind in (None, k) for key, value in presets.items()}
    if name is not None and name not in named:
        held = "" if kind is None else f" for {kind}"
        raise ValueError(f"preset of {model}{held} must be one of {', '.join(named)}; got {name!r}. Pass one of them.")
    return named[name] if name else next(iter(named.values()))


def check_model(model: Any) -> str:
    """Return the name of a model that can be trained; raise ValueError for another."""
    if model not in PRESETS:
        raise ValueError(f"model must be one of {', '.join(MODELS)}; got {model!r}. Pass one of them.")
    return model


def table(model: str, name: str | None = None) -> list[tuple[str, ...]]:
    """Rows of text: the fields of a model's presets, a column a preset; the first row has their names."""
    kinds = PRESETS[check_model(model)]
    named = {f"{key} ({kind})": value for kind, group in kinds.items() for key, value in group.items()}
    if name is not None:
        of(model, name=name)
        named = {key: value for key, value in named.items() if key.startswith(f"{name} ")}
    rows = [(field, *(told(getattr(one, field)) for one in named.values())) for field in hints_of(type(of(model)))]
    return [("field", *named), *rows]
