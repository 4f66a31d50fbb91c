"""Generative models behind one protocol: autoencoders with a prior, and Wasserstein GANs."""

from __future__ import annotations

try:
    import torch  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ModuleNotFoundError("otgen.models needs torch. Run: pip install 'otgen[models]'", name="torch") from None

from . import nets as nets
from .ae import AE as AE
from .ae_ot import AEOT as AEOT
from .bounds import GeneralisationBound as GeneralisationBound
from .bounds import generalisation_bound as generalisation_bound
from .catalogue import MODELS as MODELS
from .catalogue import build as build
from .critic import CriticScore as CriticScore
from .critic import critic_score as critic_score
from .duality import DualityGap as DualityGap
from .iwgan import IWGAN as IWGAN
from .protocol import Autoencoder as Autoencoder
from .protocol import Model as Model
from .saved import load as load
from .saved import save as save
from .vae import VAE as VAE
from .wae import WAE as WAE
from .wgan import WGAN as WGAN
