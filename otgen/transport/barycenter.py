"""The free-support Wasserstein barycenter: the cloud of fixed weights that is nearest to several clouds at once."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import devices
from ..arrays import Home, home_beside, read_clouds, read_masses, read_vector
from ..options import check_most, is_real, read_seed
from .entropic import sinkhorn
from .exact import solve_sample
from .iteration import Secants
from .regularisation import DEFAULT_TOL, read_max_iter, read_regularisation
from .result import ConvergenceWarning, Transport, warn

Array = np.ndarray
Progress = Callable[[dict[str, Any]], None] | None

MAX_ITER = 200
"""Steps after which a run that was given no max_iter stops with a warning."""

MOVEMENT = 1e-4
"""tol where none is given: a step then lowers what is minimised by about 1e-8 of the squared spread."""

APART = 1e-3
"""Of the spread of the clouds: how far from each other copies of one point start, which would else stay together."""


@dataclass(frozen=True, eq=False, repr=False)
class Barycenter:
    """A cloud between clouds, and the transports that lead from it to each.

    points      (size, d), in the library and precision of the clouds; no gradients
    weights     (size,) float64, fixed
    value       what was minimised: sum_k share_k objective_k, with W2^2 as objective_k where exact, of `transports`
    history     value at every step that was kept, floats: it never rises, but for rounding and Sinkhorn's tol
    converged   the last step would move the points, root mean square, by at most tol of the spread of the clouds
    n_iter      steps;  message: why it stopped
    transports  a Transport from points to each cloud
    """

    points: Any
    weights: Any
    value: Any
    history: tuple[float, ...]
    converged: bool
    n_iter: int
    message: str
    transports: tuple[Transport, ...]

    def __repr__(self) -> str:
        verdict = "converged" if self.converged else f"NOT converged: {self.message}"
        return (
            f"Barycenter of {len(self.transports)} clouds, {len(self.points):,} points\n"
            f"  value   {float(self.value):.12g}, n_iter {self.n_iter}, {verdict}"
        )


@devices.on_device
def barycenter(
    clouds: Any,
    weights: Any = None,
    *,
    shares: Any = None,
    size: int | None = None,
    support: Any = None,
    support_weights: Any = None,
    eps: float | None = None,
    tol: float | None = None,
    max_iter: int | None = None,
    seed: int | np.random.Generator = 0,
    progress: Progress = None,
) -> Barycenter:
    """Free-support Wasserstein barycenter: the points that minimise the mean squared distance W2^2 to several clouds.

    min over z (size, d) of sum_k share_k W2^2((z, w), (y_k, b_k)); with eps, of the objective of `sinkhorn` instead.

    clouds is a list of arrays (n_k, d), weights a list of (n_k,) or None, all of one mass; shares (K,) are positive
    and sum to 1, None is 1/K each. size is the number of points, by default that of the largest cloud, support
    (size, d) where they start, by default points drawn from all clouds by share (from seed), and support_weights w
    (size,) their fixed weights, by default uniform. Each step transports the points to every cloud and moves them
    to the mean of where they are sent, or where entropic beyond it, if that is no worse. That is a local minimum:
    another seed may find a better one. It runs until a step would move them, root mean square, by at most tol of
    the spread of the clouds (default 1e-4), or max_iter steps (default 200): then converged is False and a
    ConvergenceWarning says so. An interrupt returns the last complete step, and is passed on where there is none.
    eps, on the scale of the squared distances, draws the points together. progress is called once a step with a
    dict (iteration, value, movement, tol, seconds). Clouds on a GPU stay there, and each transport is made as
    `solve_sample` or `sinkhorn` makes it there.

    Raises ValueError or TypeError for bad input. Memory O(sum n_k). Source: Cuturi and Doucet, arXiv 1310.4375,
    algorithm 2.
    """
    if eps is not None:
        read_regularisation(eps, None)
    named = _named(clouds, weights)
    listed = dict(named[0])
    if support is not None:
        listed["support"] = support
    found, home = read_clouds(listed)
    count = len(named[0])
    masses = read_masses(named[1], [len(cloud) for cloud in found[:count]], **listed)
    home = home_beside(home, **named[1])
    share = _read_shares(shares, count)
    size = _read_size(size, found, count, support, support_weights)
    if support_weights is None:
        own = np.full_like(masses[0], float(masses[0].sum()) / size, shape=(size,))
    else:
        pair = {"weights[0]": home.array(masses[0], masses[0].dtype), "support_weights": support_weights}
        own = read_masses(pair, [len(masses[0]), size], **listed)[1]
    tol, max_iter = _read_stopping(tol, max_iter, progress)
    steps = _Steps(found[:count], masses, share, own, home, eps, tol)
    start = found[count].copy() if support is not None else _drawn(steps, size, read_seed(seed))
    return steps.run(start, max_iter, progress)


class _Steps:
    """Clouds y_k of weights b_k and shares, and steps of points that carry `own` weights towards their barycenter."""

    def __init__(
        self, clouds: list[Array], masses: list[Array], shares: Array, own: Array, home: Home, eps: Any, tol: float
    ) -> None:
        self.clouds, self.masses, self.shares, self.own, self.home = clouds, masses, shares, own, home
        self.eps, self.tol = eps, tol
        # Where entropic, the step is smooth, and its Jacobian self-adjoint in this inner product and in [0, 1) near a
        # minimum: what the secants of Sinkhorn's iteration ask for. Where exact the points come to rest soon anyway.
        self._secants = Secants(np.repeat(own / own.sum(), clouds[0].shape[1]))
        # as the user's library has them: the transports that come out are the user's
        self._theirs = [(home.array(y), home.array(b, b.dtype)) for y, b in zip(clouds, masses)]
        self._own = home.array(own, own.dtype)
        mass = float(own.sum())
        means = [b @ y.astype(np.float64) / mass for y, b in zip(clouds, masses)]
        mean = _weighted(shares, means)
        about = [float(b @ np.square(y.astype(np.float64) - mean).sum(axis=1)) / mass for y, b in zip(clouds, masses)]
        self.spread = math.sqrt(shares @ about)
        largest = max(float(np.abs(y).max()) for y in clouds)
        self._rounding = 8.0 * float(np.finfo(home.dtype).eps) * largest * math.sqrt(clouds[0].shape[1])

    def run(self, points: Array, max_iter: int, progress: Progress) -> Barycenter:
        """Step until the points rest, and return where they were last transported from."""
        began, last, movement, interrupted = time.perf_counter(), None, math.inf, False
        history, plain, best = [], None, math.inf
        try:
            for _ in range(max_iter):
                here = self.home.array(points)
                transports = self._transports(here, last and last[1])
                value = float(self.shares @ [float(transport.objective) for transport in transports])
                # of second order in what Sinkhorn's tol leaves open, as the objective is not
                dual = float(self.shares @ [transport.dual_value for transport in transports])
                if plain is not None and not dual <= best:
                    points, plain = plain, None
                    self._secants.clear()
                    continue
                last, best = (here, transports), dual
                history.append(value)
                moved = _weighted(self.shares, [self._float64(transport.map()) for transport in transports])
                residual = moved - self._float64(here)
                movement = math.sqrt(self.own @ np.square(residual).sum(axis=1) / self.own.sum())
                if progress is not None:
                    info = {"iteration": len(history), "value": value, "movement": self._relative(movement)}
                    progress(info | {"tol": self.tol, "seconds": time.perf_counter() - began})
                if self._at_rest(movement):
                    break
                points, plain = moved, None
                if self.eps is not None:
                    self._secants.add(self._float64(here).ravel(), residual.ravel())
                    step = self._secants.step(residual.ravel()).reshape(moved.shape)
                    points, plain = self._float64(here) + step, moved
        except KeyboardInterrupt:
            if last is None:
                raise
            interrupted = True
        assert last is not None
        return self._result(*last, history, movement, interrupted)

    def _float64(self, values: Any) -> Array:
        return devices.beside(self.own, values).astype(np.float64, copy=False)

    def _at_rest(self, movement: float) -> bool:
        return movement <= self.tol * self.spread + self._rounding

    def _relative(self, movement: float) -> float:
        return movement / self.spread if self.spread > 0 else 0.0

    def _result(
        self, points: Any, transports: tuple[Transport, ...], history: list[float], movement: float, interrupted: bool
    ) -> Barycenter:
        """The result with its verdict, warning where the points do not rest or a transport is not converged."""
        where = f"where a step moves the points by {self._relative(movement):.1e} of the spread of the clouds"
        open_ones = [transport.message for transport in transports if not transport.converged]
        if interrupted:
            message = f"interrupted after {len(history)} steps"
        elif not self._at_rest(movement):
            message = f"stopped {where}, above tol={self.tol:g}, after {len(history)} steps. Raise max_iter or tol"
        elif open_ones:
            message = f"the points rest, but a transport is not converged: {open_ones[0]}"
        else:
            message = f"converged {where}"
        converged = message.startswith("converged")
        if not converged:
            warn(message)
        return Barycenter(
            points=points,
            weights=self._own,
            value=self.home.number(history[-1]),
            history=tuple(history),
            converged=converged,
            n_iter=len(history),
            message=message,
            transports=transports,
        )

    def _transports(self, points: Any, before: tuple[Transport, ...] | None) -> tuple[Transport, ...]:
        """Transports from the points to every cloud; raises KeyboardInterrupt where one was interrupted."""
        found = []
        for k, (y, b) in enumerate(self._theirs):
            if self.eps is None:
                transport = solve_sample(points, y, self._own, b)
            else:
                # The map is wanted as exactly as the points; what is not reached is told once, at the end.
                tol = self.tol if self.tol < DEFAULT_TOL[self.home.dtype] else None
                start = None if before is None else before[k].potentials
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    transport = sinkhorn(points, y, self._own, b, eps=self.eps, tol=tol, potentials=start)
            if transport.message.startswith("interrupted"):
                raise KeyboardInterrupt
            found.append(transport)
        return tuple(found)


def _weighted(shares: Array, parts: list[Array]) -> Array:
    """sum_k share_k part_k, wherever the parts are."""
    total = np.zeros_like(parts[0])
    for share, part in zip(shares, parts):
        total += float(share) * part
    return total


def _drawn(steps: _Steps, size: int, rng: np.random.Generator) -> Array:
    """Points of all clouds, by share and weight, none twice before each has come up; copies a little apart."""
    points = np.concatenate([devices.fetch(cloud) for cloud in steps.clouds]).astype(np.float64)
    chances = np.concatenate([share * devices.fetch(b) for share, b in zip(steps.shares, steps.masses)])
    points, chances = points[chances > 0], chances[chances > 0]
    whole, rest = divmod(size, len(points))
    once = rng.choice(len(points), rest, replace=False, p=chances / chances.sum())
    copies = np.tile(points, (whole, 1))
    copies[len(points) :] += rng.normal(size=copies[len(points) :].shape) * APART * steps.spread
    more = points[once] + (rng.normal(size=(rest, points.shape[1])) * APART * steps.spread if whole else 0.0)
    return devices.beside(steps.own, np.concatenate([copies, more]))


def _named(clouds: Any, weights: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    if not isinstance(clouds, (list, tuple)) or not clouds:
        got = "an empty one" if isinstance(clouds, (list, tuple)) else type(clouds).__name__
        raise TypeError(f"clouds must be a list of arrays (n_k, d), one a cloud; got {got}. Pass [x, y].")
    count = len(clouds)
    if weights is None:
        weights = [None] * count
    if not isinstance(weights, (list, tuple)) or len(weights) != count:
        got = f"{len(weights)} of them" if isinstance(weights, (list, tuple)) else type(weights).__name__
        raise ValueError(
            f"weights must be None or a list of {count}, an array (n_k,) or None for each cloud; got {got}. "
            "Pass None for a cloud of uniform weights."
        )
    return {f"clouds[{k}]": y for k, y in enumerate(clouds)}, {f"weights[{k}]": w for k, w in enumerate(weights)}


def _read_shares(shares: Any, count: int) -> Array:
    if shares is None:
        return np.full(count, 1.0 / count)
    found = read_vector(shares, "shares")
    if found.shape != (count,) or not (found > 0).all():
        raise ValueError(
            f"shares must be {count} positive numbers, one for each cloud; got {shares!r}. Leave out clouds of share 0."
        )
    total = float(found.sum())
    if abs(total - 1.0) > 8 * math.sqrt(count) * float(np.finfo(np.float32).eps):
        raise ValueError(f"shares must sum to 1; they sum to {total!r}. Divide them by their sum.")
    return found / total


def _read_size(size: Any, found: list[Array], count: int, support: Any, support_weights: Any) -> int:
    if size is not None and (isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1):
        raise ValueError(f"size must be None or an int >= 1, the number of points; got {size!r}. Leave it None.")
    if size is not None:
        check_most(size, "size")
    implied = len(found[count]) if support is not None else None
    if implied is None and support_weights is not None:
        implied = len(read_vector(support_weights, "support_weights"))
    if implied is None:
        return int(size) if size is not None else max(len(cloud) for cloud in found)
    if size is not None and size != implied:
        name = "support" if support is not None else "support_weights"
        raise ValueError(
            f"size must be the length of {name} ({implied}) where that is given; got {size}. Leave it None."
        )
    return implied


def _read_stopping(tol: Any, max_iter: Any, progress: Any) -> tuple[float, int]:
    if tol is None:
        tol = MOVEMENT
    elif not is_real(tol) or not 0 < tol < math.inf:
        raise ValueError(
            f"tol must be a positive finite number, relative to the spread of the clouds; got {tol!r}. Leave it None "
            f"for {MOVEMENT:g}."
        )
    return float(tol), read_max_iter(max_iter, MAX_ITER, progress)
