"""Scores of generated samples: distances in the features of a named extractor, neighbours, pixels and toys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .features import Extractor as Extractor
from .features import Network as Network
from .features import Pixels as Pixels
from .images import reconstruction_error as reconstruction_error
from .images import sharpness as sharpness
from .inception import Inception as Inception
from .latent import latent_test as latent_test
from .neighbours import Memorisation as Memorisation
from .neighbours import Neighbours as Neighbours
from .neighbours import memorisation as memorisation
from .neighbours import neighbour_scores as neighbour_scores
from .report import evaluate as evaluate
from .report import render as render
from .scores import Kid as Kid
from .scores import energy as energy
from .scores import exact_w1 as exact_w1
from .scores import fid as fid
from .scores import kid as kid
from .toys import ToyScores as ToyScores
from .toys import toy_scores as toy_scores

if TYPE_CHECKING:
    from .lenet import LeNet as LeNet


def __getattr__(name: str) -> Any:
    if name != "LeNet":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from .lenet import LeNet
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ModuleNotFoundError(
            "otgen.metrics.LeNet needs torch. Run: pip install 'otgen[models]'", name="torch"
        ) from None
    return LeNet
