"""Learning rates against their closed forms."""

from __future__ import annotations

import math

import pytest

from otgen.training.schedules import factor, read_schedule


def test_no_schedule_leaves_the_rates_alone():
    assert read_schedule(None) is None and factor(None, 7, 10) == 1.0


def test_cosine_falls_from_one_to_its_final_share():
    schedule = read_schedule({"name": "cosine", "final": 0.1})
    found = [factor(schedule, step, 40) for step in range(40)]
    assert found == pytest.approx([0.1 + 0.9 * math.cos(math.pi * step / 80) ** 2 for step in range(40)], rel=1e-12)


def test_cosine_first_warms_up_in_a_line():
    schedule = read_schedule({"name": "cosine", "warmup": 0.25})
    found = [factor(schedule, step, 40) for step in range(40)]
    assert found[:10] == pytest.approx([0.1 * k for k in range(1, 11)])
    assert found[10:] == pytest.approx([math.cos(math.pi * k / 60) ** 2 for k in range(30)])


def test_step_takes_the_last_factor_that_is_passed():
    schedule = read_schedule({"name": "step", "at": (0.3, 0.5), "factors": [0.5, 0.2]})
    assert [factor(schedule, step, 100) for step in (0, 29, 30, 49, 50, 99)] == [1.0, 1.0, 0.5, 0.5, 0.2, 0.2]


@pytest.mark.parametrize(
    "schedule, words",
    [
        ("cosine", "schedule must be None or a dict whose 'name' is one of cosine, step; got 'cosine'"),
        ({"name": "linear"}, "whose 'name' is one of cosine, step; got {'name': 'linear'}"),
        ({"name": "cosine", "at": [0.5]}, "schedule 'cosine' takes warmup, final; got at. Leave them out"),
        ({"name": "cosine", "warmup": 1.0}, r"schedule\['warmup'\] must be a share in \[0, 1\); got 1.0"),
        ({"name": "cosine", "final": float("nan")}, r"schedule\['final'\] must be a share in \[0, 1\); got nan"),
        ({"name": "step", "factors": [0.5]}, r"schedule\['at'\] must be a list of numbers; got None"),
        ({"name": "step", "at": [0.5], "factors": []}, r"schedule\['factors'\] must be a list of numbers; got \[\]"),
        ({"name": "step", "at": [0.5], "factors": [0.1, 0.2]}, "as long as each other; got 1 and 2 numbers"),
        ({"name": "step", "at": [0.5, 0.3], "factors": [1, 1]}, r"must rise within \(0, 1\).*got \[0.5, 0.3\]"),
        ({"name": "step", "at": [1], "factors": [1]}, r"must rise within \(0, 1\).*got \[1\]"),
        ({"name": "step", "at": [float("nan")], "factors": [1]}, r"must rise within \(0, 1\).*got \[nan\]"),
        ({"name": "step", "at": [0.5], "factors": [-1]}, r"must be finite and not negative; got \[-1\]"),
    ],
)
def test_bad_schedules_are_refused(schedule, words):
    with pytest.raises(ValueError, match=words):
        read_schedule(schedule)
