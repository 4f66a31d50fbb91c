"""The estimate of chi2 from counts: no bias, an interval that covers, samples that suffice."""

from __future__ import annotations

import math

import numpy as np
import pytest

from otgen.transport.cell_error import estimate_chi2, samples_for


def exact(w, nu):
    return float(((w - nu) ** 2 / nu).sum())


def cases():
    rng = np.random.default_rng(3)
    even = np.full(200, 1 / 200)
    uneven = rng.gamma(0.3, size=150) + 1e-3
    uneven /= uneven.sum()
    off = even * np.exp(0.1 * rng.normal(size=200))
    far = even * np.exp(0.7 * rng.normal(size=200))
    uneven_off = uneven * np.exp(0.2 * rng.normal(size=150))
    return {
        "equal": (even, even),
        "a little off": (off / off.sum(), even),
        "far off": (far / far.sum(), even),
        "uneven": (uneven, uneven),
        "uneven and off": (uneven_off / uneven_off.sum(), uneven),
    }


@pytest.mark.parametrize("name", cases())
@pytest.mark.parametrize("samples", [2000, 20_000])
def test_the_estimate_has_no_bias_and_its_interval_covers(name, samples) -> None:
    w, nu = cases()[name]
    truth, draws = exact(w, nu), 2000
    found = [estimate_chi2(c, nu) for c in np.random.default_rng(1).multinomial(samples, w, size=draws)]
    values = np.array([chi2.value for chi2 in found])
    assert abs(values.mean() - truth) <= 4.0 * values.std() / math.sqrt(draws)
    covered = np.mean([chi2.low <= truth <= chi2.high for chi2 in found])
    # Where w = nu only the upper end can miss: the lower one stops at 0.
    assert 0.93 <= covered <= (0.998 if truth == 0.0 else 0.975), covered
    assert np.mean([chi2.high < truth for chi2 in found]) <= 0.05  # the end that fits stop by


def test_the_smallest_case_by_hand() -> None:
    # n = (2, 1): sum n (n - 1) / (N (N - 1) nu) - 1 = 2 / (6 * 0.5) - 1.
    chi2 = estimate_chi2(np.array([2, 1]), np.array([0.5, 0.5]))
    assert chi2.value == pytest.approx(-1 / 3)
    assert chi2.samples == 3 and chi2.empty == 0 and chi2.low == 0.0 <= chi2.high


def test_empty_cells_are_counted_and_nothing_is_known_without_samples() -> None:
    nu = np.full(4, 0.25)
    assert estimate_chi2(np.array([8, 0, 0, 0]), nu).empty == 3
    none = estimate_chi2(np.zeros(4, np.int64), nu)
    assert none.value == none.high == math.inf and none.low == 0.0 and none.empty == 4


@pytest.mark.parametrize("n, tol", [(10, 0.01), (1000, 0.11), (10_000, 0.01)])
def test_the_samples_asked_for_let_a_good_fit_pass(n, tol) -> None:
    rng = np.random.default_rng(0)
    nu = np.full(n, 1.0 / n)
    error = 0.75 * tol
    off = rng.choice([-1.0, 1.0], size=n)
    w = nu * (1.0 + math.sqrt(error) * (off - off.mean()))
    w *= 1.0 / w.sum()
    size = samples_for(tol, n, exact(w, nu))
    passed = [estimate_chi2(rng.multinomial(size, w), nu).high <= tol for _ in range(40)]
    assert np.mean(passed) >= 0.85


def test_no_number_of_samples_shows_what_is_not_so() -> None:
    with pytest.raises(ValueError, match="error must be below tol"):
        samples_for(0.01, 100, 0.02)
