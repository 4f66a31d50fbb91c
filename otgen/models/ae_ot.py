"""AE-OT: an autoencoder, and an optimal transport map from noise to its codes in place of a generator's guess."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ..devices import is_on_gpu
from ..options import read_count
from ..transport.semidiscrete import SemiDiscreteOT

QUANTILE = 0.9
"""Of the angles between neighbouring targets: the tenth that is widest counts as jumps where no theta is given."""

BLOCK = 1_000
"""Samples that are encoded at once."""


class AEOT:
    """A generative model whose latent distribution is transported exactly: it can neither drop modes nor mix them.

    1. An autoencoder Q, G, trained before. 2. Codes z_i = Q(x_i) of all data. 3. The Brenier map T of `source` to the
    codes, max_i <u, z_i> + h_i, by `SemiDiscreteOT`. 4. Samples G(T~(u)), u from the source: T~ is T made smooth
    between neighbouring codes whose dihedral angle is at most theta, and u is drawn anew where none is (there T jumps).

    autoencoder  a trained AE, VAE or WAE, or any model with encode (n, *shape) -> (n, code), decode back, and `shape`;
                 None for vectors (d,) that are their own codes. Neither it nor its mode is changed.
    source, method, tol, ...    of `SemiDiscreteOT`; `map` holds the fitted one
    theta, quantile    radians, or the quantile of the neighbours' angles, that `sample` uses unless told otherwise;
                 quantile 0.9 where neither is given

    Raises ValueError or TypeError for bad input, RuntimeError before `fit_map`.
    Source: An et al., AE-OT, ICLR 2020; Lei et al., arXiv 1805.08975.
    """

    def __init__(
        self, autoencoder: Any = None, *, theta: float | None = None, quantile: float | None = None, **map_options: Any
    ) -> None:
        missing = [name for name in ("encode", "decode", "shape") if not hasattr(autoencoder, name)]
        if autoencoder is not None and missing:
            raise TypeError(
                f"autoencoder must have encode, decode and shape; {type(autoencoder).__name__} lacks "
                f"{', '.join(missing)}. Pass an otgen.models.AE built of your encoder and decoder, or None for vectors."
            )
        self.autoencoder = autoencoder
        self.theta, self.quantile = theta, quantile
        self.map = SemiDiscreteOT().set_params(**map_options)
        self._fitted = False

    def codes(self, data: Any, *, progress: Any = None) -> Tensor:
        """Codes (n, code) of all samples, by blocks, in eval mode; data and progress as in `fit_map`."""
        found, done = [], 0
        for block in self._blocks(data):
            found.append(self.encode(block))
            done += len(block)
            if progress is not None:
                progress({"phase": "codes", "done": done, "of": len(data)})
        return torch.cat(found)

    def fit_map(self, data: Any, *, resume: Any = None, progress: Any = None) -> AEOT:
        """Encode the data and fit the map to their codes; returns self. Called again it refits the map alone.

        data (n, *shape) is a tensor, a NumPy array, or a DataSet's x. resume names a file that a long fit saves itself
        to and goes on from. progress is called with {"phase": "codes", "done", "of"} and then with what SemiDiscreteOT
        reports, {"phase": "map", ...}. Warns with a ConvergenceWarning where the map's tol was not reached.
        """
        return self.fit_codes(self.codes(data, progress=progress), resume=resume, progress=progress)

    def fit_codes(self, codes: Any, *, resume: Any = None, progress: Any = None) -> AEOT:
        """Fit the map to codes (n, code) that `codes` gave, as `fit_map` does after encoding; returns self."""
        told = None if progress is None else lambda info: progress({"phase": "map"} | info)
        before = self.map.progress
        self.map.set_params(progress=told if before is None else before)
        try:
            given = torch.as_tensor(codes).double()
            there = is_on_gpu(self._like())  # the map is then fitted beside the autoencoder, else on the host
            self.map.fit(given.to(self._like().device) if there else given.cpu().numpy(), resume=resume)
        finally:
            self.map.set_params(progress=before)
        self._fitted = True
        return self

    def use_map(self, fitted: SemiDiscreteOT) -> AEOT:
        """Sample from a map to the codes that was fitted, or loaded, before; returns self."""
        _ = fitted.targets  # raises where it is not fitted
        self.map, self._fitted = fitted, True
        return self

    def encode(self, x: Tensor) -> Tensor:
        """Codes (n, code) of x (n, *shape); x itself without an autoencoder."""
        if self.autoencoder is None:
            return x
        return self.autoencoder.encode(x)

    def decode(self, z: Tensor) -> Tensor:
        """Samples (n, *shape) of codes z (n, code); z itself without an autoencoder."""
        if self.autoencoder is None:
            return z
        return self.autoencoder.decode(z)

    def reconstruct(self, x: Tensor) -> Tensor:
        """G(Q(x)): what no sample can be better than."""
        return self.decode(self.encode(x))

    def sample(
        self, n: int, *, generator: torch.Generator, theta: float | None = None, quantile: float | None = None
    ) -> Tensor:
        """n samples G(T~(u)), (n, *shape): new codes between the known ones, never across a jump of the map."""
        return self.decode(self.sample_codes(n, generator=generator, theta=theta, quantile=quantile))

    def sample_codes(
        self, n: int, *, generator: torch.Generator, theta: float | None = None, quantile: float | None = None
    ) -> Tensor:
        """n codes T~(u), (n, code), in the precision of the autoencoder."""
        self.check_fitted()
        n = read_count(n, "n", "samples")
        seed = int(torch.randint(2**62, (1,), generator=generator, device=generator.device).item())
        found = self.map.sample(n, **self._angle(theta, quantile), seed=seed)
        like = self._like()
        return torch.as_tensor(found, dtype=like.dtype, device=like.device)

    def rejection_rate(self, *, theta: float | None = None, quantile: float | None = None, seed: int = 0) -> float:
        """The share of source points at which the map counts as jumping."""
        self.check_fitted()
        return self.map.rejection_rate(**self._angle(theta, quantile), seed=seed)

    def _angle(self, theta: float | None, quantile: float | None) -> dict[str, Any]:
        if theta is None and quantile is None:
            theta, quantile = self.theta, self.quantile
            quantile = QUANTILE if theta is None and quantile is None else quantile
        return {"theta": theta, "quantile": quantile}

    def _like(self) -> Tensor:
        parameters = getattr(self.autoencoder, "parameters", lambda: iter(()))()
        return next(parameters, torch.empty(0))

    def _blocks(self, data: Any) -> Iterator[Tensor]:
        """The samples as tensors, some at a time, on the device of the autoencoder."""
        if not hasattr(data, "__len__") or not hasattr(data, "__getitem__"):
            raise TypeError(
                f"data must be a tensor, an array or a DataSet's x, of samples along its first axis; got "
                f"{type(data).__name__}. Pass dataset.x."
            )
        if len(data) == 0:
            raise ValueError("data must hold at least one sample; got none. Check the split that was loaded.")
        for start in range(0, len(data), BLOCK):
            yield torch.as_tensor(data[start : start + BLOCK]).to(self._like().device)

    def check_fitted(self) -> None:
        """Raise RuntimeError where there is no map yet."""
        if not self._fitted:
            raise RuntimeError("this AEOT has no map yet. Call fit_map(data) first.")
