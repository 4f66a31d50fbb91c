"""The factor on every learning rate as a run goes on, a closed form in the share of the run that is done."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..options import is_one_of, is_real

KEYS = {"cosine": {"warmup": 0.0, "final": 0.0}, "step": {"at": None, "factors": None}}


def read_schedule(schedule: Any) -> dict[str, Any] | None:
    """Return a schedule with its defaults filled in, None for constant rates; raise ValueError for another."""
    if schedule is None:
        return None
    name = schedule.get("name") if isinstance(schedule, Mapping) else None
    if not is_one_of(name, KEYS):
        raise ValueError(
            f"schedule must be None or a dict whose 'name' is one of {', '.join(KEYS)}; got {schedule!r}. "
            "Pass {'name': 'cosine'}."
        )
    unknown = sorted(set(schedule) - {"name", *KEYS[name]})
    if unknown:
        raise ValueError(f"schedule {name!r} takes {', '.join(KEYS[name])}; got {', '.join(unknown)}. Leave them out.")
    found = {"name": name, **KEYS[name], **{key: value for key, value in schedule.items() if key != "name"}}
    return _read_cosine(found) if name == "cosine" else _read_step(found)


def factor(schedule: Mapping[str, Any] | None, step: int, steps: int) -> float:
    """Return what learning rates are multiplied by in step 0, 1, ... of a run of `steps`.

    Cosine, with T steps, W = warmup T and t = (step - W) / (T - W): (step + 1) / W while step + 1 < W, then
    final + (1 - final) (1 + cos(pi t)) / 2. Step: the last of `factors` whose `at` is at most step / T, 1 before.
    """
    if schedule is None:
        return 1.0
    if schedule["name"] == "step":
        passed = [f for at, f in zip(schedule["at"], schedule["factors"]) if step >= at * steps]
        return passed[-1] if passed else 1.0
    warmup, final = schedule["warmup"] * steps, schedule["final"]
    if step + 1 < warmup:
        return (step + 1) / warmup
    done = max(step - warmup, 0.0) / (steps - warmup)
    return final + (1.0 - final) * 0.5 * (1.0 + math.cos(math.pi * done))


def _read_cosine(schedule: dict[str, Any]) -> dict[str, Any]:
    for key in ("warmup", "final"):
        value = schedule[key]
        if not is_real(value) or not 0 <= value < 1:
            raise ValueError(f"schedule[{key!r}] must be a share in [0, 1); got {value!r}. Leave it out for 0.")
        schedule[key] = float(value)
    return schedule


def _read_step(schedule: dict[str, Any]) -> dict[str, Any]:
    at, factors = schedule["at"], schedule["factors"]
    for key, values in (("at", at), ("factors", factors)):
        if not isinstance(values, (list, tuple)) or not values or not all(is_real(v) for v in values):
            raise ValueError(
                f"schedule[{key!r}] must be a list of numbers; got {values!r}. Pass at=[0.5], factors=[0.1]."
            )
    if len(at) != len(factors):
        raise ValueError(
            f"schedule['at'] and schedule['factors'] must be as long as each other; got {len(at)} and {len(factors)} "
            "numbers. Pass one factor for each place."
        )
    if not all(low < high for low, high in zip([0, *at], [*at, 1])):
        raise ValueError(f"schedule['at'] must rise within (0, 1), shares of the run; got {list(at)}. Sort it.")
    if not all(0 <= f < math.inf for f in factors):
        raise ValueError(
            f"schedule['factors'] must be finite and not negative; got {list(factors)}. They multiply the first rates."
        )
    return {**schedule, "at": [float(v) for v in at], "factors": [float(v) for v in factors]}
