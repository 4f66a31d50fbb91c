"""The models by name, and a model from its config."""

from __future__ import annotations

from typing import Any

from ..options import is_one_of
from .ae import AE
from .iwgan import IWGAN
from .protocol import Model
from .vae import VAE
from .wae import WAE
from .wgan import WGAN

MODELS: dict[str, type[Model]] = {model.NAME: model for model in (AE, VAE, WAE, WGAN, IWGAN)}


def build(config: dict[str, Any], **networks: Any) -> Model:
    """The model that model.config() describes, with fresh weights.

    networks are the user's own modules by the names that config["custom"] lists: a file cannot hold them. Raises
    ValueError for an unknown model or option, and where networks and config["custom"] differ.
    """
    options = dict(config)
    name, custom = options.pop("model", None), options.pop("custom", [])
    if not is_one_of(name, MODELS):
        raise ValueError(f"config['model'] must be one of {', '.join(MODELS)}; got {name!r}. Pass model.config().")
    if set(networks) != set(custom):
        raise ValueError(
            f"build takes the networks that were the user's own: {sorted(custom)}; got {sorted(networks)}. "
            f"Pass {', '.join(f'{one}=' for one in custom) or 'config alone'}."
        )
    try:
        return MODELS[name](**options, **networks)
    except TypeError as error:
        if "keyword argument" not in str(error) and "positional argument" not in str(error):
            raise
        raise ValueError(f"config must hold the options of {name}; {error}. Pass model.config().") from None
