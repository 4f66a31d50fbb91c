"""Arguments of a wrong type or size, at the public functions: a sentence of otgen, never one of Python or NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse

import otgen
from otgen import models, training

X, Y = np.random.default_rng(0).random((8, 2)), np.random.default_rng(1).random((7, 2))
HUGE = 10**400
NAMES = (
    np.ones(3),
    np.array(["a", "b"]),
    np.ones((2, 2), object),
    sparse.csr_array(np.eye(2)),
    torch.ones(2),
    ["a"],
    1,
)


def _fit(**parameters: Any) -> Any:
    return otgen.SemiDiscreteOT(**parameters).fit(X)


CALLS: dict[str, Callable[..., Any]] = {
    "wasserstein": lambda **given: otgen.wasserstein(X, Y, **given),
    "solve_sample": lambda **given: otgen.solve_sample(X, Y, **given),
    "sinkhorn": lambda **given: otgen.sinkhorn(X, Y, **{"eps": 0.1, **given}),
    "sinkhorn_divergence": lambda **given: otgen.sinkhorn_divergence(X, Y, **{"eps": 0.1, **given}),
    "couple": lambda **given: otgen.couple(X, Y, **given),
    "barycenter": lambda **given: otgen.barycenter([X, Y], **given),
    "mmd_squared": lambda **given: otgen.mmd_squared(X, Y, **given),
    "sliced_wasserstein": lambda **given: otgen.sliced_wasserstein(X, Y, **given),
    "two_sample_test": lambda **given: otgen.two_sample_test(X, Y, **{"n_permutations": 9, **given}),
    "pairwise": lambda **given: otgen.pairwise([X, Y], **given),
    "pairwise mmd": lambda **given: otgen.pairwise([X, Y], distance="mmd", **given),
    "fit": _fit,
    "resume": lambda resume: otgen.SemiDiscreteOT().fit(X, resume=resume),
    "save": lambda path: otgen.SemiDiscreteOT(max_iter=1, tol=1.0).fit(X).save(path),
    "load": lambda path: otgen.SemiDiscreteOT.load(path),
    "data.load": lambda **given: otgen.data.load("8gaussians", **given),
    "data.sample": lambda name: otgen.data.toys.sample(name, 3),
    "models.load": lambda folder: models.load(folder),
    "AE": lambda **given: models.AE((2,), 2, **given),
    "VAE": lambda **given: models.VAE((2,), 2, **given),
    "WAE": lambda **given: models.WAE((2,), 2, **given),
    "WGAN": lambda **given: models.WGAN((2,), 2, **given),
    "build": lambda model: models.build({"model": model}),
    "train": lambda **given: training.TrainOptions(**given),
}
HUGE_NUMBERS = {
    "wasserstein": ("p", "tol"), "solve_sample": ("eps", "tol"), "sinkhorn": ("eps", "tol", "unbalanced"),
    "sinkhorn_divergence": ("eps", "tol", "unbalanced"), "barycenter": ("eps", "tol", "size"), "mmd_squared":
    ("bandwidth",), "couple": ("eps", "n_pairs"), "sliced_wasserstein": ("p", "n_projections"), "fit": ("tol",),
    "two_sample_test": ("n_permutations", "bandwidth"), "AE": ("width",), "WAE": ("sigma", "weight"),
}  # fmt: skip
CHOICES = {
    "mmd_squared": ("kernel", "estimator"), "pairwise": ("backend", "distance"),
    "fit": ("method", "optimizer", "source"),
    "data.load": ("split",), "data.sample": ("name",), "AE": ("norm",), "VAE": ("likelihood", "norm"),
    "WAE": ("penalty", "norm"), "WGAN": ("lipschitz", "norm"), "build": ("model",), "two_sample_test": ("statistic",),
    "wasserstein": ("metric",), "couple": ("cost",), "pairwise mmd": ("kernel",),
}  # fmt: skip
PATHS = {"resume": "resume", "save": "path", "load": "path", "pairwise": "path", "models.load": "folder"}


def refused(call: str, parameter: str, value: Any, words: str | None = None) -> None:
    """A ValueError or TypeError that names the parameter, and ends with what to do."""
    with pytest.raises((ValueError, TypeError), match=words or parameter) as caught:
        CALLS[call](**{parameter: value})
    frame = caught.traceback[-1]
    assert "otgen" in str(frame.path) and str(frame.statement).strip().startswith("raise"), caught.value
    assert str(caught.value).rstrip().endswith("."), caught.value


@pytest.mark.parametrize(
    ("call", "parameter"), [(call, name) for call, names in HUGE_NUMBERS.items() for name in names]
)
def test_numbers_beyond_every_range(call: str, parameter: str) -> None:
    refused(call, parameter, HUGE)


@pytest.mark.parametrize(("call", "parameter"), [(call, name) for call, names in CHOICES.items() for name in names])
def test_names_are_strings(call: str, parameter: str) -> None:
    words = "bandwidth" if call == "pairwise mmd" else "name|model" if parameter in ("name", "model") else None
    for value in NAMES:
        refused(call, parameter, value, words)


@pytest.mark.parametrize("call", PATHS)
def test_paths_are_strings_or_paths(call: str) -> None:
    for value in (3, b"a", ["a"], object(), "a\0b"):
        refused(
            call, PATHS[call], value, f"{PATHS[call]} must be a path, a str or a pathlib.Path; got .*Pass the file's"
        )


@pytest.mark.parametrize("norm", ["", 0, False, []])
def test_what_is_empty_is_no_name_of_a_norm(norm: Any) -> None:
    for call in ("AE", "WAE", "WGAN"):
        refused(call, "norm", norm)


def test_a_flag_is_no_string() -> None:
    refused("couple", "replace", "no", "replace must be True or False; got 'no'. Pass one of them")
    refused("data.load", "download", 1, "download must be True or False; got 1")


def test_scales_are_a_list() -> None:
    refused("mmd_squared", "scales", np.array(1.5), r"scales must be a list of finite numbers > 0.*Leave it None")


def test_a_penalty_that_float64_rounds_away_is_refused() -> None:
    match = r"unbalanced must be at most 1e\+10 times eps, or math.inf: .*got 1e\+20 with eps=0.1. Pass math.inf"
    refused("sinkhorn", "unbalanced", 1e20, match)
    with pytest.raises(ValueError, match="unbalanced must be at most"):
        otgen.solve(np.ones((3, 4)), eps=0.1, unbalanced=(1.0, 2e9))
    heavy = otgen.sinkhorn(X, Y, eps=0.1, unbalanced=1e9, tol=1e-9)
    held = otgen.sinkhorn(X, Y, eps=0.1, tol=1e-9)
    assert heavy.dual_value == pytest.approx(held.dual_value, rel=1e-5)


def test_a_batch_stops_at_the_most_steps_that_can_be_counted() -> None:
    batch = otgen.sinkhorn(np.stack([X, X]), np.stack([Y, Y]), eps=0.5, max_iter=10**20)
    assert batch.converged.all()


def test_a_loose_test_of_cells_needs_no_square_of_tol() -> None:
    assert _fit(method="monte_carlo", tol=1e300).converged_


def test_tensors_without_numbers_are_refused() -> None:
    with pytest.raises(NotImplementedError, match=r"domain is on 'meta' and this works on the host only. Pass domain"):
        _fit(domain=torch.ones((2, 2), device="meta"))


def test_what_cannot_become_an_array_is_refused() -> None:
    class Broken:
        def __array__(self, *given: Any, **options: Any) -> Any:
            raise RuntimeError("mine")

    with pytest.raises(ValueError, match=r"x must be a rectangular array of numbers; NumPy says: mine"):
        otgen.wasserstein(Broken(), Y)


def test_points_too_far_away_for_a_map_are_refused() -> None:
    for plan in (otgen.solve_sample(X, Y), otgen.sinkhorn(X, Y, eps=0.1)):
        with pytest.raises(
            ValueError, match=r"x_new must lie where .* stays in the range of float64; .*Drop the points"
        ):
            plan.map(np.full((3, 2), 1e308))


@pytest.mark.parametrize("rows", [None, "a", 1.5, True, [0.5], [[0]], object(), {"a": 1}, torch.ones(2)])
def test_rows_of_a_plan_are_integers(rows: Any) -> None:
    plan = otgen.sinkhorn(X, Y, eps=0.1).plan
    with pytest.raises(TypeError, match=r"i must be a row of the plan \(from -8 to 7\), a slice.*Pass integers"):
        plan.rows(rows)


def test_rows_of_a_plan_are_there() -> None:
    plan = otgen.sinkhorn(X, Y, eps=0.1).plan
    whole = plan.toarray()
    for rows in (-1, [0, -8], np.arange(8) > 4, slice(2, 5), np.uint8(3), [], range(3)):
        np.testing.assert_array_equal(plan.rows(rows), whole[list(rows) if isinstance(rows, range) else rows])
    with pytest.raises(IndexError, match=r"i must be a row of the plan \(from -8 to 7\).*got -9 to 8. Leave out"):
        plan.rows([-9, 8])
