"""Semi-discrete transport: the optimal map of a continuous source to n weighted points, fitted like an estimator.

The Brenier potential u(x) = max_i <x, y_i> + h_i has the map T(x) = y_i on the cell of x, where i attains it. It is
optimal for |x - y|^2 where every cell has the mass b_i of its target. Sources: Aurenhammer, Hoffmann and Aronov,
Minkowski-type theorems and least-squares clustering, Algorithmica 20 (1998); Gu, Luo, Sun and Yau, arXiv 1302.5472.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import autograd, devices
from ..arrays import Home, bring, read_clouds, read_masses
from . import map_files
from .extension import Extension
from .frame import Frame, check_sizes, frame_of
from .result import warn
from .semidiscrete_fit import CellError, Fit, Limits, Locator, Outlines, Targets, Value, fit_exact, fit_sampled
from .semidiscrete_options import (
    METHODS,
    check_limits,
    read_limit,
    read_method,
    read_progress,
    read_seed,
    read_source,
    read_tol,
)
from .sources import CLASSES, Convex, Source

Array = np.ndarray

KIND = "semi-discrete map"
PARAMETERS = (
    "source", "domain", "mean", "cov", "density", "method", "optimizer", "tol", "max_iter", "max_time", "max_samples",
    "seed", "progress",
)  # fmt: skip
SAVED = "method", "optimizer", "tol", "max_iter", "max_time", "max_samples", "seed"


class SemiDiscreteOT:
    """The optimal transport map of a continuous source to points, by Newton's method or by Monte Carlo.

    source   "uniform" on the box domain (d, 2) of rows (low, high), the unit box by default; "ball" with domain
             (centre, radius), the unit ball by default; "normal" with mean and cov, the standard one by default;
             "polygon" or "polyhedron", the convex hull of domain (k, d); "image", a density of pixels (rows along the
             second coordinate) or of voxels on the box domain; or a function sampler(n, rng) -> (n, d)
    method   "newton": exact power diagrams, d = 2 or 3, for all sources but ball, normal and functions; tol is the
             largest relative error of a cell's mass (1e-6). "monte_carlo": any d; tol bounds chi2 of the masses from
             above with 95 % confidence (0.01: 10 % RMS). "auto": newton where it can be
    optimizer    in method "monte_carlo": None, or "adam" for the plain algorithm of the literature
    max_time (seconds), max_iter (newton's steps), max_samples (of monte_carlo)    end a fit early, with a
                 ConvergenceWarning and converged_ False
    progress     called at every step with a dict: iteration, seconds, error or chi2, samples

    After fit: heights_ (n,), float64, centred, -inf where b is 0; cell_measures_ (n,); cell_centers_ (n, d), NaN where
    there is none; error_ (CellError: chi2, low, high, samples, empty, max_relative); value_ (Value: value, low, high);
    converged_; message_; method_; n_iter_; history_ (a dict of equally long lists); merged_ (equal targets);
    n_features_in_.
    """

    def __init__(
        self, source: Any = "uniform", *, domain: Any = None, mean: Any = None, cov: Any = None, density: Any = None,
        method: str = "auto", optimizer: str | None = None, tol: float | None = None, max_iter: int | None = None,
        max_time: float | None = None, max_samples: int | None = None, seed: int = 0,
        progress: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:  # fmt: skip
        self.source, self.domain, self.mean, self.cov, self.density = source, domain, mean, cov, density
        self.method, self.optimizer, self.tol, self.max_iter = method, optimizer, tol, max_iter
        self.max_time, self.max_samples, self.seed, self.progress = max_time, max_samples, seed, progress

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters of the constructor, by name."""
        return {name: getattr(self, name) for name in PARAMETERS}

    def set_params(self, **parameters: Any) -> SemiDiscreteOT:
        """Set parameters of the constructor; returns self."""
        for name, value in parameters.items():
            if name not in PARAMETERS:
                raise ValueError(f"{name} is no parameter of SemiDiscreteOT. Pass one of {', '.join(PARAMETERS)}.")
            setattr(self, name, value)
        return self

    @devices.on_device
    def fit(self, y: Any, b: Any = None, *, resume: Any = None) -> SemiDiscreteOT:
        """Fit the map to targets y (n, d) of masses b (n,) that sum to 1, None for 1 / n each; returns self.

        resume names a file: the fit saves itself there once a minute, and goes on from it where it exists, to the same
        heights, bit for bit, as a fit that was never stopped. Equal targets are merged and share their cell in
        proportion to b. An interrupt keeps the best heights so far.
        Targets on a GPU are fitted there by Monte Carlo, whose samples are then drawn there, and on the host by newton.
        Raises ValueError or TypeError for bad input; warns with a ConvergenceWarning where tol was not reached.
        """
        (given,), home = read_clouds({"y": y})
        points, masses = devices.fetch(given), devices.fetch(_read_masses(b, given, y))
        seed = read_seed(self.seed)
        source = read_source(
            self.source, points.shape[1], domain=self.domain, mean=self.mean, cov=self.cov, density=self.density,
            seed=seed,
        )  # fmt: skip
        method = read_method(self.method, source, self.optimizer)
        limits = Limits(
            read_tol(self.tol, method), read_limit(self.max_iter, "max_iter", 1, whole=True),
            read_limit(self.max_time, "max_time", 0.0, whole=False),
            read_limit(self.max_samples, "max_samples", 1, whole=True), read_progress(self.progress),
        )  # fmt: skip
        check_limits(method, self.max_iter, self.max_samples)
        targets = Targets(points.astype(np.float64), masses)
        check_sizes(frame_of(targets.points, source))
        if limits.max_samples < len(targets.points):
            raise ValueError(
                f"max_samples must be at least the number of targets, {len(targets.points)}; got {self.max_samples!r}. "
                "Raise it, or fit fewer targets."
            )
        saved = None
        if resume is not None:
            parts = source.kind, *source.identity(), method, self.optimizer, seed
            saved = map_files.Checkpoint(resume, map_files.fingerprint(targets.points, targets.masses, *parts))
        if isinstance(source, Convex) and method == "newton":
            found = fit_exact(targets, source, limits, seed, saved)
        else:
            found = fit_sampled(targets, source, limits, seed, saved, self.optimizer, given)
        self._y, self._b, self._home = points.astype(np.float64), masses, home
        self._describe(method, source, targets, found)
        if not self.converged_:
            warn(self.message_)
        return self

    def _describe(self, method: str, source: Source | None, targets: Targets, found: Fit) -> None:
        home, double = self._home, np.dtype(np.float64)
        self._source, self._targets, self._found = source, targets, found
        self._locate = Locator(targets.points, found.heights, found.frame)
        self._outlines = Outlines(targets, source, found.heights, found.frame)
        heights = found.frame.heights_out(found.heights, targets.points)
        self._heights = heights - targets.masses @ heights
        self.method_, self.converged_, self.message_ = method, bool(found.converged), found.message
        self.n_iter_, self.n_features_in_, self.merged_ = found.n_iter, targets.points.shape[1], targets.merged
        self.heights_ = home.array(targets.spread(self._heights, -np.inf), double)
        self.cell_measures_ = home.array(targets.spread(found.masses, 0.0, shared=True), double)
        self.cell_centers_ = home.array(targets.spread(found.centres, np.nan), double)
        self.error_, self.value_ = found.error, found.value
        self.history_ = {name: [row.get(name) for row in found.history] for name in (found.history or [{}])[0]}

    @devices.on_device
    def assign(self, x: Any) -> Any:
        """The index of the target of every x (k, d): argmax_i <x, y_i> + h_i, the lowest where several attain it."""
        points, home = self._read(x)
        rows = devices.beside(points, self._targets.rows)
        return home.array(rows[self._cell_of(points)], np.dtype(np.int64))

    @devices.on_device
    def transform(self, x: Any) -> Any:
        """T(x) (k, d) for x (k, d): the target of the cell that holds x."""
        points, home = self._read(x)
        return home.array(devices.beside(points, self._targets.points)[self._cell_of(points)])

    @devices.on_device
    def potential(self, x: Any) -> Any:
        """The Brenier potential u(x) = max_i <x, y_i> + h_i (k,) for x (k, d); its gradient, for tensors, is T(x)."""
        points, home = self._read(x)
        cell = self._cell_of(points)
        gradient = devices.beside(points, self._targets.points)[cell]
        values = np.einsum("ij,ij->i", points.astype(np.float64), gradient)
        values = values + devices.beside(points, self._heights)[cell]
        if autograd.wants_gradient(x):
            return autograd.attach(values, home, [(x, gradient)], batched=True)
        return home.array(values)

    def cell(self, i: int) -> Array:
        """The corners of cell i: (k, 2) counter-clockwise in the plane, (k, 3) in no order in space; (0, d) if empty.

        Raises ValueError for sources that are no box, polygon, polyhedron or image.
        """
        return self.cells([i])[0]

    def cells(self, rows: Any = None) -> list[Array]:
        """The corners of the cells of the targets `rows`, None for all, as `cell` gives each."""
        self._check_fitted()
        source = self._source
        if not isinstance(source, Convex) or source.dim not in (2, 3):
            raise ValueError(
                f"cell needs a box, a polygon, a polyhedron or an image as source, in 2 or 3 dimensions; got "
                f"{source.kind if source else 'a function'!r} in {self.n_features_in_}. Use assign to find cells."
            )
        rows = np.arange(len(self._y)) if rows is None else np.asarray(rows)
        if rows.ndim != 1 or rows.dtype.kind not in "iu" or ((rows < 0) | (rows >= len(self._y))).any():
            raise ValueError(f"i must be an int from 0 to {len(self._y) - 1}, that of a target; got {rows.tolist()}.")
        return self._outlines(rows)

    def domain_corners(self) -> Array:
        """The corners (k, d) of the convex domain: the source's support."""
        self._check_fitted()
        if not isinstance(self._source, Convex):
            raise ValueError("only boxes, polygons, polyhedra and images have corners. Use sample to see the source.")
        return self._source.corners

    def mass_errors(self) -> Array:
        """(n,) relative errors of the cells' masses, w_i / b_i - 1; NaN where b_i is 0."""
        self._check_fitted()
        return self._targets.spread(self._found.masses / self._targets.masses - 1.0, np.nan)

    @property
    def targets(self) -> Array:
        """(n, d), float64, as fitted."""
        self._check_fitted()
        return self._y

    def angle(self, theta: float | None = None, quantile: float | None = None) -> float:
        """The dihedral angle in radians that theta or a quantile of the neighbours' angles names."""
        return self._extension().threshold(theta, quantile)

    def sample(self, n: int, *, theta: float | None = None, quantile: float | None = None, seed: int = 0) -> Any:
        """n new points (n, d) of the map's smooth extension, made by mixing the targets of neighbouring cells.

        A source point x takes the inverse-distance mean of the targets of the d + 1 nearest cell centres whose dihedral
        angle to the nearest one is at most theta (radians, or that quantile of the neighbours' angles), and is rejected
        where none is: there the map jumps. Raises ValueError where nearly every point is rejected.
        """
        extension = self._extension()
        return self._home.array(extension.sample(n, extension.threshold(theta, quantile), seed=seed))

    def rejection_rate(
        self, *, theta: float | None = None, quantile: float | None = None, n: int = 10_000, seed: int = 0
    ) -> float:
        """The share of n source points that `sample` rejects at this angle."""
        extension = self._extension()
        return extension.rejection_rate(extension.threshold(theta, quantile), n, seed=seed)

    @devices.on_device
    def singular(self, x: Any, *, theta: float | None = None, quantile: float | None = None) -> Any:
        """Whether the extension jumps at x (k, d): no neighbour within the angle. (k,) booleans."""
        points, home = self._read(x)
        extension = self._extension()
        found = extension.singular(devices.fetch(points).astype(np.float64), extension.threshold(theta, quantile))
        return home.array(found, np.dtype(bool))

    @property
    def without_centre_(self) -> int:
        """How many targets that carry mass have no cell centre and so take no part in `sample`."""
        self._check_fitted()
        return self._extension().without_centre

    def save(self, path: Any) -> None:
        """Write the fitted map to a file (npz and JSON, nothing pickled); a source function is not kept."""
        self._check_fitted()
        source, found = self._source, self._found
        content: dict[str, Any] = {
            "y": self._y, "b": self._b, "dtype": self._home.dtype.name, "heights": found.heights,
            "masses": found.masses, "centres": found.centres, "at_x": found.frame.at_x, "log_x": found.frame.log_x,
            "at_y": found.frame.at_y, "log_y": found.frame.log_y,
            "kind": None if source is None else source.kind, "method": self.method_, "converged": self.converged_,
            "message": self.message_, "n_iter": self.n_iter_, "history": self.history_,
            "error": vars(self.error_), "value": vars(self.value_),
            "source": self.source if isinstance(self.source, str) else None, "ball": None,
        }  # fmt: skip
        content |= {f"parameter_{name}": getattr(self, name) for name in SAVED}
        for name in ("domain", "mean", "cov", "density"):
            value = getattr(self, name)
            if self.source == "ball" and value is not None:
                value, content["ball"] = value[0], float(value[1])
            content[f"parameter_{name}"] = None if value is None else np.asarray(value, np.float64)
        if source is not None:
            content |= {f"source_{name}": np.asarray(value) for name, value in source.parameters().items()}
        map_files.write(path, KIND, content)

    @classmethod
    def load(cls, path: Any) -> SemiDiscreteOT:
        """Read a map that `save` wrote. Raises ValueError for any other file, FileNotFoundError for none."""
        content = map_files.read(path, KIND)
        try:
            return cls._of(content)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"{path} must be a {KIND} of this otgen; something in it is missing or wrong ({error}). Save it anew."
            ) from error

    @classmethod
    def _of(cls, content: dict[str, Any]) -> SemiDiscreteOT:
        kind, source = content["kind"], None
        if kind in CLASSES:
            source = CLASSES[kind](
                **{name.removeprefix("source_"): value for name, value in content.items() if name.startswith("source_")}
            )
        parameters = {name: content[f"parameter_{name}"] for name in (*SAVED, "domain", "mean", "cov", "density")}
        if content["ball"] is not None:
            parameters["domain"] = (parameters["domain"], content["ball"])
        fitted = cls().set_params(source=content["source"], **parameters)
        _check_content(content)
        fitted._y, fitted._b, fitted._home = content["y"], content["b"], Home(np.dtype(content["dtype"]))
        targets = Targets(fitted._y, fitted._b)
        found = Fit(
            Frame(*(content[name] for name in ("at_x", "log_x", "at_y", "log_y"))), content["heights"],
            content["masses"], content["centres"], CellError(**content["error"]), Value(**content["value"]),
            content["converged"], content["message"], content["n_iter"], [],
        )  # fmt: skip
        fitted._describe(content["method"], source, targets, found)
        fitted.history_ = content["history"]
        return fitted

    def _extension(self) -> Extension:
        self._check_fitted()
        if self._source is None:
            raise ValueError(
                "a map loaded from a file has no source function to draw from. Fit it anew, or use a named source."
            )
        return Extension(self._targets.points, self._found.centres, self._source, seed=int(self.seed))

    def _cell_of(self, points: Array) -> Array:
        """The cell of every point, found where the points are."""
        return self._locate.beside(points)(points.astype(np.float64))

    def _read(self, x: Any) -> tuple[Array, Home]:
        self._check_fitted()
        (points,), home = read_clouds({"x": x})
        if points.shape[1] != self.n_features_in_:
            raise ValueError(
                f"x must have shape (k, {self.n_features_in_}), as y; got shape {points.shape}. Match their columns."
            )
        return points, home

    def _check_fitted(self) -> None:
        if not hasattr(self, "_found"):
            raise ValueError("this SemiDiscreteOT is not fitted. Call fit(y) first, or SemiDiscreteOT.load(path).")


def _check_content(content: dict[str, Any]) -> None:
    """Raise ValueError where entries of a file are of the wrong kind."""
    for name, kinds in (("converged", bool), ("n_iter", int), ("message", str), ("history", dict)):
        if not isinstance(content[name], kinds):
            raise ValueError(f"{name} is {content[name]!r}")
    if content["method"] not in METHODS:
        raise ValueError(f"method is {content['method']!r}")
    for name in ("heights", "masses", "y", "b"):
        if not np.isfinite(content[name]).all():
            raise ValueError(f"{name} holds NaN or inf")


def _read_masses(b: Any, y: Array, given: Any) -> Array:
    (masses,) = read_masses({"b": b}, [len(y)], y=given)
    total = float(masses.sum())
    # The house's rule, in the precision that b was given in.
    single = b is not None and bring(b, "b", None).dtype == np.float32
    if abs(total - 1.0) > 8.0 * np.sqrt(len(y)) * np.finfo(np.float32 if single else np.float64).eps:
        raise ValueError(f"b must sum to 1, the mass of the source; it sums to {total!r}. Pass b / b.sum().")
    return masses / total
