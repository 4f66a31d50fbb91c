"""Input that means nothing is refused, by every function, in words."""

from __future__ import annotations

from typing import Any

import numpy as np

import otgen

from .draws import Rng, laid_out, pick, shape_of, tensor
from .oracles import expect

CALLS: dict[str, Any] = {
    "wasserstein": otgen.wasserstein,
    "solve_sample": otgen.solve_sample,
    "sinkhorn": lambda *given: otgen.sinkhorn(*given, eps=0.5),
    "sinkhorn_divergence": lambda *given: otgen.sinkhorn_divergence(*given, eps=0.5),
    "wasserstein_1d": otgen.wasserstein_1d,
    "sliced_wasserstein": otgen.sliced_wasserstein,
    "max_sliced_wasserstein": otgen.max_sliced_wasserstein,
    "mmd_squared": lambda *given: otgen.mmd_squared(*given, estimator="biased"),
    "energy_distance_squared": otgen.energy_distance_squared,
    "couple": otgen.couple,
    "frechet_distance": lambda x, y, a=None, b=None: otgen.frechet_distance(x, y),
    "two_sample_test": lambda x, y, a=None, b=None: otgen.two_sample_test(x, y, n_permutations=9),
    "barycenter": lambda x, y, a=None, b=None: otgen.barycenter([x, y], [a, b], max_iter=2),
    "pairwise": lambda x, y, a=None, b=None: otgen.pairwise([x, y], [a, b]),
    "SemiDiscreteOT.fit": lambda x, y, a=None, b=None: otgen.SemiDiscreteOT(max_time=5).fit(x, a),
    "solve": lambda x, y, a=None, b=None: otgen.solve(x, a, None),
    "solve with eps": lambda x, y, a=None, b=None: otgen.solve(x, a, None, eps=0.5),
}
WEIGHTLESS = ("frechet_distance", "two_sample_test")


def refusal(rng: Rng) -> None:
    """One thing wrong in one argument: ValueError or TypeError, and a sentence."""
    name = pick(rng, list(CALLS))
    n, d = int(rng.integers(2, 12)), 2
    x, y = shape_of(rng, n, d), shape_of(rng, n, d)
    a = b = None
    wrong = pick(rng, ("nan", "inf", "complex", "text", "empty", "axes", "ragged", "negative", "weight nan", "no mass",
                       "length", "object", "sparse tensor"))  # fmt: skip
    of_weights = wrong in ("negative", "weight nan", "no mass", "length")
    if of_weights and name in WEIGHTLESS:
        return
    bad: Any = x.astype(pick(rng, (np.float32, np.float64)))
    if wrong in ("nan", "inf"):
        bad[int(rng.integers(n)), int(rng.integers(d))] = {"nan": np.nan, "inf": pick(rng, (np.inf, -np.inf))}[wrong]
        bad = laid_out(rng, bad) if rng.random() < 0.7 else tensor(rng, bad)
        y = tensor(rng, y) if not isinstance(bad, np.ndarray) else y
    elif wrong == "complex":
        bad = bad + 1j
    elif wrong == "text":
        bad = bad.astype(str)
    elif wrong == "empty":
        bad = bad[:0]
    elif wrong == "axes":
        bad = bad[None, None]
    elif wrong == "ragged":
        bad = [[1.0, 2.0], [3.0]]
    elif wrong == "object":
        bad = np.array([[None, 1.0], [2.0, 3.0]], dtype=object)
    elif wrong == "sparse tensor":
        bad, y = tensor(rng, bad).to_sparse(), tensor(rng, y)
    else:
        a = np.full(n, 1.0 / n)
        if wrong == "negative":
            a[0], a[1] = -0.5 / n, a[1] + 1.5 / n
        elif wrong == "weight nan":
            a[0] = pick(rng, (np.nan, np.inf))
        elif wrong == "no mass":
            a[:] = 0.0
        else:
            a = np.append(a, 0.0)
    swap = rng.random() < 0.5 and name not in ("solve", "solve with eps", "SemiDiscreteOT.fit")
    given = (y, bad, b, a) if swap else (bad, y, a, b)
    try:
        found = CALLS[name](*given)
    except (ValueError, TypeError) as error:
        expect(len(str(error)) > 20 and str(error).rstrip().endswith((".", ")")), f"{name}, {wrong}: {error!s}")
    else:
        expect(False, f"{name} takes {wrong}: {found!r:.300}")


KINDS = {"refusal": (refusal, 6)}
