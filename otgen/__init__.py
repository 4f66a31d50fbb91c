"""Optimal transport with a proof."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .transport.bandwidth import median_bandwidth as median_bandwidth
from .transport.barycenter import Barycenter as Barycenter
from .transport.barycenter import barycenter as barycenter
from .transport.batch import TransportBatch as TransportBatch
from .transport.couple import couple as couple
from .transport.discrepancy import energy_distance_squared as energy_distance_squared
from .transport.discrepancy import mmd_squared as mmd_squared
from .transport.divergence import sinkhorn_divergence as sinkhorn_divergence
from .transport.entropic import sinkhorn as sinkhorn
from .transport.exact import solve as solve
from .transport.exact import solve_sample as solve_sample
from .transport.exact import wasserstein as wasserstein
from .transport.frechet import frechet_distance as frechet_distance
from .transport.gaussian import GaussianMap as GaussianMap
from .transport.gaussian import gaussian_map as gaussian_map
from .transport.gaussian import gaussian_wasserstein as gaussian_wasserstein
from .transport.line import wasserstein_1d as wasserstein_1d
from .transport.max_sliced import max_sliced_wasserstein as max_sliced_wasserstein
from .transport.moments import GaussianMoments as GaussianMoments
from .transport.pairwise import pairwise as pairwise
from .transport.result import ConvergenceError as ConvergenceError
from .transport.result import ConvergenceWarning as ConvergenceWarning
from .transport.result import Transport as Transport
from .transport.semidiscrete import SemiDiscreteOT as SemiDiscreteOT
from .transport.sliced import sliced_wasserstein as sliced_wasserstein
from .transport.sliced_result import MaxSlicedWasserstein as MaxSlicedWasserstein
from .transport.sliced_result import SlicedWasserstein as SlicedWasserstein
from .transport.two_sample import TwoSampleTest as TwoSampleTest
from .transport.two_sample import two_sample_test as two_sample_test

if TYPE_CHECKING:
    from . import data as data
    from . import metrics as metrics
    from . import models as models
    from . import training as training

ROOMS = ("data", "metrics", "models", "training")
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """The rooms that need torch, or read files, are opened where they are first named: otgen.models, otgen.data, ..."""
    if name in ROOMS:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
