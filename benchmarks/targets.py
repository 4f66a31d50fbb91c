"""What a case must reach, and whether it did; nothing here measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Record = Mapping[str, Any]
Verdict = dict[str, Any]  # text: the target; peer: whose, or ""; got: the figure; met: True, False, or None for unknown
Judge = Callable[[Record, Mapping[str, Record]], Verdict]


def seconds(record: Record | None, solver: str) -> float | None:
    """The time of one solver, None where it did not answer; a peer that was cut off counts as its time limit."""
    run = (record or {}).get("runs", {}).get(solver, {})
    if "error" in run and solver != "otgen":
        return run.get("limit")
    return run.get("seconds")


def speed_ratio(record: Record, peer: str) -> float | None:
    """How many times otgen's seconds the peer took."""
    return _quotient(seconds(record, peer), seconds(record, "otgen"))


def faster(factor: float, peer: str) -> Judge:
    """The peer takes at least `factor` times as long."""

    def judge(record: Record, _: Mapping[str, Record]) -> Verdict:
        ratio = speed_ratio(record, peer)
        text = f">= {factor:g} x faster" if factor > 1 else "no slower"
        return _verdict(text, ratio, lambda got: got >= factor, record, peer)

    return judge


def faster_than_each(factor: float, peers: tuple[str, ...]) -> Judge:
    """The fastest peer that answered, or was cut off at its limit, takes at least `factor` times as long."""

    def judge(record: Record, _: Mapping[str, Record]) -> Verdict:
        ratios = {peer: ratio for peer in peers if (ratio := speed_ratio(record, peer)) is not None}
        fastest = min(ratios, key=lambda peer: ratios[peer], default="")
        text = f">= {factor:g} x faster than the fastest peer"
        return _verdict(text, ratios.get(fastest), lambda got: got >= factor, record, fastest)

    return judge


def within_times(factor: float, peer: str) -> Judge:
    """It takes at most `factor` times as long as the peer, a bound that nothing can beat by much."""

    def judge(record: Record, _: Mapping[str, Record]) -> Verdict:
        ratio = _quotient(seconds(record, "otgen"), seconds(record, peer))
        return _verdict(f"<= {factor:g} x its time", ratio, lambda got: got <= factor, record, peer)

    return judge


def at_share(share: float, peer: str) -> Judge:
    """It runs at this share at least of the peer's speed, which nothing can beat."""

    def judge(record: Record, _: Mapping[str, Record]) -> Verdict:
        return _verdict(
            f">= {share:.0%} of its speed", speed_ratio(record, peer), lambda got: got >= share, record, peer
        )

    return judge


def accurate(tol: float, what: str) -> Judge:
    """The error that was recomputed from otgen's answer in float64 is at most tol."""

    def judge(record: Record, _: Mapping[str, Record]) -> Verdict:
        return _verdict(
            f"{what} <= {tol:g}", record["runs"]["otgen"].get("error_found"), lambda got: got <= tol, record
        )

    return judge


def honest() -> Judge:
    """No NaN, no inf; `converged` where the recomputed error bears it out, else a warning; got: the error found."""

    def judge(record: Record, _: Mapping[str, Record]) -> Verdict:
        run = record["runs"]["otgen"]
        verdict = _verdict("finite, honest `converged`", run.get("error_found"), lambda _: run["honest"], record)
        return verdict if run.get("finite", True) else verdict | {"met": False}

    return judge


def lighter(factor: float, peer: str) -> Judge:
    """The peer's process peaks at `factor` times the memory of otgen's at least, interpreter and imports included."""

    def judge(record: Record, _: Mapping[str, Record]) -> Verdict:
        runs = record["runs"]
        ratio = _quotient(runs.get(peer, {}).get("peak_mb"), runs["otgen"].get("peak_mb"))
        return _verdict(f"peak <= 1/{factor:g}", ratio, lambda got: got >= factor, record, peer)

    return judge


def proven(tol: float) -> Judge:
    """The gap, as a part of the scale, is at most tol."""

    def judge(record: Record, _: Mapping[str, Record]) -> Verdict:
        return _verdict(f"gap <= {tol:.0e}", record["runs"]["otgen"].get("gap"), lambda got: got <= tol, record)

    return judge


def below_megabytes(limit: float) -> Judge:
    """The whole process stays below the limit."""

    def judge(record: Record, _: Mapping[str, Record]) -> Verdict:
        peak = record["runs"]["otgen"].get("peak_mb")
        return _verdict(f"peak < {limit:g} MB", peak, lambda got: got < limit, record)

    return judge


def adding_less_than(limit: float) -> Judge:
    """The solve adds less than so many megabytes to a process that holds the inputs and the library."""

    def judge(record: Record, _: Mapping[str, Record]) -> Verdict:
        added = record["runs"]["otgen"].get("added_mb")
        return _verdict(f"adds < {limit:g} MB", added, lambda got: got < limit, record)

    return judge


def within(limit: float) -> Judge:
    """It takes at most so many seconds."""

    def judge(record: Record, _: Mapping[str, Record]) -> Verdict:
        return _verdict(f"<= {limit:g} s", seconds(record, "otgen"), lambda got: got <= limit, record)

    return judge


def within_or_peer(limit: float, factor: float, peer: str, case: str, what: str) -> Judge:
    """It takes at most `limit` seconds, or `factor` times the peer's time in another case if that is longer."""

    def judge(record: Record, records: Mapping[str, Record]) -> Verdict:
        allowed = max(limit, factor * (seconds(records.get(case), peer) or 0.0))
        text = f"<= {allowed:.0f} s ({limit:g} s or {factor:g} x {what})"
        return _verdict(text, seconds(record, "otgen"), lambda got: got <= allowed, record)

    return judge


def _verdict(text: str, got: float | None, rule: Callable[[float], bool], record: Record, peer: str = "") -> Verdict:
    if "error" in record["runs"]["otgen"]:
        return {"text": text, "peer": peer, "got": None, "met": False}
    return {"text": text, "peer": peer, "got": got, "met": None if got is None else bool(rule(got))}


def _quotient(top: float | None, bottom: float | None) -> float | None:
    return top / bottom if top is not None and bottom else None
