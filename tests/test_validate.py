"""`otgen validate` agrees with its peers on the whole spread, and names each problem as it goes."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from otgen import validate
from otgen.discrepancy_problems import known_discrepancies
from otgen.map_problems import known_maps
from otgen.problems import Problem

pytest.importorskip("ot")
from ot import emd2


def test_otgen_and_pot_agree_on_the_quick_spread() -> None:
    rows = validate.run(quick=True)
    assert [(row.problem.name, row.problem.label(), row.failure) for row in rows if row.failures] == []
    console = Console(width=200, record=True, file=io.StringIO())
    validate.render(rows, console)
    text = console.export_text()
    assert f"all {len(rows)} problems agree" in text
    assert "to 1e-08 where entropic, to 1e-08 for MMD^2 and Gaussian distances, maps to" in text


def test_each_problem_is_named_while_it_runs(monkeypatch) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    exact = Problem("four points", np.eye(4), 2 * np.eye(4), p=2.0)
    entropic = replace(exact, eps=0.5)
    monkeypatch.setattr(validate, "problems", lambda quick: [exact] if quick else [])
    monkeypatch.setattr(validate, "entropic_problems", lambda quick: [entropic] if quick else [])
    known = next(k for k in known_maps(emd2, quick=True) if k.name == "map to a line")
    monkeypatch.setattr(validate, "known_maps", lambda emd2, quick: [known] if quick else [])
    line = next(iter(known_discrepancies(quick=True)))
    monkeypatch.setattr(validate, "known_discrepancies", lambda quick: [line] if quick else [])
    assert len(validate.run(quick=True, console=console)) == 4 and validate.run(quick=False, console=console) == []
    told = "four points, euclidean^2\nfour points, euclidean^2, eps 0.5\nmap to a line, |x - y|^2, newton\n"
    told += "W1 on the line, scipy wasserstein_distance\n"
    assert console.export_text() == told
