"""The generalisation bound, term by term."""

from __future__ import annotations

import math

import pytest

from otgen.models import generalisation_bound
from tolerance import tol


def test_the_bound_is_the_sum_of_its_terms():
    found = generalisation_bound(0.7, 0.05, 2.0, 800, delta=0.01)
    assert found.empirical == 0.7 and found.complexity == 0.1
    assert found.deviation == pytest.approx(3 * 2.0 * math.sqrt(2 * math.log(200) / 800), rel=tol(float))
    assert found.value == pytest.approx(0.7 + 0.1 + found.deviation, rel=tol(float))
    assert generalisation_bound(0.7, 0.05, 2.0, 3_200, delta=0.01).deviation == pytest.approx(found.deviation / 2)
    # |f| <= B lies in an interval of length 2 B: McDiarmid's 3 (2 B) sqrt(log(2 / delta) / (2 n)) is the same number
    assert found.deviation == pytest.approx(3 * 4.0 * math.sqrt(math.log(200) / 1_600), rel=tol(float))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((-0.1, 0.0, 1.0, 10), "empirical must be a finite number >= 0; got -0.1"),
        ((0.1, math.nan, 1.0, 10), "rademacher must be a finite number >= 0; got nan"),
        ((0.1, 0.0, 0.0, 10), "bound must be a finite number > 0; got 0.0"),
        ((0.1, 0.0, 1.0, 0), "n must be an int >= 1; got 0. Pass the number of samples"),
        ((0.1, 0.0, 1.0, 10, 1.0), "delta must be below 1, a probability of being wrong; got 1.0. Pass 0.05"),
        ((0.1, 0.0, 1.0, 10, 0.0), "delta must be a finite number > 0; got 0.0"),
    ],
)
def test_terms_out_of_range_are_refused(arguments, match):
    *terms, delta = (*arguments, 0.05) if len(arguments) == 4 else arguments
    with pytest.raises(ValueError, match=match):
        generalisation_bound(*terms, delta=delta)
