"""The order in which levels and eps are gone through."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from otgen.transport.annealing import FACTOR, Annealing
from otgen.transport.costs import Cost
from otgen.transport.iteration import Potentials
from otgen.transport.regularisation import Regularisation
from otgen.transport.soft_costs import PointSoftCosts


def annealing(eps, n=600, m=500, **options):
    rng = np.random.default_rng(0)
    costs = PointSoftCosts(rng.normal(size=(n, 2)), rng.normal(size=(m, 2)), Cost("euclidean", 2.0))
    settings = {"tol": 1e-6, "max_iter": 1000, "symmetric": False, "progress": None, **options}
    return Annealing(costs, np.full(n, 1 / n), np.full(m, 1 / m), Regularisation(eps), **settings)


@pytest.mark.parametrize("eps", [1e-4, 1e-2, 1.0, 100.0])
def test_stages_go_down_in_eps_and_to_finer_levels(eps):
    problem = annealing(eps)
    problem._add_levels()
    stages = problem._stages()
    levels, values = [level for level, _ in stages], [value for _, value in stages]
    assert stages[-1] == (0, eps)
    assert levels == sorted(levels, reverse=True) and values == sorted(values, reverse=True)
    for before, after in itertools.pairwise(values):
        assert before / after <= FACTOR * (1 + 1e-12)
    for level, value in stages[:-1]:  # the finest stage of a level may be one that it no longer serves
        assert level == 0 or value >= problem.levels[level].spread or (level - 1, value) in stages


def test_levels_hold_the_mass_and_grow_coarser():
    problem = annealing(0.01)
    problem._add_levels()
    sizes = [level.costs.shape for level in problem.levels]
    assert sizes[0] == (600, 500) and len(sizes) > 1 and all(np.diff([n for n, _ in sizes]) < 0)
    spreads = [level.spread for level in problem.levels]
    assert spreads[0] == 0.0 and spreads == sorted(spreads)
    for level in problem.levels:
        assert level.a.sum() == pytest.approx(1.0) and level.b.sum() == pytest.approx(1.0)


def test_a_run_counts_the_sweeps_of_the_finest_level():
    seen = []
    run = annealing(0.05, progress=seen.append).run(None)
    assert run.message == "" and run.potentials.error <= 1e-6
    assert 0 < run.n_iter < len(seen)
    assert {state["level"] for state in seen} == set(range(1, seen[-1]["levels"] + 1))
    assert annealing(0.05, max_iter=3).run(None).n_iter == 3


def test_given_potentials_start_at_the_end():
    first = annealing(0.05).run(None)
    seen = []
    again = annealing(0.05, progress=seen.append).run(first.potentials)
    assert again.n_iter <= 2 and all(state["eps"] == 0.05 and state["levels"] == 1 for state in seen)
    rough = annealing(0.05, tol=0.5).run(Potentials(np.zeros(600), np.zeros(500)))
    assert math.isfinite(rough.potentials.error) and rough.potentials.error <= 0.5
