"""The rows of `otgen validate` agree with the peers, and would say so if they did not."""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from scipy.sparse import csr_array

import otgen
from otgen import validate, validate_rows
from otgen.discrepancy_problems import known_discrepancies
from otgen.map_problems import known_maps
from otgen.problems import Problem

pytest.importorskip("ot")
from ot import emd2

PROBLEM = Problem("four points", np.eye(4), 2 * np.eye(4), p=2.0)
ENTROPIC = replace(PROBLEM, eps=0.5)
UNBALANCED = replace(ENTROPIC, unbalanced=(1.0, 2.0))
DIVERGENCE = replace(UNBALANCED, divergence=True)


def test_a_wrong_value_is_a_failure() -> None:
    def wrong(*arguments, **options):
        value, log = emd2(*arguments, **options)
        return 1.001 * value, log

    assert validate_rows.solve_both(PROBLEM, emd2).failure == ""
    assert "values differ by -1.0e-03" in validate_rows.solve_both(PROBLEM, wrong).failure


def test_an_error_of_either_solver_is_a_failure_and_is_shown(monkeypatch) -> None:
    def broken(*_, **__):
        raise RuntimeError("no [luck] today")

    row = validate_rows.solve_both(PROBLEM, broken)
    assert row.failure == "POT raised RuntimeError: no [luck] today"
    monkeypatch.setattr(otgen, "solve_sample", broken)
    row = validate_rows.solve_both(PROBLEM, emd2)
    assert row.failure == "otgen raised RuntimeError: no [luck] today"
    console = Console(width=200, record=True, file=io.StringIO())
    validate.render([row], console)
    text = console.export_text()
    assert "no [luck] today" in text and "1 of 1 problems failed" in text


def test_a_nan_never_agrees() -> None:
    row = validate_rows.solve_both(PROBLEM, lambda *_, **__: (float("nan"), {"warning": None}))
    assert "values differ" in row.failure


def corrupted(monkeypatch, name: str, *changes: dict) -> None:
    """Make otgen.<name> return its true result with other fields: those of `changes` in turn, the last for good."""
    true, left = getattr(otgen, name), list(changes)
    change = lambda: left.pop(0) if len(left) > 1 else left[0]  # noqa: E731
    monkeypatch.setattr(otgen, name, lambda *a, **k: replace(true(*a, **k), **change()))


@pytest.mark.parametrize(
    "changes, message",
    [
        ([{"converged": False, "message": "stopped"}], "not converged: stopped"),
        ([{"converged": False, "message": "stopped", "value": 1.0}, {}], "^not converged: stopped$"),
        ([{}, {"value": 1.0000001}], r"the same call gave 1.0, then 1.0000001"),
        ([{"marginal_error": 1e-3}], "^marginal error 1.0e-03$"),
        ([{"marginal_error": float("nan")}], "^marginal error nan$"),
        ([{"plan": csr_array(np.ones((4, 4)))}], r"^plan has 16 entries, more than n \+ m - 1 = 7$"),
    ],
)
def test_a_corrupted_result_is_a_failure(monkeypatch, changes: list[dict], message: str) -> None:
    corrupted(monkeypatch, "solve_sample", *changes)
    assert re.search(message, validate_rows.solve_both(PROBLEM, emd2).failure)


def test_a_closed_form_that_disagrees_is_a_failure(monkeypatch) -> None:
    line = Problem("on the line", np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]]))
    assert validate_rows.solve_both(line, emd2).failure == ""
    monkeypatch.setattr(otgen, "wasserstein_1d", lambda *_, **__: 2.5)
    assert validate_rows.solve_both(line, emd2).failure == "wasserstein_1d gives 2.5"


def test_a_warning_of_pot_is_a_failure() -> None:
    row = validate_rows.solve_both(PROBLEM, lambda *a, **k: (emd2(*a, **k)[0], {"warning": "numItermax reached"}))
    assert row.failure == "POT warned: numItermax reached"


@pytest.mark.parametrize("problem", [PROBLEM, Problem("a matrix", C=np.eye(3))])
def test_an_interrupt_stops_everything(monkeypatch, problem) -> None:
    corrupted(monkeypatch, "solve" if problem.C is not None else "solve_sample", {"message": "interrupted"})
    with pytest.raises(KeyboardInterrupt):
        validate_rows.solve_both(problem, emd2)


@pytest.mark.parametrize("problem", [ENTROPIC, UNBALANCED, DIVERGENCE])
def test_an_entropic_value_that_is_off_is_a_failure(monkeypatch, problem) -> None:
    row = validate_rows.solve_entropic(problem, emd2)
    assert row.failure == "" and abs(row.difference) < 1e-9 and row.otgen_seconds > 0 and row.pot_seconds > 0
    plan = validate_rows.pot_plan
    monkeypatch.setattr(validate_rows, "pot_plan", lambda C, a, b, eps, rho: plan(C, a, b, 1.01 * eps, rho))
    failure = validate_rows.solve_entropic(problem, emd2).failure
    assert re.search("^values differ by" if problem.divergence else "^objectives differ by .*plans differ by", failure)


@pytest.mark.filterwarnings("ignore:If reg_type = entropy")
def test_an_entropic_problem_with_other_masses_or_reference_would_be_seen(monkeypatch) -> None:
    import ot

    solve = ot.unbalanced.sinkhorn_unbalanced

    def other_reference(*arguments, **options):
        return solve(*arguments, **options | {"reg_type": "entropy"})

    assert validate_rows.solve_entropic(UNBALANCED, emd2).failure == ""
    monkeypatch.setattr(ot.unbalanced, "sinkhorn_unbalanced", other_reference)
    assert "differ by" in validate_rows.solve_entropic(UNBALANCED, emd2).failure


def test_bounds_that_do_not_hold_the_exact_cost_are_a_failure(monkeypatch) -> None:
    corrupted(monkeypatch, "sinkhorn", {"upper_bound": 0.5})
    assert re.search(
        "^bounds .* to 0.5 do not hold the exact cost 1$", validate_rows.solve_entropic(ENTROPIC, emd2).failure
    )


@pytest.mark.parametrize("problem", [ENTROPIC, DIVERGENCE, Problem("a matrix", C=np.eye(3), eps=0.5)])
def test_an_error_or_warning_of_entropic_otgen_is_a_failure_and_an_interrupt_stops(monkeypatch, problem) -> None:
    name = "solve" if problem.C is not None else "sinkhorn_divergence" if problem.divergence else "sinkhorn"

    def unfinished(*_, **__):
        warnings.warn(otgen.ConvergenceWarning(said), stacklevel=1)

    monkeypatch.setattr(otgen, name, unfinished)
    said = "stopped at marginal error 1e-2"
    failure = validate_rows.solve_entropic(problem, emd2).failure
    assert failure == "otgen raised ConvergenceWarning: stopped at marginal error 1e-2"
    said = "interrupted at marginal error 1e-2"
    with pytest.raises(KeyboardInterrupt):
        validate_rows.solve_entropic(problem, emd2)


def test_an_error_of_entropic_pot_is_a_failure_and_a_divergence_has_no_gap(monkeypatch) -> None:
    def broken(*_):
        raise RuntimeError("no luck")

    console = Console(width=200, record=True, file=io.StringIO())
    validate.render([validate_rows.solve_entropic(DIVERGENCE, emd2)], console)
    text = console.export_text()
    assert "euclidean^2, eps 0.5, rho 1 2" in text and "nan" not in text and "all 1 problems agree" in text
    monkeypatch.setattr(validate_rows, "pot_plan", broken)
    assert validate_rows.solve_entropic(ENTROPIC, emd2).failure == "POT raised RuntimeError: no luck"


def test_a_map_that_is_not_the_known_one_is_a_failure() -> None:
    known = next(iter(k for k in known_maps(emd2, quick=True) if k.name == "map to a line"))
    assert validate_rows.solve_map(known).failure == ""
    wrong = replace(known, answer=lambda: known.answer() + 1e-3)
    assert "values differ by -1.0e-03" in validate_rows.solve_map(wrong).failure
    stopped = replace(next(known_maps(emd2, quick=True)), parameters={"max_iter": 1, "tol": 1e-12})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", otgen.ConvergenceWarning)
        assert "not converged: stopped at max_iter" in validate_rows.solve_map(stopped).failure
    broken = replace(known, y=np.full((3, 2), np.nan))
    assert validate_rows.solve_map(broken).failure.startswith("ValueError: y must")


def test_a_discrepancy_that_is_not_the_peers_is_a_failure() -> None:
    known = next(iter(known_discrepancies(quick=True)))
    row = validate_rows.solve_discrepancy(known)
    assert row.failure == "" and abs(row.difference) < 1e-12 and row.otgen_seconds > 0 and row.pot_seconds > 0
    wrong = replace(known, theirs=lambda: known.theirs() * 1.001)
    assert "values differ by -1.0e-03" in validate_rows.solve_discrepancy(wrong).failure
    broken = replace(known, ours=lambda: otgen.wasserstein_1d([], []))
    assert validate_rows.solve_discrepancy(broken).failure.startswith("ValueError: x must")
    console = Console(width=200, record=True, file=io.StringIO())
    validate.render([row], console)
    assert not known.has_gap and next(known_maps(emd2, quick=True)).has_gap and PROBLEM.has_gap
    assert not DIVERGENCE.has_gap and "nan" not in console.export_text()
    nan = replace(known, theirs=lambda: float("nan"))
    assert "values differ" in validate_rows.solve_discrepancy(nan).failure


@pytest.mark.parametrize("name", ["MMD^2, imq, biased, weights", "MMD^2, imq, weights", "MMD^2, rational_quadratic"])
def test_a_kernel_of_other_scales_weights_or_estimate_would_be_seen(monkeypatch, name) -> None:
    known = next(k for k in known_discrepancies(quick=True) if k.name == name)
    assert validate_rows.solve_discrepancy(known).failure == ""
    true = otgen.mmd_squared
    other = "unbiased" if "biased" in name else "biased"
    for change in ({"scales": [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.1]}, {"estimator": other}, {"bandwidth": 1.70001}):
        monkeypatch.setattr(otgen, "mmd_squared", lambda *a, change=change, **k: true(*a, **k | change))
        assert "values differ by" in validate_rows.solve_discrepancy(known).failure
    monkeypatch.setattr(otgen, "mmd_squared", lambda x, y, a, b, **k: true(x, y, b=np.arange(1.0, 41) / 820, **k))
    assert "values differ by" in validate_rows.solve_discrepancy(known).failure
