"""`otgen validate` agrees with POT, and would say so if it did not."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

import otgen
from otgen import validate

pytest.importorskip("ot")
from ot import emd2

PROBLEM = validate.Problem("four points", np.eye(4), 2 * np.eye(4), p=2.0)


def test_otgen_and_pot_agree_on_the_quick_spread() -> None:
    rows = validate.run(quick=True)
    assert [(row.problem.name, row.problem.label(), row.failure) for row in rows if row.failures] == []
    console = Console(width=200, record=True, file=io.StringIO())
    validate.render(rows, console)
    assert f"all {len(rows)} problems agree" in console.export_text()


def test_the_spread_covers_what_it_claims() -> None:
    spread = list(validate.problems(quick=True))
    assert {p.x.shape[1] for p in spread if p.x is not None} >= {1, 2, 3, 16, 64}
    assert {(p.metric, p.p) for p in spread} >= {
        (m, q) for m in ("cityblock", "chebyshev", "cosine") for q in (1, 1.5, 3)
    }
    assert any(p.a is not None and (p.a == 0).any() for p in spread)
    assert any(p.x is not None and p.y is not None and len(p.x) != len(p.y) for p in spread)
    assert any(p.C is not None for p in spread)
    again = list(validate.problems(quick=True))
    assert all(np.array_equal(p.cost_matrix(), q.cost_matrix()) for p, q in zip(spread, again, strict=True))


def test_a_wrong_value_is_a_failure() -> None:
    def wrong(*arguments, **options):
        value, log = emd2(*arguments, **options)
        return 1.001 * value, log

    assert validate.solve_both(PROBLEM, emd2).failure == ""
    assert "values differ by -1.0e-03" in validate.solve_both(PROBLEM, wrong).failure


def test_an_error_of_either_solver_is_a_failure_and_is_shown(monkeypatch) -> None:
    def broken(*_, **__):
        raise RuntimeError("no [luck] today")

    row = validate.solve_both(PROBLEM, broken)
    assert row.failure == "POT raised RuntimeError: no [luck] today"
    monkeypatch.setattr(otgen, "solve_sample", broken)
    row = validate.solve_both(PROBLEM, emd2)
    assert row.failure == "otgen raised RuntimeError: no [luck] today"
    console = Console(width=200, record=True, file=io.StringIO())
    validate.render([row], console)
    text = console.export_text()
    assert "no [luck] today" in text and "1 of 1 problems failed" in text


def test_a_nan_never_agrees() -> None:
    row = validate.solve_both(PROBLEM, lambda *_, **__: (float("nan"), {"warning": None}))
    assert "values differ" in row.failure


def test_an_unproven_result_is_a_failure(monkeypatch) -> None:
    solve_sample = otgen.solve_sample
    monkeypatch.setattr(
        otgen, "solve_sample", lambda *a, **k: replace(solve_sample(*a, **k), converged=False, message="stopped")
    )
    assert "not converged: stopped" in validate.solve_both(PROBLEM, emd2).failure
